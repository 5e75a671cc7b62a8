package generate

import (
	"math"
	"slices"

	"catchment/internal/sim/topology"
)

// linksPerAS is how many links there are for each AS in all: that of CAIDA's
// file of 2025-09-01 (493,350 links of 78,638 ASes). What is not transit is
// peering.
const linksPerAS = 6.27

// target is how many links are wanted in all.
func (w *world) target() int { return int(linksPerAS * float64(w.size)) }

// exchange is who peers in a metro, with the running sum of their appetites.
type exchange struct {
	members []int32
	sum     []float64
}

func (e *exchange) add(i int, appetite float64) {
	last := 0.0
	if n := len(e.sum); n > 0 {
		last = e.sum[n-1]
	}
	e.members, e.sum = append(e.members, int32(i)), append(e.sum, last+appetite)
}

func (e *exchange) total() float64 {
	if len(e.sum) == 0 {
		return 0
	}
	return e.sum[len(e.sum)-1]
}

// at returns the member that a uniform choice falls on, by appetite.
func (e *exchange) at(u float64) int {
	i, _ := slices.BinarySearch(e.sum, u*e.total())
	return int(e.members[min(i, len(e.members)-1)])
}

// peer makes peering links between networks that meet in a metro, until there
// are as many links as in the real Internet.
func (w *world) peer() {
	exchanges := w.meet()
	sum := make([]float64, len(exchanges))
	var total float64
	for m := range exchanges {
		// Pairs grow faster than members, and large exchanges draw in more.
		total += math.Pow(exchanges[m].total(), 1.2)
		sum[m] = total
	}
	if total == 0 {
		return
	}
	left := w.target() - len(w.ordered)
	for try := 0; left > 0 && try < 300*len(w.networks); try++ {
		m, _ := slices.BinarySearch(sum, w.rand.Float64()*total)
		e := &exchanges[min(m, len(exchanges)-1)]
		if len(e.members) < 2 {
			continue
		}
		a, b := e.at(w.rand.Float64()), e.at(w.rand.Float64())
		if w.wouldPeer(a, b) && w.link(min(a, b), max(a, b), topology.Peering) {
			left--
		}
	}
}

// meet puts networks into the exchanges of their metros. One whose home has
// little of an exchange also goes to a hub of its country, or of its
// continent, and is present there from then on.
func (w *world) meet() []exchange {
	exchanges := make([]exchange, len(w.cities))
	for i := range w.networks {
		n := &w.networks[i]
		if n.appetite == 0 {
			continue
		}
		if hub, ok := w.remote(n); ok && !slices.Contains(n.metros, hub) {
			n.metros = append(n.metros, hub)
		}
		for _, m := range n.metros {
			if w.hub[m] == 0 && len(n.metros) > 3 && n.kind != Regional {
				continue // exchanges of small metros are for those at home there
			}
			exchanges[m].add(i, n.appetite*(0.2+w.hub[m])/(2+w.hub[m]))
		}
	}
	return exchanges
}

// remote draws the hub that a network goes to for peering, if any.
func (w *world) remote(n *network) (topology.Metro, bool) {
	u := w.draw(n.asn, drawRemote, 0)
	if n.kind == Content && len(n.metros) > 1 || n.kind == International || w.hub[n.metros[0]] >= 3 {
		return 0, false
	}
	c := &w.countries[n.country]
	best := c.metros[0]
	for _, m := range c.metros {
		if w.hub[m] > w.hub[best] {
			best = m
		}
	}
	switch {
	case w.hub[best] > 0 && u < 0.5:
		return best, true
	case u > 0.9:
		hubs := w.byHub[c.continent]
		return hubs[int((1-u)*10*float64(min(4, len(hubs))))], true
	}
	return 0, false
}

// wouldPeer reports whether two networks agree to peer: the large access
// networks do so with their like and with who sends much only.
func (w *world) wouldPeer(a, b int) bool {
	x, y := &w.networks[a], &w.networks[b]
	if a == b || x.org == b || y.org == a || x.org >= 0 && x.org == y.org {
		return false
	}
	like := func(n *network) bool {
		return n.choosy || n.kind == International || n.kind == National || n.kind == Content && n.appetite > 20
	}
	return (!x.choosy || like(y)) && (!y.choosy || like(x))
}
