package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/bgp"
	"catchment/internal/edge"
	"catchment/internal/follow"
	"catchment/internal/health"
	"catchment/internal/member"
	"catchment/internal/node"
)

// memberFlags say how a PoP announces.
type memberFlags struct {
	iface  string
	onExit string
	hold   time.Duration
	dryRun bool
}

func (f *memberFlags) register(fs *flag.FlagSet) {
	fs.StringVar(&f.iface, "vip-interface", "lo", "`interface` that the addresses of VIPs are put on; empty: somebody else does")
	fs.StringVar(&f.onExit, "on-exit", "withdraw", "`what` becomes of the routes when the agent is stopped: withdraw (then stop serving), or leave (until the process has ended)")
	fs.DurationVar(&f.hold, "bgp-hold", bgp.DefaultHold, "hold `time` that is offered to BGP neighbors: after it they take back the routes of a machine that hangs")
	fs.BoolVar(&f.dryRun, "dry-run", false, "say what would be announced to whom if all checks were up, and end")
}

func (f *memberFlags) config(id edge.PoPID, dir string) (member.Config, error) {
	cfg := member.Config{PoP: id, Dir: dir, Hold: f.hold, ShutdownText: "catchment: " + string(id) + " stopped", Seed: rand.Uint64()}
	switch f.onExit {
	case "withdraw":
	case "leave":
		cfg.OnExit = bgp.Leave
	default:
		return cfg, errors.New("--on-exit: want withdraw or leave")
	}
	if f.hold < 3*time.Second || f.hold%time.Second != 0 {
		return cfg, errors.New("--bgp-hold: want whole seconds, at least 3s")
	}
	return cfg, nil
}

// membership is the part of the process that announces.
type membership struct {
	*member.Member
	addresses *member.Interface // nil: somebody else's business
	dir       string
	leave     bool
	vips      atomic.Pointer[edge.Fleet]
	closing   atomic.Bool
}

// open makes the member; drain is told whether connections are to end.
func (f *memberFlags) open(cfg member.Config, checks *health.Reporter, control *follow.Client, drain func(bool), log *slog.Logger, reg prometheus.Registerer) (*membership, error) {
	m := &membership{dir: cfg.Dir, leave: cfg.OnExit == bgp.Leave}
	out := member.Outside{
		NewSpeaker: func(c bgp.Config) (member.Speaker, error) { return bgp.New(c, log, reg) },
		Drain: func(closing bool) {
			m.closing.Store(closing)
			drain(closing)
		},
		Connections: func() int { return member.Connections(m.overVIP) },
		Load:        checks.Load,
	}
	if control != nil { // a nil *Client is no nil Caller
		out.Control = control
	}
	if f.iface != "" {
		file := ""
		if cfg.Dir != "" {
			file = filepath.Join(cfg.Dir, "addresses")
		}
		var err error
		if m.addresses, err = member.OpenInterface(f.iface, file); err != nil {
			return nil, err
		}
		out.Addresses = m.addresses
	}
	var err error
	if m.Member, err = member.New(cfg, out, log, reg); err != nil {
		return nil, err
	}
	checks.Tell(func(check string, err error) { m.Result(context.Background(), check, err) })
	return m, nil
}

// set hands over a snapshot.
func (m *membership) set(s *edge.Snapshot) error {
	if err := m.SetSnapshot(s); err != nil {
		return err
	}
	m.vips.Store(s.Fleet)
	return nil
}

func (m *membership) overVIP(a netip.Addr) bool {
	_, ok := m.vips.Load().VIPByAddr(a)
	return ok
}

// before returns the services that end after those which serve.
func (m *membership) before() []node.Named {
	if m.addresses == nil || m.leave {
		return nil
	}
	return []node.Named{{Name: "addresses", Service: m.addresses}}
}

// after returns those that end before.
func (m *membership) after() ([]node.Named, error) {
	all := []node.Named{{Name: "announcements", Service: m.Member}}
	if m.dir == "" {
		return all, nil
	}
	socket, err := m.ListenSocket(filepath.Join(m.dir, member.SocketName))
	if err != nil {
		return nil, err
	}
	return append(all, node.Named{Name: "socket", Service: socket}), nil
}

// serveDraining tells a site's own front ends whether to close connections:
// 503 while they should.
func (m *membership) serveDraining(w http.ResponseWriter, _ *http.Request) {
	if m.closing.Load() {
		http.Error(w, "draining", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "no")
}
