package duckdb

import (
	"cmp"
	"context"
	"slices"

	"catchment/internal/edge"
	"catchment/internal/store"
)

// The days that a query cuts have no aggregate of their own: it is made here,
// from the columns of their beacons that it takes, by the rules of the writer
// of segments (package store). Each row group is aggregated by itself, so that
// memory is bounded. GROUP BY in SQL took more than twice the CPU, most of it for
// the lists of probes, which DuckDB reads with all their fields.

// groups gathers values by key, in memory that is used again.
type groups[K comparable, V any] struct {
	index  map[K]int
	keys   []K
	values [][]V
}

func (g *groups[K, V]) add(key K, value V) {
	i, ok := g.index[key]
	if !ok {
		if i = len(g.keys); i == len(g.values) {
			g.values = append(g.values, nil)
		}
		g.keys = append(g.keys, key)
		g.index[key] = i
	}
	g.values[i] = append(g.values[i], value)
}

// drain empties g into each, until that returns false.
func (g *groups[K, V]) drain(each func(K, []V) bool) bool {
	more := true
	for i, key := range g.keys {
		more = more && each(key, g.values[i])
		g.values[i] = g.values[i][:0]
	}
	clear(g.index)
	g.keys = g.keys[:0]
	return more
}

type assignmentKey struct {
	edge.Cell
	served [len(edge.Schemes)]edge.PoPID
}

type clientView struct {
	key    uint64
	weight float64
}

// cutAssignments yields the assignments of days that a query cuts.
func (e *Engine) cutAssignments(ctx context.Context, days []part, yield func(*edge.Assignments) bool) error {
	var a edge.Assignments
	all := groups[assignmentKey, clientView]{index: map[assignmentKey]int{}}
	return scan(ctx, e, days, store.Segment.Beacons, newViewGroup, func(g *viewGroup, p part, rows int) bool {
		for i := range rows {
			served := g.served.at(i)
			if g.takes(p, i) && served != [len(edge.Schemes)]edge.PoPID{} {
				all.add(assignmentKey{g.cell(p.day, i), served}, clientView{g.keys[i], g.weight(i)})
			}
		}
		return all.drain(func(k assignmentKey, views []clientView) bool {
			a.Cell, a.Served = k.Cell, k.served
			packViews(&a, views)
			return yield(&a)
		})
	})
}

// packViews sorts views by client and adds up those of one client.
func packViews(a *edge.Assignments, views []clientView) {
	slices.SortFunc(views, func(a, b clientView) int { return cmp.Compare(a.key, b.key) })
	a.Prefixes, a.Views, a.Weights, a.Weights2 = a.Prefixes[:0], a.Views[:0], a.Weights[:0], a.Weights2[:0]
	for i, v := range views {
		if i == 0 || v.key != views[i-1].key {
			a.Prefixes, a.Views, a.Weights, a.Weights2 = append(a.Prefixes, v.key), append(a.Views, 0), append(a.Weights, 0), append(a.Weights2, 0)
		}
		n := len(a.Prefixes) - 1
		a.Views[n]++
		a.Weights[n] += v.weight
		a.Weights2[n] += v.weight * v.weight
	}
}

type latencyKey struct {
	edge.Cell
	pop    edge.PoPID
	scheme edge.Scheme
}

// cutLatencies yields the latencies of days that a query cuts.
func (e *Engine) cutLatencies(ctx context.Context, days []part, yield func(*edge.Latencies) bool) error {
	var l edge.Latencies
	all := groups[latencyKey, edge.Sample]{index: map[latencyKey]int{}}
	return scan(ctx, e, days, store.Segment.Beacons, newProbeGroup, func(g *probeGroup, p part, rows int) bool {
		for i := range rows {
			if g.takes(p, i) {
				g.eachSample(p.day, i, all.add)
			}
		}
		return all.drain(func(k latencyKey, samples []edge.Sample) bool {
			l.Cell, l.PoP, l.Scheme = k.Cell, k.pop, k.scheme
			packSamples(&l, samples)
			return yield(&l)
		})
	})
}

// eachSample hands the measurements of row i to add.
func (g *probeGroup) eachSample(day edge.Day, i int, add func(latencyKey, edge.Sample)) {
	for j := g.target.starts[i]; j < g.target.starts[i+1]; j++ {
		rtt, pop, target := float64(g.rtt.values[j]), edge.PoPID(g.pop.values[j]), edge.Target(g.target.values[j])
		if g.failure.values[j] != "" || pop == "" || !(rtt > 0) {
			continue
		}
		key, prefix := latencyKey{Cell: g.cell(day, i), pop: pop}, g.keys[i]
		if af := g.af.values[j]; af == 4 || af == 6 {
			key.Family = uint8(af)
		}
		if asked, own := target.PoP(); !own {
			var ok bool
			if key.scheme, ok = target.Scheme(); !ok {
				continue
			}
			prefix = 0
		} else if asked != pop {
			continue
		}
		add(key, edge.SampleOf(prefix, rtt))
	}
}

// packSamples sorts samples and counts equal ones.
func packSamples(l *edge.Latencies, samples []edge.Sample) {
	slices.Sort(samples)
	l.Samples, l.Counts = l.Samples[:0], l.Counts[:0]
	for i, s := range samples {
		if i == 0 || s != samples[i-1] {
			l.Samples, l.Counts = append(l.Samples, s), append(l.Counts, 0)
		}
		l.Counts[len(l.Counts)-1]++
	}
}
