package duckdb

import (
	"context"
	"math"
	"testing"

	"catchment/internal/edge"
	"catchment/internal/store"
)

// The oracle answers a query from whole beacons, one at a time, with maps.

type viewKey struct {
	cell   edge.Cell
	served [len(edge.Schemes)]edge.PoPID
	prefix uint64
}

type viewSum struct {
	views           uint32
	weight, weight2 float64
}

type sampleKey struct {
	cell   edge.Cell
	pop    edge.PoPID
	scheme edge.Scheme
	sample edge.Sample
}

type sums struct {
	views   map[viewKey]viewSum
	samples map[sampleKey]uint32
}

func newSums() sums { return sums{map[viewKey]viewSum{}, map[sampleKey]uint32{}} }

func (s sums) addView(k viewKey, v viewSum) {
	old := s.views[k]
	s.views[k] = viewSum{old.views + v.views, old.weight + v.weight, old.weight2 + v.weight2}
}

// oracle reads every live segment.
func oracle(t *testing.T, dir string, q store.Query) sums {
	t.Helper()
	segments, err := store.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := newSums()
	for _, segment := range segments {
		for b, err := range store.ReadBeacons(segment) {
			if err != nil {
				t.Fatal(err)
			}
			if within(b, q) {
				s.add(b)
			}
		}
	}
	return s
}

func within(b *edge.Beacon, q store.Query) bool {
	return (q.Since.IsZero() || !b.Received.Before(q.Since)) && (q.Until.IsZero() || b.Received.Before(q.Until))
}

func (s sums) add(b *edge.Beacon) {
	coarse := false
	for _, f := range b.Flags {
		if f == "bot" || f == "webdriver" {
			return
		}
		coarse = coarse || f == "coarse"
	}
	view := b.View()
	cell := edge.Cell{
		Day: edge.DayOf(b.Received), Continent: b.Place.Continent, Country: b.Place.Country,
		Subdivision: b.Place.Subdivision, ASN: b.Place.ASN, Family: view.Family,
	}
	prefix := edge.PrefixKey(b.Client)
	weight := 1 / b.Rate
	if view.Served[0] != "" || view.Served[1] != "" || view.Served[2] != "" {
		s.addView(viewKey{cell, view.Served, prefix}, viewSum{1, weight, weight * weight})
	}
	if coarse {
		return
	}
	for _, p := range b.Probes {
		if p.Error != "" || p.PoP == "" || p.RTT == 0 {
			continue
		}
		cell := cell
		if p.AF != 0 {
			cell.Family = uint8(p.AF)
		}
		if p.Target == "pop:"+edge.Target(p.PoP) {
			s.samples[sampleKey{cell, p.PoP, "", edge.SampleOf(prefix, p.RTT)}]++
		}
		if p.Target == "unicast" || p.Target == "global" || p.Target == "regional" {
			s.samples[sampleKey{cell, p.PoP, edge.Scheme(p.Target), edge.SampleOf(0, p.RTT)}]++
		}
	}
}

// fetch adds up what the engine answers, and checks the order that it promises.
func fetch(t *testing.T, e store.Engine, q store.Query) sums {
	t.Helper()
	s, err := tryFetch(t, t.Context(), e, q)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tryFetch(t *testing.T, ctx context.Context, e store.Engine, q store.Query) (sums, error) {
	t.Helper()
	s := newSums()
	for a, err := range e.Assignments(ctx, q) {
		if err != nil {
			return s, err
		}
		for i, prefix := range a.Prefixes {
			if i > 0 && prefix <= a.Prefixes[i-1] {
				t.Fatalf("prefixes are not ascending: %x", a.Prefixes)
			}
			s.addView(viewKey{a.Cell, a.Served, prefix}, viewSum{a.Views[i], a.Weights[i], a.Weights2[i]})
		}
	}
	for l, err := range e.Latencies(ctx, q) {
		if err != nil {
			return s, err
		}
		for i, sample := range l.Samples {
			if i > 0 && sample <= l.Samples[i-1] {
				t.Fatalf("samples are not ascending: %x", l.Samples)
			}
			s.samples[sampleKey{l.Cell, l.PoP, l.Scheme, sample}] += l.Counts[i]
		}
	}
	return s, nil
}

// compare reports where the sums differ: counts exactly, weights by more than
// 1e-9 of their size, which the order of additions can cause.
func compare(t *testing.T, got, want sums) {
	t.Helper()
	near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b)) }
	if len(got.views) != len(want.views) || len(got.samples) != len(want.samples) {
		t.Errorf("%d groups of views and %d of samples, want %d and %d", len(got.views), len(got.samples), len(want.views), len(want.samples))
	}
	for k, w := range want.views {
		if g := got.views[k]; g.views != w.views || !near(g.weight, w.weight) || !near(g.weight2, w.weight2) {
			t.Errorf("views of %+v: %+v, want %+v", k, g, w)
			return
		}
	}
	for k, w := range want.samples {
		if g := got.samples[k]; g != w {
			t.Errorf("samples of %+v: %d, want %d", k, g, w)
			return
		}
	}
}
