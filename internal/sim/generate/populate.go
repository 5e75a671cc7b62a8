package generate

import (
	"cmp"
	"math"
	"slices"

	"catchment/internal/sim/noise"
	"catchment/internal/sim/topology"
)

// Shares of a country's networks, once it has its national ones. Invented, so
// that about half of all networks have users and a few hundred of 80,000 are
// carriers.
const (
	carrierShare  = 0.008
	regionalShare = 0.11
	localShare    = 0.37
	contentShare  = 0.05
)

// populate makes the networks, each kind after those that it buys from.
func (w *world) populate(n int) {
	for i := range tierOnes {
		w.addTierOne(i)
	}
	international := 20 + n/400
	for i := range international {
		w.addInternational(i)
	}
	apportion(w.countries, n-len(w.networks))
	for i := range w.countries {
		w.addNationals(i)
	}
	left := make([]int, len(w.countries)) // still to be made, by country
	for i := range w.countries {
		left[i] = w.countries[i].number
	}
	for i := range w.networks {
		if k := w.networks[i].kind; k == National || k == Arm {
			left[w.networks[i].country]--
		}
	}
	rest := slices.Clone(left)
	order := make([]int, len(w.countries)) // those with most networks first: the giants of content are at home there
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(w.countries[b].ases, w.countries[a].ases) })
	add := func(kind Kind, share float64, one func(country, rank int)) {
		for _, i := range order {
			number := min(int(math.Round(share*float64(rest[i]))), left[i])
			if kind == Enterprise {
				number = left[i]
			}
			left[i] -= number
			for rank := 1; rank <= number; rank++ {
				one(i, rank)
			}
		}
	}
	add(Carrier, carrierShare, w.addCarrier)
	add(Regional, regionalShare, w.addRegional)
	add(Local, localShare, w.addLocal)
	var contents, enterprises int
	add(Content, contentShare, func(i, _ int) { contents++; w.addContent(i, contents) })
	add(Enterprise, 1, func(i, _ int) { enterprises++; w.addEnterprise(i, enterprises) })
}

// draw returns a uniform choice about one network: the same for every size of
// the world.
func (w *world) draw(asn uint32, what, i uint64) float64 {
	return noise.Uniform(noise.At(w.seed, noise.Shape, uint64(asn), what, i))
}

// What draw is asked.
const (
	drawHome uint64 = iota
	drawReach
	drawMetro
	drawSize
	drawAppetite
	drawPeers
	drawUsers
	drawRemote
)

func (w *world) add(n network) {
	if n.name == "" {
		n.name = nameOf(n.kind, n.asn, w.cities[n.metros[0]].Name)
	}
	n.served = len(n.metros)
	w.networks = append(w.networks, n)
}

// pick returns the index that a uniform choice falls on, among weights.
func pick(u float64, weights []float64) int {
	var sum float64
	for _, x := range weights {
		sum += x
	}
	u *= sum
	for i, x := range weights {
		if u -= x; u < 0 {
			return i
		}
	}
	return len(weights) - 1
}

// pareto is a heavy-tailed size of at least 1 and at most most, of tail index
// 1.1: about that of degrees in the Internet (Faloutsos et al., SIGCOMM 1999).
func pareto(u, most float64) float64 { return min(most, math.Pow(1-u, -1/1.1)) }

// homeIn draws a metro of a country, by population and by who meets there.
func (w *world) homeIn(c *country, asn uint32) topology.Metro {
	weights := make([]float64, len(c.metros))
	for i, m := range c.metros {
		weights[i] = float64(w.cities[m].Population) * (1 + w.hub[m]/4)
	}
	return c.metros[pick(w.draw(asn, drawHome, 0), weights)]
}

// some returns a heavy-tailed appetite for peering for a share of networks,
// else none.
func (w *world) some(asn uint32, share, least float64) float64 {
	if w.draw(asn, drawPeers, 0) >= share {
		return 0
	}
	return least * pareto(w.draw(asn, drawAppetite, 0), 100)
}
