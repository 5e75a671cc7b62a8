package people

import (
	"encoding/binary"
	"math"
	"net/netip"

	"catchment/internal/edge"
	"catchment/internal/sim/noise"
	"catchment/internal/sim/topology"
)

// Access is a kind of access line.
type Access uint8

// The kinds of access lines.
const (
	Fiber Access = iota
	Cable
	DSL
	LTE
	FiveG
	Accesses = iota
)

// String returns the kind in words.
func (a Access) String() string {
	return [...]string{"fiber", "cable", "DSL", "LTE", "5G", "?", "?", "?"}[a&7]
}

// Blocks is how many blocks geolocation cuts the clients of a group into: it is
// right or wrong about a whole block.
const Blocks = 4

// Line is the users behind one client prefix: as far as the model goes, one
// access line.
type Line struct {
	V4       netip.Prefix // a /24 of 240.0.0.0/4
	V6       netip.Prefix // a /48 of 3fff::/20 (RFC 9637); invalid: the network has no IPv6
	Access   Access
	LastMile float64 // ms round trip, the least
	Jitter   float64 // ms above that, on average
	Block    int     // 0 to Blocks−1
}

// Lines returns how many client prefixes a group has; its users are spread over
// them evenly.
func (p *Population) Lines(group int) int { return int(p.first[group+1] - p.first[group]) }

// Line returns one of a group's, 0 to Lines(group)−1.
func (p *Population) Line(group, i int) Line {
	g := &p.t.Groups[group]
	asn, at := uint64(p.t.ASNs[g.AS]), &p.metros[g.Metro]
	n := p.first[group] + uint32(i)
	l := Line{V4: clientV4(n), Access: p.access(asn, at, uint64(i)), Block: i % Blocks}
	if p.HasV6(g.AS) {
		l.V6 = clientV6(n)
	}
	const delay, jitter = 1, 2
	l.LastMile = p.m.LastMile[l.Access] *
		noise.LogNormal(noise.At(p.m.Seed, noise.LastMile, asn, at.key, uint64(i), delay), p.m.LastMileSigma)
	l.Jitter = min(p.m.JitterMost, p.m.Jitter*
		noise.LogNormal(noise.At(p.m.Seed, noise.LastMile, asn, at.key, uint64(i), jitter), p.m.JitterSigma))
	return l
}

// access draws a line's kind: first whether its network is mobile, then among
// that network's kinds.
func (p *Population) access(asn uint64, at *metro, i uint64) Access {
	const mobile, kind = 3, 4
	u := noise.Uniform(noise.At(p.m.Seed, noise.LastMile, asn, at.key, i, kind))
	switch {
	case noise.Uniform(noise.At(p.m.Seed, noise.LastMile, asn, mobile)) < at.mix.Mobile:
		if u < at.mix.FiveG {
			return FiveG
		}
		return LTE
	case u < at.mix.Fiber:
		return Fiber
	case u < at.mix.Fiber+at.mix.Cable:
		return Cable
	}
	return DSL
}

// HasV6 reports whether a network offers IPv6. Then the share V6Users of its
// page views comes over it.
func (p *Population) HasV6(a topology.AS) bool {
	const v6 = 5
	return noise.Uniform(noise.At(p.m.Seed, noise.LastMile, uint64(p.t.ASNs[a]), v6)) < p.m.V6Networks
}

// Client returns the place of the clients of one block of a group as a
// geolocation database sees them, errors included.
func (p *Population) Client(group, block int) edge.Place {
	return p.place(p.ClientMetro(group, block), p.t.Groups[group].AS)
}

// ClientMetro returns the metro of that place.
func (p *Population) ClientMetro(group, block int) topology.Metro {
	g := &p.t.Groups[group]
	return p.locate(g.Metro, uint64(p.t.ASNs[g.AS]), locClients+uint64(block))
}

// blockShare returns the share of a group's users that are in a block.
func (p *Population) blockShare(group, block int) float64 {
	n := p.Lines(group)
	return float64((n-block+Blocks-1)/Blocks) / float64(n)
}

// Addresses never belong to anyone: clients have 240.0.0.0 to 253.255.255.255
// and 3fff::/20, resolvers 254.0.0.0 and up.
const (
	clientNets   = 14 << 16 // /24s
	clientBase   = 240 << 24
	resolverBase = 254 << 24
	publicBase   = 255 << 24       // beside it: one for each metro and kind
	carrierBase  = 255<<24 + 1<<20 // one for each AS
)

// numberPrefixes gives every group its client prefixes. Where there are more
// groups than /24s, some share theirs.
func (p *Population) numberPrefixes() {
	count := func(users float32) uint32 {
		return uint32(max(1, min(float64(p.m.MaxPrefixes), math.Round(float64(users)/p.perLine))))
	}
	p.first = make([]uint32, len(p.t.Groups)+1)
	for p.perLine = p.m.UsersPerPrefix; ; p.perLine *= 2 {
		for i := range p.t.Groups {
			p.first[i+1] = p.first[i] + count(p.t.Groups[i].Users)
		}
		all := p.first[len(p.t.Groups)]
		if all <= clientNets || all == uint32(len(p.t.Groups)) {
			return
		}
	}
}

func clientV4(n uint32) netip.Prefix {
	return netip.PrefixFrom(addr4(clientBase+n%clientNets<<8), 24)
}

func clientV6(n uint32) netip.Prefix {
	b := [16]byte{0: 0x3f, 1: 0xff}
	binary.BigEndian.PutUint32(b[2:], n) // the 28 bits from /20 to /48
	return netip.PrefixFrom(netip.AddrFrom16(b), 48)
}

func addr4(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

// V6Users returns the share of page views over IPv6 where a network has it.
func (p *Population) V6Users() float64 { return p.m.V6Users }
