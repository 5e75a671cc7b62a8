package duckdb

import (
	"cmp"
	"context"
	"iter"

	"catchment/internal/edge"
	"catchment/internal/store"
)

// Beacons implements store.Engine: day by day, and in each day in the order of
// the write-ahead log, which is the order of receipt except for beacons that
// were imported later. Memory is bounded by one row group.
func (e *Engine) Beacons(ctx context.Context, q store.Query) iter.Seq2[*edge.Beacon, error] {
	return func(yield func(*edge.Beacon, error) bool) {
		parts, err := e.parts(q)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, p := range parts {
			if more, err := e.beaconsOf(ctx, p, func(b *edge.Beacon) bool { return yield(b, nil) }); err != nil || !more {
				if err != nil {
					yield(nil, err)
				}
				return
			}
		}
	}
}

// readSegment is a segment of which all rows have been read.
type readSegment struct {
	store.Segment
	rows int64
}

// beaconsOf yields the beacons of one day. Reading a day can take longer than
// the grace period of compaction: where a segment is gone, those that are
// there by then are read from where the gone one would have begun. A compacted
// segment holds the rows of what it replaces in the same order.
func (e *Engine) beaconsOf(ctx context.Context, p part, yield func(*edge.Beacon) bool) (more bool, err error) {
	var done []readSegment
	var late error // after some of a segment was handed out: no second try
	more = true
	err = e.retry(p, func(segments []store.Segment) error {
		for _, s := range segments {
			skip := rowsDone(done, s)
			if skip < 0 {
				continue
			}
			f, err := e.schemas.footer(s.Beacons())
			if err != nil {
				return err
			}
			if f.last < p.since || f.first >= p.until {
				done = append(done, readSegment{s, f.rows})
				continue
			}
			var row int64
			for b, err := range store.ReadBeacons(s) {
				if err == nil {
					err = ctx.Err()
				}
				if err != nil && row > skip {
					late = err
					return nil
				}
				if err != nil {
					return err
				}
				row++
				if at := b.Received.UnixMicro(); row <= skip || at < p.since || at >= p.until {
					continue
				}
				if more = yield(b); !more {
					return nil
				}
			}
			done = append(done, readSegment{s, row})
		}
		return nil
	})
	return more, cmp.Or(err, late)
}

// rowsDone returns how many of the first rows of s have been read as rows of
// segments that s replaces, or -1 if s itself has been read.
func rowsDone(done []readSegment, s store.Segment) int64 {
	var rows int64
	for _, d := range done {
		if d.Segment == s {
			return -1
		}
		if s.First <= d.First && d.Last <= s.Last {
			rows += d.rows
		}
	}
	return rows
}
