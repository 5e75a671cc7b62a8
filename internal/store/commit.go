package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"catchment/internal/edge"
)

// group is what one commit makes durable together: an entry of the log.
type group struct {
	entry   []byte
	rows    int
	size    int64 // of the entry
	waiters int
	ids     []seen // of its rows, until they are sealed
	index   uint64 // set when it is committed
	done    chan struct{}
	err     error // set before done is closed
}

// commitBytes is how much is worth a commit at once, some two hundred beacons.
const commitBytes = 128 << 10

// records are encoded outside of the lock, into memory that is used again.
type records struct {
	buf  []byte
	ends []int
	ids  []seen
}

// encode makes the records of beacons.
func (r *records) encode(beacons []*edge.Beacon, d *deduper) error {
	r.buf, r.ends, r.ids = r.buf[:0], r.ends[:0], r.ids[:0]
	for _, b := range beacons {
		if err := checkBeacon(b); err != nil {
			return err
		}
		start := len(r.buf)
		r.buf = appendRecord(r.buf, b)
		if size := len(r.buf) - start; size > maxRecord {
			return fmt.Errorf("%w: %q takes %d bytes (want at most %d)", errBeacon, b.ID, size, maxRecord)
		}
		r.ends = append(r.ends, len(r.buf))
		r.ids = append(r.ids, seen{d.hash(b.ID), hourOf(b.Received)})
	}
	return nil
}

// enqueue puts those beacons that are new into groups. It returns the last
// group that must become durable before the beacons are: nil when all are.
func (s *Store) enqueue(ctx context.Context, beacons []*edge.Beacon) (stored int, last *group, err error) {
	if s.disk.low(s.now()) {
		return 0, nil, ErrDisk
	}
	r, _ := s.records.Get().(*records)
	if r == nil {
		r = &records{}
	}
	defer s.records.Put(r)
	if err := r.encode(beacons, s.dedupe); err != nil {
		return 0, nil, err
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	start := 0
	for i, id := range r.ids {
		record := r.buf[start:r.ends[i]]
		start = r.ends[i]
		if err = s.loadHours(ctx, id.hour); err != nil {
			break
		}
		if err = s.refuses(len(record)); err != nil {
			break
		}
		if s.dedupe.has(id) {
			// The first copy may wait in any group: the last is durable after it.
			if n := len(s.unsealed); n > 0 && s.unsealed[n-1].index == 0 {
				last = s.unsealed[n-1]
			}
			continue
		}
		s.dedupe.add(id)
		last = s.gather()
		last.add(record, id)
		stored++
	}
	if last != nil && last == s.gathering {
		last.waiters++
		if last.waiters <= 2 || len(last.entry) >= commitBytes {
			s.wakeCommitter()
		}
	}
	return stored, last, err
}

func (g *group) add(record []byte, id seen) {
	g.entry = binary.AppendUvarint(g.entry, uint64(len(record)))
	g.entry = append(g.entry, record...)
	g.ids = append(g.ids, id)
	g.rows++
}

// refuses says why a record of this size cannot be taken. s.mu is held.
func (s *Store) refuses(size int) error {
	switch {
	case s.failed != nil:
		return s.failed
	case s.closed:
		return errClosed
	case s.logBytes > s.cfg.LogBytes:
		return ErrBusy
	case s.gathering != nil && s.gathering.rows > 0 && len(s.gathering.entry)+size > s.cfg.QueueBytes:
		return ErrBusy
	}
	return nil
}

// gather returns the group that takes records. s.mu is held.
func (s *Store) gather() *group {
	if s.gathering == nil {
		s.gathering = &group{entry: newEntry(s.spare), done: make(chan struct{})}
		s.spare = nil
		s.unsealed = append(s.unsealed, s.gathering)
	}
	return s.gathering
}

func (s *Store) wakeCommitter() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// commitLoop commits one group after the other until the store is closed.
func (s *Store) commitLoop() {
	defer close(s.committerDone)
	delay := time.NewTimer(time.Hour)
	defer delay.Stop()
	for range s.wake {
		if s.worthWaiting() {
			delay.Reset(s.cfg.CommitDelay)
			for waiting := true; waiting; {
				select {
				case <-delay.C:
					waiting = false
				case <-s.wake:
					waiting = s.worthWaiting()
				}
			}
		}
		if !s.commit() {
			return
		}
	}
}

// worthWaiting reports whether the group that gathers should go on gathering:
// several wait already, so that more will come, and it is not large yet.
func (s *Store) worthWaiting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.gathering
	return g != nil && g.waiters > 1 && len(g.entry) < commitBytes && !s.closed
}

// commit makes the group that gathered durable. It returns false when the
// store is closed and nothing is left to do.
func (s *Store) commit() bool {
	s.mu.Lock()
	g, index, failed := s.gathering, s.committed+1, s.failed
	s.gathering = nil
	closed := s.closed
	s.mu.Unlock()
	if g == nil {
		return !closed
	}
	g.size = int64(len(g.entry))
	if failed == nil {
		s.step("committing")
		start := time.Now()
		failed = s.wal.append(index, g.entry)
		s.metrics.synced(time.Since(start), g)
	}

	s.mu.Lock()
	if failed != nil {
		// Whether the entry is in the file is not known before it is read again.
		s.failed = failed
		s.unsealed = slices.DeleteFunc(s.unsealed, func(u *group) bool { return u == g })
	} else {
		g.index = index
		s.committed = index
		s.logRows += g.rows
		s.logBytes += g.size
	}
	if failed != nil || s.logRows >= s.cfg.SealRows {
		select {
		case s.sealDue <- struct{}{}:
		default:
		}
	}
	s.spare, g.entry = g.entry, nil
	s.mu.Unlock()
	g.err = failed
	close(g.done)
	return !closed
}
