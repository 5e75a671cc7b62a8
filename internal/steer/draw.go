package steer

import (
	"math"
	"net/netip"

	"catchment/internal/edge"
)

// Draw is how a ramp divides clients: the same clients as a name server with
// the ramp in its snapshot, whatever its share. The zero Draw is not one.
type Draw struct {
	salt    [2]uint64
	granule [2]uint8
}

// DrawOf returns the draw of a ramp with a salt and a granule.
func DrawOf(salt string, g edge.Granule) Draw {
	return Draw{saltOf("ramp", salt), granuleOf(g)}
}

// Bucket returns the bucket of a client, 0 to 9999: it is treated when that is
// below 10000 · share. The client is the address that Lookup is asked for: the
// first of what the resolver sent (ECS), else the resolver's.
func (d Draw) Bucket(client netip.Addr) uint16 {
	k, family := keyOf(client)
	return bucket(d.salt, k, d.granule[family], family)
}

// Unit returns a key of the client's granule: equal for all clients that are
// drawn together, and for no others.
func (d Draw) Unit(client netip.Addr) uint64 {
	k, family := keyOf(client)
	return k.hi&^(math.MaxUint64>>d.granule[family]) | uint64(family)
}

// Bits returns how long a prefix has to be for Bucket to be known of it.
func (d Draw) Bits(client netip.Addr) int {
	_, family := keyOf(client)
	return int(d.granule[family])
}

// Selects reports whether w is for clients of p.
func Selects(w *edge.Where, p *edge.Place) bool { return selects(w, p) }
