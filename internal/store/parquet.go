package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/compress/snappy"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

const (
	// beaconGroupRows are the rows of a row group of beacons: DuckDB's own
	// unit of work, so that its threads share a file evenly.
	beaconGroupRows = 122_880
	// aggregateGroupRows are fewer, as these rows hold long lists.
	aggregateGroupRows = 16_384

	// writeBatch is how many rows the Parquet library gets at once: it takes
	// them apart column by column, 64 rows at a time.
	writeBatch = 64

	receivedColumn = "received"
	idColumn       = "id"
)

// layout is what the kinds of files differ in.
type layout struct {
	groupRows int64 // of a row group, at most
	codec     compress.Codec
}

// beaconLayout is for what is kept and seldom read.
func beaconLayout() layout { return layout{beaconGroupRows, &zstd.Codec{Level: zstd.SpeedFastest}} }

// aggregateLayout is for what every report reads: snappy takes a fifth less CPU
// to read than zstd, for files about an eighth larger.
func aggregateLayout() layout { return layout{aggregateGroupRows, &snappy.Codec{}} }

// parquetFile writes one Parquet file of rows T under a temporary name. It
// exists under its own name once publish has returned. Handing structs to the
// library is as quick as handing it columns (both were measured).
type parquetFile[T any] struct {
	path string
	file *os.File
	w    *parquet.GenericWriter[T]
	rows []T // reused with all that they have allocated
	n    int
}

func createParquet[T any](path string, l layout) (*parquetFile[T], error) {
	f, err := os.Create(path + temporarySuffix)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	options := []parquet.WriterOption{
		parquet.Compression(l.codec),
		parquet.MaxRowsPerRowGroup(l.groupRows),
		parquet.DataPageStatistics(false), // the page index has them
		parquet.KeyValueMetadata(SchemaKey, strconv.Itoa(SchemaVersion)),
	}
	// Least and greatest values help to find a time; for columns in no order
	// they help nothing and would cost a third more.
	for _, column := range parquet.SchemaOf(new(T)).Columns() {
		if column[0] != receivedColumn {
			options = append(options, parquet.SkipPageBounds(column...))
		}
	}
	return &parquetFile[T]{path: path, file: f, w: parquet.NewGenericWriter[T](f, options...), rows: make([]T, writeBatch)}, nil
}

// next returns the row to fill in before put. It holds an earlier row's values,
// for their slices to be used again.
func (p *parquetFile[T]) next() *T { return &p.rows[p.n] }

// put writes the row that next returned.
func (p *parquetFile[T]) put() error {
	p.n++
	if p.n < len(p.rows) {
		return nil
	}
	return p.flush()
}

func (p *parquetFile[T]) flush() error {
	if _, err := p.w.Write(p.rows[:p.n]); err != nil {
		return fmt.Errorf("store: write %s: %w", p.path, err)
	}
	p.n = 0
	return nil
}

// publish completes the file and makes it durable under its own name.
func (p *parquetFile[T]) publish() error {
	if err := p.flush(); err != nil {
		return err
	}
	err := p.w.Close()
	if err == nil {
		err = p.file.Sync()
	}
	if err := errors.Join(err, p.file.Close()); err != nil {
		return fmt.Errorf("store: write %s: %w", p.path, err)
	}
	if err := os.Rename(p.file.Name(), p.path); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return syncDir(filepath.Dir(p.path))
}

// abort leaves nothing behind. After publish it does nothing.
func (p *parquetFile[T]) abort() {
	_ = p.file.Close()
	_ = os.Remove(p.file.Name())
}

// makeDir makes a directory and those above it, each durable before the next.
func makeDir(path string) error {
	err := os.Mkdir(path, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeDir(filepath.Dir(path)); err != nil {
			return err
		}
		err = os.Mkdir(path, 0o755)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("store: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	err = d.Sync()
	if err := errors.Join(err, d.Close()); err != nil {
		return fmt.Errorf("store: sync %s: %w", path, err)
	}
	return nil
}
