// Package bgp announces a PoP's prefixes to its routers (RFC 4271), over GoBGP.
//
// A Speaker is level-triggered: Set takes the whole wanted set of routes, as
// often as one likes, and only what differs from the set before is sent.
// It announces and does nothing else: what neighbors send is dropped, nothing
// but the configured prefixes can ever be announced, and no route passes from
// one neighbor to another. Graceful restart is never offered. There is no BFD:
// the library's is known to flap for good after a router's restart, so the hold
// time is what ends the session of a PoP that hangs.
package bgp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// shutdownTime is what the neighbors have, together, to take back the routes.
const shutdownTime = 3 * time.Second

// Speaker is a PoP's BGP speaker. Its methods may be called from anywhere.
type Speaker struct {
	log *slog.Logger

	// Written with mu and watch held, so that either is enough to read them.
	cfg      Config
	sessions []*session // in the order of Config.Neighbors

	mu      sync.Mutex // serializes Set, SetConfig, and what Run does to the speakers' tables
	running bool       // guarded by mu
	sets    *prometheus.CounterVec

	watch   sync.Mutex
	changes chan struct{} // closed and replaced at each change; guarded by watch
}

// ErrNothing refuses an empty set of routes: WithdrawAll says that on purpose.
var ErrNothing = errors.New("bgp: the set of routes is empty")

// New checks cfg and reads the neighbors' TCP MD5 keys. The error tells the
// first thing that is wrong.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Speaker, error) {
	s := &Speaker{cfg: cfg.withDefaults(), log: log, changes: make(chan struct{})}
	if err := s.cfg.check(); err != nil {
		return nil, err
	}
	shared := new(s.cfg) // sessions keep theirs when SetConfig brings another
	for i := range shared.Neighbors {
		n := &shared.Neighbors[i]
		key, err := readKey(n.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("bgp: neighbor %v: %w", n.Address, err)
		}
		s.sessions = append(s.sessions, newSession(shared, n, key, log, s.notify))
	}
	if err := s.register(reg); err != nil {
		return nil, fmt.Errorf("bgp: metrics: %w", err)
	}
	return s, nil
}

// Set makes routes all that is announced. It is refused as a whole, and nothing
// changes, if any of them is not exactly one of Config.Prefixes, names no
// neighbor or an unknown one, or is empty (ErrNothing). It returns once the
// sessions have their new tables; Await tells when neighbors were told.
//
// A neighbor whose routes did not change is sent nothing. Before Run, Set
// decides what sessions begin with.
func (s *Speaker) Set(routes []Route) error {
	if len(routes) == 0 {
		s.sets.WithLabelValues("refused").Inc()
		return ErrNothing
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted, err := resolve(&s.cfg, routes)
	if err != nil {
		s.sets.WithLabelValues("refused").Inc()
		return err
	}
	return s.want(wanted)
}

// WithdrawAll announces nothing any more, until the next Set.
func (s *Speaker) WithdrawAll() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.want(nil)
}

// want is called with mu held.
func (s *Speaker) want(wanted map[netip.Addr]map[netip.Prefix]Announcement) error {
	var errs []error
	for _, one := range s.sessions {
		one.want(wanted[one.n.Address])
		if s.running {
			errs = append(errs, one.apply())
		}
	}
	err := errors.Join(errs...)
	if err != nil {
		s.sets.WithLabelValues("failed").Inc()
	} else {
		s.sets.WithLabelValues("taken").Inc()
	}
	s.notify()
	return err
}

// Run keeps the sessions up until ctx ends, and then does what Config.OnExit
// says. It can be called once.
func (s *Speaker) Run(ctx context.Context) error {
	if err := s.start(ctx); err != nil {
		s.stop()
		return err
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			for _, one := range s.list() {
				if err := one.poll(ctx, now); err != nil && ctx.Err() == nil {
					one.log.Warn("bgp session not restarted", "error", err)
				}
			}
		case <-ctx.Done():
			if s.cfg.OnExit == Withdraw {
				s.withdraw()
			}
			return nil
		}
	}
}

func (s *Speaker) start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.sessions {
		if err := one.prepare(ctx); err != nil {
			return err
		}
	}
	for _, one := range s.sessions {
		if err := errors.Join(one.apply(), one.start(ctx)); err != nil {
			return err
		}
	}
	s.running = true
	return nil
}

func (s *Speaker) withdraw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = false
	s.end(s.sessions)
}

// stop ends what start began.
func (s *Speaker) stop() {
	for _, one := range s.list() {
		if one.server != nil {
			one.server.Stop()
		}
	}
}

// Neighbors returns how each session is, in the order of Config.Neighbors.
func (s *Speaker) Neighbors() []NeighborState {
	sessions := s.list()
	all := make([]NeighborState, len(sessions))
	for i, one := range sessions {
		all[i] = one.snapshot()
	}
	return all
}

// Await returns when done says so of the neighbors' states, which it is asked
// at each change of any of them, or with ctx's error.
func (s *Speaker) Await(ctx context.Context, done func([]NeighborState) bool) error {
	return s.await(ctx, func() bool { return done(s.Neighbors()) })
}

func (s *Speaker) await(ctx context.Context, done func() bool) error {
	for {
		s.watch.Lock()
		changes := s.changes
		s.watch.Unlock()
		if done() {
			return nil
		}
		select {
		case <-changes:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Speaker) notify() {
	s.watch.Lock()
	close(s.changes)
	s.changes = make(chan struct{})
	s.watch.Unlock()
}
