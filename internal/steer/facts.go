package steer

import (
	"encoding/binary"
	"slices"

	"catchment/internal/edge"
)

// none stands for no PoP and no region.
const none = -1

// facts are all of a place that a decision may depend on, as far as it may:
// few places differ in them, whatever their coordinates.
type facts struct {
	order       int32  // list of candidates for unicast
	ramps       int32  // list of the ramps that are for clients here
	pins        uint32 // set of pins of the client's prefix
	networkPins uint32 // and of its ASN
	region      int16  // that serves the place
	alternate   int16  // whose VIP stands in where that region is dead or missing
	observed    [len(edge.Schemes)]int16
}

// lists are lists of small numbers, each with a number of its own.
type lists struct {
	all   [][]int16
	known map[string]int32
	key   []byte
}

func (l *lists) number(list []int16) int32 {
	l.key = l.key[:0]
	for _, x := range list {
		l.key = binary.LittleEndian.AppendUint16(l.key, uint16(x))
	}
	n, ok := l.known[string(l.key)]
	if !ok {
		n = int32(len(l.all))
		l.all = append(l.all, slices.Clone(list))
		l.known[string(l.key)] = n
	}
	return n
}

// client looks up what x has the numbers of.
func (l *lists) client(x facts) *client {
	return &client{x, l.all[x.order], l.all[x.ramps]}
}

// classifier finds the facts of places.
type classifier struct {
	plan     *Plan
	fleet    *fleetState
	vectors  []vector // of the PoPs
	firm     []bool   // neither sheds nor is a standby of any service
	weighted bool     // some service has weights
	orders   map[edge.CellKey][]distance
	observed map[observedKey]int16

	lists     lists // from here on buffers: see own
	distances []distance
	list      []int16
	left      []int16
}

type observedKey struct {
	edge.CellKey
	scheme edge.Scheme
}

func newClassifier(p *Plan) *classifier {
	s := p.snapshot
	c := &classifier{
		plan: p, fleet: p.fleet,
		orders: map[edge.CellKey][]distance{}, observed: map[observedKey]int16{},
		weighted: len(s.Weights) > 0,
	}
	for i := range p.fleet.pops {
		pop := &p.fleet.pops[i]
		c.vectors = append(c.vectors, vectorOf(&pop.Place))
		standby := slices.ContainsFunc(s.Weights, func(w edge.Weight) bool { return w.PoP == pop.ID && w.Weight == 0 })
		c.firm = append(c.firm, pop.shed == nil && !standby)
	}
	c.readOrders(s)
	c.readCatchments(s)
	return c
}

// own returns a copy with buffers of its own.
func (c *classifier) own() *classifier {
	o := *c
	o.lists = lists{known: map[string]int32{}}
	o.distances = make([]distance, len(c.fleet.pops))
	o.list, o.left = nil, nil
	return &o
}

// facts returns what decisions need to know of a place, but for its pins.
func (c *classifier) facts(place uint32, family int) facts {
	p := &c.plan.places[place]
	c.distancesTo(p, family, c.distances)
	x := facts{region: none, alternate: none}
	for i, s := range edge.Schemes {
		x.observed[i] = none
		if s == edge.Unicast {
			continue
		}
		// Only where somebody is to be led away does it make a difference.
		if pop, _ := c.observedAt(p, family, s); pop != none && (c.fleet.pops[pop].drain != nil || c.fleet.pops[pop].shed != nil) {
			x.observed[i] = pop
		}
	}
	if len(c.fleet.regions) > 0 {
		if r, ok := c.plan.snapshot.Fleet.RegionOf(*p); ok {
			x.region = c.regionIndex(r.ID)
		}
		if x.region == none || !c.fleet.regions[x.region].alive {
			x.alternate = c.alternate()
		}
	}
	x.order = c.lists.number(c.candidates(c.list[:0]))
	c.list = c.list[:0]
	for i := range c.plan.snapshot.Ramps {
		if selects(&c.plan.snapshot.Ramps[i].Where, p) {
			c.list = append(c.list, int16(i))
		}
	}
	x.ramps = c.lists.number(c.list)
	return x
}

func (c *classifier) regionIndex(id edge.RegionID) int16 {
	return int16(slices.IndexFunc(c.fleet.regions, func(r regionState) bool { return r.ID == id }))
}

// alternate returns the region of the nearest PoP that can serve and is in
// one, the first by id if it is in several.
func (c *classifier) alternate() int16 {
	best := none
	for i := range c.fleet.pops {
		p := &c.fleet.pops[i]
		if !p.out() && len(p.regions) > 0 && (best == none || c.distances[i].less(c.distances[best])) {
			best = i
		}
	}
	if best == none {
		return none
	}
	return int16(c.fleet.pops[best].regions[0])
}

// selects reports whether w is for clients of p.
func selects(w *edge.Where, p *edge.Place) bool {
	if len(w.Continents)+len(w.Countries)+len(w.Subdivisions)+len(w.ASNs) == 0 {
		return true
	}
	return p.Continent != "" && slices.Contains(w.Continents, p.Continent) ||
		p.Country != "" && slices.Contains(w.Countries, p.Country) ||
		p.Subdivision != "" && slices.Contains(w.Subdivisions, p.Country+"-"+p.Subdivision) ||
		p.ASN != 0 && slices.Contains(w.ASNs, p.ASN)
}
