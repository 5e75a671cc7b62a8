package ramp_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"catchment/internal/edge"
	"catchment/internal/ramp"
)

// monday is when scenarios begin.
var monday = time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)

// scenario is a ramp with evidence of 400 units a geography that are all
// alike, unless told otherwise.
type scenario struct {
	t      *testing.T
	plan   *ramp.Plan
	state  ramp.State
	now    time.Time
	busy   map[string]float64 // views of a unit in 5 minutes; 5 if not set
	change func(*ramp.Evidence)
	said   []string // every decision but repeated waits and holds
	last   map[string]string
}

func newScenario(t *testing.T, geographies string, edit func(*ramp.Plan)) *scenario {
	t.Helper()
	p := ramp.DefaultPlan()
	p.ID, p.Salt, p.Service, p.From, p.To = "r", "r", "www.edge.example.net", edge.Unicast, edge.Regional
	for id := range strings.FieldsSeq(geographies) {
		p.Geographies = append(p.Geographies, ramp.Geography{ID: id, Where: edge.Where{Countries: []string{"US"}}})
	}
	p.Observe, p.Steps = ramp.Duration(time.Hour), []float64{0.25, 0.5, 1}
	p.Dwell = ramp.Dwell{Time: ramp.Duration(2 * time.Hour), Views: 1000}
	p.RetryAfter = ramp.Duration(3 * time.Hour)
	if edit != nil {
		edit(&p)
	}
	if errs := p.Validate(); len(errs) > 0 {
		t.Fatal(errs)
	}
	return &scenario{t: t, plan: &p, state: ramp.Begin(&p, monday), now: monday, last: map[string]string{}, busy: map[string]float64{}}
}

func (s *scenario) share(i int) float64 {
	if step := s.state.Geographies[i].Step; step >= 0 {
		return s.plan.Steps[step]
	}
	return 0
}

func (s *scenario) evidence() *ramp.Evidence {
	e := &ramp.Evidence{From: s.now.Add(-5 * time.Minute), Until: s.now}
	for i := range s.plan.Geographies {
		id := s.plan.Geographies[i].ID
		g := ramp.GeographyViews{ID: id, Share: s.share(i)}
		views := cmp.Or(s.busy[id], 5)
		for u := range 400 {
			r := ramp.Row{Unit: uint64(u), Bucket: uint16(u * 25), Views: views, Judged: views, Optimal: views * 0.8, Probes: 3 * views}
			for k := range 8 {
				r.Latency = append(r.Latency, ramp.BinCount{Bin: uint16(edge.Bin(20 + float64(5*k+u%5))), Count: views / 8})
			}
			g.Rows = append(g.Rows, r)
		}
		e.Geographies = append(e.Geographies, g)
	}
	e.Loads = []ramp.PoPLoad{{PoP: "iad", Load: 500, Capacity: 1000}}
	if s.change != nil {
		s.change(e)
	}
	return e
}

// look goes on by 5 minutes.
func (s *scenario) look(commands ...ramp.Command) []ramp.Decision {
	s.now = s.now.Add(5 * time.Minute)
	return s.step(ramp.Input{Now: s.now, Evidence: s.evidence(), Commands: commands})
}

func (s *scenario) step(in ramp.Input) []ramp.Decision {
	var all []ramp.Decision
	s.state, all = ramp.Step(s.plan, s.state, in)
	for _, d := range all {
		text := fmt.Sprintf("%s %s %g→%g %s", d.Geography, d.Action, d.From, d.To, d.Reason)
		quiet := d.Action == ramp.Waits || d.Action == ramp.Holds
		if kind := fmt.Sprint(d.Action, d.To, strings.Fields(strings.TrimLeft(d.Reason, "0123456789. ") + " -")[0]); !quiet || s.last[d.Geography] != kind {
			s.said = append(s.said, d.At.Format("Mon 15:04 ")+text)
			s.last[d.Geography] = kind
		}
	}
	return all
}

func (s *scenario) until(days float64, done func() bool) {
	s.t.Helper()
	for end := s.now.Add(time.Duration(days * 24 * float64(time.Hour))); !done(); s.look() {
		if s.now.After(end) {
			s.t.Fatalf("it did not come to that; said:\n%s", strings.Join(s.said, "\n"))
		}
	}
}

func (s *scenario) phase(id string) ramp.Phase {
	i := slices.IndexFunc(s.state.Geographies, func(g ramp.Progress) bool { return g.ID == id })
	return s.state.Geographies[i].Phase
}

func (s *scenario) at(i, step int) func() bool {
	return func() bool { return s.state.Geographies[i].Step == step }
}

// want checks that something was said, once.
func (s *scenario) want(text string) {
	s.t.Helper()
	n := 0
	for _, line := range s.said {
		if strings.Contains(line, text) {
			n++
		}
	}
	if n != 1 {
		s.t.Errorf("%q was said %d times in\n%s", text, n, strings.Join(s.said, "\n"))
	}
}

// worse makes page views of the treatment arm fail from a share on.
func worse(least float64) func(*ramp.Evidence) {
	return func(e *ramp.Evidence) {
		g := &e.Geographies[0]
		for i := range g.Rows {
			if r := &g.Rows[i]; g.Share >= least && float64(r.Bucket) < g.Share*10000 {
				r.Failed = r.Probes * 0.05
			}
		}
	}
}
