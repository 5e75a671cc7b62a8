package geo

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"sort"
)

// ranges finds the longest of a set of prefixes of one family that holds an
// address. The nested prefixes are flattened into disjoint ranges when it is
// made, so that a search is one bisection and allocates nothing.
type ranges struct {
	from []key   // first address of each range, ascending; the last range is open
	row  []int32 // what the longest prefix over the range stands for; -1: no prefix
}

// key is an address as a number; an IPv4 address fills the low 32 bits.
type key struct{ hi, lo uint64 }

func keyOf(a netip.Addr) key {
	if a.Is4() {
		b := a.As4()
		return key{0, uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	return key{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (k key) compare(l key) int {
	if c := cmp.Compare(k.hi, l.hi); c != 0 {
		return c
	}
	return cmp.Compare(k.lo, l.lo)
}

// hostMask has a one for each bit of an address of the given number of bits
// that is beyond the prefix.
func hostMask(addrBits, bits int) key {
	host := addrBits - bits
	if host >= 64 {
		return key{1<<(host-64) - 1, ^uint64(0)} // a shift by 64 is 0 in Go: ones again
	}
	return key{0, 1<<host - 1}
}

// makeRanges returns the ranges of prefixes, which must be masked, all of one
// family and without duplicates; rows[i] is what prefixes[i] stands for.
func makeRanges(prefixes []netip.Prefix, rows []int32) ranges {
	order := make([]int, len(prefixes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		p, q := prefixes[a], prefixes[b]
		return cmp.Or(p.Addr().Compare(q.Addr()), cmp.Compare(p.Bits(), q.Bits()))
	})
	type open struct {
		last key
		row  int32
	}
	var r ranges
	var stack []open // the prefixes around the sweep's position, the longest last
	add := func(from key, row int32) {
		if n := len(r.from); n > 0 && r.from[n-1] == from {
			r.row[n-1] = row
			return
		}
		r.from, r.row = append(r.from, from), append(r.row, row)
	}
	// pop closes the longest open prefix: what is around it holds on.
	pop := func() {
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if top.last == (key{^uint64(0), ^uint64(0)}) {
			return
		}
		next := key{top.last.hi, top.last.lo + 1}
		if next.lo == 0 {
			next.hi++
		}
		row := int32(-1)
		if len(stack) > 0 {
			row = stack[len(stack)-1].row
		}
		add(next, row)
	}
	for _, i := range order {
		p := prefixes[i]
		first := keyOf(p.Addr())
		for len(stack) > 0 && stack[len(stack)-1].last.compare(first) < 0 {
			pop()
		}
		mask := hostMask(p.Addr().BitLen(), p.Bits())
		stack = append(stack, open{key{first.hi | mask.hi, first.lo | mask.lo}, rows[i]})
		add(first, rows[i])
	}
	for len(stack) > 0 {
		pop()
	}
	return r
}

// find returns the row of the longest prefix that holds a, or -1.
func (r *ranges) find(a netip.Addr) int32 {
	i := r.index(keyOf(a))
	if i < 0 {
		return -1
	}
	return r.row[i]
}

// index returns the range that k is in, or -1 when it is before the first.
func (r *ranges) index(k key) int {
	return sort.Search(len(r.from), func(i int) bool { return r.from[i].compare(k) > 0 }) - 1
}

// bits returns the length of the shortest prefix around a that lies within
// a's range, so that find gives all of it the same row.
func (r *ranges) bits(a netip.Addr) int {
	k := keyOf(a)
	i := r.index(k)
	for bits := 0; bits < a.BitLen(); bits++ {
		mask := hostMask(a.BitLen(), bits)
		first := key{k.hi &^ mask.hi, k.lo &^ mask.lo}
		last := key{k.hi | mask.hi, k.lo | mask.lo}
		if (i < 0 || r.from[i].compare(first) <= 0) && (i+1 == len(r.from) || last.compare(r.from[i+1]) < 0) {
			return bits
		}
	}
	return a.BitLen()
}
