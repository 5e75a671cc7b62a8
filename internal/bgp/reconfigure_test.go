package bgp

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// TestSetConfig: a neighbor is added, a prefix is, and a neighbor goes, while
// the session of the one that stays goes on.
func TestSetConfig(t *testing.T) {
	stays, goes := newRouter(t, 64496), newRouterAt(t, netip.MustParseAddr("127.0.0.2"), 64497)
	cfg := testConfig(stays.neighbor())
	cfg.Prefixes = []netip.Prefix{vip}
	s, stop := run(t, cfg, prometheus.NewPedanticRegistry())
	to := func(p netip.Prefix, all ...*router) Route {
		r := Route{Prefix: p, To: map[netip.Addr]Options{}}
		for _, one := range all {
			r.To[one.neighbor().Address] = Options{}
		}
		return r
	}
	heard := func(r *router, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, r.heard()); diff != "" {
			t.Errorf("a router heard: -want +got\n%s", diff)
		}
	}
	set(t, s, to(vip, stays))
	stays.establish()
	heard(stays, "198.51.100.0/24 via 127.0.0.1")

	// What is wrong changes nothing.
	bad := cfg
	bad.Prefixes = nil
	if err := s.SetConfig(bad); err == nil {
		t.Error("a speaker without prefixes was taken")
	}
	if err := s.Set([]Route{to(other, stays)}); err == nil {
		t.Error("a prefix that is not ours was taken")
	}

	more := testConfig(stays.neighbor(), goes.neighbor())
	more.Prefixes = []netip.Prefix{vip, other, vip6}
	if err := s.SetConfig(more); err != nil {
		t.Fatal(err)
	}
	set(t, s, to(vip, stays, goes), to(other, stays, goes))
	heard(stays, "203.0.113.0/24 via 127.0.0.1")
	goes.establish()
	first := goes.heard()
	if len(first) == 1 {
		first = append(first, goes.heard()...)
	}
	if len(first) != 2 {
		t.Errorf("the new neighbor heard %v", first)
	}

	inSync := func(all []NeighborState) bool { return len(all) == 2 && all[0].InSync() && all[1].InSync() }
	if err := s.Await(t.Context(), inSync); err != nil {
		t.Fatal(err)
	}
	if err := s.SetConfig(cfg); err != nil {
		t.Fatal(err)
	}
	withdrawn := goes.heard()
	if len(withdrawn) == 1 {
		withdrawn = append(withdrawn, goes.heard()...)
	}
	if len(withdrawn) != 2 {
		t.Errorf("the neighbor that goes heard %v", withdrawn)
	}
	heard(goes, `notification 6/2 ""`)
	set(t, s, to(vip, stays))
	heard(stays, "withdraw 203.0.113.0/24")
	inSync = func(all []NeighborState) bool { return len(all) == 1 && all[0].InSync() }
	if err := s.Await(t.Context(), inSync); err != nil {
		t.Fatal(err)
	}
	if all := s.Neighbors(); all[0].Losses != 0 {
		t.Errorf("the neighbors are %+v", all)
	}
	stop()
	heard(stays, "withdraw 198.51.100.0/24")
}
