package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"catchment/internal/beacon"
	"catchment/internal/edge"
	"catchment/internal/store"
)

// export runs the command and returns what it printed.
func export(t *testing.T, args ...string) (out, stderr string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	err = exportCommand().run(t.Context(), stdio{strings.NewReader(""), &o, &e}, args)
	return o.String(), e.String(), err
}

func mustExport(t *testing.T, args ...string) string {
	t.Helper()
	out, stderr, err := export(t, args...)
	if err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	return out
}

// exportBeacons are three views: one with every field, on the next day one
// with hardly any, and one over IPv6.
func exportBeacons() []*edge.Beacon {
	day := time.Date(2026, 11, 1, 12, 0, 0, 123456000, time.UTC)
	return []*edge.Beacon{
		{
			V: 1, ID: "a-1", Plan: "p_1", Time: 1793534400123, Rate: 0.01,
			Page: edge.Page{PoP: "iad", VIP: "americas", DNS: 12.1, Connect: 18, TLS: 21.3, TTFB: 88.7, Load: 1432.4},
			Probes: []edge.Probe{
				{
					Target: "global", PoP: "iad", VIP: "global", RTT: 18.65, Warm: []float64{18.9, 18.7, 19.4}, Cold: []float64{11, 19.1, 20.2},
					Srv: 0.05, MRTT: 18.412, Proto: "http/1.1", AF: 4, Served: []edge.PoPID{"iad", "lax"}, Flags: []string{"flip"},
				},
				{Target: "pop:lax", PoP: "lax", RTT: 64.1, Warm: []float64{64.1}},
				{Target: "regional", Error: "timeout"},
			},
			Net: edge.Net{Type: "4g"}, Flags: []string{"hidden"},
			Client: netip.MustParsePrefix("203.0.113.0/24"), Received: day,
			Place: edge.Place{
				Continent: "NA", Country: "US", Subdivision: "IL", City: "Chicago <i>", ASN: 64496, ASName: "Example", Lat: 41.85, Lon: -87.65,
			},
			Resolver: edge.Resolver{Addr: netip.MustParsePrefix("198.51.100.0/24"), ECS: netip.MustParsePrefix("203.0.113.0/24")},
		},
		{V: 1, ID: "b", Rate: 1, Client: netip.MustParsePrefix("2001:db8:7::/48"), Received: day.Add(time.Minute), Probes: []edge.Probe{
			{Target: "unicast", PoP: "lax", RTT: 33.333, AF: 6},
		}},
		{V: 1, ID: "c", Rate: 0.5, Client: netip.MustParsePrefix("192.0.2.0/24"), Received: day.Add(13 * time.Hour), Probes: []edge.Probe{}},
	}
}

// writeDays writes a segment for each day.
func writeDays(t *testing.T, dir string, beacons []*edge.Beacon) {
	t.Helper()
	for i := 0; i < len(beacons); {
		j, day := i, edge.DayOf(beacons[i].Received)
		for j < len(beacons) && edge.DayOf(beacons[j].Received) == day {
			j++
		}
		if _, err := store.WriteSegment(dir, day, uint64(i+1), uint64(j), beacons[i:j]); err != nil {
			t.Fatal(err)
		}
		i = j
	}
}

func TestExportNDJSON(t *testing.T) {
	first := t.TempDir()
	writeDays(t, first, exportBeacons())
	got := mustExport(t, "--data", first)
	golden := filepath.Join("testdata", "export.ndjson")
	if os.Getenv("GOLDEN") == "update" {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Fatalf("(-want +got):\n%s", d)
	}

	// What relays' beacons are decoded by reads it, and the same comes out again.
	decoder := beacon.Decoder{Names: beacon.NewNames(&edge.Fleet{
		PoPs: []edge.PoP{{ID: "iad"}, {ID: "lax"}}, VIPs: []edge.VIP{{ID: "global"}, {ID: "americas"}},
	})}
	for line := range strings.Lines(got) {
		if err := decoder.Line([]byte(line)); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
	}
	for _, b := range decoder.Beacons() {
		beacon.Derive(b)
	}
	second := t.TempDir()
	writeDays(t, second, decoder.Beacons())
	if d := cmp.Diff(got, mustExport(t, "--data", second)); d != "" {
		t.Errorf("after a round trip (-want +got):\n%s", d)
	}
}

func TestExportSpan(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "out.ndjson")
	writeDays(t, dir, exportBeacons())
	lines := strings.SplitAfter(mustExport(t, "--data", dir), "\n")
	check := func(want string, args ...string) {
		t.Helper()
		if d := cmp.Diff(want, mustExport(t, append(args, "--data", dir)...)); d != "" {
			t.Errorf("%v (-want +got):\n%s", args, d)
		}
	}
	check(lines[2], "--since", "2026-11-02")
	check(lines[0]+lines[1], "--until", "2026-11-02")
	check(lines[1], "--since", "2026-11-01T12:00:30Z", "--until", "2026-11-01T12:30:00Z")
	check("", "--until", "2026-11-01")
	check("", "--until", "2026-11-01", "--out", file)
	if data, err := os.ReadFile(file); err != nil || len(data) != 0 {
		t.Errorf("%q, %v", data, err)
	}
	check("", "--out", file)
	if data, err := os.ReadFile(file); err != nil || string(data) != strings.Join(lines, "") {
		t.Errorf("%q, %v", data, err)
	}
	check("", "--out", os.DevNull)
}

func TestExportParquet(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "out.parquet")
	writeDays(t, dir, exportBeacons())
	ids := func(r io.ReaderAt, size int64) (ids []string) {
		t.Helper()
		rows, err := parquet.Read[store.BeaconRow](r, size)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			ids = append(ids, row.ID)
		}
		return ids
	}
	out := mustExport(t, "--data", dir, "--format", "parquet")
	if d := cmp.Diff([]string{"a-1", "b", "c"}, ids(strings.NewReader(out), int64(len(out)))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if printed := mustExport(t, "--data", dir, "--format", "parquet", "--until", "2026-11-02", "--out", file); printed != "" {
		t.Errorf("printed %q", printed)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a-1", "b"}, ids(bytes.NewReader(data), int64(len(data)))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if names, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); err != nil || len(names) != 1 {
		t.Errorf("left %v, %v", names, err)
	}
}

// A failed export leaves the file that was there.
func TestExportFails(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "out")
	writeDays(t, dir, exportBeacons())
	segments, err := store.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{segments[1].Beacons(), file} {
		if err := os.WriteFile(path, []byte("no beacons"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, format := range []string{"ndjson", "parquet"} {
		_, _, err := export(t, "--data", dir, "--out", file, "--format", format)
		if err == nil || !strings.Contains(err.Error(), segments[1].Beacons()) {
			t.Errorf("%s: error %v", format, err)
		}
		if data, err := os.ReadFile(file); err != nil || string(data) != "no beacons" {
			t.Errorf("%s: %q, %v", format, data, err)
		}
		if _, err := os.Stat(file + ".tmp"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: left %s.tmp: %v", format, file, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, format := range []string{"ndjson", "parquet"} {
		err := exportCommand().run(ctx, stdio{nil, io.Discard, io.Discard}, []string{"--data", dir, "--format", format, "--until", "2026-11-02"})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v", format, err)
		}
	}
}

func TestExportUsage(t *testing.T) {
	check := func(want string, args ...string) {
		t.Helper()
		_, stderr, err := export(t, args...)
		if !errors.Is(err, errUsage) || !strings.Contains(stderr, want) {
			t.Errorf("%v: %v: %s", args, err, stderr)
		}
	}
	check("--data is required")
	check("--format", "--data", ".", "--format", "csv")
	check("--since", "--data", ".", "--since", "yesterday")
	check("--until", "--data", ".", "--until", "tomorrow")
	check("unexpected argument", "--data", ".", "more")
	if _, _, err := export(t, "--data", filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestShortest(t *testing.T) {
	for _, ms := range []float64{0, 0.01, 0.1, 18.7, 1432.4, 60000, 33.333, 0.0001, 12345.678} {
		if got := shortest(float64(float32(ms))); float32(got) != float32(ms) || got != ms && ms != 12345.678 {
			t.Errorf("%v: %v", ms, got)
		}
	}
}
