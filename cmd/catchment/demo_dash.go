package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/docs"
	"catchment/internal/beacon/rum"
	"catchment/internal/control"
	dashboard "catchment/internal/dash"
	"catchment/internal/demo"
	"catchment/internal/edge"
	"catchment/internal/node"
	"catchment/internal/ramp/runner"
	"catchment/internal/report"
	"catchment/internal/store/duckdb"
	"catchment/internal/tokens"
)

// demoBoard is the demo's control plane with its dashboard, as serve has them.
type demoBoard struct {
	plane    *control.Control
	places   *demo.Places
	login    *dashboard.Invitation
	token    string
	pages    http.Handler
	services []node.Named
}

// demoOperator is who the demo logs in.
const demoOperator = "demo"

func newDemoBoard(dir string, w *demo.World, v *demo.Visitor, traffic *demoTraffic, log *slog.Logger, reg prometheus.Registerer) (_ *demoBoard, err error) {
	secret := make([]byte, 24)
	_, _ = rand.Read(secret) // never fails
	b := &demoBoard{
		places: demo.NewPlaces(w), login: dashboard.Invite(tokens.Operator, demoOperator), token: base64.RawURLEncoding.EncodeToString(secret),
	}
	known, _, err := tokens.Parse(strings.NewReader(fmt.Sprintf("%s %s %s\n", tokens.Operator, demoOperator, b.token)))
	if err != nil {
		return nil, err
	}
	if b.plane, err = control.New(control.Config{Dir: dir, Places: b.places, Tokens: known}, w.Fleet, log, reg); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.plane.Close())
		}
	}()
	evidence, err := duckdb.Open(dir, duckdb.Options{})
	if err != nil {
		return nil, err
	}
	ramps, err := runner.New(runner.Config{
		Records: b.plane, Leases: b.plane, Trails: b.plane, Steering: b.plane, Evidence: evidence, Places: b.places, Tokens: known,
		Every: time.Minute, Lag: 10 * time.Second, Keep: edge.Granule{V4: 24, V6: 48},
	}, log, reg)
	if err != nil {
		return nil, errors.Join(err, evidence.Close())
	}
	engine, err := duckdb.Open(dir, duckdb.Options{})
	if err != nil {
		return nil, errors.Join(err, evidence.Close())
	}
	api := http.NewServeMux()
	past := &rehearsed{ramps: ramps.API()}
	for _, path := range []string{"", "/{id}", "/{id}/"} {
		api.Handle("/api/v1/ramps"+path, past)
	}
	api.Handle("/", b.plane.API())
	figures, pages, err := dashService(dashboard.Config{
		Beacons: dashBeacons{dir, engine}, Fleet: fleetNow(b.plane, w.Fleet), Places: b.places, Control: api, Tokens: known,
		Simulator: w.Sim, About: dashboard.SimulatorAbout{Rate: demo.Rate, Report: report.SimAbout{Seed: demo.Seed, Seeds: 1, Rate: demo.Rate, Sources: w.Topology.Sources, Warnings: w.Sim.Warnings}},
		Stability: &dashStability{data: dir}, Docs: docs.Files, Example: v.Prefix().Addr(), Login: b.login, Every: 10 * time.Second,
	}, engine, log, reg)
	if err != nil {
		return nil, errors.Join(err, evidence.Close())
	}
	b.pages = pages
	measured := measureFleet(dir, demoMeasuredDays, b.plane, log)
	b.services = []node.Named{
		{Name: "control plane", Service: b.plane},
		{Name: "health", Service: demoHealth(w, b.plane)},
		{Name: "ramps", Service: node.Func(func(ctx context.Context) error { return errors.Join(ramps.Run(ctx), evidence.Close()) })},
		{Name: "dashboard", Service: figures},
		{Name: "measurements", Service: after(traffic.whole, measured.Run)},
		{Name: "rehearsal", Service: after(traffic.whole, func(ctx context.Context) error {
			if err := past.run(ctx, w, log); err != nil {
				return err
			}
			<-ctx.Done()
			return nil
		})},
	}
	return b, nil
}

// after runs a service once something has happened.
func after(happened <-chan struct{}, run func(context.Context) error) node.Service {
	return node.Func(func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return nil
		case <-happened:
			return run(ctx)
		}
	})
}

// demoMeasuredDays is serve's default.
const demoMeasuredDays = 7

// handler is all that the demo's address serves.
func (b *demoBoard) handler(measure, collector http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(demo.Path, measure)
	for _, path := range []string{"/v1/", "/" + rum.ScriptName, "/" + rum.BoomerangName} {
		mux.Handle(path, collector)
	}
	mux.Handle("/", b.pages)
	return mux
}

// demoHealth reports for the PoPs, which run in this very process, that they
// are well, and what load they have.
func demoHealth(w *demo.World, plane *control.Control) node.Service {
	return node.Func(func(ctx context.Context) error {
		tick := time.NewTicker(3 * time.Second)
		defer tick.Stop()
		h := plane.Handler()
		var (
			leaving = map[edge.PoPID]float64{}
			loads   = w.Loads(leaving)
		)
		for {
			if now := leave(plane.Snapshot()); !maps.Equal(now, leaving) {
				leaving, loads = now, w.Loads(now)
			}
			for i := range w.Fleet.PoPs {
				id := w.Fleet.PoPs[i].ID
				load := loads[id]
				body, err := json.Marshal(edge.HealthReport{State: edge.Up, Share: 1, Load: &load})
				if err != nil {
					return err
				}
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/v1/health", bytes.NewReader(body))
				if err != nil {
					return err
				}
				h.ServeHTTP(&taken{}, tokens.As(r, tokens.PoP, string(id)))
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
}

// leave is which share of each PoP's users a snapshot sends away.
func leave(s *edge.Snapshot) map[edge.PoPID]float64 {
	leaving := map[edge.PoPID]float64{}
	if s == nil {
		return leaving
	}
	for _, x := range s.Sheds {
		leaving[x.PoP] = x.Share
	}
	for _, d := range s.Drains {
		leaving[d.PoP] = 1
	}
	return leaving
}
