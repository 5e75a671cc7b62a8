package ramp_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
	"catchment/internal/ramp"
)

// A harmless ramp takes every step once, after its dwell, and ends.
func TestThrough(t *testing.T) {
	s := newScenario(t, "us", nil)
	for s.phase("us") != ramp.Done {
		for _, d := range s.look() {
			moves := d.Action == ramp.Advance || d.Action == ramp.Finish
			if moves && (d.Achieved < d.From-0.01 || d.Achieved > d.From+0.01) {
				t.Errorf("%s from %g: achieved %g", d.Action, d.From, d.Achieved)
			}
		}
		if s.now.Sub(monday) > 24*time.Hour {
			t.Fatal("it does not end", s.said)
		}
	}
	// An hour to observe; then 10 minutes to settle and 2 hours for each step.
	want := []string{
		"Mon 01:00 us start 0→0.25 the others are through",
		"Mon 03:10 us advance 0.25→0.5 all guardrails hold",
		"Mon 05:20 us advance 0.5→1 all guardrails hold",
		"Mon 07:30 us finish 1→1 all guardrails hold at the last step",
	}
	var got []string
	for _, line := range s.said {
		if line[len("Mon 01:00 us "):][:4] != "wait" {
			got = append(got, line)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if d := s.look(); len(d) != 0 {
		t.Errorf("after the end: %+v", d)
	}
	ramps := s.plan.Ramps(&s.state)
	if len(ramps) != 1 || ramps[0].Share != 1 || ramps[0].Salt != "r/us" || ramps[0].Scheme != edge.Regional {
		t.Errorf("the snapshot has %+v", ramps)
	}
}

func TestBreach(t *testing.T) {
	respond := func(do ramp.Response, scope ramp.Scope) func(*ramp.Plan) {
		return func(p *ramp.Plan) {
			for i := range p.Guardrails {
				p.Guardrails[i].OnBreach, p.Guardrails[i].Scope = do, scope
			}
			p.AtOnce = 2
		}
	}
	t.Run("hold", func(t *testing.T) {
		s := newScenario(t, "us", respond(ramp.Hold, ramp.OneGeography))
		s.change = worse(0.25)
		s.until(1, func() bool { return s.phase("us") == ramp.Held })
		if s.share(0) != 0.25 {
			t.Error("it moved to", s.share(0))
		}
		s.want("us hold 0.25→0.25 share of failed probes: 5 % against 0 % in the control arm, worse by more than 0.5 %")
		s.change = nil
		s.look(ramp.Command{Do: ramp.Resume, By: "ann", Why: "it was the probe's server"})
		s.want("us resume 0.25→0.25 it was the probe's server, by ann")
		s.until(1, s.at(0, 1))
	})
	t.Run("step back", func(t *testing.T) {
		s := newScenario(t, "us", respond(ramp.StepBack, ramp.OneGeography))
		s.change = worse(0.5)
		s.until(1, s.at(0, 1))
		s.until(1, s.at(0, 0))
		back := s.now
		s.until(1, s.at(0, 1))
		if waited := s.now.Sub(back); waited < 3*time.Hour {
			t.Error("the next try came after", waited)
		}
		s.until(1, s.at(0, 0))
		s.until(1, s.at(0, 1))
		s.until(1, func() bool { return s.phase("us") == ramp.Held }) // two retries are all
		if s.share(0) != 0.25 {
			t.Error("it is held at", s.share(0))
		}
	})
	t.Run("roll back", func(t *testing.T) {
		s := newScenario(t, "us ca", respond(ramp.RollBack, ramp.OneGeography))
		s.busy["us"] = 4 // it goes first
		s.change = worse(0.25)
		s.until(2, func() bool { return s.phase("us") == ramp.RolledBack && s.phase("ca") == ramp.Done })
		s.look(ramp.Command{Do: ramp.Resume, Geography: "us", Why: "repaired"})
		s.change = nil
		s.until(2, func() bool { return s.phase("us") == ramp.Done })
	})
	t.Run("whole", func(t *testing.T) {
		s := newScenario(t, "us ca mx", respond(ramp.RollBack, ramp.Whole))
		s.busy["us"], s.busy["ca"] = 3, 4
		s.change = worse(0.5)
		s.until(2, func() bool { return s.phase("us") == ramp.RolledBack })
		s.want("us roll_back 0.5→0 share of failed probes")
		s.want("ca roll_back 0.5→0 us: share of failed probes")
		if s.phase("mx") != ramp.Pending {
			t.Error("mx is", s.phase("mx"))
		}
	})
}

// Of several guardrails that are breached, the one that does the most counts.
func TestSeverest(t *testing.T) {
	s := newScenario(t, "us", func(p *ramp.Plan) {
		for i := range p.Guardrails {
			if p.Guardrails[i].OnBreach = ramp.Hold; p.Guardrails[i].Metric == ramp.ProbeFailures {
				p.Guardrails[i].OnBreach = ramp.RollBack
			}
		}
	})
	s.change = func(e *ramp.Evidence) {
		worse(0.25)(e)
		for i := range e.Geographies[0].Rows {
			if r := &e.Geographies[0].Rows[i]; float64(r.Bucket) < e.Geographies[0].Share*10000 {
				r.Optimal = 0
			}
		}
	}
	s.until(1, func() bool { return s.phase("us") == ramp.RolledBack })
	s.want("us roll_back 0.25→0 share of failed probes")
}

// Harm to one network is seen though it is small in the whole.
func TestNetwork(t *testing.T) {
	s := newScenario(t, "us", func(p *ramp.Plan) { p.Geographies[0].Networks = []uint32{64500, 64501} })
	s.change = func(e *ramp.Evidence) {
		for i := range e.Geographies[0].Rows {
			r := &e.Geographies[0].Rows[i]
			if r.Network = 64501; i%4 == 0 {
				if r.Network = 64500; float64(r.Bucket) < e.Geographies[0].Share*10000 {
					r.Optimal = r.Judged * 0.6 // a twentieth of all views, which is the margin
				}
			}
		}
	}
	s.until(1, func() bool { return s.share(0) == 0.25 })
	s.until(1, func() bool { return s.share(0) != 0.25 })
	if s.share(0) != 0 {
		t.Fatal("it advanced")
	}
	s.want("us back 0.25→0 share optimal in AS64500: 60 % against 80 % in the control arm, worse by more than 10 %")
}

// The least busy goes first, no more than at_once are under way, and the
// busiest goes alone.
func TestOrder(t *testing.T) {
	s := newScenario(t, "us ca mx gt", func(p *ramp.Plan) { p.AtOnce = 2 })
	s.busy["us"], s.busy["ca"], s.busy["mx"], s.busy["gt"] = 50, 5, 4, 6
	var order []string
	for s.phase("us") != ramp.Done {
		under := 0
		for _, d := range s.look() {
			if d.Action == ramp.Start {
				order = append(order, d.Geography)
			}
		}
		for _, g := range s.state.Geographies {
			if g.Phase == ramp.Running {
				under++
			}
		}
		if under > 2 || under > 1 && s.phase("us") == ramp.Running {
			t.Fatalf("%d are under way at %s", under, s.now)
		}
		if s.now.Sub(monday) > 72*time.Hour {
			t.Fatal("it does not end")
		}
	}
	if diff := cmp.Diff([]string{"mx", "ca", "gt", "us"}, order); diff != "" {
		t.Error(diff)
	}
}

// What cannot be built on holds, and goes on when it is there again.
func TestHolds(t *testing.T) {
	f := func(name string, change func(*ramp.Evidence), want string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			s := newScenario(t, "us", nil)
			s.until(1, s.at(0, 0))
			s.change = change
			for range 12 * 6 {
				s.look()
			}
			if s.share(0) != 0.25 {
				t.Errorf("it moved to %g", s.share(0))
			}
			s.want(want)
			s.change = nil
			s.until(1, s.at(0, 1))
		})
	}
	f("no loads", func(e *ramp.Evidence) { e.Loads = nil }, "no PoP has reported its load since 2026-11-02 01:00 UTC")
	f("old share", func(e *ramp.Evidence) { e.Geographies[0].Share = 0 }, "no views by a share of 25 % since 2026-11-02 01:10 UTC")
	f("silent arm", func(e *ramp.Evidence) { e.Geographies[0].Rows = e.Geographies[0].Rows[100:] }, "the treatment arm is silent: about ")
	f("contamination", func(e *ramp.Evidence) {
		for i := range e.Geographies[0].Rows[:100] {
			e.Geographies[0].Rows[i].Contaminated = 1
		}
	}, "20 % of an arm's page views were answered as the other arm, more than 10 %")
	f("damaged", func(e *ramp.Evidence) {
		e.Geographies[0].Rows[7].Optimal = 1e6
	}, "no evidence since 2026-11-02 01:00 UTC")
	f("overload", func(e *ramp.Evidence) {
		e.Loads[0].Load = 900
		e.Geographies[0].PoPs = []ramp.PoPViews{{PoP: "iad", Control: 100, Treatment: 10}} // which the ramp relieves
	}, "us hold 0.25→0.25 iad is at 90 % of its capacity, more than 85 %")
}

// A PoP that the ramp fills is a breach, of the geography that fills it.
func TestOverload(t *testing.T) {
	s := newScenario(t, "us ca mx", func(p *ramp.Plan) { p.AtOnce = 2 })
	s.busy["mx"] = 9
	s.until(1, func() bool { return s.share(0) == 0.5 && s.share(1) == 0.5 })
	s.change = func(e *ramp.Evidence) {
		e.Loads[0].Load = 950
		for i, views := range []float64{100, 3000} {
			e.Geographies[i].PoPs = []ramp.PoPViews{{PoP: "iad", Control: 100, Treatment: views}}
		}
	}
	s.until(0.1, func() bool { return s.share(1) == 0.25 })
	if s.share(0) != 0.5 {
		t.Error("us went back, too")
	}
	s.want("ca back 0.5→0.25 iad is at 95 % of its capacity, more than 85 %")
}

func TestCommands(t *testing.T) {
	s := newScenario(t, "us ca", nil)
	s.until(1, s.at(0, 0))
	s.look(ramp.Command{Do: ramp.Pause, By: "ann", Why: "a launch"})
	for range 12 * 8 {
		s.look()
	}
	if s.share(0) != 0.25 {
		t.Error("paused, it moved")
	}
	s.want("us hold 0.25→0.25 paused: a launch, by ann")
	s.look(ramp.Command{Do: ramp.Resume})
	s.until(1, s.at(0, 1))
	s.look(ramp.Command{Do: ramp.Abort, Geography: "us", Why: "no more"})
	if s.phase("us") != ramp.RolledBack || s.share(0) != 0 {
		t.Error("us is", s.phase("us"))
	}
	s.look(ramp.Command{Do: "fly"}, ramp.Command{Do: ramp.Pause, Geography: "atlantis"}, ramp.Command{Do: ramp.Pause, Geography: "us"})
	s.want(`refuse 0→0 there is no order "fly"`)
	s.want(`refuse 0→0 there is no geography "atlantis"`)
	s.want("us refuse 0→0 cannot pause what is rolled_back")
}

// Evidence counts once, in order, and not before its time.
func TestEvidenceOnce(t *testing.T) {
	s := newScenario(t, "us", nil)
	s.look()
	views := s.state.Geographies[0].Tally.Views
	e := s.evidence()
	s.step(ramp.Input{Now: s.now, Evidence: e})
	s.want("evidence is refused: it begins at 2026-11-02 00:00 UTC, and what is until 2026-11-02 00:05 UTC is known")
	e.From, e.Until = s.now, s.now.Add(time.Hour)
	s.step(ramp.Input{Now: s.now, Evidence: e})
	s.want("evidence is refused: it ends at 2026-11-02 01:05 UTC, which is yet to come")
	if got := s.state.Geographies[0].Tally.Views; got != views {
		t.Errorf("views went from %v to %v", views, got)
	}
}

// A clock that jumps does not shorten a step: only evidence does.
func TestClockJump(t *testing.T) {
	s := newScenario(t, "us", nil)
	s.until(1, s.at(0, 0))
	s.now = s.now.Add(48 * time.Hour)
	s.step(ramp.Input{Now: s.now})
	s.want("no evidence since 2026-11-02 01:00 UTC")
	began := s.now
	s.until(1, s.at(0, 1))
	if d := s.now.Sub(began); d < 2*time.Hour {
		t.Error("the step took", d)
	}
}

// Nothing is raised in a blackout, and what is harmful goes back in it.
func TestBlackoutHolds(t *testing.T) {
	s := newScenario(t, "us", func(p *ramp.Plan) {
		p.Blackout = []ramp.Blackout{{Days: []string{"mon"}, From: "02:00", Until: "12:00"}}
	})
	s.until(1, s.at(0, 1))
	if got := s.now.Format("15:04"); got != "12:00" {
		t.Error("it advanced at", got)
	}
	s.want("us wait 0.25→0.25 blackout: mon 02:00–12:00 UTC")
	s = newScenario(t, "us", func(p *ramp.Plan) {
		p.Blackout = []ramp.Blackout{{From: "01:30", Until: "01:00"}}
	})
	s.until(1, s.at(0, 0))
	s.change = worse(0.25)
	s.until(1, func() bool { return s.phase("us") == ramp.RolledBack })
}

// The state that goes in is not touched, and one of another plan is refused.
func TestPure(t *testing.T) {
	s := newScenario(t, "us", nil)
	for _, stop := range []func() bool{s.at(0, 0), s.at(0, 1)} {
		s.until(1, stop)
		s.change = worse(0.5)
		before, _ := json.Marshal(s.state)
		for state, i := s.state, 0; i < 30; i++ {
			s.now = s.now.Add(5 * time.Minute)
			state, _ = ramp.Step(s.plan, state, ramp.Input{Now: s.now, Evidence: s.evidence()})
		}
		s.now = s.now.Add(-150 * time.Minute)
		if after, _ := json.Marshal(s.state); string(after) != string(before) {
			t.Fatal("Step wrote to its argument")
		}
	}
	other := *s.plan
	other.ID = "other"
	state, d := ramp.Step(&other, s.state, ramp.Input{Now: s.now})
	if len(d) != 1 || d[0].Action != ramp.Refused || state.Plan != "r" {
		t.Errorf("a state of another plan: %+v", d)
	}
}
