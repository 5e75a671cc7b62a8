package duckdb

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"sync"

	"github.com/parquet-go/parquet-go"

	"catchment/internal/store"
)

// openParquet opens a file that store wrote and checks its schema version. The
// caller closes the *os.File. Errors name the file.
func openParquet(path string) (file *parquet.File, close func() error, version int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("store/duckdb: %w", err)
	}
	defer func() {
		if p := recover(); p != nil { // a footer that the decoder did not expect
			err = fmt.Errorf("store/duckdb: %s is damaged: %v", path, p)
		}
		if err != nil {
			f.Close()
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, 0, fmt.Errorf("store/duckdb: %w", err)
	}
	file, err = parquet.OpenFile(f, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(readBuffer))
	if err != nil {
		return nil, nil, 0, fmt.Errorf("store/duckdb: %s is not a Parquet file: %w", path, err)
	}
	version, err = schemaVersion(file)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("store/duckdb: %s: %w", path, err)
	}
	return file, f.Close, version, nil
}

// readBuffer is what one read of a column asks the disk for, in bytes.
const readBuffer = 256 << 10

func schemaVersion(file *parquet.File) (int, error) {
	text, ok := file.Lookup(store.SchemaKey)
	if !ok {
		return 0, fmt.Errorf("its metadata has no %s: Catchment did not write it", store.SchemaKey)
	}
	version, err := strconv.Atoi(text)
	switch {
	case err != nil || version < 1:
		return 0, fmt.Errorf("%s is %q (want a number from 1)", store.SchemaKey, text)
	case version > store.SchemaVersion:
		return 0, fmt.Errorf("it has schema version %d, this program reads up to %d: a newer Catchment wrote it", version, store.SchemaVersion)
	}
	return version, nil
}

// schemaCache remembers what the footers of files say. SQL cannot be told to
// check them. Segments are immutable.
type schemaCache struct {
	mu    sync.Mutex
	files map[string]footer
}

type footer struct {
	version     int
	rows        int64
	first, last int64 // receive times in the file, µs; everything if unknown
}

// maxFooters bounds the cache; forgetting costs a read of the footer.
const maxFooters = 100_000

// check returns how many rows the files have and whether some are older than
// store.SchemaVersion. The error names a file that is newer, or no segment.
func (c *schemaCache) check(paths []string) (rows int64, old bool, err error) {
	for _, path := range paths {
		f, err := c.footer(path)
		if err != nil {
			return 0, false, err
		}
		rows += f.rows
		old = old || f.version < store.SchemaVersion
	}
	return rows, old, nil
}

func (c *schemaCache) footer(path string) (footer, error) {
	c.mu.Lock()
	f, ok := c.files[path]
	c.mu.Unlock()
	if ok {
		return f, nil
	}
	file, close, version, err := openParquet(path)
	if err != nil {
		return footer{}, err
	}
	f = footer{version: version, rows: file.NumRows()}
	f.first, f.last = received(file)
	if err := close(); err != nil {
		return footer{}, fmt.Errorf("store/duckdb: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files == nil || len(c.files) >= maxFooters {
		c.files = make(map[string]footer)
	}
	c.files[path] = f
	return f, nil
}

// received returns the span of receive times in a file of beacons.
func received(file *parquet.File) (first, last int64) {
	first, last = math.MaxInt64, math.MinInt64
	for _, group := range file.RowGroups() {
		low, high := receivedIn(file, group)
		first, last = min(first, low), max(last, high)
	}
	return first, last
}

// receivedIn is that of a row group, by the statistics of the column;
// everything if there are none.
func receivedIn(file *parquet.File, group parquet.RowGroup) (first, last int64) {
	i := slices.IndexFunc(file.Schema().Columns(), func(path []string) bool { return path[0] == "received" })
	if i >= 0 {
		if chunk, ok := group.ColumnChunks()[i].(*parquet.FileColumnChunk); ok {
			if low, high, known := chunk.Bounds(); known && low.Kind() == parquet.Int64 {
				return low.Int64(), high.Int64()
			}
		}
	}
	return math.MinInt64, math.MaxInt64
}
