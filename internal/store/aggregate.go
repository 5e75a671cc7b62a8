package store

import (
	"cmp"
	"maps"
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
type aggregator struct {
	day edge.Day

	cells map[cellKey]uint32
	pops  map[edge.PoPID]uint32

	assignments map[assignmentKey]*assignmentGroup
	latencies   map[latencyKey]*latencyGroup
}

type cellKey struct {
	continent, country, subdivision string
	asn                             uint32
	family                          uint8
}

// assignmentKey and latencyKey hold cells and PoPs by their number.
type assignmentKey struct {
	cell   uint32
	served [len(edge.Schemes)]uint32
}

type latencyKey struct {
	scheme uint8 // 0 is by the PoP's own name, else 1 + Scheme.Index
	cell   uint32
	pop    uint32
}

type assignmentGroup struct {
	asName   string
	prefixes counted[prefixViews]
}

type latencyGroup struct {
	samples counted[sampleCount]
}

func newAggregator(day edge.Day) *aggregator {
	return &aggregator{
		day:         day,
		cells:       map[cellKey]uint32{},
		pops:        map[edge.PoPID]uint32{},
		assignments: map[assignmentKey]*assignmentGroup{},
		latencies:   map[latencyKey]*latencyGroup{},
	}
}

func (a *aggregator) cell(b *edge.Beacon, family uint8) uint32 {
	k := cellKey{b.Place.Continent, b.Place.Country, b.Place.Subdivision, b.Place.ASN, family}
	n, ok := a.cells[k]
	if !ok {
		// A string may be part of a whole record that it would keep in memory.
		k.continent, k.country, k.subdivision = strings.Clone(k.continent), strings.Clone(k.country), strings.Clone(k.subdivision)
		n = uint32(len(a.cells))
		a.cells[k] = n
	}
	return n
}

func (a *aggregator) pop(id edge.PoPID) uint32 {
	n, ok := a.pops[id]
	if !ok {
		n = uint32(len(a.pops))
		a.pops[edge.PoPID(strings.Clone(string(id)))] = n
	}
	return n
}

// add counts b, of which it keeps nothing.
func (a *aggregator) add(b *edge.Beacon) {
	coarse := false
	for _, f := range b.Flags {
		switch f {
		case flagBot, flagWebdriver:
			return
		case flagCoarse:
			coarse = true
		}
	}
	v := b.View()
	cell := a.cell(b, v.Family)
	if v.Served != [len(edge.Schemes)]edge.PoPID{} {
		a.addView(b, &v, cell)
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
	k := assignmentKey{cell: cell}
	for i, pop := range v.Served {
		k.served[i] = a.pop(pop)
	}
	g := a.assignments[k]
	if g == nil {
		g = &assignmentGroup{}
		a.assignments[k] = g
	}
	if g.asName == "" {
		g.asName = strings.Clone(b.Place.ASName)
	}
	w := 1 / rateOf(b)
	g.prefixes.add(prefixViews{edge.PrefixKey(b.Client), 1, w, w * w})
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
	g := a.latencies[k]
	if g == nil {
		g = &latencyGroup{}
		a.latencies[k] = g
	}
	// What is stored has the precision of the column, so that the aggregates can
	// be made again from it.
	g.samples.add(sampleCount{edge.SampleOf(prefix, float64(float32(p.RTT))), 1})
}

// ranked returns the keys of m in order, and for each number its rank.
func ranked[K comparable](m map[K]uint32, compare func(a, b K) int) (sorted []K, rank []uint32) {
	sorted = slices.SortedFunc(maps.Keys(m), compare)
	rank = make([]uint32, len(sorted))
	for i, k := range sorted {
		rank[m[k]] = uint32(i)
	}
	return sorted, rank
}

func compareCells(a, b cellKey) int {
	return cmp.Or(
		cmp.Compare(a.family, b.family),
		cmp.Compare(a.continent, b.continent), cmp.Compare(a.country, b.country), cmp.Compare(a.subdivision, b.subdivision),
		cmp.Compare(a.asn, b.asn),
	)
}

// writeAssignments writes the assignments in the order of compareAssignments.
func (a *aggregator) writeAssignments(f *parquetFile[AssignmentRow]) error {
	cells, cellRank := ranked(a.cells, compareCells)
	pops, popRank := ranked(a.pops, cmp.Compare)
	type ordered struct {
		key   assignmentKey // by rank
		group *assignmentGroup
	}
	all := make([]ordered, 0, len(a.assignments))
	for k, g := range a.assignments {
		k.cell = cellRank[k.cell]
		for i := range k.served {
			k.served[i] = popRank[k.served[i]]
		}
		all = append(all, ordered{k, g})
	}
	slices.SortFunc(all, func(x, y ordered) int {
		return cmp.Or(cmp.Compare(x.key.cell, y.key.cell), slices.Compare(x.key.served[:], y.key.served[:]))
	})
	for _, o := range all {
		c, r := &cells[o.key.cell], f.next()
		*r = AssignmentRow{
			Day: int32(a.day), Continent: c.continent, Country: c.country, Subdivision: c.subdivision,
			ASN: c.asn, ASName: o.group.asName, Family: uint32(c.family),
			Unicast: string(pops[o.key.served[0]]), Global: string(pops[o.key.served[1]]), Regional: string(pops[o.key.served[2]]),
			Prefixes: r.Prefixes[:0], Views: r.Views[:0], Weights: r.Weights[:0], Weights2: r.Weights2[:0],
		}
		for _, p := range o.group.prefixes.addUp() {
			r.appendViews(p)
		}
		if err := f.put(); err != nil {
			return err
		}
	}
	return nil
}

// writeLatencies writes the latencies in the order of compareLatencies.
func (a *aggregator) writeLatencies(f *parquetFile[LatencyRow]) error {
	cells, cellRank := ranked(a.cells, compareCells)
	pops, popRank := ranked(a.pops, cmp.Compare)
	schemes := [1 + len(edge.Schemes)]edge.Scheme{}
	copy(schemes[1:], edge.Schemes[:])
	type ordered struct {
		key   latencyKey // by rank, but for the scheme
		group *latencyGroup
	}
	all := make([]ordered, 0, len(a.latencies))
	for k, g := range a.latencies {
		k.cell, k.pop = cellRank[k.cell], popRank[k.pop]
		all = append(all, ordered{k, g})
	}
	slices.SortFunc(all, func(x, y ordered) int {
		return cmp.Or(cmp.Compare(schemes[x.key.scheme], schemes[y.key.scheme]), cmp.Compare(x.key.cell, y.key.cell), cmp.Compare(x.key.pop, y.key.pop))
	})
	for _, o := range all {
		c, r := &cells[o.key.cell], f.next()
		*r = LatencyRow{
			Day: int32(a.day), Continent: c.continent, Country: c.country, Subdivision: c.subdivision,
			ASN: c.asn, Family: uint32(c.family), PoP: string(pops[o.key.pop]), Scheme: string(schemes[o.key.scheme]),
			Samples: r.Samples[:0], Counts: r.Counts[:0],
		}
		for _, s := range o.group.samples.addUp() {
			r.appendSample(s)
		}
		if err := f.put(); err != nil {
			return err
		}
	}
	return nil
}
