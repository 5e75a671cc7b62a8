package control_test

import (
	"context"
	"encoding/pem"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/control"
	"catchment/internal/edge"
	"catchment/internal/follow"
	"catchment/internal/health"
	"catchment/internal/steer"
	"catchment/internal/tokens"
)

var quiet = slog.New(slog.DiscardHandler)

type noPlaces struct{}

func (noPlaces) All() iter.Seq2[netip.Prefix, edge.Place] {
	return func(func(netip.Prefix, edge.Place) bool) {}
}
func (noPlaces) Version() string { return "none" }

// site is a control node over real TLS, and what its followers need.
type site struct {
	t      *testing.T
	ctl    *control.Control
	server *httptest.Server
	dir    string
	stop   func()
}

func newSite(t *testing.T, dir string) *site {
	t.Helper()
	known, _, err := tokens.Parse(strings.NewReader("dns ns1 ns1-ns1-ns1-ns1-ns1-ns1\npop iad iad-iad-iad-iad-iad-iad\noperator alice alice-alice-alice-alice\n"))
	if err != nil {
		t.Fatal(err)
	}
	fleet := &edge.Fleet{
		Zone: "edge.example",
		PoPs: []edge.PoP{
			{ID: "iad", Unicast: []netip.Addr{netip.MustParseAddr("192.0.2.10")}},
			{ID: "lax", Unicast: []netip.Addr{netip.MustParseAddr("192.0.2.20")}},
		},
		Services: []edge.Service{{Name: "www.edge.example", Scheme: edge.Unicast, TTL: 30 * time.Second}},
	}
	ctl, err := control.New(control.Config{Dir: dir, Places: noPlaces{}, Tokens: known}, fleet, quiet, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- ctl.Run(ctx) }()
	mux := http.NewServeMux()
	mux.Handle("/v1/", ctl.Handler())
	mux.Handle("/api/v1/", ctl.API())
	server := httptest.NewUnstartedServer(mux)
	server.Config.ReadTimeout, server.Config.WriteTimeout = 2*time.Second, 2*time.Second // as a public listener's, shorter
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.Config.RegisterOnShutdown(ctl.Release)
	server.StartTLS()
	s := &site{t: t, ctl: ctl, server: server, dir: t.TempDir()}
	s.write("ca", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	for _, who := range []string{"ns1", "iad"} {
		s.write(who, strings.TrimSuffix(strings.Repeat(who+"-", 6), "-"))
	}
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		ctl.Release()
		server.CloseClientConnections()
		server.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := ctl.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(s.stop)
	return s
}

func (s *site) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) client(who string) *follow.Client {
	s.t.Helper()
	c, err := follow.NewClient(s.server.URL, filepath.Join(s.dir, who), filepath.Join(s.dir, "ca"))
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *site) drain(pop string) {
	s.t.Helper()
	q := httptest.NewRequest("PUT", "/api/v1/drains/"+pop, strings.NewReader(`{"why":"test"}`))
	q.Header.Set("Authorization", "Bearer alice-alice-alice-alice")
	w := httptest.NewRecorder()
	s.ctl.API().ServeHTTP(w, q)
	if w.Code != 200 {
		s.t.Fatal(w.Code, w.Body)
	}
}

// startFollower follows until it is stopped, and hands over what it applies.
func startFollower(t *testing.T, client *follow.Client, file string) (_ <-chan *edge.Snapshot, stop func()) {
	t.Helper()
	applied := make(chan *edge.Snapshot, 1000)
	f, err := follow.New(client, file, func(s *edge.Snapshot) error {
		if _, err := steer.Compile(s, nil); err != nil {
			return err
		}
		applied <- s
		return nil
	}, quiet, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := f.First(ctx); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(stop)
	return applied, stop
}

// next waits for a snapshot that is as wanted.
func next(t *testing.T, from <-chan *edge.Snapshot, what string, good func(*edge.Snapshot) bool) *edge.Snapshot {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case s := <-from:
			if good(s) {
				return s
			}
		case <-timeout:
			t.Fatalf("no snapshot with %s", what)
		}
	}
}

// TestPublishAndFollow goes over real TLS: a change reaches a follower, also
// after a wait beyond the listener's timeouts; a PoP's own report does; and
// when the control node is gone for good, a follower still starts.
func TestPublishAndFollow(t *testing.T) {
	s := newSite(t, t.TempDir())
	file := filepath.Join(t.TempDir(), "snapshot.json")
	applied, stop := startFollower(t, s.client("ns1"), file)
	first := <-applied
	time.Sleep(2500 * time.Millisecond) // above ReadTimeout and WriteTimeout of the listener
	s.drain("lax")
	next(t, applied, "the drain", func(x *edge.Snapshot) bool { return len(x.Drains) == 1 && x.Version == first.Version+1 })

	r, err := health.NewReporter("iad", 50*time.Millisecond, s.client("iad"), quiet, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetFleet(first.Fleet)
	ctx, cancel := context.WithCancel(t.Context())
	reporting := make(chan error)
	go func() { reporting <- r.Run(ctx) }()
	last := next(t, applied, "the PoP's health", func(x *edge.Snapshot) bool {
		return len(x.Health) == 1 && x.Health[0].PoP == "iad" && x.Health[0].State == edge.Up
	})
	cancel()
	<-reporting

	client := s.client("ns1")
	stop()
	s.stop()
	again, _ := startFollower(t, client, file)
	if got := <-again; got.Version != last.Version || len(got.Drains) != 1 {
		t.Errorf("started with %+v", got)
	}
}

// TestRestoredControl: a control node whose state was lost publishes above
// what followers have, so that they go on.
func TestRestoredControl(t *testing.T) {
	file := filepath.Join(t.TempDir(), "snapshot.json")
	s := newSite(t, t.TempDir())
	applied, stop := startFollower(t, s.client("ns1"), file)
	s.drain("iad")
	before := next(t, applied, "the drain", func(x *edge.Snapshot) bool { return len(x.Drains) == 1 })
	stop()
	s.stop()

	s = newSite(t, t.TempDir())
	applied, _ = startFollower(t, s.client("ns1"), file)
	got := next(t, applied, "a higher version", func(x *edge.Snapshot) bool { return x.Version > before.Version })
	if len(got.Drains) != 0 {
		t.Errorf("%+v", got)
	}
}
