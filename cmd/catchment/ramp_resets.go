package main

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"catchment/internal/edge"
	"catchment/internal/ramp/observe"
	"catchment/internal/resetlog"
)

// rampResets are the resets that PoPs' watchers hand in, as ramps are judged by
// them.
type rampResets struct {
	data     string
	heard    func() map[edge.PoPID]resetlog.Heard
	snapshot func() *edge.Snapshot
}

// resetSlack is how much later a PoP may hand in what happened, and how far its
// clock may be off.
const resetSlack = time.Minute

// Resets implements runner.Resets.
func (r *rampResets) Resets(ctx context.Context, since, until time.Time) iter.Seq2[*observe.Reset, error] {
	return func(yield func(*observe.Reset, error) bool) {
		if err := r.complete(until); err != nil {
			yield(nil, err)
			return
		}
		for x, err := range resetlog.Read(r.data, since, until) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if n := tornAway(x.Reset); n > 0 && !yield(&observe.Reset{Client: x.Reset.Client, Count: n}, nil) {
				return
			}
		}
	}
}

// complete says which PoP that announces VIPs and is well has not told what
// happened until a time.
func (r *rampResets) complete(until time.Time) error {
	s, heard := r.snapshot(), r.heard()
	for i := range s.Fleet.PoPs {
		p := &s.Fleet.PoPs[i]
		up := slices.ContainsFunc(s.Health, func(h edge.Health) bool { return h.PoP == p.ID && h.State == edge.Up })
		if p.BGP == nil || !up {
			continue
		}
		switch h, ok := heard[p.ID]; {
		case !ok:
			return fmt.Errorf("%s: nothing was heard of its reset watcher", p.ID)
		case h.Until.Before(until.Add(-resetSlack)):
			return fmt.Errorf("%s: nothing was heard of its reset watcher since %s", p.ID, h.Until.UTC().Format(time.RFC3339))
		case h.Method == edge.ResetsByCounters:
			return fmt.Errorf("%s: its reset watcher only counts (--reset-watcher), and cannot tell whose resets they are", p.ID)
		}
	}
	return nil
}

// tornAway is how many connections a record says were reset since the network
// moved them, and for no other reason. A reset is of a segment: where samples
// of connections are fewer than there is room for, they are all of them.
func tornAway(x *edge.Reset) float64 {
	if x == nil || x.Kind != edge.MidFlow || x.Doubt != edge.NoDoubt {
		return 0
	}
	if n := len(x.Flows); n > 0 && n < edge.MaxResetFlows {
		return float64(min(uint64(n), x.Count))
	}
	return float64(x.Count)
}
