package synth

import (
	"context"
	"sync/atomic"
	"time"
)

// lag watches the agent itself: a busy or suspended machine makes stalls that
// are not the network's.
type lag struct{ count atomic.Uint64 }

const (
	lagTick = 100 * time.Millisecond
	lagMax  = stallAfter / 2
)

// run counts ticks that come far too late, until ctx is done.
func (l *lag) run(ctx context.Context) {
	tick := time.NewTicker(lagTick)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			now := time.Now()
			if now.Sub(last) > lagTick+lagMax {
				l.count.Add(1)
			}
			last = now
		}
	}
}
