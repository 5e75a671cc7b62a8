package ramptest

import (
	"time"

	"catchment/internal/edge"
	"catchment/internal/ramp"
)

// Begin is when trials begin: a Monday.
var Begin = time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)

// Plan returns a plan for one geography and all metrics, with the defaults but
// for the name.
func Plan(id string) *ramp.Plan {
	p := ramp.DefaultPlan()
	p.ID, p.Salt, p.Service = "trial", "trial", "www.edge.example.net"
	p.From, p.To = edge.Unicast, edge.Regional
	p.Geographies = []ramp.Geography{{ID: id, Where: edge.Where{Countries: []string{"US"}}, Networks: Networks}}
	p.Guardrails = nil
	for _, m := range ramp.Metrics {
		p.Guardrails = append(p.Guardrails, ramp.DefaultGuardrail(m))
	}
	return &p
}

// Trial is how one ramp of one geography went.
type Trial struct {
	Last   ramp.Decision // the last one, by which the trial ended
	Looks  int
	Days   float64
	Worse  bool // any comparison ever found the treatment arm worse than the control arm, by however little
	Better bool
}

// Alarm reports whether the trial ended because of a breach.
func (t *Trial) Alarm() bool {
	return t.Last.Action == ramp.Back || t.Last.Action == ramp.Rolled
}

// Passed reports whether it ended by a step that was taken.
func (t *Trial) Passed() bool {
	return t.Last.Action == ramp.Advance || t.Last.Action == ramp.Finish
}

// Run ramps w by p until it is through, goes back, or stop says so; at most
// for the days given. It begins with step first, with the chance of error left
// that there would be had those before been taken.
func Run(p *ramp.Plan, w *World, first int, days float64, stop func(ramp.Decision) bool) (t Trial) {
	late := *p
	late.Steps = p.Steps[first:]
	s := ramp.Begin(&late, Begin)
	for i := range s.Geographies[0].Tally.Cells {
		streams := s.Geographies[0].Tally.Cells[i].Streams
		for k := range streams {
			streams[k].Life += first
		}
	}
	now := Begin
	for now.Sub(Begin).Hours() < 24*days {
		now = now.Add(Look)
		share := 0.0
		if step := s.Geographies[0].Step; step >= 0 {
			share = late.Steps[step]
		}
		var all []ramp.Decision
		s, all = ramp.Step(&late, s, ramp.Input{Now: now, Evidence: w.Next(now, share)})
		t.Looks++
		t.Days = now.Sub(Begin).Hours() / 24
		for _, d := range all {
			t.Last = d
			for i := range d.Checks {
				t.Worse = t.Worse || d.Checks[i].Worse
				t.Better = t.Better || d.Checks[i].Better
			}
			if d.Action == ramp.Finish || t.Alarm() || stop != nil && stop(d) {
				return t
			}
		}
	}
	return t
}
