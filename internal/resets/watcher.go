package resets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
)

// Watcher watches a PoP. It is inert until Run.
type Watcher struct {
	cfg     Config
	to      Poster
	log     *slog.Logger
	metrics *metrics
	vips    atomic.Pointer[map[netip.Addr]edge.VIPID]
	changed chan struct{}

	opening sync.Mutex
	source  source    // nil: not open; guarded by opening until Run has it
	lister  openFlows // nil: there is none
	status  atomic.Pointer[Status]
}

// Status is how the watcher is doing.
type Status struct {
	Method edge.ResetMethod            `json:"method,omitempty"` // none: not watching
	Failed map[edge.ResetMethod]string `json:"failed,omitempty"` // why better methods are not used
}

// New returns a watcher that hands in what it sees to the control node; to may
// be nil, and then it only counts. SetFleet says what matters.
func New(cfg Config, to Poster, log *slog.Logger, reg prometheus.Registerer) (*Watcher, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	m, err := newMetrics(reg)
	if err != nil {
		return nil, err
	}
	w := &Watcher{cfg: cfg, to: to, log: log, metrics: m, changed: make(chan struct{}, 1)}
	w.vips.Store(&map[netip.Addr]edge.VIPID{})
	w.status.Store(&Status{})
	return w, nil
}

// SetFleet replaces the VIPs. Safe for concurrent use.
func (w *Watcher) SetFleet(f *edge.Fleet) {
	vips := map[netip.Addr]edge.VIPID{}
	for _, v := range f.VIPs {
		for _, a := range v.Addresses {
			vips[a] = v.ID
		}
	}
	if maps.Equal(vips, *w.vips.Swap(&vips)) {
		return
	}
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Status says by which method resets are seen. Safe for concurrent use.
func (w *Watcher) Status() Status { return *w.status.Load() }

// Open picks the method and begins to watch the VIPs in the network namespace
// of the calling thread. Run does it where it was not called before, as soon as there
// are VIPs.
func (w *Watcher) Open() (err error) {
	w.opening.Lock()
	defer w.opening.Unlock()
	if w.source != nil {
		return nil
	}
	methods := edge.ResetMethods
	if w.cfg.Method != "" {
		methods = []edge.ResetMethod{w.cfg.Method}
	}
	s := Status{Failed: map[edge.ResetMethod]string{}}
	var reasons []error
	for _, m := range methods {
		if w.source, err = openSource(m, &w.cfg); err == nil {
			s.Method = m
			break
		}
		w.source = nil
		s.Failed[m] = err.Error()
		reasons = append(reasons, fmt.Errorf("%s: %w", m, err))
	}
	w.status.Store(&s)
	if s.Method == "" {
		return fmt.Errorf("resets: no way to see them: %w", errors.Join(reasons...))
	}
	if err := w.setVIPs(); err != nil {
		err = errors.Join(err, w.source.Close())
		w.source = nil
		return err
	}
	w.metrics.using(s.Method)
	w.log.Info("watching for reset connections", "method", string(s.Method))
	for _, err := range reasons {
		w.log.Info("a better way to watch for reset connections is not there", "error", err)
	}
	if w.lister, err = openFlowLister(); err != nil {
		w.log.Warn("cannot tell which connections are open: flips away from this PoP will not be confirmed", "error", err)
	}
	return nil
}

// mostAtOnce bounds what is done between two looks at ctx.
const mostAtOnce = 20_000

// Run watches until ctx is done. It always returns nil: where nothing can be
// watched, or not any more, it says so and waits, since a PoP serves without.
func (w *Watcher) Run(ctx context.Context) error {
	for len(*w.vips.Load()) == 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-w.changed:
		}
	}
	err := w.Open()
	if err == nil {
		err = w.watch(ctx)
		w.close()
	}
	if err != nil {
		w.log.Error("resets are not watched", "error", err)
	}
	<-ctx.Done()
	return nil
}

// watch returns when ctx is done, or with an error.
func (w *Watcher) watch(ctx context.Context) error {
	t := newTally(&w.cfg, time.Now())
	t.setVIPs(*w.vips.Load())
	ctx, stop := context.WithCancel(ctx)
	var shipping sync.WaitGroup
	defer shipping.Wait()
	defer stop()
	shipping.Go(func() { newShipper(w, t).run(ctx) })
	tick := time.NewTicker(w.cfg.Look)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.changed:
			t.setVIPs(*w.vips.Load())
			if err := w.setVIPs(); err != nil {
				w.log.Error("the reset watcher may miss addresses", "error", err)
			}
		case <-tick.C:
			now := time.Now()
			lost, err := w.source.drain(mostAtOnce, func(e *event) { t.add(e, now) })
			if err != nil {
				return err
			}
			t.lose(lost)
		}
	}
}

// setVIPs tells the source which addresses matter.
func (w *Watcher) setVIPs() error {
	vips := *w.vips.Load()
	addrs := make(map[netip.Addr]bool, len(vips))
	for a := range vips {
		addrs[a] = true
	}
	return w.source.setVIPs(addrs)
}

func (w *Watcher) close() {
	err := w.source.Close()
	if w.lister != nil {
		err = errors.Join(err, w.lister.Close())
	}
	w.status.Store(&Status{})
	if err != nil {
		w.log.Warn("reset watcher not closed", "error", err)
	}
	w.metrics.using("")
}
