package ramp_test

import (
	"testing"
	"time"

	"catchment/internal/ramp"
	"catchment/internal/ramp/ramptest"
)

// TestRates is a small part of what bench/ramp measures, of which the tables
// in docs/ramps.md are: a harm is caught before the next step, and a harmless
// ramp goes through.
func TestRates(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds of made-up page views")
	}
	p := ramptest.Plan("us")
	p.Observe = ramp.Duration(3 * time.Hour)
	f := func(name string, step int, harm ramptest.Harm) {
		t.Helper()
		w := ramptest.New(1, "us", 20000, 200000)
		w.Harm, w.From = harm, p.Steps[step]
		r := ramptest.Run(p, w, step, 5, func(d ramp.Decision) bool { return d.Action == ramp.Advance })
		if !r.Alarm() {
			t.Errorf("%s at %g: %s %s", name, p.Steps[step], r.Last.Action, r.Last.Reason)
		}
	}
	f("latency", 1, ramptest.Harm{Latency: 20, Network: ramptest.Networks[0]})
	f("failures", 2, ramptest.Harm{Failures: 0.01})
	f("resets", 3, ramptest.Harm{Resets: 0.02})
	f("load", 4, ramptest.Harm{Load: 0.6})

	p.Steps = []float64{0.05, 0.5}
	p.Dwell.Time = ramp.Duration(2 * time.Hour)
	for seed := range uint64(2) {
		r := ramptest.Run(p, ramptest.New(100+seed, "us", 20000, 200000), 0, 5, nil)
		if r.Last.Action != ramp.Finish || r.Worse || r.Better {
			t.Errorf("seed %d: %s %s, worse %v, better %v", 100+seed, r.Last.Action, r.Last.Reason, r.Worse, r.Better)
		}
	}
}
