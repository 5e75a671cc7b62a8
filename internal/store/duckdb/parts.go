package duckdb

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"time"

	"catchment/internal/edge"
	"catchment/internal/store"
)

// part is what a query asks of one day: the beacons received in
// [since, until), µs since 1970.
type part struct {
	day          edge.Day
	since, until int64
	segments     []store.Segment
}

// whole reports whether p is all of its day.
func (p part) whole() bool {
	start, end := dayMicros(p.day)
	return p.since == start && p.until == end
}

func dayMicros(day edge.Day) (start, end int64) {
	return day.Time().UnixMicro(), (day + 1).Time().UnixMicro()
}

// parts lists the segments that q touches, by day, ascending.
func (e *Engine) parts(q store.Query) ([]part, error) {
	segments, err := store.List(e.dir)
	if err != nil {
		return nil, fmt.Errorf("store/duckdb: %w", err)
	}
	since, until := int64(math.MinInt64), int64(math.MaxInt64)
	if !q.Since.IsZero() {
		since = ceilMicro(q.Since)
	}
	if !q.Until.IsZero() {
		until = ceilMicro(q.Until)
	}
	var parts []part
	for _, s := range segments {
		if n := len(parts); n > 0 && parts[n-1].day == s.Day {
			parts[n-1].segments = append(parts[n-1].segments, s)
			continue
		}
		start, end := dayMicros(s.Day)
		p := part{day: s.Day, since: max(start, since), until: min(end, until), segments: []store.Segment{s}}
		if p.since < p.until {
			parts = append(parts, p)
		}
	}
	return parts, nil
}

// ceilMicro returns the first whole microsecond at or after t: receive times
// are whole ones, so they are before t exactly if they are before that.
func ceilMicro(t time.Time) int64 {
	return t.Add(time.Microsecond - time.Nanosecond).UnixMicro()
}

// relists is how often the segments of a day are listed again because a file
// was gone. A compaction can do that to a query that takes longer than the
// grace period, and a second one hardly.
const relists = 2

// retry calls read, which must not have handed out anything when it fails, and
// does so again over the segments that there are by then, if it failed because
// files had gone.
func (e *Engine) retry(p part, read func([]store.Segment) error) error {
	err := read(p.segments)
	for range relists {
		if err == nil || !gone(err, p.segments) {
			break
		}
		all, listErr := store.List(e.dir)
		if listErr != nil {
			return errors.Join(err, listErr)
		}
		p.segments = nil
		for _, s := range all {
			if s.Day == p.day {
				p.segments = append(p.segments, s)
			}
		}
		if len(p.segments) == 0 { // retention dropped the day
			return nil
		}
		err = read(p.segments)
	}
	return err
}

// gone reports whether err is, or may be, for want of one of the files.
// DuckDB's errors are only texts.
func gone(err error, segments []store.Segment) bool {
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	for _, s := range segments {
		for _, path := range []string{s.Beacons(), s.Assignments(), s.Latencies()} {
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				return true
			}
		}
	}
	return false
}
