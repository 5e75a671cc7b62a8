// Package ramp decides how a service moves from one scheme to another: which
// geography goes next, by how much, and when it has to go back.
//
// A [Plan] is what the operator declares (plan.go, declare.go). [Step] is the
// whole of the rest: given the [State] so far, the evidence that has come in
// and the time, it returns the next state and what was decided, with reasons
// in words (step.go, act.go). It keeps sums of evidence by group of randomized
// units (tally.go), from which it judges each geography's treatment arm
// against its concurrent control arm (judge.go) by confidence sequences, which
// hold however often one looks (bound.go).
//
// The definitions, their sources and their limits are in docs/ramps.md. The
// package is pure: no clock, no randomness, no log, no I/O. The same plan,
// inputs and times give the same decisions, whatever was saved and loaded in
// between.
package ramp

import (
	"time"

	"catchment/internal/edge"
)

// Plan is a ramp as declared. Shares are 0 to 1; a plan that Parse returned
// or Validate accepted has no zero values where a default is given.
type Plan struct {
	ID      string       `json:"id"`
	Service string       `json:"service"`
	From    edge.Scheme  `json:"from"` // of the control arm
	To      edge.Scheme  `json:"to"`   // of the treatment arm
	Salt    string       `json:"salt"` // default: ID
	Granule edge.Granule `json:"granule,omitzero"`

	Geographies []Geography `json:"geographies"`
	AtOnce      int         `json:"at_once"` // geographies under way at the same time; default 1

	// Observe is for how long a geography is watched before it begins: who is the
	// busiest and what units are like without the ramp has to be known.
	Observe Duration `json:"observe"`
	// Steps are the treatment arm's shares, ascending. At 1 there is no control
	// arm any more: whoever wants to go on comparing ends at less.
	Steps    []float64 `json:"steps"`
	Dwell    Dwell     `json:"dwell"`
	Settle   Duration  `json:"settle"`   // after a change of share, until caches have followed; page views before do not count
	Patience Duration  `json:"patience"` // in one step, after which waiting becomes holding

	Guardrails    []Guardrail `json:"guardrails"`
	Power         float64     `json:"power"`          // chance to see a harm as large as the margin, before harmlessness is believed
	NetworkMargin float64     `json:"network_margin"` // a network's own margins, in margins of its geography

	Stale         Duration `json:"stale"`         // age of evidence above which nothing advances
	Contamination float64  `json:"contamination"` // largest share of page views that were answered as the other arm

	Retries    int        `json:"retries"`     // steps back, after which the operator has to resume
	RetryAfter Duration   `json:"retry_after"` // a step back, until the next step
	Blackout   []Blackout `json:"blackout,omitempty"`
}

// Geography is a part of the service's clients that is ramped by itself.
type Geography struct {
	ID string `json:"id"`
	edge.Where
	// Networks are judged each by itself, too, all others together. They are
	// chosen before the ramp begins, by page views and not by outcome.
	Networks []uint32 `json:"networks,omitempty"`
}

// Dwell is the least that a step takes.
type Dwell struct {
	Time  Duration `json:"time"`
	Views int      `json:"views"` // of the treatment arm
}

// Metric is what a guardrail watches.
type Metric string

// The metrics. The unit of margins is in brackets.
const (
	Optimal       Metric = "optimal"        // share of judged page views that reached an optimal PoP [share]
	P50           Metric = "p50"            // median latency of the page's own connection [ms]
	P90           Metric = "p90"            // its 90th percentile [ms]
	ProbeFailures Metric = "probe_failures" // share of probes that failed [share]
	PageFailures  Metric = "page_failures"  // share of page loads that failed [share]
	Resets        Metric = "resets"         // resets per connection-minute [1/min]
	Load          Metric = "load"           // a PoP's load, in shares of its capacity [share]: the margin is the limit
)

// Metrics lists the metrics in the order of reports.
var Metrics = [...]Metric{Optimal, P50, P90, ProbeFailures, PageFailures, Resets, Load}

// quantile returns the quantile that m is, or 0.
func (m Metric) quantile() float64 {
	switch m {
	case P50:
		return 0.5
	case P90:
		return 0.9
	}
	return 0
}

// Guardrail limits how much worse the treatment arm may be.
type Guardrail struct {
	Metric   Metric  `json:"metric"`
	Margin   float64 `json:"margin"`             // harm that does not matter, in the metric's unit
	Relative float64 `json:"relative,omitempty"` // or this share of the control arm's value, if that is more
	// Confidence that there is no false alarm, over the ramp's whole life and
	// all its geographies, if every guardrail had the same one.
	Confidence float64 `json:"confidence"`
	// Window is how much evidence goes into one comparison before the next
	// begins; for Load, how long it must last.
	Window   Duration `json:"window"`
	OnBreach Response `json:"on_breach"`
	Scope    Scope    `json:"scope"`
}

// Response is what is done on a breach.
type Response string

// The responses.
const (
	Hold     Response = "hold"      // stay until the operator resumes
	StepBack Response = "step_back" // to the step before; from the first to nothing
	RollBack Response = "roll_back" // to nothing
)

// Scope is whom a response is for.
type Scope string

// The scopes.
const (
	OneGeography Scope = "geography"
	Whole        Scope = "whole"
)

// Blackout is a time of the week during which no share is raised. Going back
// is always possible.
type Blackout struct {
	Days  []string `json:"days,omitempty"` // mon to sun; none: every day
	From  string   `json:"from"`           // 15:04
	Until string   `json:"until"`          // 15:04, 24:00 at most; if not after From, on the next day
	Zone  Duration `json:"zone,omitempty"` // of the clock, ahead of UTC
}

// Duration is a time.Duration that is written as in 1h30m.
type Duration time.Duration

// MarshalText writes d as time.Duration does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration does.
func (d *Duration) UnmarshalText(text []byte) error {
	t, err := time.ParseDuration(string(text))
	*d = Duration(t)
	return err
}

// String returns d without zero minutes and seconds: 24h.
func (d Duration) String() string { return shortDuration(time.Duration(d)) }
