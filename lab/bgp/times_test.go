package bgp_test

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"catchment/internal/bgp"
	"catchment/lab/delay"
)

// event is a change of a kernel's routes.
type event struct {
	at      time.Time
	prefix  string
	deleted bool
}

// monitor follows a namespace's kernel routes by netlink.
func monitor(t *testing.T, ns *delay.Namespace) <-chan event {
	t.Helper()
	events := make(chan event, 1024)
	cmd := exec.Command("ip", "-ts", "monitor", "route")
	r, w := io.Pipe()
	cmd.Stdout = w
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait(); w.Close() })
	go func() {
		for in := bufio.NewScanner(r); in.Scan(); {
			f := strings.Fields(in.Text())
			if len(f) < 2 {
				continue
			}
			at, err := time.ParseInLocation("[2006-01-02T15:04:05.000000]", f[0], time.Local)
			e := event{at: at, deleted: f[1] == "Deleted"}
			if f = f[1:]; e.deleted {
				f = f[1:]
			}
			if err == nil && len(f) > 0 && strings.Contains(f[0], "/") {
				e.prefix = f[0]
				events <- e
			}
		}
	}()
	return events
}

// next waits for the next change of p.
func next(t *testing.T, events <-chan event, p netip.Prefix, deleted bool, limit time.Duration) time.Time {
	t.Helper()
	timeout := time.After(limit)
	for {
		select {
		case e := <-events:
			if e.prefix == p.String() && e.deleted == deleted {
				return e.at
			}
		case <-timeout:
			t.Fatalf("%v: no change (deleted: %v) within %v", p, deleted, limit)
		}
	}
}

func summary(d []time.Duration) string {
	slices.Sort(d)
	ms := func(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond)) }
	return fmt.Sprintf("median %s (%s to %s, n=%d)", ms(d[len(d)/2]), ms(d[0]), ms(d[len(d)-1]), len(d))
}

// TestTimes measures from the call of Set to the change in the router's kernel.
func TestTimes(t *testing.T) {
	const rounds = 10
	n := newNetwork(t, 1)
	b := startBird(t, n, 0, birdSession{routerASN: 64496, popASN: popASN})
	a := startAgent(t, n, config(1, nil))
	events := monitor(t, n.routers[0])
	start := a.set(t, to(second4, bgp.Options{}, 0), to(vip6, bgp.Options{}, 0)).At
	t.Logf("figures: first route %v after the start", next(t, events, second4, false, 15*time.Second).Sub(start).Round(time.Millisecond))
	a.wait(t, 10*time.Second, bgp.NeighborState.InSync)

	base4, base6 := to(second4, bgp.Options{}, 0), to(vip6, bgp.Options{}, 0)
	var announce, withdraw, announce6, withdraw6, reported []time.Duration
	for range rounds {
		announce = append(announce, change(t, a, events, []bgp.Route{base4, base6, to(vip4, bgp.Options{}, 0)}, vip4, false))
		withdraw = append(withdraw, change(t, a, events, []bgp.Route{base4, base6}, vip4, true))
		withdraw6 = append(withdraw6, change(t, a, events, []bgp.Route{base4}, vip6, true))
		announce6 = append(announce6, change(t, a, events, []bgp.Route{base4, base6}, vip6, false))
		at := a.set(t, to(second4, bgp.Options{GracefulShutdown: true}, 0), base6).At
		a.wait(t, 2*time.Second, bgp.NeighborState.InSync)
		reported = append(reported, time.Since(at))
		a.set(t, base4, base6)
	}
	t.Logf("figures: announce %s, IPv6 %s", summary(announce), summary(announce6))
	t.Logf("figures: withdraw %s, IPv6 %s", summary(withdraw), summary(withdraw6))
	t.Logf("figures: until graceful shutdown is reported as sent, asking each 20 ms: %s", summary(reported))
	if slices.Max(withdraw) > time.Second || slices.Max(announce) > time.Second {
		t.Error("a second is far too long on one link")
	}
	b.wantRoute(t, second4.String())
}

func change(t *testing.T, a *agent, events <-chan event, routes []bgp.Route, p netip.Prefix, deleted bool) time.Duration {
	t.Helper()
	at := a.set(t, routes...).At
	return next(t, events, p, deleted, 5*time.Second).Sub(at)
}

// TestKill: nothing of a killed agent stays behind, in a moment, and a router
// that is killed is back with our routes soon after it starts.
func TestKill(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 1)
	b := startBird(t, n, 0, birdSession{routerASN: 64496, popASN: popASN})
	events := monitor(t, n.routers[0])
	var gone []time.Duration
	for range 5 {
		a := startAgent(t, n, config(1, nil))
		a.set(t, to(vip4, bgp.Options{}, 0), to(vip6, bgp.Options{}, 0))
		next(t, events, vip4, false, 15*time.Second)
		b.wantRoute(t, vip6.String())
		at := time.Now()
		a.signal(syscall.SIGKILL)
		gone = append(gone, next(t, events, vip4, true, 5*time.Second).Sub(at))
		b.wantNoRoute(t, vip6.String())
	}
	t.Logf("figures: withdrawn after kill -9: %s", summary(gone))
	if slices.Max(gone) > 2*time.Second {
		t.Error("that is a hold time, not a closed connection")
	}
}

// TestHang: an agent that hangs loses its routes when the hold time is over.
func TestHang(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 1)
	startBird(t, n, 0, birdSession{routerASN: 64496, popASN: popASN})
	events := monitor(t, n.routers[0])
	a := startAgent(t, n, config(1, nil))
	a.set(t, to(vip4, bgp.Options{}, 0))
	next(t, events, vip4, false, 15*time.Second)
	at := time.Now()
	a.signal(syscall.SIGSTOP)
	took := next(t, events, vip4, true, 15*time.Second).Sub(at)
	t.Logf("figures: withdrawn after a hang, hold %v: %v", bgp.DefaultHold, took.Round(10*time.Millisecond))
	a.signal(syscall.SIGCONT)
	next(t, events, vip4, false, 15*time.Second) // and it comes back by itself
}

// TestLeave: with OnExit Leave the routes go with the process, too.
func TestLeave(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 1)
	b := startBird(t, n, 0, birdSession{routerASN: 64496, popASN: popASN})
	a := startAgent(t, n, config(1, func(c *bgp.Config) { c.OnExit = bgp.Leave }))
	a.set(t, to(vip4, bgp.Options{}, 0))
	b.wantRoute(t, vip4.String())
	a.signal(syscall.SIGTERM)
	<-a.done
	b.wantNoRoute(t, vip4.String())
	if log := b.log.String(); strings.Contains(log, "Received:") {
		t.Errorf("a NOTIFICATION was sent:\n%s", log)
	}
}

func TestRouterRestart(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 2)
	b := startBird(t, n, 0, birdSession{routerASN: 64496, popASN: popASN})
	other := startBird(t, n, 1, birdSession{routerASN: 64497, popASN: popASN})
	a := startAgent(t, n, config(2, nil))
	events := monitor(t, n.routers[0])
	a.set(t, to(vip4, bgp.Options{Prepend: 1}, 0, 1), to(vip6, bgp.Options{}, 0, 1))
	a.wait(t, 15*time.Second, bgp.NeighborState.InSync)
	next(t, events, vip4, false, 5*time.Second)

	b.kill()
	ans := a.wait(t, 5*time.Second, func(n bgp.NeighborState) bool { return n.Losses == 1 && len(n.Sent) == 0 }, 0)
	if got := ans.Neighbors[0].LastError; !strings.Contains(got, "went away") {
		t.Errorf("the error is %q", got)
	}
	if got := len(ans.Neighbors[0].Diff()); got != 1 {
		t.Errorf("%d prefixes are out of sync, want 1", got)
	}
	ip(t, n.routers[0], "route flush proto bird")
	// What changes meanwhile is what it hears when it is back.
	a.set(t, to(vip4, bgp.Options{Prepend: 2}, 0, 1), to(vip6, bgp.Options{}, 0, 1))
	at := time.Now()
	b.start(t)
	t.Logf("figures: route back %v after the router's start", next(t, events, vip4, false, 20*time.Second).Sub(at).Round(time.Millisecond))
	b.wantRoute(t, vip4.String(), "64500 64500 64500")
	b.wantRoute(t, vip6.String())
	ans = a.wait(t, 10*time.Second, bgp.NeighborState.InSync)
	if other := ans.Neighbors[2:]; other[0].Losses+other[1].Losses > 0 {
		t.Error("the other router's sessions were lost, too")
	}
	other.wantRoute(t, vip4.String(), "64500 64500 64500")
}
