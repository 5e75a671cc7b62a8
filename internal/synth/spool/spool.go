// Package spool keeps records on disk until they are shipped: a queue of
// bounded size in append-only segment files, which survives restarts, crashes
// and torn writes.
//
// A segment is a sequence of frames (frame.go). It is never appended to by a
// later process, so a torn tail needs no repair: whatever does not check ends
// the segment. The cursor, a file of its own, says how far records have been
// shipped; a segment that lies before it is deleted. When there are too many
// bytes the oldest segment is deleted with what it still held, which is counted.
package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config says where records are kept and how many.
type Config struct {
	Dir      string // made if missing; nobody else may write there
	MaxBytes int64  // of all segments; 0: 256 MiB, about half a million records
}

const (
	defaultBytes = 256 << 20
	segments     = 16 // that MaxBytes is divided into: what is dropped at a time
	leastSegment = 4 << 10

	// syncEvery bounds what a power failure can take. A crash of the process
	// alone takes nothing: every record is handed to the kernel at once.
	syncEvery = time.Second

	// MaxRecord bounds one record, bytes.
	MaxRecord = 64 << 10
)

// Mark is a place between two records.
type Mark struct {
	segment uint64
	offset  int64
}

// Spool is a queue on disk. Its methods are safe for concurrent use.
type Spool struct {
	dir        string
	most, each int64
	log        *slog.Logger
	metrics    *metrics
	lock       *os.File
	wake       chan struct{} // holds one: something may be unread

	mu     sync.Mutex
	list   []*segment // ascending; the last one may be open for writing
	out    *os.File   // of the last segment; nil: the next record begins one
	next   uint64     // number of the next segment: never used before
	cursor Mark
	bytes  int64
	dirty  bool
}

// segment is a file of frames.
type segment struct {
	number uint64
	size   int64 // bytes of whole, good frames
	count  int   // records
	onDisk int64 // with a torn tail
}

// Open locks the directory and reads what is there. The error says what is
// wrong with the directory; damaged segments are no error.
func Open(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Spool, error) {
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultBytes
	}
	s := &Spool{
		dir: cfg.Dir, most: cfg.MaxBytes, each: max(leastSegment, cfg.MaxBytes/segments),
		log: log, metrics: newMetrics(), wake: make(chan struct{}, 1),
	}
	if s.most < 2*s.each {
		return nil, fmt.Errorf("spool: %d bytes are too few (want at least %d)", cfg.MaxBytes, 2*leastSegment)
	}
	if err := s.metrics.register(reg); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	var err error
	if s.lock, err = lockDir(s.dir); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		_ = s.lock.Close()
		return nil, fmt.Errorf("spool: %w", err)
	}
	s.poke()
	return s, nil
}

// Run syncs what was appended, in groups, until ctx is done, and then once
// more and closes the spool. It returns nil, or why the last sync failed.
func (s *Spool) Run(ctx context.Context) error {
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return s.Close()
		case <-tick.C:
		}
		err := s.Sync()
		if err != nil && !failing {
			s.log.Error("records are not synced", "error", err)
		}
		failing = err != nil
	}
}

// Append writes a record, at most MaxRecord bytes and not empty. After an
// error the record is not in the spool.
func (s *Spool) Append(record []byte) error {
	if len(record) == 0 || len(record) > MaxRecord {
		return fmt.Errorf("spool: a record of %d bytes (want 1 to %d)", len(record), MaxRecord)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock == nil {
		return errClosed
	}
	size := int64(frameHead + len(record))
	if s.out != nil && s.last().size+size > s.each {
		s.seal()
	}
	if err := s.make(size); err != nil {
		return err
	}
	last := s.last()
	n, err := s.out.Write(appendFrame(make([]byte, 0, size), record))
	if err != nil {
		// Half a frame: what follows it would never be read.
		last.onDisk += int64(n)
		s.bytes += int64(n)
		s.seal()
		return fmt.Errorf("spool: %w", err)
	}
	last.size, last.onDisk, last.count = last.size+size, last.onDisk+size, last.count+1
	s.bytes += size
	s.dirty = true
	s.measure()
	s.poke()
	return nil
}

var errClosed = errors.New("spool: closed")

func (s *Spool) last() *segment { return s.list[len(s.list)-1] }

// make sees to it that there is an open segment, and room for size bytes.
func (s *Spool) make(size int64) error {
	for s.bytes+size > s.most && len(s.list) > 0 {
		if len(s.list) == 1 && s.out != nil {
			s.seal()
		}
		if err := s.drop(); err != nil {
			return err
		}
	}
	if s.out != nil {
		return nil
	}
	f, err := os.OpenFile(s.path(s.next), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	s.out = f
	s.list = append(s.list, &segment{number: s.next})
	s.next++
	return syncDir(s.dir)
}

// seal ends the last segment. s.mu is held.
func (s *Spool) seal() {
	if s.out == nil {
		return
	}
	if s.dirty {
		if err := s.out.Sync(); err != nil {
			s.log.Error("records are not synced", "error", err)
		}
		s.dirty = false
	}
	_ = s.out.Close()
	s.out = nil
}

// drop deletes the oldest segment with what it still holds. s.mu is held.
func (s *Spool) drop() error {
	old := s.list[0]
	unread := 0
	switch {
	case s.cursor.segment < old.number:
		unread = old.count
	case s.cursor.segment == old.number:
		_ = s.frames(old, s.cursor.offset, func([]byte, int64) bool { unread++; return true })
	}
	if err := s.remove(); err != nil {
		return err
	}
	if unread > 0 {
		s.metrics.dropped.Add(float64(unread))
		s.log.Warn("the spool is full, its oldest records are dropped", "records", unread)
	}
	return nil
}

// remove deletes the oldest segment. s.mu is held.
func (s *Spool) remove() error {
	old := s.list[0]
	if err := os.Remove(s.path(old.number)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("spool: %w", err)
	}
	s.list = s.list[1:]
	s.bytes -= old.onDisk
	return nil
}

// Sync makes what was appended survive a power failure.
func (s *Spool) Sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out == nil || !s.dirty {
		return nil
	}
	if err := s.out.Sync(); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	s.dirty = false
	return nil
}

// Close syncs and frees the directory. Nothing may be called afterwards but
// Append, which fails.
func (s *Spool) Close() error {
	err := s.Sync()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seal()
	if s.lock != nil {
		_ = s.lock.Close()
		s.lock = nil
	}
	return err
}

func (s *Spool) path(number uint64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%016x%s", number, suffix))
}

func (s *Spool) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
