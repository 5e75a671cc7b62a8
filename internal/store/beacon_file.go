package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"catchment/internal/edge"
)

// pageRows are the rows of a page: enough for its head not to matter, few
// enough for what is not yet packed to take little memory, some 6 MiB.
const pageRows = 8192

// beaconWriter makes the content of a Parquet file of BeaconRows, column by
// column: with its own dictionaries, made as beacons come by, and levels that
// the columns of one list share, at a fifth of what it costs to hand rows to
// the Parquet library, whose formats and encodings it uses. It holds one row
// group, packed, and its memory is used again for the next file.
type beaconWriter struct {
	columns  beaconColumns
	leaves   []*leaf
	levels   []*levels
	pages    pageWriter
	template format.FileMetaData

	out    io.Writer
	offset int64
	groups []format.RowGroup
	page   int   // rows not yet in a page
	rows   int64 // of the row group
}

func newBeaconWriter() (*beaconWriter, error) {
	w := &beaconWriter{pages: pageWriter{codec: zstd.Codec{Level: zstd.SpeedFastest}}}
	// An empty file of the library has the schema as it should be.
	var empty bytes.Buffer
	e := parquet.NewGenericWriter[BeaconRow](&empty, parquet.KeyValueMetadata(SchemaKey, strconv.Itoa(SchemaVersion)))
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(empty.Bytes()), int64(empty.Len()))
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	w.template = *f.Metadata()
	fields := w.columns.fields()
	for i, path := range f.Schema().Columns() {
		column, _ := f.Schema().Lookup(path...)
		if i >= len(fields) || fields[i].name != shortName(path) {
			return nil, fmt.Errorf("store: column %v of the schema is not the one that is written", path)
		}
		l := &leaf{path: path, kind: format.Type(column.Node.Type().Kind()), values: fields[i].values, levels: fields[i].levels}
		if l.levels != nil {
			l.levels.maxRep, l.levels.maxDef = byte(column.MaxRepetitionLevel), byte(column.MaxDefinitionLevel)
		}
		w.leaves = append(w.leaves, l)
	}
	w.levels = w.columns.levels()
	return w, nil
}

// shortName is a column's name without what stands for a list: probes.warm.
func shortName(path []string) string {
	names := slices.DeleteFunc(slices.Clone(path), func(p string) bool { return p == "list" || p == "element" })
	return strings.Join(names, ".")
}

// begin starts a file.
func (w *beaconWriter) begin(out io.Writer) error {
	for _, l := range w.leaves {
		l.reset()
	}
	w.out, w.offset, w.groups, w.page, w.rows = out, 0, nil, 0, 0
	return w.write([]byte("PAR1"))
}

func (w *beaconWriter) write(p []byte) error { _, err := w.Write(p); return err }

// Write appends to the file.
func (w *beaconWriter) Write(p []byte) (int, error) {
	n, err := w.out.Write(p)
	w.offset += int64(n)
	return n, err
}

// add appends b, whose view is v.
func (w *beaconWriter) add(b *edge.Beacon, v *edge.View) error {
	w.columns.add(b, v)
	w.page++
	w.rows++
	if w.page == pageRows || w.rows == beaconGroupRows {
		if err := w.flushPages(); err != nil {
			return err
		}
	}
	if w.rows == beaconGroupRows {
		return w.flushGroup()
	}
	return nil
}

func (w *beaconWriter) flushPages() error {
	for _, l := range w.levels {
		if err := l.encode(); err != nil {
			return err
		}
	}
	for _, l := range w.leaves {
		if err := w.pages.flush(l, w.page); err != nil {
			return fmt.Errorf("column %v: %w", l.path, err)
		}
	}
	for _, l := range w.levels {
		l.reset()
	}
	w.page = 0
	return nil
}

// flushGroup ends the row group.
func (w *beaconWriter) flushGroup() error {
	if w.rows == 0 {
		return nil
	}
	group := w.newGroup(w.rows)
	for _, l := range w.leaves {
		chunk, err := w.pages.finish(l, w, w.offset)
		if err != nil {
			return fmt.Errorf("column %v: %w", l.path, err)
		}
		group.add(chunk)
	}
	w.groups = append(w.groups, format.RowGroup(group))
	w.rows = 0
	return nil
}

type rowGroup format.RowGroup

func (w *beaconWriter) newGroup(rows int64) rowGroup {
	return rowGroup{NumRows: rows, FileOffset: w.offset, Ordinal: int16(len(w.groups))}
}

func (g *rowGroup) add(c format.ColumnChunk) {
	g.Columns = append(g.Columns, c)
	g.TotalByteSize += c.MetaData.TotalUncompressedSize
	g.TotalCompressedSize += c.MetaData.TotalCompressedSize
}

// finish completes the file.
func (w *beaconWriter) finish() error {
	if w.page > 0 {
		if err := w.flushPages(); err != nil {
			return err
		}
	}
	if err := w.flushGroup(); err != nil {
		return err
	}
	m := w.template
	m.RowGroups = w.groups
	for i := range m.RowGroups {
		m.NumRows += m.RowGroups[i].NumRows
	}
	start := w.offset
	if err := thrift.NewEncoder(new(thrift.CompactProtocol).NewWriter(w)).Encode(&m); err != nil {
		return err
	}
	end := binary.LittleEndian.AppendUint32(nil, uint32(w.offset-start))
	return w.write(append(end, "PAR1"...))
}

// join writes several row groups as one, column by column.
func (w *beaconWriter) join(ctx context.Context, groups []parquet.RowGroup) error {
	for _, g := range groups {
		w.rows += g.NumRows()
	}
	for i, l := range w.leaves {
		for _, g := range groups {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := w.pages.copy(l, g.ColumnChunks()[i]); err != nil {
				return err
			}
		}
	}
	return w.flushGroup()
}

// copyGroup copies a row group of another file as it is.
func (w *beaconWriter) copyGroup(f *parquet.File, i int) error {
	source := &f.Metadata().RowGroups[i]
	group := w.newGroup(source.NumRows)
	for _, c := range source.Columns {
		m := c.MetaData
		start := m.DataPageOffset
		if m.DictionaryPageOffset > 0 {
			start = min(start, m.DictionaryPageOffset)
			m.DictionaryPageOffset += w.offset - start
		}
		m.DataPageOffset += w.offset - start
		m.BloomFilterOffset, m.BloomFilterLength = 0, 0
		if _, err := io.CopyN(w, io.NewSectionReader(f, start, m.TotalCompressedSize), m.TotalCompressedSize); err != nil {
			return err
		}
		group.add(format.ColumnChunk{MetaData: m})
	}
	w.groups = append(w.groups, format.RowGroup(group))
	return nil
}

// beaconFile is a file of beacons under its temporary name.
type beaconFile struct {
	*beaconWriter
	file *pendingFile
}

func createBeacons(path string, w *beaconWriter) (*beaconFile, error) {
	f, err := createPending(path)
	if err != nil {
		return nil, err
	}
	if err := w.begin(f.File); err != nil {
		f.abort()
		return nil, fmt.Errorf("store: write %s: %w", path, err)
	}
	return &beaconFile{w, f}, nil
}

func (f *beaconFile) publish() error {
	if err := f.finish(); err != nil {
		return fmt.Errorf("store: write %s: %w", f.file.path, err)
	}
	return f.file.publish()
}

func (f *beaconFile) abort() { f.file.abort() }
