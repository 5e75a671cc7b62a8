package duckdb

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
	"catchment/internal/store"
)

// compacted is a day of three segments that a compaction has replaced since
// they were listed, or will have by the time that they are read.
type compacted struct {
	dir  string
	old  []store.Segment
	rows [][]*edge.Beacon
}

func newCompacted(t *testing.T) compacted {
	t.Helper()
	rng := rand.New(rand.NewPCG(2, 1))
	c := compacted{dir: t.TempDir()}
	for i := range 3 {
		beacons := randomBeacons(rng, testDay, 20)
		c.rows = append(c.rows, beacons)
		c.old = append(c.old, writeSegment(t, c.dir, testDay, uint64(i+1), uint64(i+1), beacons))
	}
	return c
}

// compact replaces the first n segments.
func (c compacted) compact(t *testing.T, n int) {
	t.Helper()
	var all []*edge.Beacon
	for _, beacons := range c.rows[:n] {
		all = append(all, beacons...)
	}
	writeSegment(t, c.dir, testDay, 1, uint64(n), all)
	for _, s := range c.old[:n] {
		for _, path := range []string{s.Beacons(), s.Assignments(), s.Latencies()} {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What is gone by the time that it is opened is found in its replacement.
func TestCompactedAfterListing(t *testing.T) {
	c := newCompacted(t)
	e := open(t, c.dir)
	parts, err := e.parts(store.Query{})
	if err != nil {
		t.Fatal(err)
	}
	want := oracle(t, c.dir, store.Query{})
	c.compact(t, 3)

	got := newSums()
	err = scan(t.Context(), e, parts, store.Segment.Assignments, newAssignmentGroup, func(g *assignmentGroup, p part, rows int) bool {
		var a edge.Assignments
		for i := range rows {
			g.fill(&a, p.day, i)
			for j, prefix := range a.Prefixes {
				got.addView(viewKey{a.Cell, a.Served, prefix}, viewSum{a.Views[j], a.Weights[j], a.Weights2[j]})
			}
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	err = e.cutLatencies(t.Context(), parts, func(l *edge.Latencies) bool {
		for i, sample := range l.Samples {
			got.samples[sampleKey{l.Cell, l.PoP, l.Scheme, sample}] += l.Counts[i]
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got, want)
}

// Compactions while the beacons of a day are being read neither lose one nor
// repeat one.
func TestCompactedWhileReading(t *testing.T) {
	check := func(at, n int) {
		t.Helper()
		c := newCompacted(t)
		e := open(t, c.dir)
		parts, err := e.parts(store.Query{})
		if err != nil {
			t.Fatal(err)
		}
		var want, got []*edge.Beacon
		for _, beacons := range c.rows {
			want = append(want, beacons...)
		}
		if at == 0 {
			c.compact(t, n)
		}
		_, err = e.beaconsOf(t.Context(), parts[0], func(b *edge.Beacon) bool {
			got = append(got, &edge.Beacon{ID: b.ID, Received: b.Received})
			if len(got) == at {
				c.compact(t, n)
			}
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		same := func(a, b *edge.Beacon) bool { return a.ID == b.ID && a.Received.Equal(b.Received) }
		if d := cmp.Diff(want, got, cmp.Comparer(same)); d != "" {
			t.Errorf("%d segments compacted at row %d (-want +got):\n%s", n, at, d)
		}
	}
	check(0, 3)  // before the first row
	check(10, 3) // within the first segment
	check(20, 2) // between two
	check(30, 3)
	check(45, 2)
	check(60, 3) // after the last row
}

func TestDroppedAfterListing(t *testing.T) {
	c := newCompacted(t)
	e := open(t, c.dir)
	parts, err := e.parts(store.Query{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Dir(c.old[0].Beacons())); err != nil {
		t.Fatal(err)
	}
	err = e.cutLatencies(t.Context(), parts, func(*edge.Latencies) bool { t.Error("a row"); return true })
	if err != nil {
		t.Error(err)
	}
}

// Readers see whole segments while others are being added.
func TestConcurrentWriter(t *testing.T) {
	const segments, views = 30, 10
	dir := t.TempDir()
	written := make(chan error, 1)
	go func() {
		rng := rand.New(rand.NewPCG(2, 2))
		for i := range uint64(segments) {
			beacons := randomBeacons(rng, testDay, views)
			for _, b := range beacons {
				b.Flags, b.Probes = nil, []edge.Probe{{Target: "global", PoP: "iad", RTT: 5}}
				b.Received = testDay.Time().Add(12 * time.Hour)
			}
			if _, err := store.WriteSegment(dir, testDay, i+1, i+1, beacons); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	e := open(t, dir)
	count := func(q store.Query) (n uint32) {
		for _, v := range fetch(t, e, q).views {
			n += v.views
		}
		return n
	}
	for done := false; !done; {
		select {
		case err := <-written:
			if err != nil {
				t.Fatal(err)
			}
			done = true
		default:
		}
		whole, cut := count(store.Query{}), count(store.Query{Since: testDay.Time().Add(time.Hour)})
		if whole%views != 0 || cut%views != 0 || whole > cut {
			t.Fatalf("%d views, then %d", whole, cut)
		}
		if done && whole != segments*views {
			t.Fatalf("%d views in the end", whole)
		}
	}
}

func TestOddPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's [a] *dir? of 100%")
	writeWorld(t, dir, rand.New(rand.NewPCG(2, 3)))
	q := store.Query{Since: testDay.Time().Add(time.Hour)}
	e := open(t, dir)
	compare(t, fetch(t, e, q), oracle(t, dir, q))
}

// What a killed process spilled is removed, what a living one spills is not.
func TestSpillDirs(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, "tmp", spillPrefix+"left")
	if err := os.MkdirAll(left, 0o755); err != nil {
		t.Fatal(err)
	}
	count := func(want int) {
		t.Helper()
		entries, err := os.ReadDir(filepath.Join(dir, "tmp"))
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) != want {
			t.Errorf("%v, want %d", entries, want)
		}
	}
	a, err := Open(dir, Options{Memory: 32 << 20, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	count(1)
	b, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	count(2)
	// 80 MB of numbers do not fit into 32 MB.
	if err := a.exec(t.Context(), "CREATE TABLE t AS SELECT hash(range) AS h FROM range(10000000)"); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(a.spill.path); err != nil || len(entries) == 0 {
		t.Errorf("nothing spilled: %v", err)
	}
	for _, e := range []*Engine{a, b} {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	count(0)
}
