package runner_test

import (
	"context"
	"iter"
	"strings"
	"testing"
	"time"

	"catchment/internal/ramp"
	"catchment/internal/ramp/observe"
	"catchment/internal/ramp/runner"
)

// told are the requests that users' browsers tell of: one of ten clients tells
// of three, every 5 minutes, and of those that a ramp of a geography moves one of
// a hundred fails, of others one of 3,000.
type told struct {
	users *users
	where string
}

func (x *told) Requests(_ context.Context, since, _ time.Time) iter.Seq2[*observe.Requests, error] {
	return func(yield func(*observe.Requests, error) bool) {
		turn := int(since.Unix() / 300)
		for place, name := range []string{"us", "br"} {
			moved := treats(x.users.steering.Snapshot(), name)
			for n := range clients {
				p := client(place, n)
				r := observe.Requests{Client: p, Service: "www.edge.example", All: 30}
				if every := 100 / 3; name == x.where && moved(p.Addr()) && (n*7+turn)%every == 0 || (n*7+turn)%1000 == 0 {
					r.Failed = 10 // sampled as the others
				}
				if (n+turn)%10 == 0 || r.Failed > 0 {
					if !yield(&r, nil) || !yield(&observe.Requests{Client: p, Service: "other.edge.example", All: 30, Failed: 30}, nil) {
						return
					}
				}
			}
		}
	}
}

// Whose pages fail by a ramp goes back, the others go on; another service's
// failures do not matter.
func TestRequests(t *testing.T) {
	c := plane(t, tempDB(t))
	defer c.Close()
	source := &told{where: "us"}
	r := newRig(t, c, func(cfg *runner.Config) { cfg.Requests = source })
	source.users = r.users
	p := testPlan(t)
	p.Guardrails = append(p.Guardrails, ramp.DefaultGuardrail(ramp.PageFailures))
	if err := r.Start(p, "alice", "to see"); err != nil {
		t.Fatal(err)
	}
	r.goOn(12 * 24)
	s, err := r.Status("r")
	if err != nil {
		t.Fatal(err)
	}
	if us, br := s.Geographies[0], s.Geographies[1]; us.Phase != ramp.RolledBack || br.Phase != ramp.Done || !strings.Contains(us.Why, "page loads") {
		t.Errorf("us %s: %s, br %s\n%s", us.Phase, us.Why, br.Phase, r.said())
	}
}
