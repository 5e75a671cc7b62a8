package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"

	"catchment/internal/analysis"
	"catchment/internal/edge"
	"catchment/internal/fleet"
	"catchment/internal/report"
	"catchment/internal/sim"
	"catchment/internal/sim/people"
	"catchment/internal/sim/topology"
)

// worldFlags are the flags of all that simulates a fleet: what it is made of,
// and how it is reported.
type worldFlags struct {
	fleet, topology string
	seed            uint64
	transits        int
	transit         string
	drawAll         bool
	drawPeers       bool
	rate            float64
	tolerance       string
	format, table   string
	limit           int

	connectivity sim.Connectivity
	judging      sim.Judging
	out          report.Format
}

// registerWorld adds the flags that say what the world is made of.
func (f *worldFlags) registerWorld(fs *flag.FlagSet) {
	d := sim.DefaultConnectivity()
	fs.StringVar(&f.fleet, "fleet", "", "fleet `file` (required)")
	fs.StringVar(&f.topology, "topology", "", "topology `file`, made by 'sim generate' or 'sim import', or generate:ASES[:SEED] (required)")
	fs.Uint64Var(&f.seed, "seed", 1, "what all that is random is drawn from")
	fs.IntVar(&f.transits, "transits", d.Transits, "carriers that a PoP without BGP neighbors in the fleet file buys transit from")
	fs.StringVar(&f.transit, "transit", string(d.Transit), "which of those PoPs buy from the same carriers: same (all), region or pop (each its own)")
	fs.BoolVar(&f.drawAll, "draw-all", false, "draw the neighbors of all PoPs, whatever the fleet file says")
	fs.BoolVar(&f.drawPeers, "draw-peers", false, "draw the peers of PoPs to which the fleet file gives none, beside their transits")
}

// register adds those and the ones of the report. tables are what CSV can have.
func (f *worldFlags) register(fs *flag.FlagSet, tables string) {
	f.registerWorld(fs)
	fs.StringVar(&f.format, "format", string(report.Table), "table, csv, json or markdown")
	fs.StringVar(&f.table, "table", "", "which table --format csv writes: "+tables)
}

func (f *worldFlags) registerTolerance(fs *flag.FlagSet) {
	fs.StringVar(&f.tolerance, "tolerance", analysis.DefaultTolerance.String(), "how much slower than the best PoP is still optimal: 0 (strict), 5ms, 10% or the larger of both")
}

func (f *worldFlags) registerLists(fs *flag.FlagSet) {
	fs.IntVar(&f.limit, "limit", 20, "table, markdown: at most so many rows; 0: all")
	fs.Float64Var(&f.rate, "rate", 0, "`requests/s` of one user, to compare loads with capacities")
}

// checkWorld reads the flags of registerWorld.
func (f *worldFlags) checkWorld(fs *flag.FlagSet) (err error) {
	f.connectivity = sim.DefaultConnectivity()
	f.connectivity.Transits, f.connectivity.DrawAll, f.connectivity.DrawPeers = f.transits, f.drawAll, f.drawPeers
	switch {
	case f.fleet == "":
		return usagef(fs, "--fleet is required")
	case f.topology == "":
		return usagef(fs, "--topology is required")
	case f.transits < 1 || f.transits > f.connectivity.Carriers:
		return usagef(fs, "--transits: want 1 to %d", f.connectivity.Carriers)
	}
	if f.connectivity.Transit, err = sim.ParseSameness(f.transit); err != nil {
		return usagef(fs, "--transit: %v", err)
	}
	return nil
}

// check reads the flags of register. tables are those that CSV can have; the
// first is the default.
func (f *worldFlags) check(fs *flag.FlagSet, tables ...string) error {
	if err := f.checkWorld(fs); err != nil {
		return err
	}
	switch {
	case !(f.rate >= 0 && f.rate <= 1e9):
		return usagef(fs, "--rate: want 0 or more requests/s")
	case f.limit < 0:
		return usagef(fs, "--limit: want 0 or more")
	}
	var err error
	if f.out, err = report.ParseFormat(f.format); err != nil {
		return usagef(fs, "--format: %v", err)
	}
	f.judging.Tolerance = analysis.DefaultTolerance
	if f.tolerance != "" {
		if f.judging.Tolerance, err = analysis.ParseTolerance(f.tolerance); err != nil {
			return usagef(fs, "--tolerance: %v", err)
		}
	}
	f.judging.Rate = f.rate
	if f.table == "" {
		f.table = tables[0]
	}
	if !slices.Contains(tables, f.table) {
		return usagef(fs, "--table: %q is not one of %v", f.table, tables)
	}
	return nil
}

// load reads both files.
func (f *worldFlags) load() (*edge.Fleet, *topology.Topology, error) {
	world, err := fleet.Load(f.fleet)
	var problems fleet.Errors
	if errors.As(err, &problems) {
		return nil, nil, &refusedError{err}
	}
	if err != nil {
		return nil, nil, err
	}
	t, err := readTopology(f.topology)
	return world, t, err
}

// world puts a fleet into a topology under one seed.
func (f *worldFlags) world(fl *edge.Fleet, t *topology.Topology, seed uint64) (*sim.World, error) {
	o := sim.DefaultOptions(seed)
	o.Connectivity = f.connectivity
	o.People = people.New(t, people.DefaultModel(seed))
	w, err := sim.New(fl, t, o)
	if err != nil {
		return nil, &refusedError{fmt.Errorf("%s: %w", f.fleet, err)}
	}
	return w, nil
}

// maxSeeds bounds an ensemble, of which twenty say enough.
const maxSeeds = 1000

// overSeeds calls f with a world for each seed and returns the first of them.
func (f *worldFlags) overSeeds(ctx context.Context, io stdio, fl *edge.Fleet, t *topology.Topology, seeds int, do func(*sim.World) error) (*sim.World, error) {
	bar := startProgress(io.err, "seeds", int64(seeds))
	defer bar.Finish()
	var first *sim.World
	for i := range uint64(seeds) {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		w, err := f.world(fl, t, f.seed+i)
		if err != nil {
			return nil, err
		}
		if err := do(w); err != nil {
			return nil, &refusedError{err}
		}
		if first == nil {
			first = w
		}
		bar.Increment()
	}
	bar.Finish()
	f.warn(io, first)
	return first, nil
}

// warn says what was left out of the fleet file.
func (f *worldFlags) warn(io stdio, w *sim.World) {
	for _, s := range w.Warnings {
		fmt.Fprintf(io.err, "%s: %s\n", f.fleet, s)
	}
}

func (f *worldFlags) about(w *sim.World) report.SimAbout {
	return report.SimAbout{
		Seed: f.seed, Seeds: 1, By: f.judging.By, Tolerance: f.judging.Tolerance, Rate: f.rate,
		Sources: w.Topology.Sources, Warnings: w.Warnings, Limit: f.limit, Table: f.table,
	}
}
