package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

// readHour calls add with the ids of the beacons received in an hour.
func (s *Store) readHour(h hour, add func(id string)) error {
	from := time.Unix(int64(h)*3600, 0)
	for tries := 0; ; tries++ {
		segments, err := listDay(s.cfg.Dir, edge.DayOf(from))
		if err != nil {
			return err
		}
		live, _ := splitCovered(segments)
		for _, segment := range live {
			if err = readIDs(segment, from.UnixMicro(), from.Add(time.Hour).UnixMicro(), add); err != nil {
				break
			}
		}
		// One that was replaced while others were read may be gone by now.
		if err == nil || !errors.Is(err, fs.ErrNotExist) || tries == 3 {
			return err
		}
	}
}

// readIDs calls add with the ids of a segment's beacons received in
// [since, until), in µs. It reads two columns, of the row groups in question.
func readIDs(s Segment, since, until int64, add func(id string)) error {
	f, err := openParquet(s.Beacons(), parquet.SkipPageIndex(true))
	if err != nil {
		return err
	}
	defer f.close()
	received, ok1 := f.file.Schema().Lookup(receivedColumn)
	id, ok2 := f.file.Schema().Lookup(idColumn)
	if !ok1 || !ok2 {
		return fmt.Errorf("store: %s has no column %s or %s", s.Beacons(), receivedColumn, idColumn)
	}
	for i, group := range f.file.RowGroups() {
		stats := &f.file.Metadata().RowGroups[i].Columns[received.ColumnIndex].MetaData.Statistics
		if len(stats.MinValue) == 8 && len(stats.MaxValue) == 8 &&
			(int64(binary.LittleEndian.Uint64(stats.MinValue)) >= until || int64(binary.LittleEndian.Uint64(stats.MaxValue)) < since) {
			continue
		}
		chunks := group.ColumnChunks()
		if err := readTwo(chunks[received.ColumnIndex], chunks[id.ColumnIndex], func(at, id parquet.Value) {
			if t := at.Int64(); since <= t && t < until {
				add(string(id.ByteArray()))
			}
		}); err != nil {
			return fmt.Errorf("store: read %s: %w", s.Beacons(), err)
		}
	}
	return nil
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
