package bgp

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
)

func planFleet() *edge.Fleet {
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	return &edge.Fleet{
		PoPs: []edge.PoP{{
			ID:              "iad",
			UnicastPrefixes: []netip.Prefix{prefix("192.0.2.0/28"), prefix("2001:db8:10::/48")},
			BGP: &edge.BGP{ASN: 64500, RouterID: addr("192.0.2.10"), Neighbors: []edge.Neighbor{
				{Address: addr("192.0.2.1"), ASN: 64496, Relation: edge.Transit, TTLSecurity: true},
				{Address: addr("192.0.2.2"), ASN: 64497, Relation: edge.Peer, VIPs: []edge.VIPID{"global"}, Prepend: 2, Communities: []edge.Community{edge.StandardCommunity(64497, 100)}},
				{Address: addr("2001:db8::1"), ASN: 64496, Relation: edge.Transit, NoExportTo: []uint32{64499}},
			}},
		}, {ID: "lax"}},
		VIPs: []edge.VIP{
			{ID: "global", Prefixes: []netip.Prefix{vip, vip6}},
			{ID: "americas", Prefixes: []netip.Prefix{other}},
			{ID: "emea", Prefixes: []netip.Prefix{prefix("203.0.112.0/24")}},
		},
		Regions: []edge.Region{
			{ID: "americas", VIP: "americas", PoPs: []edge.PoPID{"iad", "lax"}},
			{ID: "emea", VIP: "emea", PoPs: []edge.PoPID{"fra"}},
		},
	}
}

// TestPlan also hands each plan to a speaker configured from the same fleet.
func TestPlan(t *testing.T) {
	f := planFleet()
	cfg, err := Configure(f, "iad")
	if err != nil {
		t.Fatal(err)
	}
	plan := func(name string, f *edge.Fleet, up map[edge.VIPID]Want) {
		t.Helper()
		p, err := NewPlan(f, "iad", up)
		if err != nil {
			t.Error(err)
			return
		}
		file := filepath.Join("testdata", "plan", name+".want")
		if os.Getenv("GOLDEN") == "update" {
			if err := os.WriteFile(file, []byte(p.Text()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), p.Text()); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
		s, err := New(cfg, quiet, prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Routes) == 0 {
			return
		}
		if err := s.Set(p.Routes); err != nil {
			t.Errorf("%s: the speaker refuses the plan: %v", name, err)
		}
	}
	plan("down", f, nil)
	plan("up", f, map[edge.VIPID]Want{"global": {}, "americas": {}})
	plan("drain", f, map[edge.VIPID]Want{"global": {GracefulShutdown: true, Prepend: 9}, "americas": {GracefulShutdown: true}})
	alone := planFleet()
	alone.PoPs[0].UnicastPrefixes = nil
	alone.PoPs[0].BGP.Neighbors = alone.PoPs[0].BGP.Neighbors[2:]
	plan("nothing", alone, map[edge.VIPID]Want{"americas": {}})

	refused := func(id edge.PoPID, v edge.VIPID, want string) {
		t.Helper()
		if _, err := NewPlan(f, id, map[edge.VIPID]Want{v: {}}); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	refused("ord", "global", "bgp: there is no PoP ord")
	refused("lax", "global", "bgp: lax has no bgp in the fleet file")
	refused("iad", "emea", "bgp: iad does not announce VIP emea")
	refused("iad", "apac", "bgp: iad does not announce VIP apac")

	if slices.Contains(cfg.Prefixes, netip.MustParsePrefix("203.0.112.0/24")) {
		t.Error("the prefix of another region's VIP may be announced")
	}
}
