package store

import (
	"context"
	"time"

	"catchment/internal/edge"
)

const (
	// compactFanIn bounds how many files are open for one merge.
	compactFanIn = 64
	// closedAfter is how long after its end a day is taken to be complete.
	closedAfter = time.Hour
)

// compact merges small neighbors within each day until none are worth it.
func (s *Store) compact(ctx context.Context) error {
	if !s.history.TryLock() {
		return nil // segments are still to come between those that are there
	}
	defer s.history.Unlock()
	days, err := listDays(s.cfg.Dir)
	if err != nil {
		return err
	}
	for _, day := range days {
		for ctx.Err() == nil {
			merged, err := s.compactDay(ctx, day)
			if err != nil {
				return err
			}
			if !merged {
				break
			}
		}
	}
	return ctx.Err()
}

// compactDay does one merge, if one is worth it.
func (s *Store) compactDay(ctx context.Context, day edge.Day) (merged bool, err error) {
	segments, err := listDay(s.cfg.Dir, day)
	if err != nil {
		return false, err
	}
	live, _ := splitCovered(segments)
	var sizes []int64
	for i, segment := range live {
		// One whose entries are still in the log may be written once more.
		if segment.Last > s.sealedTo.Load() {
			live = live[:i]
			break
		}
		size, err := fileSize(segment.Beacons())
		if err != nil {
			return false, err
		}
		sizes = append(sizes, size)
	}
	closed := s.now().Sub((day + 1).Time()) >= closedAfter
	from, to := worthMerging(sizes, closed, s.cfg.CompactRun, s.cfg.CompactBytes)
	if from == to {
		return false, nil
	}
	if err := s.merge(ctx, live[from:to]); err != nil {
		return false, err
	}
	s.metrics.compacted.Add(float64(to - from))
	return true, nil
}

// worthMerging returns the range of neighbors to merge next; it is empty when
// there is none. Sizes are those of the beacons files in bytes.
//
// While a day is open, run neighbors of one tier are merged, tiers being eight
// times as large as the one below, so that a beacon is rewritten a few times a
// day however many segments there are. A closed day is packed into files of
// limit. In neither is a large file written again for the sake of small ones.
func worthMerging(sizes []int64, closed bool, run int, limit int64) (from, to int) {
	for tier := int64(256 << 10); tier < limit; tier *= 8 {
		for i := range sizes {
			j, total, largest := pack(sizes, i, tier, limit)
			if j-i >= run && total >= 2*largest {
				return i, j
			}
		}
	}
	if !closed {
		return 0, 0
	}
	for i := range sizes {
		j, total, largest := pack(sizes, i, limit, limit)
		if j-i >= 2 && total >= largest+largest/2 {
			return i, j
		}
	}
	return 0, 0
}

// pack returns how far from i the neighbors are at most each in size and
// limit together.
func pack(sizes []int64, i int, each, limit int64) (j int, total, largest int64) {
	for j = i; j < len(sizes) && j-i < compactFanIn && sizes[j] <= each && total+sizes[j] <= limit; j++ {
		total += sizes[j]
		largest = max(largest, sizes[j])
	}
	return j, total, largest
}
