package analysis

import (
	"cmp"
	"slices"
	"strings"

	"catchment/internal/edge"
)

// Heard is single views that have been judged, kept compactly for reports on
// resolvers: 48 bytes for views that are alike, of one client prefix and
// resolver. It does not know days apart. Immutable, and safe for concurrent
// use.
type Heard struct {
	cells  []edge.Cell // without day
	askers []askerKey
	names  map[uint32]string // of networks of resolvers
	views  []heardViews      // in the order of compareHeard, no two alike
	totals ViewTotals
}

// heardViews are views that only their days tell apart.
type heardViews struct {
	prefix          uint64
	weight, weight2 float64
	cell, asker     int32
	n               uint32
	of              uint16 // kinds
	bin             int16  // of the distance
	zero            bool   // the distance is 0
}

func compareHeard(a, b *heardViews) int {
	return cmp.Or(
		cmp.Compare(a.cell, b.cell), cmp.Compare(a.prefix, b.prefix), cmp.Compare(a.asker, b.asker),
		cmp.Compare(a.of, b.of), cmp.Compare(a.bin, b.bin), compareBools(a.zero, b.zero))
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// heardMaker numbers cells and askers.
type heardMaker struct {
	*Heard
	cellOf  map[edge.Cell]int32
	askerOf map[askerKey]int32
	texts   map[string]string
}

func newHeardMaker() *heardMaker {
	return &heardMaker{
		Heard:  &Heard{names: map[uint32]string{}, totals: newViewTotals()},
		cellOf: map[edge.Cell]int32{}, askerOf: map[askerKey]int32{}, texts: map[string]string{},
	}
}

// Hear judges the views of a window, as JudgeViews does, and keeps what comes
// of it.
func Hear(c Criteria, s Setting, w ViewWindow) (*Heard, error) {
	m := newHeardMaker()
	if err := JudgeViews(c, s, func(yield func(ViewWindow) bool) { yield(w) }, m); err != nil {
		return nil, err
	}
	m.settle(m.views)
	return m.Heard, nil
}

func (m *heardMaker) hear(h *hearing) {
	m.totals.add(h)
	x, who := h.asked(), h.askerKey()
	if who.asn != 0 {
		m.name(who.asn, h.asker.resolver.ASName)
	}
	w := h.view.Weight
	m.views = append(m.views, heardViews{
		prefix: h.view.Prefix, weight: w, weight2: w * w, cell: m.cell(&h.view.Cell), asker: m.asker(who), n: 1,
		of: uint16(x.of), bin: int16(x.km.bin), zero: x.km.penalty == 0,
	})
}

func (m *heardMaker) name(asn uint32, name string) {
	if _, ok := m.names[asn]; !ok {
		m.names[asn] = strings.Clone(name)
	}
}

func (m *heardMaker) cell(c *edge.Cell) int32 {
	k := *c
	k.Day = 0
	n, ok := m.cellOf[k]
	if !ok {
		n = int32(len(m.cells))
		for _, field := range []*string{&k.Continent, &k.Country, &k.Subdivision} {
			text, ok := m.texts[*field]
			if !ok {
				text = strings.Clone(*field)
				m.texts[text] = text
			}
			*field = text
		}
		m.cells = append(m.cells, k)
		m.cellOf[k] = n
	}
	return n
}

func (m *heardMaker) asker(k askerKey) int32 {
	n, ok := m.askerOf[k]
	if !ok {
		n = int32(len(m.askers))
		m.askers = append(m.askers, k)
		m.askerOf[k] = n
	}
	return n
}

// settle sorts views and adds up those that are alike.
func (m *heardMaker) settle(views []heardViews) {
	slices.SortFunc(views, func(a, b heardViews) int { return compareHeard(&a, &b) })
	sums := views[:0]
	for _, v := range views {
		if n := len(sums); n > 0 && compareHeard(&sums[n-1], &v) == 0 {
			sums[n-1].add(&v)
		} else {
			sums = append(sums, v)
		}
	}
	m.views = fit(sums)
}

func (v *heardViews) add(o *heardViews) {
	v.n += o.n
	v.weight += o.weight
	v.weight2 += o.weight2
}

// Join returns the views of both.
func (d *Heard) Join(o *Heard) *Heard {
	m := newHeardMaker()
	var all []heardViews
	for _, x := range []*Heard{d, o} {
		m.totals.join(&x.totals)
		for asn, name := range x.names {
			m.name(asn, name)
		}
		cells, askers := make([]int32, len(x.cells)), make([]int32, len(x.askers))
		for i := range x.cells {
			cells[i] = m.cell(&x.cells[i])
		}
		for i := range x.askers {
			askers[i] = m.asker(x.askers[i])
		}
		part := slices.Clone(x.views)
		for i := range part {
			part[i].cell, part[i].asker = cells[part[i].cell], askers[part[i].asker]
		}
		if x == o { // d's are in order, as their numbers are what they were
			slices.SortFunc(part, func(a, b heardViews) int { return compareHeard(&a, &b) })
			all = mergeHeard(all, part)
		} else {
			all = part
		}
	}
	m.views = all
	return m.Heard
}

func mergeHeard(a, b []heardViews) []heardViews {
	all := make([]heardViews, 0, len(a)+len(b)/2)
	for len(a) > 0 && len(b) > 0 {
		switch c := compareHeard(&a[0], &b[0]); {
		case c < 0:
			all, a = append(all, a[0]), a[1:]
		case c > 0:
			all, b = append(all, b[0]), b[1:]
		default:
			all = append(all, a[0])
			all[len(all)-1].add(&b[0])
			a, b = a[1:], b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// Bytes returns how much memory d takes, but for a few percent.
func (d *Heard) Bytes() int { return 96*len(d.cells) + 40*len(d.askers) + 48*len(d.views) }

// AddTo adds the views to a report by any keys but ByPoP.
func (d *Heard) AddTo(r *Resolvers) {
	r.totals.join(&d.totals)
	for asn, name := range d.names {
		r.groups.name(asn, name)
	}
	type pair struct{ cell, asker int32 }
	groups := map[pair]int32{}
	last, group := pair{-1, -1}, int32(0)
	for i := range d.views {
		v := &d.views[i]
		if p := (pair{v.cell, v.asker}); p != last {
			var ok bool
			if group, ok = groups[p]; !ok {
				group = r.groups.number(&d.cells[v.cell], "", d.askers[v.asker])
				groups[p] = group
			}
			last = p
		}
		x := asked{of: kinds(v.of), km: outcome{bin: int32(v.bin), penalty: 1}}
		if v.zero {
			x.km.penalty = 0
		}
		r.add(group, v.prefix, uint64(v.n), v.weight, v.weight2, x)
	}
}
