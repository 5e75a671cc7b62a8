package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Wait returns when there may be something to read, or ctx is done.
func (s *Spool) Wait(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-s.wake:
	}
}

// Read returns the oldest records that were not passed yet: at most count, and
// at most size bytes unless the first one alone has more; and the mark behind
// them. None and no error: there is nothing to read.
func (s *Spool) Read(count int, size int64) (records [][]byte, end Mark, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end = s.cursor
	for _, g := range s.list {
		if g.number < end.segment {
			continue
		}
		if g.number > end.segment {
			end = Mark{segment: g.number}
		}
		full := false
		err := s.frames(g, end.offset, func(record []byte, at int64) bool {
			full = len(records) == count || len(records) > 0 && size < int64(len(record))
			if full {
				return false
			}
			records = append(records, append([]byte(nil), record...))
			size -= int64(len(record))
			end.offset = at
			return true
		})
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, s.cursor, fmt.Errorf("spool: %w", err)
		}
		if full {
			break
		}
	}
	return records, end, nil
}

// Pass forgets everything before end, durably: it will not be read again.
func (s *Spool) Pass(end Mark) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock == nil {
		return errClosed
	}
	if end.segment < s.cursor.segment || end.segment == s.cursor.segment && end.offset <= s.cursor.offset {
		return nil
	}
	if err := writeCursor(s.dir, end); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	s.cursor = end
	if err := s.tidy(); err != nil {
		return err
	}
	s.measure()
	return nil
}

// tidy deletes the segments that have been read to their end, but not one that
// is open. s.mu is held.
func (s *Spool) tidy() error {
	for len(s.list) > 0 {
		g := s.list[0]
		read := g.number < s.cursor.segment || g.number == s.cursor.segment && s.cursor.offset >= g.size
		if !read || len(s.list) == 1 && s.out != nil {
			return nil
		}
		if err := s.remove(); err != nil {
			return err
		}
	}
	return nil
}

// measure sets the gauges. s.mu is held.
func (s *Spool) measure() { s.metrics.bytes.Set(float64(s.bytes)) }
