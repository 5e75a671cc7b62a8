package beacon

import (
	"net/netip"
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	l, err := newLimiter(Limit{PerMinute: 60, Burst: 3})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_790_000_000, 0)
	const key = 7
	f := func(n int, want time.Duration) {
		t.Helper()
		if got := l.take(key, n, now); got != want {
			t.Errorf("take(%d) = %v, want %v", n, got, want)
		}
	}
	f(1, 0)
	f(2, 0)
	f(1, time.Second)
	f(3, 3*time.Second)
	now = now.Add(1500 * time.Millisecond)
	f(1, 0)
	f(1, 500*time.Millisecond) // being refused costs nothing
	now = now.Add(time.Hour)
	f(4, time.Second) // more than the bucket holds
	f(3, 0)           // no more than a full bucket after a long silence
	f(1, time.Second)

	for _, bad := range []Limit{{0, 1}, {-1, 1}, {60, 0}, {60, 2e6}, {1e-3, 1}} {
		if _, err := newLimiter(bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// TestLimiterFlood sends from many more prefixes than the table has room for:
// one that was over its limit still is, unless its place was needed.
func TestLimiterFlood(t *testing.T) {
	l, err := newLimiter(Limit{PerMinute: 1, Burst: 10})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_790_000_000, 0)
	const greedy = 1 << 40
	if wait := l.take(greedy, 10, now); wait != 0 {
		t.Fatal(wait)
	}
	for key := range uint64(4 * capSets * capWays) {
		if wait := l.take(key+1, 1, now); wait != 0 {
			t.Fatalf("prefix %d waits %v for its first beacon", key, wait)
		}
	}
	if wait := l.take(greedy, 1, now); wait == 0 {
		t.Error("the fullest debt was forgotten before lesser ones")
	}
}

func TestCapKey(t *testing.T) {
	key := func(s string) uint64 { return capKey(netip.MustParseAddr(s)) }
	if key("203.0.113.7") != key("203.0.113.200") || key("203.0.113.7") == key("203.0.112.7") {
		t.Error("IPv4 is not limited by /24")
	}
	if key("2001:db8:1:2::3") != key("2001:db8:1:ffff::") || key("2001:db8:1::") == key("2001:db8:2::") {
		t.Error("IPv6 is not limited by /48")
	}
	capKey(netip.Addr{}) // does not panic
}

func BenchmarkLimiter(b *testing.B) {
	l, err := newLimiter(DefaultBeaconLimit)
	if err != nil {
		b.Fatal(err)
	}
	now := time.Unix(1_790_000_000, 0)
	b.ReportAllocs()
	var key uint64
	for b.Loop() {
		key++
		l.take(key%50_000, 1, now)
	}
}
