package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"catchment/internal/demo"
	"catchment/internal/edge"
	"catchment/internal/sim/views"
	"catchment/internal/store"
)

// demoTraffic stores the page views of the demo's world: those of the past, the
// latest days first, and then each as it happens.
type demoTraffic struct {
	views *views.Generator
	to    *store.Store
	begin time.Time
	past  int // views before begin
	done  atomic.Int64
}

func newDemoTraffic(w *demo.World, to *store.Store, now time.Time, days, atLeast int) (*demoTraffic, error) {
	t := &demoTraffic{to: to, begin: now}
	if atLeast == 0 {
		return t, nil
	}
	var err error
	if t.views, err = w.Traffic(now, days, atLeast); err != nil {
		return nil, err
	}
	t.past = demo.Before(t.views, now)
	return t, nil
}

// progress returns how many page views of the past are stored, of how many.
func (t *demoTraffic) progress() (stored, total int) { return int(t.done.Load()), t.past }

func (t *demoTraffic) run(ctx context.Context, std stdio) error {
	if t.views == nil {
		<-ctx.Done()
		return nil
	}
	bar := startProgress(std.err, "page views", int64(t.past))
	err := t.history(ctx, func(n int) { bar.Add(n) })
	bar.Finish()
	if err == nil {
		fmt.Fprintf(std.err, "%d page views stored in %v\n", t.past, time.Since(t.begin).Round(100*time.Millisecond))
		err = t.live(ctx)
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// batch is how many views are stored at once.
const batch = 1000

// history stores the views of the past, from the end.
func (t *demoTraffic) history(ctx context.Context, stored func(n int)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) { // one waits for the disk while another makes views
		workers.Go(func() {
			fill := newBatch(t.views)
			for {
				until := t.past - int(next.Add(batch)) + batch
				if until <= 0 {
					return
				}
				views := fill.views(max(0, until-batch), until)
				if err := t.append(ctx, views); err != nil {
					cancel(err)
					return
				}
				t.done.Add(int64(len(views)))
				stored(len(views))
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

// live stores each view when it happens.
func (t *demoTraffic) live(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	fill := newBatch(t.views)
	next := t.past
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			for next < t.views.Views() {
				until := min(next+batch, t.views.Views())
				views := fill.views(next, until)
				happened := len(views)
				for happened > 0 && views[happened-1].Received.After(now) {
					happened--
				}
				if err := t.append(ctx, views[:happened]); err != nil {
					return err
				}
				next += happened
				if happened < len(views) {
					break
				}
			}
		}
	}
}

// append waits while the store is busy.
func (t *demoTraffic) append(ctx context.Context, views []*edge.Beacon) error {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		if len(views) == 0 {
			return nil
		}
		_, err := t.to.Append(ctx, views...)
		if !errors.Is(err, store.ErrBusy) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// viewBatch is room for a batch of views, used again and again.
type viewBatch struct {
	fill *views.Filler
	room []edge.Beacon
	refs []*edge.Beacon
}

func newBatch(g *views.Generator) *viewBatch {
	b := &viewBatch{fill: g.Filler(), room: make([]edge.Beacon, batch), refs: make([]*edge.Beacon, batch)}
	for i := range b.room {
		b.refs[i] = &b.room[i]
	}
	return b
}

// views returns views first to until−1, at most a batch. They are good until
// the next call.
func (b *viewBatch) views(first, until int) []*edge.Beacon {
	for i := range until - first {
		b.fill.Fill(b.refs[i], first+i)
	}
	return b.refs[:until-first]
}
