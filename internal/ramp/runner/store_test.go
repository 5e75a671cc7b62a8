package runner_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"catchment/internal/edge"
	"catchment/internal/ramp/runner"
	"catchment/internal/store"
	"catchment/internal/store/duckdb"
)

// stored puts the page views of each stretch into a store before it is asked
// for them: as beacons, in Parquet.
type stored struct {
	*users
	bulk   *store.Bulk
	engine *duckdb.Engine
	n      uint64
}

func (s *stored) PageLoads(ctx context.Context, since, until time.Time) iter.Seq2[*edge.PageLoad, error] {
	s.n++
	_, err := s.bulk.Write(edge.DayOf(since), s.n, func(yield func(*edge.Beacon, error) bool) {
		i := 0
		for l := range s.users.PageLoads(ctx, since, until) {
			if i++; !yield(beaconOf(l, fmt.Sprintf("%d-%d", s.n, i)), nil) {
				return
			}
		}
	})
	if err != nil {
		return func(yield func(*edge.PageLoad, error) bool) { yield(nil, err) }
	}
	return s.engine.PageLoads(ctx, since, until)
}

func beaconOf(l *edge.PageLoad, id string) *edge.Beacon {
	b := &edge.Beacon{
		V: 1, ID: id, Rate: 1, Received: l.At, Client: l.Resolver.ECS, Resolver: l.Resolver,
		Place: edge.Place{Country: l.Country}, Page: edge.Page{PoP: l.PoP, VIP: l.VIP, Connect: l.Connect},
	}
	for k, pop := range l.Served {
		if pop != "" {
			b.Probes = append(b.Probes, edge.Probe{Target: edge.Target(edge.Schemes[k]), PoP: pop, RTT: l.RTT[k], AF: 6})
		}
	}
	return b
}

// What is harmed is caught, and what is not goes on, also when the evidence
// comes from where it comes from in earnest; and the looks are the same to the
// last digit.
func TestThroughStore(t *testing.T) {
	run := func(edit func(*runner.Config, *users)) string {
		c := plane(t, tempDB(t))
		defer c.Close()
		r := newRig(t, c, nil)
		r.users.harmed = "us"
		if edit != nil {
			r = newRig(t, c, func(cfg *runner.Config) {
				cfg.Evidence = nil
				u := &users{steering: immediate{c, testFleet()}, harmed: "us"}
				edit(cfg, u)
			})
		}
		if err := r.Start(testPlan(t), "alice", "to see"); err != nil {
			t.Fatal(err)
		}
		r.goOn(30)
		looks, _, err := r.Looks("r", 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		return text(t, looks)
	}
	want := run(nil)
	got := run(func(cfg *runner.Config, u *users) {
		dir := tempDB(t)
		bulk, err := store.OpenBulk(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = bulk.Close() })
		engine, err := duckdb.Open(dir, duckdb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = engine.Close() })
		cfg.Evidence = &stored{users: u, bulk: bulk, engine: engine}
	})
	if !strings.Contains(want, `"action":"roll_back"`) || !strings.Contains(want, `"action":"advance"`) {
		t.Errorf("nothing went back, or nothing on: %.2000s", want)
	}
	if got != want {
		t.Errorf("through a store it goes otherwise:\n%.3000s\nwant\n%.3000s", got, want)
	}
}
