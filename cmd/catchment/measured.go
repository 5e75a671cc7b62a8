package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"catchment/internal/analysis"
	"catchment/internal/control"
	"catchment/internal/edge"
	"catchment/internal/node"
	"catchment/internal/store"
	"catchment/internal/store/duckdb"
)

// measureEvery is how often steering is told anew what beacons say.
const measureEvery = time.Hour

// measureFleet is a service that reads the stored beacons of the last so many
// UTC days, today among them, and hands what they say of the PoPs to the
// control plane: at start, and then every hour.
func measureFleet(data string, days int, to *control.Control, log *slog.Logger) node.Service {
	return node.Func(func(ctx context.Context) error {
		tick := time.NewTicker(measureEvery)
		defer tick.Stop()
		for {
			began := time.Now()
			orders, catchments, err := measure(ctx, data, edge.DayOf(began)-edge.Day(days-1))
			if err == nil {
				err = to.SetMeasured(orders, catchments)
			}
			switch {
			case ctx.Err() != nil:
				return nil
			case err != nil:
				log.Error("measurements not read, the former ones stay", "error", err)
			default:
				log.Info("measurements read", "orders", len(orders), "catchments", len(catchments), "took", time.Since(began))
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
}

// measure reads from a day on, a day at a time.
func measure(ctx context.Context, data string, from edge.Day) (_ []edge.Order, _ []edge.Catchment, err error) {
	segments, err := store.List(data)
	if err != nil {
		return nil, nil, err
	}
	var days []edge.Day
	for _, s := range segments {
		if s.Day >= from {
			days = append(days, s.Day)
		}
	}
	slices.Sort(days)
	engine, err := duckdb.Open(data, duckdb.Options{})
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	m := analysis.NewMeasured(analysis.DefaultCriteria())
	for _, day := range slices.Compact(days) {
		q := store.Query{Since: day.Time(), Until: (day + 1).Time()}
		if err := m.Read(analysis.Window{Latencies: engine.Latencies(ctx, q), Assignments: engine.Assignments(ctx, q)}); err != nil {
			return nil, nil, err
		}
	}
	return m.Orders(), m.Catchments(), nil
}
