package duckdb

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"catchment/internal/edge"
	"catchment/internal/store"
)

func TestAgreesWithOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	dir := t.TempDir()
	writeWorld(t, dir, rng)
	e := open(t, dir)

	start, instant := testDay.Time(), func() time.Time {
		return testDay.Time().Add(time.Duration(rng.Int64N(int64(4 * 24 * time.Hour))))
	}
	queries := []store.Query{
		{},
		{Since: start.AddDate(0, 0, 1), Until: start.AddDate(0, 0, 3)},
		{Since: start.AddDate(0, 0, 9)},
		{Until: start},
		{Since: instant()},
		{Until: instant()},
		{Since: start.Add(time.Hour), Until: start.Add(2 * time.Hour)},
		{Since: start.Add(2 * time.Hour), Until: start.Add(time.Hour)},
	}
	for range 8 {
		a, b := instant(), instant()
		if b.Before(a) {
			a, b = b, a
		}
		queries = append(queries, store.Query{Since: a, Until: b})
	}
	for _, q := range queries {
		want := oracle(t, dir, q)
		compare(t, fetch(t, e, q), want)
		if t.Failed() {
			t.Fatalf("query %v", q)
		}
	}
	if len(oracle(t, dir, store.Query{}).samples) < 1000 {
		t.Error("the world is too small to show anything")
	}
}

// A cut falls on the microsecond of a beacon: since includes it, until does not.
func TestCutIsHalfOpen(t *testing.T) {
	dir := t.TempDir()
	b := randomBeacon(rand.New(rand.NewPCG(1, 2)), testDay, 1)
	b.Flags, b.Received = nil, testDay.Time().Add(12*time.Hour+time.Microsecond)
	b.Probes = []edge.Probe{{Target: "global", PoP: "iad", RTT: 5}}
	writeSegment(t, dir, testDay, 1, 1, []*edge.Beacon{b})
	e := open(t, dir)
	check := func(since, until time.Duration, want int) {
		t.Helper()
		q := store.Query{Since: b.Received.Add(since), Until: b.Received.Add(until)}
		if got := fetch(t, e, q); len(got.views) != want || len(got.samples) != want {
			t.Errorf("%d views and %d samples, want %d", len(got.views), len(got.samples), want)
		}
		n := 0
		for _, err := range e.Beacons(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != want {
			t.Errorf("%d beacons, want %d", n, want)
		}
	}
	check(0, time.Microsecond, 1)
	check(0, time.Nanosecond, 1)
	check(time.Nanosecond, time.Hour, 0)
	check(-time.Hour, 0, 0)
	check(-time.Nanosecond, time.Nanosecond, 1)
}

func TestEmptyStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "missing")
	e := open(t, dir)
	if got := fetch(t, e, store.Query{}); len(got.views)+len(got.samples) != 0 {
		t.Errorf("got %v", got)
	}
	for b, err := range e.Beacons(t.Context(), store.Query{}) {
		t.Errorf("got %v, %v", b, err)
	}
	if names, err := e.Networks(t.Context(), store.Query{}); len(names) != 0 || err != nil {
		t.Errorf("got %v, %v", names, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error("asking made the directory")
	}
}

func TestSmallCase(t *testing.T) {
	dir := t.TempDir()
	view := func(id string, rate float64, client string, global edge.PoPID, rtt float64) *edge.Beacon {
		b := randomBeacon(rand.New(rand.NewPCG(1, 3)), testDay, 0)
		b.ID, b.Rate, b.Flags, b.Received = id, rate, nil, testDay.Time().Add(time.Hour)
		b.Client = netip.MustParsePrefix(client)
		b.Place = edge.Place{Continent: "NA", Country: "US", Subdivision: "IL", ASN: 64500, ASName: "Example"}
		b.Probes = []edge.Probe{
			{Target: "unicast", PoP: "iad", RTT: 20, AF: 4},
			{Target: "global", PoP: global, RTT: rtt, AF: 4},
			{Target: edge.TargetOf(global), PoP: global, RTT: rtt, AF: 4},
		}
		return b
	}
	writeSegment(t, dir, testDay, 1, 1, []*edge.Beacon{
		view("a", 0.5, "192.0.2.0/24", "lax", 64), view("b", 0.1, "192.0.2.0/24", "lax", 64), view("c", 1, "203.0.113.0/24", "lax", 64),
	})
	cell := edge.Cell{Day: testDay, Continent: "NA", Country: "US", Subdivision: "IL", ASN: 64500, Family: 4}
	near, far := edge.PrefixKey(netip.MustParsePrefix("192.0.2.0/24")), edge.PrefixKey(netip.MustParsePrefix("203.0.113.0/24"))
	want := sums{
		views: map[viewKey]viewSum{
			{cell, [3]edge.PoPID{"iad", "lax"}, near}: {2, 12, 104},
			{cell, [3]edge.PoPID{"iad", "lax"}, far}:  {1, 1, 1},
		},
		samples: map[sampleKey]uint32{
			{cell, "iad", "unicast", edge.SampleOf(0, 20)}: 3,
			{cell, "lax", "global", edge.SampleOf(0, 64)}:  3,
			{cell, "lax", "", edge.SampleOf(near, 64)}:     2,
			{cell, "lax", "", edge.SampleOf(far, 64)}:      1,
		},
	}
	e := open(t, dir)
	for _, q := range []store.Query{{}, {Since: testDay.Time().Add(time.Minute)}} { // whole, cut
		got := fetch(t, e, q)
		if d := cmp.Diff(want, got, cmp.AllowUnexported(sums{}, viewKey{}, viewSum{}, sampleKey{})); d != "" {
			t.Errorf("query %v (-want +got):\n%s", q, d)
		}
	}
}

func TestNetworks(t *testing.T) {
	dir := t.TempDir()
	segment := func(day edge.Day, number uint64, asn uint32, name string) {
		b := randomBeacon(rand.New(rand.NewPCG(1, 4)), day, 0)
		b.Flags, b.Place.ASN, b.Place.ASName = nil, asn, name
		b.Probes = []edge.Probe{{Target: "global", PoP: "iad", RTT: 5}}
		writeSegment(t, dir, day, number, number, []*edge.Beacon{b})
	}
	segment(testDay, 1, 64496, "Old")
	segment(testDay, 2, 64497, "Other")
	segment(testDay, 10, 64496, "New")
	segment(testDay, 11, 64496, "")
	segment(testDay, 12, 64498, "")
	segment(testDay+1, 13, 64497, "Next day's")
	e := open(t, dir)
	check := func(q store.Query, want map[uint32]string) {
		t.Helper()
		got, err := e.Networks(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
	check(store.Query{}, map[uint32]string{64496: "New", 64497: "Next day's"})
	check(store.Query{Until: (testDay + 1).Time()}, map[uint32]string{64496: "New", 64497: "Other"})
}

func TestBeacons(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 5))
	dir := t.TempDir()
	writeWorld(t, dir, rng)
	e := open(t, dir)
	q := store.Query{Since: testDay.Time().Add(7 * time.Hour), Until: (testDay + 3).Time().Add(5 * time.Hour)}
	var want, got []string
	segments, err := store.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range segments {
		for b, err := range store.ReadBeacons(s) {
			if err != nil {
				t.Fatal(err)
			}
			if within(b, q) {
				want = append(want, b.ID)
			}
		}
	}
	for b, err := range e.Beacons(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b.ID)
	}
	if d := cmp.Diff(want, got); d != "" || len(want) == 0 {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Segments outside of a query are not read for their beacons.
func TestFooterTellsSpan(t *testing.T) {
	dir := t.TempDir()
	beacons := randomBeacons(rand.New(rand.NewPCG(1, 9)), testDay, 100)
	s := writeSegment(t, dir, testDay, 1, 1, beacons)
	want := footer{version: store.SchemaVersion, rows: 100, first: math.MaxInt64, last: math.MinInt64}
	for _, b := range beacons {
		at := b.Received.UnixMicro()
		want.first, want.last = min(want.first, at), max(want.last, at)
	}
	if got, err := open(t, dir).schemas.footer(s.Beacons()); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

func TestRefusesFiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 6))
	type files struct{ path func(store.Segment) string }
	for name, f := range map[string]files{
		"beacons": {store.Segment.Beacons}, "assignments": {store.Segment.Assignments}, "latencies": {store.Segment.Latencies},
	} {
		check := func(what, reason string, spoil func(path string)) {
			t.Run(name+" "+what, func(t *testing.T) {
				dir := t.TempDir()
				spoiled := f.path(writeSegment(t, dir, testDay, 1, 1, randomBeacons(rng, testDay, 50)))
				spoil(spoiled)
				e := open(t, dir)
				q := store.Query{}
				if name == "beacons" {
					q.Since = testDay.Time().Add(time.Hour)
				}
				_, err := tryFetch(t, t.Context(), e, q)
				if err == nil || !strings.Contains(err.Error(), spoiled) || !strings.Contains(err.Error(), reason) {
					t.Errorf("error %q does not name the file %s and %q", err, spoiled, reason)
				}
			})
		}
		write := func(path string, data []byte) {
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		check("garbage", "not a Parquet file", func(path string) { write(path, []byte("PAR1 no, this is not Parquet PAR1")) })
		check("empty", "not a Parquet file", func(path string) { write(path, nil) })
		check("damaged", "", func(path string) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for i := 4; i < len(data)*3/4; i++ {
				data[i] ^= 0x55
			}
			write(path, data)
		})
		check("newer", "newer", func(path string) {
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			w := parquet.NewGenericWriter[store.LatencyRow](f, parquet.KeyValueMetadata(store.SchemaKey, "2"))
			if err := errors.Join(w.Close(), f.Close()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestCanceled(t *testing.T) {
	dir := t.TempDir()
	writeWorld(t, dir, rand.New(rand.NewPCG(1, 7)))
	e := open(t, dir)
	for _, q := range []store.Query{{}, {Since: testDay.Time().Add(time.Hour), Until: testDay.Time().Add(2 * time.Hour)}} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := tryFetch(t, ctx, e, q); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		for _, err := range e.Beacons(ctx, q) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
		}
		if _, err := e.Networks(ctx, q); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	}
}

// A running statement ends soon after its context.
func TestCancelRunning(t *testing.T) {
	e := open(t, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	err := e.exec(ctx, "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestBreak(t *testing.T) {
	dir := t.TempDir()
	writeWorld(t, dir, rand.New(rand.NewPCG(1, 8)))
	e := open(t, dir)
	for _, q := range []store.Query{{}, {Since: testDay.Time().Add(time.Hour)}} {
		for range e.Assignments(t.Context(), q) {
			break
		}
		for range e.Latencies(t.Context(), q) {
			break
		}
		for range e.Beacons(t.Context(), q) {
			break
		}
	}
}

// SQL reaches the data directory and nothing else.
func TestConfined(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "x.csv")
	if err := os.WriteFile(outside, []byte("a\n1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	e := open(t, dir)
	for _, sql := range []string{
		"SELECT * FROM read_csv(" + quote(outside) + ")",
		"COPY (SELECT 1) TO " + quote(filepath.Join(filepath.Dir(outside), "y.csv")),
		"SELECT * FROM read_csv(" + quote(filepath.Join(dir, "..", filepath.Base(filepath.Dir(outside)), "x.csv")) + ")",
		"SET enable_external_access = true",
		"SET memory_limit = '100GB'",
		"INSTALL httpfs",
	} {
		if err := e.exec(t.Context(), sql); err == nil {
			t.Errorf("%s: allowed", sql)
		}
	}
}

func TestClosed(t *testing.T) {
	e := open(t, t.TempDir())
	if err := errors.Join(e.Close(), e.Close()); err != nil {
		t.Fatal(err)
	}
	if err := e.exec(t.Context(), "SELECT 1"); !errors.Is(err, errClosed) {
		t.Errorf("error %v", err)
	}
}

// Files that another tool rewrote, with nullable columns and nulls for empty
// texts, are read alike.
func TestRewrittenFiles(t *testing.T) {
	dir := t.TempDir()
	writeWorld(t, dir, rand.New(rand.NewPCG(1, 10)))
	queries := []store.Query{{}, {Since: testDay.Time().Add(5 * time.Hour)}}
	var want []sums
	for _, q := range queries {
		want = append(want, oracle(t, dir, q))
	}
	e := open(t, dir)
	segments, err := store.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range segments {
		for path, text := range map[string]string{s.Beacons(): "client", s.Assignments(): "regional", s.Latencies(): "scheme"} {
			other := path + ".other"
			err := e.exec(t.Context(), "COPY (SELECT * REPLACE (nullif(subdivision, '') AS subdivision, nullif("+text+", '') AS "+text+
				") FROM read_parquet("+quote(path)+", hive_partitioning = false)) TO "+quote(other)+" (FORMAT parquet, KV_METADATA {'"+store.SchemaKey+"': '1'})")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(other, path); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, q := range queries {
		compare(t, fetch(t, e, q), want[i])
	}
}
