package analysis

import (
	"cmp"
	"slices"
	"strings"

	"catchment/internal/edge"
)

// table is what every PoP costs from every cell of a window. It is filled with
// latencies and then asked. A place is settled when it is first asked for, with
// all its cells, as the samples of those are the place's.
type table struct {
	criteria Criteria
	pops     pops
	places   map[placeKey]*place
	free     []*place // of earlier windows, for their memory
	arena    arena

	// The last place looked for: neighbors in a sequence mostly share it.
	key   placeKey
	place *place

	// Scratch space.
	bins   histogram
	shifts []float64
	counts []int32
}

// placeKey is a place on one day over one family. Families are never mixed:
// IPv6 often takes another path, to another PoP.
type placeKey struct {
	day         edge.Day
	country     string
	subdivision string
	family      uint8
}

type place struct {
	samples []samples // as they came
	settled bool

	// Once settled:
	probed  []target     // what was, ascending
	targets []pooled     // by position in probed
	ranked  []popLatency // PoPs eligible in the place, the best first
	whole   standing     // of the place without regard to networks
	asns    []uint32     // of the cells, ascending
	cells   []standing   // by position in asns
}

// pooled are the samples of one target from all cells of a place, by ASN, and
// their median once it is known.
type pooled struct {
	lists []*samples
	ms    float64
	ok    bool
	known bool
}

func newTable(c Criteria) *table {
	return &table{criteria: c, pops: newPops(), places: map[placeKey]*place{}}
}

// reset forgets everything but the memory.
func (t *table) reset() {
	for _, p := range t.places {
		p.samples, p.settled = p.samples[:0], false
		t.free = append(t.free, p)
	}
	clear(t.places)
	t.arena.reset()
	t.key, t.place = placeKey{}, nil
}

func (t *table) add(l *edge.Latencies) {
	scheme := ownName
	if l.Scheme != "" {
		if scheme = l.Scheme.Index(); scheme < 0 {
			return // a scheme of a later version
		}
	}
	p := t.find(&l.Cell)
	if p == nil {
		p = t.newPlace(&l.Cell)
	}
	p.samples = append(p.samples, samples{
		target: targetOf(t.pops.number(l.PoP), scheme), asn: l.ASN, packed: t.arena.pack(l),
	})
}

// find returns the place of c, nil if it has no samples.
func (t *table) find(c *edge.Cell) *place {
	k := placeKey{c.Day, c.Country, c.Subdivision, c.Family}
	if t.place == nil || t.key != k {
		t.key, t.place = k, t.places[k]
	}
	return t.place
}

func (t *table) newPlace(c *edge.Cell) *place {
	p := &place{}
	if n := len(t.free); n > 0 {
		p, t.free = t.free[n-1], t.free[:n-1]
	}
	t.places[placeKey{c.Day, strings.Clone(c.Country), strings.Clone(c.Subdivision), c.Family}] = p
	t.place = p
	return p
}

// pool sorts the samples of p by target and network, so that sums do not depend
// on the order of the input, and puts pieces together.
func (t *table) pool(p *place) {
	t.counts = append(t.counts[:0], make([]int32, targetsPerPoP*len(t.pops.names))...)
	for i := range p.samples {
		t.counts[p.samples[i].target]++
	}
	p.probed = p.probed[:0]
	for k, n := range t.counts {
		if n > 0 {
			t.counts[k] = int32(len(p.probed)) // from now on: where it is
			p.probed = append(p.probed, target(k))
		}
	}
	p.targets = slices.Grow(p.targets[:0], len(p.probed))[:len(p.probed)]
	for i := range p.targets {
		p.targets[i] = pooled{lists: p.targets[i].lists[:0]}
	}
	for i := range p.samples {
		s := &p.samples[i]
		x := &p.targets[t.counts[s.target]]
		x.lists = append(x.lists, s)
	}
	for i := range p.targets {
		x := &p.targets[i]
		if !slices.IsSortedFunc(x.lists, compareASN) {
			slices.SortStableFunc(x.lists, compareASN)
		}
		whole := x.lists[:0]
		for rest := x.lists; len(rest) > 0; {
			n := 1
			for n < len(rest) && rest[n].asn == rest[0].asn {
				n++
			}
			rest[0].join(rest[1:n])
			whole, rest = append(whole, rest[0]), rest[n:]
		}
		x.lists = whole
	}
}

// of returns the samples of a target, nil if there are none.
func (p *place) of(want target) *pooled {
	if i, ok := slices.BinarySearch(p.probed, want); ok {
		return &p.targets[i]
	}
	return nil
}

func compareASN(a, b *samples) int { return cmp.Compare(a.asn, b.asn) }
