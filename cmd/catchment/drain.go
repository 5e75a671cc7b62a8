package main

import (
	"context"
	"fmt"

	"catchment/internal/announce"
)

func drainCommand() command {
	return command{"drain", "take a PoP out of service without breaking a connection", runDrain}
}

const drainAbout = `Orders a drain and shows it phase by phase until the PoP is drained (docs/drain.md).
Interrupted, the drain goes on; the same command attaches again. Where a drain is
under way it is changed only by --why, --grace, --for or --force.`

func runDrain(ctx context.Context, io stdio, args []string) error {
	fs := newFlags(io, "drain", "drain POP --token-file FILE [flags]", drainAbout)
	var (
		f      operateFlags
		order  orderDetails
		abort  = fs.Bool("abort", false, "undo what has been done of the drain, from whatever phase; as catchment restore")
		skip   = fs.Bool("skip", false, "end the present phase, and tell of it")
		wait   = fs.Bool("wait", true, "wait until the PoP is drained")
		noWait = fs.Bool("no-wait", false, "only order it")
	)
	f.register(fs)
	fs.DurationVar(&order.grace, "grace", 0, "how long connections may take to finish (default as in the fleet file)")
	fs.DurationVar(&order.during, "for", 0, "`duration` after which the PoP is restored by itself")
	fs.BoolVar(&order.force, "force", false, "even if the others lack the capacity, or nobody is left")
	ids, err := mixed(fs, args)
	if err != nil {
		return err
	}
	changes := f.why != "" || order.grace != 0 || order.during != 0 || order.force
	switch {
	case *abort && *skip:
		return usagef(fs, "want --abort or --skip, not both")
	case order.grace < 0 || order.during < 0:
		return usagef(fs, "--grace and --for: want 0s or more")
	case (*abort || *skip) && (order.grace != 0 || order.during != 0 || order.force):
		return usagef(fs, "--grace, --for and --force go with a drain")
	case f.local != "" && (order.during != 0 || order.force):
		return usagef(fs, "--for and --force go with --control")
	}
	op, err := f.operator(ctx, fs, ids)
	if err != nil {
		return err
	}
	order.why = f.reason()
	before, err := op.look(ctx)
	if err != nil {
		return err
	}
	w := newWatcher(io.err, op, before)
	stay := *wait && !*noWait
	switch {
	case *skip && before.Drain == nil:
		return &refusedError{fmt.Errorf("%s is not being drained: there is nothing to skip", before.PoP)}
	case *skip:
		order.phase = before.phase()
		return w.say(op.order(ctx, announce.DoSkip, &order), "phase %s is to be skipped", order.phase)
	case *abort:
		return restore(ctx, op, w, &order, stay)
	case !changes && draining(before):
		err = w.say(nil, "a drain is under way: %s", whyOf(before))
	default:
		err = w.say(op.order(ctx, announce.DoDrain, &order), "drain ordered: %s", order.why)
	}
	if err != nil || !stay {
		return err
	}
	return w.watch(ctx, outOfService, "the drain goes on; the same command attaches again, catchment restore undoes it")
}

// draining reports whether a drain is wanted of a PoP, or under way.
func draining(p *popState) bool {
	return p.Ordered != nil || p.Drain != nil && !goingBack(p.Drain.Phase)
}

func whyOf(p *popState) string {
	switch {
	case p.Drain != nil && p.Drain.Why != "":
		return p.Drain.Why
	case p.Ordered != nil:
		return p.Ordered.Why
	}
	return "for no reason given"
}

func goingBack(p announce.Phase) bool {
	switch p {
	case announce.Reannounce, announce.SettleBack, announce.Prefer, announce.DNSIn:
		return true
	}
	return false
}
