// Package dash serves the dashboard and what it shows: figures about stored
// page views, precomputed by UTC day (index.go), as JSON under /api/v1 beside
// the control plane's own API; sessions for people (session.go, guard.go); the
// pages, which are embedded (assets.go), and the documents (docs.go).
//
// openapi.yaml is the contract, which TestContract holds to the handlers. It
// reads beacons, control objects and the simulator through interfaces of its
// own, and changes nothing but sessions.
package dash

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/analysis"
	"catchment/internal/edge"
	"catchment/internal/sim"
	"catchment/internal/tokens"
)

// Beacons is what is stored, by UTC day.
type Beacons interface {
	// Days returns the UTC days with beacons, each with a stamp that changes
	// when what is stored of the day may have changed.
	Days() (map[edge.Day]string, error)
	Window(ctx context.Context, day edge.Day) analysis.Window
	ViewWindow(ctx context.Context, day edge.Day) analysis.ViewWindow
	// Networks returns the names of the networks seen on a day.
	Networks(ctx context.Context, day edge.Day) (map[uint32]string, error)
	// CountViews counts the page views received in [since, until).
	CountViews(ctx context.Context, since, until time.Time) (uint64, error)
}

// Simulator predicts what edits of announcements do. *sim.World is one.
type Simulator interface {
	WhatIf(vip edge.VIPID, edits []sim.Edit, rate float64) (*sim.Change, error)
}

// Config of a Dash. Beacons, Fleet and Control are required.
type Config struct {
	Beacons Beacons
	Fleet   func() *edge.Fleet // as it is now
	Places  analysis.Places    // of resolvers; nil: resolvers are not known
	Control http.Handler       // the rest of /api/v1
	Tokens  *tokens.Tokens     // nil: nobody is let in but through a proxy

	Simulator Simulator      // nil: there is no topology
	About     SimulatorAbout // of it
	Stability Stability      // nil: nothing measures it
	Docs      fs.FS          // Markdown documents and their images; nil: none
	Example   netip.Addr     // a client's address, to try things with; may be invalid
	Login     *Invitation    // a link that logs in; nil: none

	// Whoever connects from a trusted proxy is the user whom it names in
	// UserHeader; empty: no header counts. Operators may change things, "*" is
	// everyone; all others may read.
	TrustedProxies []netip.Prefix
	UserHeader     string
	Operators      []string

	Criteria analysis.Criteria
	Margin   float64       // of verdicts
	Every    time.Duration // how often the store is looked at; 0: 20 s
	Memory   int           // bytes for judged days; 0: 512 MiB
	Now      func() time.Time
}

func (c *Config) withDefaults() error {
	if c.Every == 0 {
		c.Every = 20 * time.Second
	}
	if c.Memory == 0 {
		c.Memory = 512 << 20
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Criteria == (analysis.Criteria{}) {
		c.Criteria = analysis.DefaultCriteria()
	}
	if c.Margin == 0 {
		c.Margin = analysis.DefaultMargin
	}
	switch {
	case c.Beacons == nil || c.Fleet == nil || c.Control == nil:
		return errors.New("dash: no beacons, no fleet or no control plane")
	case c.Every < time.Second || c.Every > 30*time.Second:
		return fmt.Errorf("dash: looks at the store every %v: want 1s to 30s, so that figures are never a minute old", c.Every)
	case c.UserHeader != "" && len(c.TrustedProxies) == 0:
		return errors.New("dash: a header names the user, but no proxy is trusted to set it")
	}
	return nil
}

// Dash is the dashboard of one control node. Safe for concurrent use.
type Dash struct {
	cfg        Config
	log        *slog.Logger
	metrics    *metrics
	index      *index
	askers     *askerIndex
	answers    *answers
	sessions   *sessions
	docs       *library
	assets     *assets
	openapi    []byte
	simulation simulation
	handler    http.Handler
	usual      sync.Once
}

// New returns a dashboard, which has figures once Run runs.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Dash, error) {
	if err := cfg.withDefaults(); err != nil {
		return nil, err
	}
	d := &Dash{cfg: cfg, log: log, answers: newAnswers(cfg.Now), sessions: newSessions(cfg.Now)}
	var err error
	if d.metrics, err = newMetrics(reg); err != nil {
		return nil, err
	}
	d.index = newIndex(&d.cfg, log, d.metrics)
	if err = reg.Register(today{d.index}); err != nil {
		return nil, fmt.Errorf("dash: %w", err)
	}
	d.askers = newAskerIndex(&d.cfg, log, d.index)
	if d.docs, err = newLibrary(cfg.Docs); err != nil {
		return nil, err
	}
	if d.assets, err = newAssets(bundle); err != nil {
		return nil, err
	}
	if d.openapi, err = openapiJSON(); err != nil {
		return nil, err
	}
	d.handler = d.routes()
	return d, nil
}

// Handler serves everything: /api/v1, the pages and their files.
func (d *Dash) Handler() http.Handler { return d.handler }

// Run keeps the figures fresh until ctx is done, and then returns nil: a store
// that cannot be read is told of in every answer, and tried again.
func (d *Dash) Run(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.askers.run(ctx)
	}()
	d.index.run(ctx, func() { d.warm(ctx) })
	<-done
	return nil
}

// warm prepares the answers that were asked for lately, from new figures.
func (d *Dash) warm(ctx context.Context) {
	f := d.index.now.Load()
	if f.waiting != 0 || len(f.days) == 0 {
		return
	}
	d.usual.Do(func() { d.askUsual(ctx) })
	n := d.answers.prepare(ctx, d.index.now.Load, d.cfg.Every)
	d.metrics.warmed.Add(float64(n))
}

// askUsual asks what pages ask when they are opened and what their buttons lead
// to, the likely first, so that it is there.
func (d *Dash) askUsual(ctx context.Context) {
	paths := []string{"overview"}
	for _, days := range []string{"7", "1", "14", "30"} {
		for _, by := range []string{"country", "continent", "country,subdivision", "asn"} {
			paths = append(paths, "compare?by="+by+"&days="+days)
		}
		paths = append(paths, "offenders?days="+days, "stability?days="+days)
		for _, scheme := range edge.Schemes {
			paths = append(paths, "catchments?days="+days+"&scheme="+string(scheme))
		}
	}
	for _, path := range paths {
		name, rest, _ := strings.Cut(path, "?")
		values, err := url.ParseQuery(rest)
		if err != nil || ctx.Err() != nil {
			return
		}
		q := &query{values: values}
		if asked := d.pages()[name](nil, q); q.done() == nil {
			_, _, _ = d.answers.get(ctx, asked, d.index.now.Load())
		}
	}
}
