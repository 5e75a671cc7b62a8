package sim

import (
	"cmp"
	"fmt"
	"slices"

	"catchment/internal/edge"
	"catchment/internal/sim/noise"
	"catchment/internal/sim/topology"
)

// Connectivity says how sessions are drawn for PoPs to which the fleet file
// gives none.
type Connectivity struct {
	// Transits is how many carriers each PoP buys transit from.
	Transits int

	// Transit says which PoPs buy from the same carriers: what decides most
	// about catchments. Where PoPs have different ones, a carrier brings the
	// users of the whole world to the PoPs that it serves.
	Transit Sameness

	// Carriers is how many of the largest carriers transit is bought from: ASes
	// without providers, by number of customers, then others.
	Carriers int

	// Peer is the probability that an AS peers with the fleet, and PeerLarge
	// that of one with LargeUsers users or more. Who peers does so in most
	// common metros, EachMetro of them; a share SingleMetro peers in a single one
	// of its metros, if a PoP is there. Carriers and transits do not peer. Peer,
	// PeerLarge and SingleMetro are fitted to published shares of users who reach
	// an optimal PoP, EachMetro to the tenth of US users that regional anycast
	// left at a suboptimal PoP at LinkedIn; drawing all metros apart at the
	// probability of peering gives far too few.
	Peer, PeerLarge float64
	LargeUsers      float64
	SingleMetro     float64
	EachMetro       float64

	// DrawAll draws sessions for all PoPs, whatever the fleet file says.
	// DrawPeers draws peers, beside the transits that it gives, for PoPs to which
	// it gives no peer.
	DrawAll   bool
	DrawPeers bool
}

// Sameness says which PoPs buy transit from the same carriers.
type Sameness string

// Everywhere the same; the same within a region of the fleet file (within a
// continent, for a PoP in no region); or each PoP its own.
const (
	SameEverywhere Sameness = "same"
	SameInRegion   Sameness = "region"
	OwnPerPoP      Sameness = "pop"
)

// ParseSameness returns the Sameness named s.
func ParseSameness(s string) (Sameness, error) {
	if x := Sameness(s); x == SameEverywhere || x == SameInRegion || x == OwnPerPoP {
		return x, nil
	}
	return "", fmt.Errorf("%q: want same, region or pop", s)
}

// DefaultConnectivity returns three transits, the same at every PoP.
func DefaultConnectivity() Connectivity {
	return Connectivity{
		Transits: 3, Transit: SameEverywhere, Carriers: 12,
		Peer: 0.5, PeerLarge: 0.9, LargeUsers: 1e6, SingleMetro: 0.03, EachMetro: 0.85,
	}
}

func (c *Connectivity) check() error {
	if _, err := ParseSameness(string(c.Transit)); err != nil {
		return fmt.Errorf("sim: connectivity: transit %w", err)
	}
	if c.Transits < 1 || c.Transits > 100 || c.Carriers < c.Transits || c.Carriers > 1000 {
		return fmt.Errorf("sim: connectivity: %d transits of %d carriers (want 1 to 100, of no fewer and at most 1000)", c.Transits, c.Carriers)
	}
	for _, p := range []float64{c.Peer, c.PeerLarge, c.SingleMetro, c.EachMetro} {
		if !(p >= 0 && p <= 1) {
			return fmt.Errorf("sim: connectivity: %v is not a probability", p)
		}
	}
	return nil
}

// draw draws sessions. Every choice is keyed by AS number and the name of the
// metro or of the PoP's group, so that a PoP more leaves the others' alone.
type draw struct {
	t        *topology.Topology
	seed     uint64
	c        Connectivity
	carriers []topology.AS
	users    []float64 // by AS
	drawn    []int     // PoPs
	given    int       // how many of them have given transits
	transit  map[topology.AS]bool
}

func newDraw(t *topology.Topology, seed uint64, c Connectivity) *draw {
	d := &draw{t: t, seed: seed, c: c, users: make([]float64, t.Len()), transit: map[topology.AS]bool{}}
	for i := range t.Groups {
		d.users[t.Groups[i].AS] += float64(t.Groups[i].Users)
	}
	all := make([]topology.AS, t.Len())
	for i := range all {
		all[i] = topology.AS(i)
	}
	top := func(a topology.AS) int { // 0: nobody's customer, and not an island
		if len(t.Providers.Of(a)) == 0 && len(t.Peers.Of(a)) > 0 && len(t.Customers.Of(a)) > 0 {
			return 0
		}
		return 1
	}
	slices.SortFunc(all, func(a, b topology.AS) int {
		return cmp.Or(cmp.Compare(top(a), top(b)), cmp.Compare(len(t.Customers.Of(b)), len(t.Customers.Of(a))), cmp.Compare(a, b))
	})
	for _, a := range all {
		if len(d.carriers) < c.Carriers && len(t.Customers.Of(a)) > 0 {
			d.carriers = append(d.carriers, a)
		}
	}
	return d
}

// groupOf names the PoPs that buy transit from the same carriers as p.
func groupOf(f *edge.Fleet, p *edge.PoP, s Sameness) string {
	switch s {
	case SameEverywhere:
		return ""
	case OwnPerPoP:
		return "pop " + string(p.ID)
	}
	for _, r := range f.Regions {
		if slices.Contains(r.PoPs, p.ID) {
			return "region " + string(r.ID)
		}
	}
	return "continent " + p.Place.Continent
}

// transits draws the transits of a PoP: a group of PoPs has one ranking of the
// carriers, and each of them buys from the first that are present in its
// metro, else from the first. If any are given, it buys from those.
func (d *draw) transits(pop int, m topology.Metro, group string, given []topology.AS) []link {
	d.drawn = append(d.drawn, pop)
	var links []link
	buy := func(a topology.AS) {
		links = append(links, link{pop: pop, neighbor: a, relation: edge.Transit})
	}
	if len(given) > 0 {
		d.given++
		for _, a := range given {
			buy(a)
		}
		return links
	}
	type ranked struct {
		as     topology.AS
		absent int // 1: not in the metro
		bits   uint64
	}
	var order []ranked
	for _, a := range d.carriers {
		r := ranked{a, 1, noise.At(d.seed, noise.TransitPick, noise.String(group), uint64(d.t.ASNs[a]))}
		if d.t.Footprint[a].Has(m) {
			r.absent = 0
		}
		order = append(order, r)
	}
	slices.SortFunc(order, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.absent, b.absent), cmp.Compare(a.bits, b.bits), cmp.Compare(a.as, b.as))
	})
	for _, r := range order[:min(d.c.Transits, len(order))] {
		buy(r.as)
	}
	return links
}

// peers draws who peers with the PoPs that have drawn sessions, if any beside
// those with given ones has.
func (d *draw) peers(w *World) []link {
	if len(d.drawn) == d.given {
		return nil
	}
	var links []link
	for i := range d.t.ASNs {
		a, asn := topology.AS(i), uint64(d.t.ASNs[i])
		if d.transit[a] || slices.Contains(d.carriers, a) {
			continue
		}
		p := d.c.Peer
		if d.users[a] >= d.c.LargeUsers {
			p = d.c.PeerLarge
		}
		if noise.Uniform(noise.At(d.seed, noise.PeerWithUs, asn)) >= p {
			continue
		}
		single := noise.Uniform(noise.At(d.seed, noise.PeeringMetro, asn)) < d.c.SingleMetro
		only := topology.Metro(topology.None)
		if single {
			only = d.pickMetro(a)
		}
		for _, pop := range d.drawn {
			m := w.Metros[pop]
			if !d.t.Footprint[a].Has(m) || single && m != only || w.linked(pop, a) {
				continue
			}
			const each = 1
			bits := noise.At(d.seed, noise.PeeringMetro, asn, metroKey(&d.t.Cities[m]), each)
			if single || noise.Uniform(bits) < d.c.EachMetro {
				links = append(links, link{pop: pop, neighbor: a, relation: edge.Peer})
			}
		}
	}
	return links
}

// linked reports whether the fleet file gives a PoP a session with an AS.
func (w *World) linked(pop int, a topology.AS) bool {
	return slices.ContainsFunc(w.links, func(l link) bool { return l.pop == pop && l.neighbor == a })
}

// pickMetro draws one metro of an AS, whether or not a PoP is there: a choice
// among the PoPs' metros would change with the PoPs.
func (d *draw) pickMetro(a topology.AS) topology.Metro {
	best, least := topology.Metro(topology.None), uint64(0)
	for m := range d.t.Footprint[a].All() {
		bits := noise.At(d.seed, noise.PeeringMetro, uint64(d.t.ASNs[a]), metroKey(&d.t.Cities[m]))
		if best == topology.None || bits < least {
			best, least = m, bits
		}
	}
	return best
}

// metroKey names a metro: there are several towns of one name in the world.
func metroKey(c *topology.City) uint64 {
	return noise.String(c.Place.Country + "/" + c.Place.Subdivision + "/" + c.Name)
}
