package store

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"
	"math/bits"
	"net/netip"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/format"
)

// values are those of one column that are not yet in a page, and the column's
// dictionary in this row group.
type values interface {
	// encode appends the page of the values to dst and forgets them. It returns
	// how many there were. Encodings that leave nothing to compress are packed.
	encode(dst []byte) (page []byte, e format.Encoding, n int, packed bool, err error)
	// dictionary returns the PLAIN encoding of the dictionary, of n entries.
	dictionary() (plain []byte, n int)
	// appendPage appends the values of another file's page. The dictionary that
	// it refers to is first when it is the chunk's first page.
	appendPage(p parquet.Page, first bool) error
	// reset forgets everything, for another row group.
	reset()
}

const (
	// A dictionary is no longer used, from the next page on, when it has become
	// larger than this: indexes of seventeen bits save little of a number, and
	// look-ups leave the cache.
	maxDictionary      = 1 << 16
	maxDictionaryBytes = 1 << 20
)

// numbers are float32, float64 or uint32 by their bits, with a dictionary:
// browsers resolve 0.1 ms, so that even durations repeat.
type numbers[K uint32 | uint64] struct {
	keys  []K             // the dictionary
	slots []numberSlot[K] // likewise, hashed
	shift uint            // of a hash, for as many bits as there are slots
	full  bool            // no dictionary any more
	remap []int32         // of a source's dictionary

	last    int32 // index of the number before: neighbors are often equal
	indexes []int32
	raw     []K
}

// numberSlot holds 1 + the index of a key, or 0, and the key: one cache miss.
type numberSlot[K uint32 | uint64] struct {
	key K
	n   uint32
}

func (v *numbers[K]) add(k K) {
	switch {
	case v.full:
		v.raw = append(v.raw, k)
		return
	case len(v.keys) == 0 || v.keys[v.last] != k:
		v.last = v.index(k)
	}
	v.indexes = append(v.indexes, v.last)
}

// index returns k's place in the dictionary, which it is added to if it is new.
func (v *numbers[K]) index(k K) int32 {
	if 2*len(v.keys) >= len(v.slots) {
		v.grow()
	}
	mask := uint32(len(v.slots) - 1)
	for i := v.home(k); ; i = (i + 1) & mask {
		slot := &v.slots[i&mask]
		if slot.n == 0 {
			v.keys = append(v.keys, k)
			*slot = numberSlot[K]{k, uint32(len(v.keys))}
			return int32(len(v.keys) - 1)
		}
		if slot.key == k {
			return int32(slot.n - 1)
		}
	}
}

// home is the slot to begin with, by Fibonacci hashing.
func (v *numbers[K]) home(k K) uint32 {
	return uint32(uint64(k) * 0x9e3779b97f4a7c15 >> (v.shift & 63))
}

func (v *numbers[K]) grow() {
	v.slots = make([]numberSlot[K], max(64, 2*len(v.slots)))
	v.shift = 64 - uint(bits.Len(uint(len(v.slots)-1)))
	mask := uint32(len(v.slots) - 1)
	for n, k := range v.keys {
		i := v.home(k)
		for v.slots[i].n != 0 {
			i = (i + 1) & mask
		}
		v.slots[i] = numberSlot[K]{k, uint32(n + 1)}
	}
}

func (v *numbers[K]) encode(dst []byte) ([]byte, format.Encoding, int, bool, error) {
	if len(v.indexes) > 0 {
		page, err := encodeIndexes(dst, v.indexes)
		n := len(v.indexes)
		v.indexes = v.indexes[:0]
		v.full = len(v.keys) > maxDictionary
		return page, format.RLEDictionary, n, true, err
	}
	n := len(v.raw)
	dst = plainNumbers(dst, v.raw)
	v.raw = v.raw[:0]
	return dst, format.Plain, n, false, nil
}

func plainNumbers[K uint32 | uint64](dst []byte, list []K) []byte {
	switch list := any(list).(type) {
	case []uint32:
		for _, k := range list {
			dst = binary.LittleEndian.AppendUint32(dst, k)
		}
	case []uint64:
		for _, k := range list {
			dst = binary.LittleEndian.AppendUint64(dst, k)
		}
	}
	return dst
}

func (v *numbers[K]) dictionary() ([]byte, int) { return plainNumbers(nil, v.keys), len(v.keys) }

func (v *numbers[K]) reset() {
	v.keys, v.indexes, v.raw, v.last, v.full = v.keys[:0], v.indexes[:0], v.raw[:0], 0, false
	clear(v.slots)
}

func (v *numbers[K]) appendPage(p parquet.Page, first bool) error {
	dictionary, data := p.Dictionary(), p.Data()
	if dictionary == nil {
		return eachNumber(data, v.add)
	}
	if first {
		v.remap = v.remap[:0]
		// Beyond the limit the rest may be plain; what is looked up stays valid.
		if err := eachNumber(dictionary.Page().Data(), func(k K) { v.remap = append(v.remap, v.index(k)) }); err != nil {
			return err
		}
	}
	for _, i := range data.Int32() {
		if uint(i) >= uint(len(v.remap)) {
			return errDictionary
		}
		if j := v.remap[i]; v.full {
			v.raw = append(v.raw, v.keys[j])
		} else {
			v.indexes = append(v.indexes, j)
		}
	}
	return nil
}

// eachNumber calls add with the values of a page by their bits.
func eachNumber[K uint32 | uint64](data encoding.Values, add func(K)) error {
	wide := ^K(0) > math.MaxUint32
	switch kind := data.Kind(); {
	case kind == encoding.Int32 && !wide:
		for _, k := range data.Uint32() {
			add(K(k))
		}
	case kind == encoding.Float && !wide:
		for _, k := range data.Float() {
			add(K(math.Float32bits(k)))
		}
	case kind == encoding.Double && wide:
		for _, k := range data.Double() {
			add(K(math.Float64bits(k)))
		}
	default:
		return fmt.Errorf("values of type %v (want numbers)", kind)
	}
	return nil
}

// encodeIndexes appends indexes into a dictionary.
func encodeIndexes(dst []byte, indexes []int32) ([]byte, error) {
	var e rle.DictionaryEncoding
	page, err := e.EncodeInt32(dst[len(dst):], indexes)
	return append(dst, page...), err
}

// texts are strings with a dictionary.
type texts struct {
	names []string // the dictionary
	plain []byte   // likewise, encoded
	seed  maphash.Seed
	slots []textSlot // hashed
	full  bool       // no dictionary any more
	remap []int32    // of a source's dictionary

	last    int32 // index of the text before: neighbors are often equal
	indexes []int32
	raw     []byte // PLAIN encoding
	rawN    int
}

// textSlot holds 1 + the index of a name, or 0, and a part of its hash.
type textSlot struct{ name, hash uint32 }

func (v *texts) add(s string) {
	switch {
	case v.full:
		v.raw, v.rawN = appendText(v.raw, s), v.rawN+1
		return
	case len(v.names) == 0 || v.names[v.last] != s:
		v.last = v.index(s)
	}
	v.indexes = append(v.indexes, v.last)
}

// addBytes is add of a text that is not kept.
func (v *texts) addBytes(b []byte) {
	if v.full {
		v.raw, v.rawN = appendText(v.raw, b), v.rawN+1
		return
	}
	v.last = v.index(string(b))
	v.indexes = append(v.indexes, v.last)
}

// index returns the place of s in the dictionary, which a copy of it is added
// to if it is new: it may be part of a larger text.
func (v *texts) index(s string) int32 {
	if 2*len(v.names) >= len(v.slots) {
		v.grow()
	}
	hash := uint32(maphash.String(v.seed, s))
	mask := uint32(len(v.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		slot := v.slots[i]
		if slot.name == 0 {
			v.names = append(v.names, strings.Clone(s))
			v.plain = appendText(v.plain, s)
			v.slots[i] = textSlot{uint32(len(v.names)), hash}
			return int32(len(v.names) - 1)
		}
		if slot.hash == hash && v.names[slot.name-1] == s {
			return int32(slot.name - 1)
		}
	}
}

func (v *texts) grow() {
	if v.slots == nil {
		v.seed = maphash.MakeSeed()
	}
	old := v.slots
	v.slots = make([]textSlot, max(64, 2*len(old)))
	mask := uint32(len(v.slots) - 1)
	for _, slot := range old {
		if slot.name != 0 {
			i := slot.hash & mask
			for v.slots[i].name != 0 {
				i = (i + 1) & mask
			}
			v.slots[i] = slot
		}
	}
}

// appendText appends the PLAIN encoding of a text.
func appendText[T string | []byte](dst []byte, s T) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(s))), s...)
}

func (v *texts) encode(dst []byte) ([]byte, format.Encoding, int, bool, error) {
	if len(v.indexes) > 0 {
		page, err := encodeIndexes(dst, v.indexes)
		n := len(v.indexes)
		v.indexes = v.indexes[:0]
		v.full = len(v.names) > maxDictionary || len(v.plain) > maxDictionaryBytes
		return page, format.RLEDictionary, n, true, err
	}
	n := v.rawN
	dst = append(dst, v.raw...)
	v.raw, v.rawN = v.raw[:0], 0
	return dst, format.Plain, n, false, nil
}

func (v *texts) dictionary() ([]byte, int) { return v.plain, len(v.names) }

func (v *texts) reset() {
	clear(v.slots)
	clear(v.names)
	v.names, v.plain, v.indexes, v.raw = v.names[:0], v.plain[:0], v.indexes[:0], v.raw[:0]
	v.rawN, v.last, v.full = 0, 0, false
}

func (v *texts) appendPage(p parquet.Page, first bool) error {
	dictionary := p.Dictionary()
	if dictionary == nil {
		return eachText(p.Data(), v.addBytes)
	}
	if first {
		v.remap = v.remap[:0]
		err := eachText(dictionary.Page().Data(), func(b []byte) { v.remap = append(v.remap, v.index(string(b))) })
		if err != nil {
			return err
		}
	}
	data := p.Data()
	for _, i := range data.Int32() {
		if uint(i) >= uint(len(v.remap)) {
			return errDictionary
		}
		if j := v.remap[i]; v.full {
			v.raw, v.rawN = appendText(v.raw, v.names[j]), v.rawN+1
		} else {
			v.indexes = append(v.indexes, j)
		}
	}
	return nil
}

// eachText calls add with the texts of a page, valid only meanwhile.
func eachText(data encoding.Values, add func([]byte)) error {
	if data.Kind() != encoding.ByteArray {
		return fmt.Errorf("values of type %v (want texts)", data.Kind())
	}
	raw, offsets := data.ByteArray()
	for i := range max(1, len(offsets)) - 1 {
		add(raw[offsets[i]:offsets[i+1]])
	}
	return nil
}

// tokens are texts no two of which are alike.
type tokens struct {
	data    []byte
	offsets []uint32 // the end of each
	bounds  []uint32
}

func (v *tokens) add(s string) {
	v.data = append(v.data, s...)
	v.offsets = append(v.offsets, uint32(len(v.data)))
}

func (v *tokens) encode(dst []byte) ([]byte, format.Encoding, int, bool, error) {
	var e delta.LengthByteArrayEncoding
	v.bounds = append(append(v.bounds[:0], 0), v.offsets...)
	page, err := e.EncodeByteArray(dst[len(dst):], v.data, v.bounds)
	n := len(v.offsets)
	v.data, v.offsets = v.data[:0], v.offsets[:0]
	return append(dst, page...), format.DeltaLengthByteArray, n, false, err
}

func (v *tokens) dictionary() ([]byte, int) { return nil, 0 }

func (v *tokens) reset() { v.data, v.offsets = v.data[:0], v.offsets[:0] }

func (v *tokens) appendPage(p parquet.Page, _ bool) error {
	if p.Dictionary() != nil {
		return errDictionary
	}
	return eachText(p.Data(), func(b []byte) {
		v.data = append(v.data, b...)
		v.offsets = append(v.offsets, uint32(len(v.data)))
	})
}

// times are integers that differ little from those before them.
type times struct {
	list     []int64
	min, max int64 // of the row group
	any      bool
}

func (v *times) add(t int64) {
	v.list = append(v.list, t)
	if !v.any {
		v.min, v.max, v.any = t, t, true
	}
	v.min, v.max = min(v.min, t), max(v.max, t)
}

func (v *times) encode(dst []byte) ([]byte, format.Encoding, int, bool, error) {
	var e delta.BinaryPackedEncoding
	page, err := e.EncodeInt64(dst[len(dst):], v.list)
	n := len(v.list)
	v.list = v.list[:0]
	return append(dst, page...), format.DeltaBinaryPacked, n, true, err
}

func (v *times) dictionary() ([]byte, int) { return nil, 0 }

func (v *times) reset() { v.list, v.any = v.list[:0], false }

func (v *times) appendPage(p parquet.Page, _ bool) error {
	if p.Dictionary() != nil {
		return errDictionary
	}
	data := p.Data()
	if data.Kind() != encoding.Int64 {
		return fmt.Errorf("values of type %v (want integers)", data.Kind())
	}
	list := data.Int64()
	v.list = slices.Grow(v.list, len(list))
	for _, t := range list {
		v.add(t)
	}
	return nil
}

// prefixes are addresses with a length, written as texts. Most are IPv4, and
// found without writing them.
type prefixes struct {
	texts
	v4    numbers[uint64] // key: address and length
	index []int32         // in texts, of each of v4
	buf   []byte
}

func (v *prefixes) add(p netip.Prefix) {
	switch {
	case !p.IsValid():
		v.texts.add("")
	case !p.Addr().Is4() || v.full:
		v.buf = p.AppendTo(v.buf[:0])
		v.addBytes(v.buf)
	default:
		a := p.Addr().As4()
		n := v.v4.index(uint64(binary.BigEndian.Uint32(a[:]))<<8 | uint64(p.Bits()))
		if int(n) == len(v.index) {
			v.buf = p.AppendTo(v.buf[:0])
			v.index = append(v.index, v.texts.index(string(v.buf)))
		}
		v.indexes = append(v.indexes, v.index[n])
	}
}

func (v *prefixes) reset() {
	v.texts.reset()
	v.v4.reset()
	v.index = v.index[:0]
}
