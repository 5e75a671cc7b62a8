package store

import (
	"errors"
	"iter"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
)

// each yields beacons, and at the end an error if there is one.
func each(beacons []*edge.Beacon, err error) iter.Seq2[*edge.Beacon, error] {
	return func(yield func(*edge.Beacon, error) bool) {
		for _, b := range beacons {
			if !yield(b, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

func TestBulk(t *testing.T) {
	dir := t.TempDir()
	days := [][]*edge.Beacon{
		newTypical(1, testDay.Time(), time.Second).take(300),
		newTypical(2, (testDay + 1).Time(), time.Second).take(200),
	}
	bulk, err := OpenBulk(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenBulk(dir); err == nil {
		t.Error("a second writer was let in")
	}
	broken := errors.New("broken")
	for range 2 { // an interrupted job is run again
		if _, err := bulk.Write(testDay, 1, each(days[0][:100], broken)); !errors.Is(err, broken) {
			t.Fatal(err)
		}
		for i, beacons := range days {
			if n, err := bulk.Write(testDay+edge.Day(i), uint64(i+1), each(beacons, nil)); err != nil || n != len(beacons) {
				t.Fatal(n, err)
			}
		}
	}
	if n, err := bulk.Write(testDay, 3, each(nil, nil)); n != 0 || err != nil {
		t.Error(n, err)
	}
	for name, b := range map[string]*edge.Beacon{"of another day": days[1][0], "without an id": {Received: testDay.Time()}} {
		if _, err := bulk.Write(testDay, 4, each([]*edge.Beacon{b}, nil)); err == nil {
			t.Error("a beacon ", name, " was taken")
		}
	}
	if _, err := bulk.Write(testDay, 0, each(days[0], nil)); err == nil {
		t.Error("number 0 was taken")
	}
	if err := bulk.Close(); err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(days...)
	checkStored(t, dir, all)

	// A store goes on from there, and knows the ids.
	s, err := Open(Config{Dir: dir, MinFreeBytes: 1}, quiet(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	more := newTypical(3, (testDay + 1).Time(), time.Second).take(50)
	if n, err := s.Append(t.Context(), append(slices.Clone(days[1][:20]), more...)...); err != nil || n != len(more) {
		t.Fatal(n, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkStored(t, dir, append(all, more...))
	if _, err := OpenBulk(dir); err == nil {
		t.Error("a directory that a store has written to was taken")
	}
	if _, err := os.Stat(Segment{Dir: dir, Day: testDay, First: 4, Last: 4}.Beacons() + temporarySuffix); err == nil {
		t.Error("a file was left behind")
	}
}

// TestBulkBeside writes history into a new store while page views come in.
func TestBulkBeside(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Config{Dir: dir, MinFreeBytes: 1, Reserve: 10, CompactRun: 2}, quiet(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	live := newTypical(1, (testDay + 1).Time(), time.Second)
	var all []*edge.Beacon
	appendLive := func() {
		t.Helper()
		b := live.take(20)
		all = append(all, b...)
		if _, err := s.Append(t.Context(), b...); err != nil {
			t.Fatal(err)
		}
		if err := s.sealAll(); err != nil {
			t.Fatal(err)
		}
	}
	merge := func() int {
		t.Helper()
		if err := s.compact(t.Context()); err != nil {
			t.Fatal(err)
		}
		segments, err := List(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(segments)
	}
	bulk, err := s.Bulk()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Bulk(); !errors.Is(err, ErrNotNew) {
		t.Error("a second Bulk was given")
	}
	if _, err := bulk.Write(testDay, 11, each(nil, nil)); err == nil {
		t.Error("a number that is not reserved was taken")
	}
	past := newTypical(2, testDay.Time(), time.Second)
	for number := range uint64(3) {
		appendLive()
		b := past.take(30)
		all = append(all, b...)
		if _, err := bulk.Write(testDay, 3-number, each(b, nil)); err != nil { // the latest first
			t.Fatal(err)
		}
		if n := merge(); n != 2*int(number+1) {
			t.Errorf("%d segments: something was merged meanwhile", n)
		}
	}
	if err := bulk.Close(); err != nil {
		t.Fatal(err)
	}
	if n := merge(); n >= 6 {
		t.Errorf("%d segments: nothing was merged afterwards", n)
	}
	appendLive()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkStored(t, dir, all)

	if s, err = Open(Config{Dir: dir, MinFreeBytes: 1, Reserve: 10}, quiet(), prometheus.NewRegistry()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Bulk(); !errors.Is(err, ErrNotNew) {
		t.Error("a store with segments gave a Bulk")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
