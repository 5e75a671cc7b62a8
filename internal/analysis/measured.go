package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"catchment/internal/edge"
)

// Measured is what steering needs to know of several days together: how far
// the PoPs are from each cell, and whom each cell reaches under the anycast
// schemes. Cells are networks in their places over one family; places and
// countries over one family and over both.
//
// Reports judge day by day (Judge); a client has to be sent somewhere now, and
// most networks take days to give enough probes.
type Measured struct {
	criteria Criteria
	rtts     map[cellPoP]*thinned
	reached  map[cellScheme]map[edge.PoPID]*views
	bins     histogram
}

type cellPoP struct {
	cell edge.CellKey
	pop  edge.PoPID
}

type cellScheme struct {
	cell   edge.CellKey
	scheme edge.Scheme
}

type views struct {
	n      uint64
	weight float64
}

// NewMeasured returns one that knows nothing yet. Of c only MinSamples counts:
// probes behind an RTT, and page views behind a catchment.
func NewMeasured(c Criteria) *Measured {
	return &Measured{criteria: c, rtts: map[cellPoP]*thinned{}, reached: map[cellScheme]map[edge.PoPID]*views{}}
}

// Read adds a window. The errors are those of the sequences, and malformed
// elements.
func (m *Measured) Read(w Window) error {
	for l, err := range w.Latencies {
		if err != nil {
			return fmt.Errorf("analysis: latencies: %w", err)
		}
		if len(l.Samples) != len(l.Counts) {
			return fmt.Errorf("analysis: latencies of %s: %d samples, %d counts", cellName(&l.Cell), len(l.Samples), len(l.Counts))
		}
		if l.Scheme != "" {
			continue // not by the PoP's own name
		}
		pop := edge.PoPID(strings.Clone(string(l.PoP)))
		for _, cell := range widened(&l.Cell) {
			k := cellPoP{cell, pop}
			t := m.rtts[k]
			if t == nil {
				t = &thinned{}
				m.rtts[k] = t
			}
			t.add(l)
		}
	}
	for a, err := range w.Assignments {
		if err != nil {
			return fmt.Errorf("analysis: assignments: %w", err)
		}
		if len(a.Views) != len(a.Weights) {
			return fmt.Errorf("analysis: assignments of %s: %d views, %d weights", cellName(&a.Cell), len(a.Views), len(a.Weights))
		}
		m.addReached(a)
	}
	return nil
}

func (m *Measured) addReached(a *edge.Assignments) {
	var n uint64
	var weight float64
	for i := range a.Views {
		n += uint64(a.Views[i])
		weight += a.Weights[i]
	}
	for _, scheme := range []edge.Scheme{edge.Global, edge.Regional} {
		pop := a.Served[scheme.Index()]
		if pop == "" || pop == edge.Failed {
			continue
		}
		pop = edge.PoPID(strings.Clone(string(pop)))
		for _, cell := range widened(&a.Cell) {
			k := cellScheme{cell, scheme}
			if m.reached[k] == nil {
				m.reached[k] = map[edge.PoPID]*views{}
			}
			v := m.reached[k][pop]
			if v == nil {
				v = &views{}
				m.reached[k][pop] = v
			}
			v.n += n
			v.weight += weight
		}
	}
}

// widened lists the cells that c counts for; none if it is nowhere.
func widened(c *edge.Cell) []edge.CellKey {
	if c.Country == "" {
		return nil
	}
	country, subdivision := strings.Clone(c.Country), strings.Clone(c.Subdivision)
	cells := make([]edge.CellKey, 0, 5)
	if c.ASN != 0 {
		cells = append(cells, edge.CellKey{Country: country, Subdivision: subdivision, ASN: c.ASN, Family: c.Family})
	}
	for _, family := range []uint8{c.Family, 0} {
		if subdivision != "" {
			cells = append(cells, edge.CellKey{Country: country, Subdivision: subdivision, Family: family})
		}
		cells = append(cells, edge.CellKey{Country: country, Family: family})
	}
	return cells
}

// Orders returns the cells in which at least two PoPs have an RTT, by name,
// each with its PoPs, the nearest first. RTTs are in steps of 0.1 ms.
func (m *Measured) Orders() []edge.Order {
	byCell := map[edge.CellKey][]edge.Latency{}
	for k, t := range m.rtts {
		t.compact()
		ms, ok := m.bins.median([]*samples{{packed: t.packed}}, float64(m.criteria.MinSamples), true)
		if ok {
			byCell[k.cell] = append(byCell[k.cell], edge.Latency{PoP: k.pop, RTT: ms, Samples: t.probes()})
		}
	}
	var orders []edge.Order
	for cell, list := range byCell {
		if len(list) < minPoPs {
			continue
		}
		if cell.ASN != 0 {
			wider := cell
			wider.ASN = 0
			list = borrowed(list, byCell[wider])
		} else {
			list = slices.Clone(list) // the cells of its networks may still borrow from it
		}
		for i := range list {
			list[i].RTT = math.Round(list[i].RTT*10) / 10
		}
		slices.SortFunc(list, func(a, b edge.Latency) int {
			return cmp.Or(cmp.Compare(a.RTT, b.RTT), cmp.Compare(a.PoP, b.PoP))
		})
		orders = append(orders, edge.Order{CellKey: cell, PoPs: list})
	}
	slices.SortFunc(orders, func(a, b edge.Order) int { return compareCells(a.CellKey, b.CellKey) })
	return orders
}

// borrowed returns own with the PoPs that are only known from the whole place,
// as standing.compareFrom has it: shifted by what the network costs on top.
func borrowed(own, place []edge.Latency) []edge.Latency {
	find := func(list []edge.Latency, pop edge.PoPID) int {
		return slices.IndexFunc(list, func(l edge.Latency) bool { return l.PoP == pop })
	}
	var shifts []float64
	for _, l := range own {
		if i := find(place, l.PoP); i >= 0 {
			shifts = append(shifts, l.RTT-place[i].RTT)
		}
	}
	all := slices.Clone(own)
	shift := medianOf(shifts)
	for _, l := range place {
		if len(shifts) > 0 && find(own, l.PoP) < 0 {
			l.RTT = max(l.RTT+shift, edge.LeastMs)
			all = append(all, l)
		}
	}
	return all
}

// leastShare is the least share of a cell's views that is worth telling.
const leastShare = 0.05

// Catchments returns whom the cells reach, by name of the cell and scheme, the
// PoP of the largest share first. Views that reached nobody do not count.
func (m *Measured) Catchments() []edge.Catchment {
	var list []edge.Catchment
	for k, pops := range m.reached {
		var all views
		for _, v := range pops {
			all.n += v.n
			all.weight += v.weight
		}
		if all.n < uint64(m.criteria.MinSamples) || !(all.weight > 0) {
			continue
		}
		for pop, v := range pops {
			if share := v.weight / all.weight; share >= leastShare {
				list = append(list, edge.Catchment{CellKey: k.cell, Scheme: k.scheme, PoP: pop, Share: math.Round(share*1e4) / 1e4})
			}
		}
	}
	slices.SortFunc(list, func(a, b edge.Catchment) int {
		return cmp.Or(compareCells(a.CellKey, b.CellKey), cmp.Compare(a.Scheme, b.Scheme), cmp.Compare(b.Share, a.Share), cmp.Compare(a.PoP, b.PoP))
	})
	return list
}

func compareCells(a, b edge.CellKey) int {
	return cmp.Or(
		cmp.Compare(a.Country, b.Country), cmp.Compare(a.Subdivision, b.Subdivision),
		cmp.Compare(a.ASN, b.ASN), cmp.Compare(a.Family, b.Family),
	)
}

// maxPrefixes bounds the client prefixes whose samples of one PoP from one cell
// are kept: the median of 512 is within 5 percentiles of that of all, and a
// prefix has no more than NumBins samples.
const maxPrefixes = 512

// thinned are samples of which, once they are of many client prefixes, only
// those of some are kept: one in 2 to the level, by hash. Which ones does not
// depend on the order in which they came (Gibbons' distinct sampling, VLDB
// 2001), and no prefix can crowd out others.
type thinned struct {
	packed []uint64 // Sample<<32 | count
	level  uint
	enough int // samples at which to compact
}

func (t *thinned) add(l *edge.Latencies) {
	for i, s := range l.Samples {
		if t.keeps(s) {
			t.packed = append(t.packed, uint64(s)<<32|uint64(l.Counts[i]))
		}
	}
	if len(t.packed) > max(t.enough, 2*maxPrefixes) {
		t.compact()
		t.enough = 2 * len(t.packed)
	}
}

func (t *thinned) keeps(s edge.Sample) bool { return s.Tag()&(1<<t.level-1) == 0 }

// compact sorts the samples, adds up equal ones, and thins them while they are
// of too many prefixes.
func (t *thinned) compact() {
	slices.Sort(t.packed)
	whole, prefixes := t.packed[:0], 0
	for _, v := range t.packed {
		n := len(whole)
		if n > 0 && whole[n-1]>>32 == v>>32 {
			whole[n-1] += min(probesOf(v), math.MaxUint32-probesOf(whole[n-1]))
			continue
		}
		if n == 0 || prefixTag(whole[n-1]) != prefixTag(v) {
			prefixes++
		}
		whole = append(whole, v)
	}
	t.packed = whole
	for prefixes > maxPrefixes {
		t.level++
		prefixes = 0
		kept := t.packed[:0]
		for _, v := range t.packed {
			if !t.keeps(edge.Sample(v >> 32)) {
				continue
			}
			if n := len(kept); n == 0 || prefixTag(kept[n-1]) != prefixTag(v) {
				prefixes++
			}
			kept = append(kept, v)
		}
		t.packed = kept
	}
}

func (t *thinned) probes() int {
	n := uint64(0)
	for _, v := range t.packed {
		n += probesOf(v)
	}
	return int(min(n, math.MaxInt32))
}
