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

// wait returns when g is durable, or why it is not.
func (g *group) wait(ctx context.Context) error {
	done := ctx.Done()
	if done == nil { // a receive costs half of what a select does
		<-g.done
		return g.err
	}
	select {
	case <-g.done:
		return g.err
	case <-done:
		return ctx.Err()
	}
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
	var p pace
	for range s.wake {
		if s.worthWaiting(&p) {
			delay.Reset(s.cfg.CommitDelay)
			for waiting := true; waiting; {
				select {
				case <-delay.C:
					waiting = false
				case <-s.wake:
					waiting = s.worthWaiting(&p)
				}
			}
		}
		waiters, more := s.commit()
		if !more {
			return
		}
		if waiters > 0 {
			p.committed(waiters)
		}
	}
}

// worthWaiting reports whether the group that gathers should go on gathering:
// more will come, and it is not large yet.
func (s *Store) worthWaiting(p *pace) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.gathering
	if g == nil || len(g.entry) >= commitBytes || s.closed {
		return false
	}
	return g.waiters > 1 || p.tryWaiting(s.cfg.CommitDelay)
}

// pace decides whether a group of one should wait for company. After a silence
// it should not, so that a site with few beacons has its answers at once. Amid
// others it should: commits one by one cost thirty times as much, and a fast
// disk never lets a second one gather meanwhile. But a lone producer that waits
// for each answer would wait in vain, so that waiting is tried more and more
// seldom while it brings nothing.
type pace struct {
	last    time.Time // end of the last commit
	waited  bool      // a group of one was made to wait
	skip    int       // commits to go until that is tried again
	backOff int       // the last value that skip began from
}

// maxBackOff keeps what a lone producer loses to about a tenth: CommitDelay in
// 256 commits, which take a fraction of a millisecond each.
const maxBackOff = 255

// tryWaiting is asked about a group of one.
func (p *pace) tryWaiting(delay time.Duration) bool {
	p.waited = p.waited || p.skip == 0 && time.Since(p.last) < delay
	return p.waited
}

// committed notes how many had waited for the last commit.
func (p *pace) committed(waiters int) {
	switch {
	case waiters > 1:
		p.skip, p.backOff = 0, 0
	case p.waited:
		p.backOff = min(2*p.backOff+1, maxBackOff)
		p.skip = p.backOff
	case p.skip > 0:
		p.skip--
	}
	p.last, p.waited = time.Now(), false
}

// commit makes the group that gathered durable. It returns how many waited for
// it, and false when the store is closed and nothing is left to do.
func (s *Store) commit() (waiters int, more bool) {
	s.mu.Lock()
	g, index, failed := s.gathering, s.committed+1, s.failed
	s.gathering = nil
	closed := s.closed
	s.mu.Unlock()
	if g == nil {
		return 0, !closed
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
	return g.waiters, !closed
}
