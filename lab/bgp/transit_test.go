package bgp_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"catchment/internal/bgp"
)

// TestNoTransit: two upstreams, and what the one says never reaches the other,
// not even our own prefix with somebody else's path.
func TestNoTransit(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 2)
	static := func(p4, p6 string) string {
		return fmt.Sprintf("protocol static { ipv4; route %s blackhole; route 0.0.0.0/0 blackhole; route %s blackhole; }\nprotocol static { ipv6; route %s blackhole; route ::/0 blackhole; }\n", p4, vip4, p6)
	}
	all := "import all; export where source = RTS_STATIC;"
	r0 := startBird(t, n, 0, birdSession{routerASN: 64496, popASN: popASN, global: static("192.0.2.64/26", "2001:db8:a::/48"), v4: all, v6: all})
	r1 := startBird(t, n, 1, birdSession{routerASN: 64497, popASN: popASN, global: static("192.0.2.128/26", "2001:db8:b::/48"), v4: all, v6: all})
	a := startAgent(t, n, config(2, nil))
	a.set(t, to(second4, bgp.Options{}, 0, 1), to(vip6, bgp.Options{}, 0, 1))
	r0.wantRoute(t, second4.String())
	r1.wantRoute(t, vip6.String())
	received := a.wait(t, 10*time.Second, func(n bgp.NeighborState) bool { return n.InSync() && n.Received >= 2 })
	for _, nb := range received.Neighbors {
		t.Logf("%v sends %d routes", nb.Address, nb.Received)
	}
	a.set(t, to(second4, bgp.Options{Prepend: 1}, 0, 1), to(vip6, bgp.Options{Prepend: 1}, 0, 1))
	for i, b := range []*bird{r0, r1} {
		b.wantRoute(t, second4.String(), "64500 64500")
		b.wantRoute(t, vip6.String(), "64500 64500")
		for _, p := range []string{"pop4", "pop6"} {
			out := b.ask("show", "route", "protocol", p)
			want := vip6.String()
			if p == "pop4" {
				want = second4.String()
			}
			for line := range strings.Lines(out) {
				f := strings.Fields(line)
				if len(f) == 0 {
					continue
				}
				if prefix, err := netip.ParsePrefix(f[0]); err == nil && prefix.String() != want {
					t.Errorf("r%d hears %s from us", i, f[0])
				}
			}
			if !strings.Contains(out, want) {
				t.Errorf("r%d %s: lacks %s:\n%s", i, p, want, out)
			}
		}
	}
}

// fullTable are count static routes, in 198.18.0.0/15 and on, as /32s: a
// table's size without its addresses.
func fullTable(count int) string {
	var b strings.Builder
	b.WriteString("protocol static { ipv4;\n")
	a := netip.MustParseAddr("198.18.0.0")
	for range count {
		fmt.Fprintf(&b, "route %s/32 blackhole;\n", a)
		a = a.Next()
	}
	b.WriteString("}\n")
	return b.String()
}

// TestFullTable: a neighbor that sends everything it has does not take the
// PoP's memory, and the other neighbor does not notice.
func TestFullTable(t *testing.T) {
	t.Parallel()
	const routes = 120_000
	n := newNetwork(t, 2)
	startBird(t, n, 0, birdSession{routerASN: 64496, popASN: popASN, global: fullTable(routes), v4: "import all; export where source = RTS_STATIC;"})
	r1 := startBird(t, n, 1, birdSession{routerASN: 64497, popASN: popASN})
	set := func(a *agent) {
		a.set(t, to(vip4, bgp.Options{}, 0, 1), to(vip6, bgp.Options{}, 0, 1))
	}

	t.Run("limit", func(t *testing.T) {
		a := startAgent(t, n, config(2, func(c *bgp.Config) { c.LimitPause = 2 * time.Second }))
		idle := a.tell(t, command{}).RSS
		set(a)
		ans := a.wait(t, 20*time.Second, func(n bgp.NeighborState) bool { return n.Limited == 1 && n.State == bgp.Idle }, 0)
		first := ans.RSS - idle
		if got := ans.Neighbors[0].LastError; !strings.Contains(got, "more routes than it may") {
			t.Errorf("the error is %q", got)
		}
		r1.wantRoute(t, vip4.String())
		a.wait(t, 10*time.Second, bgp.NeighborState.InSync, 1, 2, 3)
		// It tries again, and again, and takes no more memory for that.
		grown := a.wait(t, 40*time.Second, func(n bgp.NeighborState) bool { return n.Limited == 4 && n.State == bgp.Idle }, 0).RSS - idle
		t.Logf("figures: %d routes against a limit of %d: memory grew by %d MiB from %d MiB, by %d MiB after four times", routes, bgp.DefaultMaxReceived, first>>10, idle>>10, grown>>10)
		if grown > 64<<10 {
			t.Errorf("memory grew by %d KiB", grown)
		}
	})
	t.Run("no limit", func(t *testing.T) {
		a := startAgent(t, n, config(2, func(c *bgp.Config) { c.Neighbors[0].MaxReceived = -1 }))
		idle := a.tell(t, command{}).RSS
		set(a)
		r1.wantRoute(t, vip4.String())
		ans := a.wait(t, 40*time.Second, func(n bgp.NeighborState) bool { return n.Received == routes && n.InSync() }, 0)
		grown := ans.RSS - idle
		t.Logf("figures: %d routes without a limit: memory grew by %d MiB, %d bytes a route", routes, grown>>10, grown<<10/routes)
		// Nothing of it is passed on.
		if out := r1.ask("show", "route", "protocol", "pop4", "count"); !strings.Contains(out, "1 of ") {
			t.Errorf("r1 has from us:\n%s", out)
		}
		// And a change is still prompt in the other session.
		a.set(t, to(vip4, bgp.Options{Prepend: 3}, 0, 1))
		r1.wantRoute(t, vip4.String(), "64500 64500 64500 64500")
	})
}
