package topology

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"unicode/utf8"
)

// MaxSnapshot is how long a snapshot can be, in bytes: whoever reads one from
// somewhere need not read on. The Internet takes about 5 MB.
const MaxSnapshot = 256 << 20

// Decode reads a snapshot written by Encode. It trusts nothing: the topology
// that it returns is one that Build could have made, or there is an error that
// says which part is wrong. It keeps no reference to data, and takes at most
// about 20 times as much memory. 80,000 ASes with half a million links took 20 ms
// on one busy core of 2.5 GHz (BenchmarkDecode).
func Decode(data []byte) (*Topology, error) {
	t, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("topology: decode: %w", err)
	}
	return t, nil
}

func decode(data []byte) (*Topology, error) {
	switch {
	case len(data) > MaxSnapshot:
		return nil, fmt.Errorf("%d bytes (want at most %d)", len(data), MaxSnapshot)
	case len(data) < len(magic) || string(data[:len(magic)]) != magic:
		return nil, errors.New("this is not a snapshot of a topology")
	case len(data) < headerLen+trailerLen:
		return nil, errors.New("the snapshot is cut off")
	}
	if v := binary.LittleEndian.Uint32(data[len(magic):]); v != version {
		return nil, fmt.Errorf("version %d (want %d)", v, version)
	}
	body, trailer := data[:len(data)-trailerLen], data[len(data)-trailerLen:]
	if got, want := crc32.Checksum(body, castagnoli), binary.LittleEndian.Uint32(trailer); got != want {
		return nil, fmt.Errorf("checksum %08x (want %08x): the snapshot is damaged or cut off", got, want)
	}
	r := &reader{data: body, at: headerLen}
	t := &Topology{}
	r.cities(t)
	r.sources(t)
	r.ases(t)
	r.customers(t)
	r.peers(t)
	r.footprints(t)
	r.groups(t)
	if left := r.left(); left > 0 {
		r.fail("%d bytes too many", left)
	}
	if r.err != nil {
		return nil, r.err
	}
	// Rows have both their ends by the way they are read.
	if err := t.checkValues(); err != nil {
		return nil, err
	}
	return t, nil
}

// reader takes a body apart. After the first error it reads zeros.
type reader struct {
	data    []byte
	at      int // an offset, as a pointer that moves is more work for the collector
	section string
	err     error
}

func (r *reader) left() int { return len(r.data) - r.at }

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%s: %s", r.section, fmt.Sprintf(format, args...))
	}
	r.at = len(r.data)
}

// number reads a varint that is below limit.
func (r *reader) number(limit uint64) uint64 {
	if r.at < len(r.data) {
		if v := uint64(r.data[r.at]); v < 0x80 && v < limit { // as most are
			r.at++
			return v
		}
	}
	return r.long(limit)
}

func (r *reader) long(limit uint64) uint64 {
	v, n := binary.Uvarint(r.data[r.at:])
	switch {
	case n == 0:
		r.fail("cut off")
		return 0
	case n < 0 || v >= limit:
		r.fail("a number is too large (want under %d)", limit)
		return 0
	}
	r.at += n
	return v
}

// count reads how many of something follow, of which each takes at least size
// bytes: no more than there is room for, so that nothing is made for what
// cannot come.
func (r *reader) count(limit, size int) int {
	n := int(r.number(uint64(limit) + 1))
	if n*size > r.left() {
		r.fail("cut off: %d cannot follow in %d bytes", n, r.left())
		return 0
	}
	return n
}

func (r *reader) bytes(n int) []byte {
	if n > r.left() {
		r.fail("cut off")
		return nil
	}
	r.at += n
	return r.data[r.at-n : r.at]
}

func (r *reader) string() string { return string(r.bytes(r.count(MaxSnapshot, 1))) }

func (r *reader) float64() float64 {
	if b := r.bytes(8); b != nil {
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	return 0
}

func (r *reader) cities(t *Topology) {
	r.section = "cities"
	t.Cities = make([]City, r.count(MaxMetros, 5+8+8+1))
	for i := range t.Cities {
		c := &t.Cities[i]
		c.Name = r.string()
		c.Place.Continent, c.Place.Country, c.Place.Subdivision, c.Place.City = r.string(), r.string(), r.string(), r.string()
		c.Place.Lat, c.Place.Lon = r.float64(), r.float64()
		c.Population = int(r.number(math.MaxInt64))
	}
}

func (r *reader) sources(t *Topology) {
	r.section = "sources"
	for range r.count(MaxSnapshot, 1) {
		t.Sources = append(t.Sources, r.string())
	}
}

func (r *reader) ases(t *Topology) {
	r.section = "ASes"
	// A number, a name, how many customers and peers, two of footprint.
	n := r.count(MaxASes, 6)
	t.ASNs = make([]uint32, n)
	next := uint64(0)
	for i := range t.ASNs {
		asn := next + r.number(1<<32-min(next, 1<<32-1))
		t.ASNs[i] = uint32(asn)
		next = asn + 1
		if next > 1<<32 {
			r.fail("numbers beyond 32 bits")
		}
	}
	r.section = "names"
	ends := make([]uint32, n) // MaxSnapshot fits
	sum := 0
	for i := range ends {
		sum += int(r.number(MaxSnapshot))
		ends[i] = uint32(min(sum, MaxSnapshot))
	}
	all := string(r.bytes(sum)) // one string for all names
	if !utf8.ValidString(all) {
		r.fail("not UTF-8")
	}
	t.Names = make([]string, n)
	for i, start := 0, uint32(0); i < n && r.err == nil; i++ {
		if start < ends[i] && !utf8.RuneStart(all[start]) {
			r.fail("AS%d: not UTF-8", t.ASNs[i])
		}
		t.Names[i] = all[start:ends[i]]
		start = ends[i]
	}
}

// rows reads how many links each AS has and which, ascending; later ones only,
// or any.
func (r *reader) rows(t *Topology, later bool) Links {
	n := t.Len()
	l := Links{Start: make([]uint32, n+1)}
	sum := 0
	for a := range n {
		sum += int(r.number(MaxASes))
		l.Start[a+1] = uint32(min(sum, MaxLinks+1))
	}
	if sum > MaxLinks {
		r.fail("%d links (want at most %d)", sum, MaxLinks)
	}
	all := r.bytes(4 * sum)
	if all == nil {
		return l
	}
	l.To = make([]AS, sum)
	for i := range l.To {
		l.To[i] = AS(binary.LittleEndian.Uint32(all[4*i:]))
	}
	for a := range n {
		last := AS(None)
		if later {
			last = AS(a)
		}
		for _, b := range l.Of(AS(a)) {
			if b <= last || int(b) >= n {
				r.fail("AS%d: index %d after %d (want ascending, under %d)", t.ASNs[a], b, last, n)
				return l
			}
			last = b
		}
	}
	return l
}

func (r *reader) customers(t *Topology) {
	r.section = "customers"
	t.Customers = r.rows(t, false)
	if r.err == nil {
		t.Providers = t.mirror(&t.Customers, false)
	}
}

func (r *reader) peers(t *Topology) {
	r.section = "peers"
	later := r.rows(t, true)
	if r.err == nil {
		t.Peers = t.mirror(&later, true)
	}
}

// mirror returns the links of l seen from their other ends, or from both. Its
// rows ascend, as they are filled in the order of the ASes; with both, that
// takes links to later ASes only.
func (t *Topology) mirror(l *Links, both bool) Links {
	m := Links{Start: make([]uint32, t.Len()+1)}
	for _, b := range l.To {
		m.Start[b+1]++
	}
	for a := range t.Len() {
		if both {
			m.Start[a+1] += l.Start[a+1] - l.Start[a]
		}
		m.Start[a+1] += m.Start[a]
	}
	m.To = make([]AS, m.Start[t.Len()])
	next := slices.Clone(m.Start)
	for a := range t.Len() {
		row := l.Of(AS(a))
		for _, b := range row {
			m.To[next[b]] = AS(a)
			next[b]++
		}
		if both {
			copy(m.To[next[a]:], row)
			next[a] += uint32(len(row))
		}
	}
	return m
}

func (r *reader) footprints(t *Topology) {
	r.section = "footprints"
	t.Footprint = make([]Metros, t.Len())
	metros := uint64(len(t.Cities))
	for a := range t.Footprint {
		s := &t.Footprint[a]
		n := r.count(MaxMetros, 1)
		if n == 0 {
			if b := r.bytes(bitsetLen); b != nil {
				for i := range s {
					s[i] = binary.LittleEndian.Uint64(b[8*i:])
				}
				if err := t.checkFootprint(AS(a)); err != nil {
					r.fail("%v", err)
				}
			}
			continue
		}
		next := uint64(0)
		for range n {
			next += r.number(metros - min(next, metros))
			s.Add(Metro(next % MaxMetros)) // which it is not beyond after an error only
			next++
		}
	}
}

func (r *reader) groups(t *Topology) {
	r.section = "groups"
	t.Groups = make([]Group, r.count(MaxGroups, 1+1+4))
	last := uint64(0)
	for i := range t.Groups {
		last += r.number(uint64(t.Len()) - min(last, uint64(t.Len())))
		g := &t.Groups[i]
		g.AS, g.Metro = AS(last), Metro(r.number(MaxMetros))
		if b := r.bytes(4); b != nil {
			g.Users = math.Float32frombits(binary.LittleEndian.Uint32(b))
		}
	}
}
