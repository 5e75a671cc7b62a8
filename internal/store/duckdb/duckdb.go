// Package duckdb answers queries over the Parquet segments of a store: the
// store.Engine that is embedded.
//
// An [Engine] opens no database file. It lists the segments anew for each
// query, so that any number of processes can ask while another one writes,
// compacts and drops segments.
//
// What reports need is read from the files column by column, in Go: the two
// aggregates that were written beside the segments, and for the days that a
// query cuts, the few columns of beacons that they are made from. That needs no
// SQL, and tens of millions of list elements would cost more to carry from
// DuckDB into Go than to read. SQL does the rest.
//
// This is the only package that needs cgo.
package duckdb

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"sync"

	ddb "github.com/duckdb/duckdb-go/v2"

	"catchment/internal/store"
)

// DefaultMemory is what DuckDB may use unless Options say otherwise.
const DefaultMemory = 512 << 20

// Options adjust an Engine. The zero value is the default.
type Options struct {
	// Memory bounds what DuckDB uses, in bytes; 0 is DefaultMemory. Beyond it
	// queries spill to DATA/tmp, and fail where that cannot be written.
	Memory int64
	// Threads bounds what one query uses; 0 is GOMAXPROCS.
	Threads int
	// Output names files outside the data directory that may be written
	// (Engine.CopyParquet). SQL can reach nothing else.
	Output []string
}

// Engine answers queries over the segments under one data directory. It is
// safe for concurrent use.
type Engine struct {
	dir     string // absolute
	schemas schemaCache
	spill   *spillDir

	mu        sync.Mutex // guards connector, which is nil once closed
	connector *ddb.Connector
}

var _ store.Engine = (*Engine)(nil)

var errClosed = errors.New("store/duckdb: the engine is closed")

// Open returns an engine over the segments under dir (DATA). The directory
// need not exist yet: a store without segments answers with nothing. It need
// not be writable, but then queries cannot spill.
func Open(dir string, opt Options) (*Engine, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("store/duckdb: %w", err)
	}
	connector, err := ddb.NewConnector("", nil) // in memory
	if err != nil {
		return nil, fmt.Errorf("store/duckdb: start DuckDB: %w", err)
	}
	e := &Engine{dir: abs, connector: connector, spill: newSpillDir(abs)}
	if err := e.configure(opt); err != nil {
		return nil, errors.Join(fmt.Errorf("store/duckdb: configure DuckDB: %w", err), e.Close())
	}
	return e, nil
}

// configure limits what DuckDB uses and what SQL can reach, and locks that.
func (e *Engine) configure(opt Options) error {
	memory := cmp.Or(opt.Memory, DefaultMemory)
	threads := cmp.Or(opt.Threads, runtime.GOMAXPROCS(0))
	output := make([]string, len(opt.Output))
	for i, path := range opt.Output {
		abs, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		output[i] = abs
	}
	for _, sql := range []string{
		"SET autoinstall_known_extensions = false", // they would come from the network
		"SET autoload_known_extensions = false",
		fmt.Sprintf("SET threads = %d", threads),
		fmt.Sprintf("SET memory_limit = '%dB'", memory),
		"SET temp_directory = " + quote(e.spill.path),
		"SET TimeZone = 'UTC'",
		"SET allowed_directories = " + quoteList([]string{e.dir + string(filepath.Separator)}),
		"SET allowed_paths = " + quoteList(output),
		"SET enable_external_access = false",
		"SET lock_configuration = true",
	} {
		if err := e.exec(context.Background(), sql); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the engine. No method may be running.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.connector == nil {
		return nil
	}
	err := errors.Join(e.connector.Close(), e.spill.remove())
	e.connector = nil
	return err
}

// connect returns a connection to the one in-memory instance; that is cheap.
func (e *Engine) connect(ctx context.Context) (driver.Conn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.connector == nil {
		return nil, errClosed
	}
	return e.connector.Connect(ctx)
}

// exec runs a statement that has no result.
func (e *Engine) exec(ctx context.Context, sql string) error {
	conn, err := e.connect(ctx)
	if err != nil {
		return err
	}
	_, err = conn.(driver.ExecerContext).ExecContext(ctx, sql, nil)
	return errors.Join(err, conn.Close())
}

// row is one row of a result: values by column.
type row map[string]driver.Value

// query runs a statement and hands each row of its result to each, until that
// returns false. It is for small results: DuckDB has the whole of it in memory
// before the first row.
func (e *Engine) query(ctx context.Context, sql string, each func(row) (bool, error)) (err error) {
	conn, err := e.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	result, err := conn.(driver.QueryerContext).QueryContext(ctx, sql, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, result.Close()) }()
	columns := result.Columns()
	values := make([]driver.Value, len(columns))
	for {
		if err := result.Next(values); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		r := make(row, len(columns))
		for i, name := range columns {
			r[name] = values[i]
		}
		if more, err := each(r); err != nil || !more {
			return err
		}
	}
}
