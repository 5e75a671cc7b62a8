package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"catchment/internal/edge"
)

func TestWorthMerging(t *testing.T) {
	const k, m = 1 << 10, 1 << 20
	many := func(n int, size int64) (l []int64) {
		for range n {
			l = append(l, size)
		}
		return l
	}
	f := func(closed bool, sizes []int64, from, to int) {
		t.Helper()
		if i, j := worthMerging(sizes, closed, 8, 256*m); i != from || j != to {
			t.Errorf("closed %v, %v: %d to %d, want %d to %d", closed, sizes, i, j, from, to)
		}
	}
	f(false, nil, 0, 0)
	f(false, many(7, 100*k), 0, 0)
	f(false, many(8, 100*k), 0, 8)
	f(false, many(100, 100*k), 0, compactFanIn)
	f(false, append([]int64{m}, many(8, 100*k)...), 1, 9)
	f(false, append(many(4, 100*k), append([]int64{40 * m}, many(7, 100*k)...)...), 0, 0)
	f(false, many(8, m), 0, 8)
	f(false, append(many(8, m), many(8, 100*k)...), 8, 16) // the smallest first
	f(false, many(8, 40*m), 0, 0)                          // only six fit
	f(false, []int64{100 * m, 100 * m}, 0, 0)
	f(true, []int64{100 * m, 100 * m}, 0, 2)
	f(true, []int64{200 * m, 100 * m, 90 * m}, 1, 3)
	f(true, []int64{200 * m, 100 * k}, 0, 0) // not again for so little
	f(true, append([]int64{200 * m}, many(7, 100*k)...), 1, 8)
	f(false, append([]int64{40 * m}, many(7, 100*k)...), 0, 0)
	f(true, []int64{300 * m, 100 * k}, 0, 0)
	f(true, many(2, 100*k), 0, 2)
	f(true, many(1, 100*k), 0, 0)
}

// Compaction changes nothing that a reader sees, while readers read.
func TestCompaction(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	var at atomic.Pointer[time.Time]
	at.Store(&now)
	s := openTest(t, dir, Config{SealRows: 1, CompactRun: 4, Grace: time.Minute}, &testHooks{now: func() time.Time { return *at.Load() }})
	all := randomBeacons(31, 300)
	for i := 0; i < len(all); i += 15 {
		mustAppend(t, s, 15, all[i:i+15]...)
	}
	before, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := wantTally(all)

	stop := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() {
		for first := true; first || !isClosed(stop); first = false {
			if n := len(readAll(t, dir)); n != len(all) {
				t.Errorf("a reader found %d of %d beacons", n, len(all))
			}
			diffTallies(t, want, storedTally(t, dir))
		}
	})
	if err := s.compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(stop)
	readers.Wait()

	after, err := List(dir)
	if err != nil || len(after) >= len(before)/4 {
		t.Errorf("%d segments of %d are left, %v", len(after), len(before), err)
	}
	checkStored(t, dir, all)

	// What was replaced can still be read by those who listed it before.
	if err := s.clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, segment := range before {
		for _, err := range ReadBeacons(segment) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	if n != len(all) {
		t.Errorf("%d beacons of %d are left to old readers", n, len(all))
	}
	later := time.Now().Add(time.Minute)
	at.Store(&later)
	if err := s.clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	leftovers(t, dir)
	checkStored(t, dir, all)

	// More arrives, and duplicates are found in compacted segments.
	mustAppend(t, s, 0, all...)
	mustClose(t, s)
	s = openTest(t, dir, Config{}, nil)
	mustAppend(t, s, 0, all...)
	mustClose(t, s)
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// After a crash between any two steps of compaction, everything is there once,
// and the next compaction completes it.
func TestCrashWhileCompacting(t *testing.T) {
	for _, name := range []string{"merged latencies", "merged assignments", "merged beacons"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			at := crashAt{name, 1}
			s := openTest(t, dir, Config{SealRows: 1, CompactRun: 3}, &testHooks{step: at.step})
			all := randomBeacons(41, 60)
			for i := 0; i < len(all); i += 10 {
				mustAppend(t, s, 10, all[i:i+10]...)
			}
			if !untilCrash(func() { _ = s.compact(t.Context()) }) {
				t.Fatal("did not crash")
			}
			checkStored(t, dir, all)
			s.crash()
			s = openTest(t, dir, Config{CompactRun: 3, Grace: 1}, nil)
			checkStored(t, dir, all)
			mustAppend(t, s, 0, all...)
			s.maintain(t.Context())
			checkStored(t, dir, all)
			mustClose(t, s)
			leftovers(t, dir)
		})
	}
}

// Row groups that are large are kept as they are, small ones are joined, and
// lists that do not fit a page come through whole.
func TestCompactionOfLargeGroups(t *testing.T) {
	dir := t.TempDir()
	typical := newTypical(5, testDay.Time(), time.Millisecond)
	long := func() *edge.Beacon {
		b := typical.next()
		for range 100 {
			b.Probes = append(b.Probes, b.Probes[0])
		}
		return b
	}
	var sources []*openedParquet
	var all []*edge.Beacon
	for i, n := range []int{100, 300, 200, 350, 5} {
		var beacons []*edge.Beacon
		for range n {
			beacons = append(beacons, long())
		}
		s, err := WriteSegment(dir, testDay, uint64(i+1), uint64(i+1), beacons)
		if err != nil {
			t.Fatal(err)
		}
		f, err := openParquet(s.Beacons())
		if err != nil {
			t.Fatal(err)
		}
		defer f.close()
		sources, all = append(sources, f), append(all, beacons...)
	}
	s := Segment{dir, testDay, 1, 5}
	out, err := os.Create(s.Beacons())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w, err := newBeaconWriter()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.begin(out), mergeGroups(t.Context(), w, sources, 400), w.finish()); err != nil {
		t.Fatal(err)
	}
	i := 0
	for b, err := range ReadBeacons(s) {
		if err != nil {
			t.Fatal(err)
		}
		if i%50 == 0 {
			diffBeacons(t, asStored(all[i]), b)
		} else if b.ID != all[i].ID || len(b.Probes) != len(all[i].Probes) {
			t.Fatalf("beacon %d is %s with %d probes", i, b.ID, len(b.Probes))
		}
		i++
	}
	f, err := openParquet(s.Beacons())
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	var groups []int64
	for _, g := range f.file.RowGroups() {
		groups = append(groups, g.NumRows())
	}
	if i != len(all) || !slices.Equal(groups, []int64{400, 200, 355}) {
		t.Errorf("%d beacons of %d, in row groups of %d", i, len(all), groups)
	}
}

func TestRetention(t *testing.T) {
	dir := t.TempDir()
	now := (testDay + 3).Time()
	s := openTest(t, dir, Config{Retention: 24 * time.Hour, Grace: time.Hour}, &testHooks{now: func() time.Time { return now }})
	var kept []*edge.Beacon
	for _, b := range randomBeacons(51, 100) {
		b.Received = testDay.Time().Add(time.Duration(len(kept)) * time.Hour) // over more than two days
		kept = append(kept, b)
	}
	kept = kept[:72]
	mustAppend(t, s, len(kept), kept...)
	if err := s.sealAll(); err != nil {
		t.Fatal(err)
	}
	old, err := List(dir)
	if err != nil || len(old) != 3 {
		t.Fatalf("%v, %v", old, err)
	}
	s.maintain(t.Context())
	checkStored(t, dir, kept[48:]) // the last day
	for b, err := range ReadBeacons(old[0]) {
		if err != nil {
			t.Fatalf("a query that had begun cannot go on: %v, %v", b, err)
		}
	}
	now = time.Now().Add(time.Hour + time.Minute) // the mark's time is the machine's
	s.cfg.Retention = now.Sub((testDay + 2).Time())
	s.maintain(t.Context())
	if _, err := os.Stat(dayDir(dir, testDay)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory of a dropped day is still there: %v", err)
	}
	checkStored(t, dir, kept[48:])
	// What comes for a dropped day is dropped with the next maintenance.
	late := *kept[0]
	late.ID = "late"
	mustAppend(t, s, 1, &late)
	if err := s.sealAll(); err != nil {
		t.Fatal(err)
	}
	s.maintain(context.Background())
	checkStored(t, dir, kept[48:])
	mustClose(t, s)
}
