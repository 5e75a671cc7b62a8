package analysis

import (
	"cmp"
	"math"
	"slices"

	"catchment/internal/edge"
)

// standing is how the PoPs compare from one cell: what each costs by its own
// name, ms.
type standing struct {
	place *place
	asn   uint32
	own   []popLatency // PoPs eligible in the cell; none: it is too thin, and all latencies are the place's
	shift float64      // ms, added to what is borrowed from the place
	best  popLatency
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
	p := t.find(c)
	if p == nil {
		return nil
	}
	if !p.settled {
		t.settle(p)
		p.settled = true
	}
	if len(p.ranked) < minPoPs {
		return nil
	}
	if i, ok := slices.BinarySearch(p.asns, c.ASN); ok && len(p.cells[i].own) > 0 {
		return &p.cells[i]
	}
	return &p.whole
}

// settle finds what every PoP costs by its own name from p and from its cells.
func (t *table) settle(p *place) {
	t.pool(p)
	p.listCells()
	p.ranked = p.ranked[:0]
	for i, target := range p.probed {
		pop, own := target.ownName()
		if !own {
			continue
		}
		x := &p.targets[i]
		at := 0 // the lists are in the order of the cells
		for _, s := range x.lists {
			for p.asns[at] != s.asn {
				at++
			}
			if ms, ok := t.median([]*samples{s}, true); ok {
				p.cells[at].own = append(p.cells[at].own, popLatency{pop, ms})
			}
		}
		if ms, ok := t.pooledMedian(x, true); ok {
			p.ranked = append(p.ranked, popLatency{pop, ms})
		}
	}
	if len(p.ranked) < minPoPs {
		return
	}
	slices.SortFunc(p.ranked, t.compare)
	p.whole = standing{place: p, best: p.ranked[0]}
	for i := range p.cells {
		t.compareFrom(&p.cells[i])
	}
}

// listCells makes an empty standing for every network of p.
func (p *place) listCells() {
	p.asns = p.asns[:0]
	for i := range p.samples {
		if asn := p.samples[i].asn; i == 0 || asn != p.samples[i-1].asn {
			p.asns = append(p.asns, asn)
		}
	}
	slices.Sort(p.asns)
	p.asns = slices.Compact(p.asns)
	p.cells = slices.Grow(p.cells[:0], len(p.asns))[:len(p.asns)]
	for i, asn := range p.asns {
		p.cells[i] = standing{place: p, asn: asn, own: p.cells[i].own[:0]}
	}
}

// compareFrom compares the PoPs from the cell of s, whose own latencies are
// known. A PoP that is not eligible there, though it is in the place, borrows
// the place's latency shifted by what the cell's network costs on top: the
// median, over the PoPs that are eligible in both, of cell − place. Without the
// shift a network with a slow access would find every borrowed PoP faster than
// its own; without borrowing, a best PoP that few probes of a small cell
// happened to draw would not exist, and every assignment would look better than
// it was. Access delay is the same to every PoP, hence a sum and not a ratio.
func (t *table) compareFrom(s *standing) {
	if len(s.own) < minPoPs {
		s.own = s.own[:0]
		return
	}
	t.shifts = t.shifts[:0]
	for _, x := range s.own {
		if of := s.place.of(targetOf(x.pop, ownName)); of != nil && of.ok {
			t.shifts = append(t.shifts, x.ms-of.ms)
		}
	}
	s.shift = medianOf(t.shifts)
	s.best = s.own[0]
	for _, x := range s.own[1:] {
		if t.compare(x, s.best) < 0 {
			s.best = x
		}
	}
	for _, x := range s.place.ranked {
		if x.ms = s.borrow(x.ms); !(x.ms <= s.best.ms) {
			break // nor are those that follow
		}
		if _, own := s.ownLatency(x.pop); !own && t.compare(x, s.best) < 0 {
			s.best = x
		}
	}
}

// compare orders PoPs by latency; the name decides between equals, so that the
// order of the input never does.
func (t *table) compare(a, b popLatency) int {
	if c := cmp.Compare(a.ms, b.ms); c != 0 {
		return c
	}
	return cmp.Compare(t.pops.names[a.pop], t.pops.names[b.pop])
}

// borrow is a latency of the place as it would be in the cell.
func (s *standing) borrow(ms float64) float64 { return max(ms+s.shift, edge.LeastMs) }

func (s *standing) ownLatency(pop popID) (ms float64, ok bool) {
	for i := range s.own {
		if s.own[i].pop == pop {
			return s.own[i].ms, true
		}
	}
	return 0, false
}

// reached returns what the PoP costs that scheme k led to: its latency by its
// own name, or else, so that far catchments do not vanish, the median of that
// scheme's own probes, in the cell and then in the place. For those there is no
// rule about prefixes: few reach such a PoP.
func (t *table) reached(s *standing, pop popID, k int) (ms float64, ok bool) {
	if ms, ok := s.ownLatency(pop); ok {
		return ms, true
	}
	if x := s.place.of(targetOf(pop, ownName)); x != nil && x.ok {
		return s.borrow(x.ms), true
	}
	x := s.place.of(targetOf(pop, k))
	if x == nil {
		return 0, false
	}
	if len(s.own) > 0 {
		if i, ok := slices.BinarySearchFunc(x.lists, s.asn, compareToASN); ok {
			if ms, ok := t.median(x.lists[i:i+1], false); ok {
				return ms, true
			}
		}
	}
	ms, ok = t.pooledMedian(x, false)
	return s.borrow(ms), ok
}

func compareToASN(s *samples, asn uint32) int { return cmp.Compare(s.asn, asn) }

func (t *table) pooledMedian(x *pooled, capped bool) (ms float64, ok bool) {
	if !x.known {
		x.ms, x.ok = t.median(x.lists, capped)
		x.known = true
	}
	return x.ms, x.ok
}

func (t *table) median(lists []*samples, capped bool) (ms float64, ok bool) {
	return t.bins.median(lists, float64(t.criteria.MinSamples), capped)
}

// medianOf sorts v and returns its median, NaN if it is empty.
func medianOf(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
