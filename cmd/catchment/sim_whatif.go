package main

import (
	"context"

	"catchment/internal/edge"
	"catchment/internal/report"
	"catchment/internal/sim"
)

func simWhatIf() command {
	return command{"whatif", "whom an edit of the announcements moves, where, and why", runSimWhatIf}
}

const simWhatIfAbout = `Announces one VIP as the fleet file says, then with the edits, and compares: who
moves from which PoP to which, what becomes of their RTT, which PoPs get more
than they can take, and which networks' decisions did it. Edits may be given
several times and are applied in their order; "*" stands for all PoPs or all
neighbors. POP is a PoP's id, AS an AS number with or without AS before it. With
--seeds N it does so for N seeds and prints the median with the 10th and 90th
percentile.`

func runSimWhatIf(ctx context.Context, io stdio, args []string) error {
	f := &worldFlags{}
	fs := newFlags(io, "sim whatif", "sim whatif --fleet FILE --topology FILE [--vip ID] EDIT...", simWhatIfAbout)
	f.register(fs, "moves, pops or causes")
	f.registerLists(fs)
	vip := fs.String("vip", string(sim.GlobalVIP), "`id` of the VIP")
	seeds := fs.Int("seeds", 1, "how many seeds, from --seed on")
	var edits []sim.Edit
	for _, k := range sim.EditKinds {
		fs.Func(string(k.Kind), "`"+k.Form+"`: "+k.About, func(text string) error {
			e, err := sim.ParseEdit(k.Kind, text)
			edits = append(edits, e)
			return err
		})
	}
	if err := parse(fs, args); err != nil {
		return err
	}
	if err := f.check(fs, "moves", "pops", "causes"); err != nil {
		return err
	}
	switch {
	case fs.NArg() > 0:
		return usagef(fs, "unexpected argument %q", fs.Arg(0))
	case *seeds < 1 || *seeds > maxSeeds:
		return usagef(fs, "--seeds: want 1 to %d", maxSeeds)
	case len(edits) == 0:
		return usagef(fs, "want an edit, such as --withdraw iad")
	}
	fleet, topo, err := f.load()
	if err != nil {
		return err
	}
	var runs []*sim.Change
	world, err := f.overSeeds(ctx, io, fleet, topo, *seeds, func(w *sim.World) error {
		c, err := w.WhatIf(edge.VIPID(*vip), edits, f.rate)
		runs = append(runs, c)
		return err
	})
	if err != nil {
		return err
	}
	about := f.about(world)
	about.Seeds = *seeds
	return report.SimChange(io.out, f.out, runs, about)
}
