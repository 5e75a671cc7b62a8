package main

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
)

// TestMeasure: what beacons in the store say is what steering is told.
func TestMeasure(t *testing.T) {
	dir := t.TempDir()
	beacons := publishedBeacons(rand.New(rand.NewPCG(7, 7)))
	writeDays(t, dir, beacons)
	day := edge.DayOf(beacons[0].Received)
	orders, catchments, err := measure(t.Context(), dir, day)
	if err != nil {
		t.Fatal(err)
	}
	// Seven places of four networks, over IPv6; the places and the two
	// countries over IPv6 and over both. Brazil has no subdivision.
	if want := 7*4 + 6*2 + 2*2; len(orders) != want {
		t.Errorf("%d orders, want %d", len(orders), want)
	}
	cell := edge.CellKey{Country: "US", Subdivision: "IL", ASN: 64497, Family: 6}
	found := false
	for _, o := range orders {
		var names []edge.PoPID
		for i, l := range o.PoPs {
			names = append(names, l.PoP)
			// The median of the RTTs that were made: 4 ms of access, and ln 2 of
			// an exponential of 15 %.
			want := ([]float64{11, 26, 58, 190}[i] + 4) * (1 + 0.15*math.Ln2)
			if o.CellKey == cell && math.Abs(l.RTT/want-1) > 0.05 {
				t.Errorf("%s: %v ms, want about %.1f", l.PoP, l.RTT, want)
			}
		}
		if diff := cmp.Diff([]edge.PoPID{"ord", "iad", "lax", "sin"}, names); diff != "" {
			t.Errorf("%+v: %s", o.CellKey, diff)
		}
		found = found || o.CellKey == cell
	}
	if !found {
		t.Errorf("no order of %+v", cell)
	}
	shares := map[edge.CellKey]float64{}
	for _, c := range catchments {
		if c.PoP == "ord" && c.Scheme == edge.Global {
			shares[c.CellKey] = c.Share
		}
	}
	for _, geo := range published {
		got := shares[edge.CellKey{Country: geo.country, Subdivision: geo.subdivision, Family: 6}]
		if math.Abs(got-geo.global) > 0.03 {
			t.Errorf("%s %s: %v reach ord, want about %v", geo.country, geo.subdivision, got, geo.global)
		}
	}

	if orders, catchments, err := measure(t.Context(), dir, day+1); err != nil || len(orders)+len(catchments) != 0 {
		t.Errorf("of the day after: %d orders, %d catchments (%v)", len(orders), len(catchments), err)
	}
	if orders, catchments, err := measure(t.Context(), t.TempDir(), day); err != nil || len(orders)+len(catchments) != 0 {
		t.Errorf("of an empty store: %d orders, %d catchments (%v)", len(orders), len(catchments), err)
	}
}
