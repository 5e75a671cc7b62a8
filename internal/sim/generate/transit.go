package generate

import (
	"slices"

	"catchment/internal/sim/topology"
)

// providers is the distribution of how many providers a network has, 1 to 4.
// Invented, so that there are about two transit links per AS, of which two ASes
// in five have one: a third of the links of CAIDA's file of 2025-09-01 (78,638
// ASes, 493,350 links).
var providers = [kinds][]float64{
	International: {5, 30, 40, 25},
	National:      {10, 35, 35, 20},
	Carrier:       {10, 35, 30, 25},
	Regional:      {20, 40, 25, 15},
	Local:         {43, 34, 14, 9},
	Content:       {25, 38, 22, 15},
	Enterprise:    {47, 35, 12, 6},
}

// shops is where a network looks for a provider: among those in its home
// metro, in its country, on its continent, and tier-1s. Invented: small ones buy
// nearby.
var shops = [kinds][4]float64{
	International: {0, 0, 0.2, 0.8},
	National:      {0, 0, 0.45, 0.55},
	Carrier:       {0, 0.15, 0.4, 0.45},
	Regional:      {0.05, 0.35, 0.35, 0.25},
	Local:         {0.42, 0.30, 0.15, 0.13},
	Content:       {0.20, 0.25, 0.30, 0.25},
	Enterprise:    {0.40, 0.32, 0.13, 0.15},
}

// urn holds sellers of transit, one ticket for each and one more for every
// customer found here: who has many gets more (Barabási and Albert, 1999).
type urn struct{ tickets []int32 }

func (u *urn) add(seller, tickets int) {
	for range tickets {
		u.tickets = append(u.tickets, int32(seller))
	}
}

// transitMarket is where transit is sold: the shops of each place.
type transitMarket struct {
	metro     []urn
	country   []urn
	continent [len(continentNames)]urn
	tierOne   [len(continentNames)]urn
}

// buyTransit gives every network its providers, which are sellers that were
// there before it.
func (w *world) buyTransit() {
	market := &transitMarket{metro: make([]urn, len(w.cities)), country: make([]urn, len(w.countries))}
	for i := range w.networks {
		n := &w.networks[i]
		switch {
		case n.kind == TierOne:
			for j := range i {
				w.link(j, i, topology.Peering)
			}
		case n.kind == Arm:
			w.link(n.org, i, topology.Transit)
		case n.up != nil:
			for _, rank := range n.up {
				w.link(rank-1, i, topology.Transit)
			}
		default:
			w.buy(market, i)
		}
		for _, rank := range n.peers {
			w.link(rank-1, i, topology.Peering)
		}
		w.sell(market, i)
	}
}

// buy draws the providers of a network.
func (w *world) buy(market *transitMarket, i int) {
	n := &w.networks[i]
	want := 1 + pick(w.rand.Float64(), providers[n.kind])
	for try := 0; want > 0; try++ {
		shop := pick(w.rand.Float64(), shops[n.kind][:])
		if try >= 8 {
			shop = 3 // there is always a tier-1
		}
		if try >= 16 {
			return // of fewer sellers than wanted; the first was found long ago
		}
		at := w.shop(market, n, shop)
		if len(at.tickets) == 0 {
			continue
		}
		seller := at.tickets[w.rand.IntN(len(at.tickets))]
		if w.link(int(seller), i, topology.Transit) {
			at.add(int(seller), 1)
			want--
		}
	}
}

func (w *world) shop(market *transitMarket, n *network, shop int) *urn {
	switch shop {
	case 0:
		return &market.metro[n.metros[0]]
	case 1:
		return &market.country[n.country]
	case 2:
		return &market.continent[w.countries[n.country].continent]
	default:
		return &market.tierOne[w.countries[n.country].continent]
	}
}

// sell puts a network up for sale where it sells transit. Tickets are what it
// starts with: about as many as it would have customers in a small world.
func (w *world) sell(market *transitMarket, i int) {
	n := &w.networks[i]
	switch n.kind {
	case TierOne:
		for k := range continentNames {
			// Tickets by presence and rank, and some for being a tier-1 that all can
			// reach: the first has several times the customers of the last.
			here := 0
			for _, m := range n.metros {
				if w.cities[m].Place.Continent == continentNames[k] {
					here++
				}
			}
			if here > 0 {
				market.tierOne[k].add(i, 1+int(float64(4+here)*4/(1+0.5*float64(i))))
			}
		}
	case International:
		for k := range continentNames {
			if slices.ContainsFunc(n.metros, func(m topology.Metro) bool { return w.cities[m].Place.Continent == continentNames[k] }) {
				market.continent[k].add(i, 1+min(len(n.metros), 60)/6)
			}
		}
	case National:
		c := &w.countries[n.country]
		market.country[n.country].add(i, 2+int(20*n.strength))
		for _, m := range n.metros {
			market.metro[m].add(i, 1+int(6*n.strength))
		}
		if n.strength*c.users > 1e7 && !n.mobile {
			market.continent[c.continent].add(i, 1)
		}
	case Carrier:
		market.country[n.country].add(i, 3)
		for _, m := range n.metros {
			market.metro[m].add(i, 2)
		}
	case Regional:
		if n.strength > 1.2 { // most
			market.country[n.country].add(i, 1)
			for _, m := range n.metros {
				market.metro[m].add(i, 1)
			}
		}
	case Local:
		if n.strength > 3.5 { // a few, that grew
			market.metro[n.metros[0]].add(i, 1)
		}
	}
}
