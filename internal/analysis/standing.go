package analysis

import (
	"math"
	"slices"

	"catchment/internal/edge"
)

// standing is how the PoPs compare from one cell: the latency of each, by its
// own name, ms.
type standing struct {
	place *place
	cell  *cell // nil: too thin, so that all latencies are the place's
	pops  []popLatency
	shift float64 // ms, added to what is borrowed from the place
}

type popLatency struct {
	pop popID
	ms  float64
}

// minPoPs is how many PoPs must be eligible before there is anything to
// compare.
const minPoPs = 2

// standingOf returns how the PoPs compare from c, or nil when too little is
// known in the cell and in the whole place.
func (t *table) standingOf(c *edge.Cell) *standing {
	if c.Country == "" {
		return nil // nowhere in particular: there is no one best PoP
	}
	p, at := t.find(c)
	if p == nil {
		return nil
	}
	whole := t.placeStanding(p)
	if len(whole.pops) < minPoPs {
		return nil
	}
	if at == nil {
		return whole
	}
	if at.standing == nil {
		at.standing = t.cellStanding(p, at, whole)
	}
	return at.standing
}

func (t *table) placeStanding(p *place) *standing {
	if p.standing != nil {
		return p.standing
	}
	s := &standing{place: p}
	for i, x := range t.pool(p) {
		if x.scheme != ownName {
			continue
		}
		if ms, ok := t.placeMedian(&p.pooled[i]); ok {
			s.pops = append(s.pops, popLatency{x.pop, ms})
		}
	}
	t.bestFirst(s.pops)
	p.standing = s
	return s
}

// cellStanding compares the PoPs from one place×ASN. A PoP that is not
// eligible there, though it is in the place, borrows the place's latency
// shifted by what the cell's network costs on top: the median, over the PoPs
// that are eligible in both, of cell − place. Without the shift a network with
// a slow access would find every borrowed PoP faster than its own; without
// borrowing, a best PoP that few probes of a small cell happened to draw would
// not exist, and every assignment would look better than it was. Access delay
// is the same to every PoP, hence a sum and not a ratio.
func (t *table) cellStanding(p *place, c *cell, whole *standing) *standing {
	s := &standing{place: p, cell: c, pops: make([]popLatency, 0, len(whole.pops))}
	t.shifts = t.shifts[:0]
	for _, l := range c.lists {
		if l.scheme != ownName {
			continue
		}
		ms, ok := t.cellMedian(l)
		if !ok {
			continue
		}
		s.pops = append(s.pops, popLatency{l.pop, ms})
		if of, ok := whole.latency(l.pop); ok {
			t.shifts = append(t.shifts, ms-of)
		}
	}
	if len(s.pops) < minPoPs {
		return whole
	}
	s.shift = medianOf(t.shifts)
	for _, x := range whole.pops {
		if _, ok := s.latency(x.pop); !ok {
			s.pops = append(s.pops, popLatency{x.pop, s.borrow(x.ms)})
		}
	}
	t.bestFirst(s.pops)
	return s
}

// bestFirst puts the best PoP first; the name decides between equals, so that
// the order of the input never does.
func (t *table) bestFirst(pops []popLatency) {
	if len(pops) == 0 {
		return
	}
	best := 0
	for i, p := range pops {
		if b := pops[best]; p.ms < b.ms || p.ms == b.ms && t.names[p.pop] < t.names[b.pop] {
			best = i
		}
	}
	pops[0], pops[best] = pops[best], pops[0]
}

func (s *standing) best() popLatency { return s.pops[0] }

func (s *standing) latency(pop popID) (ms float64, ok bool) {
	for i := range s.pops {
		if s.pops[i].pop == pop {
			return s.pops[i].ms, true
		}
	}
	return 0, false
}

// borrow is a latency of the place as it would be in the cell.
func (s *standing) borrow(ms float64) float64 { return max(ms+s.shift, edge.LeastMs) }

// reached returns what the PoP costs that scheme k led to: its own latency, or
// else, so that far catchments do not vanish, the median of that scheme's own
// probes, in the cell and then in the place. For those there is no rule about
// prefixes: few reach such a PoP.
func (t *table) reached(s *standing, pop popID, k int) (ms float64, ok bool) {
	if ms, ok := s.latency(pop); ok {
		return ms, true
	}
	want := target{pop, int8(k)}
	if s.cell != nil {
		if l := s.cell.find(want); l != nil {
			if ms, ok := t.cellMedian(l); ok {
				return ms, true
			}
		}
	}
	for i := range t.pool(s.place) {
		if x := &s.place.pooled[i]; x.target == want {
			ms, ok := t.placeMedian(x)
			return s.borrow(ms), ok
		}
	}
	return 0, false
}

func (t *table) cellMedian(l *list) (ms float64, ok bool) {
	return t.median(&l.memo, []*samples{&l.samples}, l.scheme == ownName)
}

func (t *table) placeMedian(x *pooled) (ms float64, ok bool) {
	return t.median(&x.memo, x.lists, x.scheme == ownName)
}

func (t *table) median(m *memo, lists []*samples, capped bool) (ms float64, ok bool) {
	if !m.known {
		m.ms, m.ok = t.bins.median(lists, float64(t.criteria.MinSamples), capped)
		m.known = true
	}
	return m.ms, m.ok
}

// medianOf sorts v and returns its median, NaN if it is empty.
func medianOf(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
