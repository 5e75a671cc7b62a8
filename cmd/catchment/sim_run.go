package main

import (
	"context"

	"catchment/internal/report"
	"catchment/internal/sim"
)

func simRun() command {
	return command{"run", "who reaches which PoP under each scheme, at what cost", runSimRun}
}

const simRunAbout = `Puts the fleet into a topology and tells, for unicast, global and regional, the
share of users who reach an optimal PoP, what the others lose, and what every
PoP gets. With --seeds N it does so for N seeds, one after the other, and prints
the median with the 10th and 90th percentile: what differs between seeds is what
the simulation cannot know.`

func runSimRun(ctx context.Context, io stdio, args []string) error {
	f := &worldFlags{}
	fs := newFlags(io, "sim run", "sim run --fleet FILE --topology FILE [flags]", simRunAbout)
	f.register(fs, "places or pops")
	f.registerTolerance(fs)
	f.registerLists(fs)
	seeds := fs.Int("seeds", 1, "how many seeds, from --seed on")
	by := fs.String("by", string(sim.ByCountry), "group users by continent, country, subdivision or asn")
	if err := parse(fs, args); err != nil {
		return err
	}
	if err := f.check(fs, "places", "pops"); err != nil {
		return err
	}
	var err error
	switch {
	case fs.NArg() > 0:
		return usagef(fs, "unexpected argument %q", fs.Arg(0))
	case *seeds < 1 || *seeds > maxSeeds:
		return usagef(fs, "--seeds: want 1 to %d", maxSeeds)
	}
	if f.judging.By, err = sim.ParseBy(*by); err != nil {
		return usagef(fs, "--by: %v", err)
	}
	fleet, topo, err := f.load()
	if err != nil {
		return err
	}
	var runs []*sim.Summary
	world, err := f.overSeeds(ctx, io, fleet, topo, *seeds, func(w *sim.World) error {
		outcome, err := w.Evaluate()
		if err != nil {
			return err
		}
		runs = append(runs, outcome.Summarize(f.judging))
		return nil
	})
	if err != nil {
		return err
	}
	about := f.about(world)
	about.Seeds = *seeds
	return report.SimRun(io.out, f.out, runs, about)
}
