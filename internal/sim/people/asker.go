package people

import (
	"net/netip"

	"catchment/internal/edge"
	"catchment/internal/sim/noise"
	"catchment/internal/sim/topology"
)

// Kind is whose resolver one asks.
type Kind uint8

// The kinds of resolvers.
const (
	Own     Kind = iota // the ISP's, in the user's metro
	Hub                 // the ISP's, in the ISP's biggest metro
	Carrier             // the transit provider's, in the country's biggest metro
	Public              // a public one without client subnet
	ECS                 // a public one that sends the client's network along
	Abroad              // a far one
)

// String returns the kind in words.
func (k Kind) String() string {
	return [...]string{"own metro", "ISP hub", "carrier", "public", "public with ECS", "abroad", "?", "?"}[k&7]
}

// Resolver is a resolver that some of a group's users ask.
type Resolver struct {
	Kind  Kind
	AS    topology.AS // topology.None for public and far ones
	Metro topology.Metro
	Addr  netip.Prefix // all bits; of 254.0.0.0/7, which belongs to nobody
}

// Asker is the part of a group's users that DNS treats alike.
type Asker struct {
	Share    float64 // of the group's users; they add up to 1
	Resolver Resolver
	ECS      bool  // DNS steers by the client's network, else by the resolver's
	Blocks   uint8 // with ECS: the blocks of clients, one bit each

	// Located is where geolocation puts the address that DNS steers by, errors
	// included. It has the metro's coordinates and the network.
	Located      edge.Place
	LocatedMetro topology.Metro
}

// Askers returns how a group's users ask, in the order of Kind. Users of ECS
// come in as many askers as geolocation has opinions about their prefixes.
func (p *Population) Askers(group int) []Asker { return p.AppendAskers(nil, group) }

// AppendAskers is Askers without allocating where dst has room for six and
// Blocks.
func (p *Population) AppendAskers(dst []Asker, group int) []Asker {
	g := &p.t.Groups[group]
	at := &p.metros[g.Metro]
	asn := uint64(p.t.ASNs[g.AS])
	abroad := at.tail
	public := (1 - abroad) * p.m.Public
	ecs := public * p.m.PublicECS
	isp := 1 - abroad - public

	carrier := 0.0
	if p.small[g.AS] && len(p.t.Providers.Of(g.AS)) > 0 {
		carrier = isp * p.m.Outsourced
	}
	hub := (isp - carrier) * p.m.HubResolver
	hubGroup := int(p.hubGroup[g.AS])
	if hubGroup == group {
		hub = 0
	}
	dst = p.asker(dst, isp-carrier-hub, Resolver{Own, g.AS, g.Metro, host(resolverBase + uint32(group))}, asn, locResolver)
	if hub > 0 {
		r := Resolver{Hub, g.AS, p.t.Groups[hubGroup].Metro, host(resolverBase + uint32(hubGroup))}
		dst = p.asker(dst, hub, r, asn, locResolver)
	}
	if carrier > 0 {
		providers := p.t.Providers.Of(g.AS)
		by := providers[noise.Pick(noise.At(p.m.Seed, noise.Resolver, asn), len(providers))]
		r := Resolver{Carrier, by, p.hubs[at.country][0], host(carrierBase + uint32(by))}
		dst = p.asker(dst, carrier, r, uint64(p.t.ASNs[by]), locResolver)
	}
	r := Resolver{Public, topology.None, at.public, host(publicBase + uint32(at.public))}
	dst = p.asker(dst, public-ecs, r, 0, locPublic)
	dst = p.ecsAskers(dst, ecs, group)
	r = Resolver{Abroad, topology.None, at.abroad, host(publicBase + 2<<16 + uint32(at.abroad))}
	return p.asker(dst, abroad, r, 0, locAbroad)
}

// asker appends one who is steered by the resolver's place, unless there is
// nobody.
func (p *Population) asker(dst []Asker, share float64, r Resolver, network, what uint64) []Asker {
	if share <= 0 {
		return dst
	}
	m := p.locate(r.Metro, network, what)
	return append(dst, Asker{Share: share, Resolver: r, Located: p.place(m, r.AS), LocatedMetro: m})
}

// ecsAskers appends those who are steered by their own place.
func (p *Population) ecsAskers(dst []Asker, share float64, group int) []Asker {
	if share <= 0 {
		return dst
	}
	at := &p.metros[p.t.Groups[group].Metro]
	r := Resolver{ECS, topology.None, at.public, host(publicBase + 1<<16 + uint32(at.public))}
	first := len(dst)
blocks:
	for b := range min(Blocks, p.Lines(group)) {
		part := share * p.blockShare(group, b)
		m := p.ClientMetro(group, b)
		for i := first; i < len(dst); i++ {
			if dst[i].LocatedMetro == m {
				dst[i].Share += part
				dst[i].Blocks |= 1 << b
				continue blocks
			}
		}
		dst = append(dst, Asker{
			Share: part, Resolver: r, ECS: true, Blocks: 1 << b,
			Located: p.place(m, p.t.Groups[group].AS), LocatedMetro: m,
		})
	}
	return dst
}

func host(n uint32) netip.Prefix { return netip.PrefixFrom(addr4(n), 32) }
