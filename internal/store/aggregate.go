package store

import (
	"cmp"
	"slices"
	"strings"

	"catchment/internal/edge"
)

// Flags of beacons that the aggregates treat apart.
const (
	flagBot       = "bot"       // stored, left out of both aggregates
	flagWebdriver = "webdriver" // likewise
	flagCoarse    = "coarse"    // the clock is too coarse to measure latency with: left out of latencies
)

// aggregator makes the two aggregates of one day's beacons as they come by.
// Its memory is bounded by what it returns, about twice that, not by the
// number of beacons.
//
// Texts, cells and groups are numbered as they turn up, and what is counted is
// appended to one list for all groups: a list for each of the tens of thousands
// would miss the cache every time.
type aggregator struct {
	day edge.Day

	places texts // continents, countries and subdivisions
	pops   texts
	pairs  numbers[uint64] // of numbers, to number longer keys

	cellKeys numbers[uint64]
	cells    []cellKey

	assignmentKeys numbers[uint64]
	assignments    []assignmentGroup
	prefixes       grouped[prefixViews]

	latencyKeys numbers[uint64]
	latencies   []latencyKey
	samples     grouped[sampleCount]
}

type cellKey struct {
	continent, country, subdivision string
	asn                             uint32
	family                          uint8
}

// assignmentGroup and latencyKey hold cells and PoPs by their number.
type assignmentGroup struct {
	cell   uint32
	served [len(edge.Schemes)]uint32
	asName string
}

type latencyKey struct {
	scheme uint8 // 0 is by the PoP's own name, else 1 + Scheme.Index
	cell   uint32
	pop    uint32
}

func newAggregator(day edge.Day) *aggregator { return &aggregator{day: day} }

// reset makes the aggregator a new one in the same memory.
func (a *aggregator) reset(day edge.Day) {
	a.day = day
	a.places.reset()
	a.pops.reset()
	for _, keys := range []*numbers[uint64]{&a.pairs, &a.cellKeys, &a.assignmentKeys, &a.latencyKeys} {
		keys.reset()
	}
	clear(a.cells)
	clear(a.assignments)
	a.cells, a.assignments, a.latencies = a.cells[:0], a.assignments[:0], a.latencies[:0]
	a.prefixes.reset()
	a.samples.reset()
}

// cell returns the number of b's cell in a family.
func (a *aggregator) cell(b *edge.Beacon, family uint8) uint32 {
	p := &b.Place
	continent, country, subdivision := a.places.index(p.Continent), a.places.index(p.Country), a.places.index(p.Subdivision)
	n := a.pair(a.pair(uint32(continent), uint32(country)), uint32(subdivision))
	cell := a.cellKeys.index(uint64(n)<<33 | uint64(family&2)<<31 | uint64(p.ASN)) // families are 4 and 6
	if int(cell) == len(a.cells) {
		names := a.places.names // and not p's, which may be parts of a whole record
		a.cells = append(a.cells, cellKey{names[continent], names[country], names[subdivision], p.ASN, family})
	}
	return uint32(cell)
}

// pair returns a number for two.
func (a *aggregator) pair(x, y uint32) uint32 {
	return uint32(a.pairs.index(uint64(x)<<32 | uint64(y)))
}

func (a *aggregator) pop(id edge.PoPID) uint32 { return uint32(a.pops.index(string(id))) }

// add counts b, whose view is v. It keeps nothing of them.
func (a *aggregator) add(b *edge.Beacon, v *edge.View) {
	coarse := false
	for _, f := range b.Flags {
		switch f {
		case flagBot, flagWebdriver:
			return
		case flagCoarse:
			coarse = true
		}
	}
	cell := a.cell(b, v.Family)
	if v.Served != [len(edge.Schemes)]edge.PoPID{} {
		a.addView(b, v, cell)
	}
	if coarse {
		return
	}
	for i := range b.Probes {
		p := &b.Probes[i]
		if (p.AF == 4 || p.AF == 6) && p.AF != int(v.Family) {
			a.addProbe(b, p, a.cell(b, uint8(p.AF)))
		} else {
			a.addProbe(b, p, cell)
		}
	}
}

func (a *aggregator) addView(b *edge.Beacon, v *edge.View, cell uint32) {
	var served [len(edge.Schemes)]uint32
	for i, pop := range v.Served {
		served[i] = a.pop(pop)
	}
	n := a.pair(a.pair(served[0], served[1]), served[2])
	group := a.assignmentKeys.index(uint64(cell)<<32 | uint64(n))
	if int(group) == len(a.assignments) {
		a.assignments = append(a.assignments, assignmentGroup{cell: cell, served: served})
	}
	if g := &a.assignments[group]; g.asName == "" && b.Place.ASName != "" {
		g.asName = strings.Clone(b.Place.ASName)
	}
	w := 1 / rateOf(b)
	a.prefixes.add(uint32(group), prefixViews{edge.PrefixKey(b.Client), 1, w, w * w}, len(a.assignments))
}

// rateOf is the beacon's sampling rate; one outside (0, 1] counts as 1, so
// that no beacon can weigh infinitely much.
func rateOf(b *edge.Beacon) float64 {
	if b.Rate > 0 && b.Rate <= 1 {
		return b.Rate
	}
	return 1
}

// measured reports whether p brought an RTT.
func measured(p *edge.Probe) bool {
	return p.Error == "" && p.PoP != "" && p.RTT > 0
}

// ownName reports whether p measured a PoP by that PoP's own name.
func ownName(p *edge.Probe) bool {
	asked, ok := p.Target.PoP()
	return ok && asked == p.PoP && measured(p)
}

func (a *aggregator) addProbe(b *edge.Beacon, p *edge.Probe, cell uint32) {
	k := latencyKey{cell: cell}
	var prefix uint64
	if ownName(p) {
		prefix = edge.PrefixKey(b.Client)
	} else if s, ok := p.Target.Scheme(); ok && measured(p) {
		// Without the prefix, so that equal RTTs merge: these are only a fallback.
		k.scheme = 1 + uint8(s.Index())
	} else {
		return
	}
	k.pop = a.pop(p.PoP)
	group := a.latencyKeys.index(uint64(k.cell)<<32 | uint64(k.pop)<<2 | uint64(k.scheme))
	if int(group) == len(a.latencies) {
		a.latencies = append(a.latencies, k)
	}
	// What is stored has the precision of the column, so that the aggregates can
	// be made again from it.
	a.samples.add(uint32(group), sampleCount{edge.SampleOf(prefix, float64(float32(p.RTT))), 1}, len(a.latencies))
}

// rank returns for each number of list its place in order.
func rank[K any](list []K, compare func(a, b *K) int) []uint32 {
	order := make([]uint32, len(list))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(x, y uint32) int { return compare(&list[x], &list[y]) })
	rank := make([]uint32, len(list))
	for i, n := range order {
		rank[n] = uint32(i)
	}
	return rank
}

func compareCells(a, b *cellKey) int {
	return cmp.Or(
		cmp.Compare(a.family, b.family),
		cmp.Compare(a.continent, b.continent), cmp.Compare(a.country, b.country), cmp.Compare(a.subdivision, b.subdivision),
		cmp.Compare(a.asn, b.asn),
	)
}

func compareTexts(a, b *string) int { return cmp.Compare(*a, *b) }

// writeAssignments writes the assignments in the order of compareAssignments.
func (a *aggregator) writeAssignments(f *parquetFile[AssignmentRow]) error {
	a.prefixes.addUp(len(a.assignments))
	cells, pops := rank(a.cells, compareCells), rank(a.pops.names, compareTexts)
	type ordered struct {
		cell   uint32 // by rank, as what follows
		served [len(edge.Schemes)]uint32
		group  uint32
	}
	all := make([]ordered, len(a.assignments))
	for i := range a.assignments {
		g := &a.assignments[i]
		all[i] = ordered{cell: cells[g.cell], group: uint32(i)}
		for k, pop := range g.served {
			all[i].served[k] = pops[pop]
		}
	}
	slices.SortFunc(all, func(x, y ordered) int {
		return cmp.Or(cmp.Compare(x.cell, y.cell), slices.Compare(x.served[:], y.served[:]))
	})
	for _, o := range all {
		g, r := &a.assignments[o.group], f.next()
		c, pops := &a.cells[g.cell], a.pops.names
		*r = AssignmentRow{
			Day: int32(a.day), Continent: c.continent, Country: c.country, Subdivision: c.subdivision,
			ASN: c.asn, ASName: g.asName, Family: uint32(c.family),
			Unicast: pops[g.served[0]], Global: pops[g.served[1]], Regional: pops[g.served[2]],
			Prefixes: r.Prefixes[:0], Views: r.Views[:0], Weights: r.Weights[:0], Weights2: r.Weights2[:0],
		}
		for _, m := range a.prefixes.of(o.group) {
			r.appendViews(m.e)
		}
		if err := f.put(); err != nil {
			return err
		}
	}
	return nil
}

// writeLatencies writes the latencies in the order of compareLatencies.
func (a *aggregator) writeLatencies(f *parquetFile[LatencyRow]) error {
	a.samples.addUp(len(a.latencies))
	cells, pops := rank(a.cells, compareCells), rank(a.pops.names, compareTexts)
	schemes := [1 + len(edge.Schemes)]edge.Scheme{}
	copy(schemes[1:], edge.Schemes[:])
	type ordered struct {
		latencyKey // by rank, but for the scheme
		group      uint32
	}
	all := make([]ordered, len(a.latencies))
	for i, k := range a.latencies {
		all[i] = ordered{latencyKey{k.scheme, cells[k.cell], pops[k.pop]}, uint32(i)}
	}
	slices.SortFunc(all, func(x, y ordered) int {
		return cmp.Or(cmp.Compare(schemes[x.scheme], schemes[y.scheme]), cmp.Compare(x.cell, y.cell), cmp.Compare(x.pop, y.pop))
	})
	for _, o := range all {
		k, r := a.latencies[o.group], f.next()
		c := &a.cells[k.cell]
		*r = LatencyRow{
			Day: int32(a.day), Continent: c.continent, Country: c.country, Subdivision: c.subdivision,
			ASN: c.asn, Family: uint32(c.family), PoP: a.pops.names[k.pop], Scheme: string(schemes[k.scheme]),
			Samples: r.Samples[:0], Counts: r.Counts[:0],
		}
		for _, m := range a.samples.of(o.group) {
			r.appendSample(m.e)
		}
		if err := f.put(); err != nil {
			return err
		}
	}
	return nil
}
