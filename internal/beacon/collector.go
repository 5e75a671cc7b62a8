package beacon

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
	"catchment/internal/tokens"
)

// Config of a Collector. The zero value works: plans are then signed with a
// key that dies with the process, and no relay is let in.
type Config struct {
	Keys        *Keys         // sign plans; nil: one random key
	URL         URLMaker      // nil: ProbeURL of the fleet's probe domain
	PlanTTL     time.Duration // how long measuring by a plan may begin; 0: 5 min
	RequirePlan bool          // refuse beacons that name no plan; else they are flagged noplan

	TrustedProxies []netip.Prefix // whose forwarded-for headers are believed
	Keep           Prefixes       // how much of client addresses is kept
	BeaconLimit    Limit          // per client prefix; zero: DefaultBeaconLimit
	PlanLimit      Limit          // per client prefix; zero: DefaultPlanLimit
	MaxInFlight    int            // requests with beacons at a time; 0: 4096, up to about 100 MiB

	ContinentOf func(country string) (string, bool) // completes places that relays send; may be nil

	Requests RequestLog // of browsers' reports, /v1/nel; nil: none are taken

	Tokens  *tokens.Tokens          // of relays and name servers, for ControlHandler; nil: nobody
	Assets  map[string]http.Handler // more on the public listener, by path: "/rum.js"
	Healthy func() error            // why /healthz is 503; nil: never
}

// Collector takes in beacons over HTTP and hands out plans. Safe for
// concurrent use.
type Collector struct {
	cfg     Config
	log     *slog.Logger
	places  Places
	sink    Sink
	stager  stager // sink, or nil if it is none
	metrics *metrics
	proxies proxies
	beacons *limiter
	plans   *limiter
	rng     *rand.Rand
	state   atomic.Pointer[state]
	intakes sync.Pool // of *intake
	askers  *askers
	asking  chan *askedDecoder // as many as may read a batch of nonces at a time

	inFlight   atomic.Int64
	warnedSink atomic.Int64 // Unix time of the last warning
	warnProxy  sync.Once
}

// state is what a change of the fleet replaces whole.
type state struct {
	fleet *edge.Fleet
	names *Names
	url   URLMaker
}

// New returns a collector for a fleet. Its metrics go to reg, which may be nil.
func New(cfg Config, fleet *edge.Fleet, places Places, sink Sink, log *slog.Logger, reg prometheus.Registerer) (*Collector, error) {
	if cfg.PlanTTL == 0 {
		cfg.PlanTTL = 5 * time.Minute
	}
	if cfg.PlanTTL < time.Second || cfg.PlanTTL > planLife {
		return nil, fmt.Errorf("beacon: plan TTL %v (want 1s to %v)", cfg.PlanTTL, planLife)
	}
	if cfg.MaxInFlight == 0 {
		cfg.MaxInFlight = 4096
	}
	if cfg.BeaconLimit == (Limit{}) {
		cfg.BeaconLimit = DefaultBeaconLimit
	}
	if cfg.PlanLimit == (Limit{}) {
		cfg.PlanLimit = DefaultPlanLimit
	}
	var err1, err2, err3, err4, err5 error
	cfg.Keep, err1 = cfg.Keep.withDefaults()
	if cfg.Keys == nil {
		cfg.Keys, err2 = RandomKeys()
	}
	c := &Collector{
		cfg: cfg, log: log, places: places, sink: sink,
		proxies: proxies{cfg.TrustedProxies},
		rng:     rand.New(runtimeSource{}),
	}
	c.stager, _ = sink.(stager)
	c.intakes.New = func() any { return new(intake) }
	c.asking = make(chan *askedDecoder, maxAsking)
	for range maxAsking {
		c.asking <- &askedDecoder{}
	}
	c.beacons, err3 = newLimiter(cfg.BeaconLimit)
	c.plans, err4 = newLimiter(cfg.PlanLimit)
	c.metrics, err5 = newMetrics(reg, func() float64 { return float64(c.inFlight.Load()) })
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	c.askers = newAskers(askersMost, func(n int) { c.metrics.forgotten.Add(float64(n)) })
	c.SetFleet(fleet)
	return c, nil
}

// SetFleet replaces the fleet: plans, and the names that beacons may use.
func (c *Collector) SetFleet(fleet *edge.Fleet) {
	s := &state{fleet: fleet, names: NewNames(fleet), url: c.cfg.URL}
	if s.url == nil {
		s.url = ProbeURL(fleet.Probe)
	}
	c.state.Store(s)
}

// runtimeSource is the runtime's generator, ChaCha8 with a random seed per
// thread: safe for concurrent use, and not to be predicted.
type runtimeSource struct{}

func (runtimeSource) Uint64() uint64 { return rand.Uint64() }
