package duckdb

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"catchment/internal/edge"
	"catchment/internal/store"
)

// TestPageLoads compares what is read from columns with what whole beacons
// say, also of windows that cut segments.
func TestPageLoads(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(7, 8))
	for i := range 3 {
		beacons := randomBeacons(rng, testDay, 400)
		for k, b := range beacons {
			if k%3 == 1 {
				b.Resolver = edge.Resolver{Addr: netip.MustParsePrefix("198.51.100.0/24"), ECS: b.Client}
			}
		}
		writeSegment(t, dir, testDay, uint64(i+1), uint64(i+1), beacons)
	}
	e := open(t, dir)
	five := testDay.Time().Add(5 * time.Hour)
	for _, q := range []store.Query{{}, {Since: five, Until: five.Add(5 * time.Minute)}, {Since: five, Until: five.Add(7 * time.Hour)}} {
		var want, got []edge.PageLoad
		for b, err := range e.Beacons(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			if l, ok := pageLoadOf(b); ok {
				want = append(want, l)
			}
		}
		for l, err := range e.PageLoads(t.Context(), q.Since, q.Until) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, *l)
		}
		byClient := cmpopts.SortSlices(func(a, b edge.PageLoad) bool {
			if !a.At.Equal(b.At) {
				return a.At.Before(b.At)
			}
			return a.Client < b.Client
		})
		if d := cmp.Diff(want, got, byClient, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
			t.Fatal(d)
		}
		if q.Since.IsZero() && len(got) < 800 {
			t.Errorf("%d page loads", len(got))
		}
	}
}

// pageLoadOf is the oracle.
func pageLoadOf(b *edge.Beacon) (l edge.PageLoad, ok bool) {
	v, ok := pageViewOf(b)
	if !ok {
		return l, false
	}
	view := b.View()
	l = edge.PageLoad{
		Cell: v.Cell, At: b.Received, Client: v.Prefix, Weight: v.Weight, Served: v.Served, Resolver: v.Resolver,
		PoP: b.Page.PoP, VIP: b.Page.VIP, Connect: float64(float32(b.Page.Connect)), Coarse: slices.Contains(b.Flags, "coarse"),
	}
	for k := range l.RTT {
		l.RTT[k] = float64(float32(view.RTT[k]))
	}
	return l, true
}
