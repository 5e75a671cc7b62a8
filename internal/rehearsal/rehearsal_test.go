package rehearsal

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"catchment/internal/demo"
	"catchment/internal/fleet"
	"catchment/internal/ramp"
)

func demoWorld(t *testing.T) World {
	t.Helper()
	f, err := fleet.Parse("demo", demo.FleetFile())
	if err != nil {
		t.Fatal(err)
	}
	internet, err := demo.Internet()
	if err != nil {
		t.Fatal(err)
	}
	w, err := demo.NewWorld(f, internet, demo.Seed)
	if err != nil {
		t.Fatal(err)
	}
	return World{Fleet: w.Fleet, People: w.People, Outcome: w.Outcome}
}

// The whole story, unattended: under DNS some 31 % of page views in the United
// States miss their best PoP. Where regional anycast is better the ramp goes to
// the end, where it is worse it goes back, and so it does in Texas, whose
// treated users are sent to Seattle. In the end some 10 % miss it.
func TestStory(t *testing.T) {
	p, err := ramp.Parse("us.yaml", PlanFile())
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	r, err := Run(t.Context(), Config{
		World: demoWorld(t), Plan: p, Seed: 1, Days: 20, Views: 80_000, Every: time.Hour, Countries: []string{"US"}, Stale: 0.01,
		Harms: []Harm{{Geography: "tx", From: 0.25, PoP: "sea", Ms: 40}},
	}, func(d ramp.Decision) {
		said = append(said, fmt.Sprintf("%s %s %s %g→%g: %s", d.At.Format("2 Jan 15:04"), d.Geography, d.Action, d.From, d.To, d.Reason))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v\n%s", r, strings.Join(said, "\n"))
	first, last := r.Optimal(4)
	if missed := 1 - first; missed < 0.28 || missed > 0.34 {
		t.Errorf("%.1f %% miss their best PoP at the beginning, want some 31 %%", 100*missed)
	}
	if missed := 1 - last; missed < 0.07 || missed > 0.13 {
		t.Errorf("%.1f %% miss it at the end, want some 10 %%", 100*missed)
	}
	for i, g := range r.Status.Geographies {
		want := ramp.Done
		if slices.Contains([]string{"tx", "northeast", "south", "west"}, g.ID) {
			want = ramp.RolledBack
		}
		if g.Phase != want {
			t.Errorf("%s is %s, want %s", g.ID, g.Phase, want)
		}
		if want != ramp.Done {
			continue
		}
		values := r.Chart.Geographies[i].Values
		before := map[float64][2]float64{} // by share: optimal, judged
		for _, v := range values {
			if v.Optimal != nil {
				x := before[v.Share]
				before[v.Share] = [2]float64{x[0] + *v.Optimal*v.Views, x[1] + v.Views}
			}
		}
		at := func(share float64) float64 { return before[share][0] / before[share][1] }
		was := at(0)
		for _, share := range p.Steps {
			if now := at(share); !(now > was) {
				t.Errorf("%s: %.3f reach their best PoP at a share of %g, %.3f did before: the curve does not rise", g.ID, now, share, was)
			} else {
				was = now
			}
		}
		if was < at(0)+0.1 {
			t.Errorf("%s: from %.3f to %.3f, want 10 points and more", g.ID, at(0), was)
		}
	}
	for _, v := range r.Chart.All {
		if p50 := v.Control.P50; p50 != nil && (*p50 < 10 || *p50 > 60) {
			t.Errorf("%v: the control arm's median latency is %.1f ms", v.At, *p50)
		}
		if v.Contaminated > 0.03 {
			t.Errorf("%v: %.3f of page views came by the other arm's scheme, want some 0.01", v.At, v.Contaminated)
		}
	}
	var csv strings.Builder
	if err := r.Chart.WriteCSV(&csv); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`at,geography,share,`, `\S+,tx,.*,roll_back,"share optimal: `, `\S+,ca,1,.*,finish,all guardrails hold`} {
		if !regexp.MustCompile(`(?m)^` + line).MatchString(csv.String()) {
			t.Errorf("the CSV has no line %q", line)
		}
	}
}
