package generate

import "catchment/internal/sim/noise"

// market is how the users of a country are divided among access networks.
type market struct {
	nationals []national
	regional  float64 // share of the users of regional networks together
	local     float64 // of local ones
}

// national is one of the large access networks of a country.
type national struct {
	name   string
	share  float64 // of the country's users
	reach  float64 // share of the country's metros where it is
	mobile bool
	up     []int // ranks of the tier-1s it buys from; none: drawn
	peers  []int // ranks of the tier-1s that peer with it
	parent int   // rank of the tier-1 of the same organization, or 0
	arms   int   // more ASNs of the same organization, each in a part of the country
}

// markets are drawn by hand where the demo looks closely. The shares are
// invented, and follow what is known of each market: a few national networks
// and cable companies that end at state borders in the United States, a third
// of the users with small providers in Brazil, three in four with two networks
// in India, three state companies in China.
var markets = map[string]market{
	"US": {regional: 0.07, local: 0.03, nationals: []national{
		{name: "Prairie Cable", share: 0.18, reach: 0.80, up: []int{3, 15}, peers: []int{1, 2, 4, 7, 8, 10}},
		{name: "Cardinal Mobile", share: 0.14, reach: 1, mobile: true, up: []int{1, 13}, peers: []int{2, 3}},
		{name: "Union Valley Cable", share: 0.12, reach: 0.60, up: []int{1, 4}, peers: []int{3, 8}},
		{name: "Redwood Wireless", share: 0.11, reach: 1, mobile: true, up: []int{15, 4}, peers: []int{1, 7}},
		{name: "Heron Fiber", share: 0.11, reach: 0.55, parent: 2},
		{name: "Longhorn Mobile", share: 0.10, reach: 1, mobile: true, parent: 2},
		{name: "Bluestem Telephone", share: 0.07, reach: 0.50, up: []int{1, 3, 13}},
		{name: "Desert Rim Cable", share: 0.04, reach: 0.25, up: []int{3, 13}},
		{name: "Great Lakes Fiber", share: 0.03, reach: 0.30, up: []int{1, 15}},
	}},
	"BR": {regional: 0.17, local: 0.20, nationals: []national{
		{name: "Cerrado Telecom", share: 0.21, reach: 1, up: []int{6, 1}, peers: []int{9}, arms: 2},
		{name: "Ipê Fibra", share: 0.16, reach: 0.90, up: []int{9, 12}, arms: 1},
		{name: "Onça Móvel", share: 0.13, reach: 1, mobile: true, up: []int{12, 6}},
		{name: "Carioca Cabo", share: 0.08, reach: 0.50, up: []int{1, 13}},
		{name: "Pampa Banda Larga", share: 0.05, reach: 0.30, up: []int{9}},
	}},
	"DE": {regional: 0.08, local: 0.05, nationals: []national{
		{name: "Rheinnetz", share: 0.32, reach: 1, parent: 10, arms: 1},
		{name: "Alpenkabel", share: 0.22, reach: 0.90, up: []int{4, 5}, peers: []int{3}},
		{name: "Hansefunk", share: 0.18, reach: 1, mobile: true, up: []int{6, 4}},
		{name: "Spreefaser", share: 0.09, reach: 0.80, up: []int{3, 1}},
		{name: "Mainmobil", share: 0.06, reach: 1, mobile: true, up: []int{15, 11}},
	}},
	"IN": {regional: 0.08, local: 0.09, nationals: []national{
		{name: "Deccan Mobile", share: 0.42, reach: 1, mobile: true, up: []int{3, 8, 14}, peers: []int{7}, arms: 2},
		{name: "Ganga Telecom", share: 0.25, reach: 1, up: []int{1, 8, 12}, arms: 3},
		{name: "Monsoon Cellular", share: 0.12, reach: 1, mobile: true, up: []int{5, 8}},
		{name: "Peacock Broadband", share: 0.04, reach: 0.40, up: []int{8}},
	}},
	"JP": {regional: 0.12, local: 0.05, nationals: []national{
		{name: "Sakura Net", share: 0.27, reach: 1, parent: 7, arms: 2},
		{name: "Tancho Telecom", share: 0.21, reach: 1, up: []int{1, 7}, peers: []int{3, 14}},
		{name: "Momiji Mobile", share: 0.19, reach: 1, mobile: true, up: []int{3, 15}, peers: []int{14}},
		{name: "Kaede Hikari", share: 0.10, reach: 0.70, up: []int{4, 7}},
		{name: "Nami Broadband", share: 0.06, reach: 0.50, up: []int{7}},
	}},
	"CN": {regional: 0.03, local: 0.01, nationals: []national{
		{name: "Jade River Telecom", share: 0.46, reach: 1, up: []int{14, 1}, peers: []int{7, 3}, arms: 9},
		{name: "Lotus Mobile", share: 0.29, reach: 1, mobile: true, up: []int{14, 8}, arms: 6},
		{name: "Great Plain Net", share: 0.21, reach: 1, up: []int{14, 4, 7}, arms: 5},
	}},
	"GB": {regional: 0.05, local: 0.05, nationals: []national{
		{name: "Thistle Broadband", share: 0.28, reach: 1, parent: 5, arms: 1},
		{name: "Severn Cable", share: 0.20, reach: 0.80, up: []int{3, 4}, peers: []int{1}},
		{name: "Skylark Mobile", share: 0.22, reach: 1, mobile: true, up: []int{4, 5}},
		{name: "Badger Fibre", share: 0.20, reach: 1, up: []int{1, 15}},
	}},
	"FR": {regional: 0.04, local: 0.03, nationals: []national{
		{name: "Mistral Télécom", share: 0.38, reach: 1, parent: 11, arms: 1},
		{name: "Loire Fibre", share: 0.24, reach: 1, up: []int{4, 15}},
		{name: "Garonne Mobile", share: 0.18, reach: 1, mobile: true, up: []int{3, 11}},
		{name: "Bocage Réseau", share: 0.13, reach: 0.9, up: []int{1, 12}},
	}},
}

// marketOf returns the market of a country: two to five national networks, the
// first with a quarter to a half of the users. Invented; it hangs on the
// country alone, so that demo fleets can name its networks.
func marketOf(c *country) market {
	if m, ok := markets[c.code]; ok {
		return m
	}
	draw := func(what, i uint64) float64 {
		return noise.Uniform(noise.At(marketSeed, noise.Market, noise.String(c.code), what, i))
	}
	n := 2
	for _, users := range []float64{2e6, 2e7} {
		if c.users > users {
			n++
		}
	}
	if n > 2 && draw(0, 0) < 0.4 {
		n++
	}
	rest := 0.04 + 0.20*draw(1, 0)
	m := market{regional: 0.4 * rest, local: 0.6 * rest}
	share, sum := 1.0, 0.0
	for i := range n {
		m.nationals = append(m.nationals, national{share: share, reach: 1})
		sum += share
		share *= 0.45 + 0.45*draw(2, uint64(i))
	}
	for i := range m.nationals {
		nat := &m.nationals[i]
		nat.share *= (1 - rest) / sum
		nat.mobile = i > 0 && draw(3, uint64(i)) < 0.4
		if i > 0 && !nat.mobile {
			nat.reach = 0.6 + 0.4*draw(4, uint64(i))
		}
		nat.name = nationalName(c.code, i, nat.mobile)
		if i == 0 && c.users > 8e6 {
			nat.arms = 1
		}
	}
	return m
}

const marketSeed = 0x6d61726b6574 // "market"
