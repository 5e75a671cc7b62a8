package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/analysis"
	"catchment/internal/dash"
	"catchment/internal/demo"
	"catchment/internal/edge"
	"catchment/internal/fleet"
	"catchment/internal/report"
	"catchment/internal/store"
	"catchment/internal/store/duckdb"
	"catchment/internal/tokens"
)

// served is a dashboard over a store that takes in page views.
type served struct {
	handler http.Handler
	token   string
	from    *beacons
	done    chan error
	engine  *duckdb.Engine
}

func (s *served) close() error {
	return errors.Join(<-s.done, <-s.done, s.engine.Close())
}

func (s *served) views() (n uint64) {
	days, _ := s.from.Days()
	for d := range days {
		more, _ := s.from.CountViews(context.Background(), d.Time(), (d + 1).Time())
		n += more
	}
	return n
}

func start(ctx context.Context, dir string, fill bool, views, days int, log *slog.Logger) (*served, error) {
	fl, err := fleet.Parse("demo", demo.FleetFile())
	if err != nil {
		return nil, err
	}
	internet, err := demo.Internet()
	if err != nil {
		return nil, err
	}
	w, err := demo.NewWorld(fl, internet, demo.Seed)
	if err != nil {
		return nil, err
	}
	if fill {
		if err := generate(w, dir, views, days); err != nil {
			return nil, err
		}
	}
	s := &served{token: rand.Text() + rand.Text(), done: make(chan error, 2)}
	known, _, err := tokens.Parse(strings.NewReader("viewer bench " + s.token + "\n"))
	if err != nil {
		return nil, err
	}
	if s.engine, err = duckdb.Open(dir, duckdb.Options{}); err != nil {
		return nil, err
	}
	s.from = &beacons{dir, s.engine}
	reg := prometheus.NewRegistry()
	d, err := dash.New(dash.Config{
		Beacons: s.from, Fleet: func() *edge.Fleet { return fl }, Places: demo.NewPlaces(w), Control: http.NotFoundHandler(), Tokens: known,
		Simulator: w.Sim, About: dash.SimulatorAbout{Report: report.SimAbout{Seed: demo.Seed, Seeds: 1}},
	}, log, reg)
	if err != nil {
		return nil, err
	}
	s.handler = d.Handler()
	go func() { s.done <- d.Run(ctx) }()
	go func() { s.done <- takeIn(ctx, w, dir, log) }()
	return s, nil
}

// generate fills dir with page views of the days before today, unless it is
// full already.
func generate(w *demo.World, dir string, views, days int) error {
	done := filepath.Join(dir, "complete")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	log.Printf("generating %d page views into %s (once a day)", views, dir)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	now := time.Now()
	g, err := w.Traffic(now, days, views)
	if err != nil {
		return err
	}
	fill, n := g.Filler(), demo.Before(g, now)
	var batch []*edge.Beacon
	segment := uint64(0)
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		segment++
		_, err := store.WriteSegment(dir, edge.DayOf(batch[0].Received), segment, segment, batch)
		batch = batch[:0]
		return err
	}
	const most = 250_000 // views of a segment
	for i := range n {
		b := &edge.Beacon{}
		fill.Fill(b, i)
		if len(batch) == most || len(batch) > 0 && edge.DayOf(batch[0].Received) != edge.DayOf(b.Received) {
			if err := flush(); err != nil {
				return err
			}
		}
		batch = append(batch, b)
	}
	if err := flush(); err != nil {
		return err
	}
	return os.WriteFile(done, nil, 0o644)
}

// takeIn writes a segment of a hundred page views every other second, so that
// today is always new.
func takeIn(ctx context.Context, w *demo.World, dir string, log *slog.Logger) error {
	now := time.Now()
	g, err := w.Traffic(now, 1, 2_000_000)
	if err != nil {
		return err
	}
	fill, next := g.Filler(), demo.Before(g, now)
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for n := uint64(1 << 40); ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case at := <-tick.C:
			var batch []*edge.Beacon
			for range 100 {
				b := &edge.Beacon{}
				fill.Fill(b, next)
				b.ID, b.Received = fmt.Sprintf("%s-%d", b.ID, n), at.UTC()
				batch = append(batch, b)
				next++
			}
			s, err := store.WriteSegment(dir, edge.DayOf(at), n, n, batch)
			if err != nil {
				return err
			}
			defer remove(s, log) // the store stays what it was
		}
	}
}

func remove(s store.Segment, log *slog.Logger) {
	for _, file := range []string{s.Beacons(), s.Assignments(), s.Latencies()} {
		if err := os.Remove(file); err != nil {
			log.Error("segment not removed", "error", err)
		}
	}
}

// beacons are the stored ones, as serve has them for the dashboard.
type beacons struct {
	dir    string
	engine *duckdb.Engine
}

func (b *beacons) Days() (map[edge.Day]string, error) {
	segments, err := store.List(b.dir)
	stamps := map[edge.Day]string{}
	for _, s := range segments {
		stamps[s.Day] += s.Beacons() + "\n"
	}
	return stamps, err
}

func of(d edge.Day) store.Query { return store.Query{Since: d.Time(), Until: (d + 1).Time()} }

func (b *beacons) Window(ctx context.Context, d edge.Day) analysis.Window {
	return analysis.Window{Latencies: b.engine.Latencies(ctx, of(d)), Assignments: b.engine.Assignments(ctx, of(d))}
}

func (b *beacons) ViewWindow(ctx context.Context, d edge.Day) analysis.ViewWindow {
	return analysis.ViewWindow{Latencies: b.engine.Latencies(ctx, of(d)), Views: b.engine.PageViews(ctx, of(d))}
}

func (b *beacons) Networks(ctx context.Context, d edge.Day) (map[uint32]string, error) {
	return b.engine.Networks(ctx, of(d))
}

func (b *beacons) CountViews(ctx context.Context, since, until time.Time) (n uint64, err error) {
	for _, err := range b.engine.PageLoads(ctx, since, until) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}
