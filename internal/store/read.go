package store

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"

	"github.com/parquet-go/parquet-go"

	"catchment/internal/edge"
)

// ReadBeacons yields the beacons of a segment in the order of receipt. A
// beacon is valid only until the next one. The sequence ends after the first
// error, which names the file; a file of a newer schema is one.
func ReadBeacons(s Segment) iter.Seq2[*edge.Beacon, error] {
	return func(yield func(*edge.Beacon, error) bool) {
		var b edge.Beacon
		for row, err := range readRows[BeaconRow](s.Beacons(), upgradeBeacon) {
			if err == nil {
				err = setBeacon(&b, row)
				if err != nil {
					err = fmt.Errorf("store: %s: beacon %q: %w", s.Beacons(), row.ID, err)
				}
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(&b, nil) {
				return
			}
		}
	}
}

// upgradeBeacon brings a row of an older schema up to SchemaVersion, one
// version at a time. Columns that its file lacks hold zero values.
func upgradeBeacon(row *BeaconRow, version int) {
	if version < 1 {
		// Files without a version, such as those that other tools wrote, may
		// have no sampling rate: every view was reported then.
		if row.Rate == 0 {
			row.Rate = 1
		}
	}
}

// readRows yields the rows of a Parquet file. A row is valid only until the
// next one.
func readRows[T any](path string, upgrade func(row *T, version int)) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		f, err := openParquet(path, parquet.SkipPageIndex(true))
		if err != nil {
			yield(nil, err)
			return
		}
		defer f.close()
		r := parquet.NewGenericReader[T](f.file)
		defer r.Close()
		rows := make([]T, writeBatch)
		for {
			n, err := r.Read(rows)
			for i := range rows[:n] {
				if upgrade != nil && f.version < SchemaVersion {
					upgrade(&rows[i], f.version)
				}
				if !yield(&rows[i], nil) {
					return
				}
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, fmt.Errorf("store: read %s: %w", path, err))
				return
			}
		}
	}
}

// openedParquet is a Parquet file open for reading.
type openedParquet struct {
	file    *parquet.File
	version int // of its schema; 0 if it has none
	close   func() error
}

// openParquet opens a file of any schema version this program knows.
func openParquet(path string, options ...parquet.FileOption) (*openedParquet, error) {
	h, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	f, err := openParquetFile(h, options)
	if err != nil {
		_ = h.Close()
		return nil, fmt.Errorf("store: open %s: %w", path, err)
	}
	return f, nil
}

func openParquetFile(h *os.File, options []parquet.FileOption) (*openedParquet, error) {
	info, err := h.Stat()
	if err != nil {
		return nil, err
	}
	f, err := parquet.OpenFile(h, info.Size(), append(options, parquet.SkipBloomFilters(true), parquet.ReadBufferSize(readBuffer))...)
	if err != nil {
		return nil, err
	}
	version := 0
	if text, ok := f.Lookup(SchemaKey); ok {
		if version, err = strconv.Atoi(text); err != nil {
			return nil, fmt.Errorf("metadata %s: %q is not a number", SchemaKey, text)
		}
	}
	if version > SchemaVersion {
		return nil, fmt.Errorf("schema version %d is newer than this program, which knows %d", version, SchemaVersion)
	}
	return &openedParquet{file: f, version: version, close: h.Close}, nil
}

// readBuffer is per column; there are some forty.
const readBuffer = 64 << 10
