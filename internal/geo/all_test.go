package geo

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"catchment/internal/edge"
	"catchment/internal/geo/geotest"
)

// TestAll holds the sequence to Lookup: every address has the place of the one
// prefix that holds it, or none and no place.
func TestAll(t *testing.T) {
	file := filepath.Join(t.TempDir(), "places.csv")
	const rows = header + `
192.0.2.0/24,,US,VA,,64496,,39,-77
192.0.2.128/25,,DE,,,64497,,50,8
192.0.2.200/32,,FR,,,,,,
203.0.113.0/30,,BR,,,,,,
2001:db8::/32,,US,,,64496,,,
2001:db8:8000::/33,,DE,,,64497,,,
2001:db8:ffff::1/128,,FR,,,,,,
`
	if err := os.WriteFile(file, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	city := filepath.Join(t.TempDir(), "city.mmdb")
	geotest.City(t, city, map[string]edge.Place{
		"192.0.2.0/25":    {Country: "US", Subdivision: "CA", City: "Los Angeles", Lat: 34.05, Lon: -118.24},
		"192.0.2.64/27":   {Country: "MX"},
		"198.51.100.0/23": {Country: "SG"},
		"2001:db8:4::/46": {Country: "JP"},
	})
	db, err := Open(Config{Files: []string{city}, Places: file})
	if err != nil {
		t.Fatal(err)
	}
	var prefixes []netip.Prefix
	var places []edge.Place
	for p, place := range db.All() {
		if n := len(prefixes); n > 0 && prefixes[n-1].Overlaps(p) {
			t.Fatalf("%v and %v overlap", prefixes[n-1], p)
		}
		if p != p.Masked() {
			t.Fatalf("%v has host bits", p)
		}
		prefixes, places = append(prefixes, p), append(places, place)
	}
	find := func(a netip.Addr) (place edge.Place) {
		n := 0
		for i, p := range prefixes {
			if p.Contains(a) {
				place = places[i]
				n++
			}
		}
		if n > 1 {
			t.Fatalf("%v is in %d prefixes", a, n)
		}
		return place
	}
	check := func(a netip.Addr) {
		if got, want := find(a), db.Lookup(a); got != want {
			t.Errorf("%v: %+v, want %+v", a, got, want)
		}
	}
	for _, p := range prefixes {
		for _, a := range []netip.Addr{p.Addr().Prev(), p.Addr(), last(p), last(p).Next()} {
			if a.IsValid() && !repeated[0].Contains(a) && !repeated[1].Contains(a) {
				check(a)
			}
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		check(netip.AddrFrom4([4]byte{192, 0, 2, byte(rng.Uint32())}))
		check(netip.AddrFrom4([4]byte{byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32())}))
	}
	if got := find(netip.MustParseAddr("::192.0.2.1")); got != (edge.Place{}) {
		t.Errorf("an IPv4-compatible address has a place: %+v", got)
	}
	n := 0
	for range db.All() {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("broke off after %d", n)
	}
}
