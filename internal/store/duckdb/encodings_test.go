package duckdb

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/parquet-go/parquet-go"

	"catchment/internal/edge"
	"catchment/internal/store"
)

// DuckDB reads what store writes itself, page by page: columns that begin with
// a dictionary and go on without one, lists in lists, empty ones too.
func TestReadsEveryEncoding(t *testing.T) {
	dir, rng := t.TempDir(), rand.New(rand.NewPCG(1, 2))
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	beacons := make([]*edge.Beacon, 12_000) // more than a page of 8192
	for i := range beacons {
		b := &edge.Beacon{V: 1, ID: fmt.Sprint("id", i), Rate: 1, Received: start.Add(time.Duration(i) * time.Millisecond)}
		b.Place.City = fmt.Sprint(i, strings.Repeat(" long", 40)) // more than a dictionary holds
		b.Flags = []string{"hidden"}[:rng.IntN(2)]
		for range rng.IntN(5) {
			p := edge.Probe{Target: "pop:iad", PoP: "iad", RTT: 100 * rng.Float64(), Served: []edge.PoPID{"iad", "lax"}[:rng.IntN(3)]}
			for range rng.IntN(9) {
				p.Warm = append(p.Warm, rng.Float64())
			}
			b.Probes = append(b.Probes, p)
		}
		beacons[i] = b
	}
	s, err := store.WriteSegment(dir, edge.DayOf(start), 1, 1, beacons)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy.parquet")
	e, err := Open(dir, Options{Output: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.CopyParquet(t.Context(), store.Query{}, path); err != nil {
		t.Fatal(err)
	}
	want, err := parquet.ReadFile[store.BeaconRow](s.Beacons())
	if err != nil {
		t.Fatal(err)
	}
	got, err := parquet.ReadFile[store.BeaconRow](path)
	if err != nil || len(got) != len(want) || len(got) != len(beacons) {
		t.Fatal(len(got), len(want), err)
	}
	for i := range want {
		if i%7 == 0 {
			if d := cmp.Diff(want[i], got[i], cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("row %d (-want +got):\n%s", i, d)
			}
		}
	}
}
