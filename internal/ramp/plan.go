package ramp

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"catchment/internal/edge"
)

// Bounds of a plan.
const (
	MaxGeographies = 64
	MaxNetworks    = 16 // of a geography
	maxSteps       = 32
	maxID          = 63
)

// DefaultSteps returns 1, 5, 25, 50 and 100 %.
func DefaultSteps() []float64 { return []float64{0.01, 0.05, 0.25, 0.5, 1} }

// DefaultGuardrail returns the margin and the rest of a metric's guardrail.
// 5 points and max(5 ms, 10 %) are those of reports; the others are our choice.
func DefaultGuardrail(m Metric) Guardrail {
	g := Guardrail{Metric: m, Confidence: 0.95, Window: Duration(28 * 24 * time.Hour), OnBreach: StepBack, Scope: OneGeography}
	switch m {
	case Optimal:
		g.Margin = 0.05
	case P50:
		g.Margin, g.Relative = 5, 0.10
	case P90:
		g.Margin, g.Relative = 10, 0.15
	case ProbeFailures, PageFailures:
		g.Margin, g.OnBreach = 0.005, RollBack
	case Resets:
		g.Margin, g.Relative, g.OnBreach = 0.005, 0.5, RollBack
	case Load:
		g.Margin, g.Window = 0.85, Duration(10*time.Minute)
	}
	return g
}

// DefaultPlan returns a plan with every default, and without an ID, service,
// schemes and geographies.
func DefaultPlan() Plan {
	p := Plan{
		AtOnce:  1,
		Observe: Duration(72 * time.Hour), Steps: DefaultSteps(),
		Dwell:  Dwell{Duration(24 * time.Hour), 1000},
		Settle: Duration(10 * time.Minute), Patience: Duration(14 * 24 * time.Hour),
		Power: 0.9, NetworkMargin: 2,
		Stale: Duration(20 * time.Minute), Contamination: 0.1,
		Retries: 2, RetryAfter: Duration(24 * time.Hour),
	}
	for _, m := range Metrics {
		if m != PageFailures && m != Resets { // they need sources that not every fleet has
			p.Guardrails = append(p.Guardrails, DefaultGuardrail(m))
		}
	}
	return p
}

// problem is what is wrong with the value at a path.
type problem struct{ path, msg, hint string }

func (p problem) Error() string {
	return fmt.Sprintf("ramp: %s: %s (%s)", p.path, p.msg, p.hint)
}

// Validate returns what is wrong with p, each error naming the field; nil if
// nothing is. Whether service, schemes and networks exist is for the caller.
func (p *Plan) Validate() []error {
	var errs []error
	for _, e := range p.problems() {
		errs = append(errs, e)
	}
	return errs
}

func (p *Plan) problems() (all []problem) {
	add := func(path, msg, hint string) { all = append(all, problem{path, msg, hint}) }
	within := func(path string, v, low, high float64) {
		if !(v >= low && v <= high) {
			add(path, fmt.Sprintf("%v does not fit", v), fmt.Sprintf("want %v to %v", low, high))
		}
	}
	lasts := func(path string, d Duration, low, high time.Duration) {
		if t := time.Duration(d); t < low || t > high {
			add(path, d.String()+" is out of range", fmt.Sprintf("want %v to %v", shortDuration(low), shortDuration(high)))
		}
	}
	if !validID(p.ID) {
		add("id", fmt.Sprintf("%q is not an id", p.ID), wantID)
	}
	if p.Service == "" {
		add("service", "is missing", "want a service of the fleet file")
	}
	for path, s := range map[string]edge.Scheme{"from": p.From, "to": p.To} {
		if s.Index() < 0 {
			add(path, fmt.Sprintf("%q is not a scheme", s), "want unicast, global or regional")
		}
	}
	if p.From == p.To && p.To.Index() >= 0 {
		add("to", "is the scheme that the ramp starts from", "want another one")
	}
	if p.Salt == "" || len(p.Salt) > maxID {
		add("salt", fmt.Sprintf("%q does not fit", p.Salt), "want 1 to 63 bytes")
	}
	if g := p.Granule; g.V4 != 0 && (g.V4 < 20 || g.V4 > 24) || g.V6 != 0 && (g.V6 < 40 || g.V6 > 48) {
		add("granule", "is out of range", "want v4 from 20 to 24 bits and v6 from 40 to 48")
	}
	if n := len(p.Geographies); n == 0 || n > MaxGeographies {
		add("geographies", fmt.Sprintf("there are %d", n), fmt.Sprintf("want 1 to %d", MaxGeographies))
	}
	ids := map[string]int{}
	for i := range p.Geographies {
		g, path := &p.Geographies[i], fmt.Sprintf("geographies[%d]", i)
		if !validID(g.ID) {
			add(path+".id", fmt.Sprintf("%q is not an id", g.ID), wantID)
		}
		if j, dup := ids[g.ID]; dup {
			add(path+".id", fmt.Sprintf("%s is taken", g.ID), fmt.Sprintf("by geographies[%d]", j))
		}
		ids[g.ID] = i
		if len(g.Continents)+len(g.Countries)+len(g.Subdivisions)+len(g.ASNs) == 0 {
			add(path, "names nobody", "want continents, countries, subdivisions or asns")
		}
		if len(g.Networks) > MaxNetworks {
			add(path+".networks", fmt.Sprintf("there are %d", len(g.Networks)), fmt.Sprintf("want at most %d: each makes all others harder to judge", MaxNetworks))
		}
		for j, asn := range g.Networks {
			if asn == 0 || slices.Index(g.Networks, asn) < j {
				add(fmt.Sprintf("%s.networks[%d]", path, j), fmt.Sprintf("%d is 0 or stands twice", asn), "want each AS number once")
			}
		}
	}
	within("at_once", float64(p.AtOnce), 1, MaxGeographies)
	if len(p.Steps) == 0 || len(p.Steps) > maxSteps {
		add("steps", fmt.Sprintf("there are %d", len(p.Steps)), fmt.Sprintf("want 1 to %d", maxSteps))
	}
	for i, s := range p.Steps {
		switch path := fmt.Sprintf("steps[%d]", i); {
		case !(s >= 0.0001 && s <= 1):
			add(path, fmt.Sprintf("%v does not fit", s), "want 0.01% to 100%")
		case math.Abs(s*10000-math.Round(s*10000)) > 1e-6:
			add(path, fmt.Sprintf("%v is too fine", s), "want whole hundredths of a percent")
		case i > 0 && s <= p.Steps[i-1]:
			add(path, "is not more than the step before", "want them ascending")
		}
	}
	lasts("observe", p.Observe, 10*time.Minute, 90*24*time.Hour)
	lasts("dwell.time", p.Dwell.Time, time.Minute, 90*24*time.Hour)
	within("dwell.views", float64(p.Dwell.Views), 0, 1e9)
	lasts("settle", p.Settle, 0, 24*time.Hour)
	lasts("patience", p.Patience, time.Hour, 366*24*time.Hour)
	within("power", p.Power, 0.5, 0.999)
	within("network_margin", p.NetworkMargin, 1, 100)
	lasts("stale", p.Stale, time.Minute, 24*time.Hour)
	within("contamination", p.Contamination, 0.001, 0.5)
	within("retries", float64(p.Retries), 0, 100)
	lasts("retry_after", p.RetryAfter, time.Minute, 90*24*time.Hour)
	seen := map[Metric]int{}
	for i := range p.Guardrails {
		g, path := &p.Guardrails[i], fmt.Sprintf("guardrails[%d]", i)
		if !slices.Contains(Metrics[:], g.Metric) {
			add(path+".metric", fmt.Sprintf("%q is not a metric", g.Metric), "want one of "+metricNames())
			continue
		}
		if j, dup := seen[g.Metric]; dup {
			add(path+".metric", fmt.Sprintf("%s is taken", g.Metric), fmt.Sprintf("by guardrails[%d]", j))
		}
		seen[g.Metric] = i
		within(path+".margin", g.Margin, leastMargin(g.Metric), mostMargin(g.Metric))
		within(path+".relative", g.Relative, 0, 10)
		if g.Relative != 0 && (g.Metric == Optimal || g.Metric == Load) {
			add(path+".relative", "does not go with "+string(g.Metric), "want margin alone")
		}
		within(path+".confidence", g.Confidence, 0.8, 0.9999)
		lasts(path+".window", g.Window, time.Minute, 90*24*time.Hour)
		if !slices.Contains([]Response{Hold, StepBack, RollBack}, g.OnBreach) {
			add(path+".on_breach", fmt.Sprintf("%q is not a response", g.OnBreach), "want hold, step_back or roll_back")
		}
		if g.Scope != OneGeography && g.Scope != Whole {
			add(path+".scope", fmt.Sprintf("%q is not a scope", g.Scope), "want geography or whole")
		}
	}
	if len(p.Guardrails) == 0 {
		add("guardrails", "there are none", "want at least one: what does not watch is no ramp")
	}
	for i := range p.Blackout {
		if err := p.Blackout[i].check(); err != "" {
			add(fmt.Sprintf("blackout[%d]", i), err, "such as {days: [fri, sat], from: \"18:00\", until: \"06:00\", zone: -5h}")
		}
	}
	slices.SortStableFunc(all, func(a, b problem) int { return cmpPath(a.path, b.path) })
	return all
}

const wantID = "want 1 to 63 of a-z, 0-9 and hyphen, a letter first"

func validID(s string) bool {
	if s == "" || len(s) > maxID || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func leastMargin(m Metric) float64 {
	if m.quantile() > 0 {
		return 0.1 // ms; browsers resolve no less
	}
	return 1e-5
}

func mostMargin(m Metric) float64 {
	switch {
	case m.quantile() > 0:
		return 10_000 // ms
	case m == Resets:
		return 1000 // a minute
	case m == Load:
		return 2 // of capacity
	}
	return 0.5
}

// Ramps returns what the snapshot says of p in state s: one ramp for each
// geography that has a share. Each draws by a salt of its own, as package
// steer wants of two ramps of one service.
func (p *Plan) Ramps(s *State) []edge.Ramp {
	var all []edge.Ramp
	for i := range p.Geographies {
		if share := p.share(s.Geographies[i].Step); share > 0 {
			g := &p.Geographies[i]
			all = append(all, edge.Ramp{
				ID: p.ID + "/" + g.ID, Service: p.Service, Scheme: p.To, Share: share,
				Salt: p.SaltOf(g.ID), Where: g.Where, Granule: p.Granule,
			})
		}
	}
	return all
}

// SaltOf returns the salt by which a geography's clients are drawn, whatever
// its share is now: who reads evidence tells arms apart by it.
func (p *Plan) SaltOf(geography string) string { return p.Salt + "/" + geography }

// share is that of a step; 0 before the first.
func (p *Plan) share(step int) float64 {
	if step < 0 {
		return 0
	}
	return p.Steps[step]
}

func cmpPath(a, b string) int { return strings.Compare(a, b) }
