package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/control"
	"catchment/internal/edge"
	"catchment/internal/geo"
	"catchment/internal/node"
	"catchment/internal/ramp/runner"
	"catchment/internal/resetlog"
	"catchment/internal/store/duckdb"
	"catchment/internal/tokens"
)

// rampFlags are the flags of serve that are about declared ramps.
type rampFlags struct {
	every, lag  time.Duration
	webhookFile string
}

func (f *rampFlags) register(fs *flag.FlagSet) {
	fs.DurationVar(&f.every, "ramp-every", runner.DefaultEvery, "how often ramps are looked at, 1m to 1h")
	fs.DurationVar(&f.lag, "ramp-lag", runner.DefaultLag, "how long after its receipt a beacon is sure to be stored; more than --seal-every")
	fs.StringVar(&f.webhookFile, "ramp-webhook-file", "", "`file` with the URL that is told of ramps that hold or go back; it may hold a secret")
}

// serveRamps returns the service that looks after ramps, to be run after the
// store and the control plane, and the API with /api/v1/ramps.
func serveRamps(f *rampFlags, data string, keep edge.Granule, places *geo.DB, known *tokens.Tokens, plane *control.Control, resets *resetlog.Log, log *slog.Logger, reg prometheus.Registerer) (node.Service, http.Handler, error) {
	webhook := ""
	if f.webhookFile != "" {
		text, err := os.ReadFile(f.webhookFile)
		if err != nil {
			return nil, nil, &refusedError{fmt.Errorf("--ramp-webhook-file: %w", err)}
		}
		webhook = strings.TrimSpace(string(text))
	}
	engine, err := duckdb.Open(data, duckdb.Options{})
	if err != nil {
		return nil, nil, err
	}
	ramps, err := runner.New(runner.Config{
		Records: plane, Leases: plane, Trails: plane, Steering: plane, Evidence: engine, Places: places, Tokens: known,
		Resets: &rampResets{data, resets.Heard, plane.Snapshot}, Requests: rampRequests(requestDir(data)),
		Every: f.every, Lag: f.lag, Keep: keep, Webhook: webhook,
	}, log, reg)
	if err != nil {
		return nil, nil, &refusedError{errors.Join(err, engine.Close())}
	}
	service := node.Func(func(ctx context.Context) error {
		return errors.Join(ramps.Run(ctx), engine.Close())
	})
	mux := http.NewServeMux()
	mux.Handle("/api/v1/ramps", ramps.API())
	mux.Handle("/api/v1/ramps/", ramps.API())
	mux.Handle("/", plane.API())
	return service, mux, nil
}
