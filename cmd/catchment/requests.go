package main

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"time"

	"catchment/internal/daylog"
	"catchment/internal/edge"
	"catchment/internal/node"
	"catchment/internal/ramp/observe"
)

// requestDir is where the log of what browsers tell of their requests is.
func requestDir(data string) string { return filepath.Join(data, "requests") }

// maxRequestBytes bounds a day of it: some five million reports.
const maxRequestBytes = 1 << 30

// newRequestLog returns the log, and the service that drops what is too old.
func newRequestLog(data string, minFree uint64, retention time.Duration, log *slog.Logger) (*daylog.Log[edge.RequestRecord], node.Service) {
	l := daylog.New[edge.RequestRecord](daylog.Config{Dir: requestDir(data), MaxDayBytes: maxRequestBytes, MinFreeBytes: minFree})
	return l, node.Func(func(ctx context.Context) error {
		tick := time.NewTicker(time.Hour)
		defer tick.Stop()
		for {
			if err := l.DropOld(retention, time.Now()); err != nil {
				log.Error("old reports of requests not dropped, will try again", "error", err)
			}
			select {
			case <-ctx.Done():
				return l.Close()
			case <-tick.C:
			}
		}
	})
}

// rampRequests is the log as ramps are judged by it; its value is the
// directory.
type rampRequests string

// Requests implements runner.Requests.
func (dir rampRequests) Requests(ctx context.Context, since, until time.Time) iter.Seq2[*observe.Requests, error] {
	wanted := func(d edge.Day) bool { return since.Before((d + 1).Time()) && d.Time().Before(until) }
	return func(yield func(*observe.Requests, error) bool) {
		for r, err := range daylog.Read[edge.RequestRecord](string(dir), wanted) {
			if err == nil {
				err = ctx.Err()
			}
			switch {
			case err != nil:
				yield(nil, fmt.Errorf("requests: %w", err))
				return
			case r.Received.Before(since) || !r.Received.Before(until):
			case !yield(&observe.Requests{Client: r.Client, Service: r.Service, All: r.Requests, Failed: r.Failed}, nil):
				return
			}
		}
	}
}
