// Package node runs the services of one role as one process: it starts them in
// order, stops them in reverse, tells systemd how it goes, and serves the
// admin listener (/metrics, /healthz, pprof).
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// StopTimeout is how long one service may take to stop before it is given up.
// Above the 30 s that a slow download or a last seal may need, below the 90 s
// after which systemd kills.
const StopTimeout = 45 * time.Second

// Service is a part of a process. Run blocks until ctx is done and then
// returns nil; returning earlier, with or without an error, is a failure.
type Service interface {
	Run(ctx context.Context) error
}

// Named is a service with the name that errors and logs use for it.
type Named struct {
	Name    string
	Service Service
}

// Func makes a Service of a function.
type Func func(ctx context.Context) error

// Run calls f.
func (f Func) Run(ctx context.Context) error { return f(ctx) }

// Run runs services until ctx is done or one of them fails, then stops them
// one by one, the last first, so that what is listed later may lean on what is
// listed earlier until its own end. It returns nil when it was asked to stop
// and every service stopped cleanly, else every error joined.
func Run(ctx context.Context, log *slog.Logger, services ...Named) error {
	type exit struct {
		index int
		err   error
	}
	var (
		exits  = make(chan exit, len(services))
		cancel = make([]context.CancelFunc, len(services))
		exited = make([]bool, len(services))
		errs   []error
	)
	base := context.WithoutCancel(ctx)
	for i, s := range services {
		var sctx context.Context
		sctx, cancel[i] = context.WithCancel(base)
		defer cancel[i]()
		go func() { exits <- exit{i, s.Service.Run(sctx)} }()
	}
	note := func(e exit, asked bool) {
		exited[e.index] = true
		name := services[e.index].Name
		switch {
		case e.err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", name, e.err))
		case !asked:
			errs = append(errs, fmt.Errorf("%s: stopped without being asked to", name))
		}
	}

	notifyReady()
	watch, stopWatch := context.WithCancel(base)
	defer stopWatch()
	go keepWatchdog(watch, log, services)
	select {
	case <-ctx.Done():
		log.Info("stopping")
	case e := <-exits:
		note(e, false)
		log.Error("a service failed, stopping", "service", services[e.index].Name, "error", errors.Join(errs...))
	}
	notifyStopping()

	for i := len(services) - 1; i >= 0; i-- {
		cancel[i]()
		deadline := time.NewTimer(StopTimeout)
		for !exited[i] {
			select {
			case e := <-exits:
				note(e, e.index >= i)
			case <-deadline.C:
				errs = append(errs, fmt.Errorf("%s: did not stop within %v", services[i].Name, StopTimeout))
				exited[i] = true
			}
		}
		deadline.Stop()
	}
	return errors.Join(errs...)
}
