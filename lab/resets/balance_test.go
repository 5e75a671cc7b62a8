package resets_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"catchment/internal/analysis"
	"catchment/internal/edge"
	"catchment/lab/delay"
)

// newRouted has a router between the client and three PoPs, with a link to
// each:
//
//	client 203.0.113.7 ── 203.0.113.1 r 192.0.2.1, .5, .9 ── 192.0.2.2, .6, .10 iad, lax, gru
func newRouted(t *testing.T) (w *world, router *delay.Namespace) {
	t.Helper()
	router = namespace(t)
	link := func(name, here, there string) *delay.Site {
		ns := namespace(t)
		var tid int
		if err := ns.Do(func() error { tid = unix.Gettid(); return nil }); err != nil {
			t.Fatal(err)
		}
		ip(t, router, fmt.Sprintf("link add %s type veth peer name wire netns %d", name, tid), "link set "+name+" up", fmt.Sprintf("addr add %s dev %s", here, name))
		ip(t, ns, "link set wire up", fmt.Sprintf("addr add %s dev wire", there), "route add default via "+netip.MustParsePrefix(here).Addr().String())
		return &delay.Site{Namespace: ns, Name: name}
	}
	w = &world{client: link("client", "203.0.113.1/24", "203.0.113.7/24"), pops: map[edge.PoPID]*site{}}
	for i, id := range []edge.PoPID{"iad", "lax", "gru"} {
		own := netip.AddrFrom4([4]byte{192, 0, 2, byte(4*i + 2)})
		s := link(string(id), fmt.Sprintf("192.0.2.%d/30", 4*i+1), own.String()+"/30")
		ip(t, s.Namespace, fmt.Sprintf("addr add %v/32 dev lo", vip))
		w.pops[id] = &site{Site: s, own: own}
	}
	run(t, router, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv4/fib_multipath_hash_policy")
	w.begin(t, by(edge.ResetsByKernel))
	return w, router
}

func ip(t *testing.T, ns *delay.Namespace, commands ...string) {
	t.Helper()
	for _, c := range commands {
		run(t, ns, "ip", strings.Fields(c)...)
	}
}

// fetch asks for a tiny object a number of times, each over a connection of
// its own, and returns how many answers there were.
func (w *world) fetch(t *testing.T, times int) (answers int) {
	t.Helper()
	for range times {
		conn, err := w.client.Dial(&net.Dialer{Timeout: 2 * time.Second}, "tcp", netip.AddrPortFrom(vip, 80).String())
		if err != nil {
			continue
		}
		_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
		_, err = io.WriteString(conn, "GET /o HTTP/1.1\r\nHost: global-1.probe.edge.example\r\nConnection: close\r\n\r\n")
		if err == nil {
			_, err = conn.Read(make([]byte, 512))
		}
		if err == nil {
			answers++
		}
		conn.Close()
	}
	return answers
}

// A router that spreads the packets of one connection over three PoPs has
// hardly any of its connections survive. That is told from routes that move.
func TestPacketBalancing(t *testing.T) {
	t.Parallel()
	if !permitted(t, edge.ResetsByKernel) {
		return
	}
	w, router := newRouted(t)
	for i, next := range []string{"192.0.2.2", "192.0.2.6", "192.0.2.10"} {
		ip(t, router, fmt.Sprintf("rule add fwmark %d table %d", i+1, 101+i), fmt.Sprintf("route add %v/32 via %s table %d", vip, next, 101+i))
	}
	run(t, router, "nft", fmt.Sprintf("add table ip lab; add chain ip lab in { type filter hook prerouting priority -150; }; add rule ip lab in ip daddr %v meta mark set numgen inc mod 3 offset 1", vip))
	answers := w.fetch(t, 30)
	t.Logf("figures: %d of 30 connections survived packets by turns", answers)
	if answers > 3 {
		t.Errorf("%d of 30 connections survived packets by turns", answers)
	}
	all := w.fence(t)
	at := map[edge.PoPID]uint64{}
	for _, r := range all {
		if r.Reset != nil && r.Reset.Kind == edge.MidFlow && r.Reset.Doubt == edge.NoDoubt {
			at[r.PoP] += r.Reset.Count
		}
	}
	if len(at) < 2 {
		t.Errorf("resets at %v; want several PoPs", at)
	}
	rows := reportOf(all, analysis.ByClient)
	if len(rows) != 1 || rows[0].Balanced != 1 || rows[0].Networks != 1 || rows[0].Resets < 20 {
		t.Errorf("the report has %+v; want one prefix, balanced", rows)
	}
}

// A router that chooses among three PoPs by connection leads none astray.
func TestFlowBalancing(t *testing.T) {
	t.Parallel()
	if !permitted(t, edge.ResetsByKernel) {
		return
	}
	w, router := newRouted(t)
	ip(t, router, fmt.Sprintf("route add %v/32 nexthop via 192.0.2.2 nexthop via 192.0.2.6 nexthop via 192.0.2.10", vip))
	if answers := w.fetch(t, 100); answers != 100 {
		t.Errorf("%d of 100 connections survived", answers)
	}
	if rows := reportOf(w.fence(t)); len(rows) > 0 && rows[0].Resets > 0 {
		t.Errorf("the report has %+v; want no resets", rows)
	}
}
