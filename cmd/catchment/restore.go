package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"catchment/internal/announce"
	"catchment/internal/follow"
)

func restoreCommand() command {
	return command{"restore", "bring a drained PoP back, or abort its drain", runRestore}
}

func runRestore(ctx context.Context, io stdio, args []string) error {
	fs := newFlags(io, "restore", "restore POP --token-file FILE [flags]", "Undoes a drain, from whatever phase, and shows it phase by phase until the PoP is\nin service (docs/drain.md).")
	var f operateFlags
	f.register(fs)
	wait := fs.Bool("wait", true, "wait until the PoP is in service")
	noWait := fs.Bool("no-wait", false, "only order it")
	ids, err := mixed(fs, args)
	if err != nil {
		return err
	}
	op, err := f.operator(ctx, fs, ids)
	if err != nil {
		return err
	}
	before, err := op.look(ctx)
	if err != nil {
		return err
	}
	return restore(ctx, op, newWatcher(io.err, op, before), &orderDetails{why: f.reason()}, *wait && !*noWait)
}

// restore orders it, unless the PoP is on its way back already.
func restore(ctx context.Context, op operator, w *watcher, o *orderDetails, stay bool) error {
	err := op.order(ctx, announce.DoRestore, o)
	var status *follow.StatusError
	nothing := errors.As(err, &status) && (status.Code == http.StatusNotFound || status.Code == http.StatusConflict)
	switch d := w.last.Drain; {
	case nothing && d != nil && goingBack(d.Phase):
		err = w.say(nil, "is on its way back already")
	case nothing && d != nil && d.Local:
		return &refusedError{fmt.Errorf("%s was drained at the PoP itself: restore it there, with --local", w.last.PoP)}
	default:
		err = w.say(err, "restore ordered: %s", o.why)
	}
	if err != nil || !stay {
		return err
	}
	return w.watch(ctx, inService, "the PoP goes on coming back; the same command attaches again")
}
