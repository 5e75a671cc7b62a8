package beacon

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"catchment/internal/edge"
)

// Plan tells a page what to measure, in which order.
type Plan struct {
	ID     string         `json:"id"`
	TTL    int            `json:"ttl"` // s: how long measuring may begin
	Probes []PlannedProbe `json:"probes"`
}

// PlannedProbe is one target to probe.
type PlannedProbe struct {
	Target edge.Target `json:"target"`
	URL    string      `json:"url"`
}

// URLMaker returns the URL that probes a target; nonce makes its name unique.
type URLMaker func(target edge.Target, nonce string) string

// ProbeURL makes URLs under a fleet's probe domain:
// https://pop-iad-NONCE.probe.example/o. One wildcard certificate covers them.
func ProbeURL(domain string) URLMaker {
	return func(t edge.Target, nonce string) string {
		return "https://" + Label(t) + "-" + nonce + "." + domain + "/o"
	}
}

// Candidates are drawn as in Calder et al., "Analyzing the Performance of an
// Anycast CDN", IMC 2015, section 3.3: the nearest PoP and two out of the next
// nearest nine. Beyond about five, candidates bring little.
const (
	drawn       = 2
	drawnFrom   = 9
	probeAllTo  = 1 + drawn // PoPs; fleets up to this size are probed whole
	nearLimitKm = 100       // GeoIP cannot tell distances below it
)

// Targets draws what a page view from a place probes: each scheme under
// comparison, and candidate PoPs by their own names: the nearest one and two
// of the next nearest nine, weighted by 1/distance; three by equal chance if
// the place has no coordinates; all where there are no more than three. They
// are in random order. PoPs without an address of their own cannot be probed.
func Targets(f *edge.Fleet, place edge.Place, rng *rand.Rand) []edge.Target {
	targets := make([]edge.Target, 0, len(edge.Schemes)+probeAllTo)
	targets = append(targets, edge.Target(edge.Unicast))
	if slices.ContainsFunc(f.VIPs, func(v edge.VIP) bool { return v.ID == edge.VIPID(edge.Global) }) {
		targets = append(targets, edge.Target(edge.Global))
	}
	if len(f.Regions) > 0 {
		targets = append(targets, edge.Target(edge.Regional))
	}

	pops := candidates(f, place)
	switch {
	case len(pops) <= probeAllTo:
	case !place.HasCoord():
		rng.Shuffle(len(pops), func(i, j int) { pops[i], pops[j] = pops[j], pops[i] })
	default:
		pops = pops[:min(len(pops), 1+drawnFrom)]
		for i := 1; i <= drawn; i++ {
			j := i + draw(pops[i:], rng)
			pops[i], pops[j] = pops[j], pops[i]
		}
	}
	for _, p := range pops[:min(len(pops), probeAllTo)] {
		targets = append(targets, edge.TargetOf(p.id))
	}
	rng.Shuffle(len(targets), func(i, j int) { targets[i], targets[j] = targets[j], targets[i] })
	return targets
}

type candidate struct {
	id edge.PoPID
	km float64 // +Inf: unknown
}

// candidates returns the PoPs that can be probed, the nearest first.
func candidates(f *edge.Fleet, place edge.Place) []candidate {
	pops := make([]candidate, 0, len(f.PoPs))
	for i := range f.PoPs {
		if p := &f.PoPs[i]; len(p.Unicast) > 0 {
			pops = append(pops, candidate{p.ID, edge.DistanceKm(place, p.Place)})
		}
	}
	if place.HasCoord() {
		slices.SortFunc(pops, func(a, b candidate) int { return cmp.Compare(a.km, b.km) })
	}
	return pops
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

// MakePlan returns the plan for one page view from a place. It is determined
// by its arguments.
func MakePlan(f *edge.Fleet, place edge.Place, rng *rand.Rand, now time.Time, ttl time.Duration, keys *Keys, url URLMaker) Plan {
	targets := Targets(f, place, rng)
	s := newSeed(now, rng.Uint64())
	p := Plan{ID: keys.planID(0, s), TTL: int(ttl / time.Second), Probes: make([]PlannedProbe, len(targets))}
	for i, t := range targets {
		p.Probes[i] = PlannedProbe{Target: t, URL: url(t, keys.nonce(s, i, Label(t)))}
	}
	return p
}
