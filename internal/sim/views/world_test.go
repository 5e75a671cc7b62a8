package views

import (
	"fmt"
	"math"
	"net/netip"
	"testing"

	"catchment/internal/edge"
	"catchment/internal/sim"
	"catchment/internal/sim/people"
	"catchment/internal/sim/topology"
)

// handWorld is a small world made by hand: four networks in six metros, four
// PoPs, and RTTs that follow distance. Anycast leads network 64498 astray.
type handWorld struct {
	fleet  *edge.Fleet
	people *people.Population
	topo   *topology.Topology
	rtt    []float32 // by group, then PoP
}

func city(name, continent, country, subdivision string, lat, lon float64) topology.City {
	return topology.City{Name: name, Place: edge.Place{
		Continent: continent, Country: country, Subdivision: subdivision, City: name, Lat: lat, Lon: lon,
	}}
}

func newHandWorld(t testing.TB, m people.Model) *handWorld {
	t.Helper()
	in := topology.Input{
		Cities: []topology.City{
			city("Chicago", "NA", "US", "IL", 41.85, -87.65),
			city("New York", "NA", "US", "NY", 40.71, -74.01),
			city("Phoenix", "NA", "US", "AZ", 33.45, -112.07),
			city("São Paulo", "SA", "BR", "SP", -23.55, -46.64),
			city("Frankfurt", "EU", "DE", "HE", 50.12, 8.68),
			city("Singapore", "AS", "SG", "", 1.29, 103.85),
		},
		Names: map[uint32]string{64496: "Example Cable", 64497: "Example Fiber", 64498: "Example Mobile", 64499: "Example Telecom"},
	}
	for asn := uint32(64496); asn < 64500; asn++ {
		in.Links = append(in.Links, topology.Link{A: 64511, B: asn, Rel: topology.Transit})
		for m := range in.Cities {
			if m < 3 || int(asn)%len(in.Cities) != m {
				in.Presence = append(in.Presence, topology.Presence{
					ASN: asn, Metro: topology.Metro(m), Users: 20_000 * float64(1+(int(asn)+m)%4),
				})
			}
		}
	}
	topo, err := topology.Build(in)
	if err != nil {
		t.Fatal(err)
	}
	fleet := &edge.Fleet{Probe: "probe.example.net"}
	for i, p := range []struct {
		id       edge.PoPID
		lat, lon float64
	}{{"iad", 38.95, -77.45}, {"lax", 33.94, -118.4}, {"gru", -23.43, -46.47}, {"fra", 50.03, 8.57}} {
		unicast := []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})}
		if p.id != "gru" { // one without IPv6
			unicast = append(unicast, netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", i+1)))
		}
		fleet.PoPs = append(fleet.PoPs, edge.PoP{ID: p.id, Place: edge.Place{Lat: p.lat, Lon: p.lon}, Unicast: unicast})
	}
	vip := func(id edge.VIPID, a string) edge.VIP {
		return edge.VIP{ID: id, Addresses: []netip.Addr{netip.MustParseAddr(a), netip.MustParseAddr("2001:db8:f::" + a[len(a)-1:])}}
	}
	fleet.VIPs = []edge.VIP{vip("global", "198.51.100.1"), vip("americas", "203.0.113.2"), vip("world", "203.0.113.3")}
	fleet.Regions = []edge.Region{
		{ID: "americas", VIP: "americas", Continents: []string{"NA", "SA"}, PoPs: []edge.PoPID{"iad", "lax", "gru"}},
		{ID: "world", VIP: "world", Continents: []string{"EU", "AS"}, PoPs: []edge.PoPID{"fra"}},
	}
	w := &handWorld{fleet: fleet, people: people.New(topo, m), topo: topo}
	for _, g := range topo.Groups {
		for _, p := range fleet.PoPs {
			w.rtt = append(w.rtt, float32(2+1.8*edge.DistanceKm(topo.Cities[g.Metro].Place, p.Place)/100))
		}
	}
	return w
}

// plain is a model without timeouts, flips and balancing.
func plain(m Model) Model {
	m.Timeout, m.Flips, m.Balanced = 0, 0, 0
	return m
}

func (w *handWorld) RTT(group, pop int) float32 { return w.rtt[group*len(w.fleet.PoPs)+pop] }

// nearest returns the PoP nearest to a place, of those that pass.
func (w *handWorld) nearest(at edge.Place, pass func(pop int) bool) int {
	best, least := -1, math.Inf(1)
	for i := range w.fleet.PoPs {
		if km := edge.DistanceKm(at, w.fleet.PoPs[i].Place); pass(i) && km < least {
			best, least = i, km
		}
	}
	return best
}

func (w *handWorld) Assigned(buf []sim.Share, group int, s edge.Scheme) []sim.Share {
	buf = buf[:0]
	g := w.topo.Groups[group]
	home := w.topo.Cities[g.Metro].Place
	for i, a := range w.people.Askers(group) {
		x := sim.Share{Share: a.Share, Asker: i}
		any := func(int) bool { return true }
		switch s {
		case edge.Unicast:
			x.PoP = w.nearest(a.Located, any)
		case edge.Global:
			x.VIP = "global"
			x.PoP = w.nearest(home, any)
			if w.topo.ASNs[g.AS] == 64498 {
				x.PoP = 3 // fra
			}
		case edge.Regional:
			x.VIP = "world"
			x.PoP = 3
			if a.Located.Continent == "NA" || a.Located.Continent == "SA" {
				x.VIP = "americas"
				x.PoP = w.nearest(home, func(pop int) bool { return pop < 3 })
			}
		}
		x.RTT = w.RTT(group, x.PoP)
		buf = append(buf, x)
	}
	return buf
}

func newGenerator(t testing.TB, w *handWorld, m Model) *Generator {
	t.Helper()
	g, err := New(w.fleet, w.people, w, m)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
