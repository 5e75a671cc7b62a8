package runner_test

import (
	"errors"
	"strings"
	"testing"

	"catchment/internal/edge"
	"catchment/internal/ramp"
	"catchment/internal/ramp/runner"
)

// A ramp goes up by itself where nothing is wrong, and back where something
// is; every look is in the trail.
func TestRamp(t *testing.T) {
	c := plane(t, tempDB(t))
	defer c.Close()
	r := newRig(t, c, nil)
	r.users.harmed = "br"
	if err := r.Start(testPlan(t), "alice", "to see"); err != nil {
		t.Fatal(err)
	}
	r.goOn(12 * 10)
	want := `Mon 00:00  declare 0→0
Mon 00:30 us start 0→0.2
Mon 01:45 us advance 0.2→0.5
Mon 03:00 us advance 0.5→1
Mon 04:15 us finish 1→1
Mon 04:15 br start 0→0.2
Mon 04:35 br roll_back 0.2→0
`
	if got := r.said(); got != want {
		t.Errorf("it went\n%s, want\n%s", got, want)
	}
	if got := r.shares(); got != "r/us 1" {
		t.Errorf("the shares are %q", got)
	}
	looks, _, err := r.Looks("r", 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(looks); n != 1+4*12+7 { // until all is over, at 04:35
		t.Errorf("%d looks in the trail", n)
	}
	for _, l := range looks[1:] {
		if l.Coverage == nil || l.Coverage.Loads != 2*clients*5 || l.Coverage.Unjoined+l.Coverage.Cut+l.Coverage.Dropped != 0 {
			t.Fatalf("%v: covered %+v", l.At, l.Coverage)
		}
	}
	s, err := r.Status("r")
	if err != nil {
		t.Fatal(err)
	}
	if br := s.Geographies[1]; br.Phase != ramp.RolledBack || !strings.Contains(br.Why, "share optimal") {
		t.Errorf("Brazil: %+v", br)
	}
	// Who knows nothing of the ramp but its trail can tell who was treated when.
	entries, _, err := c.RampCurve("r", -1, 1000)
	if err != nil || len(entries) != 4*12+7 {
		t.Errorf("%d points, %v", len(entries), err)
	}
}

// Two runners over one state never both act: the second stands by, and takes
// over when the first has gone; one that was thought gone and comes back finds
// its lease taken.
func TestTwoRunners(t *testing.T) {
	c := plane(t, tempDB(t))
	defer c.Close()
	a, b := newRig(t, c, nil), newRig(t, c, nil)
	if err := a.Start(testPlan(t), "alice", "to see"); err != nil {
		t.Fatal(err)
	}
	for range 12 {
		a.goOn(1)
		b.goOn(1)
	}
	if b.users.calls != 0 || a.users.calls != 12 {
		t.Errorf("the first looked %d times, the second %d times", a.users.calls, b.users.calls)
	}
	b.goOn(12) // the first is not heard of for an hour
	if b.users.calls == 0 {
		t.Error("the second did not take over")
	}
	calls := a.users.calls
	a.now = b.now
	a.goOn(1)
	if a.users.calls != calls {
		t.Error("the first acts beside the second")
	}
	looks, _, err := a.Looks("r", 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for i := 2; i < len(looks); i++ {
		if !looks[i].From.Equal(looks[i-1].Until) && !looks[i].From.IsZero() && !looks[i-1].Until.IsZero() {
			t.Errorf("look %d begins at %v, the one before ended at %v", i, looks[i].From, looks[i-1].Until)
		}
	}
	// A runner that sleeps between its lease and its commit is too late.
	late, err := c.LeaseRamps("late", 1, b.now.Add(1e12))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.LeaseRamps("next", 1e12, b.now.Add(2e12)); err != nil {
		t.Fatal(err)
	}
	records, err := c.RampRecords()
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.ChangeRamp(edge.RampChange{ID: "r", Seq: records[0].Seq, Plan: records[0].Plan, State: records[0].State, Lease: &late})
	if !errors.Is(err, edge.ErrRampLease) {
		t.Errorf("a change under a lease that was taken over: %v", err)
	}
	_, err = c.ChangeRamp(edge.RampChange{ID: "r", Seq: records[0].Seq - 1, Plan: records[0].Plan, State: records[0].State})
	if !errors.Is(err, edge.ErrRampChanged) {
		t.Errorf("a change of an older record: %v", err)
	}
}

// Commands work at once, at any moment, and without a store.
func TestCommands(t *testing.T) {
	c := plane(t, tempDB(t))
	defer c.Close()
	r := newRig(t, c, nil)
	if err := r.Start(testPlan(t), "alice", "to see"); err != nil {
		t.Fatal(err)
	}
	do := func(want string, order ramp.Order, geography string, share float64) {
		t.Helper()
		decisions, err := r.Do("r", ramp.Command{Do: order, Geography: geography, Share: share, By: "alice", Why: "so"})
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, d := range decisions {
			got.WriteString(string(d.Action) + " ")
		}
		if got.WriteString(r.shares()); got.String() != want {
			t.Errorf("%s %s %g: %q, want %q", order, geography, share, got.String(), want)
		}
	}
	do("set r/us 0.5", ramp.Set, "us", 0.5)
	do("refuse r/us 0.5", ramp.Set, "us", 0.3)
	do("refuse r/us 0.5", ramp.Set, "", 0.2)
	do("pause r/us 0.5", ramp.Pause, "", 0)
	r.goOn(12)
	if got := r.shares(); got != "r/us 0.5" {
		t.Errorf("while paused: %q", got)
	}
	r.users.broken = errors.New("no store")
	do("resume r/us 0.5", ramp.Resume, "", 0)
	for range 12 {
		r.now = r.now.Add(5 * 60e9)
		if err := r.Look(t.Context()); err == nil {
			t.Fatal("a look without a store is fine")
		}
	}
	looks, _, err := r.Looks("r", -1, 1)
	if err != nil {
		t.Fatal(err)
	}
	d := looks[0].Decisions[0]
	if d.Action != ramp.Holds || !strings.Contains(d.Reason, "no evidence since") || looks[0].Trouble == "" {
		t.Errorf("without a store: %+v", looks[0])
	}
	do("set r/us 0.5, r/br 1", ramp.Set, "br", 1)
	if ids, err := r.RollBackAll("alice", "it burns"); err != nil || strings.Join(ids, " ") != "r" {
		t.Errorf("rolled back %v, %v", ids, err)
	}
	if got := r.shares(); got != "" {
		t.Errorf("after the emergency: %q", got)
	}
	if err := r.Finish("r", "alice", "over"); err != nil {
		t.Error(err)
	}
	if _, err := r.Status("r"); !errors.Is(err, runner.ErrUnknown) {
		t.Errorf("after its end: %v", err)
	}
	if looks, _, err := r.Looks("r", -1, 3); err != nil || looks[2].Decisions[0].Reason != "over" {
		t.Errorf("its trail: %+v, %v", looks, err)
	}
}

// A record that cannot be read keeps no other ramp from its looks, and loses
// its shares in an emergency.
func TestDamagedRecord(t *testing.T) {
	c := plane(t, tempDB(t))
	defer c.Close()
	r := newRig(t, c, nil)
	if err := r.Start(testPlan(t), "alice", "to see"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Do("r", ramp.Command{Do: ramp.Set, Geography: "us", Share: 0.2, By: "alice", Why: "so"}); err != nil {
		t.Fatal(err)
	}
	records, err := c.RampRecords()
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.ChangeRamp(edge.RampChange{ID: "r", Seq: records[0].Seq, Plan: records[0].Plan, State: []byte("?"), Shares: c.Shares(), Who: "x", Why: "x"})
	if err != nil {
		t.Fatal(err)
	}
	r.goOn(3)
	if r.shares() != "r/us 0.2" {
		t.Errorf("shares are %q", r.shares())
	}
	if _, err := r.RollBackAll("alice", "it burns"); err != nil {
		t.Error(err)
	}
	if r.shares() != "" {
		t.Errorf("after the emergency shares are %q", r.shares())
	}
}

// Declarations that do not go with the fleet are refused, with the reason.
func TestStartRefuses(t *testing.T) {
	c := plane(t, tempDB(t))
	defer c.Close()
	r := newRig(t, c, nil)
	f := func(want string, edit func(*ramp.Plan)) {
		t.Helper()
		p := testPlan(t)
		edit(p)
		if err := r.Start(p, "alice", "x"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f("no service", func(p *ramp.Plan) { p.Service = "x.example" })
	f("scheme is unicast", func(p *ramp.Plan) { p.From, p.To = edge.Global, edge.Unicast })
	f("regional", func(p *ramp.Plan) { p.To = edge.Regional })
	f("no PoP of the fleet has a capacity", func(p *ramp.Plan) {
		p.Guardrails = append(p.Guardrails, ramp.DefaultGuardrail(ramp.Load))
	})
	f("it has no source", func(p *ramp.Plan) { p.Guardrails = append(p.Guardrails, ramp.DefaultGuardrail(ramp.Resets)) })
	if err := r.Start(testPlan(t), "alice", "x"); err != nil {
		t.Fatal(err)
	}
	f(runner.ErrTaken.Error(), func(*ramp.Plan) {})
}
