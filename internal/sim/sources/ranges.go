package sources

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"slices"
)

// span is a range of addresses of one family, both ends included, and what it
// is said to be. Of an IPv6 address the first 64 bits count: the rest are of
// one host or link, which is in one network and one place.
type span struct {
	first, last uint64
	value       uint32
}

// ranges are spans in the order in which they were read.
type ranges []span

// add keeps a span, or makes the last one longer by it. False: there are too
// many.
func (r *ranges) add(s span) bool {
	if n := len(*r); n > 0 {
		if l := &(*r)[n-1]; l.value == s.value && l.last != math.MaxUint64 && l.last+1 == s.first {
			l.last = s.last
			return true
		}
	}
	if len(*r) >= maxRanges {
		return false
	}
	*r = append(*r, s)
	return true
}

// disjoint returns the spans ascending and without overlap. Where some do
// overlap the one that starts later holds, of those that start together the
// shorter one, and of equal ones that which was read last.
func (r ranges) disjoint() ranges {
	ascend := func(a, b span) int { return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(b.last, a.last)) }
	if !slices.IsSortedFunc(r, ascend) {
		r = slices.Clone(r)
		slices.SortStableFunc(r, ascend)
	}
	apart := true
	for i := 1; i < len(r) && apart; i++ {
		apart = r[i].first > r[i-1].last
	}
	if apart {
		return r
	}
	var out, open ranges // open: spans around position at, the one that holds last
	at := uint64(0)
	// settle writes what holds from at to last.
	settle := func(last uint64) {
		for len(open) > 0 && at <= last {
			top := open[len(open)-1]
			if top.last < at {
				open = open[:len(open)-1]
				continue
			}
			end := min(top.last, last)
			out = append(out, span{at, end, top.value})
			if end == math.MaxUint64 {
				open = nil
				return
			}
			at = end + 1
		}
	}
	for _, s := range r {
		if s.first > 0 {
			settle(s.first - 1)
		}
		at = s.first
		open = append(open, s)
	}
	settle(math.MaxUint64)
	return out
}

// overlap calls each for every range that is in both of two disjoint rows.
func overlap(a, b ranges, each func(x, y uint32, first, last uint64)) {
	for len(a) > 0 && len(b) > 0 {
		first, last := max(a[0].first, b[0].first), min(a[0].last, b[0].last)
		if first <= last {
			each(a[0].value, b[0].value, first, last)
		}
		if a[0].last < b[0].last {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
}

// The families, as indexes.
const (
	v4 = iota
	v6
)

// parseRange reads both ends of a range, as addresses or as numbers.
func parseRange(from, to []byte) (family int, first, last uint64, err error) {
	family, lo, err := parseAddress(from)
	if err != nil {
		return 0, 0, 0, err
	}
	other, hi, err := parseAddress(to)
	switch {
	case err != nil:
		return 0, 0, 0, err
	case other != family:
		return 0, 0, 0, fmt.Errorf("%s and %s are of different families", quote(from), quote(to))
	case hi.less(lo):
		return 0, 0, 0, fmt.Errorf("%s comes after %s", quote(from), quote(to))
	case family == v4:
		return v4, lo.lo, hi.lo, nil
	}
	return v6, lo.hi, hi.hi, nil
}

// number is an address; an IPv4 address has the low 32 bits.
type number struct{ hi, lo uint64 }

func (n number) less(m number) bool { return n.hi < m.hi || n.hi == m.hi && n.lo < m.lo }

// parseAddress reads an address as text or as a decimal number: of IPv4 if it
// is below 2^32, where IPv6 has nobody.
func parseAddress(b []byte) (family int, n number, err error) {
	if a, ok := parseIPv4(b); ok {
		return v4, number{0, a}, nil
	}
	if n, ok := parseNumber(b); ok {
		if n.hi == 0 && n.lo < 1<<32 {
			return v4, n, nil
		}
		return v6, n, nil
	}
	if a, err := netip.ParseAddr(string(b)); err == nil && a.Zone() == "" {
		f, n := numberOf(a)
		return f, n, nil
	}
	return 0, number{}, fmt.Errorf("%s is not an address (want such as 192.0.2.1, 2001:db8::1 or 3221225985)", quote(b))
}

func numberOf(a netip.Addr) (family int, n number) {
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		return v4, number{0, uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	return v6, number{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// parseIPv4 reads dotted decimals. Files have millions of them.
func parseIPv4(b []byte) (uint64, bool) {
	var a, part uint64
	dots, digits := 0, 0
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9' && digits < 3 && !(digits == 1 && part == 0):
			part = 10*part + uint64(c-'0')
			digits++
		case c == '.' && digits > 0 && part < 256 && dots < 3:
			a = a<<8 | part
			part, digits = 0, 0
			dots++
		default:
			return 0, false
		}
	}
	return a<<8 | part, dots == 3 && digits > 0 && part < 256
}

// parseNumber reads a decimal number below 2^128.
func parseNumber(b []byte) (n number, ok bool) {
	if len(b) == 0 || len(b) > 39 {
		return n, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return n, false
		}
		over, lo := bits.Mul64(n.lo, 10)
		beyond, hi := bits.Mul64(n.hi, 10)
		lo, carry := bits.Add64(lo, uint64(c-'0'), 0)
		hi, spill := bits.Add64(hi, over, carry)
		if beyond != 0 || spill != 0 {
			return n, false
		}
		n = number{hi, lo}
	}
	return n, true
}
