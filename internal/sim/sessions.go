package sim

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"catchment/internal/edge"
	"catchment/internal/sim/route"
	"catchment/internal/sim/topology"
)

// link is a BGP session of a PoP, with what is announced over it and how.
type link struct {
	pop      int
	neighbor topology.AS
	relation edge.Relation // of the neighbor to us
	vips     []edge.VIPID  // nil: all that the PoP announces
	prepend  int
	noExport []topology.AS // ascending
	scope    *topology.Metros
}

func (l *link) equal(o link) bool {
	return l.pop == o.pop && l.neighbor == o.neighbor && l.relation == o.relation && slices.Equal(l.vips, o.vips) &&
		l.prepend == o.prepend && slices.Equal(l.noExport, o.noExport) &&
		(l.scope == nil) == (o.scope == nil) && (l.scope == nil || *l.scope == *o.scope)
}

func sortLinks(links []link) {
	slices.SortStableFunc(links, func(a, b link) int {
		return cmp.Or(cmp.Compare(a.pop, b.pop), cmp.Compare(a.neighbor, b.neighbor))
	})
}

// configured returns the links of the fleet file for one PoP.
func (w *World) configured(pop int) ([]link, error) {
	var links []link
	p := &w.Fleet.PoPs[pop]
	for j := range p.BGP.Neighbors {
		n, path := &p.BGP.Neighbors[j], fmt.Sprintf("pops[%d].bgp.neighbors[%d]", pop, j)
		a, ok := w.Topology.Find(n.ASN)
		if !ok {
			w.warn("%s.asn: AS%d is not in the topology: left out", path, n.ASN)
			continue
		}
		l := link{pop: pop, neighbor: a, relation: n.Relation, vips: n.VIPs, prepend: n.Prepend, scope: w.metrosOf(n.Scope)}
		for k, asn := range n.NoExportTo {
			if to, ok := w.Topology.Find(asn); ok {
				l.noExport = append(l.noExport, to)
			} else {
				w.warn("%s.no_export_to[%d]: AS%d is not in the topology: left out", path, k, asn)
			}
		}
		slices.Sort(l.noExport)
		if l.relation == "" { // a fleet that was not read from a file
			l.relation = edge.Transit
		}
		// One session for IPv4 and one for IPv6, or two for safety, are one here.
		if !slices.ContainsFunc(links, l.equal) {
			links = append(links, l)
		}
	}
	if len(links) == 0 {
		return nil, fmt.Errorf("sim: pops[%d].bgp.neighbors: none of the neighbors of %s is in the topology", pop, p.ID)
	}
	return links, nil
}

// metrosOf returns the metros on some continents; nil for all.
func (w *World) metrosOf(continents []string) *topology.Metros {
	if continents == nil {
		return nil
	}
	var s topology.Metros
	for i, c := range w.Topology.Cities {
		if slices.Contains(continents, c.Place.Continent) {
			s.Add(topology.Metro(i))
		}
	}
	return &s
}

// session returns how the link announces a VIP.
func (w *World) session(l *link) route.Session {
	s := w.plain(l)
	s.Prepend, s.NoExport, s.Scope = l.prepend, l.noExport, l.scope
	return s
}

// plain returns how the link announces a PoP's own prefix.
func (w *World) plain(l *link) route.Session {
	return route.Session{PoP: l.pop, Metro: w.Metros[l.pop], Neighbor: l.neighbor, Class: classOf(l.relation)}
}

// classOf returns how a neighbor ranks the routes it has from us: we are its
// customer where it sells us transit.
func classOf(r edge.Relation) route.Class {
	switch r {
	case edge.Peer:
		return route.FromPeer
	case edge.Customer:
		return route.FromProvider
	}
	return route.FromCustomer
}

// Sessions returns over which sessions a VIP is announced.
func (w *World) Sessions(vip edge.VIPID) ([]route.Session, error) {
	pops, err := w.Announcers(vip)
	if err != nil {
		return nil, err
	}
	var sessions []route.Session
	for i := range w.links {
		l := &w.links[i]
		_, announces := slices.BinarySearch(pops, l.pop)
		if announces && (l.vips == nil || slices.Contains(l.vips, vip)) {
			sessions = append(sessions, w.session(l))
		}
	}
	if len(sessions) == 0 {
		return nil, errors.New("sim: nobody announces " + string(vip))
	}
	return sessions, nil
}

// Unicast returns the sessions over which a PoP's own prefix is announced.
func (w *World) Unicast(pop int) []route.Session {
	var sessions []route.Session
	for i := range w.links {
		if w.links[i].pop == pop {
			sessions = append(sessions, w.plain(&w.links[i]))
		}
	}
	return sessions
}
