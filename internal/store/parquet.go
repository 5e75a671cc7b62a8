package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/snappy"
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

// parquetFile writes one Parquet file of rows T, aggregates, under a temporary
// name. It exists under its own name once publish has returned.
type parquetFile[T any] struct {
	file *pendingFile
	w    *parquet.GenericWriter[T]
	rows []T // reused with all that they have allocated
	n    int
}

func createParquet[T any](path string) (*parquetFile[T], error) {
	f, err := createPending(path)
	if err != nil {
		return nil, err
	}
	options := []parquet.WriterOption{
		// Every report reads these files: snappy takes a fifth less CPU for that
		// than zstd, for files about an eighth larger.
		parquet.Compression(&snappy.Codec{}),
		parquet.MaxRowsPerRowGroup(aggregateGroupRows),
		parquet.DataPageStatistics(false), // the page index has them
		parquet.KeyValueMetadata(SchemaKey, strconv.Itoa(SchemaVersion)),
	}
	// Least and greatest values would cost a third more, and help with nothing
	// for columns in no order.
	for _, column := range parquet.SchemaOf(new(T)).Columns() {
		options = append(options, parquet.SkipPageBounds(column...))
	}
	return &parquetFile[T]{file: f, w: parquet.NewGenericWriter[T](f, options...), rows: make([]T, writeBatch)}, nil
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
		return fmt.Errorf("store: write %s: %w", p.file.path, err)
	}
	p.n = 0
	return nil
}

// publish completes the file and makes it durable under its own name.
func (p *parquetFile[T]) publish() error {
	if err := p.flush(); err != nil {
		return err
	}
	if err := p.w.Close(); err != nil {
		return fmt.Errorf("store: write %s: %w", p.file.path, err)
	}
	return p.file.publish()
}

// abort leaves nothing behind. After publish it does nothing.
func (p *parquetFile[T]) abort() { p.file.abort() }

// pendingFile is a file under a temporary name.
type pendingFile struct {
	*os.File
	path string
}

func createPending(path string) (*pendingFile, error) {
	f, err := os.Create(path + temporarySuffix)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return &pendingFile{f, path}, nil
}

// publish makes the file durable under its own name.
func (f *pendingFile) publish() error {
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("store: write %s: %w", f.path, err)
	}
	if err := os.Rename(f.Name(), f.path); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return syncDir(filepath.Dir(f.path))
}

// abort leaves nothing behind. After publish it does nothing.
func (f *pendingFile) abort() {
	_ = f.Close()
	_ = os.Remove(f.Name())
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
