package duckdb

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"golang.org/x/sys/unix"

	"catchment/internal/edge"
	"catchment/internal/store"
)

// The store that BenchmarkReportFetch reads, per 10 M page views: a week in a
// world of 25,600 cells and 300,000 client prefixes, 40 PoPs, three scheme
// probes and three probes of PoPs by their own names in each page view.
const (
	benchDays     = 7
	benchCells    = 25_600
	benchPrefixes = 300_000
	benchPoPs     = 40
)

// benchViews is how many page views the benchmark store holds: 100,000, or
// what CATCHMENT_BENCH_VIEWS says (10000000 for the figures in docs/store.md).
func benchViews(b *testing.B) int {
	s := os.Getenv("CATCHMENT_BENCH_VIEWS")
	if s == "" {
		return 100_000
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		b.Fatalf("CATCHMENT_BENCH_VIEWS=%s: want a count of page views", s)
	}
	return n
}

// writeBenchStore writes the aggregates of a week of page views.
func writeBenchStore(b *testing.B, dir string, views int) {
	const firstDay = edge.Day(20_000)
	rng := rand.New(rand.NewPCG(1, 2))
	prefixes := max(100, benchPrefixes*min(views, 10_000_000)/10_000_000)
	cells := max(10, benchCells*min(views, 10_000_000)/10_000_000)
	for d := range benchDays {
		w := benchDay{day: firstDay + edge.Day(d), rng: rng}
		for range views / benchDays {
			w.view(prefixes, cells)
		}
		seg := store.Segment{Dir: dir, Day: w.day, First: uint64(d + 1), Last: uint64(d + 1)}
		base := filepath.Join(dir, "segments", "day="+w.day.String(), fmt.Sprintf("%012d-%012d", seg.First, seg.Last))
		if err := os.MkdirAll(filepath.Dir(base), 0o755); err != nil {
			b.Fatal(err)
		}
		writeRows(b, base+".assignments.parquet", w.assignmentRows())
		writeRows(b, base+".latencies.parquet", w.latencyRows())
		writeRows(b, base+".beacons.parquet", []store.BeaconRow{{Received: w.day.Time().UnixMicro(), ID: "x", Rate: 1}})
	}
}

func writeRows[T any](tb testing.TB, path string, rows []T) {
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	w := parquet.NewGenericWriter[T](f, parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
		parquet.KeyValueMetadata(store.SchemaKey, strconv.Itoa(store.SchemaVersion)), parquet.MaxRowsPerRowGroup(16384))
	if _, err := w.Write(rows); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	if err := f.Close(); err != nil {
		tb.Fatal(err)
	}
}

// benchDay gathers one day. A view or sample is one integer, so that grouping
// them is a sort.
type benchDay struct {
	day     edge.Day
	rng     *rand.Rand
	views   []uint64 // cell, the three PoPs served, prefix, sampled at 1 (else 0.1)
	samples []uint64 // cell, PoP, scheme or own name, edge.Sample
}

const ownName = len(edge.Schemes)

func (w *benchDay) view(prefixes, cells int) {
	u := w.rng.Float64()
	prefix := uint64(u * u * float64(prefixes)) // a few send much, most send little
	h := prefix * 0x9e3779b97f4a7c15
	v := float64(h>>11) / (1 << 53)
	cell := uint64(v * v * float64(cells))

	// A cell has a nearest PoP; routing takes whole prefixes to one of the next
	// three instead, and now and then a single view.
	near := cell % benchPoPs
	served := [3]uint64{near, near, near}
	for k, odds := range [...]float64{0.15, 0.3, 0.2} {
		if float64(h>>(8*k)&0xff)/256 < odds {
			served[k] = (near + 1 + h>>40%3) % benchPoPs
		}
		if w.rng.Float64() < 0.03 {
			served[k] = (near + uint64(w.rng.IntN(4))) % benchPoPs
		}
	}
	rate := uint64(w.rng.IntN(2))
	w.views = append(w.views, (((cell<<6|served[0])<<6|served[1])<<6|served[2])<<20|prefix<<1|rate)

	key := uint64(0x20010db8)<<32 | prefix<<12
	sample := func(pop uint64, scheme int, tag uint64) {
		base := 5 + 12*float64((pop+benchPoPs-near)%benchPoPs)
		ms := base + w.rng.ExpFloat64()*0.3*base
		ms = math.Round(ms*10) / 10 // what browsers resolve
		w.samples = append(w.samples, ((cell<<6|pop)<<2|uint64(scheme))<<32|uint64(edge.SampleOf(tag, ms)))
	}
	for k, pop := range served {
		sample(pop, k, 0)
	}
	sample(near, ownName, key)
	for range 2 {
		sample((near+1+uint64(w.rng.IntN(4)))%benchPoPs, ownName, key)
	}
}

func benchCell(c uint64) (continent, country, subdivision string, asn, family uint32) {
	return []string{"AF", "AS", "EU", "NA", "OC", "SA"}[c/2%446%60%6], fmt.Sprintf("%c%c", 'A'+c/2%446%60/8, 'A'+c/2%446%60%8),
		fmt.Sprint("S", c/2%446), 4_200_000_000 + uint32(c/2*7919%3447), 4 + 2*uint32(c&1)
}

func benchPoP(i uint64) string { return fmt.Sprintf("pop%d", i) }

func (w *benchDay) assignmentRows() []store.AssignmentRow {
	slices.Sort(w.views)
	var rows []store.AssignmentRow
	last, lastPrefix := uint64(math.MaxUint64), uint64(math.MaxUint64)
	for _, v := range w.views {
		group, prefix, weight := v>>20, v>>1&(1<<19-1), 1.0
		if v&1 == 0 {
			weight = 10
		}
		if group != last {
			last, lastPrefix = group, math.MaxUint64
			r := store.AssignmentRow{
				Day: int32(w.day), ASName: "Example", Unicast: benchPoP(group >> 12 & 63), Global: benchPoP(group >> 6 & 63), Regional: benchPoP(group & 63),
			}
			r.Continent, r.Country, r.Subdivision, r.ASN, r.Family = benchCell(group >> 18)
			r.ASName = fmt.Sprint("Example ", r.ASN)
			rows = append(rows, r)
		}
		r := &rows[len(rows)-1]
		if prefix != lastPrefix {
			lastPrefix = prefix
			r.Prefixes = append(r.Prefixes, 0x20010db8<<32|prefix<<12)
			r.Views, r.Weights, r.Weights2 = append(r.Views, 0), append(r.Weights, 0), append(r.Weights2, 0)
		}
		i := len(r.Prefixes) - 1
		r.Views[i]++
		r.Weights[i] += weight
		r.Weights2[i] += weight * weight
	}
	w.views = nil
	return rows
}

func (w *benchDay) latencyRows() []store.LatencyRow {
	slices.Sort(w.samples)
	var rows []store.LatencyRow
	last, lastSample := uint64(math.MaxUint64), uint64(math.MaxUint64)
	for _, v := range w.samples {
		group, sample := v>>32, v&math.MaxUint32
		if group != last {
			last, lastSample = group, math.MaxUint64
			r := store.LatencyRow{Day: int32(w.day), PoP: benchPoP(group >> 2 & 63)}
			if s := group & 3; s != uint64(ownName) {
				r.Scheme = string(edge.Schemes[s])
			}
			r.Continent, r.Country, r.Subdivision, r.ASN, r.Family = benchCell(group >> 8)
			rows = append(rows, r)
		}
		r := &rows[len(rows)-1]
		if sample != lastSample {
			lastSample = sample
			r.Samples, r.Counts = append(r.Samples, uint32(sample)), append(r.Counts, 0)
		}
		r.Counts[len(r.Counts)-1]++
	}
	w.samples = nil
	slices.SortFunc(rows, func(a, b store.LatencyRow) int {
		return cmp.Or(cmp.Compare(a.Scheme, b.Scheme))
	})
	return rows
}

// BenchmarkReportFetch fetches both aggregates of the whole store, as a report
// does, and adds them up: through the engine, and for comparison by a plain
// SELECT through DuckDB's Arrow interface. cpu-ms/op is user and system time
// of the process; start it with one sub-benchmark to see its memory.
func BenchmarkReportFetch(b *testing.B) {
	dir, views := os.Getenv("CATCHMENT_BENCH_DIR"), benchViews(b) // a directory to keep the store in
	if dir == "" {
		dir = b.TempDir()
	}
	if _, err := os.Stat(filepath.Join(dir, "segments")); err != nil {
		writeBenchStore(b, dir, views)
	}
	e, err := Open(dir, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()

	run := func(name string, fetch func(ctx context.Context) (views, probes uint64, err error)) {
		b.Run(name, func(b *testing.B) {
			before := cpuTime(b)
			for b.Loop() {
				gotViews, probes, err := fetch(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				if want := uint64(views / benchDays * benchDays); gotViews != want || probes != 6*want {
					b.Fatalf("%d views and %d probes, want %d and %d", gotViews, probes, want, 6*want)
				}
			}
			b.ReportMetric(float64((cpuTime(b)-before).Milliseconds())/float64(b.N), "cpu-ms/op")
			b.ReportMetric(peakMB(b), "peak-MB")
		})
	}
	run("engine", func(ctx context.Context) (views, probes uint64, err error) {
		for a, err := range e.Assignments(ctx, store.Query{}) {
			if err != nil {
				return 0, 0, err
			}
			for _, n := range a.Views {
				views += uint64(n)
			}
		}
		for l, err := range e.Latencies(ctx, store.Query{}) {
			if err != nil {
				return 0, 0, err
			}
			for _, n := range l.Counts {
				probes += uint64(n)
			}
		}
		return views, probes, nil
	})
}

// BenchmarkCutDay fetches both aggregates of half a day, which are made from
// the beacons. cpu-ns/row is per beacon of the whole day: all are read.
func BenchmarkCutDay(b *testing.B) {
	dir, views := b.TempDir(), benchViews(b)/benchDays
	writeSegment(b, dir, testDay, 1, 1, randomBeacons(rand.New(rand.NewPCG(1, 2)), testDay, views))
	e := open(b, dir)
	q := store.Query{Since: testDay.Time().Add(12 * time.Hour)}
	runtime.GC() // of what made the store
	before := cpuTime(b)
	for b.Loop() {
		for _, err := range e.Assignments(b.Context(), q) {
			if err != nil {
				b.Fatal(err)
			}
		}
		for _, err := range e.Latencies(b.Context(), q) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N)/float64(views), "cpu-ns/row")
}

func cpuTime(tb testing.TB) time.Duration {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// peakMB is the largest resident set that the process has had.
func peakMB(tb testing.TB) float64 {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		tb.Fatal(err)
	}
	return float64(r.Maxrss) / 1024 // Linux: KiB
}
