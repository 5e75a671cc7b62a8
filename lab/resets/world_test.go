// Package resets_test breaks real connections between network namespaces, and
// looks at what the PoPs' reset watchers make of it.
package resets_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"catchment/internal/edge"
	"catchment/internal/pop"
	"catchment/internal/resetlog"
	"catchment/internal/resets"
	"catchment/internal/tokens"
	"catchment/lab/delay"
)

var (
	quiet  = slog.New(slog.DiscardHandler)
	vip    = netip.MustParseAddr("198.51.100.1")
	vip6   = netip.MustParseAddr("2001:db8:ff::1")
	client = []netip.Addr{netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8:c::7")}
	fleet  = &edge.Fleet{
		Zone: "edge.example", Probe: "probe.edge.example", PoPs: []edge.PoP{{ID: "iad"}, {ID: "lax"}, {ID: "gru"}},
		VIPs: []edge.VIP{{ID: "global", Addresses: []netip.Addr{vip, vip6}}},
	}
)

// world is a client, PoPs that all have the VIP, and a control node.
type world struct {
	*delay.Network
	client *delay.Site
	pops   map[edge.PoPID]*site
	data   string // the control node's
	log    *resetlog.Log
}

type site struct {
	*delay.Site
	own     netip.Addr
	watcher *resets.Watcher
}

// skip leaves a test out where the machine cannot run it, which in CI is a
// failure.
func skip(t *testing.T, why ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why...)
	}
	t.Skip(why...)
}

// by is a watcher in a hurry, whose warm-up is over before anything happens.
func by(m edge.ResetMethod) resets.Config {
	return resets.Config{Method: m, Every: 100 * time.Millisecond, Look: 20 * time.Millisecond, Warmup: time.Nanosecond}
}

// permitted reports whether a method can be used on this machine. It is no
// failure, not even in CI, where a container lacks the capabilities for it.
func permitted(t *testing.T, method edge.ResetMethod) bool {
	t.Helper()
	w, err := resets.New(resets.Config{PoP: "iad", Method: method}, nil, quiet, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.SetFleet(fleet)
	err = w.Open()
	if errors.Is(err, unix.EPERM) || errors.Is(err, os.ErrNotExist) || errors.Is(err, ebpf.ErrNotSupported) { // the latter two: no BTF
		t.Log("left out: ", err)
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := w.Run(ctx); err != nil { // closes it
		t.Error(err)
	}
	return true
}

// newWorld has a network where the client's packets to the VIP go to one PoP,
// the first until to says otherwise.
func newWorld(t *testing.T, cfg resets.Config, pops ...edge.PoPID) *world {
	t.Helper()
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		skip(t, err)
	}
	namespace(t) // or skip
	n, err := delay.New(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	w := &world{Network: n, pops: map[edge.PoPID]*site{}}
	if w.client, err = n.AddSite("client", delay.Link{RTT: time.Millisecond}, client...); err != nil {
		t.Fatal(err)
	}
	for i, id := range pops {
		own := netip.AddrFrom4([4]byte{192, 0, 2, byte(10 * (i + 1))})
		s, err := n.AddSite(string(id), delay.Link{RTT: 4 * time.Millisecond}, own, vip, vip6)
		if err != nil {
			t.Fatal(err)
		}
		w.pops[id] = &site{Site: s, own: own}
	}
	w.begin(t, cfg)
	return w
}

func namespace(t *testing.T) *delay.Namespace {
	t.Helper()
	ns, err := delay.NewNamespace()
	if err != nil {
		skip(t, "needs root: ", err)
	}
	t.Cleanup(ns.Close)
	return ns
}

// begin runs the control node, and every PoP's objects and watcher.
func (w *world) begin(t *testing.T, cfg resets.Config) {
	t.Helper()
	w.data = t.TempDir()
	var list strings.Builder
	for id := range w.pops {
		fmt.Fprintf(&list, "pop %s %s\n", id, tokenOf(id))
	}
	known, _, err := tokens.Parse(strings.NewReader(list.String()))
	if err != nil {
		t.Fatal(err)
	}
	if w.log, err = resetlog.New(resetlog.Config{Dir: w.data, Tokens: known, MinFreeBytes: 1}, nil, quiet, nil); err != nil {
		t.Fatal(err)
	}
	for id := range w.pops {
		w.serve(t, id)
		w.watch(t, id, cfg)
	}
}

func tokenOf(id edge.PoPID) string { return fmt.Sprintf("%s-0123456789abcdefghijkl", id) }

// until runs a service until the test ends.
func until(t *testing.T, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// serve runs a PoP's objects on port 80.
func (w *world) serve(t *testing.T, id edge.PoPID) {
	t.Helper()
	server, err := pop.New(pop.Config{PoP: id, Fleet: fleet, Listeners: []pop.Listener{{Addr: ":80"}}}, quiet, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.pops[id].Do(server.Listen); err != nil {
		t.Fatal(err)
	}
	until(t, server.Run)
}

// watch runs a PoP's watcher.
func (w *world) watch(t *testing.T, id edge.PoPID, cfg resets.Config) {
	t.Helper()
	s := w.pops[id]
	cfg.PoP = id
	var err error
	if s.watcher, err = resets.New(cfg, &caller{w.log.Handler(), tokenOf(id)}, quiet, prometheus.NewRegistry()); err != nil {
		t.Fatal(err)
	}
	s.watcher.SetFleet(fleet)
	if err := s.Do(s.watcher.Open); err != nil {
		t.Fatal(err)
	}
	if got := s.watcher.Status(); got.Method != cfg.Method {
		t.Fatalf("watches by %+v; want %s", got, cfg.Method)
	}
	until(t, s.watcher.Run)
}

// caller is a PoP's way to the control node, without a network between.
type caller struct {
	to    http.Handler
	token string
}

func (c *caller) Call(ctx context.Context, method, path string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r := httptest.NewRequestWithContext(ctx, method, path, bytes.NewReader(text))
	r.Header.Set("Authorization", "Bearer "+c.token)
	out := httptest.NewRecorder()
	c.to.ServeHTTP(out, r)
	if out.Code != http.StatusOK {
		return fmt.Errorf("%d: %s", out.Code, out.Body)
	}
	return json.Unmarshal(out.Body.Bytes(), answer)
}

// to leads the client's packets to a PoP.
func (w *world) to(id edge.PoPID) {
	for _, a := range []netip.Addr{vip, vip6} {
		w.Route(w.client, a, w.pops[id].Site)
	}
}

// download begins a slow download over the VIP, and returns how it ends once
// some of it has come.
func (w *world) download(t *testing.T, addr netip.Addr) <-chan error {
	t.Helper()
	alive := net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second}
	conn, err := w.client.Dial(&net.Dialer{Timeout: 5 * time.Second, KeepAliveConfig: alive}, "tcp", netip.AddrPortFrom(addr, 80).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, "GET /slow?seconds=60 HTTP/1.1\r\nHost: global-1.probe.edge.example\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	end := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, conn)
		end <- err
	}()
	return end
}

// records returns what the control node keeps.
func (w *world) records(t *testing.T) (all []edge.ResetRecord) {
	t.Helper()
	for r, err := range resetlog.Read(w.data, time.Time{}, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, *r)
	}
	return all
}

// eventually waits for what the control node keeps to be as wanted.
func (w *world) eventually(t *testing.T, what string, ok func([]edge.ResetRecord) bool) []edge.ResetRecord {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		all := w.records(t)
		if ok(all) {
			return all
		}
		if time.Now().After(end) {
			t.Fatalf("no %s; there is only\n%s", what, show(all))
		}
	}
}

func show(all []edge.ResetRecord) string {
	var b strings.Builder
	for i := range all[:min(len(all), 10)] {
		text, _ := json.Marshal(&all[i])
		b.Write(append(text, '\n'))
	}
	return b.String()
}

// run runs a command in a namespace.
func run(t *testing.T, ns *delay.Namespace, name string, args ...string) {
	t.Helper()
	var text bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &text, &text
	err := ns.Start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, text.String())
	}
}
