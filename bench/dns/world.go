package main

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"os"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// continents are the codes of a place file, each with a country in it.
var continents = [...]struct {
	code, country string
	share         float64 // of the leaves
	lat, lon      float64
}{
	{"AF", "ZA", 0.06, -26.2, 28.0},
	{"AN", "AQ", 0.01, -77.8, 166.7},
	{"AS", "JP", 0.26, 35.7, 139.7},
	{"EU", "DE", 0.27, 50.1, 8.7},
	{"NA", "US", 0.27, 39.0, -77.5},
	{"OC", "AU", 0.04, -33.9, 151.2},
	{"SA", "BR", 0.07, -23.5, -46.6},
}

// nowhere is the answer, as an index, for an address that is on no continent:
// 2 % of the leaves are gaps in the place file.
const nowhere = len(continents)

// A leaf is a prefix whose addresses all get the same answer. Leaves do not
// overlap and are in the order of their addresses.
type leaf struct {
	prefix netip.Prefix
	answer int // index into continents, or nowhere
}

// world is who is where: the leaves cover all of IPv4, and of IPv6 what the
// registries give out, 2400::/6 and 2800::/5. (2001::/16 and 2002::/16 stay out
// of it, which servers take for the IPv4 addresses inside of Teredo and 6to4.)
type world struct{ v4, v6 []leaf }

// wholeWorld is the size that makes some 500,000 IPv4 leaves and 40,000 of IPv6.
const wholeWorld = 12

// newWorld draws the world of a seed. Prefixes are halved again and again, so
// that lengths come out as in a routing table: more than half of the IPv4
// leaves are /24, those of IPv6 go to /48. A size that is less by one makes
// half as many. Every leaf draws its continent on its own: real neighbors are
// more alike, which makes tables smaller.
func newWorld(seed uint64, size int) *world {
	rng := rand.New(rand.NewPCG(seed, 1))
	w := &world{}
	split(rng, netip.MustParsePrefix("0.0.0.0/0"), size, 24, 0.715, &w.v4)
	split(rng, netip.MustParsePrefix("2400::/6"), size+4, 48, 0.49, &w.v6)
	split(rng, netip.MustParsePrefix("2800::/5"), size+4, 48, 0.49, &w.v6)
	return w
}

// split halves p always down to length `always`, and from there to length
// `deepest` with a probability, and appends what is left to leaves.
func split(rng *rand.Rand, p netip.Prefix, always, deepest int, probability float64, leaves *[]leaf) {
	if p.Bits() < always || p.Bits() < deepest && rng.Float64() < probability {
		a, b := halves(p)
		split(rng, a, always, deepest, probability, leaves)
		split(rng, b, always, deepest, probability, leaves)
		return
	}
	*leaves = append(*leaves, leaf{p, draw(rng)})
}

func draw(rng *rand.Rand) int {
	x := rng.Float64()
	for i := range continents {
		if x -= continents[i].share; x < 0 {
			return i
		}
	}
	return nowhere
}

// halves returns the two prefixes that make up p.
func halves(p netip.Prefix) (a, b netip.Prefix) {
	bytes := p.Addr().AsSlice()
	bytes[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	upper, _ := netip.AddrFromSlice(bytes) // of the length that it had
	return netip.PrefixFrom(p.Addr(), p.Bits()+1), netip.PrefixFrom(upper, p.Bits()+1)
}

// citiesPerContinent makes as many different records as a City file has
// places that matter: more than any server's cache of records holds.
const citiesPerContinent = 500

// writePlaces writes the world as a file with the layout of GeoLite2-City.
func (w *world) writePlaces(path string) error {
	tree, err := mmdbwriter.New(mmdbwriter.Options{
		DatabaseType: "GeoLite2-City", RecordSize: 28,
		BuildEpoch:              1793491200, // 2026-11-01
		IncludeReservedNetworks: true,       // what is reserved is in the world as well
	})
	if err != nil {
		return err
	}
	var records [len(continents)][citiesPerContinent]mmdbtype.Map
	for i, c := range continents {
		for j := range records[i] {
			records[i][j] = mmdbtype.Map{
				"continent": mmdbtype.Map{"code": mmdbtype.String(c.code)},
				"country":   mmdbtype.Map{"iso_code": mmdbtype.String(c.country)},
				"location": mmdbtype.Map{
					"latitude":  mmdbtype.Float64(c.lat + float64(j/25)/10),
					"longitude": mmdbtype.Float64(c.lon + float64(j%25)/10),
				},
			}
		}
	}
	for _, leaves := range [][]leaf{w.v4, w.v6} {
		for i, l := range leaves {
			if l.answer == nowhere {
				continue
			}
			network := &net.IPNet{
				IP:   l.prefix.Addr().AsSlice(),
				Mask: net.CIDRMask(l.prefix.Bits(), l.prefix.Addr().BitLen()),
			}
			if err := tree.Insert(network, records[l.answer][i%citiesPerContinent]); err != nil {
				return err
			}
		}
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := tree.WriteTo(f); err != nil {
		return err
	}
	return f.Close()
}
