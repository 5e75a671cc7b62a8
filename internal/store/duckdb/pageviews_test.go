package duckdb

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"catchment/internal/edge"
	"catchment/internal/store"
)

// TestPageViews reads page views from columns and compares them with what
// whole beacons say.
func TestPageViews(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range 3 {
		beacons := randomBeacons(rng, testDay, 400)
		for k, b := range beacons {
			b.Place.City, b.Place.Lat, b.Place.Lon = []string{"", "Example"}[k%2], float64(k%90), -float64(k%180)
			switch k % 4 {
			case 1:
				b.Resolver.Addr = netip.MustParsePrefix([]string{"192.0.2.0/24", "198.51.100.53/32", "2001:db8:53::/48"}[k%3])
			case 2:
				b.Resolver = edge.Resolver{Addr: netip.MustParsePrefix("198.51.100.0/24"), ECS: b.Client}
			}
		}
		writeSegment(t, dir, testDay, uint64(i+1), uint64(i+1), beacons)
	}
	e, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, q := range []store.Query{
		{},
		{Since: testDay.Time().Add(5 * time.Hour), Until: testDay.Time().Add(6 * time.Hour)},
		{Since: (testDay + 1).Time()},
	} {
		var want, got []edge.PageView
		for b, err := range e.Beacons(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			if v, ok := pageViewOf(b); ok {
				want = append(want, v)
			}
		}
		for v, err := range e.PageViews(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			kept := *v
			kept.Seen = slices.Clone(v.Seen)
			got = append(got, kept)
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
			t.Fatal(d)
		}
		if q.Since.IsZero() && len(got) < 800 {
			t.Errorf("%d page views", len(got))
		}
	}
	for range e.PageViews(t.Context(), store.Query{}) {
		break // and no goroutine is left behind, which would hold the files of a temporary directory
	}
}

// pageViewOf is the oracle.
func pageViewOf(b *edge.Beacon) (v edge.PageView, ok bool) {
	if slices.Contains(b.Flags, "bot") || slices.Contains(b.Flags, "webdriver") {
		return v, false
	}
	view := b.View()
	v = edge.PageView{
		Cell: edge.Cell{
			Day: edge.DayOf(b.Received), Continent: b.Place.Continent, Country: b.Place.Country,
			Subdivision: b.Place.Subdivision, ASN: b.Place.ASN, Family: view.Family,
		},
		Place: b.Place, Prefix: edge.PrefixKey(b.Client), Weight: 1 / b.Rate, Served: view.Served, Resolver: b.Resolver,
	}
	v.Place.ASName = ""
	if !slices.Contains(b.Flags, "coarse") {
		for _, p := range b.Probes {
			if p.Error == "" && p.PoP != "" && p.RTT > 0 {
				v.Seen = append(v.Seen, edge.Seen{PoP: p.PoP, RTT: p.RTT})
			}
		}
	}
	return v, view.Served != [len(edge.Schemes)]edge.PoPID{}
}

// TestPageViewsDamaged: a prefix that is none is an error that names its file
// and column.
func TestPageViewsDamaged(t *testing.T) {
	c := newPrefixColumn("resolver", interner{})
	c.text.values = []string{"", "192.0.2.0/24", "192.0.2.0/24", "nowhere"}
	if err := c.check(); err == nil || !strings.Contains(err.Error(), "column resolver") {
		t.Error(err)
	}
	c.text.values = c.text.values[:3]
	if err := c.check(); err != nil || len(c.prefixes) != 3 || c.prefixes[0].IsValid() || c.prefixes[1] != c.prefixes[2] {
		t.Error(err, c.prefixes)
	}
}
