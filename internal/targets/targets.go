// Package targets chooses what a page view probes. The collector's plans and
// simulated page views choose alike.
package targets

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"catchment/internal/edge"
)

// Candidates are drawn as in Calder et al., "Analyzing the Performance of an
// Anycast CDN", IMC 2015, section 3.3: the nearest PoP and two out of the next
// nearest nine. Beyond about five, candidates bring little.
const (
	drawn       = 2
	drawnFrom   = 9
	probeAllTo  = 1 + drawn // PoPs; fleets up to this size are probed whole
	nearLimitKm = 100       // GeoIP cannot tell distances below it
)

// Most is how many targets Draw returns at most.
const Most = len(edge.Schemes) + probeAllTo

// Choice is what page views from one place choose from. It is immutable and
// safe for concurrent use.
type Choice struct {
	schemes []edge.Target
	pops    []candidate // that can be probed; the nearest first if placed
	placed  bool
}

type candidate struct {
	target edge.Target
	km     float64 // +Inf: unknown
}

// Schemes returns the schemes that a fleet can be reached by, and that are
// compared.
func Schemes(f *edge.Fleet) []edge.Scheme {
	all := []edge.Scheme{edge.Unicast}
	if slices.ContainsFunc(f.VIPs, func(v edge.VIP) bool { return v.ID == edge.VIPID(edge.Global) }) {
		all = append(all, edge.Global)
	}
	if len(f.Regions) > 0 {
		all = append(all, edge.Regional)
	}
	return all
}

// From returns what page views from a place choose from: each scheme under
// comparison, and candidate PoPs by their own names. PoPs without an address
// of their own cannot be probed.
func From(f *edge.Fleet, place edge.Place) *Choice {
	c := &Choice{placed: place.HasCoord()}
	for _, s := range Schemes(f) {
		c.schemes = append(c.schemes, edge.Target(s))
	}
	for i := range f.PoPs {
		if p := &f.PoPs[i]; len(p.Unicast) > 0 {
			c.pops = append(c.pops, candidate{edge.TargetOf(p.ID), edge.DistanceKm(place, p.Place)})
		}
	}
	if c.placed {
		slices.SortFunc(c.pops, func(a, b candidate) int { return cmp.Compare(a.km, b.km) })
	}
	return c
}

// Draw appends to dst what one page view probes, in random order: all the
// schemes, and the nearest PoP and two of the next nearest nine, weighted by
// 1/distance; three by equal chance if the place has no coordinates; all where
// there are no more than three. It does not allocate when dst has room and the
// place has coordinates.
func (c *Choice) Draw(dst []edge.Target, rng *rand.Rand) []edge.Target {
	first := len(dst)
	dst = append(dst, c.schemes...)
	var room [1 + drawnFrom]candidate
	pops := c.pops
	switch {
	case len(pops) <= probeAllTo:
	case !c.placed:
		pops = slices.Clone(pops)
		rng.Shuffle(len(pops), func(i, j int) { pops[i], pops[j] = pops[j], pops[i] })
	default:
		pops = room[:copy(room[:], pops)]
		for i := 1; i <= drawn; i++ {
			j := i + draw(pops[i:], rng)
			pops[i], pops[j] = pops[j], pops[i]
		}
	}
	for _, p := range pops[:min(len(pops), probeAllTo)] {
		dst = append(dst, p.target)
	}
	targets := dst[first:]
	rng.Shuffle(len(targets), func(i, j int) { targets[i], targets[j] = targets[j], targets[i] })
	return dst
}

// draw picks one of pops, weighted by 1/distance, and returns its index.
func draw(pops []candidate, rng *rand.Rand) int {
	weight := func(c candidate) float64 { return 1 / max(c.km, nearLimitKm) } // 0 where the distance is unknown
	sum := 0.0
	for _, c := range pops {
		sum += weight(c)
	}
	if sum == 0 {
		return rng.IntN(len(pops))
	}
	x := rng.Float64() * sum
	for i, c := range pops {
		if x -= weight(c); x < 0 {
			return i
		}
	}
	return 0 // rounding left a little over
}
