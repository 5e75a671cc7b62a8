package duckdb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"

	"catchment/internal/store"
)

// field is a column by its name in the file; "probes.rtt" is a field of the
// elements of a list.
type field struct {
	name   string
	column interface {
		read(parquet.ColumnChunk, parquet.LeafColumn, int) error
		absent(rows int)
	}
}

// in reports whether a leaf of the schema is the field.
func (f field) in(leaf []string) bool {
	list, element, nested := strings.Cut(f.name, ".")
	return leaf[0] == list && (!nested || leaf[len(leaf)-1] == element)
}

// rowGroup is the columns of one row group that somebody wants, decoded.
type rowGroup interface {
	fields() []field
	// check looks at what the columns must have in common.
	check() error
}

// scan reads the row groups of one kind of file of some days and hands each to
// each, until that returns false. Decoding goes on in the background, one row
// group ahead, in the memory of two.
func scan[G rowGroup](ctx context.Context, e *Engine, days []part, path func(store.Segment) string, fresh func(interner) G, each func(g G, p part, rows int) bool) error {
	type decoded struct {
		group G
		part  part
		rows  int
		err   error
	}
	ctx, cancel := context.WithCancel(ctx)
	free, full := make(chan G, 2), make(chan decoded)
	names := make(interner)
	for range cap(free) {
		free <- fresh(names)
	}
	go func() {
		defer close(full)
		send := func(d decoded) error {
			select {
			case full <- d:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		for _, day := range days {
			err := e.rowGroups(day, path, func(f *openedFile, rg parquet.RowGroup) error {
				select {
				case g := <-free:
					if err := f.decode(rg, g); err != nil {
						return err
					}
					return send(decoded{group: g, part: day, rows: int(rg.NumRows())})
				case <-ctx.Done():
					return ctx.Err()
				}
			})
			if err != nil {
				_ = send(decoded{err: err})
				return
			}
		}
	}()
	defer func() {
		cancel()
		for range full { // until the goroutine has ended
		}
	}()
	for d := range full {
		if d.err != nil {
			return d.err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !each(d.group, d.part, d.rows) {
			return nil
		}
		free <- d.group
	}
	return ctx.Err()
}

// rowGroups calls each with every row group of one day's files. All of them
// are open before the first call, so that none can vanish between two rows.
func (e *Engine) rowGroups(day part, path func(store.Segment) string, each func(*openedFile, parquet.RowGroup) error) (err error) {
	var files []*openedFile
	defer func() {
		for _, f := range files {
			err = errors.Join(err, f.close())
		}
	}()
	err = e.retry(day, func(segments []store.Segment) error {
		for _, s := range segments {
			f, err := openFile(path(s))
			if err != nil {
				for _, f := range files {
					err = errors.Join(err, f.close())
				}
				files = nil
				return err
			}
			files = append(files, f)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, f := range files {
		for _, rg := range f.file.RowGroups() {
			if !day.whole() { // f holds beacons
				if first, last := receivedIn(f.file, rg); last < day.since || first >= day.until {
					continue
				}
			}
			if err := each(f, rg); err != nil {
				return err
			}
		}
	}
	return nil
}

// openedFile is a Parquet file, open.
type openedFile struct {
	path    string
	file    *parquet.File
	version int
	close   func() error
}

func openFile(path string) (*openedFile, error) {
	file, close, version, err := openParquet(path)
	if err != nil {
		return nil, err
	}
	return &openedFile{path: path, file: file, version: version, close: close}, nil
}

// decode fills g from a row group. Errors name file and column.
func (f *openedFile) decode(rg parquet.RowGroup, g rowGroup) (err error) {
	at := ""
	defer func() {
		if p := recover(); p != nil { // bytes that the decoder did not expect
			err = fmt.Errorf("%v", p)
		}
		if err != nil {
			err = fmt.Errorf("store/duckdb: %s is damaged: %s%w", f.path, at, err)
		}
	}()
	rows, chunks, schema := int(rg.NumRows()), rg.ColumnChunks(), f.file.Schema()
	paths := schema.Columns()
	for _, field := range g.fields() {
		at = "column " + field.name + ": "
		i := slices.IndexFunc(paths, func(path []string) bool { return field.in(path) })
		switch {
		case i >= 0:
			leaf, _ := schema.Lookup(paths[i]...)
			if err := field.column.read(chunks[i], leaf, rows); err != nil {
				return err
			}
		case f.version == store.SchemaVersion:
			return errors.New("it is missing")
		default:
			field.column.absent(rows)
		}
	}
	at = ""
	return g.check()
}
