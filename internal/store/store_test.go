package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"catchment/internal/edge"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// openTest opens a store that seals only when told and, unless hooks say
// otherwise, has small log files.
func openTest(t testing.TB, dir string, cfg Config, hooks *testHooks) *Store {
	t.Helper()
	cfg.Dir = dir
	cfg.MinFreeBytes = max(cfg.MinFreeBytes, 1)
	if err := cfg.setDefaults(); err != nil {
		t.Fatal(err)
	}
	if hooks == nil {
		hooks = &testHooks{}
	}
	if hooks.logFile == 0 {
		hooks.logFile = 1 << 20
	}
	s, err := open(cfg, quiet(), prometheus.NewRegistry(), hooks)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.crash() })
	return s
}

// crash ends s as the death of its process would, but for what the kernel
// still writes.
func (s *Store) crash() {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return
	}
	s.wakeCommitter()
	<-s.committerDone
	_ = s.release()
}

func mustAppend(t testing.TB, s *Store, want int, beacons ...*edge.Beacon) {
	t.Helper()
	if n, err := s.Append(t.Context(), beacons...); err != nil || n != want {
		t.Fatalf("stored %d, %v; want %d", n, err, want)
	}
}

func mustClose(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// readAll returns what a reader in another process finds, by id.
func readAll(t testing.TB, dir string) map[string][]*edge.Beacon {
	t.Helper()
	segments, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]*edge.Beacon{}
	for _, segment := range segments {
		for b, err := range ReadBeacons(segment) {
			if err != nil {
				t.Fatal(err)
			}
			if edge.DayOf(b.Received) != segment.Day {
				t.Fatalf("%s is in %s", b.Received, segment.Beacons())
			}
			// A copy, by way of the row: b is used again.
			var row BeaconRow
			setRow(&row, b)
			c := &edge.Beacon{}
			if err := setBeacon(c, &row); err != nil {
				t.Fatal(err)
			}
			all[b.ID] = append(all[b.ID], c)
		}
	}
	return all
}

// checkStored fails unless exactly these beacons are stored, each once.
func checkStored(t *testing.T, dir string, want []*edge.Beacon) {
	t.Helper()
	got := readAll(t, dir)
	for _, b := range want {
		if len(got[b.ID]) != 1 {
			t.Fatalf("beacon %s is stored %d times", b.ID, len(got[b.ID]))
		}
		diffBeacons(t, asStored(b), got[b.ID][0])
	}
	if len(got) != len(want) {
		t.Fatalf("%d beacons are stored, %d were appended", len(got), len(want))
	}
	checkAggregates(t, dir, want)
}

func randomBeacons(seed uint64, n int) []*edge.Beacon {
	rng := rand.New(rand.NewPCG(seed, 0))
	all := make([]*edge.Beacon, n)
	for i := range all {
		all[i] = randomBeacon(rng)
	}
	return all
}

func TestAppendCloseRead(t *testing.T) {
	dir := t.TempDir()
	all := randomBeacons(1, 2000)
	s := openTest(t, dir, Config{SealRows: 700}, nil)
	mustAppend(t, s, 1000, all[:1000]...)
	for _, b := range all[1000:1020] {
		mustAppend(t, s, 1, b)
	}
	mustClose(t, s)
	s = openTest(t, dir, Config{}, nil)
	mustAppend(t, s, 980, all[1020:]...)
	mustClose(t, s)
	checkStored(t, dir, all)
}

func TestAppendFromManySides(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Config{SealEvery: 10 * time.Millisecond, SealRows: 500, CommitDelay: time.Millisecond}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error)
	go func() { ran <- s.Run(ctx) }()

	all := randomBeacons(2, 1500)
	var group sync.WaitGroup
	stored := make([]int, 16)
	for i := range stored {
		group.Go(func() {
			// Each beacon comes from two sides at about the same time.
			for j := i / 2; j < len(all); j += len(stored) / 2 {
				n, err := s.Append(ctx, all[j])
				if err != nil {
					t.Error(err)
					return
				}
				stored[i] += n
			}
		})
	}
	group.Wait()
	cancel()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	checkStored(t, dir, all) // before Close: Run has sealed everything
	total := 0
	for _, n := range stored {
		total += n
	}
	if total != len(all) {
		t.Errorf("stored %d of %d", total, len(all))
	}
	if got := testutil.ToFloat64(s.metrics.duplicates); got != float64(len(all)) {
		t.Errorf("%v duplicates counted of %d", got, len(all))
	}
	mustClose(t, s)
	if _, err := s.Append(t.Context(), all[0]); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// A copy of a beacon that is not durable yet is acknowledged when it is.
func TestDuplicateWaits(t *testing.T) {
	inSync, goOn := make(chan struct{}), make(chan struct{})
	s := openTest(t, t.TempDir(), Config{}, &testHooks{step: func(name string) {
		if name == "committing" {
			inSync <- struct{}{}
			<-goOn
		}
	}})
	b := randomBeacons(3, 1)[0]
	results := make(chan int, 2)
	add := func() {
		n, err := s.Append(t.Context(), b)
		if err != nil {
			t.Error(err)
		}
		results <- n
	}
	go add()
	<-inSync
	go add()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := s.Append(ctx, b); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("acknowledged before it is durable: %d, %v", n, err)
	}
	select {
	case n := <-results:
		t.Errorf("acknowledged before it is durable: %d", n)
	default:
	}
	close(goOn)
	if a, b := <-results, <-results; a+b != 1 {
		t.Errorf("stored %d times", a+b)
	}
}

func TestDuplicatesAcrossHours(t *testing.T) {
	dir := t.TempDir()
	at := testDay.Time().Add(24*time.Hour - time.Second) // the next second is the next hour and day
	beacon := func(id string, received time.Time) *edge.Beacon {
		return &edge.Beacon{V: 1, ID: id, Rate: 1, Received: received}
	}
	s := openTest(t, dir, Config{}, nil)
	first := beacon("a", at)
	mustAppend(t, s, 1, first)
	mustAppend(t, s, 0, first, first)
	mustAppend(t, s, 0, beacon("a", at.Add(2*time.Second)))
	later := beacon("a", at.Add(2*time.Hour))
	mustAppend(t, s, 1, later) // no longer known
	s.crash()

	s = openTest(t, dir, Config{}, nil) // nothing in memory
	mustAppend(t, s, 0, beacon("a", at.Add(2*time.Second)))
	mustAppend(t, s, 0, first)
	mustAppend(t, s, 1, beacon("b", at), beacon("b", at), beacon("a", at))
	mustClose(t, s)
	got := readAll(t, dir)
	if len(got["a"]) != 2 || len(got["b"]) != 1 {
		t.Errorf("stored %d and %d times", len(got["a"]), len(got["b"]))
	}
}

// The memory for ids is bounded, and an hour that was forgotten is read again.
func TestDedupeForgetsAndReads(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Config{DedupeBytes: 2000 * bytesPerID}, nil)
	var all []*edge.Beacon
	for h := range 20 {
		for i := range 100 {
			all = append(all, &edge.Beacon{V: 1, ID: fmt.Sprint(h, "-", i), Rate: 1, Received: testDay.Time().Add(time.Duration(h)*time.Hour + time.Duration(i)*time.Second)})
		}
	}
	for i := 0; i < len(all); i += 100 {
		mustAppend(t, s, 100, all[i:i+100]...)
		if i%300 == 0 { // some of what is forgotten is in segments, some in the log
			if err := s.sealAll(); err != nil {
				t.Fatal(err)
			}
		}
		if s.dedupe.total > s.dedupe.max {
			t.Fatalf("%d ids in memory, limit %d", s.dedupe.total, s.dedupe.max)
		}
	}
	if len(s.dedupe.hours) > 15 {
		t.Errorf("%d hours in memory", len(s.dedupe.hours))
	}
	for i := len(all) - 100; i >= 0; i -= 100 {
		mustAppend(t, s, 0, all[i:i+100]...)
	}
	// One hour with more than fits: the latest are known.
	var crowd []*edge.Beacon
	for i := range 3000 {
		crowd = append(crowd, &edge.Beacon{V: 1, ID: fmt.Sprint("crowd-", i), Rate: 1, Received: testDay.Time()})
	}
	mustAppend(t, s, 3000, crowd...)
	if s.dedupe.total > s.dedupe.max {
		t.Fatalf("%d ids in memory, limit %d", s.dedupe.total, s.dedupe.max)
	}
	mustAppend(t, s, 0, crowd[len(crowd)-s.dedupe.generation():]...)
	mustClose(t, s)
}

func TestRefusals(t *testing.T) {
	all := randomBeacons(5, 200)
	free := uint64(1000)
	now := testDay.Time()
	s := openTest(t, t.TempDir(), Config{MinFreeBytes: 500, QueueBytes: 4096, LogBytes: 1}, &testHooks{
		free: func(string) (uint64, error) { return free, nil },
		now:  func() time.Time { return now },
	})
	s.running.Store(true) // so that Append leaves sealing alone
	refuse := func(want error, beacons ...*edge.Beacon) {
		t.Helper()
		if _, err := s.Append(t.Context(), beacons...); !errors.Is(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
	}
	n, err := s.Append(t.Context(), all...) // more at once than the queue holds
	if n == 0 || n == len(all) || !errors.Is(err, ErrBusy) {
		t.Fatalf("stored %d of %d, %v", n, len(all), err)
	}
	refuse(ErrBusy, all[0]) // the log now holds too much
	if err := s.sealAll(); err != nil {
		t.Fatal(err)
	}
	free = 499
	mustAppend(t, s, 1, all[100]) // not asked again yet
	if err := s.sealAll(); err != nil {
		t.Fatal(err)
	}
	now = now.Add(diskEvery)
	refuse(ErrDisk, all[101])
	free = 500
	now = now.Add(diskEvery)
	mustAppend(t, s, 1, all[101])
	if err := s.sealAll(); err != nil {
		t.Fatal(err)
	}

	refuse(errBeacon, &edge.Beacon{Received: now})
	refuse(errBeacon, &edge.Beacon{ID: "a"})
	refuse(errBeacon, &edge.Beacon{ID: "a", Received: now, Plan: strings.Repeat("x", maxRecord)})
	for reason, want := range map[string]float64{"busy": float64(len(all) - n + 1), "disk": 1, "invalid": 3} {
		if got := testutil.ToFloat64(s.metrics.refused.WithLabelValues(reason)); got != want {
			t.Errorf("%v refused as %s, want %v", got, reason, want)
		}
	}
	s.running.Store(false)
}

// Without Run, a store whose log is full seals by itself and takes more.
func TestShortJobSealsByItself(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Config{SealRows: 50, LogBytes: 1}, nil)
	all := randomBeacons(6, 500)
	for i := 0; i < len(all); i += 50 {
		mustAppend(t, s, 50, all[i:i+50]...)
	}
	segments, err := List(dir)
	if err != nil || len(segments) < 10 {
		t.Errorf("%d segments before Close, %v", len(segments), err)
	}
	mustClose(t, s)
	checkStored(t, dir, all)
}

func TestSecondOpenerIsRefused(t *testing.T) {
	dir := t.TempDir()
	openTest(t, dir, Config{}, nil)
	_, err := Open(Config{Dir: dir}, quiet(), prometheus.NewRegistry())
	want := fmt.Sprintf("store: %s is in use by process %d: only one may write (want another directory, or stop it)", dir, os.Getpid())
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestConfig(t *testing.T) {
	for want, cfg := range map[string]Config{
		"no data directory": {},
		"SealEvery is 21s":  {Dir: "x", SealEvery: 21 * time.Second},
		"QueueBytes is -1":  {Dir: "x", QueueBytes: -1},
		"at most 33554432":  {Dir: "x", QueueBytes: 1 << 30},
		"CompactRun is 1":   {Dir: "x", CompactRun: 1},
		"Retention is -1ns": {Dir: "x", Retention: -1},
		"CommitDelay is -1": {Dir: "x", CommitDelay: -1},
	} {
		if _, err := Open(cfg, quiet(), prometheus.NewRegistry()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}
