package resets

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
)

var (
	begin = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	vip4  = netip.MustParseAddr("198.51.100.1")
	vip6  = netip.MustParseAddr("2001:db8:ff::1")
)

func testTally(t *testing.T) *tally {
	t.Helper()
	cfg := Config{PoP: "iad"}
	if err := cfg.setDefaults(); err != nil {
		t.Fatal(err)
	}
	y := newTally(&cfg, begin)
	y.setVIPs(map[netip.Addr]edge.VIPID{vip4: "global", vip6: "global"})
	return y
}

// reset is a segment of a connection that nobody knows.
func reset(client string, port uint16) *event {
	c := netip.MustParseAddrPort(client)
	vip := vip4
	if c.Addr().Is6() {
		vip = vip6
	}
	return &event{what: midFlow, flow: flow{c, netip.AddrPortFrom(vip, port)}, seq: 1, ack: 1, hasSeq: true}
}

// rows are what is handed in, without times and samples.
func rows(b *edge.Resets) map[string]uint64 {
	m := map[string]uint64{}
	for _, r := range b.Resets {
		m[fmt.Sprintf("%s/%s %s %v", r.Kind, r.Doubt, r.VIP, r.Client)] = r.Count
	}
	return m
}

func TestTally(t *testing.T) {
	y := testTally(t)
	warm := begin.Add(3 * time.Minute)
	y.add(reset("203.0.113.7:1000", 443), begin)
	y.add(reset("203.0.113.7:1000", 443), warm)
	y.add(reset("203.0.113.8:1000", 443), warm.Add(time.Second))
	y.add(reset("[2001:db8:c:1::7]:1000", 443), warm)
	closed := reset("203.0.113.7:1001", 443)
	closed.recent = true
	y.add(closed, warm)
	crafted := reset("203.0.113.7:1002", 443)
	crafted.ack = 0
	y.add(crafted, warm)
	late := reset("203.0.113.7:1003", 443)
	late.what, late.ack, late.seq = timedOut, 0, 0
	y.add(late, begin)
	y.add(&event{what: excess, n: 40}, warm)
	elsewhere := reset("203.0.113.7:1000", 443)
	elsewhere.flow.vip = netip.MustParseAddrPort("192.0.2.1:443")
	y.add(elsewhere, warm)
	y.lose(5)
	b := y.take(warm.Add(2 * time.Second))
	want := map[string]uint64{
		"reset/start global 203.0.113.0/24":  1,
		"reset/ global 203.0.113.0/24":       2,
		"reset/ global 2001:db8:c::/48":      1,
		"reset/closed global 203.0.113.0/24": 1,
		"reset/scan global 203.0.113.0/24":   1,
		"timeout/ global 203.0.113.0/24":     1,
		"excess/  invalid Prefix":            40,
	}
	if diff := cmp.Diff(want, rows(b)); diff != "" {
		t.Error(diff)
	}
	if b.Overflow != 5 || !b.From.Equal(begin) || !b.Until.Equal(warm.Add(2*time.Second)) {
		t.Errorf("overflow %d, from %v until %v", b.Overflow, b.From, b.Until)
	}
	for _, r := range b.Resets {
		if r.Kind == edge.MidFlow && r.Doubt == edge.NoDoubt && r.Client.Addr().Is4() && (!r.First.Equal(warm) || !r.Last.Equal(warm.Add(time.Second))) {
			t.Errorf("from %v to %v", r.First, r.Last)
		}
	}
	if b := y.take(warm.Add(3 * time.Second)); len(b.Resets) != 0 || b.Overflow != 0 {
		t.Errorf("again: %+v", b)
	}
}

// Who tries closed ports is a scanner, for a minute, and also in what was
// counted before that was known.
func TestTallyScanner(t *testing.T) {
	y := testTally(t)
	now := begin.Add(time.Hour)
	y.add(reset("203.0.113.7:1000", 443), now)
	for port := uint16(444); port < 447; port++ {
		e := reset("203.0.113.9:1000", port)
		e.what = closedPort
		y.add(e, now)
		y.add(e, now) // the same port again is no other port
	}
	other := reset("192.0.2.7:1000", 444)
	other.what = closedPort
	y.add(other, now)
	y.add(reset("192.0.2.7:1000", 443), now)
	want := map[string]uint64{"reset/scan global 203.0.113.0/24": 1, "reset/ global 192.0.2.0/24": 1}
	if diff := cmp.Diff(want, rows(y.take(now))); diff != "" {
		t.Error(diff)
	}
	y.take(now.Add(scanMemory + time.Second))
	y.add(reset("203.0.113.7:1000", 443), now.Add(scanMemory+2*time.Second))
	want = map[string]uint64{"reset/ global 203.0.113.0/24": 1}
	if diff := cmp.Diff(want, rows(y.take(now.Add(scanMemory+3*time.Second)))); diff != "" {
		t.Error(diff)
	}
}

// Samples are of different connections, few, hashed with the key of the day in
// which the batch began, and the same at another PoP.
func TestTallySamples(t *testing.T) {
	y := testTally(t)
	now := begin.Add(time.Hour)
	today := edge.DayOf(now)
	y.add(reset("203.0.113.7:1000", 443), now)
	if b := y.take(now); b.Key != 0 || len(b.Resets[0].Flows) != 0 {
		t.Errorf("without a key there are samples: %+v", b)
	}
	key := edge.FlowBits{1, 2, 3}
	y.setKeys([]edge.FlowKey{{Day: today, Key: key}, {Day: today + 1, Key: edge.FlowBits{4}}, {Day: today + 9}}, today)
	for port := uint16(1); port <= 20; port++ {
		for range 2 {
			y.add(reset(fmt.Sprintf("203.0.113.7:%d", port), 443), now)
		}
	}
	b := y.take(now)
	if got := b.Resets[0].Flows; b.Key != today || len(got) != edge.MaxResetFlows || got[1] != reset("203.0.113.7:2", 443).flow.hash(key) || got[1] == got[2] {
		t.Errorf("key %v, samples %v", b.Key, got)
	}
	if _, ok := y.key(today + 9); ok {
		t.Error("a key of another time was taken")
	}
	y.setKeys(nil, today+2)
	if _, ok := y.key(today); ok {
		t.Error("an old key was kept")
	}
}

// A flood from everywhere is counted, but takes no more memory.
func TestTallyBounds(t *testing.T) {
	y := testTally(t)
	now := begin.Add(time.Hour)
	for i := range 100_000 {
		a := netip.AddrFrom4([4]byte{byte(i >> 16), byte(i >> 8), byte(i), 1}).String()
		y.add(reset(a+":1000", 443), now)
		e := reset(a+":1000", 444)
		e.what = closedPort
		y.add(e, now)
	}
	if n := len(y.scanners); n > mostScanners {
		t.Errorf("%d scanners", n)
	}
	b := y.take(now)
	if len(b.Resets) != edge.MaxResets || b.Overflow != 100_000-edge.MaxResets {
		t.Errorf("%d rows, overflow %d", len(b.Resets), b.Overflow)
	}
}
