package steer

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"

	"catchment/internal/edge"
)

// benchWorld is a table of known prefixes, of lengths as in a geo database, most
// of them in no order; 60,000 places in 40 countries, 40 PoPs, and 10 partial
// ramps and sheds if asked for.
func benchWorld(prefixes int, partial bool) (*edge.Snapshot, known) {
	rng := rand.New(rand.NewPCG(21, 22))
	s := testSnapshot(edge.Unicast)
	continents := []string{"AF", "AS", "EU", "NA", "OC", "SA"}
	country := func(i int) string { return string([]byte{byte('A' + i/8), byte('A' + i%8)}) }
	for i := len(s.Fleet.PoPs); i < 40; i++ {
		s.Fleet.PoPs = append(s.Fleet.PoPs, edge.PoP{
			ID: edge.PoPID(fmt.Sprintf("p%d", i)), Unicast: addrs(fmt.Sprintf("192.0.2.%d", 100+i)),
			Place: edge.Place{Continent: continents[i%6], Country: country(i), Lat: float64(rng.IntN(120) - 55), Lon: float64(rng.IntN(360) - 180)},
		})
	}
	if partial {
		for i := range 10 {
			s.Ramps = append(s.Ramps, edge.Ramp{
				ID: fmt.Sprint(i), Service: www, Scheme: []edge.Scheme{edge.Global, edge.Regional}[i%2], Share: 0.1, Salt: fmt.Sprint(i),
				Where: edge.Where{Countries: []string{country(2 * i), country(2*i + 1), country(39 - i)}},
			})
		}
		s.Sheds = []edge.Shed{{PoP: "iad", Share: 0.2}, {PoP: "p10", Share: 0.1}, {PoP: "p20", Share: 0.3}}
	}
	places := make([]edge.Place, 60_000)
	for i := range places {
		c := rng.IntN(40)
		places[i] = edge.Place{
			Continent: continents[c%6], Country: country(c), Subdivision: fmt.Sprint(rng.IntN(20)), ASN: 64496 + uint32(rng.IntN(16)),
			Lat: rng.Float64()*120 - 55, Lon: rng.Float64()*360 - 180,
		}
	}
	seen := map[netip.Prefix]bool{}
	all := make(known, 0, prefixes)
	for len(all) < cap(all) {
		x := rng.Uint64()
		var p netip.Prefix
		if len(all)%12 == 0 {
			p, _ = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(x), byte(x >> 8), byte(x >> 16)}).Prefix(40 + rng.IntN(17))
		} else {
			p, _ = netip.AddrFrom4([4]byte{byte(1 + x%223), byte(x >> 8), byte(x >> 16), byte(x >> 24)}).Prefix([]int{19, 20, 21, 22, 23, 24, 24, 24, 24, 25, 26, 28}[rng.IntN(12)])
		}
		if !seen[p] {
			seen[p] = true
			all = append(all, knownPrefix{p, places[rng.IntN(len(places))]})
		}
	}
	return s, all
}

// BenchmarkCompile has one service; bytes are what the plan keeps.
func BenchmarkCompile(b *testing.B) {
	for _, partial := range []bool{false, true} {
		b.Run(fmt.Sprintf("partial=%v", partial), func(b *testing.B) {
			s, places := benchWorld(500_000, partial)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var p *Plan
			for b.Loop() {
				p = compile(b, s, places)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			service := p.services[0]
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB-kept")
			b.ReportMetric(float64(service.tables.bytes())/1e6, "MB-tables")
			b.ReportMetric(float64(len(service.tables.v4.runs)), "runs-v4")
			b.ReportMetric(float64(len(service.tables.v6.runs)), "runs-v6")
			b.ReportMetric(float64(len(service.forest.forks)), "forks")
			runtime.KeepAlive(places)
		})
	}
}

func (t *tables) bytes() int {
	return 8*len(t.v4.runs) + 24*len(t.v6.runs) + 4*(len(t.v4.index)+len(t.v6.index))
}

func BenchmarkLookup(b *testing.B) {
	for _, partial := range []bool{false, true} {
		s, places := benchWorld(500_000, partial)
		service := compile(b, s, places).services[0]
		rng := rand.New(rand.NewPCG(31, 32))
		for family, name := range []string{"v4", "v6"} {
			var ask []netip.Addr
			for len(ask) < 1<<16 {
				if p := places[rng.IntN(len(places))].prefix; p.Addr().Is4() == (family == v4) {
					ask = append(ask, within(rng, p))
				}
			}
			b.Run(fmt.Sprintf("partial=%v/%s", partial, name), func(b *testing.B) {
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					service.Lookup(ask[i&(1<<16-1)])
					i++
				}
			})
		}
	}
}

func BenchmarkExplain(b *testing.B) {
	s, places := benchWorld(500_000, true)
	service := compile(b, s, places).services[0]
	for b.Loop() {
		_ = service.Explain(clients["virginia"], netip.Addr{}).String()
	}
}

// Ramps do not blow the tables up: ten of them and sheds add some forks, and a
// few runs where their places end, though resolvers keep an entry for each of
// their granules.
func TestPartialStaysSmall(t *testing.T) {
	var size [2]int
	for i, partial := range []bool{false, true} {
		s, places := benchWorld(50_000, partial)
		service := compile(t, s, places).services[0]
		size[i] = service.tables.bytes()
		if n := len(service.forest.forks); n > 1000 || partial != (n > 0) {
			t.Errorf("partial=%v: %d forks", partial, n)
		}
		if c := service.Cost(); partial && c.Entries[v4] < 1.2*c.Settled[v4] {
			t.Errorf("with ramps in half of the countries the cost is %+v", c)
		}
	}
	if float64(size[1]) > 1.2*float64(size[0]) {
		t.Errorf("ramps and sheds take the tables from %d to %d bytes", size[0], size[1])
	}
}
