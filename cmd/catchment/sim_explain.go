package main

import (
	"context"

	"catchment/internal/edge"
	"catchment/internal/report"
	"catchment/internal/sim"
)

func simExplain() command {
	return command{"explain", "why a network reaches the PoP that it reaches", runSimExplain}
}

const simExplainAbout = `Walks from a network in a metro to a VIP, hop by hop, with the reason of every
choice; then tells which PoP has the least RTT and why it is not the one that is
reached. METRO is a name such as "Chicago", or "Birmingham/GB" where several have
it; without it, where the network has most users.`

func runSimExplain(_ context.Context, io stdio, args []string) error {
	f := &worldFlags{}
	fs := newFlags(io, "sim explain", "sim explain AS [METRO] --fleet FILE --topology FILE [--vip ID]", simExplainAbout)
	f.register(fs, "path or best")
	f.registerTolerance(fs)
	vip := fs.String("vip", string(sim.GlobalVIP), "`id` of the VIP")
	var names []string
	for len(args) > 0 { // flags may follow names
		if err := parse(fs, args); err != nil {
			return err
		}
		if args = fs.Args(); len(args) > 0 {
			names, args = append(names, args[0]), args[1:]
		}
	}
	if len(names) == 0 || len(names) > 2 {
		return usagef(fs, "want an AS number, and a metro's name in quotes where it has spaces")
	}
	asn, err := sim.ParseASN(names[0])
	if err != nil {
		return usagef(fs, "%v", err)
	}
	metro := ""
	if len(names) == 2 {
		metro = names[1]
	}
	if err := f.check(fs, "path", "best"); err != nil {
		return err
	}
	fleet, topo, err := f.load()
	if err != nil {
		return err
	}
	as, at, err := sim.FindGroup(topo, asn, metro)
	if err != nil {
		return &refusedError{err}
	}
	w, err := f.world(fleet, topo, f.seed)
	if err != nil {
		return err
	}
	e, err := w.Explain(edge.VIPID(*vip), as, at, f.judging.Tolerance)
	if err != nil {
		return &refusedError{err}
	}
	f.warn(io, w)
	return report.SimExplain(io.out, f.out, e, f.about(w))
}
