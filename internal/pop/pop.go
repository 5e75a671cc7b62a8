// Package pop serves a PoP's measurement objects over HTTP(S), each with the
// headers by which the PoP names itself:
//
//	/o        two bytes, for latency
//	/slow     trickled over a minute or more, to see whether TCP survives anycast
//	/big      more full-size packets than a sender starts with, to find paths
//	          that swallow them (path-MTU black holes)
//	/healthz  200 while the process serves
//
// A connection is accepted in conn.go, which also decides whether a PROXY
// header is read from it; a request is answered in objects.go; what is said in
// the headers comes from identity.go and, on Linux, from the kernel's TCP_INFO.
//
// CheckURL looks at a PoP, or at any front end that claims to send the same
// headers, from the outside.
package pop

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/certs"
	"catchment/internal/edge"
)

// Config says who a Server is and where it listens.
type Config struct {
	PoP       edge.PoPID  // must be in Fleet
	Fleet     *edge.Fleet // names the VIPs, the PoP's own addresses and the probe names
	Listeners []Listener  // at least one

	// Certificates for the listeners with TLS, the preferred first. Files are
	// read by Listen and again whenever they change, all or nothing.
	KeyPairs     []certs.Pair
	Certificates []tls.Certificate // held in memory, never read again

	// Connections from these networks must begin with a PROXY header (version
	// 1 or 2) and are refused without one. From anywhere else the header is
	// never looked for: what arrives is taken as HTTP or TLS.
	TrustedProxies []netip.Prefix

	Limits Limits

	// Delay holds every answer back, as if the PoP were so far away; the
	// kernel's RTT, which knows better, is then left out. For the demo.
	Delay time.Duration
}

// Listener is one address to accept connections on.
type Listener struct {
	Addr string     // host:port as for net.Listen; empty host: all addresses, both families
	TLS  bool       // plain HTTP otherwise
	VIP  edge.VIPID // names the VIP of every connection; empty: by its local address
}

// Limits bound what clients can make a Server do. A zero field is its default.
// A client prefix is a /24 (IPv4) or a /48 (IPv6).
type Limits struct {
	Connections          int           // open at a time; 10,000
	ConnectionsPerPrefix int           // 2,000; connections by way of a proxy count as the proxy's
	Downloads            int           // /slow and /big under way at a time; 4,096
	DownloadsPerPrefix   int           // 64
	BytesPerMinute       int64         // of /slow and /big for one client prefix; 64 MiB
	SlowTime             time.Duration // longest /slow, whole seconds; 5 min
	SlowBytes            int64         // largest /slow; 1 MiB
	BigBytes             int64         // largest /big; 16 MiB
}

func (l Limits) withDefaults() Limits {
	l.Connections = or(l.Connections, 10_000)
	l.ConnectionsPerPrefix = or(l.ConnectionsPerPrefix, 2_000)
	l.Downloads = or(l.Downloads, 4_096)
	l.DownloadsPerPrefix = or(l.DownloadsPerPrefix, 64)
	l.BytesPerMinute = or(l.BytesPerMinute, 64<<20)
	l.SlowTime = or(l.SlowTime, 5*time.Minute)
	l.SlowBytes = or(l.SlowBytes, 1<<20)
	l.BigBytes = or(l.BigBytes, 16<<20)
	return l
}

func or[T int | int64 | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// Server serves one PoP's objects. New, then Listen, then Run, each once.
type Server struct {
	cfg      Config
	log      *slog.Logger
	metrics  *metrics
	names    atomic.Pointer[identity]
	reg      prometheus.Registerer
	certs    *certs.Certificates // since Listen; nil without TLS
	http     *http.Server
	conns    *gate
	loads    *gate // downloads under way
	budget   *budget
	noise    []byte
	bound    []bound
	stopping chan struct{} // closed when Run is asked to stop
	draining atomic.Bool
	idle     idling
}

// bound is a listener that has its port.
type bound struct {
	net.Listener
	tls bool
}

// New checks cfg and returns a server that does nothing yet. Every error in
// cfg is reported.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("pop: %w", err)
	}
	cfg.Limits = cfg.Limits.withDefaults()
	m, err := newMetrics(reg)
	if err != nil {
		return nil, fmt.Errorf("pop: %w", err)
	}
	s := &Server{
		cfg:      cfg,
		log:      log,
		metrics:  m,
		reg:      reg,
		conns:    newGate(cfg.Limits.Connections, cfg.Limits.ConnectionsPerPrefix),
		loads:    newGate(cfg.Limits.Downloads, cfg.Limits.DownloadsPerPrefix),
		budget:   newBudget(cfg.Limits.BytesPerMinute, time.Minute),
		noise:    newNoise(),
		stopping: make(chan struct{}),
		idle:     idling{since: map[net.Conn]time.Time{}},
	}
	s.names.Store(newIdentity(cfg.PoP, cfg.Fleet))
	s.http = s.newHTTP()
	return s, nil
}

// SetFleet replaces the fleet, for new requests and connections. On an error,
// which says what in f does not suit this server, the former one stays.
func (s *Server) SetFleet(f *edge.Fleet) error {
	cfg := s.cfg
	cfg.Fleet = f
	if err := cfg.check(); err != nil {
		return fmt.Errorf("pop: %w", err)
	}
	s.names.Store(newIdentity(cfg.PoP, f))
	return nil
}

// SetDraining has connections end with the next answer, so that clients open
// new ones, elsewhere by then, and those on which nothing is asked for any
// more after a few seconds.
func (s *Server) SetDraining(draining bool) { s.draining.Store(draining) }

func (c *Config) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Fleet == nil {
		return errors.New("no fleet")
	}
	if _, ok := c.Fleet.PoP(c.PoP); !ok {
		fail("PoP %q is not in the fleet", c.PoP)
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
		if l.VIP != "" && !hasVIP(c.Fleet, l.VIP) {
			fail("listener %s: VIP %q is not in the fleet", l.Addr, l.VIP)
		}
	}
	for _, p := range c.TrustedProxies {
		if !p.IsValid() {
			fail("a trusted proxy network is not valid")
		}
	}
	return errors.Join(errs...)
}

func hasVIP(f *edge.Fleet, id edge.VIPID) bool {
	for i := range f.VIPs {
		if f.VIPs[i].ID == id {
			return true
		}
	}
	return false
}
