package analysis

import (
	"math"
	"slices"

	"catchment/internal/edge"
)

// Cause says why a view did not reach an optimal PoP.
type Cause string

// The causes, in the order in which they are tried: a view has the first one
// that holds. The rules are in causeOf, their reasons in docs/resolvers.md.
const (
	CauseFailed    Cause = "failed"    // the probe brought no answer
	CausePlace     Cause = "place"     // the view's own measurements contradict its place or cell
	CauseResolver  Cause = "resolver"  // DNS saw the client elsewhere, and answered what is right there
	CauseRegion    Cause = "region"    // regional: no PoP of the client's region is optimal
	CauseDistance  Cause = "distance"  // unicast: the PoP that DNS chose is nearer, but slower
	CauseContinent Cause = "continent" // the client went off its continent, which has an optimal PoP
	CauseBGP       Cause = "bgp"       // anycast: routes led to another PoP that announces the same address
	CauseUnknown   Cause = "unknown"   // none of these
)

// CauseOrder lists the causes in their order.
var CauseOrder = [...]Cause{
	CauseFailed, CausePlace, CauseResolver, CauseRegion, CauseDistance, CauseContinent, CauseBGP, CauseUnknown,
}

const (
	// kmPerMs is how far light gets in fiber and back in a ms of RTT, at two
	// thirds of its speed in a vacuum.
	kmPerMs = 100

	// Coordinates of a city are believed to 100 km; those of a place without
	// one, which are the middle of a country or state, to 1,000 km.
	citySlackKm, wideSlackKm = 100, 1000
)

func slackKm(p edge.Place) float64 {
	if p.City == "" {
		return wideSlackKm
	}
	return citySlackKm
}

// causeOf returns why the view reached a PoP under scheme k that was judged
// and is not optimal.
func (h *hearing) causeOf(k int) Cause {
	o := &h.outcomes[k]
	if o.failed {
		return CauseFailed
	}
	client, pop, best := h.view.Place, h.pops[o.pop], h.pops[h.nearestOptimal()]
	if h.impossible() || h.contradicts(o.pop) {
		return CausePlace
	}
	scheme := edge.Schemes[k]
	switch scheme {
	case edge.Unicast: // which PoPs DNS preferred is told by where it saw the client
		seen := client
		if h.asker.seen.HasCoord() {
			seen = h.asker.seen
		}
		if nearer(seen, pop, best) {
			if nearer(client, pop, best) {
				return CauseDistance // DNS went by distance, and distance errs
			}
			return CauseResolver
		}
	case edge.Regional:
		home := h.seat.region
		if home != nil && !slices.ContainsFunc(h.seat.optimal, func(id edge.PoPID) bool { return slices.Contains(home.PoPs, id) }) {
			return CauseRegion
		}
		if home != nil {
			other, ok := h.setting.Fleet.RegionOf(h.asker.seen)
			if ok && other != home && slices.Contains(other.PoPs, o.pop) {
				return CauseResolver
			}
		}
	}
	if client.Continent != "" && pop.Continent != "" && pop.Continent != client.Continent && h.optimalOn(client.Continent) {
		return CauseContinent
	}
	switch {
	case scheme == edge.Global:
		return CauseBGP
	case scheme == edge.Regional && h.seat.region != nil && slices.Contains(h.seat.region.PoPs, o.pop):
		return CauseBGP
	}
	return CauseUnknown
}

// nearer reports whether a is nearer to a place than b is, or as near. A place
// without coordinates is near nothing.
func nearer(from, a, b edge.Place) bool {
	km := edge.DistanceKm(from, a)
	return km <= edge.DistanceKm(from, b) && !math.IsInf(km, 1)
}

// nearestOptimal returns the PoP that is nearest to the client, of those that
// are optimal: of PoPs alike, the one that steering should have found.
func (h *hearing) nearestOptimal() (pop edge.PoPID) {
	least := math.Inf(1)
	for _, id := range h.seat.optimal {
		if km := edge.DistanceKm(h.view.Place, h.pops[id]); pop == "" || km < least {
			pop, least = id, km
		}
	}
	return pop
}

// optimalOn reports whether a continent has an optimal PoP.
func (h *hearing) optimalOn(continent string) bool {
	return slices.ContainsFunc(h.seat.optimal, func(id edge.PoPID) bool { return h.pops[id].Continent == continent })
}

// impossible reports whether a PoP answered the view sooner than light takes
// to get there and back from the client's place.
func (h *hearing) impossible() bool {
	client := h.view.Place
	if !client.HasCoord() {
		return false
	}
	slack := slackKm(client)
	for _, s := range h.view.Seen {
		pop, ok := h.pops[s.PoP]
		if ok && pop.HasCoord() && edge.DistanceKm(client, pop) > kmPerMs*s.RTT+slack {
			return true
		}
	}
	return false
}

// contradicts reports whether the view itself found the PoP that it reached
// clearly faster than every optimal one that it measured: the latencies of its
// cell are not its own. It is in the wrong cell, or others are.
func (h *hearing) contradicts(reached edge.PoPID) bool {
	mine, best := math.Inf(1), math.Inf(1)
	for _, s := range h.view.Seen {
		switch {
		case s.PoP == reached:
			mine = min(mine, s.RTT)
		case slices.Contains(h.seat.optimal, s.PoP):
			best = min(best, s.RTT)
		}
	}
	return !math.IsInf(mine, 1) && !math.IsInf(best, 1) && !DefaultTolerance.within(best, mine)
}
