// Package store keeps beacons: a write-ahead log that makes them durable,
// immutable Parquet segments that are the record, and beside each segment the
// two aggregates that reports are made of.
//
// It is pure Go. Package store/duckdb answers queries over the same files, in
// this process or in any other, while they are being written.
package store

import (
	"context"
	"errors"
	"iter"
	"time"

	"catchment/internal/edge"
)

// Why Append refuses. The beacon is not stored; the sender may try again.
var (
	ErrBusy = errors.New("store: too many beacons wait to become durable")
	ErrDisk = errors.New("store: free disk space is below the floor")
)

// Query selects what an Engine aggregates.
type Query struct {
	Since, Until time.Time // receive time, [Since, Until); zero is open
}

// Engine answers queries over stored segments. DuckDB over Parquet files is
// the one that is embedded.
//
// The values that a sequence yields, their slices included, are valid only
// until the next one. One cell may be yielded several times, in any order:
// consumers add up. A sequence ends after the first error.
type Engine interface {
	// Assignments yields who reached which PoP.
	Assignments(ctx context.Context, q Query) iter.Seq2[*edge.Assignments, error]
	// Latencies yields the RTTs per cell and PoP.
	Latencies(ctx context.Context, q Query) iter.Seq2[*edge.Latencies, error]
	// PageViews yields who asked for each page view, and what became of it:
	// those that Assignments adds up.
	PageViews(ctx context.Context, q Query) iter.Seq2[*edge.PageView, error]
	// Networks returns the name of each ASN seen.
	Networks(ctx context.Context, q Query) (map[uint32]string, error)
	// Beacons yields whole beacons in the order of receipt.
	Beacons(ctx context.Context, q Query) iter.Seq2[*edge.Beacon, error]
	Close() error
}
