package analysis

import (
	"cmp"
	"slices"

	"catchment/internal/edge"
)

// Rollup is several judged days, added up for the report on assignment by
// place and network, and for intervals by client prefix, since prefixes come
// back day after day. Any Assignment but by PoP can be made of it. Immutable,
// and safe for concurrent use.
type Rollup struct {
	cells    []edge.Cell // without day
	sums     []groupSums // of all views, by cell
	totals   []Totals    // likewise
	pops     []edge.PoPID
	parts    []rolledPart
	prefixes []uint64
	weights  []float64 // parallel to prefixes
}

// rolledPart is the views of a cell that had the same outcomes, as far as
// clusters are concerned.
type rolledPart struct {
	cell    int32
	pattern pattern
	until   uint32 // in prefixes; it begins where the one before ends
}

// pattern packs for each scheme, in base 3, whether views could not be judged,
// were not optimal or were.
type pattern uint8

const patterns = 27 // 3 to the number of schemes

func (d *Judged) patternOf(e *judgedElement) (p pattern) {
	for k := len(edge.Schemes) - 1; k >= 0; k-- {
		p *= 3
		if at := e.outcomes[k]; at >= 0 && d.outcomes[at].judged {
			p++
			if d.outcomes[at].optimal {
				p++
			}
		}
	}
	return p
}

func (p pattern) outcomes() (all [len(edge.Schemes)]outcome) {
	for k := range all {
		all[k].judged, all[k].optimal = p%3 > 0, p%3 == 2
		p /= 3
	}
	return all
}

// rollSlices is in how many steps a rollup is made: what it needs on top while
// it is made is divided by that.
const rollSlices = 8

// Roll adds up days.
func Roll(days []*Judged) *Rollup {
	r := &Rollup{}
	numbers := map[edge.Cell]int32{}
	cells := make([][]int32, len(days))
	for i, d := range days {
		cells[i] = make([]int32, len(d.cells))
		for k := range d.cells {
			c := d.cells[k]
			c.Day = 0
			n, ok := numbers[c]
			if !ok {
				n = int32(len(r.cells))
				numbers[c] = n
				r.cells = append(r.cells, c)
			}
			cells[i][k] = n
		}
	}
	r.addUp(days, cells)
	for slice := range rollSlices {
		r.roll(days, cells, slice)
	}
	r.prefixes, r.weights = fit(r.prefixes), fit(r.weights)
	return r
}

// addUp adds up all but what intervals are made of.
func (r *Rollup) addUp(days []*Judged, cells [][]int32) {
	r.sums, r.totals = make([]groupSums, len(r.cells)), make([]Totals, len(r.cells))
	for i := range r.totals {
		r.totals[i] = newTotals()
	}
	a, at := NewAssignment(nil), edge.Assignments{}
	for i, d := range days {
		for n := range d.elements {
			cell := cells[i][d.elements[n].cell]
			j := d.judgement(n, &at)
			a.sums, a.totals = r.sums[cell:cell+1], r.totals[cell]
			a.tally(&j)
			r.totals[cell] = a.totals
		}
	}
	r.pops = a.pops.names
}

type prefixWeight struct {
	prefix uint64
	weight float64
}

// roll adds up the cells of one slice.
func (r *Rollup) roll(days []*Judged, cells [][]int32, slice int) {
	n := (len(r.cells) + rollSlices - 1 - slice) / rollSlices
	// each calls f for the elements of the slice, with their place among its parts.
	each := func(f func(part int, prefixes []uint64, weights []float64)) {
		for i, d := range days {
			from := uint32(0)
			for k := range d.elements {
				e := &d.elements[k]
				begin := from
				from = e.until
				cell := int(cells[i][e.cell])
				if cell%rollSlices != slice {
					continue
				}
				if p := d.patternOf(e); p != 0 {
					f(cell/rollSlices*patterns+int(p), d.prefixes[begin:e.until], d.weights[begin:e.until])
				}
			}
		}
	}
	next := make([]int, n*patterns+1)
	each(func(part int, prefixes []uint64, _ []float64) { next[part+1] += len(prefixes) })
	for part := range n * patterns {
		next[part+1] += next[part]
	}
	all := make([]prefixWeight, next[n*patterns])
	each(func(part int, prefixes []uint64, weights []float64) {
		at := next[part]
		for i, p := range prefixes {
			all[at+i] = prefixWeight{p, weights[i]}
		}
		next[part] += len(prefixes)
	})
	begin := 0
	for part := range n * patterns {
		run := all[begin:next[part]] // by now the end
		begin = next[part]
		if len(run) == 0 {
			continue
		}
		slices.SortStableFunc(run, func(a, b prefixWeight) int { return cmp.Compare(a.prefix, b.prefix) })
		for i, x := range run {
			if i > 0 && run[i-1].prefix == x.prefix {
				r.weights[len(r.weights)-1] += x.weight
				continue
			}
			r.prefixes, r.weights = append(r.prefixes, x.prefix), append(r.weights, x.weight)
		}
		r.parts = append(r.parts, rolledPart{int32(part/patterns*rollSlices + slice), pattern(part % patterns), uint32(len(r.prefixes))})
	}
}

// Bytes returns how much memory r takes, but for a few percent.
func (r *Rollup) Bytes() int {
	n := (96+128)*len(r.cells) + 12*len(r.parts) + 16*len(r.prefixes)
	for i := range r.sums {
		n += 400 + 16*len(r.sums[i].best)
		for k := range r.sums[i].schemes {
			n += 16 * (len(r.sums[i].schemes[k].wrong) + len(r.sums[i].schemes[k].penalties.bins))
		}
	}
	return n
}

// AddTo adds all days to a report, with the result that AddTo of each has, but
// for the order in which floats are added.
func (r *Rollup) AddTo(only func(*edge.Cell) bool, to *Assignment) {
	pops := make([]popID, len(r.pops))
	for i, name := range r.pops {
		pops[i] = to.pops.number(name)
	}
	j := judgement{at: &edge.Assignments{}}
	groups := make([]int32, len(r.cells)) // −1: not taken
	for i := range r.cells {
		if groups[i] = -1; only != nil && !only(&r.cells[i]) {
			continue
		}
		j.at.Cell = r.cells[i]
		groups[i] = to.groupOf(j.at)
		to.sums[groups[i]].join(&r.sums[i], pops)
		to.totals.join(&r.totals[i])
	}
	from := uint32(0)
	for i := range r.parts {
		p := &r.parts[i]
		begin := from
		if from = p.until; groups[p.cell] < 0 {
			continue
		}
		j.outcomes = p.pattern.outcomes()
		j.at.Prefixes, j.at.Weights = r.prefixes[begin:p.until], r.weights[begin:p.until]
		to.clusters.add(groups[p.cell], &j)
	}
}
