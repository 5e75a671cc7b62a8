// Package authdns is an authoritative name server: for the names of a zone
// file, and for tailored names whose addresses a Steering decides by client.
//
// Life of a query: a worker takes a batch from its socket (udp_linux.go), parse.go
// takes it apart, answer.go looks its name up in the snapshot and writes a
// reply that was packed when the snapshot was built (build.go, sign.go,
// compile.go). What has no reply ready goes to a bounded queue (slow.go), whose
// workers compose one out of records (compose.go). TCP and TLS (tcp.go) do the
// same, one connection a goroutine. docs/dns.md is the reference.
package authdns

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/certs"
)

// Config says who a Server is, what it answers for, and where.
type Config struct {
	ID        string     // names the server: NSID, id.server; at most 64 printable bytes; empty: it does not say
	Version   string     // for version.bind; empty: it does not say
	Listeners []Listener // at least one

	Zone  *Zone
	Probe string // parent of the probe names; empty: there are none
	State State  // to begin with
	Keys  *Keys  // nil: the zone is not signed

	// Certificates for the listeners with TLS, as in package certs.
	KeyPairs     []certs.Pair
	Certificates []tls.Certificate

	Cookies   *CookieSecrets // nil: a secret of this process alone
	Transfers []netip.Prefix // who may have the zone file (AXFR)
	Nonces    Nonces         // nil: queries for probe names are not noted
	Responses ResponseLimit
	Limits    Limits
	LogEvery  int // every so many queries one is logged; 0: none
	Workers   int // sockets for each UDP address; 0: one for each core
}

// Listener is one address to answer on.
type Listener struct {
	Addr string // host:port; an empty host is all addresses of both families
	TLS  bool   // DNS over TLS (RFC 7858); otherwise UDP and TCP
}

// ResponseLimit bounds answers over UDP to one client prefix (/24 or /56) for
// one name, or for all names that are missing beneath one. Who sends a server
// cookie is not forged, and is exempt.
type ResponseLimit struct {
	PerSecond float64 // 0: no limit
	Burst     int     // answers beyond it; 0: one second's
	Slip      int     // every so many limited answers one is sent truncated, the others not at all; 0: none
}

// Limits bound what clients can make a Server do over TCP and TLS. A zero
// field is its default. A client prefix is a /24 (IPv4) or a /48 (IPv6).
type Limits struct {
	Connections          int           // open at a time; 20,000
	ConnectionsPerPrefix int           // 1,000
	IdleTimeout          time.Duration // until the next query; 20 s, a fifth of it while half of Connections are open
	QueryTimeout         time.Duration // for a query to arrive once it has begun, and for answers to be taken; 5 s
	Queries              int           // on one connection; 100,000
	Transfers            int           // of the zone at a time; 4
}

func (l Limits) withDefaults() Limits {
	l.Connections = or(l.Connections, 20_000)
	l.ConnectionsPerPrefix = or(l.ConnectionsPerPrefix, 1_000)
	l.IdleTimeout = or(l.IdleTimeout, 20*time.Second)
	l.QueryTimeout = or(l.QueryTimeout, 5*time.Second)
	l.Queries = or(l.Queries, 100_000)
	l.Transfers = or(l.Transfers, 4)
	return l
}

func or[T int | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// slowQueue bounds how many queries wait for the slow path; those beyond are
// dropped. At some 20 µs each it is worked off within 20 ms.
const slowQueue = 1024

// Server answers queries. New, then Listen, then Run, each once.
type Server struct {
	cfg     Config
	log     *slog.Logger
	reg     prometheus.Registerer
	probe   name
	secrets *CookieSecrets
	limiter *limiter
	nonces  *nonceLog
	current atomic.Pointer[snapshot]

	update sync.Mutex // one new snapshot at a time; guards the rest of this block
	zone   *Zone
	state  State
	signer *signer

	given given

	stats    *stats // of all that is not a UDP worker
	all      atomic.Pointer[[]*stats]
	latency  prometheus.Histogram
	swaps    atomic.Uint64
	refusals atomic.Uint64
	queries  chan logged

	certs     *certs.Certificates // since Listen; nil without TLS
	stopping  atomic.Bool
	sockets   []*udpSocket
	listeners []*tcpListener
	slowJobs  chan *slowJob
	slowFree  chan *slowJob
	gate      *gate
	transfers chan struct{}
}

// New checks cfg, builds the first snapshot, and returns a server that does
// nothing yet. Every error in cfg is reported.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("authdns: %w", err)
	}
	cfg.Limits = cfg.Limits.withDefaults()
	cfg.Workers = or(cfg.Workers, runtime.GOMAXPROCS(0))
	cfg.Responses.Burst = or(cfg.Responses.Burst, int(cfg.Responses.PerSecond))
	s := &Server{
		cfg: cfg, log: log, reg: reg, secrets: cfg.Cookies, zone: cfg.Zone, state: cfg.State,
		stats: &stats{}, gate: newGate(cfg.Limits.Connections, cfg.Limits.ConnectionsPerPrefix),
		transfers: make(chan struct{}, cfg.Limits.Transfers),
		slowJobs:  make(chan *slowJob, slowQueue), slowFree: make(chan *slowJob, slowQueue),
	}
	s.all.Store(&[]*stats{s.stats})
	if s.secrets == nil {
		s.secrets = RandomCookieSecrets()
	}
	if cfg.Probe != "" {
		var err error
		if s.probe, err = newName(cfg.Probe); err != nil {
			return nil, fmt.Errorf("authdns: probe zone: %w", err)
		}
	}
	if cfg.Keys != nil {
		s.signer = newSigner(cfg.Keys)
	}
	if cfg.Nonces != nil {
		s.nonces = &nonceLog{ring: make([]asked, nonceRing)}
	}
	if cfg.LogEvery > 0 {
		s.queries = make(chan logged, logQueue)
	}
	var seed [8]byte
	_, _ = rand.Read(seed[:]) // never fails (crypto/rand)
	s.limiter = newLimiter(cfg.Responses, binary.LittleEndian.Uint64(seed[:]), time.Now())
	for range slowQueue {
		s.slowFree <- &slowJob{}
	}
	if err := s.rebuild(s.zone, s.state); err != nil {
		return nil, err
	}
	if err := s.register(reg); err != nil {
		return nil, fmt.Errorf("authdns: %w", err)
	}
	return s, nil
}

func (c *Config) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Zone == nil {
		return errors.New("no zone")
	}
	if len(c.ID) > maxNSID || !printable(c.ID) {
		fail("id %q: want at most %d printable bytes", c.ID, maxNSID)
	}
	if len(c.Version) > 255 || !printable(c.Version) {
		fail("version %q: want at most 255 printable bytes", c.Version)
	}
	if len(c.Listeners) == 0 {
		fail("no listeners")
	}
	for _, l := range c.Listeners {
		if _, _, err := net.SplitHostPort(l.Addr); err != nil {
			fail("listener %q: want host:port or :port", l.Addr)
		}
		if l.TLS && len(c.KeyPairs)+len(c.Certificates) == 0 {
			fail("listener %s: TLS needs a certificate", l.Addr)
		}
	}
	if r := c.Responses; r.PerSecond < 0 || r.PerSecond > 1e6 || r.Burst < 0 || r.Burst > 1e6 || r.Slip < 0 {
		fail("response limit: want up to 1,000,000 answers a second, and no negative numbers")
	}
	return errors.Join(errs...)
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// SetState replaces the State, for new queries. On an error, which says what in
// it does not suit the zone, the former one stays. Challenges that do not suit
// it are left out and logged: steering must not wait for them.
func (s *Server) SetState(state State) error {
	s.update.Lock()
	defer s.update.Unlock()
	return s.replace(s.zone, state)
}

// SetZone replaces the zone, in the same way. Its origin must be as before.
func (s *Server) SetZone(z *Zone) error {
	s.update.Lock()
	defer s.update.Unlock()
	if z.origin != s.zone.origin {
		return fmt.Errorf("authdns: the zone is %s, and was %s", z.origin.text(), s.zone.origin.text())
	}
	return s.replace(z, s.state)
}

func (s *Server) replace(z *Zone, state State) error {
	if err := s.rebuild(z, state); err != nil {
		s.refusals.Add(1)
		return err
	}
	s.swaps.Add(1)
	return nil
}

// rebuild makes a new snapshot and puts it in the place of the former.
func (s *Server) rebuild(z *Zone, state State) error {
	snap, err := build(content{z, s.probe, state}, s.signer, time.Now())
	if err != nil {
		return fmt.Errorf("authdns: %w", err)
	}
	s.zone, s.state = z, state
	for _, err := range snap.leftOut {
		s.log.Warn("challenge left out", "error", err)
	}
	s.given.attach(snap)
	s.current.Store(snap)
	return nil
}
