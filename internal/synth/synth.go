// Package synth asks, round the clock, whether TCP survives anycast.
//
// An Agent keeps slow downloads open over every VIP, and, as the control, over
// every PoP's own addresses: minutes of trickled bytes, during which nothing
// but a change of path can break the connection. Between them it looks which
// PoP answers new connections, and whether full-size packets arrive.
//
// A planner (plan.go) deals out jobs, a slot works them off one after another
// (slot.go); connections are opened in session.go, watched by pulse.go, and
// judged in outcome.go. Each becomes a Download (download.go), which goes to a
// Sink: a spool on disk, from where a Forwarder (forward.go) ships batches to
// the control node, or lines in a file.
package synth

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
)

// Config says what an agent does. A zero field is its default unless it says
// otherwise.
type Config struct {
	Agent string // names this agent in its records
	Seed  uint64 // the same one gives the same schedule

	Concurrency int             // slots, each with at most one slow download; 20
	Length      time.Duration   // of the usual slow download, whole seconds; 75 s
	Ladder      []time.Duration // the other lengths, whole seconds; 1 s to 10 min
	MaxPart     time.Duration   // longest /slow that PoPs serve; longer downloads ask again on the same connection; 5 min
	Pause       time.Duration   // before a slot's next job, on average; 5 s
	Looks       int             // connections of a look; 5, negative: no looks
	BigEvery    int             // one of so many jobs has a burst of full-size packets; 4, negative: none

	Families      []int      // 4, 6; both
	Protocols     []Protocol // HTTPS and HTTP2
	Port, TLSPort uint16     // 80, 443

	// RootCAs are believed, for HTTPS; nil: the system's.
	RootCAs *x509.CertPool

	Limits Limits

	// Dial opens TCP (and, to see whether there is a route at all, UDP)
	// connections through d; nil: d.DialContext.
	Dial func(ctx context.Context, d *net.Dialer, network, addr string) (net.Conn, error)
}

// Limits are the silences after which a connection is given up.
type Limits struct {
	Connect time.Duration // 10 s: SYNs after 0, 1, 3 and 7 s (RFC 6298)
	Answer  time.Duration // to a TLS handshake, to a request; 10 s
	Stall   time.Duration // within an object; 30 s: keep-alive, every 15 s, has then asked the path twice
}

func (c Config) withDefaults() Config {
	def(&c.Concurrency, 20)
	def(&c.Length, 75*time.Second)
	if len(c.Ladder) == 0 {
		for _, s := range []int{1, 3, 10, 30, 75, 150, 300, 600} {
			c.Ladder = append(c.Ladder, time.Duration(s)*time.Second)
		}
	}
	def(&c.MaxPart, 5*time.Minute)
	def(&c.Pause, 5*time.Second)
	def(&c.Looks, 5)
	def(&c.BigEvery, 4)
	if len(c.Families) == 0 {
		c.Families = []int{4, 6}
	}
	if len(c.Protocols) == 0 {
		c.Protocols = []Protocol{HTTPS, HTTP2}
	}
	def(&c.Port, 80)
	def(&c.TLSPort, 443)
	def(&c.Limits.Connect, 10*time.Second)
	def(&c.Limits.Answer, 10*time.Second)
	def(&c.Limits.Stall, 30*time.Second)
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, d *net.Dialer, network, addr string) (net.Conn, error) {
			return d.DialContext(ctx, network, addr)
		}
	}
	return c
}

func def[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

// maxLength bounds a slow download.
const maxLength = time.Hour

func (c *Config) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	whole := func(name string, d time.Duration) {
		if d < time.Second || d > maxLength || d%time.Second != 0 {
			fail("%s: %v is not a whole number of seconds from 1 s to %v", name, d, maxLength)
		}
	}
	if c.Agent == "" || len(c.Agent) > 64 {
		fail("agent: want a name of at most 64 bytes")
	}
	if c.Concurrency < 1 {
		fail("concurrency: %d is not at least 1", c.Concurrency)
	}
	whole("length", c.Length)
	whole("longest part", c.MaxPart)
	for _, d := range c.Ladder {
		whole("ladder", d)
	}
	if c.Pause < 0 {
		fail("pause: %v is negative", c.Pause)
	}
	for _, f := range c.Families {
		if f != 4 && f != 6 {
			fail("families: %d is neither 4 nor 6", f)
		}
	}
	for _, p := range c.Protocols {
		if !slices.Contains([]Protocol{HTTP, HTTPS, HTTP2}, p) {
			fail("protocols: %q is none (want http, https, h2)", p)
		}
	}
	return errors.Join(errs...)
}

// Sink takes records, each a line of JSON without the line feed; it must not
// keep the slice. Its methods are called by many goroutines.
type Sink interface {
	Append(line []byte) error
}

// Agent keeps the downloads going. New, SetFleet, then Run, once.
type Agent struct {
	cfg     Config
	sink    Sink
	log     *slog.Logger
	metrics *metrics
	plan    *planner
	lag     lag
	boot    string // makes the ids of this process unique
	serial  atomic.Uint64

	lost atomic.Bool // a record, as the sink failed: logged once
}

// New checks cfg and returns an agent that does nothing yet. Every error in
// cfg is reported.
func New(cfg Config, sink Sink, log *slog.Logger, reg prometheus.Registerer) (*Agent, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("synth: %w", err)
	}
	m, err := newMetrics(reg)
	if err != nil {
		return nil, fmt.Errorf("synth: %w", err)
	}
	boot := make([]byte, 8)
	_, _ = rand.Read(boot) // never fails
	a := &Agent{cfg: cfg, sink: sink, log: log, metrics: m, boot: hex.EncodeToString(boot)}
	a.plan = newPlanner(&a.cfg)
	return a, nil
}

// SetFleet replaces what is downloaded from. Downloads under way go on.
func (a *Agent) SetFleet(f *edge.Fleet) {
	anycast, control := a.cfg.routes(f)
	a.metrics.routes.WithLabelValues("anycast").Set(float64(len(anycast)))
	a.metrics.routes.WithLabelValues("control").Set(float64(len(control)))
	if len(anycast)+len(control) == 0 {
		a.log.Warn("the fleet has no address to download from, for these families and protocols")
	}
	a.plan.set(anycast, control)
}

// Run downloads until ctx is done; what is under way then is recorded as
// stopped. It always returns nil.
func (a *Agent) Run(ctx context.Context) error {
	var all sync.WaitGroup
	all.Go(func() { a.lag.run(ctx) })
	for i := range a.cfg.Concurrency {
		all.Go(func() { a.slot(ctx, a.plan.offset(i)) })
	}
	all.Wait()
	return nil
}

// begin returns a record for a download over r that starts now.
func (a *Agent) begin(kind Kind, r Route) *Download {
	return &Download{
		V: 1, ID: a.boot + "-" + strconv.FormatUint(a.serial.Add(1), 36), Agent: a.cfg.Agent,
		Kind: kind, Start: time.Now().UTC().Truncate(time.Millisecond),
		Target: r.Target, Address: r.Addr.Addr().String(), Family: r.Family(), Asked: r.Protocol,
	}
}

// record counts d and hands it to the sink.
func (a *Agent) record(d *Download) {
	a.metrics.count(d)
	line, err := appendJSON(nil, d)
	if err == nil {
		err = a.sink.Append(line)
	}
	if err == nil {
		a.lost.Store(false)
		return
	}
	a.metrics.lost.Inc()
	if !a.lost.Swap(true) {
		a.log.Error("records are lost", "error", err)
	}
}

// userAgent tells operators of front ends what this is.
var userAgent = "catchment-synth (" + runtime.GOOS + ")"
