// Package runner looks after declared ramps: every few minutes it gathers what
// page loads have come (package observe), has them judged (package ramp), and
// commits what was decided: the state, the shares that name servers are to
// answer by, and the entry in the trail are one transaction. So a process that
// dies at any moment leaves a look that was not, or one that was, and the next
// process goes on from there.
//
// Operators' commands take the same way (commands.go), need no evidence, and
// work without a store. api.go shows all of it, webhook.go tells of holds and
// of steps back.
package runner

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/analysis"
	"catchment/internal/edge"
	"catchment/internal/ramp"
	"catchment/internal/ramp/observe"
	"catchment/internal/tokens"
)

// Records keeps declared ramps. A change is done as a whole or not at all.
type Records interface {
	RampRecords() ([]edge.RampRecord, error)
	ChangeRamp(edge.RampChange) (seq uint64, err error)
}

// Leases says who may look after ramps.
type Leases interface {
	LeaseRamps(holder string, d time.Duration, now time.Time) (edge.RampLease, error)
	ReleaseRamps(edge.RampLease) error
}

// Trails has what was appended with changes: up to limit entries after a
// number, or the last ones if it is negative, and the number of the last.
type Trails interface {
	RampTrail(id string, after int64, limit int) (looks [][]byte, last int64, err error)
	RampCurve(id string, after int64, limit int) (points [][]byte, last int64, err error)
}

// Steering is what is published, and whether name servers have followed.
type Steering interface {
	Snapshot() *edge.Snapshot // nil: nothing yet
	RampFollowed(share string, now time.Time) bool
	Loads() []edge.PoPLoad
}

// Evidence yields the page loads received in [since, until). A value is valid
// until the next one.
type Evidence interface {
	PageLoads(ctx context.Context, since, until time.Time) iter.Seq2[*edge.PageLoad, error]
}

// Resets yields the connections that were torn away, as PoPs reported in
// [since, until). It is an error if a PoP that should have reported did not:
// silence is not peace. A value is valid until the next one.
type Resets interface {
	Resets(ctx context.Context, since, until time.Time) iter.Seq2[*observe.Reset, error]
}

// Requests yields what browsers told in [since, until) of requests to services.
// A value is valid until the next one.
type Requests interface {
	Requests(ctx context.Context, since, until time.Time) iter.Seq2[*observe.Requests, error]
}

// Places says where an address is; another version may say otherwise.
type Places interface {
	Lookup(a netip.Addr) edge.Place
	Version() string
}

// Config of a Runner. All but Resets, Requests, Tokens, Every, Lag, Keep, Webhook and Now
// are required.
type Config struct {
	Records  Records
	Leases   Leases
	Trails   Trails
	Steering Steering
	Evidence Evidence
	Resets   Resets   // nil: they are not known
	Requests Requests // nil: those that fail are not known
	Places   Places
	Tokens   *tokens.Tokens // nil: nobody is let in

	Every   time.Duration // between looks; 0: 5 min
	Lag     time.Duration // how long after its receipt a page load is sure to be found; 0: 1 min
	Keep    edge.Granule  // how long client prefixes are kept, as the collector cuts them
	Webhook string        // URL that is told of holds and steps back; a secret; empty: none

	Now func() time.Time // nil: time.Now
}

// Default intervals. A store seals beacons every 10 to 20 s, and a look at what
// is not there yet would never see it.
const (
	DefaultEvery = 5 * time.Minute
	DefaultLag   = time.Minute
)

// catchUp is how far back evidence is read after the runner was away.
const catchUp = 24 * time.Hour

// Runner looks after ramps. Its methods are safe for concurrent use, but for
// Run and Look.
type Runner struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	hook    *webhook
	holder  string

	known     map[string]*kept // by id; Look's own
	sight     *observe.Sight
	sightOf   *edge.Snapshot
	placesOf  string
	standby   bool
	lease     edge.RampLease
	troubled  string // the last trouble that was logged
	observers map[string]*observe.Observer
	clients   *observe.Clients
}

// kept is a record, read.
type kept struct {
	record edge.RampRecord
	plan   *ramp.Plan
	state  ramp.State
}

// New returns a Runner. Run looks; commands and the API need no Run.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Runner, error) {
	if cfg.Every == 0 {
		cfg.Every = DefaultEvery
	}
	if cfg.Lag == 0 {
		cfg.Lag = DefaultLag
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	switch {
	case cfg.Records == nil || cfg.Leases == nil || cfg.Trails == nil || cfg.Steering == nil || cfg.Evidence == nil || cfg.Places == nil:
		return nil, errors.New("runner: records, leases, trails, steering, evidence and places are required")
	case cfg.Every < time.Minute || cfg.Every > time.Hour || cfg.Lag < 0 || cfg.Lag > time.Hour:
		return nil, fmt.Errorf("runner: looks every %v, %v late: want 1m to 1h, and 0 to 1h", cfg.Every, cfg.Lag)
	}
	r := &Runner{cfg: cfg, log: log, holder: rand.Text(), known: map[string]*kept{}, observers: map[string]*observe.Observer{}, clients: observe.NewClients(cfg.Keep)}
	var err error
	if r.hook, err = newWebhook(cfg.Webhook, log); err != nil {
		return nil, err
	}
	if r.metrics, err = newMetrics(reg); err != nil {
		return nil, err
	}
	return r, nil
}

// dueEvery is how often Run asks whether a look is due.
const dueEvery = 5 * time.Second

// Run looks until ctx is done. It always returns nil: what goes wrong is
// logged and counted, and the ramps stay where they are.
func (r *Runner) Run(ctx context.Context) error {
	told := make(chan struct{})
	go func() {
		defer close(told)
		r.hook.run(ctx, r.metrics.told)
	}()
	defer func() { <-told }()
	tick := time.NewTicker(dueEvery)
	defer tick.Stop()
	var looked time.Time // the end of the evidence that was last looked at
	for {
		if until := r.cutoff(r.cfg.Now()); until.After(looked) && r.cfg.Steering.Snapshot() != nil {
			r.report(r.Look(ctx))
			looked = until
		}
		select {
		case <-ctx.Done():
			if err := r.cfg.Leases.ReleaseRamps(r.lease); err != nil {
				r.log.Warn("lease of ramps not given back, it ends by itself", "error", err)
			}
			return nil
		case <-tick.C:
		}
	}
}

// cutoff is until when evidence is complete.
func (r *Runner) cutoff(now time.Time) time.Time {
	return now.Add(-r.cfg.Lag).UTC().Round(0).Truncate(r.cfg.Every)
}

// report logs a trouble once.
func (r *Runner) report(err error) {
	text := ""
	if err != nil && !errors.Is(err, context.Canceled) {
		text = err.Error()
		r.metrics.looks.WithLabelValues("failed").Inc()
	}
	if text != r.troubled && text != "" {
		r.log.Error("ramps not looked at as they should be, none advances", "error", err)
	}
	r.troubled = text
}

// Look looks at every ramp that is under way, once for each stretch of
// evidence that has become complete. It does nothing if another runner has the
// lease. An error is of the state or of the evidence; without evidence ramps
// are looked at all the same, and hold once it is stale.
func (r *Runner) Look(ctx context.Context) error {
	now := r.cfg.Now().UTC().Round(0)
	if err := r.read(); err != nil {
		return err
	}
	var active []string
	for id, k := range r.known {
		if underWay(&k.state) {
			active = append(active, id)
		}
	}
	if len(active) == 0 {
		return nil
	}
	lease, err := r.cfg.Leases.LeaseRamps(r.holder, 2*r.cfg.Every+r.cfg.Lag, now)
	if err != nil {
		return err
	}
	if lease.Holder != r.holder {
		if !r.standby {
			r.log.Warn("another runner looks after ramps, standing by", "until", lease.Until)
		}
		r.standby = true
		r.metrics.looks.WithLabelValues("standby").Inc()
		return nil
	}
	r.standby, r.lease = false, lease
	return r.look(ctx, now, active, &lease)
}

func (r *Runner) look(ctx context.Context, now time.Time, active []string, lease *edge.RampLease) error {
	cutoff := r.cutoff(now)
	looked, seeing := map[string]bool{}, slices.Clone(active)
	var trouble, silence error
	for trouble == nil {
		group, from := r.next(seeing, cutoff)
		if len(group) == 0 {
			break
		}
		until := from.Truncate(r.cfg.Every).Add(r.cfg.Every)
		if trouble = r.gather(ctx, group, from, until); trouble != nil {
			break
		}
		if err := r.gatherMore(ctx, group, from, until); err != nil { // the others go on
			silence = err
			seeing = slices.DeleteFunc(seeing, r.wantsMore)
			group = slices.DeleteFunc(group, r.wantsMore)
		}
		for _, id := range group {
			if err := r.step(id, from, until, now, lease); err != nil {
				return err
			}
			looked[id] = true
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, id := range active {
		if looked[id] {
			continue
		}
		why := trouble
		if r.wantsMore(id) {
			why = cmp.Or(trouble, silence)
		}
		if err := r.blind(id, now, why, lease); err != nil {
			return errors.Join(trouble, err)
		}
	}
	if trouble = cmp.Or(trouble, silence); trouble == nil {
		r.metrics.looks.WithLabelValues("done").Inc()
	}
	return trouble
}

// next returns the ramps whose evidence is the oldest that is missing, and
// from when on.
func (r *Runner) next(active []string, cutoff time.Time) (group []string, from time.Time) {
	for _, id := range active {
		seen := r.known[id].state.Seen
		if least := cutoff.Add(-catchUp); seen.Before(least) {
			seen = least
		}
		switch {
		case !seen.Before(cutoff):
		case len(group) == 0 || seen.Before(from):
			group, from = []string{id}, seen
		case seen.Equal(from):
			group = append(group, id)
		}
	}
	return group, from
}

// read reads the records that have changed.
func (r *Runner) read() error {
	all, err := r.cfg.Records.RampRecords()
	if err != nil {
		return err
	}
	there := map[string]bool{}
	var bad error
	for _, record := range all {
		there[record.ID] = true
		if k := r.known[record.ID]; k != nil && k.record.Seq == record.Seq {
			continue
		}
		k, err := open(record)
		if err != nil { // the others go on
			bad = errors.Join(bad, err)
			delete(r.known, record.ID)
			continue
		}
		delete(r.observers, record.ID)
		r.known[record.ID] = k
	}
	for id := range r.known {
		if !there[id] {
			delete(r.known, id)
			delete(r.observers, id)
			r.metrics.forget(id)
		}
	}
	r.report(bad)
	return nil
}

// underWay reports whether there is anything to look at.
func underWay(s *ramp.State) bool {
	for i := range s.Geographies {
		switch s.Geographies[i].Phase {
		case ramp.Pending, ramp.Running, ramp.Held:
			return true
		}
	}
	return false
}

// gather reads a stretch of page loads for a group of ramps.
func (r *Runner) gather(ctx context.Context, group []string, from, until time.Time) error {
	snapshot := r.cfg.Steering.Snapshot()
	if snapshot == nil {
		return errors.New("runner: nothing is published yet")
	}
	if snapshot != r.sightOf {
		r.sight, r.sightOf = observe.NewSight(snapshot, analysis.DefaultTolerance), snapshot
	}
	places := r.cfg.Places.Version()
	var all []*observe.Observer
	for _, id := range group {
		k := r.known[id]
		o := r.observers[id]
		if o == nil || places != r.placesOf {
			o = observe.New(k.plan, r.cfg.Places, r.cfg.Keep)
			r.observers[id] = o
		}
		o.Begin(r.sight, shares(k.plan, &k.state))
		all = append(all, o)
	}
	r.placesOf = places
	for l, err := range r.cfg.Evidence.PageLoads(ctx, from, until) {
		if err != nil {
			return fmt.Errorf("runner: page loads: %w", err)
		}
		if r.cfg.Resets != nil || r.cfg.Requests != nil {
			r.clients.Learn(l)
		}
		for _, o := range all {
			o.Add(l)
		}
	}
	return nil
}

// gatherMore reads what other sources than beacons know of a stretch, for those
// of a group of ramps that are judged by it.
func (r *Runner) gatherMore(ctx context.Context, group []string, from, until time.Time) error {
	if all := r.watching(group, ramp.Resets); len(all) > 0 && r.cfg.Resets != nil {
		for x, err := range r.cfg.Resets.Resets(ctx, from, until) {
			if err != nil {
				return fmt.Errorf("runner: resets: %w", err)
			}
			for _, o := range all {
				o.AddReset(x, r.clients)
			}
		}
	}
	if all := r.watching(group, ramp.PageFailures); len(all) > 0 && r.cfg.Requests != nil {
		for x, err := range r.cfg.Requests.Requests(ctx, from, until) {
			if err != nil {
				return fmt.Errorf("runner: requests: %w", err)
			}
			for _, o := range all {
				o.AddRequests(x, r.clients)
			}
		}
	}
	return nil
}

func (r *Runner) watching(group []string, m ramp.Metric) (all []*observe.Observer) {
	for _, id := range group {
		if r.known[id].plan.Watches(m) {
			all = append(all, r.observers[id])
		}
	}
	return all
}

// wantsMore reports whether a ramp is judged by more than beacons.
func (r *Runner) wantsMore(id string) bool {
	p := r.known[id].plan
	return p.Watches(ramp.Resets) || p.Watches(ramp.PageFailures)
}

// shares returns the treatment arms' shares, by geography.
func shares(p *ramp.Plan, s *ramp.State) []float64 {
	all := make([]float64, len(s.Geographies))
	for i := range s.Geographies {
		if step := s.Geographies[i].Step; step >= 0 {
			all[i] = p.Steps[step]
		}
	}
	return all
}
