package duckdb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"

	"catchment/internal/edge"
)

// column is one column of one row group: a value per row, or a list per row.
// Its memory is used again for the next row group.
type column[T any] struct {
	kind   encoding.Kind
	plain  func([]T, encoding.Values) []T // appends values of that kind
	list   bool
	values []T
	starts []int // lists: row i is values[starts[i]:starts[i+1]]
	table  []T   // dictionary of the column chunk
}

func (c *column[T]) row(i int) []T { return c.values[c.starts[i]:c.starts[i+1]] }

// absent makes the column what a version of the schema that did not have it
// means: zeros, or empty lists.
func (c *column[T]) absent(rows int) {
	c.values, c.starts = c.values[:0], c.starts[:0]
	if c.list {
		c.starts = append(c.starts, make([]int, rows+1)...)
		return
	}
	c.values = append(c.values, make([]T, rows)...)
}

// maxGrow bounds the room made for values that a file only claims to hold.
const maxGrow = 1 << 20

// read decodes a column chunk of so many rows.
func (c *column[T]) read(chunk parquet.ColumnChunk, leaf parquet.LeafColumn, rows int) error {
	wantLevels := 0
	if c.list {
		wantLevels = 1
	}
	if leaf.MaxRepetitionLevel != wantLevels {
		return fmt.Errorf("nesting is %d deep (want %d)", leaf.MaxRepetitionLevel, wantLevels)
	}
	c.values, c.starts, c.table = c.values[:0], c.starts[:0], c.table[:0]
	c.values = slices.Grow(c.values, int(min(max(0, chunk.NumValues()), maxGrow)))
	if c.list {
		c.starts = slices.Grow(c.starts, min(max(0, rows), maxGrow)+1)
	}
	pages := chunk.Pages()
	defer pages.Close()
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		err = c.append(page, byte(leaf.MaxDefinitionLevel))
		parquet.Release(page)
		if err != nil {
			return err
		}
	}
	got := len(c.values)
	if c.list {
		got = len(c.starts)
		c.starts = append(c.starts, len(c.values))
	}
	if got != rows {
		return fmt.Errorf("it has %d rows (want %d)", got, rows)
	}
	return nil
}

func (c *column[T]) append(page parquet.Page, defined byte) error {
	before := len(c.values)
	if err := c.appendValues(page); err != nil {
		return err
	}
	got, def := len(c.values)-before, page.DefinitionLevels()
	if c.list {
		return c.appendStarts(before, got, page.RepetitionLevels(), def, defined)
	}
	if len(def) == 0 || len(def) == got {
		return nil
	}
	// Nulls, which other writers may have made of zeros: spread the values out.
	values := slices.Clone(c.values[before:])
	c.values = c.values[:before]
	for _, d := range def {
		var v T
		if d == defined {
			if len(values) == 0 {
				return errLevels
			}
			v, values = values[0], values[1:]
		}
		c.values = append(c.values, v)
	}
	if len(values) > 0 {
		return errLevels
	}
	return nil
}

var errLevels = errors.New("levels and values do not fit together")

// appendStarts finds where lists start: at repetition level 0. A level without
// a value (its definition level says so) is an empty list.
func (c *column[T]) appendStarts(at, got int, rep, def []byte, defined byte) error {
	if len(rep) != len(def) || len(c.starts) == 0 && len(rep) > 0 && rep[0] != 0 {
		return errLevels
	}
	if len(rep) == got { // no list is empty
		for i := 0; i < len(rep); i++ {
			next := bytes.IndexByte(rep[i:], 0)
			if next < 0 {
				break
			}
			i += next
			c.starts = append(c.starts, at+i)
		}
		return nil
	}
	end := at
	for i, r := range rep {
		if r == 0 {
			c.starts = append(c.starts, end)
		}
		if def[i] == defined {
			end++
		}
	}
	if end != at+got {
		return errLevels
	}
	return nil
}

func (c *column[T]) appendValues(page parquet.Page) error {
	data := page.Data()
	dictionary := page.Dictionary()
	if dictionary == nil {
		if data.Kind() != c.kind {
			return fmt.Errorf("type is %v (want %v)", data.Kind(), c.kind)
		}
		c.values = c.plain(c.values, data)
		return nil
	}
	if len(c.table) == 0 { // a column chunk has one dictionary
		data := dictionary.Page().Data()
		if data.Kind() != c.kind {
			return fmt.Errorf("type is %v (want %v)", data.Kind(), c.kind)
		}
		c.table = c.plain(c.table, data)
	}
	indexes, table, n := data.Int32(), c.table, len(c.values)
	c.values = slices.Grow(c.values, len(indexes))[:n+len(indexes)]
	to := c.values[n:]
	for i, index := range indexes {
		if uint(index) >= uint(len(table)) {
			return fmt.Errorf("index %d is outside of the dictionary of %d", index, len(table))
		}
		to[i] = table[index]
	}
	return nil
}

func int64Column() column[int64] {
	return column[int64]{kind: encoding.Int64, plain: func(dst []int64, v encoding.Values) []int64 { return append(dst, v.Int64()...) }}
}

func uint32Column() column[uint32] {
	return column[uint32]{kind: encoding.Int32, plain: func(dst []uint32, v encoding.Values) []uint32 { return append(dst, v.Uint32()...) }}
}

func uint32Lists() column[uint32] {
	c := uint32Column()
	c.list = true
	return c
}

func sampleLists() column[edge.Sample] {
	return column[edge.Sample]{kind: encoding.Int32, list: true, plain: func(dst []edge.Sample, v encoding.Values) []edge.Sample {
		values := v.Uint32()
		n := len(dst)
		dst = slices.Grow(dst, len(values))[:n+len(values)]
		for i, s := range values {
			dst[n+i] = edge.Sample(s)
		}
		return dst
	}}
}

func uint64Lists() column[uint64] {
	return column[uint64]{kind: encoding.Int64, list: true, plain: func(dst []uint64, v encoding.Values) []uint64 { return append(dst, v.Uint64()...) }}
}

func float64Column() column[float64] {
	return column[float64]{kind: encoding.Double, plain: func(dst []float64, v encoding.Values) []float64 { return append(dst, v.Double()...) }}
}

func float64Lists() column[float64] {
	c := float64Column()
	c.list = true
	return c
}

func float32Lists() column[float32] {
	return column[float32]{kind: encoding.Float, list: true, plain: func(dst []float32, v encoding.Values) []float32 { return append(dst, v.Float()...) }}
}

// textColumn makes one Go string of equal texts, through names.
func textColumn(names interner) column[string] {
	return column[string]{kind: encoding.ByteArray, plain: func(dst []string, v encoding.Values) []string {
		data, offsets := v.ByteArray()
		for i := range max(1, len(offsets)) - 1 {
			dst = append(dst, names.intern(data[offsets[i]:offsets[i+1]]))
		}
		return dst
	}}
}

func textLists(names interner) column[string] {
	c := textColumn(names)
	c.list = true
	return c
}

// interner keeps one string of each text.
type interner map[string]string

func (in interner) intern(b []byte) string {
	if s, ok := in[string(b)]; ok { // does not allocate
		return s
	}
	s := string(b)
	in[s] = s
	return s
}
