package analysis

import (
	"net/netip"

	"catchment/internal/edge"
)

// asker is who asked our name servers for a view's probe names.
type asker struct {
	known    bool       // the resolver is
	ecs      bool       // it sent the client's network along (RFC 7871)
	foreign  bool       // and that was another one than the beacon came from
	resolver edge.Place // where the resolver is
	seen     edge.Place // where the client seemed to be to DNS: the place of the network sent along, else the resolver's
}

// askerOf looks up who asked for v. Where the resolver sent the very network
// that the beacon came from, DNS saw the client where the beacon does.
func (s *Setting) askerOf(v *edge.PageView) (a asker) {
	r := v.Resolver
	if a.known = r.Addr.IsValid(); !a.known {
		return a
	}
	a.resolver = s.Places.Lookup(r.Addr.Addr())
	a.ecs = r.ECS.IsValid() && r.ECS.Bits() > 0
	if !a.ecs {
		a.seen = a.resolver
		return a
	}
	if a.foreign = !holds(r.ECS, v.Prefix); a.foreign {
		a.seen = s.Places.Lookup(r.ECS.Addr())
	} else {
		a.seen = v.Place
	}
	return a
}

// holds reports whether a network and the client prefix of a key overlap, as
// far as the 32 or 64 bits of the key tell.
func holds(network netip.Prefix, key uint64) bool {
	own := edge.PrefixKey(network)
	if (own>>32 == v4Key) != (key>>32 == v4Key) {
		return false
	}
	bits := network.Bits()
	if network.Addr().Is4() {
		bits += 32
	}
	bits = min(bits, 64)
	return own>>(64-bits) == key>>(64-bits)
}

// v4Key is the upper half of edge.PrefixKey of IPv4. (No IPv6 address begins so.)
const v4Key = 1<<32 - 1

// astray reports whether a place is so far from the client's that steering by
// it may lead elsewhere: more than so many km away, or in another country or
// region. Known is false where neither place says enough.
func (s *Setting) astray(client, other edge.Place) (astray, known bool) {
	if client.Country == "" || other.Country == "" {
		if !client.HasCoord() || !other.HasCoord() {
			return false, false
		}
		return edge.DistanceKm(client, other) > s.FarKm, true
	}
	if client.Country != other.Country {
		return true, true
	}
	if client.HasCoord() && other.HasCoord() && edge.DistanceKm(client, other) > s.FarKm {
		return true, true
	}
	a, _ := s.Fleet.RegionOf(client)
	b, _ := s.Fleet.RegionOf(other)
	return a != b, true
}
