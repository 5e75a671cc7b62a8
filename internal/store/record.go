package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"catchment/internal/edge"
)

// A record is a beacon in the write-ahead log:
//
//	version  byte, recordVersion
//	received 8 bytes, little-endian, µs since 1970, in a fixed place so that
//	         sealing can sort by day without decoding
//	fields   in the order of encode below: texts and lists after their length,
//	         durations as float32, integers as varints
//
// It holds what the segments' columns hold and no more: durations are rounded
// to float32 (a relative error of 6e-8), received to the microsecond, and text
// that is not UTF-8 is repaired, since a file with such text is unreadable to
// some engines.
const (
	recordVersion = 1
	recordHeader  = 1 + 8

	// maxRecord bounds one beacon; the collector lets through 16 KiB of JSON.
	maxRecord = 1 << 20
)

// errRecord is why a record cannot be decoded: it was not made by appendRecord
// or has been damaged.
var errRecord = errors.New("store: malformed record in the write-ahead log")

// appendRecord appends b's record to dst.
func appendRecord(dst []byte, b *edge.Beacon) []byte {
	e := encoder{append(dst, recordVersion)}
	e.b = binary.LittleEndian.AppendUint64(e.b, uint64(b.Received.UnixMicro()))
	e.text(b.ID)
	e.text(b.Plan)
	e.b = binary.AppendVarint(e.b, b.Time)
	e.double(b.Rate)
	e.prefix(b.Client)
	e.text(b.Place.Continent)
	e.text(b.Place.Country)
	e.text(b.Place.Subdivision)
	e.text(b.Place.City)
	e.uint(uint64(b.Place.ASN))
	e.text(b.Place.ASName)
	e.double(b.Place.Lat)
	e.double(b.Place.Lon)
	e.prefix(b.Resolver.Addr)
	e.prefix(b.Resolver.ECS)
	e.text(string(b.Page.PoP))
	e.text(string(b.Page.VIP))
	e.float(b.Page.DNS)
	e.float(b.Page.Connect)
	e.float(b.Page.TLS)
	e.float(b.Page.TTFB)
	e.float(b.Page.Load)
	e.text(b.Net.Type)
	encodeTexts(&e, b.Flags)
	e.uint(uint64(len(b.Probes)))
	for i := range b.Probes {
		p := &b.Probes[i]
		e.text(string(p.Target))
		e.text(string(p.PoP))
		e.text(string(p.VIP))
		e.float(p.RTT)
		e.floats(p.Warm)
		e.floats(p.Cold)
		e.float(p.Srv)
		e.float(p.MRTT)
		e.text(p.Proto)
		e.uint(uint64(uint32(p.AF)))
		e.uint(uint64(uint32(p.Status)))
		e.text(p.Error)
		encodeTexts(&e, p.Served)
		encodeTexts(&e, p.Flags)
	}
	return e.b
}

// recordDay returns the UTC day on which a record's beacon was received.
func recordDay(record string) (edge.Day, error) {
	if len(record) < recordHeader || record[0] != recordVersion {
		return 0, errRecord
	}
	d := decoder{s: record[1:]}
	return edge.DayOf(time.UnixMicro(int64(d.fixed64()))), nil
}

// decodeRecord fills b from a record, reusing the slices that b has. Its
// strings are parts of record. The error is errRecord or one that wraps it.
func decodeRecord(b *edge.Beacon, record string) error {
	if len(record) < recordHeader {
		return errRecord
	}
	if record[0] != recordVersion {
		return fmt.Errorf("%w: version %d, this program knows %d", errRecord, record[0], recordVersion)
	}
	flags, probes := b.Flags[:0], b.Probes[:0]
	d := decoder{s: record[1:]}
	*b = edge.Beacon{V: beaconFormat}
	b.Received = time.UnixMicro(int64(d.fixed64())).UTC()
	b.ID = d.text()
	b.Plan = d.text()
	b.Time = d.varint()
	b.Rate = math.Float64frombits(d.fixed64())
	b.Client = d.prefix()
	b.Place.Continent = d.text()
	b.Place.Country = d.text()
	b.Place.Subdivision = d.text()
	b.Place.City = d.text()
	b.Place.ASN = d.uint32()
	b.Place.ASName = d.text()
	b.Place.Lat = math.Float64frombits(d.fixed64())
	b.Place.Lon = math.Float64frombits(d.fixed64())
	b.Resolver.Addr = d.prefix()
	b.Resolver.ECS = d.prefix()
	b.Page.PoP = edge.PoPID(d.text())
	b.Page.VIP = edge.VIPID(d.text())
	b.Page.DNS = d.float()
	b.Page.Connect = d.float()
	b.Page.TLS = d.float()
	b.Page.TTFB = d.float()
	b.Page.Load = d.float()
	b.Net.Type = d.text()
	b.Flags = decodeTexts(&d, flags)
	n := d.count(minProbe)
	probes = slices.Grow(probes, n)[:n]
	for i := range probes {
		p := &probes[i]
		warm, cold, served, flags := p.Warm[:0], p.Cold[:0], p.Served[:0], p.Flags[:0]
		p.Target = edge.Target(d.text())
		p.PoP = edge.PoPID(d.text())
		p.VIP = edge.VIPID(d.text())
		p.RTT = d.float()
		p.Warm = d.floats(warm)
		p.Cold = d.floats(cold)
		p.Srv = d.float()
		p.MRTT = d.float()
		p.Proto = d.text()
		p.AF = int(d.uint32())
		p.Status = int(d.uint32())
		p.Error = d.text()
		p.Served = decodeTexts(&d, served)
		p.Flags = decodeTexts(&d, flags)
	}
	b.Probes = probes
	if d.bad || d.s != "" {
		return errRecord
	}
	return nil
}

// minProbe is the least that a probe takes in a record: eleven lengths and
// integers of a byte each, three floats.
const minProbe = 11 + 3*4

type encoder struct{ b []byte }

func (e *encoder) uint(v uint64) { e.b = binary.AppendUvarint(e.b, v) }

func (e *encoder) double(v float64) {
	e.b = binary.LittleEndian.AppendUint64(e.b, math.Float64bits(v))
}

func (e *encoder) float(v float64) {
	e.b = binary.LittleEndian.AppendUint32(e.b, math.Float32bits(float32(v)))
}

func (e *encoder) floats(list []float64) {
	e.uint(uint64(len(list)))
	for _, v := range list {
		e.float(v)
	}
}

func (e *encoder) text(s string) {
	b := e.b
	if s == "" {
		e.b = append(b, 0)
		return
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	b = binary.AppendUvarint(b, uint64(len(s)))
	e.b = append(b, s...)
}

func encodeTexts[T ~string](e *encoder, list []T) {
	e.uint(uint64(len(list)))
	for _, s := range list {
		e.text(string(s))
	}
}

// prefix writes the address's length, the address and the prefix's length; no
// prefix is a zero.
func (e *encoder) prefix(p netip.Prefix) {
	switch {
	case !p.IsValid():
		e.b = append(e.b, 0)
	case p.Addr().Is4():
		a := p.Addr().As4()
		e.b = append(append(append(e.b, 4), a[:]...), byte(p.Bits()))
	default:
		a := p.Addr().As16()
		e.b = append(append(append(e.b, 16), a[:]...), byte(p.Bits()))
	}
}

// decoder reads from the front of s. After bad everything is zero.
type decoder struct {
	s   string
	bad bool
}

func (d *decoder) take(n int) string {
	if d.bad || n < 0 || n > len(d.s) {
		d.bad = true
		return ""
	}
	head := d.s[:n]
	d.s = d.s[n:]
	return head
}

func (d *decoder) fixed64() uint64 {
	s := d.take(8)
	if len(s) < 8 {
		return 0
	}
	return uint64(fixed32(s)) | uint64(fixed32(s[4:]))<<32
}

func (d *decoder) float() float64 {
	s := d.take(4)
	if len(s) < 4 {
		return 0
	}
	return float64(math.Float32frombits(fixed32(s)))
}

// fixed32 is one load.
func fixed32(s string) uint32 {
	_ = s[3]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

func (d *decoder) uvarint() (v uint64) {
	if d.s != "" && d.s[0] < 0x80 { // as nearly all are
		v = uint64(d.s[0])
		d.s = d.s[1:]
		return v
	}
	for i := range min(len(d.s), binary.MaxVarintLen64) {
		c := d.s[i]
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			d.s = d.s[i+1:]
			return v
		}
	}
	d.bad, d.s = true, ""
	return 0
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1) // zigzag, as encoding/binary
}

func (d *decoder) uint32() uint32 {
	v := d.uvarint()
	if v > math.MaxUint32 {
		d.bad = true
	}
	return uint32(v)
}

// count reads the length of a list whose elements take at least size bytes
// each, so that a damaged one cannot ask for more memory than the record
// accounts for.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if left := uint64(len(d.s)); n > left || n*uint64(size) > left {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) text() string { return d.take(d.count(1)) }

func decodeTexts[T ~string](d *decoder, dst []T) []T {
	for range d.count(1) {
		dst = append(dst, T(d.text()))
	}
	return dst
}

func (d *decoder) floats(dst []float64) []float64 {
	s := d.take(4 * d.count(4))
	for ; len(s) >= 4; s = s[4:] {
		dst = append(dst, float64(math.Float32frombits(fixed32(s))))
	}
	return dst
}

func (d *decoder) prefix() netip.Prefix {
	size := d.take(1)
	if size == "" || size[0] == 0 {
		return netip.Prefix{}
	}
	addr, ok := netip.AddrFromSlice([]byte(d.take(int(size[0]))))
	bits := d.take(1)
	if !ok || bits == "" {
		d.bad = true
		return netip.Prefix{}
	}
	p := netip.PrefixFrom(addr, int(bits[0]))
	d.bad = d.bad || !p.IsValid()
	return p
}
