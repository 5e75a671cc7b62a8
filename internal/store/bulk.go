package store

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"sync"

	"catchment/internal/edge"
)

// Bulk fills a data directory that no Store has written to, with history that
// is made up or converted, at a fraction of what Append costs: straight into
// segments, without a write-ahead log.
//
// Nobody looks for duplicates: the ids given to a Bulk must differ. A Store
// that is opened on the directory afterwards goes on from there, and knows the
// ids as it knows all others. Bulk is safe for concurrent use.
type Bulk struct {
	dir    string
	most   uint64 // segment number
	free   func() error
	memory sync.Pool // of *segmentMemory
}

// OpenBulk locks dir, which is made if it is missing, against every other
// writer until Close. A directory that a Store has written to is refused, as
// its segments could be overwritten.
func OpenBulk(dir string) (*Bulk, error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(walDir(dir)); !errors.Is(err, os.ErrNotExist) {
		err = cmp.Or(err, fmt.Errorf("store: %s has a write-ahead log: it can only be appended to", dir))
		return nil, errors.Join(err, lock.Close())
	}
	return &Bulk{dir: dir, most: math.MaxUint64, free: lock.Close}, nil
}

// ErrNotNew is the error of (*Store).Bulk for a store that has, or had, beacons
// when it was opened, or has given a Bulk already.
var ErrNotNew = errors.New("store: not a new store: it can only be appended to")

// Bulk returns a Bulk for a store that is open, and was new when it was opened
// with Config.Reserve: the numbers up to that. Nothing is merged until it is
// closed. After a crash midway what is missing can only be appended.
func (s *Store) Bulk() (*Bulk, error) {
	s.mu.Lock()
	fresh := s.fresh
	s.fresh = false
	s.mu.Unlock()
	if !fresh {
		return nil, ErrNotNew
	}
	s.history.RLock()
	return &Bulk{dir: s.cfg.Dir, most: s.cfg.Reserve, free: func() error {
		s.history.RUnlock()
		return nil
	}}, nil
}

// Write makes the segment of a number, from 1, out of the beacons of one day in
// the order of receipt, and returns how many there were. It exists, and
// survives the machine, when Write returns; with an error, also that of the
// beacons, nothing of it does. Writing a number again replaces it, so that a
// job that was interrupted is simply run once more.
//
// Numbers must differ, also between days. Memory is bounded by that of one row
// group and the aggregates: up to half a million beacons make a good segment.
// Each is used only until the next one.
func (b *Bulk) Write(day edge.Day, number uint64, beacons iter.Seq2[*edge.Beacon, error]) (rows int, err error) {
	if number == 0 || number > b.most {
		return 0, fmt.Errorf("store: segment %d (want 1 to %d)", number, b.most)
	}
	memory, ok := b.memory.Get().(*segmentMemory)
	if !ok {
		if memory, err = newSegmentMemory(); err != nil {
			return 0, err
		}
	}
	defer b.memory.Put(memory)
	w, err := newSegmentWriter(Segment{Dir: b.dir, Day: day, First: number, Last: number}, memory)
	if err != nil {
		return 0, err
	}
	defer w.abort()
	for beacon, err := range beacons {
		if err == nil {
			err = checkBeacon(beacon)
		}
		if err == nil {
			err = w.add(beacon)
		}
		if err != nil {
			return 0, err
		}
		rows++
	}
	if rows == 0 {
		return 0, nil
	}
	return rows, w.finish()
}

// Close gives the directory free.
func (b *Bulk) Close() error { return b.free() }
