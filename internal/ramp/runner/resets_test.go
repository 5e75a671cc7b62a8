package runner_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"catchment/internal/ramp"
	"catchment/internal/ramp/observe"
	"catchment/internal/ramp/runner"
)

// torn are the resets of users: of one of 20 clients that a ramp of a geography
// moves, every 5 minutes; and of one of 400 clients at all.
type torn struct {
	users  *users
	where  string
	silent error // a PoP is
}

func (x *torn) Resets(_ context.Context, since, _ time.Time) iter.Seq2[*observe.Reset, error] {
	return func(yield func(*observe.Reset, error) bool) {
		if x.silent != nil {
			yield(nil, x.silent)
			return
		}
		turn := int(since.Unix() / 300)
		for place, name := range []string{"us", "br"} {
			moved := treats(x.users.steering.Snapshot(), name)
			for n := range clients {
				p := client(place, n)
				torn := (n+turn)%400 == 0 || name == x.where && moved(p.Addr()) && (n+turn)%20 == 0
				if torn && !yield(&observe.Reset{Client: p, Count: 1}, nil) {
					return
				}
			}
		}
	}
}

// Who loses connections by a ramp goes back, the others go on. While nobody can
// tell of resets nothing is decided, and ramps that are not judged by them
// are not held up.
func TestResets(t *testing.T) {
	c := plane(t, tempDB(t))
	defer c.Close()
	source := &torn{where: "br"}
	r := newRig(t, c, func(cfg *runner.Config) { cfg.Resets = source })
	source.users = r.users
	p := testPlan(t)
	p.Guardrails = append(p.Guardrails, ramp.DefaultGuardrail(ramp.Resets))
	if err := r.Start(p, "alice", "to see"); err != nil {
		t.Fatal(err)
	}
	r.goOn(12 * 12)
	s, err := r.Status("r")
	if err != nil {
		t.Fatal(err)
	}
	if us, br := s.Geographies[0], s.Geographies[1]; us.Phase != ramp.Done || br.Phase != ramp.RolledBack || !strings.Contains(br.Why, "resets") {
		t.Errorf("us %s, br %s: %s\n%s", us.Phase, br.Phase, br.Why, r.said())
	}
	looks, _, err := r.Looks("r", 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	resets, unplaced := 0.0, 0.0
	for _, l := range looks[1:] {
		resets += l.Coverage.Resets
		unplaced += l.Coverage.Unplaced
	}
	if resets < 100 || unplaced != 0 {
		t.Errorf("%v resets were looked at, %v of them in no arm", resets, unplaced)
	}
}

func TestSilentWatcher(t *testing.T) {
	c := plane(t, tempDB(t))
	defer c.Close()
	source := &torn{}
	r := newRig(t, c, func(cfg *runner.Config) { cfg.Resets = source })
	source.users = r.users
	watches := testPlan(t)
	watches.Guardrails = append(watches.Guardrails, ramp.DefaultGuardrail(ramp.Resets))
	watches.Geographies = watches.Geographies[:1]
	does := testPlan(t)
	does.ID, does.Geographies = "other", does.Geographies[1:]
	for _, p := range []*ramp.Plan{watches, does} {
		if err := r.Start(p, "alice", "to see"); err != nil {
			t.Fatal(err)
		}
	}
	r.goOn(8)
	source.silent = errors.New("iad: nothing was heard of its reset watcher")
	for range 24 {
		r.now = r.now.Add(5 * time.Minute)
		if err := r.Look(t.Context()); !errors.Is(err, source.silent) {
			t.Fatalf("the look says %v", err)
		}
	}
	share := func(id string) (share float64) {
		for _, x := range r.plane.Shares() {
			if strings.HasPrefix(x.ID, id+"/") {
				share = x.Share
			}
		}
		return share
	}
	if r, o := share("r"), share("other"); r != 0.2 || o != 0.5 {
		t.Errorf("shares are %v and %v: the one that watches resets has to wait, the other not", r, o)
	}
	looks, _, err := r.Looks("r", -1, 1)
	if err != nil || len(looks) != 1 || !strings.Contains(looks[0].Trouble, "iad") {
		t.Errorf("the last look: %+v %v", looks, err)
	}
	source.silent = nil
	r.goOn(12 * 3) // and what it missed is caught up with
	if r := share("r"); r != 1 {
		t.Errorf("the share is %v in the end", r)
	}
}
