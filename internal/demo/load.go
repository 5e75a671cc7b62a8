package demo

import (
	"math"

	"catchment/internal/edge"
	"catchment/internal/sim"
)

// Rate is how many requests/s one user makes, which the capacities of the fleet
// file go with.
const Rate = 0.0001

// Loads returns the PoPs' loads under the service's scheme, requests/s. Leaving
// is which share of a PoP's users is sent away, by a drain or a shed: to the PoP
// next to them of those that nobody leaves.
func (w *World) Loads(leaving map[edge.PoPID]float64) map[edge.PoPID]float64 {
	pops := w.Fleet.PoPs
	loads := map[edge.PoPID]float64{}
	var shares []sim.Share
	for g := range w.Topology.Groups {
		users := float64(w.Topology.Groups[g].Users)
		shares = w.Outcome.Assigned(shares, g, w.Fleet.Services[0].Scheme)
		for _, s := range shares {
			if s.PoP < 0 {
				continue
			}
			n := Rate * users * s.Share
			leave := leaving[pops[s.PoP].ID]
			if next := w.next(g, leaving); leave > 0 && next >= 0 {
				loads[pops[s.PoP].ID] += n * (1 - leave)
				loads[pops[next].ID] += n * leave
			} else {
				loads[pops[s.PoP].ID] += n
			}
		}
	}
	return loads
}

// next returns the PoP next to a group of those that nobody leaves; −1: none.
func (w *World) next(group int, leaving map[edge.PoPID]float64) int {
	best, least := -1, float32(math.Inf(1))
	for i := range w.Fleet.PoPs {
		if ms := w.Outcome.RTT(group, i); ms < least && leaving[w.Fleet.PoPs[i].ID] == 0 {
			best, least = i, ms
		}
	}
	return best
}
