package steer

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"catchment/internal/edge"
)

// known is a table of places.
type known []knownPrefix

type knownPrefix struct {
	prefix netip.Prefix
	place  edge.Place
}

func (k known) All() iter.Seq2[netip.Prefix, edge.Place] {
	return func(yield func(netip.Prefix, edge.Place) bool) {
		for _, p := range k {
			if !yield(p.prefix, p.place) {
				return
			}
		}
	}
}

func addrs(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// The tests' places.
var (
	virginia   = edge.Place{Continent: "NA", Country: "US", Subdivision: "VA", ASN: 64496, Lat: 38.9, Lon: -77.4}
	california = edge.Place{Continent: "NA", Country: "US", Subdivision: "CA", ASN: 64497, Lat: 34, Lon: -118.2}
	brazil     = edge.Place{Continent: "SA", Country: "BR", Subdivision: "SP", ASN: 64498, Lat: -23.5, Lon: -46.6}
	germany    = edge.Place{Continent: "EU", Country: "DE", ASN: 64499, Lat: 50.1, Lon: 8.7}
	turkey     = edge.Place{Continent: "AS", Country: "TR", ASN: 64500, Lat: 41, Lon: 29}
	japan      = edge.Place{Continent: "AS", Country: "JP", ASN: 64501, Lat: 35.7, Lon: 139.7}
)

const www = "www.edge.example"

// testSnapshot has four PoPs, two regions that leave out most of Asia and
// Oceania, and the service www.
func testSnapshot(scheme edge.Scheme) *edge.Snapshot {
	pop := func(id edge.PoPID, at edge.Place, n int) edge.PoP {
		at.ASN = 0
		return edge.PoP{ID: id, Place: at, Capacity: 1000, Unicast: addrs(fmt.Sprintf("192.0.2.%d", n), fmt.Sprintf("2001:db8:%d::1", n))}
	}
	return &edge.Snapshot{
		Version: 1,
		Made:    time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC),
		Fleet: &edge.Fleet{
			Zone: "edge.example",
			PoPs: []edge.PoP{pop("iad", virginia, 10), pop("lax", california, 20), pop("gru", brazil, 30), pop("fra", germany, 40)},
			VIPs: []edge.VIP{
				{ID: "global", Addresses: addrs("198.51.100.1", "2001:db8:ff::1")},
				{ID: "americas", Addresses: addrs("203.0.113.1")},
				{ID: "emea", Addresses: addrs("203.0.113.129")},
			},
			Regions: []edge.Region{
				{ID: "americas", VIP: "americas", Continents: []string{"NA", "SA"}, PoPs: []edge.PoPID{"iad", "lax", "gru"}},
				{ID: "emea", VIP: "emea", Continents: []string{"EU", "AF"}, Countries: []string{"TR"}, PoPs: []edge.PoPID{"fra"}},
			},
			Services: []edge.Service{{Name: www, Scheme: scheme, TTL: 30 * time.Second}},
		},
	}
}

// testPlaces has a prefix for each of the tests' places, gaps between them.
func testPlaces() known {
	return known{
		{netip.MustParsePrefix("10.0.0.0/10"), virginia},
		{netip.MustParsePrefix("10.64.0.0/10"), california},
		{netip.MustParsePrefix("10.128.0.0/11"), brazil},
		{netip.MustParsePrefix("10.160.0.0/11"), germany},
		{netip.MustParsePrefix("10.192.0.0/11"), turkey},
		{netip.MustParsePrefix("10.224.0.0/12"), japan},
		{netip.MustParsePrefix("2001:db8::/34"), virginia},
		{netip.MustParsePrefix("2001:db8:4000::/34"), germany},
	}
}

// clients are addresses in the places of testPlaces.
var clients = map[string]netip.Addr{
	"virginia":   netip.MustParseAddr("10.1.2.3"),
	"california": netip.MustParseAddr("10.65.2.3"),
	"brazil":     netip.MustParseAddr("10.129.2.3"),
	"germany":    netip.MustParseAddr("10.161.2.3"),
	"turkey":     netip.MustParseAddr("10.193.2.3"),
	"japan":      netip.MustParseAddr("10.225.2.3"),
	"nowhere":    netip.MustParseAddr("172.16.0.1"),
}

func compile(t testing.TB, s *edge.Snapshot, places Places) *Plan {
	t.Helper()
	p, err := Compile(s, places)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// name is what an answer leads to.
func (a *Answer) name() string {
	if a.PoP != "" {
		return string(a.PoP)
	}
	return "vip " + string(a.VIP)
}

func lookup(s *Service, client netip.Addr) string {
	i, _ := s.Lookup(client)
	return s.answers[i].name()
}

// randomWorld is a fleet of random size in a random state, with a random table
// of nested prefixes that leave gaps.
func randomWorld(rng *rand.Rand) (*edge.Snapshot, known) {
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	chance := func(p float64) bool { return rng.Float64() < p }
	countries := map[string]string{"US": "NA", "CA": "NA", "BR": "SA", "DE": "EU", "FR": "EU", "TR": "AS", "JP": "AS", "AU": "OC"}
	place := func() edge.Place {
		var p edge.Place
		if chance(0.9) {
			p.Country = pick("US", "CA", "BR", "DE", "FR", "TR", "JP", "AU")
			p.Continent = countries[p.Country]
			p.Subdivision = pick("", "A", "B")
		}
		if chance(0.9) {
			p.ASN = 64496 + uint32(rng.IntN(6))
		}
		if chance(0.9) {
			p.Lat, p.Lon = float64(rng.IntN(150)-70)+0.5, float64(rng.IntN(358)-178)+0.5
		}
		return p
	}
	s := &edge.Snapshot{Made: time.Unix(1e9, 0), Fleet: &edge.Fleet{}}
	f := s.Fleet
	var ids []string
	for i := range 1 + rng.IntN(8) {
		id := fmt.Sprintf("p%d", i)
		ids = append(ids, id)
		p := edge.PoP{ID: edge.PoPID(id), Place: place(), Capacity: float64(rng.IntN(3) * 100)}
		if i == 0 || chance(0.9) {
			p.Unicast = addrs(fmt.Sprintf("192.0.2.%d", i+1))
		}
		f.PoPs = append(f.PoPs, p)
	}
	pop := func() edge.PoPID { return edge.PoPID(pick(ids...)) }
	f.VIPs = []edge.VIP{{ID: "r0", Addresses: addrs("203.0.113.1")}, {ID: "r1", Addresses: addrs("203.0.113.2")}, {ID: "r2", Addresses: addrs("203.0.113.3")}}
	schemes := []edge.Scheme{edge.Unicast, edge.Regional}
	if chance(0.7) {
		f.VIPs = append(f.VIPs, edge.VIP{ID: "global", Addresses: addrs("198.51.100.1")})
		schemes = append(schemes, edge.Global)
	}
	for i, continents := range [][]string{{"NA", "SA"}, {"EU"}, {"AS"}} {
		r := edge.Region{ID: edge.RegionID(f.VIPs[i].ID), VIP: f.VIPs[i].ID, Continents: continents, PoPs: []edge.PoPID{pop(), pop()}}
		if r.PoPs[0] == r.PoPs[1] {
			r.PoPs = r.PoPs[:1]
		}
		if i == 1 {
			r.Countries = []string{"TR"}
		}
		f.Regions = append(f.Regions, r)
	}
	scheme := func() edge.Scheme { return schemes[rng.IntN(len(schemes))] }
	for i := range 1 + rng.IntN(3) {
		f.Services = append(f.Services, edge.Service{Name: fmt.Sprintf("s%d.example", i), Scheme: scheme(), TTL: 30 * time.Second})
	}
	service := func() string { return f.Services[rng.IntN(len(f.Services))].Name }
	share := func() float64 { return []float64{0, 0.05, 0.2, 0.5, 0.9, 1, rng.Float64()}[rng.IntN(7)] }
	granule := func() edge.Granule {
		if chance(0.5) {
			return edge.Granule{}
		}
		return edge.Granule{V4: 20 + rng.IntN(5), V6: 40 + rng.IntN(9)}
	}
	s.Policy.HealthyFloor = []float64{0, 0.3, 0.6}[rng.IntN(3)]
	trouble := 0.15
	if chance(0.1) {
		trouble = 0.8
	}
	for _, p := range f.PoPs {
		if chance(trouble) {
			s.Drains = append(s.Drains, edge.Drain{PoP: p.ID})
		}
		if chance(0.25) {
			s.Sheds = append(s.Sheds, edge.Shed{PoP: p.ID, Share: share(), Granule: granule()})
		}
		switch state := pick("up", "down", "unknown", "none"); {
		case state == "down" && !chance(2*trouble), state == "none":
		default:
			s.Health = append(s.Health, edge.Health{PoP: p.ID, State: edge.HealthState(state), Share: rng.Float64()})
		}
	}
	for i := range rng.IntN(5) {
		r := edge.Ramp{ID: fmt.Sprint(i), Service: service(), Scheme: scheme(), Share: share(), Salt: fmt.Sprint("salt", i), Granule: granule()}
		switch rng.IntN(4) {
		case 0:
			r.Where.Continents = []string{pick("NA", "EU"), "AS"}
		case 1:
			r.Where.Countries = []string{pick("US", "DE", "BR")}
			r.Where.ASNs = []uint32{64496}
		case 2:
			r.Where.Subdivisions = []string{"US-A", "DE-B"}
		}
		s.Ramps = append(s.Ramps, r)
	}
	prefix := func() netip.Prefix { return randomPrefix(rng) }
	for range rng.IntN(6) {
		var pin edge.Pin
		switch rng.IntN(3) {
		case 0:
			pin.Client = prefix()
		case 1:
			pin.Resolver = prefix()
		default:
			pin.ASN = 64496 + uint32(rng.IntN(6))
		}
		if chance(0.5) {
			pin.Service = service()
		}
		if p := pop(); chance(0.5) {
			if q, _ := f.PoP(p); len(q.Unicast) == 0 {
				p = "p0"
			}
			pin.PoP = p
		} else {
			pin.Scheme = scheme()
		}
		s.Pins = append(s.Pins, pin)
	}
	if chance(0.4) {
		for range 1 + rng.IntN(4) {
			s.Weights = append(s.Weights, edge.Weight{Service: service(), PoP: pop(), Weight: float64(rng.IntN(4))})
		}
	}
	cell := func() edge.CellKey {
		k := edge.CellKey{Country: pick("US", "BR", "DE", "JP"), Family: []uint8{0, 4, 6}[rng.IntN(3)]}
		if chance(0.7) {
			k.Subdivision = pick("", "A", "B")
		}
		if chance(0.5) {
			k.ASN = 64496 + uint32(rng.IntN(6))
		}
		return k
	}
	seen := map[any]bool{}
	for range rng.IntN(8) {
		o := edge.Order{CellKey: cell()}
		if seen[o.CellKey] {
			continue
		}
		seen[o.CellKey] = true
		for _, i := range rng.Perm(len(f.PoPs))[:rng.IntN(len(f.PoPs)+1)] {
			o.PoPs = append(o.PoPs, edge.Latency{PoP: f.PoPs[i].ID, RTT: 1 + 100*rng.Float64(), Samples: 10 + rng.IntN(60)})
		}
		s.Orders = append(s.Orders, o)
	}
	for range rng.IntN(20) {
		s.Catchments = append(s.Catchments, edge.Catchment{CellKey: cell(), Scheme: []edge.Scheme{edge.Global, edge.Regional}[rng.IntN(2)], PoP: pop(), Share: rng.Float64()})
	}
	var places known
	kinds := make([]edge.Place, 1+rng.IntN(12))
	for i := range kinds {
		kinds[i] = place()
	}
	for range rng.IntN(60) {
		places = append(places, knownPrefix{prefix(), kinds[rng.IntN(len(kinds))]})
	}
	return s, places
}

// randomPrefix is likely to be near others and to nest with them.
func randomPrefix(rng *rand.Rand) netip.Prefix {
	n := []int{0, 1, 4, 8, 9, 12, 16, 19, 20, 22, 23, 24, 25, 28, 31, 32}[rng.IntN(16)]
	if rng.IntN(10) > 0 {
		n = max(n, 8)
	}
	if rng.IntN(2) == 0 {
		if n > 1 {
			n += 16 // 24 and beyond: around granules of 40 to 48 bits
		}
		if rng.IntN(6) == 0 {
			n += rng.IntN(129 - n)
		}
		p, _ := randomAddr(rng, v6).Prefix(n)
		return p
	}
	p, _ := randomAddr(rng, v4).Prefix(n)
	return p
}

// randomAddr draws from few values per byte, so that addresses share prefixes.
func randomAddr(rng *rand.Rand, family int) netip.Addr {
	var b [16]byte
	for i := range b {
		b[i] = []byte{0, 1, 127, 128, 255, byte(rng.Uint32())}[rng.IntN(6)]
	}
	if family == v4 {
		b[0] = 10
		return netip.AddrFrom4([4]byte(b[:4]))
	}
	copy(b[:], []byte{0x20, 0x01, 0x0d, 0xb8})
	return netip.AddrFrom16(b)
}

// within returns a random address of a prefix.
func within(rng *rand.Rand, p netip.Prefix) netip.Addr {
	a := p.Addr().AsSlice()
	fill := rng.Uint64()
	for i := range a {
		mask := byte(0xff)
		if host := p.Bits() - 8*i; host > 0 {
			mask >>= min(8, host)
		}
		if i == 8 {
			fill = rng.Uint64()
		}
		a[i] |= byte(fill) & mask
		fill >>= 8
	}
	out, _ := netip.AddrFromSlice(a)
	return out
}
