package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/docs"
	"catchment/internal/control"
	dashboard "catchment/internal/dash"
	"catchment/internal/edge"
	"catchment/internal/geo"
	"catchment/internal/node"
	"catchment/internal/report"
	"catchment/internal/sim/topology"
	"catchment/internal/store/duckdb"
	"catchment/internal/tokens"
)

// dashFlags are the flags of serve that are about the dashboard.
type dashFlags struct {
	userHeader string
	operators  stringList
	memory     int
	topology   string
	seed       uint64
	rate       float64
}

func (f *dashFlags) register(fs *flag.FlagSet) {
	fs.StringVar(&f.userHeader, "proxy-user-header", "", "`header` in which a --trusted-proxy names who uses the dashboard, such as X-Forwarded-User; empty: no header counts")
	fs.Var(&f.operators, "proxy-operator", "`user` whom the proxy names and who may change things, * for all; repeatable; others may read")
	fs.IntVar(&f.memory, "dash-memory", 512<<20, "`bytes` of memory for the dashboard's figures; days beyond it are read again when they are asked for")
	fs.StringVar(&f.topology, "topology", "", "topology `file` for what-if, made by 'sim generate' or 'sim import', or generate:ASES[:SEED]; empty: no what-if")
	fs.Uint64Var(&f.seed, "topology-seed", 1, "what all that is random in what-if is drawn from")
	fs.Float64Var(&f.rate, "user-rate", 0, "`requests/s` of one user, for what-if to compare loads with capacities")
}

func (f *dashFlags) check(proxies []netip.Prefix) error {
	switch {
	case f.userHeader != "" && len(proxies) == 0:
		return errors.New("--proxy-user-header needs --trusted-proxy")
	case f.userHeader != "" && strings.ContainsAny(f.userHeader, " \t:"):
		return fmt.Errorf("--proxy-user-header: %q is not the name of a header", f.userHeader)
	case len(f.operators) > 0 && f.userHeader == "":
		return errors.New("--proxy-operator needs --proxy-user-header")
	case f.memory < 16<<20:
		return errors.New("--dash-memory: want 16777216 or more")
	case !(f.rate >= 0 && f.rate <= 1e9):
		return errors.New("--user-rate: want 0 or more requests/s")
	}
	return nil
}

// serveDash returns the service that keeps the dashboard's figures, to be run
// after the store, and what the admin listener shows: pages, their figures, and
// the API that is given.
func serveDash(f *dashFlags, data string, world *edge.Fleet, places *geo.DB, known *tokens.Tokens, proxies []netip.Prefix, plane *control.Control, api http.Handler, log *slog.Logger, reg prometheus.Registerer) (node.Service, http.Handler, error) {
	if err := f.check(proxies); err != nil {
		return nil, nil, &refusedError{err}
	}
	engine, err := duckdb.Open(data, duckdb.Options{})
	if err != nil {
		return nil, nil, err
	}
	cfg := dashboard.Config{
		Beacons: dashBeacons{data, engine}, Fleet: fleetNow(plane, world), Places: places, Control: api, Tokens: known,
		Stability: &dashStability{data: data}, Docs: docs.Files,
		TrustedProxies: proxies, UserHeader: f.userHeader, Operators: f.operators, Memory: f.memory,
	}
	if f.topology != "" {
		t, err := readTopology(f.topology)
		if err != nil {
			return nil, nil, errors.Join(err, engine.Close())
		}
		f.simulate(&cfg, t)
	}
	return dashService(cfg, engine, log, reg)
}

func (f *dashFlags) simulate(cfg *dashboard.Config, t *topology.Topology) {
	cfg.Simulator = &simulator{topology: t, seed: f.seed, fleet: cfg.Fleet}
	cfg.About = dashboard.SimulatorAbout{Rate: f.rate, Report: report.SimAbout{Seed: f.seed, Seeds: 1, Rate: f.rate, Sources: t.Sources}}
}

// fleetNow is the fleet that is published, and until then the one at start.
func fleetNow(plane *control.Control, first *edge.Fleet) func() *edge.Fleet {
	return func() *edge.Fleet {
		if s := plane.Snapshot(); s != nil && s.Fleet != nil {
			return s.Fleet
		}
		return first
	}
}
