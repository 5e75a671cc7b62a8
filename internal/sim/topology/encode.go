package topology

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

// A snapshot is
//
//	magic     8 bytes
//	version   uint32
//	body
//	checksum  uint32, CRC-32C of all before it
//
// with all numbers little-endian. The checksum tells a damaged file from a good one; it
// is not a cryptographic one, since whoever can change a file can change its
// checksum too, and Decode trusts nothing that it reads. CRC-32C takes about a
// millisecond for the Internet, SHA-256 many times that.
//
// The body is a row of sections. Numbers are LEB128 varints (as in
// encoding/binary) but where a type stands, strings a length and that many
// bytes. What ascends is written as differences, less one where they cannot be
// 0, so that most take one byte, except links, of which there are too many:
// fixed widths load faster. Of what holds twice, as every link does, one half
// is written.
//
//	cities     count; each: name, continent, country, subdivision, city,
//	           latitude and longitude (float64), population
//	sources    count; each a string
//	ASes       count; the numbers; the lengths of all names; all names
//	customers  for each AS how many; all of them, as indexes of ASes (uint32)
//	peers      the same; only those that come later
//	footprint  for each AS: how many metros; which, from 0 up. Or 0 and a bitset
//	           of 64 bytes
//	groups     count; each: AS, from that of the one before; metro; users (float32)
const (
	magic   = "\x89AStopo\n" // as PNG's: not text, and spoilt by whoever takes it for text
	version = 1

	headerLen  = len(magic) + 4
	trailerLen = 4

	bitsetLen = MaxMetros / 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode writes a snapshot of t that Decode reads: about 5 MB for 80,000 ASes
// with half a million links, and names. The same topology gives the same bytes.
// It fails if t is not one that Decode would accept, which cannot happen with
// one made by Build from valid UTF-8, and with the errors of w.
func (t *Topology) Encode(w io.Writer) error {
	b, err := t.appendSnapshot(nil)
	if err == nil {
		_, err = w.Write(b)
	}
	if err != nil {
		return fmt.Errorf("topology: encode: %w", err)
	}
	return nil
}

func (t *Topology) appendSnapshot(b []byte) ([]byte, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = appendCities(b, t.Cities)
	b = appendLen(b, len(t.Sources))
	for _, s := range t.Sources {
		b = appendString(b, s)
	}
	b = t.appendASes(b)
	b = t.appendLinks(b, t.Customers.Of)
	b = t.appendLinks(b, func(a AS) []AS { return above(t.Peers.Of(a), a) })
	for a := range t.Footprint {
		b = appendFootprint(b, &t.Footprint[a])
	}
	b = appendLen(b, len(t.Groups))
	last := AS(0)
	for _, g := range t.Groups {
		b = appendLen(b, int(g.AS-last))
		b = appendLen(b, int(g.Metro))
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(g.Users))
		last = g.AS
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)), nil
}

func appendCities(b []byte, cities []City) []byte {
	b = appendLen(b, len(cities))
	for i := range cities {
		c := &cities[i]
		for _, s := range []string{c.Name, c.Place.Continent, c.Place.Country, c.Place.Subdivision, c.Place.City} {
			b = appendString(b, s)
		}
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(c.Place.Lat))
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(c.Place.Lon))
		b = appendLen(b, c.Population)
	}
	return b
}

func (t *Topology) appendASes(b []byte) []byte {
	b = appendLen(b, t.Len())
	next := uint32(0)
	for _, asn := range t.ASNs {
		b = binary.AppendUvarint(b, uint64(asn-next))
		next = asn + 1
	}
	for _, s := range t.Names {
		b = appendLen(b, len(s))
	}
	for _, s := range t.Names {
		b = append(b, s...)
	}
	return b
}

func (t *Topology) appendLinks(b []byte, of func(AS) []AS) []byte {
	for a := range t.Len() {
		b = appendLen(b, len(of(AS(a))))
	}
	for a := range t.Len() {
		for _, n := range of(AS(a)) {
			b = binary.LittleEndian.AppendUint32(b, uint32(n))
		}
	}
	return b
}

func appendFootprint(b []byte, s *Metros) []byte {
	n := s.Len()
	if n >= bitsetLen { // the bitset is shorter
		b = appendLen(b, 0)
		for _, w := range s {
			b = binary.LittleEndian.AppendUint64(b, w)
		}
		return b
	}
	b = appendLen(b, n)
	next := Metro(0)
	for m := range s.All() {
		b = appendLen(b, int(m-next))
		next = m + 1
	}
	return b
}

func appendLen(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)) }

func appendString(b []byte, s string) []byte { return append(appendLen(b, len(s)), s...) }

// above returns the part of an ascending row that is above a.
func above(row []AS, a AS) []AS {
	for i, b := range row {
		if b > a {
			return row[i:]
		}
	}
	return nil
}
