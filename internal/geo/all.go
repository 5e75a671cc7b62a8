package geo

import (
	"iter"
	"net/netip"
	"slices"

	"catchment/internal/edge"
)

// All yields prefixes that do not overlap and together are the whole address
// space, IPv4 first, each with the place that every address in it has. Places
// that are not known are left out. The sequence is of one moment: a reload
// meanwhile does not change it.
func (db *DB) All() iter.Seq2[netip.Prefix, edge.Place] {
	t := db.tables.Load()
	return func(yield func(netip.Prefix, edge.Place) bool) {
		_ = t.walk(netip.IPv4Unspecified(), yield) && t.walk(netip.IPv6Unspecified(), yield)
	}
}

// repeated are where files repeat all of IPv4 in IPv6, for addresses that no
// packet has (RFC 4291, section 2.5.5). 6to4 and Teredo, which some have, stay.
var repeated = [...]netip.Prefix{netip.MustParsePrefix("::/96"), netip.MustParsePrefix("::ffff:0:0/96")}

// walk yields the prefixes from an address to the end of its family, and
// reports whether more are wanted.
func (t *tables) walk(a netip.Addr, yield func(netip.Prefix, edge.Place) bool) bool {
	for a.IsValid() {
		if i := slices.IndexFunc(repeated[:], func(p netip.Prefix) bool { return p.Contains(a) }); i >= 0 {
			a = last(repeated[i]).Next()
			continue
		}
		place, bits, _ := t.lookup(a, wantPrefix)
		p := netip.PrefixFrom(a, bits)
		for p.Masked().Addr() != a || slices.ContainsFunc(repeated[:], p.Overlaps) {
			bits++ // what a skipped prefix left of a larger one goes in pieces
			p = netip.PrefixFrom(a, bits)
		}
		if place != (edge.Place{}) && !yield(p, place) {
			return false
		}
		a = last(p).Next()
	}
	return true
}

// last returns the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().As16()
	from := p.Bits()
	if p.Addr().Is4() {
		from += 96
	}
	for i := from; i < 128; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	if p.Addr().Is4() {
		return netip.AddrFrom16(b).Unmap()
	}
	return netip.AddrFrom16(b)
}
