package pop

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

func TestPrefixOf(t *testing.T) {
	f := func(addr, want string) {
		t.Helper()
		if got := prefixOf(netip.MustParseAddr(addr)); got.String() != want {
			t.Errorf("%s: %v, want %s", addr, got, want)
		}
	}
	f("203.0.113.7", "203.0.113.0/24")
	f("2001:db8:7:8::9", "2001:db8:7::/48")
	if got := prefixOf(netip.Addr{}); got.IsValid() {
		t.Errorf("no address has prefix %v", got)
	}
}

func TestGateForgets(t *testing.T) {
	g := newGate(10, 2)
	for i := range 100 {
		p := prefixOf(netip.AddrFrom4([4]byte{203, 0, byte(i), 1}))
		if full := g.enter(p); full != "" {
			t.Fatalf("network %d: %s is full", i, full)
		}
		g.leave(p)
	}
	if len(g.active) != 0 || g.n != 0 {
		t.Errorf("%d networks and %d things are kept after all have left", len(g.active), g.n)
	}
}

func TestBudgetIsBounded(t *testing.T) {
	b := newBudget(10, time.Minute)
	now := time.Unix(1_790_000_000, 0)
	network := func(i int) netip.Prefix {
		a := [16]byte{0x20, 0x01}
		binary.BigEndian.PutUint32(a[2:], uint32(i))
		return prefixOf(netip.AddrFrom16(a))
	}
	for i := range maxSpenders {
		if wait := b.spend(now, network(i), 1); wait != 0 {
			t.Fatalf("network %d waits %v", i, wait)
		}
	}
	if wait := b.spend(now.Add(time.Second), network(maxSpenders), 1); wait != 59*time.Second {
		t.Errorf("one network too many waits %v", wait)
	}
	if wait := b.spend(now.Add(time.Second), network(0), 9); wait != 0 {
		t.Errorf("a known network waits %v", wait)
	}
	if len(b.spent) != maxSpenders {
		t.Errorf("%d networks are kept", len(b.spent))
	}
	if wait := b.spend(now.Add(time.Minute), network(maxSpenders), 10); wait != 0 {
		t.Errorf("a minute later it still waits %v", wait)
	}
}
