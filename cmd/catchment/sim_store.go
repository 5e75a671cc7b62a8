package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
	"catchment/internal/sim/views"
	"catchment/internal/store"
)

// storeViews puts all views of a generator into a store. What an earlier run
// put there is known already and left out.
func storeViews(ctx context.Context, io stdio, g *views.Generator, dir string) error {
	if entries, err := os.ReadDir(dir); errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return fillStore(ctx, io, g, dir)
	}
	return appendViews(ctx, io, g, dir)
}

// segmentViews is how many views go into one segment.
const segmentViews = 250_000

// fillStore writes the segments of a new store. Which views are in which does
// not depend on the number of processors.
func fillStore(ctx context.Context, io stdio, g *views.Generator, dir string) error {
	to, err := store.OpenBulk(dir)
	if err != nil {
		return hintInUse(err)
	}
	bar := startProgress(io.err, "views", int64(g.Views()))
	started := time.Now()
	err = errors.Join(writeSegments(ctx, to, g, segmentsOf(g, g.Views(), segmentViews), func(n int) { bar.Add(n) }), to.Close())
	bar.Finish()
	if err != nil {
		return err
	}
	fmt.Fprintf(io.err, "%d views stored in %v\n", g.Views(), time.Since(started).Round(time.Millisecond))
	return nil
}

// viewSegment is the views of one segment.
type viewSegment struct {
	day         edge.Day
	number      uint64
	from, until int
}

// segmentsOf divides the views up to one into segments of at most so many.
func segmentsOf(g *views.Generator, until, most int) []viewSegment {
	var all []viewSegment
	first, days := g.Days()
	for d := range days {
		from, end := g.Day(d)
		for end = min(end, until); from < end; from += most {
			all = append(all, viewSegment{first + edge.Day(d), uint64(len(all) + 1), from, min(from+most, end)})
		}
	}
	return all
}

// writeSegments writes segments in their order, as many at a time as there are
// processors, and tells done of views written.
func writeSegments(ctx context.Context, to *store.Bulk, g *views.Generator, segments []viewSegment, done func(n int)) error {
	next := make(chan viewSegment, len(segments))
	for _, s := range segments {
		next <- s
	}
	close(next)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(segments)) {
		workers.Go(func() {
			fill, b := g.Filler(), &edge.Beacon{}
			for s := range next {
				_, err := to.Write(s.day, s.number, func(yield func(*edge.Beacon, error) bool) {
					const some = 1000
					for i := s.from; i < s.until; i++ {
						fill.Fill(b, i)
						if !yield(b, context.Cause(ctx)) {
							return
						}
						if n := i + 1 - s.from; n%some == 0 {
							done(some)
						} else if i+1 == s.until {
							done(n % some)
						}
					}
				})
				if err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

// appendViews adds views to a store that has some.
func appendViews(ctx context.Context, io stdio, g *views.Generator, dir string) error {
	log := slog.New(slog.NewTextHandler(io.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	to, err := store.Open(store.Config{Dir: dir}, log, prometheus.NewRegistry())
	if err != nil {
		return hintInUse(err)
	}
	bar := startProgress(io.err, "views", int64(g.Views()))
	var (
		next, stored atomic.Int64
		started      = time.Now()
		workers      sync.WaitGroup
	)
	run, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Two for each core: one waits for the disk while the other makes views.
	for range 2 * runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			const size = 1000
			views, refs, fill := make([]edge.Beacon, size), make([]*edge.Beacon, size), g.Filler()
			for i := range views {
				refs[i] = &views[i]
			}
			for {
				first := int(next.Add(size)) - size
				n := min(size, g.Views()-first)
				if n <= 0 {
					return
				}
				for i := range n {
					fill.Fill(refs[i], first+i)
				}
				if err := appendPatiently(run, to, refs[:n], &stored); err != nil {
					cancel(err)
					return
				}
				bar.Add(n)
			}
		})
	}
	workers.Wait()
	err = errors.Join(context.Cause(run), to.Close()) // seals, so that reports see all of it
	bar.Finish()
	if err != nil {
		return err
	}
	fmt.Fprintf(io.err, "%d views stored, %d known already, in %v\n",
		stored.Load(), int64(g.Views())-stored.Load(), time.Since(started).Round(time.Millisecond))
	return nil
}

// appendPatiently stores beacons and waits while the store is busy.
func appendPatiently(ctx context.Context, to *store.Store, beacons []*edge.Beacon, stored *atomic.Int64) error {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		n, err := to.Append(ctx, beacons...)
		stored.Add(int64(n))
		if !errors.Is(err, store.ErrBusy) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}
