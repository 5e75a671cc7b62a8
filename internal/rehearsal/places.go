package rehearsal

import (
	"encoding/binary"
	"iter"
	"net/netip"
	"slices"

	"catchment/internal/edge"
	"catchment/internal/sim/noise"
	"catchment/internal/sim/people"
)

// Resolvers of one operator in one city ask from a pool of /24s. Simulated
// people have one resolver each there, and pools are what ramps divide: so it
// is divided into one for every perPool client prefixes that ask it, within
// bounds.
const (
	perPool   = 1
	leastPool = 4
	mostPool  = 2048
)

// places knows where resolvers and clients are, as geolocation has it, errors
// included.
type places struct {
	people *people.Population
	pools  map[netip.Addr]*pool
	at     map[netip.Prefix]edge.Place
	all    []netip.Prefix
	ramps  []edge.Ramp // as steered by
}

// pool is the addresses that a resolver asks from.
type pool struct {
	at          edge.Place
	clients     float64 // prefixes
	first, size uint32
}

func newPlaces(p *people.Population, countries []string) *places {
	s := &places{people: p, pools: map[netip.Addr]*pool{}, at: map[netip.Prefix]edge.Place{}}
	add := func(prefix netip.Prefix, place edge.Place) {
		if _, ok := s.at[prefix]; !ok {
			s.at[prefix] = place
			s.all = append(s.all, prefix)
		}
	}
	t := p.Topology()
	var order []*pool
	for group := range t.Groups {
		if len(countries) > 0 && !slices.Contains(countries, t.Cities[t.Groups[group].Metro].Place.Country) {
			continue
		}
		for i := range p.Lines(group) {
			line := p.Line(group, i)
			place := p.Client(group, line.Block)
			add(line.V4, place)
			if line.V6.IsValid() {
				add(line.V6, place)
			}
		}
		for _, a := range p.Askers(group) {
			r := a.Resolver.Addr.Addr()
			x := s.pools[r]
			if x == nil {
				x = &pool{at: a.Located}
				s.pools[r] = x
				order = append(order, x)
			}
			x.clients += a.Share * float64(p.Lines(group))
		}
	}
	next := uint32(0)
	for _, x := range order {
		x.first, x.size = next, uint32(min(mostPool, max(leastPool, x.clients/perPool)))
		next += x.size
		for k := range x.size {
			add(address(x.first+k), x.at)
		}
	}
	return s
}

// address returns the nth prefix of resolvers, in fd00::/8, which belongs to
// nobody outside: the simulator's IPv4 has no room for pools.
func address(n uint32) netip.Prefix {
	b := [16]byte{0: 0xfd}
	binary.BigEndian.PutUint32(b[2:], n)
	return netip.PrefixFrom(netip.AddrFrom16(b), 48)
}

// pool returns the prefix from which a resolver asks for a client: of one
// client, always the same.
func (s *places) pool(r netip.Addr, client netip.Prefix) netip.Prefix {
	x := s.pools[r]
	return address(x.first + uint32(noise.Pick(noise.At(edge.PrefixKey(client), noise.Resolver), int(x.size))))
}

// All implements steer.Places.
func (s *places) All() iter.Seq2[netip.Prefix, edge.Place] {
	return func(yield func(netip.Prefix, edge.Place) bool) {
		for _, p := range s.all {
			if !yield(p, s.at[p]) {
				return
			}
		}
	}
}

// Lookup returns the place of an address.
func (s *places) Lookup(a netip.Addr) edge.Place {
	bits := 24
	if a.Is6() {
		bits = 48
	}
	p, _ := a.Prefix(bits)
	return s.at[p]
}

// Version implements runner.Places: there is only one.
func (s *places) Version() string { return "simulated" }
