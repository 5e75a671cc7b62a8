// Package synth_test breaks real connections of the synthetic agent: between
// network namespaces whose routes and links change under it.
package synth_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
	"catchment/internal/pop"
	"catchment/internal/synth"
	"catchment/lab/delay"
)

var quiet = slog.New(slog.DiscardHandler)

// internet returns an empty network, or skips the test where there can be none.
func internet(t *testing.T) *delay.Network {
	t.Helper()
	fail := t.Skip
	if os.Getenv("CI") == "true" {
		fail = t.Fatal
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		fail(err)
	}
	probe, err := delay.NewNamespace()
	if err != nil {
		fail("needs root: ", err)
	}
	probe.Close()
	n, err := delay.New(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// serve runs a PoP at a site, port 80, until the test ends.
func serve(t *testing.T, s *delay.Site, f *edge.Fleet) *prometheus.Registry {
	t.Helper()
	reg := prometheus.NewRegistry()
	server, err := pop.New(pop.Config{PoP: edge.PoPID(s.Name), Fleet: f, Listeners: []pop.Listener{{Addr: ":80"}}}, quiet, reg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Do(server.Listen); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return reg
}

// downloads is how many are under way at a PoP.
func downloads(t *testing.T, reg *prometheus.Registry) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "catchment_pop_downloads" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return 0
}

// first is a sink that keeps the first record and stops the agent.
type first struct {
	once   sync.Once
	stop   context.CancelFunc
	record synth.Download
	err    error
}

func (f *first) Append(line []byte) error {
	f.once.Do(func() {
		f.err = json.Unmarshal(line, &f.record)
		f.stop()
	})
	return nil
}

// watch runs an agent at a site that downloads from one VIP, and returns its
// first record.
func watch(t *testing.T, from *delay.Site, cfg synth.Config, f *edge.Fleet) func() synth.Download {
	ctx, cancel := context.WithCancel(t.Context())
	sink := &first{stop: cancel}
	cfg.Agent, cfg.Concurrency, cfg.Protocols, cfg.Pause, cfg.Looks = "lab", 1, []synth.Protocol{synth.HTTP}, time.Millisecond, -1
	cfg.Dial = func(_ context.Context, d *net.Dialer, network, addr string) (net.Conn, error) {
		return from.Dial(d, network, addr)
	}
	a, err := synth.New(cfg, sink, quiet, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	a.SetFleet(f)
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	return func() synth.Download {
		t.Helper()
		if err := <-done; err != nil || sink.err != nil {
			t.Fatal(err, sink.err)
		}
		return sink.record
	}
}

// Of five connections over four PoPs: one whose route moves is reset at once;
// one whose link is cut stalls; one with both hears of the new PoP only by its
// own keep-alive, 15 s later; one whose path swallows large packets stalls as
// soon as there are any; and one that nothing happens to is well.
func TestSurvival(t *testing.T) {
	n := internet(t)
	addr := netip.MustParseAddr
	moved, cut, both, big, well := addr("198.51.100.1"), addr("198.51.100.2"), addr("198.51.100.3"), addr("198.51.100.4"), addr("198.51.100.5")
	all := &edge.Fleet{Zone: "edge.example", Probe: "probe.edge.example", PoPs: []edge.PoP{{ID: "iad"}, {ID: "lax"}, {ID: "sea"}, {ID: "gru"}}}
	site := func(name string, addrs ...netip.Addr) *delay.Site {
		t.Helper()
		s, err := n.AddSite(name, delay.Link{RTT: 5 * time.Millisecond}, addrs...)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	client := site("client", addr("203.0.113.7"))
	iad, lax := site("iad", addr("192.0.2.10"), moved, well), site("lax", addr("192.0.2.20"), cut)
	sea, gru := site("sea", addr("192.0.2.30"), both), site("gru", addr("192.0.2.40"), moved, both, big)
	at := map[*delay.Site]*prometheus.Registry{}
	for _, s := range []*delay.Site{iad, lax, sea, gru} {
		at[s] = serve(t, s, all)
	}
	swallow := exec.Command("nft", "add table ip lab; add chain ip lab in { type filter hook input priority 0; }; add rule ip lab in ip saddr "+big.String()+" ip length > 1000 drop")
	err := client.Start(swallow)
	if err == nil {
		err = swallow.Wait()
	}
	if err != nil {
		t.Fatalf("nft: %v (tools/setup test installs it)", err)
	}

	over := func(a netip.Addr) *edge.Fleet {
		f := *all
		f.PoPs, f.VIPs = nil, []edge.VIP{{ID: "global", Addresses: []netip.Addr{a}}}
		return &f
	}
	long := synth.Config{Length: 25 * time.Second, Ladder: []time.Duration{25 * time.Second}, BigEvery: -1}
	short := long
	short.Limits.Stall = 3 * time.Second
	bigger := long
	bigger.BigEvery, bigger.Limits.Answer = 1, 3*time.Second
	brief := long
	brief.Length, brief.Ladder = 5*time.Second, []time.Duration{5 * time.Second}

	movedEnd, cutEnd, bothEnd, wellEnd := watch(t, client, long, over(moved)), watch(t, client, short, over(cut)), watch(t, client, long, over(both)), watch(t, client, brief, over(well))
	bigEnd := watch(t, client, bigger, over(big))
	for deadline := time.Now().Add(10 * time.Second); downloads(t, at[iad]) < 2 || downloads(t, at[lax]) < 1 || downloads(t, at[sea]) < 1; {
		if time.Now().After(deadline) {
			t.Fatal("the downloads did not begin")
		}
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(time.Second) // some of the body
	n.Route(client, moved, gru)
	lax.SetLink(delay.Link{Down: true})
	sea.SetLink(delay.Link{Down: true})
	time.Sleep(300 * time.Millisecond) // the last acknowledgment, perhaps a delayed one, must not reach the new PoP
	n.Route(client, both, gru)

	check := func(name string, d synth.Download, kind synth.Kind, pop edge.PoPID, outcome synth.Outcome, errno string, least, most float64) {
		t.Helper()
		t.Logf("figures: %s: %s %s after %.0f ms, of which the last or longest silence was %.0f ms, RTT %.1f ms", name, d.Outcome, d.Errno, d.Duration, d.Gap, d.TCP.RTT)
		if d.Kind != kind || d.PoP != pop || d.Outcome != outcome || d.Errno != errno || d.Gap < least || d.Gap > most {
			t.Errorf("%s: %+v; want %s %s, after a silence of %v to %v ms", name, d, outcome, errno, least, most)
		}
		if d.TCP.RTT < 10 || d.TCP.RTT > 100 || d.VIP != "global" && d.VIP != "" {
			t.Errorf("%s: RTT %v ms, want 10 ms and little more; VIP %q", name, d.TCP.RTT, d.VIP)
		}
	}
	check("route moved", movedEnd(), synth.Slow, "iad", synth.Reset, "ECONNRESET", 1, 1500)
	check("link cut", cutEnd(), synth.Slow, "lax", synth.Stall, "", 3000, 4500)
	check("nothing", wellEnd(), synth.Slow, "iad", synth.OK, "", 1, 1500)
	check("large packets swallowed", bigEnd(), synth.Big, "gru", synth.Stall, "", 3000, 6000)
	check("link cut and route moved", bothEnd(), synth.Slow, "sea", synth.Reset, "ECONNRESET", 14_000, 17_000)
}
