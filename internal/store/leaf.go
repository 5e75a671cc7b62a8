package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

var (
	errDictionary = errors.New("an index is outside of the dictionary")
	errLevels     = errors.New("there are other numbers of levels than of values")
)

// leaf is one column of the row group that is being written: its values, and
// the pages that are full.
type leaf struct {
	path   []string
	kind   format.Type
	levels *levels // nil where every row has one value
	values values

	pages     bytes.Buffer
	encodings []format.Encoding
	numValues int64 // as Parquet counts them: empty lists are one
	unpacked  int64 // size of the pages before compression, with their headers
}

// levels say where in nested lists the values of a page are. The columns of one
// list share them.
type levels struct {
	maxRep, maxDef byte
	rep, def       []byte
	packed         []byte // both, encoded
	repBytes       int    // of packed
}

func (l *levels) add(rep, def byte) { l.rep, l.def = append(l.rep, rep), append(l.def, def) }

// encode packs the levels, before the columns that share them are flushed.
func (l *levels) encode() error {
	l.packed = l.packed[:0]
	e := rle.Encoding{BitWidth: bits.Len8(l.maxRep)}
	packed, err := e.EncodeLevels(l.packed, l.rep)
	if err != nil {
		return err
	}
	l.packed, l.repBytes = packed, len(packed)
	e.BitWidth = bits.Len8(l.maxDef)
	packed, err = e.EncodeLevels(l.packed[l.repBytes:], l.def)
	l.packed = append(l.packed, packed...)
	return err
}

func (l *levels) reset() { l.rep, l.def = l.rep[:0], l.def[:0] }

// pageWriter encodes pages; one serves all columns.
type pageWriter struct {
	codec      zstd.Codec
	raw, small []byte
	header     bytes.Buffer
}

// flush makes a page of the values that gathered, of so many rows. The levels
// have been encoded.
func (w *pageWriter) flush(l *leaf, rows int) error {
	if rows == 0 {
		return nil
	}
	raw, encoding, n, packed, err := l.values.encode(w.raw[:0])
	if err != nil {
		return err
	}
	w.raw = raw
	count := n
	head := format.DataPageHeaderV2{NumRows: int32(rows), Encoding: encoding}
	var levels []byte
	if l.levels != nil {
		levels, count = l.levels.packed, len(l.levels.def)
		head.RepetitionLevelsByteLength = int32(l.levels.repBytes)
		head.DefinitionLevelsByteLength = int32(len(levels) - l.levels.repBytes)
		if n > count {
			return errLevels
		}
	} else if n != rows {
		return errLevels
	}
	head.NumValues, head.NumNulls = int32(count), int32(count-n)
	page := raw
	if !packed {
		if page, err = w.compress(raw); err != nil {
			return err
		}
	}
	head.IsCompressed = thrift.New(!packed)
	err = w.put(l, format.PageHeader{
		Type:             format.DataPageV2,
		DataPageHeaderV2: thrift.New(head),
	}, levels, page, len(raw))
	l.numValues += int64(count)
	l.uses(encoding)
	return err
}

func (w *pageWriter) compress(raw []byte) (small []byte, err error) {
	w.small, err = w.codec.Encode(w.small[:0], raw)
	return w.small, err
}

func (l *leaf) uses(e format.Encoding) {
	if !slices.Contains(l.encodings, e) {
		l.encodings = append(l.encodings, e)
	}
}

// put appends a page to those of l; size is that of the page uncompressed.
func (w *pageWriter) put(l *leaf, h format.PageHeader, levels, page []byte, size int) error {
	if err := w.head(&h, levels, page, size); err != nil {
		return err
	}
	l.unpacked += int64(w.header.Len() + len(levels) + size)
	l.pages.Write(w.header.Bytes())
	l.pages.Write(levels)
	l.pages.Write(page)
	return nil
}

func (w *pageWriter) head(h *format.PageHeader, levels, page []byte, size int) error {
	h.UncompressedPageSize = int32(len(levels) + size)
	h.CompressedPageSize = int32(len(levels) + len(page))
	h.CRC = int32(crc32.Update(crc32.ChecksumIEEE(levels), crc32.IEEETable, page))
	w.header.Reset()
	return thrift.NewEncoder(new(thrift.CompactProtocol).NewWriter(&w.header)).Encode(h)
}

// finish writes the column's chunk at the offset of the file, and resets it.
func (w *pageWriter) finish(l *leaf, out io.Writer, offset int64) (format.ColumnChunk, error) {
	m := format.ColumnMetaData{
		Type: l.kind, PathInSchema: l.path, Codec: format.Zstd, NumValues: l.numValues,
		TotalUncompressedSize: l.unpacked, TotalCompressedSize: int64(l.pages.Len()), DataPageOffset: offset,
	}
	if plain, n := l.values.dictionary(); n > 0 {
		small, err := w.compress(plain)
		if err != nil {
			return format.ColumnChunk{}, err
		}
		h := format.PageHeader{
			Type:                 format.DictionaryPage,
			DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: int32(n), Encoding: format.Plain}),
		}
		if err := w.head(&h, nil, small, len(plain)); err != nil {
			return format.ColumnChunk{}, err
		}
		for _, part := range [][]byte{w.header.Bytes(), small} {
			if _, err := out.Write(part); err != nil {
				return format.ColumnChunk{}, err
			}
		}
		m.DictionaryPageOffset = offset
		m.DataPageOffset += int64(w.header.Len() + len(small))
		m.TotalCompressedSize += int64(w.header.Len() + len(small))
		m.TotalUncompressedSize += int64(w.header.Len() + len(plain))
		l.uses(format.Plain)
	}
	if l.levels != nil {
		l.uses(format.RLE)
	}
	slices.Sort(l.encodings)
	m.Encoding = slices.Clone(l.encodings)
	if t, ok := l.values.(*times); ok && t.any {
		m.Statistics = format.Statistics{
			MinValue: binary.LittleEndian.AppendUint64(nil, uint64(t.min)),
			MaxValue: binary.LittleEndian.AppendUint64(nil, uint64(t.max)),
		}
	}
	if _, err := out.Write(l.pages.Bytes()); err != nil {
		return format.ColumnChunk{}, err
	}
	l.reset()
	return format.ColumnChunk{MetaData: m}, nil
}

func (l *leaf) reset() {
	l.values.reset()
	l.pages.Reset()
	l.encodings, l.numValues, l.unpacked = l.encodings[:0], 0, 0
	if l.levels != nil {
		l.levels.reset()
	}
}

// copy appends a column chunk of another file, page by page, without taking
// values apart that a dictionary holds.
func (w *pageWriter) copy(l *leaf, chunk parquet.ColumnChunk) (err error) {
	pages := chunk.Pages()
	defer func() { err = cmp.Or(err, pages.Close()) }()
	for first := true; ; first = false {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		err = w.copyPage(l, page, first)
		parquet.Release(page)
		if err != nil {
			return fmt.Errorf("column %v: %w", l.path, err)
		}
	}
}

func (w *pageWriter) copyPage(l *leaf, page parquet.Page, first bool) error {
	if err := l.values.appendPage(page, first); err != nil {
		return err
	}
	if l.levels != nil {
		l.levels.rep = append(l.levels.rep, page.RepetitionLevels()...)
		l.levels.def = append(l.levels.def, page.DefinitionLevels()...)
		if err := l.levels.encode(); err != nil {
			return err
		}
		defer l.levels.reset()
	}
	return w.flush(l, int(page.NumRows()))
}
