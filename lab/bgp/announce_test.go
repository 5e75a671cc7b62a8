package bgp_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"catchment/internal/bgp"
	"catchment/internal/edge"
)

func community(t *testing.T, s string) edge.Community {
	t.Helper()
	c, err := edge.ParseCommunity(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestAnnounce: what is announced arrives as it was meant, at those who were
// meant, and nothing is said twice.
func TestAnnounce(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 2)
	r0 := startBird(t, n, 0, birdSession{routerASN: 64496, popASN: popASN})
	r1 := startBird(t, n, 1, birdSession{routerASN: 64497, popASN: popASN})
	a := startAgent(t, n, config(2, nil))

	rich := to(vip4, bgp.Options{}, 0, 1)
	rich.Communities = []edge.Community{community(t, "64496:100"), community(t, "64500:1:2")}
	rich.To[netip.MustParseAddr(routerAddr(1))] = bgp.Options{
		Prepend: 2, MED: new(uint32(50)), GracefulShutdown: true, Communities: []edge.Community{community(t, "0:64499")},
	}
	routes := []bgp.Route{rich, to(vip6, bgp.Options{Prepend: 1}, 0), to(second4, bgp.Options{}, 1)}
	a.set(t, routes...)

	plain := r0.wantRoute(t, vip4.String(), "BGP.as_path: 64500\n", "BGP.community: (64496,100)\n", "BGP.large_community: (64500, 1, 2)\n", "BGP.next_hop: "+popAddr(0)+"\n", "BGP.origin: IGP")
	if strings.Contains(plain, "BGP.med") {
		t.Errorf("a MED that nobody asked for:\n%s", plain)
	}
	r1.wantRoute(t, vip4.String(), "BGP.as_path: 64500 64500 64500\n", "BGP.community: (0,64499) (64496,100) (65535,0)\n", "BGP.large_community: (64500, 1, 2)\n", "BGP.med: 50\n", "BGP.next_hop: "+popAddr(1)+"\n")
	r0.wantRoute(t, vip6.String(), "BGP.as_path: 64500 64500\n", "BGP.next_hop: "+popAddr6(0)) // BIRD adds its link-local view
	r1.wantRoute(t, second4.String(), "BGP.as_path: 64500\n")
	a.wait(t, 10*time.Second, bgp.NeighborState.InSync)
	if out := r1.route(vip6.String()); out != "" {
		t.Errorf("r1 hears a route that is only r0's:\n%s", out)
	}
	if out := r0.route(second4.String()); out != "" {
		t.Errorf("r0 hears a route that is only r1's:\n%s", out)
	}

	updates := func() (all [4]uint64) {
		for i, n := range a.tell(t, command{}).Neighbors {
			all[i] = n.Updates
		}
		return all
	}
	before := updates()
	for range 20 {
		a.set(t, routes...)
	}
	// What was sent for those, if anything, comes before the next change.
	routes[2].To[netip.MustParseAddr(routerAddr(1))] = bgp.Options{MED: new(uint32(7))}
	a.set(t, routes...)
	r1.wantRoute(t, second4.String(), "BGP.med: 7\n")
	want := before
	want[2]++ // r1's IPv4 session, the only one with a change
	a.wait(t, 5*time.Second, bgp.NeighborState.InSync)
	if got := updates(); got != want {
		t.Errorf("UPDATEs sent to the sessions: %v, before %v, want %v", got, before, want)
	}

	// Away from one neighbor, back to plain at the other.
	a.set(t, to(vip4, bgp.Options{}, 1))
	r0.wantNoRoute(t, vip4.String())
	r0.wantNoRoute(t, vip6.String())
	r1.wantNoRoute(t, second4.String())
	if out := r1.wantRoute(t, vip4.String(), "BGP.as_path: 64500\n"); strings.Contains(out, "community") || strings.Contains(out, "med") {
		t.Errorf("attributes are left over:\n%s", out)
	}
	if ans := a.tell(t, command{WithdrawAll: true}); ans.Error != "" {
		t.Fatal(ans.Error)
	}
	r1.wantNoRoute(t, vip4.String())

	// Capabilities, as the router understood them.
	for _, b := range []*bird{r0, r1} {
		out := b.ask("show", "protocols", "all", "pop4")
		_, neighbor, ok := strings.Cut(out, "Neighbor capabilities")
		if !ok || strings.Contains(strings.ToLower(neighbor), "graceful") {
			t.Errorf("graceful restart is offered, or no capabilities are shown:\n%s", out)
		}
	}
}
