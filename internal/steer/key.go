package steer

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// key is an address of either family, its first bit the highest: an IPv4
// address fills the upper half of hi. Prefix lengths are the family's own.
type key struct{ hi, lo uint64 }

// Families index every table that there is one of per family.
const (
	v4 = iota
	v6
)

func keyOf(a netip.Addr) (key, int) {
	if a.Is4() || a.Is4In6() {
		b := a.As4()
		return key{hi: uint64(binary.BigEndian.Uint32(b[:])) << 32}, v4
	}
	if !a.IsValid() {
		return key{}, v4
	}
	b := a.As16()
	return key{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}, v6
}

// prefixOf returns the prefix of n bits around k.
func prefixOf(k key, n, family int) netip.Prefix {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], k.hi)
	binary.BigEndian.PutUint64(b[8:], k.lo)
	a := netip.AddrFrom16(b)
	if family == v4 {
		a = netip.AddrFrom4([4]byte(b[:4]))
	}
	p, _ := a.Prefix(n)
	return p
}

func (k key) compare(l key) int {
	switch {
	case k.less(l):
		return -1
	case k == l:
		return 0
	}
	return 1
}

func (k key) less(l key) bool { return k.hi < l.hi || k.hi == l.hi && k.lo < l.lo }

// after returns the first address beyond the prefix of n bits that begins at
// k, and false when there is none.
func (k key) after(n int) (key, bool) {
	var carry uint64
	if n == 0 {
		return key{}, false
	}
	if n > 64 {
		k.lo, carry = bits.Add64(k.lo, 1<<(128-n), 0)
		k.hi, carry = bits.Add64(k.hi, 0, carry)
	} else {
		k.hi, carry = bits.Add64(k.hi, 1<<(64-n), 0)
	}
	return k, carry == 0
}

// before returns k − 1.
func (k key) before() key {
	lo, borrow := bits.Sub64(k.lo, 1, 0)
	return key{k.hi - borrow, lo}
}

// common returns how many leading bits k and l have in common.
func (k key) common(l key) int {
	if x := k.hi ^ l.hi; x != 0 {
		return bits.LeadingZeros64(x)
	}
	return 64 + bits.LeadingZeros64(k.lo^l.lo)
}
