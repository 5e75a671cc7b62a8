package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"catchment/internal/edge"
)

// oddBeacons are many enough, and different enough, that dictionaries are
// given up after the first page: of numbers for their number, of texts for
// their size.
func oddBeacons(seed uint64, n int) []*edge.Beacon {
	rng := rand.New(rand.NewPCG(seed, 0))
	all := make([]*edge.Beacon, n)
	for i := range all {
		b := randomBeacon(rng)
		b.Received = testDay.Time().Add(time.Duration(i) * time.Millisecond)
		b.Place.City = fmt.Sprint(seed, " ", i, strings.Repeat(" long", 30))
		b.Probes = append(b.Probes, edge.Probe{Target: "pop:iad", PoP: "iad", RTT: 1, Warm: []float64{}, Served: []edge.PoPID{"iad", "lax"}, Flags: []string{"split"}})
		last := &b.Probes[len(b.Probes)-1]
		for range 8 {
			last.Warm = append(last.Warm, rng.Float64())
		}
		all[i] = b
	}
	return all
}

// Rows are as the library reads them, with derived columns, also after files
// have been joined.
func TestBeaconFile(t *testing.T) {
	dir := t.TempDir()
	rows := pageRows + 1000
	if testing.Short() { // the race detector makes it slow; one goroutine is at work
		rows = 3000
	}
	var all []*edge.Beacon
	var sources []*openedParquet
	for n := range uint64(2) {
		beacons := oddBeacons(n, rows)
		s, err := WriteSegment(dir, testDay, n+1, n+1, beacons)
		if err != nil {
			t.Fatal(err)
		}
		checkRows(t, s, beacons)
		f, err := openParquet(s.Beacons())
		if err != nil {
			t.Fatal(err)
		}
		defer f.close()
		sources, all = append(sources, f), append(all, beacons...)
	}
	for name, most := range map[string]int64{"joined": 2 * int64(rows), "copied": int64(rows)} {
		out, err := os.Create(Segment{dir, testDay, 1, 2}.Beacons())
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		w, err := newBeaconWriter()
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.begin(out), mergeGroups(t.Context(), w, sources, most), w.finish()); err != nil {
			t.Fatal(name, err)
		}
		checkRows(t, Segment{dir, testDay, 1, 2}, all)
	}
}

func checkRows(t *testing.T, s Segment, want []*edge.Beacon) {
	t.Helper()
	i := 0
	for got, err := range readRows[BeaconRow](s.Beacons(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		if i%97 == 0 || i == len(want)-1 {
			var row BeaconRow
			setRow(&row, asStored(want[i]))
			if d := cmp.Diff(&row, got, cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("row %d (-want +got):\n%s", i, d)
			}
		} else if got.ID != want[i].ID {
			t.Fatalf("row %d is %s", i, got.ID)
		}
		i++
	}
	if i != len(want) {
		t.Fatalf("%d rows, want %d", i, len(want))
	}
	f, err := openParquet(s.Beacons())
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	stats := f.file.Metadata().RowGroups[0].Columns[0].MetaData.Statistics
	if len(stats.MinValue) != 8 || len(stats.MaxValue) != 8 {
		t.Error("there are no receive times in the footer")
	}
}
