package sim

import (
	"fmt"
	"slices"
	"strings"

	"catchment/internal/edge"
	"catchment/internal/sim/route"
	"catchment/internal/sim/topology"
)

// plan is the announcement of one VIP while edits are applied to it.
type plan struct {
	w     *World // with the PoPs that were added, at the end
	vip   edge.VIPID
	links []link // over which the VIP is announced
	cuts  []route.Cut
}

// plan applies edits, in their order; PoPs are added before all others, so
// that any edit can name them.
func (w *World) plan(vip edge.VIPID, edits []Edit) (*plan, error) {
	if _, err := w.Announcers(vip); err != nil {
		return nil, err
	}
	next, err := w.with(vip, edits)
	if err != nil {
		return nil, err
	}
	pops, err := next.Announcers(vip)
	if err != nil {
		return nil, err
	}
	p := &plan{w: next, vip: vip}
	for _, l := range next.links {
		if _, ok := slices.BinarySearch(pops, l.pop); ok && (l.vips == nil || slices.Contains(l.vips, vip)) {
			p.links = append(p.links, l)
		}
	}
	for _, e := range edits {
		if err := p.apply(&e); err != nil {
			return nil, fmt.Errorf("sim: %v: %w", e, err)
		}
	}
	return p, nil
}

func (p *plan) sessions() []route.Session {
	sessions := make([]route.Session, len(p.links))
	for i := range p.links {
		sessions[i] = p.w.session(&p.links[i])
	}
	return sessions
}

// with returns w with the PoPs that edits add. They announce vip.
func (w *World) with(vip edge.VIPID, edits []Edit) (*World, error) {
	fleet := *w.Fleet
	fleet.PoPs, fleet.Regions = slices.Clone(fleet.PoPs), slices.Clone(fleet.Regions)
	given := map[edge.PoPID][]topology.AS{}
	for _, e := range edits {
		if e.Kind != AddPoP {
			continue
		}
		if _, taken := fleet.PoP(e.pop); taken {
			return nil, fmt.Errorf("sim: %v: %s is taken", e, e.pop)
		}
		for _, asn := range e.asns {
			a, err := w.find(asn)
			if err != nil {
				return nil, fmt.Errorf("sim: %v: %w", e, err)
			}
			given[e.pop] = append(given[e.pop], a)
		}
		m, _ := nearestMetro(w.Topology, e.place)
		place := w.Topology.Cities[m].Place
		place.Lat, place.Lon = e.place.Lat, e.place.Lon
		fleet.PoPs = append(fleet.PoPs, edge.PoP{ID: e.pop, Place: place})
		for i := range fleet.Regions {
			if r := &fleet.Regions[i]; r.VIP == vip {
				r.PoPs = append(slices.Clone(r.PoPs), e.pop)
			}
		}
	}
	if len(fleet.PoPs) == len(w.Fleet.PoPs) {
		return w, nil
	}
	return newWorld(&fleet, w.Network, w.options, given)
}

func (w *World) find(asn uint32) (topology.AS, error) {
	a, ok := w.Topology.Find(asn)
	if !ok {
		return a, fmt.Errorf("AS%d is not in the topology", asn)
	}
	return a, nil
}

func (p *plan) apply(e *Edit) error {
	switch e.Kind {
	case AddPoP:
		return nil
	case CutLink:
		return p.cut(e)
	case AddSession:
		return p.add(e)
	}
	picked, err := p.pick(e)
	if err != nil {
		return err
	}
	var left []link
	for i := range p.links {
		l := p.links[i]
		if picked[i] {
			switch e.Kind {
			case Withdraw:
				continue
			case DropTransit:
				if l.relation != edge.Transit {
					return fmt.Errorf("%s is our %s there", p.w.asn(l.neighbor), l.relation)
				}
				continue
			case Prepend:
				l.prepend = e.prepend
			case Reclass:
				l.relation = e.relation
			case SetScope:
				l.scope = p.w.metrosOf(e.continents)
			case NoExport:
				l.noExport = slices.Clone(l.noExport)
				for _, asn := range e.asns {
					a, err := p.w.find(asn)
					if err != nil {
						return err
					}
					l.noExport = append(l.noExport, a)
				}
				slices.Sort(l.noExport)
				l.noExport = slices.Compact(l.noExport)
			}
		}
		left = append(left, l)
	}
	p.links = left
	return nil
}

// pick returns which links an edit is about, by index; none is an error.
func (p *plan) pick(e *Edit) (map[int]bool, error) {
	pop := p.w.PoP(e.pop)
	if pop < 0 && e.pop != "*" {
		return nil, fmt.Errorf("there is no PoP %s", e.pop)
	}
	picked := map[int]bool{}
	var has []string
	for i, l := range p.links {
		if e.pop != "*" && l.pop != pop {
			continue
		}
		if has = append(has, p.w.asn(l.neighbor)); e.asn == 0 || p.w.Topology.ASNs[l.neighbor] == e.asn {
			picked[i] = true
		}
	}
	switch {
	case len(picked) > 0:
		return picked, nil
	case len(has) == 0:
		return nil, fmt.Errorf("%s does not announce %s", e.pop, p.vip)
	case len(has) > 10:
		has = append(has[:10], "…")
	}
	return nil, fmt.Errorf("%s does not announce %s to AS%d (it does to %s)", e.pop, p.vip, e.asn, strings.Join(has, ", "))
}

func (p *plan) add(e *Edit) error {
	pop := p.w.PoP(e.pop)
	if pop < 0 {
		return fmt.Errorf("there is no PoP %s", e.pop)
	}
	a, err := p.w.find(e.asn)
	if err != nil {
		return err
	}
	for _, l := range p.links {
		if l.pop == pop && l.neighbor == a {
			return fmt.Errorf("%s announces %s to AS%d already", e.pop, p.vip, e.asn)
		}
	}
	p.links = append(p.links, link{pop: pop, neighbor: a, relation: e.relation})
	sortLinks(p.links)
	return nil
}

func (p *plan) cut(e *Edit) error {
	if len(e.asns) != 2 {
		return fmt.Errorf("an AS has no link with itself")
	}
	a, err := p.w.find(e.asns[0])
	if err != nil {
		return err
	}
	b, err := p.w.find(e.asns[1])
	if err != nil {
		return err
	}
	t := p.w.Topology
	for _, links := range []*topology.Links{&t.Providers, &t.Customers, &t.Peers} {
		if _, linked := slices.BinarySearch(links.Of(a), b); linked {
			p.cuts = append(p.cuts, route.Cut{A: a, B: b})
			return nil
		}
	}
	return fmt.Errorf("AS%d and AS%d have no link", e.asns[0], e.asns[1])
}
