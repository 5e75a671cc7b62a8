package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
)

// ProberConfig says how a name server tries PoPs' own addresses.
type ProberConfig struct {
	// Check is what is tried at every address: "tcp:443" connects,
	// "http:80/healthz" and "https:443/healthz" want an answer of 200 to 299.
	// Certificates are not verified: the question is who can be reached.
	Check   string
	Every   time.Duration // 0: 5 s
	Timeout time.Duration // 0: 2 s
}

// Prober tries the addresses of all PoPs and reports what it finds to the
// control node, which goes by it only where a PoP itself is silent.
type Prober struct {
	cfg    ProberConfig
	scheme string
	port   string
	path   string
	to     Poster
	log    *slog.Logger
	fleet  atomic.Pointer[edge.Fleet]
	http   *http.Client
	ok     *prometheus.GaugeVec // pop
	sent   outcome
}

// NewProber checks cfg. SetFleet may come at any time.
func NewProber(cfg ProberConfig, to Poster, log *slog.Logger, reg prometheus.Registerer) (*Prober, error) {
	if cfg.Every == 0 {
		cfg.Every = 5 * time.Second
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 2 * time.Second
	}
	p := &Prober{
		cfg: cfg, to: to, log: log,
		ok: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catchment_health_reachable",
			Help: "Whether any of a PoP's own addresses could be reached from here.",
		}, []string{"pop"}),
		sent: newOutcome("catchment_health_probe_reports_total", "Reports to the control node of which PoPs can be reached."),
	}
	var rest string
	p.scheme, rest, _ = strings.Cut(cfg.Check, ":")
	p.port, p.path, _ = strings.Cut(rest, "/")
	p.path = "/" + p.path
	port, err := strconv.ParseUint(p.port, 10, 16)
	switch {
	case p.scheme != "tcp" && p.scheme != "http" && p.scheme != "https", err != nil, port == 0, p.scheme == "tcp" && p.path != "/":
		return nil, fmt.Errorf("health: check %q: want such as tcp:443, http:80/healthz or https:443/healthz", cfg.Check)
	case cfg.Timeout < 0 || cfg.Timeout >= cfg.Every:
		return nil, fmt.Errorf("health: a timeout of %v is not below the interval, %v", cfg.Timeout, cfg.Every)
	}
	p.http = newHTTPClient(p.scheme + "://localhost")
	if reg != nil {
		if err := errors.Join(reg.Register(p.ok), reg.Register(p.sent.total)); err != nil {
			return nil, fmt.Errorf("health: %w", err)
		}
	}
	return p, nil
}

// SetFleet replaces the PoPs that are tried.
func (p *Prober) SetFleet(f *edge.Fleet) {
	p.fleet.Store(f)
}

// Run tries and reports until ctx is done. It always returns nil.
func (p *Prober) Run(ctx context.Context) error {
	tick := time.NewTicker(p.cfg.Every)
	defer tick.Stop()
	for {
		if f := p.fleet.Load(); f != nil {
			all := p.tryAll(ctx, f)
			if ctx.Err() != nil {
				return nil
			}
			if len(all) > 0 {
				p.sent.note(p.log, "probes not reported", p.to.Post(ctx, "/v1/probes", all))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// atOnce bounds how many addresses are tried at a time.
const atOnce = 64

// tryAll returns what it found, in the order of the fleet.
func (p *Prober) tryAll(ctx context.Context, f *edge.Fleet) []edge.Reachable {
	var all []edge.Reachable
	var addrs []netip.Addr
	for i := range f.PoPs {
		for _, a := range f.PoPs[i].Unicast {
			all = append(all, edge.Reachable{PoP: f.PoPs[i].ID, Address: a.String()})
			addrs = append(addrs, a)
		}
	}
	var wait sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range all {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			err := p.try(ctx, addrs[i])
			all[i].OK = err == nil
			if err != nil {
				all[i].Why = shorten(err)
			}
		})
	}
	wait.Wait()
	p.show(all)
	return all
}

func (p *Prober) try(ctx context.Context, a netip.Addr) error {
	at := net.JoinHostPort(a.String(), p.port)
	if p.scheme == "tcp" {
		return connect(ctx, at, p.cfg.Timeout)
	}
	u := url.URL{Scheme: p.scheme, Host: at, Path: p.path}
	return get(ctx, p.http, u.String(), p.cfg.Timeout)
}

func (p *Prober) show(all []edge.Reachable) {
	reached := map[edge.PoPID]float64{}
	for _, r := range all {
		if r.OK {
			reached[r.PoP] = 1
		} else if reached[r.PoP] == 0 {
			reached[r.PoP] = 0
		}
	}
	p.ok.Reset()
	for id, v := range reached {
		p.ok.WithLabelValues(string(id)).Set(v)
	}
}
