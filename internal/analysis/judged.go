package analysis

import (
	"strings"

	"catchment/internal/edge"
)

// Judged is a window that has been judged, kept so compactly that a month fits
// into memory: reports can be made of it again and again, of all or of some
// cells, and cost a fraction of reading and judging. Immutable after Keep, and
// safe for concurrent use.
//
// It takes 16 bytes for each client prefix of an element of assignments, and
// little else (Bytes).
type Judged struct {
	cells    []edge.Cell
	pops     []edge.PoPID // that are best somewhere
	outcomes []outcome    // of all elements; no two of a cell and scheme are alike
	elements []judgedElement
	prefixes []uint64
	weights  []float64 // parallel to prefixes

	// RTTs as edge.Latencies, without regard to prefixes: of the schemes' probes
	// by cell, of those by a PoP's own name by continent.
	routes  []judgedRoute
	samples []edge.Sample
	counts  []uint32

	scratch *judgedScratch // while it is made
}

type judgedElement struct {
	cell            int32
	outcomes        [len(edge.Schemes)]int32 // −1: not probed
	until           uint32                   // in prefixes; it begins where the one before ends
	judged          bool
	best            popID
	views           uint64
	weight, weight2 float64
}

type judgedRoute struct {
	cell   int32 // −1: by its own name, from continent
	scheme int8  // index; −1: by its own name
	pop    edge.PoPID
	from   string
	until  uint32 // in samples
}

// judgedScratch is what is needed only while elements come in.
type judgedScratch struct {
	texts map[string]string
	cells map[edge.Cell]int32
	last  int32
	known [len(edge.Schemes)][]int32 // outcomes of the last element's cell
	pops  pops
	near  map[rttKey]*counts
	order []rttKey
}

// Keep judges a window, as Judge does, and keeps what comes of it.
func Keep(c Criteria, w Window) (*Judged, error) {
	d := &Judged{scratch: &judgedScratch{
		texts: map[string]string{}, cells: map[edge.Cell]int32{}, last: -1, pops: newPops(), near: map[rttKey]*counts{},
	}}
	windows := func(yield func(Window) bool) { yield(w) }
	if err := Judge(c, windows, d); err != nil {
		return nil, err
	}
	d.settle()
	return d, nil
}

func (d *Judged) addLatencies(l *edge.Latencies) {
	s := d.scratch
	if l.Scheme == "" {
		k := rttKey{pop: edge.PoPID(s.text(string(l.PoP))), continent: s.text(l.Continent)}
		c := s.near[k]
		if c == nil {
			c = &counts{}
			s.near[k] = c
			s.order = append(s.order, k)
		}
		c.add(l)
		return
	}
	d.routes = append(d.routes, judgedRoute{
		cell: d.cell(&l.Cell), scheme: int8(l.Scheme.Index()), pop: edge.PoPID(s.text(string(l.PoP))),
		until: uint32(len(d.samples) + len(l.Samples)),
	})
	d.samples = append(d.samples, l.Samples...)
	d.counts = append(d.counts, l.Counts...)
}

func (d *Judged) add(j *judgement) {
	s := d.scratch
	cell := d.cell(&j.at.Cell)
	if cell != s.last {
		s.last = cell
		for k := range s.known {
			s.known[k] = s.known[k][:0]
		}
	}
	e := judgedElement{cell: cell, judged: j.judged, views: j.views, weight: j.weight, weight2: j.weight2}
	if j.judged {
		e.best = s.pops.number(j.best)
	}
	for k := range j.outcomes {
		e.outcomes[k] = d.outcome(k, &j.outcomes[k])
	}
	d.prefixes = append(d.prefixes, j.at.Prefixes...)
	d.weights = append(d.weights, j.at.Weights...)
	e.until = uint32(len(d.prefixes))
	d.elements = append(d.elements, e)
}

// cell returns the number of c, which is copied if it is new.
func (d *Judged) cell(c *edge.Cell) int32 {
	n, ok := d.scratch.cells[*c]
	if !ok {
		n = int32(len(d.cells))
		kept := *c
		s := d.scratch
		kept.Continent, kept.Country, kept.Subdivision = s.text(c.Continent), s.text(c.Country), s.text(c.Subdivision)
		d.cells = append(d.cells, kept)
		s.cells[kept] = n
	}
	return n
}

func (d *Judged) outcome(k int, o *outcome) int32 {
	if !o.probed() {
		return -1
	}
	s := d.scratch
	for _, i := range s.known[k] {
		if d.outcomes[i] == *o {
			return i
		}
	}
	i := int32(len(d.outcomes))
	kept := *o
	kept.pop = edge.PoPID(s.text(string(o.pop)))
	d.outcomes = append(d.outcomes, kept)
	s.known[k] = append(s.known[k], i)
	return i
}

// text returns a copy of a text, the same for all that are alike.
func (s *judgedScratch) text(x string) string {
	kept, ok := s.texts[x]
	if !ok {
		kept = strings.Clone(x)
		s.texts[kept] = kept
	}
	return kept
}

// settle puts what was gathered into its last form.
func (d *Judged) settle() {
	s := d.scratch
	for _, k := range s.order {
		for bin, n := range s.near[k].bins {
			if n > 0 {
				d.samples = append(d.samples, edge.Sample(bin))
				d.counts = append(d.counts, uint32(n))
			}
		}
		d.routes = append(d.routes, judgedRoute{cell: -1, scheme: -1, pop: k.pop, from: k.continent, until: uint32(len(d.samples))})
	}
	d.pops = s.pops.names
	d.scratch = nil
	d.prefixes, d.weights, d.samples, d.counts = fit(d.prefixes), fit(d.weights), fit(d.samples), fit(d.counts)
	d.elements, d.outcomes, d.cells, d.routes = fit(d.elements), fit(d.outcomes), fit(d.cells), fit(d.routes)
}

// fit returns s without room to grow.
func fit[T any](s []T) []T { return append(make([]T, 0, len(s)), s...) }

// Bytes returns how much memory d takes, but for a few percent.
func (d *Judged) Bytes() int {
	return 96*len(d.cells) + 40*len(d.outcomes) + 56*len(d.elements) + 16*len(d.prefixes) + 48*len(d.routes) + 8*len(d.samples)
}

// AddTo adds what was judged to reports, with the same result as Judge: all
// cells, or those for which only returns true. What PoPs cost by their own
// names from a continent is added in any case.
func (d *Judged) AddTo(only func(*edge.Cell) bool, to ...Report) {
	taken := make([]bool, len(d.cells))
	for i := range d.cells {
		taken[i] = only == nil || only(&d.cells[i])
	}
	for _, r := range to {
		if r, ok := r.(latencyReport); ok {
			d.addRoutes(taken, r)
		}
	}
	at := edge.Assignments{}
	for i := range d.elements {
		if taken[d.elements[i].cell] {
			j := d.judgement(i, &at)
			for _, r := range to {
				r.add(&j)
			}
		}
	}
}

// judgement returns element i as it was judged; at is room for its assignments,
// of which only sums are known by prefix.
func (d *Judged) judgement(i int, at *edge.Assignments) judgement {
	e, begin := &d.elements[i], uint32(0)
	if i > 0 {
		begin = d.elements[i-1].until
	}
	at.Cell, at.Prefixes, at.Weights = d.cells[e.cell], d.prefixes[begin:e.until], d.weights[begin:e.until]
	j := judgement{at: at, views: e.views, weight: e.weight, weight2: e.weight2, judged: e.judged}
	if e.judged {
		j.best = d.pops[e.best]
	}
	for k, n := range e.outcomes {
		if n >= 0 {
			j.outcomes[k] = d.outcomes[n]
		}
		at.Served[k] = j.outcomes[k].pop
	}
	return j
}

func (d *Judged) addRoutes(taken []bool, to latencyReport) {
	var l edge.Latencies
	from := uint32(0)
	for i := range d.routes {
		r := &d.routes[i]
		begin := from
		from = r.until
		l = edge.Latencies{PoP: r.pop, Samples: d.samples[begin:r.until], Counts: d.counts[begin:r.until]}
		if r.cell < 0 {
			l.Continent = r.from
		} else if taken[r.cell] {
			l.Cell, l.Scheme = d.cells[r.cell], edge.Schemes[r.scheme]
		} else {
			continue
		}
		to.addLatencies(&l)
	}
}
