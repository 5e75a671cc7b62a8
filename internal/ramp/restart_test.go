package ramp_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/ramp"
	"catchment/internal/ramp/ramptest"
)

// trail records a ramp that goes up, is taken back, and goes on, over many
// looks: what went in, and what was decided.
func trail(t *testing.T) (p *ramp.Plan, ins []ramp.Input, outs [][]ramp.Decision, end ramp.State) {
	t.Helper()
	p = ramptest.Plan("us")
	p.Steps = []float64{0.3, 0.6, 1}
	p.Observe, p.Dwell.Time, p.RetryAfter = ramp.Duration(time.Hour), ramp.Duration(time.Hour), ramp.Duration(2*time.Hour)
	p.Guardrails = p.Guardrails[:3]
	p.Geographies[0].Networks = ramptest.Networks[:1]
	w := ramptest.New(7, "us", 4000, 200000)
	harmful := true
	s := ramp.Begin(p, ramptest.Begin)
	now := ramptest.Begin
	for range 12 * 20 {
		now = now.Add(ramptest.Look)
		share := 0.0
		if step := s.Geographies[0].Step; step >= 0 {
			share = p.Steps[step]
		}
		if w.Harm = (ramptest.Harm{}); harmful && share == 0.6 {
			w.Harm.Optimal = 0.4
		}
		in := ramp.Input{Now: now, Evidence: w.Next(now, share)}
		if len(ins) == 12*2 {
			in.Commands = []ramp.Command{{Do: ramp.Pause, Why: "lunch"}}
		}
		if len(ins) == 12*4 {
			in.Commands = []ramp.Command{{Do: ramp.Resume}}
		}
		var out []ramp.Decision
		s, out = ramp.Step(p, s, in)
		for _, d := range out {
			harmful = harmful && d.Action != ramp.Back
		}
		ins, outs = append(ins, in), append(outs, out)
	}
	return p, ins, outs, s
}

// A ramp whose state is written and read again between any two looks decides
// the same, to the last digit of every interval, and so does a replay of its
// trail from any look on.
func TestRestart(t *testing.T) {
	p, ins, outs, end := trail(t)
	seen := map[ramp.Action]int{}
	for _, out := range outs {
		for _, d := range out {
			seen[d.Action]++
		}
	}
	for _, a := range []ramp.Action{ramp.Start, ramp.Advance, ramp.Back, ramp.Waits, ramp.Holds, ramp.Paused, ramp.Resumed} {
		if seen[a] == 0 {
			t.Errorf("the trail has no %s: %v", a, seen)
		}
	}
	text := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	s := ramp.Begin(p, ramptest.Begin)
	for i, in := range ins {
		saved := text(s)
		restored, err := ramp.Restore(p, []byte(saved))
		if err != nil {
			t.Fatal(err)
		}
		if text(restored) != saved {
			t.Fatalf("look %d: the state is another after it was read", i)
		}
		var out []ramp.Decision
		if s, out = ramp.Step(p, restored, in); text(out) != text(outs[i]) {
			t.Fatalf("look %d: another decision after a restart:\n%s", i, cmp.Diff(text(outs[i]), text(out)))
		}
	}
	if text(s) != text(end) {
		t.Error("the end is another")
	}
	replayed, again := ramp.Replay(p, ramp.Begin(p, ramptest.Begin), ins)
	if text(again) != text(outs) || text(replayed) != text(end) {
		t.Error("the replay decides otherwise")
	}
}
