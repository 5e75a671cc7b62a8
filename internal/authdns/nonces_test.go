package authdns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
)

// takeNothing takes nonces and forgets them.
type takeNothing struct{}

func (takeNothing) TakeNonces(context.Context, []edge.Asked) error { return nil }

// taken keeps what it takes.
type taken struct {
	mu      sync.Mutex
	all     []edge.Asked
	batches int
	err     error
}

func (x *taken) fail(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.err = err
}

// soFar returns what has been taken so far.
func (x *taken) soFar() (all []edge.Asked, batches int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.all, x.batches
}

func (x *taken) TakeNonces(_ context.Context, batch []edge.Asked) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.batches++
	if x.err == nil {
		x.all = append(x.all, batch...)
	}
	return x.err
}

// TestNonces: who asked for which probe name is handed over, with addresses
// cut, and nothing else is.
func TestNonces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &taken{}
		s := newServer(t, func(c *Config) { c.Nonces = to })
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { s.shipNonces(ctx); close(done) }()
		at := time.Now().UTC()
		query := func(qname string, qtype uint16, peer string, options ...[]byte) {
			p := ask(qname, qtype)
			if options != nil {
				p.edns(options...)
			}
			answerOf(s, p.pack(), overUDP, netip.MustParseAddr(peer), at)
		}
		query("global-0A1b.probe.example.net", dns.TypeA, "198.51.100.7")
		query("pop-iad-2c.probe.example.net", dns.TypeAAAA, "2001:db8:1:2::3", ecs("203.0.113.77/32"))
		query("global-3d.probe.example.net", dns.TypeHTTPS, "198.51.100.7", ecs("2001:db8:5:6::/64"))
		query("global-4e.probe.example.net", dns.TypeA, "198.51.100.7", ecs("192.0.0.0/10"))
		query("global-5f.probe.example.net", dns.TypeANY, "198.51.100.7", ecs("0.0.0.0/0")) // slow
		query("www.example.net", dns.TypeA, "198.51.100.7")
		query("pop-fra-6a.probe.example.net", dns.TypeA, "198.51.100.7")
		query("global-.probe.example.net", dns.TypeA, "198.51.100.7")
		want := []edge.Asked{
			{Nonce: "0a1b", Label: "global", At: at, Resolver: netip.MustParsePrefix("198.51.100.0/24")},
			{Nonce: "2c", Label: "pop-iad", At: at, Resolver: netip.MustParsePrefix("2001:db8:1::/48"), Client: netip.MustParsePrefix("203.0.113.0/24")},
			{Nonce: "3d", Label: "global", At: at, Resolver: netip.MustParsePrefix("198.51.100.0/24"), Client: netip.MustParsePrefix("2001:db8:5::/48")},
			{Nonce: "4e", Label: "global", At: at, Resolver: netip.MustParsePrefix("198.51.100.0/24"), Client: netip.MustParsePrefix("192.0.0.0/10")},
			{Nonce: "5f", Label: "global", At: at, Resolver: netip.MustParsePrefix("198.51.100.0/24")},
		}
		time.Sleep(nonceEvery)
		synctest.Wait()
		got, before := to.soFar()
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
			t.Error(diff)
		}
		// Batches are bounded.
		for i := range nonceBatch + 1 {
			query(fmt.Sprintf("global-%d.probe.example.net", i), dns.TypeA, "198.51.100.7")
		}
		time.Sleep(nonceEvery)
		synctest.Wait()
		if all, batches := to.soFar(); batches != before+2 || len(all) != len(want)+nonceBatch+1 {
			t.Errorf("%d nonces in %d batches", len(all), batches-before)
		}
		// What is not taken is dropped, and counted.
		to.fail(errors.New("full"))
		query("global-1.probe.example.net", dns.TypeA, "198.51.100.7")
		time.Sleep(nonceEvery)
		synctest.Wait()
		if got := s.stats.noncesDropped.Load(); got != 1 {
			t.Errorf("%d dropped", got)
		}
		// What is left at the end is handed over.
		to.fail(nil)
		query("global-last.probe.example.net", dns.TypeA, "198.51.100.7")
		cancel()
		<-done
		if all, _ := to.soFar(); all[len(all)-1].Nonce != "last" {
			t.Errorf("the last one is %q", all[len(all)-1].Nonce)
		}
	})
}

// TestNoncesAreBounded: those that find no room are dropped and counted.
func TestNoncesAreBounded(t *testing.T) {
	s := newServer(t, func(c *Config) { c.Nonces = takeNothing{} })
	packet := ask("global-1.probe.example.net", dns.TypeA).pack()
	for range nonceRing + 3 {
		answerOf(s, packet, overUDP, localhost, testTime)
	}
	if n, dropped := s.stats.nonces.Load(), s.stats.noncesDropped.Load(); n != nonceRing || dropped != 3 {
		t.Errorf("%d noted, %d dropped", n, dropped)
	}
}

// TestQueryLog: one of so many queries, with addresses cut.
func TestQueryLog(t *testing.T) {
	var out lockedBuilder
	cfg := exampleConfig(t)
	cfg.LogEvery = 3
	s, err := New(cfg, slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	a := &answerer{Server: s, via: overTLS, stats: s.stats, peer: netip.MustParseAddr("198.51.100.7"), now: testTime, snap: s.current.Load()}
	for range 7 {
		a.slow(nil, a.parse(ask("WWW.example.net", dns.TypeA).edns(ecs("203.0.113.77/32")).pack()))
	}
	a.slow(nil, a.parse((&packetOf{}).pack()))
	a.slow(nil, a.parse((&packetOf{}).pack()))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.logQueries(ctx); close(done) }()
	waitFor(t, func() bool { return strings.Count(out.String(), "\n") == 3 })
	cancel()
	<-done
	line := "level=INFO msg=query qname=www.example.net. qtype=A rcode=NOERROR transport=tls resolver=198.51.100.0/24 client=203.0.113.0/24 scope=26 truncated=false one_of=3\n"
	want := line + line + "level=INFO msg=query qname=. qtype=None rcode=FORMERR transport=tls resolver=198.51.100.0/24 client=\"\" scope=0 truncated=false one_of=3\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
