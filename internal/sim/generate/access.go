package generate

import (
	"fmt"
	"math"
	"slices"

	"catchment/internal/sim/noise"
	"catchment/internal/sim/topology"
)

// addNationals makes the large access networks of a country and their arms, as
// many as its number of networks allows.
func (w *world) addNationals(ci int) {
	c := &w.countries[ci]
	market := &w.markets[ci]
	left := c.number
	first := len(w.networks)
	for i := range market.nationals {
		if left == 0 {
			return
		}
		left--
		nat := &market.nationals[i]
		n := network{
			asn: NationalASN(c.code, i+1), kind: National, country: int32(ci), name: nat.name, strength: nat.share,
			mobile: nat.mobile, up: nat.up, peers: nat.peers, org: -1,
			metros: w.covered(c, NationalASN(c.code, i+1), nat.reach),
		}
		n.appetite = 3 + 8*pareto(w.draw(n.asn, drawAppetite, 0), 10)
		n.choosy = nat.share*c.users > 4e6
		if nat.parent > 0 {
			n.org, n.up, n.peers, n.appetite = nat.parent-1, []int{nat.parent}, nil, 2
		}
		w.add(n)
	}
	// Arms, once everyone is there: they take some of their network's users.
	for i := range market.nationals {
		org := first + i
		for j := range market.nationals[i].arms {
			if left < 8 { // leave room for others
				return
			}
			left--
			w.addArm(c, org, i+1, j, market.nationals[i].arms)
		}
	}
}

// covered returns the metros of a country that a network with so much of it
// covers: its three largest, and others by chance.
func (w *world) covered(c *country, asn uint32, reach float64) []topology.Metro {
	var found []topology.Metro
	for i, m := range c.metros {
		hash := noise.Uniform(noise.At(marketSeed, noise.Market, uint64(asn), uint64(m)))
		if reach >= 1 || i < 3 && reach >= 0.5 || hash < reach {
			found = append(found, m)
		}
	}
	if found == nil {
		found = append(found, c.metros[0])
	}
	return found
}

// addArm makes the j-th of the further ASNs of a network's organization. In a
// country with several metros each has a part of them, and half of the users
// of its organization there; else it is the mobile network.
func (w *world) addArm(c *country, org, rank, j, arms int) {
	main := &w.networks[org]
	n := network{
		asn: countryASN(c.code) + armsAt + armsEach*uint32(rank) + uint32(j), kind: Arm, country: main.country, org: org,
		strength: main.strength, appetite: 1, choosy: true,
	}
	if len(main.metros) >= 2*arms && arms > 1 {
		seat := c.metros[(1+j)%len(c.metros)]
		n.metros = w.near(c, seat, (len(c.metros)+arms-1)/arms, math.Inf(1))
		n.name = fmt.Sprintf("%s %s", main.name, w.cities[seat].Name)
	} else {
		n.metros, n.mobile = slices.Clone(main.metros), true
		n.name = main.name + " Mobile"
	}
	w.add(n)
}

func (w *world) addRegional(ci, rank int) {
	c := &w.countries[ci]
	n := network{asn: countryASN(c.code) + regionalsAt + uint32(rank), kind: Regional, country: int32(ci), org: -1}
	n.metros = w.near(c, w.homeIn(c, n.asn), 2+int(10*w.draw(n.asn, drawSize, 0)), 1000)
	n.strength = pareto(w.draw(n.asn, drawSize, 1), 30)
	n.appetite = w.some(n.asn, 0.7, 2)
	w.add(n)
}

func (w *world) addLocal(ci, rank int) {
	c := &w.countries[ci]
	n := network{asn: countryASN(c.code) + localsAt + uint32(rank), kind: Local, country: int32(ci), org: -1}
	n.metros = w.near(c, w.homeIn(c, n.asn), 1+int(4*math.Pow(w.draw(n.asn, drawSize, 0), 1.1)), 350)
	n.strength = pareto(w.draw(n.asn, drawSize, 1), 100)
	n.appetite = w.some(n.asn, 0.45, 1)
	w.add(n)
}
