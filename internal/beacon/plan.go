package beacon

import (
	"math/rand/v2"
	"time"

	"catchment/internal/edge"
	"catchment/internal/targets"
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

// MakePlan returns the plan for one page view from a place. It is determined
// by its arguments.
func MakePlan(f *edge.Fleet, place edge.Place, rng *rand.Rand, now time.Time, ttl time.Duration, keys *Keys, url URLMaker) Plan {
	drawn := targets.From(f, place).Draw(nil, rng)
	s := newSeed(now, rng.Uint64())
	p := Plan{ID: keys.planID(0, s), TTL: int(ttl / time.Second), Probes: make([]PlannedProbe, len(drawn))}
	for i, t := range drawn {
		p.Probes[i] = PlannedProbe{Target: t, URL: url(t, keys.nonce(s, i, Label(t)))}
	}
	return p
}
