package bgp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
)

var (
	quiet = slog.New(slog.NewTextHandler(io.Discard, nil))
	vip   = netip.MustParsePrefix("198.51.100.0/24")
	other = netip.MustParsePrefix("203.0.113.0/24")
	vip6  = netip.MustParsePrefix("2001:db8:ff::/48")
	near  = netip.MustParseAddr("127.0.0.1") // the neighbor of these tests
)

func testConfig(n ...Neighbor) Config {
	return Config{ASN: 64500, RouterID: netip.MustParseAddr("192.0.2.10"), Prefixes: []netip.Prefix{vip, other, vip6}, Neighbors: n}
}

// run runs a speaker until the test ends or stop is called.
func run(t *testing.T, cfg Config, reg prometheus.Registerer) (s *Speaker, stop func()) {
	t.Helper()
	s, err := New(cfg, quiet, reg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	return s, stop
}

func await(t *testing.T, s *Speaker, what string, ok func(NeighborState) bool) NeighborState {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if err := s.Await(ctx, func(all []NeighborState) bool { return ok(all[0]) }); err != nil {
		t.Fatalf("%s: %v; the neighbor is %+v", what, err, s.Neighbors()[0])
	}
	return s.Neighbors()[0]
}

func route(p netip.Prefix, o Options) Route {
	return Route{Prefix: p, Options: o, To: map[netip.Addr]Options{near: {}}}
}

func set(t *testing.T, s *Speaker, routes ...Route) {
	t.Helper()
	if err := s.Set(routes); err != nil {
		t.Fatal(err)
	}
}

func TestSession(t *testing.T) {
	r := newRouter(t, 64496)
	n := r.neighbor()
	n.NextHop6 = netip.MustParseAddr("2001:db8::10")
	cfg := testConfig(n)
	cfg.ShutdownText = "iad: maintenance"
	reg := prometheus.NewPedanticRegistry()
	s, stop := run(t, cfg, reg)
	heard := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, r.heard()); diff != "" {
			t.Errorf("the router heard: -want +got\n%s", diff)
		}
	}
	set(t, s, route(vip, Options{Prepend: 1}))
	r.establish()

	// What the OPEN must and must not say.
	var codes []bgp.BGPCapabilityCode
	for _, p := range r.open.OptParams {
		for _, c := range p.(*bgp.OptionParameterCapability).Capability {
			codes = append(codes, c.Code())
		}
	}
	for _, bad := range []bgp.BGPCapabilityCode{bgp.BGP_CAP_GRACEFUL_RESTART, bgp.BGP_CAP_LONG_LIVED_GRACEFUL_RESTART, bgp.BGP_CAP_ADD_PATH} {
		if slices.Contains(codes, bad) {
			t.Errorf("the OPEN has capability %v", bad)
		}
	}
	if !slices.Contains(codes, bgp.BGP_CAP_FOUR_OCTET_AS_NUMBER) || r.open.HoldTime != 9 || r.open.ID.String() != "192.0.2.10" {
		t.Errorf("the OPEN: %+v, capabilities %v", r.open, codes)
	}

	heard("198.51.100.0/24 via 127.0.0.1 prepend 1")
	state := await(t, s, "first route", NeighborState.InSync)
	if state.Updates != 1 || state.Uptime(time.Now()) <= 0 || len(state.Sent) != 1 || state.Sent[0].NextHop != near {
		t.Errorf("the state is %+v", state)
	}

	// The same again is not sent again; a change is, alone.
	large, err := edge.ParseCommunity("64500:1:2")
	if err != nil {
		t.Fatal(err)
	}
	rich := Options{MED: new(uint32(0)), GracefulShutdown: true, Communities: []edge.Community{large, edge.StandardCommunity(64496, 100), large}}
	set(t, s, route(vip, Options{Prepend: 1}))
	set(t, s, route(vip, Options{Prepend: 1}), route(other, rich))
	heard("203.0.113.0/24 via 127.0.0.1 med 0 [64496:100 65535:0 64500:1:2]")
	if got := await(t, s, "second route", NeighborState.InSync); !got.Sent[1].GracefulShutdown() || got.Sent[0].GracefulShutdown() {
		t.Errorf("graceful shutdown is not where it was asked for: %+v", got.Sent)
	}
	set(t, s, route(vip, Options{Prepend: 1}), route(other, rich))
	set(t, s, route(vip, Options{Prepend: 1}), route(vip6, Options{}))
	both := slices.Sorted(slices.Values(append(r.heard(), r.heard()...)))
	if diff := cmp.Diff([]string{"2001:db8:ff::/48 via 2001:db8::10", "withdraw 203.0.113.0/24"}, both); diff != "" {
		t.Errorf("the router heard: -want +got\n%s", diff)
	}

	// What is refused changes nothing.
	for _, bad := range [][]Route{nil, {}, {route(netip.MustParsePrefix("198.51.100.0/25"), Options{})}, {route(other, Options{}), {Prefix: vip}}} {
		if err := s.Set(bad); err == nil {
			t.Errorf("Set(%v) is taken", bad)
		}
	}
	if err := s.Set(nil); !errors.Is(err, ErrNothing) {
		t.Errorf("Set(nil): %v", err)
	}
	set(t, s, route(vip, Options{}), route(vip6, Options{}))
	heard("198.51.100.0/24 via 127.0.0.1")

	await(t, s, "the end", NeighborState.InSync)
	values := gather(t, reg)
	for name, want := range map[string]float64{
		"catchment_bgp_session_up": 1, "catchment_bgp_routes_wanted": 2, "catchment_bgp_routes_sent": 2, "catchment_bgp_routes_out_of_sync": 0,
		"catchment_bgp_updates_sent_total": 5, "catchment_bgp_session_losses_total": 0, `catchment_bgp_sets_total{refused}`: 5, `catchment_bgp_sets_total{taken}`: 6,
	} {
		if got := values[name]; got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}

	stop()
	gone := slices.Sorted(slices.Values(append(r.heard(), r.heard()...)))
	if diff := cmp.Diff([]string{"withdraw 198.51.100.0/24", "withdraw 2001:db8:ff::/48"}, gone); diff != "" {
		t.Errorf("the router heard at the end: -want +got\n%s", diff)
	}
	heard(`notification 6/2 "iad: maintenance"`)
	if err := s.WithdrawAll(); err != nil {
		t.Errorf("WithdrawAll after the end: %v", err)
	}
}

func gather(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			var name strings.Builder
			name.WriteString(f.GetName())
			for _, l := range m.Label {
				if l.GetName() == "result" {
					name.WriteString("{" + l.GetValue() + "}")
				}
			}
			values[name.String()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return values
}

// TestRouterGone: the state follows, and the routes come again with the next
// session, as they are wanted by then.
func TestRouterGone(t *testing.T) {
	r := newRouter(t, 64496)
	s, _ := run(t, testConfig(r.neighbor()), prometheus.NewRegistry())
	set(t, s, route(vip, Options{}))
	r.establish()
	r.heard()
	await(t, s, "session", NeighborState.InSync)
	r.conn.Close()
	state := await(t, s, "loss", func(n NeighborState) bool { return n.Losses == 1 })
	if len(state.Sent) != 0 || state.InSync() || !strings.Contains(state.LastError, "went away without a word") || state.ErrorAt.IsZero() {
		t.Errorf("after the loss: %+v", state)
	}
	set(t, s, route(vip, Options{Prepend: 3}))
	r.establish()
	if got := r.heard(); got[0] != "198.51.100.0/24 via 127.0.0.1 prepend 3" {
		t.Errorf("the new session begins with %v", got)
	}
	await(t, s, "second session", NeighborState.InSync)

	r.write(bgp.NewBGPNotificationMessage(bgp.BGP_ERROR_CEASE, bgp.BGP_ERROR_SUB_ADMINISTRATIVE_SHUTDOWN, append([]byte{9}, "ticket \x1b7"...)))
	state = await(t, s, "second loss", func(n NeighborState) bool { return n.Losses == 2 })
	if !strings.HasPrefix(state.LastError, "the neighbor ended the session (6/2)") || !strings.HasSuffix(state.LastError, ": ticket .7") {
		t.Errorf("the error is %q", state.LastError)
	}
}

// TestRefusals: why there is no session, in words.
func TestRefusals(t *testing.T) {
	cases := []struct {
		what    string
		play    func(*router)
		want    string
		correct func(*Neighbor)
	}{
		{"another ASN", func(r *router) {
			r.accept()
			open, err := bgp.NewBGPOpenMessage(64496, 30, netip.MustParseAddr("192.0.2.99"), nil)
			if err != nil {
				t.Fatal(err)
			}
			r.write(open)
			if got := r.heard(); !strings.HasPrefix(got[0], "notification 2/2") {
				t.Errorf("the router heard %v", got)
			}
		}, "another AS number than configured here", func(n *Neighbor) { n.ASN = 64497 }},
		{"our OPEN", func(r *router) {
			r.accept()
			r.write(bgp.NewBGPNotificationMessage(bgp.BGP_ERROR_OPEN_MESSAGE_ERROR, bgp.BGP_ERROR_SUB_BAD_PEER_AS, nil))
		}, "refused our OPEN", nil},
		{"nobody listens", func(r *router) { r.listen.Close() }, "connection refused", nil},
		{"closed at once", func(r *router) { r.accept(); r.conn.Close() }, "before it said anything", nil},
		{"silence", func(r *router) { r.accept() }, "did not come up", nil},
	}
	cfg := testConfig()
	cfg.Hold = 3 * time.Second
	var routers []*router
	for i, c := range cases {
		r := newRouterAt(t, netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + i)}), 64496)
		n := r.neighbor()
		if c.correct != nil {
			c.correct(&n)
		}
		routers, cfg.Neighbors = append(routers, r), append(cfg.Neighbors, n)
	}
	s, _ := run(t, cfg, prometheus.NewRegistry())
	for i, c := range cases {
		c.play(routers[i])
		await := func(ok func(NeighborState) bool) {
			t.Helper()
			ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
			defer cancel()
			if err := s.Await(ctx, func(all []NeighborState) bool { return ok(all[i]) }); err != nil {
				t.Errorf("%s: %v; the neighbor is %+v", c.what, err, s.Neighbors()[i])
			}
		}
		await(func(n NeighborState) bool { return strings.Contains(n.LastError, c.want) && n.Failures > 0 })
		if c.what == "silence" { // it tries again, long before the library would
			routers[i].establish()
			await(func(n NeighborState) bool { return n.State == Established })
		}
	}
}

// TestTooManyRoutes: the session ends, and is tried again after the pause.
func TestTooManyRoutes(t *testing.T) {
	r := newRouter(t, 64496)
	n := r.neighbor()
	n.MaxReceived = 10
	cfg := testConfig(n)
	cfg.LimitPause = time.Second
	s, _ := run(t, cfg, prometheus.NewRegistry())
	set(t, s, route(vip, Options{}))
	r.establish()
	r.heard()
	send := func(count int) {
		t.Helper()
		hop, err := bgp.NewPathAttributeNextHop(netip.MustParseAddr("192.0.2.99"))
		if err != nil {
			t.Fatal(err)
		}
		attrs := []bgp.PathAttributeInterface{
			bgp.NewPathAttributeOrigin(0), hop,
			bgp.NewPathAttributeAsPath([]bgp.AsPathParamInterface{bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_SEQ, []uint32{64496})}),
		}
		var nlri []bgp.PathNLRI
		for i := range count {
			p, err := bgp.NewIPAddrPrefix(netip.MustParsePrefix(fmt.Sprintf("192.0.2.%d/32", i)))
			if err != nil {
				t.Fatal(err)
			}
			nlri = append(nlri, bgp.PathNLRI{NLRI: p})
		}
		r.write(bgp.NewBGPUpdateMessage(nil, attrs, nlri))
	}
	send(10)
	await(t, s, "session", NeighborState.InSync)
	state := eventually(t, s, func(n NeighborState) bool { return n.Received == 10 })
	if state.State != Established {
		t.Errorf("after ten routes: %+v", state)
	}
	send(11)
	if got := r.heard(); !strings.HasPrefix(got[0], "notification 6/1") {
		t.Errorf("the router heard %v", got)
	}
	state = await(t, s, "loss", func(n NeighborState) bool { return n.Losses == 1 })
	if state.Limited != 1 || !strings.Contains(state.LastError, "more routes than it may") || state.Received != 0 {
		t.Errorf("after eleven routes: %+v", state)
	}
	r.establish()
	r.heard()
	await(t, s, "next session", NeighborState.InSync)
}

// eventually asks each 10 ms for what no change announces.
func eventually(t *testing.T, s *Speaker, ok func(NeighborState) bool) NeighborState {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if n := s.Neighbors()[0]; ok(n) || time.Now().After(end) {
			if !ok(n) {
				t.Fatalf("the neighbor is %+v", n)
			}
			return n
		}
	}
}

// TestLeave: the session stays when Run ends.
func TestLeave(t *testing.T) {
	r := newRouter(t, 64496)
	cfg := testConfig(r.neighbor())
	cfg.OnExit = Leave
	s, stop := run(t, cfg, prometheus.NewRegistry())
	set(t, s, route(vip, Options{}))
	r.establish()
	r.heard()
	await(t, s, "session", NeighborState.InSync)
	stop()
	if n := s.Neighbors()[0]; !n.InSync() {
		t.Errorf("after Run: %+v", n)
	}
	s.stop() // as the process's end would
}
