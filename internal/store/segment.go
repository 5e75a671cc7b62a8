package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"catchment/internal/edge"
)

// What follows a segment's base name.
const (
	beaconsSuffix     = ".beacons.parquet"
	assignmentsSuffix = ".assignments.parquet"
	latenciesSuffix   = ".latencies.parquet"
	temporarySuffix   = ".tmp" // while it is written; no glob for *.parquet sees it

	segmentsDir = "segments"
	dayPrefix   = "day="
)

// Beacons returns the path of the file of BeaconRows, in order of receipt.
func (s Segment) Beacons() string { return s.base() + beaconsSuffix }

// Assignments returns the path of the file of AssignmentRows.
func (s Segment) Assignments() string { return s.base() + assignmentsSuffix }

// Latencies returns the path of the file of LatencyRows.
func (s Segment) Latencies() string { return s.base() + latenciesSuffix }

func (s Segment) base() string {
	return filepath.Join(dayDir(s.Dir, s.Day), fmt.Sprintf("%012d-%012d", s.First, s.Last))
}

// covers reports whether s replaces t.
func (s Segment) covers(t Segment) bool {
	return s.Day == t.Day && s.First <= t.First && t.Last <= s.Last
}

func dayDir(dir string, day edge.Day) string {
	return filepath.Join(dir, segmentsDir, dayPrefix+day.String())
}

// List returns the live segments under dir (DATA), sorted by day and First.
// Segments that a compacted one replaces are left out, files and directories
// with other names are ignored, and a directory without segments is empty.
//
// Any process may call it while another one writes: what it returns is what a
// reader should open, and stays readable for at least Config.Grace.
func List(dir string) ([]Segment, error) {
	days, err := listDays(dir)
	if err != nil {
		return nil, err
	}
	var all []Segment
	for _, day := range days {
		segments, err := listDay(dir, day)
		if err != nil {
			return nil, err
		}
		live, _ := splitCovered(segments)
		all = append(all, live...)
	}
	return all, nil
}

// listDays returns the days that have a directory, ascending.
func listDays(dir string) ([]edge.Day, error) {
	entries, err := os.ReadDir(filepath.Join(dir, segmentsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: list segments: %w", err)
	}
	var days []edge.Day
	for _, e := range entries {
		text, ok := strings.CutPrefix(e.Name(), dayPrefix)
		if !ok {
			continue
		}
		if day, err := edge.ParseDay(text); err == nil && day.String() == text {
			days = append(days, day)
		}
	}
	slices.Sort(days)
	return days, nil
}

// listDay returns the segments of one day, covered ones included, sorted by
// First and, among equals, the widest first. A day that retention has dropped
// is empty.
func listDay(dir string, day edge.Day) ([]Segment, error) {
	entries, err := os.ReadDir(dayDir(dir, day))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: list segments: %w", err)
	}
	var segments []Segment
	for _, e := range entries {
		if e.Name() == droppedMark {
			return nil, nil
		}
		base, ok := strings.CutSuffix(e.Name(), beaconsSuffix)
		if !ok {
			continue
		}
		if first, last, ok := parseRange(base); ok {
			segments = append(segments, Segment{Dir: dir, Day: day, First: first, Last: last})
		}
	}
	slices.SortFunc(segments, func(a, b Segment) int {
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(b.Last, a.Last))
	})
	return segments, nil
}

// parseRange is the inverse of the base name's format.
func parseRange(base string) (first, last uint64, ok bool) {
	a, b, ok := strings.Cut(base, "-")
	if !ok || len(a) < 12 || len(b) < 12 {
		return 0, 0, false
	}
	first, err := strconv.ParseUint(a, 10, 64)
	if err != nil {
		return 0, 0, false
	}
	last, err = strconv.ParseUint(b, 10, 64)
	return first, last, err == nil && first <= last && fmt.Sprintf("%012d-%012d", first, last) == base
}

// splitCovered divides one day's segments, sorted as listDay does, into those
// that are live and those that another one replaces.
func splitCovered(segments []Segment) (live, covered []Segment) {
	for _, s := range segments {
		// Sorted so, only the live one before can cover s: ranges nest or are apart.
		if n := len(live); n > 0 && live[n-1].covers(s) {
			covered = append(covered, s)
			continue
		}
		live = append(live, s)
	}
	return live, covered
}

// WriteSegment writes the beacons of one day, in the order given, and their
// two aggregates: latencies, assignments, and beacons last, each under a
// temporary name, synced, renamed and the directory synced. Writing the same
// segment again replaces it by the same rows, also while others read it.
//
// Beacons received on another day are an error: nothing appears then.
func WriteSegment(dir string, day edge.Day, first, last uint64, beacons []*edge.Beacon) (Segment, error) {
	memory, err := newSegmentMemory()
	if err != nil {
		return Segment{}, err
	}
	s := Segment{Dir: dir, Day: day, First: first, Last: last}
	w, err := newSegmentWriter(s, memory)
	if err != nil {
		return Segment{}, err
	}
	defer w.abort()
	for _, b := range beacons {
		if err := w.add(b); err != nil {
			return Segment{}, err
		}
	}
	if err := w.finish(); err != nil {
		return Segment{}, err
	}
	return s, nil
}
