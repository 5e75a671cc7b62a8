package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/analysis"
	dashboard "catchment/internal/dash"
	"catchment/internal/edge"
	"catchment/internal/node"
	"catchment/internal/sim"
	"catchment/internal/sim/people"
	"catchment/internal/sim/topology"
	"catchment/internal/store"
	"catchment/internal/store/duckdb"
)

// dashService makes a dashboard, and the service that keeps its figures and
// closes the engine at the end.
func dashService(cfg dashboard.Config, engine *duckdb.Engine, log *slog.Logger, reg prometheus.Registerer) (node.Service, http.Handler, error) {
	d, err := dashboard.New(cfg, log, reg)
	if err != nil {
		return nil, nil, errors.Join(err, engine.Close())
	}
	return node.Func(func(ctx context.Context) error {
		return errors.Join(d.Run(ctx), engine.Close())
	}), d.Handler(), nil
}

// dashBeacons are the stored beacons as the dashboard reads them.
type dashBeacons struct {
	data   string
	engine *duckdb.Engine
}

// Days implements dash.Beacons. A stamp is the names of the day's segments,
// whose files never change.
func (b dashBeacons) Days() (map[edge.Day]string, error) {
	segments, err := store.List(b.data)
	if err != nil {
		return nil, err
	}
	names := map[edge.Day][]string{}
	for _, s := range segments {
		names[s.Day] = append(names[s.Day], s.Beacons())
	}
	stamps := map[edge.Day]string{}
	for d, list := range names {
		slices.Sort(list)
		stamps[d] = strings.Join(list, "\n")
	}
	return stamps, nil
}

func (b dashBeacons) query(d edge.Day) store.Query {
	return store.Query{Since: d.Time(), Until: (d + 1).Time()}
}

// Window implements dash.Beacons.
func (b dashBeacons) Window(ctx context.Context, d edge.Day) analysis.Window {
	q := b.query(d)
	return analysis.Window{Latencies: b.engine.Latencies(ctx, q), Assignments: b.engine.Assignments(ctx, q)}
}

// ViewWindow implements dash.Beacons.
func (b dashBeacons) ViewWindow(ctx context.Context, d edge.Day) analysis.ViewWindow {
	q := b.query(d)
	return analysis.ViewWindow{Latencies: b.engine.Latencies(ctx, q), Views: b.engine.PageViews(ctx, q)}
}

// Networks implements dash.Beacons.
func (b dashBeacons) Networks(ctx context.Context, d edge.Day) (map[uint32]string, error) {
	return b.engine.Networks(ctx, b.query(d))
}

// CountViews implements dash.Beacons.
func (b dashBeacons) CountViews(ctx context.Context, since, until time.Time) (n uint64, err error) {
	for _, err := range b.engine.PageLoads(ctx, since, until) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// simulator is a sim.World of the fleet as it is at the moment.
type simulator struct {
	topology *topology.Topology
	seed     uint64
	fleet    func() *edge.Fleet

	mu    sync.Mutex
	of    *edge.Fleet // guarded by mu
	world *sim.World  // guarded by mu
}

// WhatIf implements dash.Simulator.
func (s *simulator) WhatIf(vip edge.VIPID, edits []sim.Edit, rate float64) (*sim.Change, error) {
	s.mu.Lock()
	f := s.fleet()
	if s.of != f {
		o := sim.DefaultOptions(s.seed)
		o.People = people.New(s.topology, people.DefaultModel(s.seed))
		world, err := sim.New(f, s.topology, o)
		if err != nil {
			s.mu.Unlock()
			return nil, err
		}
		s.of, s.world = f, world
	}
	world := s.world
	s.mu.Unlock()
	return world.WhatIf(vip, edits, rate)
}
