package generate

import (
	"math"

	"catchment/internal/sim/noise"
	"catchment/internal/sim/topology"
)

// leastUsers is how many users a network has in a metro, for it to be counted
// as present there.
const leastUsers = 20

// users returns who is where, with how many users. A country's users are
// divided among its metros by population; each metro's users are divided among
// the access networks there by their strength: national networks, regional
// ones and local ones each have about the share of the country's market.
func (w *world) users() []topology.Presence {
	people := make([]float64, len(w.countries))
	for i := range w.countries {
		for _, m := range w.countries[i].metros {
			people[i] += float64(w.cities[m].Population)
		}
	}
	weight := w.weigh()
	sum := make([]float64, len(w.cities))
	for i := range w.networks {
		for j, x := range weight[i] {
			sum[w.networks[i].metros[j]] += x
		}
	}
	countryOf := make([]int, len(w.cities))
	for i := range w.countries {
		for _, m := range w.countries[i].metros {
			countryOf[m] = i
		}
	}
	var all []topology.Presence
	for i := range w.networks {
		n := &w.networks[i]
		for j, m := range n.metros {
			var users float64
			if j < len(weight[i]) && weight[i][j] > 0 {
				c := &w.countries[countryOf[m]]
				here := c.users * float64(w.cities[m].Population) / people[countryOf[m]]
				if users = math.Round(here * weight[i][j] / sum[m]); users < leastUsers {
					users = 0
				}
			}
			all = append(all, topology.Presence{ASN: n.asn, Metro: m, Users: users})
		}
	}
	return all
}

// weigh returns the weight of every access network in each of the metros that
// it serves, as a share of the users there, before all are scaled to 1.
func (w *world) weigh() [][]float64 {
	weight := make([][]float64, len(w.networks))
	var sums [kinds][]float64 // of regional and local networks, by metro
	sums[Regional], sums[Local] = make([]float64, len(w.cities)), make([]float64, len(w.cities))
	for i := range w.networks {
		n := &w.networks[i]
		if n.strength == 0 {
			continue // no users
		}
		weight[i] = make([]float64, n.served)
		for j, m := range n.metros[:n.served] {
			bits := noise.At(w.seed, noise.Shape, uint64(n.asn), drawUsers, uint64(m))
			x := n.strength * noise.LogNormal(bits, 0.35)
			if j > 0 && (n.kind == Regional || n.kind == Local) {
				x *= 0.4 // away from home
			}
			weight[i][j] = x
			if sums[n.kind] != nil {
				sums[n.kind][m] += x
			}
		}
	}
	for i := range w.networks {
		n := &w.networks[i]
		switch n.kind {
		case Regional, Local:
			market := w.markets[n.country]
			share := market.regional
			if n.kind == Local {
				share = market.local
			}
			for j, m := range n.metros[:n.served] {
				weight[i][j] *= share / sums[n.kind][m]
			}
		case Arm: // half of its organization's users where it is
			w.halve(weight, i)
		}
	}
	return weight
}

// halve moves half of the users of a network, in the metros of an arm of its
// organization, to that arm.
func (w *world) halve(weight [][]float64, arm int) {
	org := w.networks[arm].org
	for j := range weight[arm] {
		m := w.networks[arm].metros[j]
		weight[arm][j] = 0
		for k := range weight[org] {
			if w.networks[org].metros[k] == m {
				weight[org][k] /= 2
				weight[arm][j] = weight[org][k]
			}
		}
	}
}
