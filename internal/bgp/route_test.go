package bgp

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"catchment/internal/edge"
)

func TestSetRefused(t *testing.T) {
	a4, b4, a6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::1")
	cfg := testConfig(Neighbor{Address: a4, ASN: 64496}, Neighbor{Address: b4, ASN: 64497}, Neighbor{Address: a6, ASN: 64496})
	prefix := netip.MustParsePrefix
	all := func(o Options) map[netip.Addr]Options { return map[netip.Addr]Options{a4: o, b4: {}} }
	refused := func(want string, routes ...Route) {
		t.Helper()
		got, err := resolve(&cfg, routes)
		if err == nil || err.Error() != "bgp: "+want || got != nil {
			t.Errorf("%v, want %s", err, want)
		}
	}
	refused("route 0.0.0.0/0: is the default route, which is never announced", Route{Prefix: prefix("0.0.0.0/0"), To: all(Options{})})
	refused("route ::/0: is the default route, which is never announced", Route{Prefix: prefix("::/0"), To: all(Options{})})
	refused("route invalid Prefix: is no prefix", Route{To: all(Options{})})
	refused("route 198.51.100.0/25: is not ours to announce, although 198.51.100.0/24 is: only exact prefixes are", Route{Prefix: prefix("198.51.100.0/25"), To: all(Options{})})
	refused("route 198.51.100.0/23: is not ours to announce, although 198.51.100.0/24 is: only exact prefixes are", Route{Prefix: prefix("198.51.100.0/23"), To: all(Options{})})
	refused("route 198.51.100.1/24: is not ours to announce, although 198.51.100.0/24 is: only exact prefixes are", Route{Prefix: prefix("198.51.100.1/24"), To: all(Options{})})
	refused("route 192.0.2.0/24: is not ours to announce", Route{Prefix: prefix("192.0.2.0/24"), To: all(Options{})})
	refused("route 198.51.100.0/24: names no neighbor that hears it: leave the route out if none should", Route{Prefix: vip})
	refused("route 198.51.100.0/24: stands twice", Route{Prefix: vip, To: all(Options{})}, Route{Prefix: vip, To: all(Options{})})
	refused("route 198.51.100.0/24: there is no neighbor 192.0.2.3", Route{Prefix: vip, To: map[netip.Addr]Options{netip.MustParseAddr("192.0.2.3"): {}}})
	refused("route 198.51.100.0/24 to 2001:db8::1: the session does not carry this address family: its next hop is not configured", Route{Prefix: vip, To: map[netip.Addr]Options{a6: {}}})
	refused("route 198.51.100.0/24: next hop 2001:db8::9 is of the other address family", Route{Prefix: vip, NextHop: netip.MustParseAddr("2001:db8::9"), To: all(Options{})})
	refused("route 198.51.100.0/24 to 192.0.2.1: prepended 11 times, want 0 to 10", Route{Prefix: vip, Options: Options{Prepend: 5}, To: all(Options{Prepend: 6})})
	refused("route 198.51.100.0/24 to 192.0.2.1: prepended 1 times, want 0 to 10", Route{Prefix: vip, Options: Options{Prepend: 2}, To: all(Options{Prepend: -1})})
	refused("route 198.51.100.0/24 to 192.0.2.1: community 65535:666 asks for the users' packets to be dropped", Route{Prefix: vip, To: all(Options{Communities: []edge.Community{edge.Blackhole}})})
	refused("route 198.51.100.0/24 to 192.0.2.1: community 65536:1 is out of range", Route{Prefix: vip, To: all(Options{Communities: []edge.Community{{Parts: [3]uint32{65536, 1}}}})})
}

// TestResolve: what one route comes to at each neighbor.
func TestResolve(t *testing.T) {
	x, y := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	cfg := testConfig(Neighbor{Address: x, ASN: 64496}, Neighbor{Address: y, ASN: 64497, NextHop4: netip.MustParseAddr("192.0.2.9")}, Neighbor{Address: netip.MustParseAddr("192.0.2.3"), ASN: 64498})
	med := uint32(5)
	common := edge.StandardCommunity(64500, 1)
	got, err := resolve(&cfg, []Route{{
		Prefix: vip, Options: Options{Prepend: 1, MED: &med, Communities: []edge.Community{common}},
		To: map[netip.Addr]Options{x: {}, y: {Prepend: 2, MED: new(uint32(9)), GracefulShutdown: true, Communities: []edge.Community{common, edge.StandardCommunity(0, 64499)}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	med = 77 // the caller's own from now on
	want := map[netip.Addr][]string{
		x:                                {"198.51.100.0/24 via invalid IP prepend 1 med 5 [64500:1]"},
		y:                                {"198.51.100.0/24 via 192.0.2.9 prepend 3 med 9 [0:64499 64500:1 65535:0]"},
		netip.MustParseAddr("192.0.2.3"): nil,
	}
	words := map[netip.Addr][]string{}
	for a, m := range got {
		words[a] = said(sorted(m), nil)
	}
	if diff := cmp.Diff(want, words, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// FuzzWire: whatever is wanted is what is read back from the bytes that the
// library writes for it.
func FuzzWire(f *testing.F) {
	f.Add(true, uint8(0), uint32(0), false, []byte{})
	f.Add(false, uint8(3), uint32(50), true, []byte("\xff\xff\x00\x00\x00\x00\x00\x01\x00\x00\x00\x02"))
	f.Fuzz(func(t *testing.T, four bool, prepend uint8, med uint32, hasMED bool, communities []byte) {
		a := Announcement{Prefix: vip6, NextHop: netip.MustParseAddr("2001:db8::10"), Prepend: 1 + int(prepend%maxPrepend)}
		if four {
			a.Prefix, a.NextHop = vip, netip.MustParseAddr("192.0.2.10")
		}
		if hasMED {
			a.MED = &med
		}
		for len(communities) >= 12 && len(a.Communities) < 100 {
			c := edge.Community{Large: communities[0]&1 == 0}
			for i := range c.Parts {
				b := communities[4*i:]
				c.Parts[i] = uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
				if !c.Large {
					c.Parts[i] &= 0xffff
				}
			}
			if !c.Large {
				c.Parts[2] = 0
			}
			a.Communities, communities = append(a.Communities, c), communities[12:]
		}
		slices.SortFunc(a.Communities, edge.Community.Compare)
		a.Communities = slices.Compact(a.Communities)

		p, err := a.path(64500)
		if err != nil {
			t.Fatal(err)
		}
		var nlri []bgp.PathNLRI
		if four {
			nlri = []bgp.PathNLRI{{NLRI: p.Nlri}}
		}
		data, err := bgp.NewBGPUpdateMessage(nil, p.Attrs, nlri).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		m, err := bgp.ParseBGPMessage(data)
		if err != nil {
			t.Fatal(err)
		}
		u := m.Body.(*bgp.BGPUpdate)
		// An iBGP neighbor's path is as written here.
		announced, withdrawn := readUpdate(u.NLRI, u.WithdrawnRoutes, u.PathAttributes, false)
		if len(announced) != 1 || len(withdrawn) != 0 || !a.equal(announced[0]) {
			t.Errorf("wanted %s, read %s, withdrawn %v", a.words(), strings.Join(said(announced, nil), "; "), withdrawn)
		}
	})
}

func TestDiff(t *testing.T) {
	a := Announcement{Prefix: vip, Prepend: 1}
	sent := a
	sent.NextHop = netip.MustParseAddr("192.0.2.10") // our end, which the wish left open
	check := func(want []netip.Prefix, wanted, sent []Announcement) {
		t.Helper()
		n := NeighborState{State: Established, Wanted: wanted, Sent: sent}
		if got := n.Diff(); !slices.Equal(got, want) || n.InSync() != (len(want) == 0) {
			t.Errorf("Diff = %v, in sync %v, want %v", got, n.InSync(), want)
		}
	}
	list := func(a ...Announcement) []Announcement { return a }
	check(nil, nil, nil)
	check(nil, list(a), list(sent))
	check([]netip.Prefix{vip}, list(a), nil)
	check([]netip.Prefix{vip}, nil, list(sent))
	changed := sent
	changed.MED = new(uint32(0))
	check([]netip.Prefix{vip}, list(a), list(changed))
	elsewhere := a
	elsewhere.NextHop = netip.MustParseAddr("192.0.2.11")
	check([]netip.Prefix{vip}, list(elsewhere), list(sent))
	check([]netip.Prefix{vip, other}, list(Announcement{Prefix: other}), list(sent))
	if n := (NeighborState{State: OpenConfirm}); n.InSync() {
		t.Error("in sync without a session")
	}
}
