package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	whole chan struct{} // closed when the past is stored
}

func newDemoTraffic(w *demo.World, to *store.Store, now time.Time, days, atLeast int) (*demoTraffic, error) {
	t := &demoTraffic{to: to, begin: now, whole: make(chan struct{})}
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
	switch {
	case errors.Is(err, store.ErrNotNew):
		t.done.Store(int64(t.past))
		fmt.Fprintln(std.err, "The data of an earlier demo are kept: page views go on from now.")
	case err == nil:
		fmt.Fprintf(std.err, "%d page views stored in %v\n", t.past, time.Since(t.begin).Round(100*time.Millisecond))
	}
	if err == nil || errors.Is(err, store.ErrNotNew) {
		close(t.whole)
		err = t.live(ctx)
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// historySegment is how many views go into a segment of the past: a few for a
// day, so that the page has something to show soon.
const historySegment = 120_000

// history writes the views of the past, the latest day first.
func (t *demoTraffic) history(ctx context.Context, stored func(n int)) error {
	to, err := t.to.Bulk()
	if err != nil {
		return err
	}
	segments := segmentsOf(t.views, t.past, historySegment)
	slices.Reverse(segments)
	return errors.Join(writeSegments(ctx, to, t.views, segments, func(n int) {
		t.done.Add(int64(n))
		stored(n)
	}), to.Close())
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
				if _, err := t.to.Append(ctx, views[:happened]...); err != nil {
					return err // Run would have to be far behind: a few views a second
				}
				next += happened
				if happened < len(views) {
					break
				}
			}
		}
	}
}

// batch is how many views are made at once.
const batch = 100

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
