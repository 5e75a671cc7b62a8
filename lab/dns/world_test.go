package dns_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"

	"catchment/internal/edge"
	"catchment/internal/geo"
	"catchment/internal/steer"
)

const (
	zoneName = "edge.example"
	admin    = server4 + ":9102" // of catchment dns
)

// services of the random fleets.
var services = []edge.Service{
	{Name: "www.edge.example", Scheme: edge.Unicast},
	{Name: "reg.edge.example", Scheme: edge.Regional},
	{Name: "any.edge.example", Scheme: edge.Global},
	{Name: "mix.edge.example", Scheme: edge.Unicast}, // has weights
}

// world is a fleet and a table of places, both random, and states of that
// fleet as they are drawn from it.
type world struct {
	rng     *rand.Rand
	fleet   *edge.Fleet
	csv     []byte
	places  []netip.Prefix // known ones
	version uint64
}

var countries = [][2]string{{"NA", "US"}, {"NA", "CA"}, {"SA", "BR"}, {"EU", "DE"}, {"EU", "FR"}, {"AS", "TR"}, {"AS", "JP"}, {"OC", "AU"}, {"AF", "ZA"}}

// newWorld draws a world with so many known prefixes of each family, nested
// and with gaps, and services of one TTL.
func newWorld(seed uint64, prefixes int, ttl time.Duration) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 53)), fleet: &edge.Fleet{Zone: zoneName, Probe: "probe." + zoneName}}
	f := w.fleet
	for i := range 9 {
		f.PoPs = append(f.PoPs, edge.PoP{
			ID: edge.PoPID(fmt.Sprintf("pop%d", i)), Capacity: float64(1000 * (1 + i%3)),
			Place:   edge.Place{Continent: countries[i][0], Country: countries[i][1], Lat: w.degrees(60), Lon: w.degrees(170)},
			Unicast: dual("192.0.2.%d", "2001:db8:a:%d::1", 101+i),
		})
	}
	f.VIPs = append(f.VIPs, edge.VIP{ID: "global", Addresses: dual("198.51.100.%d", "2001:db8:f:%d::1", 1)})
	for i, continents := range [][]string{{"NA", "SA"}, {"EU", "AF"}, {"AS"}} { // none for OC
		id := fmt.Sprintf("region%d", i)
		f.VIPs = append(f.VIPs, edge.VIP{ID: edge.VIPID(id), Addresses: dual("203.0.113.%d", "2001:db8:e:%d::1", 1+i)})
		f.Regions = append(f.Regions, edge.Region{ID: edge.RegionID(id), VIP: edge.VIPID(id), Continents: continents})
	}
	f.Regions[1].Countries = []string{"TR"}
	for _, p := range f.PoPs {
		if r, ok := f.RegionOf(p.Place); ok {
			r.PoPs = append(r.PoPs, p.ID)
		}
	}
	for _, s := range services {
		s.TTL = ttl
		f.Services = append(f.Services, s)
	}
	w.drawPlaces(prefixes)
	return w
}

func dual(v4, v6 string, n int) []netip.Addr {
	return []netip.Addr{netip.MustParseAddr(fmt.Sprintf(v4, n)), netip.MustParseAddr(fmt.Sprintf(v6, n))}
}

// degrees draws a coordinate up to a bound; never 0, which is no coordinate.
func (w *world) degrees(bound int) float64 { return float64(w.rng.IntN(2*bound)-bound) + 0.5 }

func (w *world) drawPlaces(n int) {
	var b bytes.Buffer
	b.WriteString("prefix,continent,country,subdivision,city,asn,as_name,lat,lon\n")
	seen := map[netip.Prefix]bool{}
	for i := 0; i < 2*n; i++ {
		p := w.prefix(4 + 2*(i%2))
		if seen[p] {
			continue
		}
		seen[p] = true
		w.places = append(w.places, p)
		c := countries[w.rng.IntN(len(countries))]
		fmt.Fprintf(&b, "%s,%s,%s,%s,,%d,,%v,%v\n", p, c[0], c[1], []string{"", "A", "B"}[w.rng.IntN(3)], 64496+w.rng.IntN(8), w.degrees(60), w.degrees(170))
	}
	w.csv = b.Bytes()
}

// prefix draws one of 10.0.0.0/8 or 2001:db8::/32.
func (w *world) prefix(family int) netip.Prefix {
	length := 10 + w.rng.IntN(19)
	if family == 6 {
		length = 34 + w.rng.IntN(31)
	}
	if w.rng.IntN(20) == 0 {
		length = length%8 + 25 + 24*(family-4)*2 // beyond what resolvers tell
	}
	p, _ := w.addr(family).Prefix(length)
	return p
}

// addr draws an address of 10.0.0.0/8 or 2001:db8::/32, from few values per
// byte, so that many are neighbors.
func (w *world) addr(family int) netip.Addr {
	var b [16]byte
	for i := range b {
		b[i] = []byte{0, 1, 127, 128, 255, byte(w.rng.Uint32()), byte(w.rng.Uint32())}[w.rng.IntN(7)]
	}
	if family == 4 {
		b[0] = 10
		return netip.AddrFrom4([4]byte(b[:4]))
	}
	copy(b[:], []byte{0x20, 0x01, 0x0d, 0xb8})
	return netip.AddrFrom16(b)
}

// client draws an address: of any known prefix, near the edge of one, or
// anywhere.
func (w *world) client(family int) netip.Addr {
	for w.rng.IntN(3) > 0 {
		p := w.places[w.rng.IntN(len(w.places))]
		if p.Addr().Is4() == (family == 4) {
			return w.within(p)
		}
	}
	return w.addr(family)
}

// within draws an address of p, the first and the last more often than others.
func (w *world) within(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	fill := []int{0, 0xFF, -1, -1}[w.rng.IntN(4)]
	for i := p.Bits(); i < len(b)*8; i++ {
		if fill > 0 || fill < 0 && w.rng.IntN(2) == 1 {
			b[i/8] |= 0x80 >> (i % 8)
		}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// state draws the next state of the fleet in which everything that steers is at work:
// sheds and ramps at partial shares, a drain, health, pins of each kind,
// weights, measurements and observed catchments.
func (w *world) state() *edge.Snapshot {
	w.version++
	rng := w.rng
	s := &edge.Snapshot{Version: w.version, Made: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), Fleet: w.fleet}
	pop := func() edge.PoPID { return w.fleet.PoPs[rng.IntN(len(w.fleet.PoPs))].ID }
	share := func() float64 { return float64(500+rng.IntN(9000)) / 10000 }
	granule := func() edge.Granule {
		return edge.Granule{V4: 20 + rng.IntN(5), V6: 40 + rng.IntN(9)}
	}
	order := rng.Perm(len(w.fleet.PoPs))
	at := func(i int) edge.PoPID { return w.fleet.PoPs[order[i]].ID }
	s.Drains = []edge.Drain{{PoP: at(0)}}
	s.Health = []edge.Health{{PoP: at(1), State: edge.Down}, {PoP: at(2), State: edge.Up, Share: 0.5}}
	s.Sheds = []edge.Shed{{PoP: at(3), Share: share()}, {PoP: at(4), Share: share(), Granule: granule()}}
	s.Ramps = []edge.Ramp{
		{ID: "r1", Service: "www.edge.example", Scheme: edge.Regional, Share: share(), Salt: fmt.Sprint("one", rng.Uint32())},
		{ID: "r2", Service: "www.edge.example", Scheme: edge.Global, Share: share(), Salt: fmt.Sprint("two", rng.Uint32()), Granule: granule(), Where: edge.Where{Continents: []string{"EU", "AS"}}},
		{ID: "r3", Service: "any.edge.example", Scheme: edge.Unicast, Share: share(), Salt: fmt.Sprint("three", rng.Uint32()), Granule: granule(), Where: edge.Where{Countries: []string{"US", "JP"}, ASNs: []uint32{64497}}},
	}
	s.Pins = []edge.Pin{
		{ASN: 64496, Scheme: edge.Global},
		{ASN: 64498, PoP: at(5), Service: "www.edge.example"},
		{Resolver: netip.MustParsePrefix(resolver + "/32"), Service: "reg.edge.example", Scheme: edge.Unicast},
		{Resolver: netip.MustParsePrefix("192.0.2.200/30"), PoP: at(6)},
	}
	for i := range 6 {
		s.Pins = append(s.Pins, edge.Pin{Client: w.prefix(4 + 2*(i%2)), PoP: pop()})
	}
	for i := range w.fleet.PoPs {
		s.Weights = append(s.Weights, edge.Weight{Service: "mix.edge.example", PoP: at(i), Weight: float64(i % 4)})
	}
	for _, c := range countries {
		cell := edge.CellKey{Country: c[1]}
		o := edge.Order{CellKey: cell}
		for _, i := range rng.Perm(len(w.fleet.PoPs))[:5] {
			o.PoPs = append(o.PoPs, edge.Latency{PoP: w.fleet.PoPs[i].ID, RTT: 1 + 100*rng.Float64(), Samples: 20 + rng.IntN(60)})
		}
		s.Orders = append(s.Orders, o)
		for _, scheme := range []edge.Scheme{edge.Global, edge.Regional} {
			s.Catchments = append(s.Catchments, edge.Catchment{CellKey: cell, Scheme: scheme, PoP: pop(), Share: 0.9})
		}
	}
	return s
}

// mixFamilies takes their IPv6 addresses away from some PoPs and a VIP, whose
// AAAA is then NODATA: to some clients, so with a scope.
func (w *world) mixFamilies() {
	f := w.fleet
	for _, addrs := range []*[]netip.Addr{&f.PoPs[4].Unicast, &f.PoPs[7].Unicast, &f.VIPs[2].Addresses} {
		*addrs = (*addrs)[:1]
	}
}

func marshal(t *testing.T, s *edge.Snapshot) []byte {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// files writes what catchment dns reads and returns the flags that say so.
func (s *site) files(w *world, state *edge.Snapshot) []string {
	s.t.Helper()
	text, err := os.ReadFile("testdata/edge.example.zone")
	if err != nil {
		s.t.Fatal(err)
	}
	return []string{
		"--zone", s.write("zone", text), "--places", s.write("places.csv", w.csv),
		"--snapshot", s.write("snapshot.json", marshal(s.t, state)),
	}
}

// serve starts catchment dns.
func (s *site) serve(flags ...string) *process {
	s.t.Helper()
	return s.start("msg=listening", catchment(s.t), append([]string{
		"dns", "--listen", server4 + ":53", "--listen", "[" + server6 + "]:53", "--admin", admin, "--id", "ns1",
	}, flags...)...)
}

// swap puts a snapshot in the place of the one in use, and returns when it is
// answered by.
func (s *site) swap(p *process, state *edge.Snapshot) {
	s.t.Helper()
	s.write("snapshot.json", marshal(s.t, state))
	p.hangup()
	s.waitMetric(admin, "catchment_snapshot_version", float64(state.Version), p)
}

// truth is what a name server must answer by a state: what package steer has
// for it, whose own tests hold it to an independent oracle.
type truth struct {
	services map[string]*steer.Service
}

func newTruth(t *testing.T, w *world, state *edge.Snapshot) truth {
	t.Helper()
	file := filepath.Join(t.TempDir(), "places.csv")
	if err := os.WriteFile(file, w.csv, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := geo.Open(geo.Config{Places: file, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := steer.Compile(state, db)
	if err != nil {
		t.Fatal(err)
	}
	x := truth{map[string]*steer.Service{}}
	for _, s := range plan.Services() {
		x.services[s.Name()] = s
	}
	return x
}

// of returns the answer to a lookup by a resolver.
func (x truth) of(l lookup, resolver netip.Addr) answer {
	client, a := resolver, answer{rcode: "NOERROR", scope: -1}
	if l.subnet.IsValid() {
		a.scope = 0
		if l.subnet.Bits() > 0 {
			client = l.subnet.Masked().Addr()
		}
	}
	s := x.services[l.name]
	i, scope := s.LookupVia(resolver, client)
	if l.subnet.IsValid() && l.subnet.Bits() > 0 {
		a.scope = int(scope)
	}
	addrs := s.Answers()[i].A
	if l.qtype == dns.TypeAAAA {
		addrs = s.Answers()[i].AAAA
	}
	for _, addr := range addrs {
		a.addrs += addr.String()
	}
	return a
}
