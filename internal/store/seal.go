package store

import (
	"fmt"
	"maps"
	"slices"

	"catchment/internal/edge"
)

// sealMaxRows bounds one segment made from the log, and with it the memory
// that its aggregates take; a store that lags behind seals several.
const sealMaxRows = 4 * beaconGroupRows

// recover seals what the log holds from before and empties it.
func (s *Store) recover() error {
	if err := removeLeftovers(s.cfg.Dir); err != nil {
		return err
	}
	first, last, err := s.wal.bounds()
	if err != nil {
		return err
	}
	highest, segments, err := highestSegment(s.cfg.Dir)
	if err != nil {
		return err
	}
	if first <= last {
		if err := s.sealAgain(first, last, segments); err != nil {
			return err
		}
		s.log.Info("sealed what the last process left in the write-ahead log", "entries", last-first+1)
	}
	if err := s.wal.reset(last); err != nil {
		return err
	}
	// Indexes go on above all segments', also when the log was moved away.
	s.fresh = last == 0 && highest == 0
	s.committed = max(first-1, last, highest)
	if s.fresh {
		s.committed = s.cfg.Reserve
	}
	s.sealedTo.Store(s.committed)
	return nil
}

// sealAgain seals the entries first to last. Those from which a crash had
// already made a segment make the same one again: as segments are named by
// their entries, its name tells which they are.
func (s *Store) sealAgain(first, last uint64, segments []Segment) error {
	begun := first
	for _, segment := range segments {
		if segment.First == first {
			begun = max(begun, segment.Last)
		}
	}
	rows, from, days := 0, first, map[edge.Day]bool{}
	for i := first; i <= last; i++ {
		err := s.wal.read(i, func(record string) error {
			day, err := recordDay(record)
			days[day] = true
			rows++
			return err
		})
		if err != nil {
			return fmt.Errorf("%w (the beacons in this log were acknowledged; move %s away to start without them)", err, s.wal.dir)
		}
		if i == last || i == begun && begun > first || i > begun && rows >= sealMaxRows {
			if err := s.seal(from, i, days); err != nil {
				return err
			}
			from, rows = i+1, 0
			clear(days)
		}
	}
	return nil
}

// highestSegment returns the last log index that any segment was made from,
// live or not, and all segments.
func highestSegment(dir string) (uint64, []Segment, error) {
	days, err := listDays(dir)
	if err != nil {
		return 0, nil, err
	}
	var highest uint64
	var all []Segment
	for _, day := range days {
		segments, err := listDay(dir, day)
		if err != nil {
			return 0, nil, err
		}
		for _, segment := range segments {
			highest = max(highest, segment.Last)
		}
		all = append(all, segments...)
	}
	return highest, all, nil
}

// sealIfDue seals when SealRows wait and nobody else seals.
func (s *Store) sealIfDue() error {
	s.mu.Lock()
	due := s.logRows >= s.cfg.SealRows
	s.mu.Unlock()
	if !due || !s.sealing.TryLock() {
		return nil
	}
	defer s.sealing.Unlock()
	return s.sealLocked()
}

// sealAll seals everything that is durable.
func (s *Store) sealAll() error {
	s.sealing.Lock()
	defer s.sealing.Unlock()
	return s.sealLocked()
}

// sealLocked is sealAll with s.sealing held.
func (s *Store) sealLocked() error {
	for {
		first := s.sealedTo.Load() + 1
		last, rows, days := uint64(0), 0, map[edge.Day]bool{}
		s.mu.Lock()
		for _, g := range s.unsealed {
			if g.index == 0 || rows > 0 && rows+g.rows > sealMaxRows {
				break
			}
			last, rows = g.index, rows+g.rows
			for _, x := range g.ids {
				days[x.hour.day()] = true
			}
		}
		s.mu.Unlock()
		if rows == 0 {
			return nil
		}
		if err := s.seal(first, last, days); err != nil {
			return err
		}
	}
}

// seal makes segments, one for each of the days in which their beacons were
// received, from the entries first to last, and drops these from the log.
func (s *Store) seal(first, last uint64, days map[edge.Day]bool) error {
	for _, day := range slices.Sorted(maps.Keys(days)) {
		if err := s.sealDay(Segment{Dir: s.cfg.Dir, Day: day, First: first, Last: last}); err != nil {
			return err
		}
		s.step("sealed a day")
	}
	if err := s.wal.setSealed(last); err != nil {
		return err
	}
	s.step("marked as sealed")
	if err := s.wal.truncate(last); err != nil {
		return err
	}
	s.step("truncated the log")
	s.retire(last)
	s.metrics.sealed(len(days), s.now())
	return nil
}

// sealDay writes the segment of one day: one at a time, however many days an
// import brings, so that memory is bounded.
func (s *Store) sealDay(segment Segment) error {
	memory, err := s.segmentMemory()
	if err != nil {
		return err
	}
	defer s.memory.Put(memory)
	w, err := newSegmentWriter(segment, memory)
	if err != nil {
		return err
	}
	defer w.abort()
	w.step = s.step
	var b edge.Beacon
	err = s.eachRecord(segment.First, segment.Last, func(record string) error {
		if day, err := recordDay(record); err != nil || day != segment.Day {
			return err
		}
		if err := decodeRecord(&b, record); err != nil {
			return err
		}
		return w.add(&b)
	})
	if err != nil {
		return err
	}
	return w.finish()
}

func (s *Store) eachRecord(first, last uint64, each func(record string) error) error {
	for i := first; i <= last; i++ {
		if err := s.wal.read(i, each); err != nil {
			return err
		}
	}
	return nil
}

// retire forgets the groups up to the entry last, whose ids are in segments
// from now on.
func (s *Store) retire(last uint64) {
	s.retiring.Lock()
	defer s.retiring.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealedTo.Store(max(last, s.sealedTo.Load()))
	n := 0
	for _, g := range s.unsealed {
		if g.index == 0 || g.index > last {
			break
		}
		s.logRows -= g.rows
		s.logBytes -= g.size
		n++
	}
	s.unsealed = slices.Delete(s.unsealed, 0, n)
}
