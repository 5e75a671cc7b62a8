// Package control is the control plane: what the operator wants, what PoPs say
// of themselves and what has been measured, made into one snapshot that all
// name servers and PoPs follow. docs/control.md is its reference.
//
// A change goes one way: into the state, durably, with its entry in the audit
// trail (state.go); from there, with health (health.go) and measurements, into
// a candidate (build.go), which is published if it compiles and differs from
// what is (publish.go); followers wait for the next version (followers.go).
package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
	"catchment/internal/steer"
	"catchment/internal/tokens"
)

// Places is the table of known prefixes.
type Places interface {
	steer.Places
	Version() string
}

// Config of a Control. Dir and Places are required.
type Config struct {
	Dir    string // control.db and measured.json
	Places Places
	Tokens *tokens.Tokens // nil: nobody is let in

	Stale time.Duration     // how long a report or a probe counts; 0: 15 s
	Rise  int               // probes of one name server in a row until it finds a PoP up; 0: 3
	Fall  int               // or down; 0: 3
	Sheds *steer.Watermarks // sheds by load; nil: none
	// ShedEvery is how often Sheds take a step, about the TTL that answers
	// have; 0: 30 s.
	ShedEvery time.Duration
}

func (c *Config) withDefaults() error {
	if c.Stale == 0 {
		c.Stale = 15 * time.Second
	}
	if c.Rise == 0 {
		c.Rise = 3
	}
	if c.Fall == 0 {
		c.Fall = 3
	}
	if c.ShedEvery == 0 {
		c.ShedEvery = 30 * time.Second
	}
	switch {
	case c.Dir == "" || c.Places == nil:
		return errors.New("control: no directory or no places")
	case c.Stale < time.Second || c.Rise < 1 || c.Fall < 1 || c.ShedEvery < time.Second:
		return errors.New("control: stale and shed-every want 1s or more, rise and fall 1 or more")
	case c.Sheds != nil && !(c.Sheds.Low > 0 && c.Sheds.High > c.Sheds.Low):
		return fmt.Errorf("control: watermarks %v and %v: want 0 < low < high", c.Sheds.Low, c.Sheds.High)
	}
	return nil
}

// Control is the control plane of one control node. Safe for concurrent use.
type Control struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	db      *db
	kick    chan struct{} // something changed
	plans   plans

	mu       sync.Mutex
	fleet    *edge.Fleet // guarded by mu; immutable
	state    *state      // guarded by mu; immutable
	health   *tracker    // guarded by mu
	measured *measured   // guarded by mu; immutable
	due      time.Time   // guarded by mu: when time alone makes another snapshot; zero: never
	leap     uint64      // guarded by mu: the least that the next version must be
	leapt    time.Time   // guarded by mu

	shares map[string]shareSince // guarded by mu: of declared ramps, as published

	refusal string // why the last snapshot was refused; Run's own

	current   atomic.Pointer[published] // nil: none yet
	changed   signal                    // of current
	released  chan struct{}
	release   sync.Once
	followers followers

	guardian *guardian
	began    time.Time
}

// New opens the state in cfg.Dir. Run publishes; Close comes after it.
func New(cfg Config, fleet *edge.Fleet, log *slog.Logger, reg prometheus.Registerer) (*Control, error) {
	if err := cfg.withDefaults(); err != nil {
		return nil, err
	}
	c := &Control{
		cfg: cfg, log: log, fleet: fleet,
		kick: make(chan struct{}, 1), released: make(chan struct{}), changed: newSignal(),
		followers: followers{all: map[follower]*seen{}},
		shares:    map[string]shareSince{},
	}
	var err error
	if c.metrics, err = newMetrics(c, reg); err != nil {
		return nil, err
	}
	if c.measured, err = readMeasured(filepath.Join(cfg.Dir, measuredFile)); err != nil {
		log.Error("measurements of an earlier run not used, there will be new ones", "error", err)
		c.measured = &measured{}
	}
	if c.db, err = openDB(filepath.Join(cfg.Dir, "control.db")); err != nil {
		return nil, err
	}
	if err = c.db.endLease(); err != nil {
		return nil, errors.Join(err, c.db.close())
	}
	if c.state, err = c.db.load(); err != nil {
		return nil, errors.Join(err, c.db.close())
	}
	c.began = time.Now()
	if c.guardian, err = newGuardian(fleet, log, c.metrics, c.began); err != nil {
		return nil, errors.Join(err, c.db.close())
	}
	c.health = newTracker(cfg.Stale, cfg.Rise, cfg.Fall, c.state.health, c.state.byProbes)
	c.metrics.audit.Set(float64(c.state.audited))
	return c, nil
}

// Close closes the state.
func (c *Control) Close() error { return c.db.close() }

// SetFleet replaces the fleet. It is refused, and the former one stays, if the
// state as it is has no meaning with it.
func (c *Control) SetFleet(f *edge.Fleet) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := steer.Compile(c.candidate(f, c.state, time.Now()), nil); err != nil {
		return fmt.Errorf("control: the fleet does not go with ramps, pins and the like: %w", err)
	}
	if err := c.guardian.setFleet(f); err != nil {
		return err
	}
	c.fleet = f
	c.wake()
	return nil
}

// wake asks for a snapshot soon.
func (c *Control) wake() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// coalesce is how long changes are gathered before a snapshot is made.
const coalesce = 100 * time.Millisecond

// Run publishes until ctx is done. It always returns nil: what goes wrong is
// logged and counted, and the snapshot in use stays.
func (c *Control) Run(ctx context.Context) error {
	c.clearSheds()
	c.mu.Lock()
	c.health.start(time.Now())
	c.mu.Unlock()
	c.publish(time.Now())
	second := time.NewTicker(time.Second)
	defer second.Stop()
	sheds := time.NewTicker(c.cfg.ShedEvery)
	defer sheds.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-sheds.C:
			c.stepSheds(time.Now())
			continue
		case <-second.C:
			if !c.isDue(time.Now()) {
				continue
			}
		case <-c.kick:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(coalesce):
			}
		}
		c.publish(time.Now())
	}
}

// isDue reports whether silence or time alone changed what a snapshot says.
func (c *Control) isDue(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := c.settleHealth(now)
	snap := c.Snapshot()
	otherPlaces := snap != nil && snap.Places != c.cfg.Places.Version()
	otherBack := snap != nil && c.silentOnTheWay(snap, now)
	return changed || otherPlaces || otherBack || !c.due.IsZero() && !now.Before(c.due)
}

// settleHealth judges the health of all PoPs. The caller holds mu.
func (c *Control) settleHealth(now time.Time) (changed bool) {
	if c.cfg.Tokens == nil {
		return false // nobody may report, so nobody is missed
	}
	for _, e := range c.health.settle(c.fleet, now) {
		changed = changed || e.changed
		switch {
		case e.changed:
			c.log.Warn("health changed", "pop", string(e.pop), "state", string(e.state), "why", e.why)
		case e.silent && e.state == edge.Unknown:
			c.log.Warn("no health report and no probes yet", "pop", string(e.pop))
		case e.silent:
			c.log.Error("no health report and no probes, the last state holds", "pop", string(e.pop), "state", string(e.state))
		default:
			c.log.Info("health reported again", "pop", string(e.pop), "state", string(e.state))
		}
	}
	return changed
}
