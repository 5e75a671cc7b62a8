package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
)

// DefaultEvery is how often a PoP reports: five times within the 15 s after
// which the control node finds a report stale.
const DefaultEvery = 3 * time.Second

// Reporter checks a PoP's own service as the fleet file says, reads its load,
// and reports both to the control node.
type Reporter struct {
	pop     edge.PoPID
	every   time.Duration
	to      Poster
	log     *slog.Logger
	metrics *reporterMetrics
	fleet   atomic.Pointer[edge.PoP]
	changed chan struct{} // the checks' state
	reset   chan struct{} // the fleet
	load    reading
	tell    func(check string, err error)
}

// reading is a load that ages.
type reading struct {
	mu    sync.Mutex
	value float64   // guarded by mu
	at    time.Time // guarded by mu; zero: none
}

// NewReporter returns a reporter for a PoP. Every is how often it reports; 0:
// DefaultEvery. To may be nil: then it only checks. SetFleet comes before Run.
func NewReporter(pop edge.PoPID, every time.Duration, to Poster, log *slog.Logger, reg prometheus.Registerer) (*Reporter, error) {
	if every <= 0 {
		every = DefaultEvery
	}
	m, err := newReporterMetrics(reg)
	if err != nil {
		return nil, err
	}
	return &Reporter{
		pop: pop, every: every, to: to, log: log, metrics: m,
		changed: make(chan struct{}, 1), reset: make(chan struct{}, 1),
	}, nil
}

// Tell has every single result of a check handed to f, from several
// goroutines, before it counts in any other way. It comes before Run.
func (r *Reporter) Tell(f func(check string, err error)) { r.tell = f }

// Load returns the PoP's load in requests/s, if it is known.
func (r *Reporter) Load() (perSecond float64, ok bool) { return r.load.get(3 * r.every) }

// SetFleet replaces what is checked and read. Checks that stay as they were go
// on undisturbed.
func (r *Reporter) SetFleet(f *edge.Fleet) {
	p, ok := f.PoP(r.pop)
	if !ok {
		p = &edge.PoP{ID: r.pop}
	}
	before := r.fleet.Swap(p)
	if before != nil && reflect.DeepEqual(before.Health, p.Health) &&
		reflect.DeepEqual(before.HealthGroups, p.HealthGroups) && reflect.DeepEqual(before.Load, p.Load) {
		return
	}
	select {
	case r.reset <- struct{}{}:
	default:
	}
}

// Run reports until ctx is done. It always returns nil: a control node that
// does not answer is logged and counted.
func (r *Reporter) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		select {
		case <-r.reset:
		default:
		}
		r.runWith(ctx, r.fleet.Load())
	}
	return nil
}

// runWith returns when the fleet was replaced or ctx is done.
func (r *Reporter) runWith(ctx context.Context, p *edge.PoP) {
	ctx, stop := context.WithCancel(ctx)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer stop()
	c := newChecks(p, r.log, r.changed, r.tell)
	parts.Go(func() { c.run(ctx) })
	r.load.forget()
	if p.Load != nil {
		parts.Go(func() { r.readLoad(ctx, newMeter(*p.Load)) })
	}
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for {
		r.report(ctx, c)
		select {
		case <-ctx.Done():
			return
		case <-r.reset:
			return
		case <-tick.C:
		case <-r.changed:
		}
	}
}

// report tells nothing while nothing is known: the control node then goes by
// what it knew, or has unknown.
func (r *Reporter) report(ctx context.Context, c *checks) {
	state, why := c.state()
	r.metrics.set(state)
	if state == edge.Unknown {
		return
	}
	if r.to == nil {
		return
	}
	body := edge.HealthReport{State: state, Share: 1, Why: cut(why)}
	if load, ok := r.Load(); ok {
		body.Load = &load
	}
	err := r.to.Post(ctx, "/v1/health", body)
	if ctx.Err() == nil {
		r.metrics.sent.note(r.log, "health not reported", err)
	}
}

func (r *Reporter) readLoad(ctx context.Context, m *meter) {
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for {
		load, ok, err := m.read(ctx)
		if ctx.Err() != nil {
			return
		}
		r.metrics.read.note(r.log, "load not read", err)
		if ok {
			r.load.set(load)
			r.metrics.load.Set(load)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (l *reading) set(v float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.value, l.at = v, time.Now()
}

func (l *reading) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = time.Time{}
}

// get returns a load that is not older than the given time.
func (l *reading) get(age time.Duration) (float64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.value, !l.at.IsZero() && time.Since(l.at) <= age
}

type reporterMetrics struct {
	up   prometheus.Gauge
	load prometheus.Gauge
	sent outcome
	read outcome
}

func newReporterMetrics(reg prometheus.Registerer) (*reporterMetrics, error) {
	m := &reporterMetrics{
		up: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "catchment_health_up",
			Help: "Whether this PoP's own checks find it up; 0 also while they have not decided.",
		}),
		load: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "catchment_health_load_requests_per_second",
			Help: "This PoP's load, as last read from where the fleet file says.",
		}),
		sent: newOutcome("catchment_health_reports_total", "Reports of this PoP's health to the control node."),
		read: newOutcome("catchment_health_load_readings_total", "Readings of this PoP's load."),
	}
	if reg == nil {
		return m, nil
	}
	if err := errors.Join(reg.Register(m.up), reg.Register(m.load), reg.Register(m.sent.total), reg.Register(m.read.total)); err != nil {
		return nil, fmt.Errorf("health: %w", err)
	}
	return m, nil
}

func (m *reporterMetrics) set(state edge.HealthState) {
	up := 0.0
	if state == edge.Up {
		up = 1
	}
	m.up.Set(up)
}

// outcome counts how something that is repeated goes, and logs when it begins
// to fail and when it is well again. Used by one goroutine.
type outcome struct {
	total   *prometheus.CounterVec
	failing *bool
}

func newOutcome(name, help string) outcome {
	o := outcome{prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"result"}), new(bool)}
	o.total.WithLabelValues("ok")
	o.total.WithLabelValues("failed")
	return o
}

func (o outcome) note(log *slog.Logger, msg string, err error) {
	switch {
	case err != nil:
		o.total.WithLabelValues("failed").Inc()
		if !*o.failing {
			log.Error(msg, "error", err)
		}
	default:
		o.total.WithLabelValues("ok").Inc()
		if *o.failing {
			log.Info("well again", "after", msg)
		}
	}
	*o.failing = err != nil
}
