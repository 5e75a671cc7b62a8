package synth

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"catchment/internal/edge"
)

// measured are the fields that differ from run to run.
var measured = cmpopts.IgnoreFields(Download{}, "ID", "Start", "Connect", "Duration", "Gap", "Stalls", "TCP", "Lagged")

var prefixes = cmpopts.EquateComparable(netip.Prefix{})

func TestSlow(t *testing.T) {
	t.Parallel()
	cert, pool := certificate(t, "*.probe.edge.example", "www.edge.example")
	port, tlsPort, _, _ := servePoP(t, cert)
	a, out, _ := newAgent(t, Config{Port: port, TLSPort: tlsPort, RootCAs: pool, MaxPart: 2 * time.Second})
	base := Download{
		V: 1, Agent: "test", Kind: Slow, Target: "pop:iad", Address: "127.0.0.1", Family: 4,
		Local: netip.MustParsePrefix("127.0.0.0/24"), Outcome: OK, PoP: "iad", PoPEnd: "iad",
		Length: 1000, Bytes: 400,
	}
	with := func(f func(*Download)) Download { d := base; f(&d); return d }
	cases := []struct {
		name, addr string
		target     Target
		protocol   Protocol
		length     time.Duration
		want       Download
	}{
		{"control", "127.0.0.1", "pop:iad", HTTP, time.Second, with(func(d *Download) { d.Asked, d.Spoke = HTTP, "http/1.1" })},
		{"IPv6", "::1", "pop:iad", HTTP, time.Second, with(func(d *Download) {
			d.Asked, d.Spoke, d.Address, d.Family, d.Local = HTTP, "http/1.1", "::1", 6, netip.MustParsePrefix("::/48")
		})},
		{"VIP over TLS", "127.0.0.2", "vip:global", HTTPS, time.Second, with(func(d *Download) {
			d.Asked, d.Spoke, d.TLS, d.Target, d.Address, d.VIP = HTTPS, "http/1.1", "TLS 1.3", "vip:global", "127.0.0.2", "global"
		})},
		{"HTTP/2", "127.0.0.2", "vip:global", HTTP2, time.Second, with(func(d *Download) {
			d.Asked, d.Spoke, d.TLS, d.Target, d.Address, d.VIP = HTTP2, "h2", "TLS 1.3", "vip:global", "127.0.0.2", "global"
		})},
		{"longer than a part", "127.0.0.1", "pop:iad", HTTP, 3 * time.Second, with(func(d *Download) {
			d.Asked, d.Spoke, d.Length, d.Bytes = HTTP, "http/1.1", 3000, 1200
		})},
		{"longer than a part, HTTP/2", "127.0.0.1", "pop:iad", HTTP2, 3 * time.Second, with(func(d *Download) {
			d.Asked, d.Spoke, d.TLS, d.Length, d.Bytes = HTTP2, "h2", "TLS 1.3", 3000, 1200
		})},
	}
	var all sync.WaitGroup
	for _, c := range cases {
		all.Go(func() { a.slow(t.Context(), routeTo(t, a, c.target, c.addr, c.protocol), c.length) })
	}
	all.Wait()
	if out.err != nil {
		t.Fatal(out.err)
	}
	for _, c := range cases {
		found := 0
		for _, got := range out.all {
			if got.Asked != c.want.Asked || got.Address != c.want.Address || got.Length != c.want.Length {
				continue
			}
			found++
			if d := cmp.Diff(c.want, got, measured, prefixes); d != "" {
				t.Errorf("%s (-want +got):\n%s", c.name, d)
			}
			if got.Duration < got.Length || got.Duration > got.Length+5000 {
				t.Errorf("%s: lasted %v ms", c.name, got.Duration)
			}
			if got.Gap < 100 || got.Gap > got.Duration {
				t.Errorf("%s: longest silence %v ms, between bytes that come every 250 ms", c.name, got.Gap)
			}
			if got.TCP == nil || got.TCP.RTT <= 0 || got.TCP.MSS == 0 {
				t.Errorf("%s: TCP_INFO %+v", c.name, got.TCP)
			}
		}
		if found != 1 {
			t.Errorf("%s: %d records", c.name, found)
		}
	}
}

// A PoP that stops sends the rest at once: no failure, and no more was seen
// than was seen.
func TestHurried(t *testing.T) {
	t.Parallel()
	port, _, reg, stop := servePoP(t, nil)
	a, out, _ := newAgent(t, Config{Port: port, MaxPart: 2 * time.Second})
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.slow(context.Background(), routeTo(t, a, "pop:iad", "127.0.0.1", HTTP), 4*time.Second)
	}()
	for sent(t, reg) == 0 {
		time.Sleep(time.Millisecond)
	}
	stop()
	<-done
	if d := out.one(t, Slow); d.Outcome != OK || !d.Hurried || d.Duration > 3000 || d.Bytes != 800 {
		t.Errorf("%+v, want ok, hurried, all 800 bytes of the first part", d)
	}
}

// sent is how many answers a PoP has begun.
func sent(t *testing.T, reg *prometheus.Registry) int {
	t.Helper()
	n, err := testutil.GatherAndCount(reg, "catchment_pop_requests_total")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The whole agent: many slots, every route, records of each kind; and what is
// under way when it is stopped has lived so far.
func TestRun(t *testing.T) {
	t.Parallel()
	port, _, _, _ := servePoP(t, nil)
	a, out, reg := newAgent(t, Config{
		Port: port, Protocols: []Protocol{HTTP}, Concurrency: 150, Looks: 2, BigEvery: 3,
		Length: time.Second, Ladder: []time.Duration{2 * time.Second}, Pause: 10 * time.Millisecond,
		Limits: Limits{Connect: 10 * time.Second, Answer: 10 * time.Second, Stall: 10 * time.Second},
	})
	a.SetFleet(world())
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(4*time.Second, cancel) // a deadline would be the dialer's, too
	if err := a.Run(ctx); err != nil {
		t.Fatal(err)
	}
	type key struct {
		Kind    Kind
		Target  Target
		AF      int
		Outcome Outcome
	}
	seen, ids := map[key]int{}, map[string]bool{}
	for _, d := range out.all {
		seen[key{d.Kind, d.Target, d.Family, d.Outcome}]++
		if ids[d.ID] {
			t.Errorf("id %s twice", d.ID)
		}
		ids[d.ID] = true
		switch {
		case d.Outcome != OK && d.Outcome != Stopped:
			t.Errorf("%+v", d)
		case d.Outcome == OK && d.PoP != "iad":
			t.Errorf("PoP %q", d.PoP)
		case d.Kind == Big && d.Outcome == OK && d.Bytes != bigBytes:
			t.Errorf("%d bytes of a big object", d.Bytes)
		case d.Kind == Look && d.Outcome == OK && !cmp.Equal(d.Served, []edge.PoPID{"iad", "iad"}):
			t.Errorf("a look saw %v", d.Served)
		}
	}
	for _, k := range []Kind{Slow, Look, Big} {
		for _, r := range []struct {
			target Target
			af     int
		}{{"vip:global", 4}, {"pop:iad", 4}, {"pop:iad", 6}} {
			if seen[key{k, r.target, r.af, OK}] == 0 {
				t.Errorf("no %s download from %s over IPv%d", k, r.target, r.af)
			}
		}
	}
	if seen[key{Slow, "vip:global", 4, Stopped}] == 0 {
		t.Error("no download was stopped")
	}
	// Half of the downloads go over VIPs.
	over, control := seen[key{Slow, "vip:global", 4, OK}], seen[key{Slow, "pop:iad", 4, OK}]+seen[key{Slow, "pop:iad", 6, OK}]
	if over < control/2 || control < over/2 {
		t.Errorf("%d over VIPs, %d controls", over, control)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
	if n := testutil.ToFloat64(a.metrics.connections); n != 0 {
		t.Errorf("%v connections left", n)
	}
}

func TestRecordJSON(t *testing.T) {
	d := Download{
		V: 1, ID: "0-1", Agent: "a", Kind: Slow, Start: time.Unix(1790000000, 0).UTC(), Target: VIPTarget("global"),
		Address: "198.51.100.1", Family: 4, Asked: HTTP, Outcome: Reset, Stage: Body, Errno: "ECONNRESET", PoP: "iad",
	}
	line, err := appendJSON(nil, &d)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"v":1,"id":"0-1","agent":"a","kind":"slow","start":"2026-09-21T14:13:20Z","target":"vip:global","address":"198.51.100.1","af":4,"asked":"http","outcome":"reset","stage":"body","errno":"ECONNRESET","pop":"iad","bytes":0}`
	if string(line) != want {
		t.Errorf("got  %s\nwant %s", line, want)
	}
	var b strings.Builder
	lines := NewLines(&b)
	for range 2 {
		if err := lines.Append(line); err != nil {
			t.Fatal(err)
		}
	}
	for l := range strings.Lines(b.String()) {
		var back Download
		if err := json.Unmarshal([]byte(l), &back); err != nil || !cmp.Equal(back, d, prefixes) {
			t.Errorf("%q reads back as %+v, %v", l, back, err)
		}
	}
}
