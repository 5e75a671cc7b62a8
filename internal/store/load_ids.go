package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"time"

	"github.com/parquet-go/parquet-go"

	"catchment/internal/edge"
)

// loadHours makes sure that the ids of hour h and of the hour before are in
// memory. s.mu is held, and given up while ids are read.
func (s *Store) loadHours(ctx context.Context, h hour) error {
	for {
		missing := h
		set := s.dedupe.set(h)
		if set != nil && set.loading == nil {
			missing--
			set = s.dedupe.set(missing)
			if set != nil && set.loading == nil {
				return nil
			}
		}
		if set != nil { // another one loads it
			s.mu.Unlock()
			select {
			case <-set.loading:
				s.mu.Lock()
			case <-ctx.Done():
				s.mu.Lock()
				return ctx.Err()
			}
			continue
		}
		if err := s.loadHour(missing); err != nil {
			return err
		}
	}
}

// loadHour reads the ids of an hour from its day's segments; those that are not
// sealed are known. s.mu is held, and given up while ids are read.
func (s *Store) loadHour(h hour) error {
	loading := &hourSet{loading: make(chan struct{})}
	s.dedupe.hours[h] = loading
	s.mu.Unlock()

	s.retiring.Lock() // what is sealed meanwhile stays in s.unsealed
	defer s.retiring.Unlock()
	set := newHourSet()
	err := s.readHour(h, func(id string) {
		if x := s.dedupe.hash(id); !set.has(x) {
			set.add(x, s.dedupe.generation())
		}
	})

	s.mu.Lock()
	defer close(loading.loading)
	if err != nil {
		delete(s.dedupe.hours, h)
		return err
	}
	for _, g := range s.unsealed {
		for _, x := range g.ids {
			if x.hour == h && !set.has(x.id) {
				set.add(x.id, s.dedupe.generation())
			}
		}
	}
	s.dedupe.put(h, set)
	return nil
}

// span is the time of a segment's beacons, µs: [since, until].
type span struct{ since, until int64 }

// readHour calls add with the ids of the beacons received in an hour. s.retiring
// is held.
func (s *Store) readHour(h hour, add func(id string)) error {
	from := time.Unix(int64(h)*3600, 0)
	hour := span{from.UnixMicro(), from.Add(time.Hour).UnixMicro() - 1}
	for tries := 0; ; tries++ {
		err := s.readDayIDs(edge.DayOf(from), hour, add)
		// One that was replaced while others were read may be gone by now.
		if err == nil || !errors.Is(err, fs.ErrNotExist) || tries == 3 {
			return err
		}
	}
}

// readDayIDs calls add with the ids of a day's beacons received within a span.
// It opens only segments that may have some, once it has seen each: an import
// goes through the hours of a day one by one.
func (s *Store) readDayIDs(day edge.Day, want span, add func(id string)) error {
	segments, err := listDay(s.cfg.Dir, day)
	if err != nil {
		return err
	}
	live, _ := splitCovered(segments)
	known, now := s.spans[day], make(map[Segment]span, len(live))
	s.spans[day] = now
	for _, segment := range live {
		has, ok := known[segment]
		if !ok || has.overlaps(want) {
			if has, err = readIDs(segment, want, add); err != nil {
				return err
			}
		}
		now[segment] = has
	}
	return nil
}

func (s span) overlaps(o span) bool { return s.since <= o.until && o.since <= s.until }

// readIDs calls add with the ids of a segment's beacons received within a span,
// and returns the segment's own. It reads two columns, of the row groups in
// question.
func readIDs(s Segment, want span, add func(id string)) (span, error) {
	f, err := openParquet(s.Beacons(), parquet.SkipPageIndex(true))
	if err != nil {
		return span{}, err
	}
	defer f.close()
	received, ok1 := f.file.Schema().Lookup(receivedColumn)
	id, ok2 := f.file.Schema().Lookup(idColumn)
	if !ok1 || !ok2 {
		return span{}, fmt.Errorf("store: %s has no column %s or %s", s.Beacons(), receivedColumn, idColumn)
	}
	all := span{math.MaxInt64, math.MinInt64}
	for i, group := range f.file.RowGroups() {
		has := span{math.MinInt64, math.MaxInt64}
		stats := &f.file.Metadata().RowGroups[i].Columns[received.ColumnIndex].MetaData.Statistics
		if len(stats.MinValue) == 8 && len(stats.MaxValue) == 8 {
			has = span{int64(binary.LittleEndian.Uint64(stats.MinValue)), int64(binary.LittleEndian.Uint64(stats.MaxValue))}
		}
		all = span{min(all.since, has.since), max(all.until, has.until)}
		if !has.overlaps(want) {
			continue
		}
		chunks := group.ColumnChunks()
		if err := readTwo(chunks[received.ColumnIndex], chunks[id.ColumnIndex], func(at, id parquet.Value) {
			if t := at.Int64(); want.overlaps(span{t, t}) {
				add(string(id.ByteArray()))
			}
		}); err != nil {
			return span{}, fmt.Errorf("store: read %s: %w", s.Beacons(), err)
		}
	}
	return all, nil
}

// readTwo calls each with the values of two columns without lists.
func readTwo(a, b parquet.ColumnChunk, each func(a, b parquet.Value)) error {
	ra, rb := newColumnReader(a), newColumnReader(b)
	defer ra.close()
	defer rb.close()
	for {
		va, err := ra.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		vb, err := rb.next()
		if err != nil {
			return err
		}
		each(va, vb)
	}
}

// columnReader reads a column value by value.
type columnReader struct {
	pages  parquet.Pages
	page   parquet.Page
	values parquet.ValueReader
	buf    [256]parquet.Value
	have   []parquet.Value
}

func newColumnReader(c parquet.ColumnChunk) *columnReader { return &columnReader{pages: c.Pages()} }

// next returns the next value, valid until the one after it, or io.EOF.
func (r *columnReader) next() (parquet.Value, error) {
	for len(r.have) == 0 {
		if r.values == nil {
			if err := r.nextPage(); err != nil {
				return parquet.Value{}, err
			}
		}
		n, err := r.values.ReadValues(r.buf[:])
		r.have = r.buf[:n]
		if errors.Is(err, io.EOF) {
			r.values = nil // but the page stays while its values are used
		} else if err != nil {
			return parquet.Value{}, err
		}
	}
	v := r.have[0]
	r.have = r.have[1:]
	return v, nil
}

func (r *columnReader) nextPage() error {
	parquet.Release(r.page)
	page, err := r.pages.ReadPage()
	r.page = page
	if err != nil {
		return err
	}
	r.values = page.Values()
	return nil
}

func (r *columnReader) close() {
	parquet.Release(r.page)
	_ = r.pages.Close()
}
