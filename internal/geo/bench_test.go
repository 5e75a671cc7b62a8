package geo_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"

	"catchment/internal/edge"
	"catchment/internal/geo"
	"catchment/internal/geo/geotest"
)

// BenchmarkLookup asks for random addresses of 50,000 networks with as many
// different records, over a City and an ASN file and 100,000 overrides.
func BenchmarkLookup(b *testing.B) {
	const networks = 50_000
	dir := b.TempDir()
	city, places := dir+"/city.mmdb", dir+"/places.csv"
	cities, systems := map[string]edge.Place{}, map[string]edge.Place{}
	var overrides strings.Builder
	overrides.WriteString("prefix,asn\n")
	addrs := make([]netip.Addr, networks)
	for i := range networks {
		addr := netip.AddrFrom4([4]byte{20, byte(i >> 8), byte(i), 9})
		prefix, _ := addr.Prefix(24)
		addrs[i] = addr
		cities[prefix.String()] = edge.Place{
			Continent: "NA", Country: "US", Subdivision: "VA",
			City: fmt.Sprint("City ", i), Lat: 30 + float64(i)/networks, Lon: -77.5,
		}
		systems[prefix.String()] = edge.Place{ASN: uint32(i + 1), ASName: fmt.Sprint("Network ", i)}
		fmt.Fprintf(&overrides, "%v/32,64496\n%v/25,64497\n", addr, prefix.Addr())
	}
	geotest.City(b, city, cities)
	geotest.ASN(b, dir+"/asn.mmdb", systems)
	if err := os.WriteFile(places, []byte(overrides.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	run := func(name string, cfg geo.Config, addrs []netip.Addr) {
		b.Run(name, func(b *testing.B) {
			db, err := geo.Open(cfg)
			if err != nil {
				b.Fatal(err)
			}
			for _, a := range addrs {
				db.Lookup(a)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if db.Lookup(addrs[i]).ASN == 1<<31 {
					b.Fatal("no such network")
				}
				if i++; i == len(addrs) {
					i = 0
				}
			}
		})
	}
	run("overrides", geo.Config{Places: places}, addrs)
	run("city", geo.Config{Files: []string{city}}, addrs)
	run("city/500_popular", geo.Config{Files: []string{city}}, addrs[:500])
	run("city+asn+overrides", geo.Config{Files: []string{city, dir + "/asn.mmdb"}, Places: places}, addrs)
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			if _, err := geo.Open(geo.Config{Files: []string{city}}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
