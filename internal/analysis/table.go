package analysis

import (
	"maps"
	"slices"
	"strings"

	"catchment/internal/edge"
)

// table is what every PoP costs from every cell of a window. It is filled with
// latencies and then asked; medians are computed when first asked for.
type table struct {
	criteria Criteria
	places   map[placeKey]*place
	ids      map[edge.PoPID]popID
	names    []edge.PoPID // by popID
	samples  arena
	lists    [][]list // blocks of them
	used     int      // lists in use

	// The last place and cell found: neighbors in a sequence mostly share them.
	place *place
	cell  *cell
	asn   uint32

	// Scratch space.
	bins   histogram
	shifts []float64
	counts []int32
}

// popID numbers the PoPs of a table.
type popID uint32

// placeKey is a place on one day over one family. Families are never mixed:
// IPv6 often takes another path, to another PoP.
type placeKey struct {
	day         edge.Day
	country     string
	subdivision string
	family      uint8
}

type place struct {
	key      placeKey
	cells    map[uint32]*cell // by ASN
	pooled   []pooled         // samples of all cells; filled when first asked for
	standing *standing
}

type cell struct {
	lists    []*list
	standing *standing
}

// target is a PoP as it was probed: by its own name, or by a scheme.
type target struct {
	pop    popID
	scheme int8 // index, or ownName
}

const ownName int8 = -1

type list struct {
	target
	samples
}

type pooled struct {
	target
	lists []*samples
	memo  memo
}

func newTable(c Criteria) *table {
	return &table{criteria: c, places: map[placeKey]*place{}, ids: map[edge.PoPID]popID{}}
}

// reset forgets everything but the memory.
func (t *table) reset() {
	clear(t.places)
	t.samples.reset()
	t.used = 0
	t.place, t.cell = nil, nil
}

func (t *table) add(l *edge.Latencies) {
	scheme := ownName
	if l.Scheme != "" {
		scheme = int8(l.Scheme.Index())
		if scheme < 0 {
			return // a scheme of a later version
		}
	}
	c := t.cellFor(&l.Cell)
	want := target{t.intern(l.PoP), scheme}
	x := c.find(want)
	if x == nil {
		x = t.newList()
		x.target = want
		c.lists = append(c.lists, x)
	}
	x.add(l, &t.samples)
}

func (t *table) newList() *list {
	const block = 1024
	if t.used == block*len(t.lists) {
		t.lists = append(t.lists, make([]list, block))
	}
	x := &t.lists[t.used/block][t.used%block]
	*x = list{}
	t.used++
	return x
}

func (c *cell) find(want target) *list {
	for _, l := range c.lists {
		if l.target == want {
			return l
		}
	}
	return nil
}

func (t *table) intern(id edge.PoPID) popID {
	n, ok := t.ids[id]
	if !ok {
		n, id = popID(len(t.names)), edge.PoPID(strings.Clone(string(id)))
		t.ids[id] = n
		t.names = append(t.names, id)
	}
	return n
}

// find returns the place and the cell of c; either may be nil.
func (t *table) find(c *edge.Cell) (*place, *cell) {
	k := placeKey{c.Day, c.Country, c.Subdivision, c.Family}
	if t.place == nil || t.place.key != k {
		p := t.places[k]
		if p == nil {
			return nil, nil
		}
		t.place, t.cell = p, nil
	}
	if t.cell == nil || t.asn != c.ASN {
		t.cell, t.asn = t.place.cells[c.ASN], c.ASN
	}
	return t.place, t.cell
}

// cellFor is find that makes what is missing.
func (t *table) cellFor(c *edge.Cell) *cell {
	p, at := t.find(c)
	if p == nil {
		p = &place{
			key:   placeKey{c.Day, strings.Clone(c.Country), strings.Clone(c.Subdivision), c.Family},
			cells: map[uint32]*cell{},
		}
		t.places[p.key] = p
	}
	if at == nil {
		at = &cell{lists: make([]*list, 0, 8)}
		p.cells[c.ASN] = at
		t.place, t.cell, t.asn = p, at, c.ASN
	}
	return at
}

// pool gathers the samples of all cells of p, by target.
func (t *table) pool(p *place) []pooled {
	if p.pooled != nil {
		return p.pooled
	}
	order := slices.Sorted(maps.Keys(p.cells)) // so that rounding is always the same
	schemes := 1 + len(edge.Schemes)
	t.counts = append(t.counts[:0], make([]int32, schemes*len(t.names))...)
	total, targets := 0, 0
	for _, asn := range order {
		for _, l := range p.cells[asn].lists {
			n := &t.counts[int(l.pop)*schemes+int(l.scheme-ownName)]
			if *n == 0 {
				targets++
			}
			*n++
			total++
		}
	}
	lists := make([]*samples, total)
	p.pooled = make([]pooled, 0, targets)
	for k, n := range t.counts {
		if n > 0 {
			t.counts[k] = int32(len(p.pooled))
			p.pooled = append(p.pooled, pooled{target{popID(k / schemes), int8(k%schemes) + ownName}, lists[:0:n], memo{}})
			lists = lists[n:]
		}
	}
	for _, asn := range order {
		for _, l := range p.cells[asn].lists {
			x := &p.pooled[t.counts[int(l.pop)*schemes+int(l.scheme-ownName)]]
			x.lists = append(x.lists, &l.samples)
		}
	}
	return p.pooled
}
