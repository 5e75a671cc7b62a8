package member

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/announce"
	"catchment/internal/bgp"
	"catchment/internal/edge"
)

var (
	quiet  = slog.New(slog.NewTextHandler(io.Discard, nil))
	router = netip.MustParseAddr("192.0.2.1")
	vip    = netip.MustParsePrefix("198.51.100.0/24")
	own    = netip.MustParsePrefix("192.0.2.0/28")
)

// world is all that is around a member: a router, an interface, a control
// node. What happens is written down in order.
type world struct {
	t  *testing.T
	m  *Member
	mu sync.Mutex
	// all guarded by mu
	story   []string
	told    map[netip.Prefix]string
	cfg     bgp.Config
	setErr  error
	placed  []netip.Addr
	saved   []byte
	control func(s *announce.Status) (announce.Reply, error)
	asked   []announce.Status
	open    int
	load    float64
	closing bool
	first   *edge.Snapshot // nil: of fleet
}

func (w *world) note(format string, args ...any) {
	w.story = append(w.story, fmt.Sprintf(format, args...))
}

// happened returns the story since the last time.
func (w *world) happened() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.story
	w.story = nil
	return s
}

func (w *world) Set(routes []bgp.Route) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.setErr != nil {
		return w.setErr
	}
	told := map[netip.Prefix]string{}
	for _, r := range routes {
		o := r.To[router]
		told[r.Prefix] = fmt.Sprintf("prepend %d, shutdown %t", r.Prepend+o.Prepend, r.GracefulShutdown)
	}
	w.tell(told)
	return nil
}

func (w *world) tell(told map[netip.Prefix]string) {
	for _, p := range slices.SortedFunc(maps.Keys(told), netip.Prefix.Compare) {
		if w.told[p] != told[p] {
			w.note("announce %v, %s", p, told[p])
		}
	}
	for p := range w.told {
		if _, ok := told[p]; !ok {
			w.note("withdraw %v", p)
		}
	}
	w.told = told
}

func (w *world) WithdrawAll() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tell(map[netip.Prefix]string{})
	return nil
}

func (w *world) SetConfig(cfg bgp.Config) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cfg = cfg
	w.note("%d neighbors, %d prefixes", len(cfg.Neighbors), len(cfg.Prefixes))
	return nil
}

func (w *world) Neighbors() []bgp.NeighborState {
	return []bgp.NeighborState{{Address: router, State: bgp.Established}}
}

func (w *world) Run(ctx context.Context) error {
	<-ctx.Done()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tell(map[netip.Prefix]string{})
	return nil
}

// lo is the interface.
type lo struct{ *world }

func (l lo) Set(want []netip.Addr) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range want {
		if !slices.Contains(l.placed, a) {
			l.note("address %v", a)
		}
	}
	for _, a := range l.placed {
		if !slices.Contains(want, a) {
			l.note("no address %v", a)
		}
	}
	l.placed = slices.Clone(want)
	return nil
}

// desk is the control node.
type desk struct{ *world }

func (d desk) Call(_ context.Context, method, path string, body, answer any) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if method != http.MethodPost || path != "/v1/announce" {
		d.t.Errorf("%s %s", method, path)
	}
	s := body.(*announce.Status)
	d.asked = append(d.asked, *s)
	r, err := d.control(s)
	*answer.(*announce.Reply) = r
	return err
}

func grant(s *announce.Status) (r announce.Reply, err error) {
	for _, v := range s.Report.VIPs {
		if v.Asks {
			r.Answers = append(r.Answers, announce.Answer{VIP: v.VIP, Asked: s.Report.Sent, OK: true, For: 30 * time.Second, Why: "1 of 3 may be out"})
		}
	}
	return r, nil
}

func fleet() *edge.Fleet {
	return &edge.Fleet{
		PoPs: []edge.PoP{{
			ID: "iad", UnicastPrefixes: []netip.Prefix{own},
			BGP:    &edge.BGP{ASN: 64500, RouterID: netip.MustParseAddr("192.0.2.10"), Neighbors: []edge.Neighbor{{Address: router, ASN: 64496, Prepend: 1}}},
			Health: []edge.HealthCheck{{Name: "web", Rise: 2, Fall: 2, Every: time.Second, Timeout: time.Second / 2}},
		}},
		VIPs:     []edge.VIP{{ID: "global", Addresses: []netip.Addr{netip.MustParseAddr("198.51.100.1")}, Prefixes: []netip.Prefix{vip}}},
		Announce: edge.Announce{Jitter: edge.NoTime, HoldDown: 5 * time.Second, Drain: edge.Draining{TTL: 10 * time.Second, Settle: 5 * time.Second, Quiet: 5 * time.Second}},
	}
}

// in runs a member in a bubble, with snapshots of fleet.
func in(t *testing.T, w *world, do func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.start()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.m.Run(ctx) }()
		do(w)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func (w *world) start() {
	w.t.Helper()
	if w.control == nil {
		w.control = grant
	}
	w.open, w.load = 12, 300
	m, err := New(Config{PoP: "iad"}, Outside{
		NewSpeaker: func(cfg bgp.Config) (Speaker, error) { w.cfg = cfg; return w, nil },
		Addresses:  lo{w}, Control: desk{w},
		Drain:       func(closing bool) { w.mu.Lock(); w.closing = closing; w.note("closing %t", closing); w.mu.Unlock() },
		Connections: func() int { w.mu.Lock(); defer w.mu.Unlock(); return w.open },
		Load:        func() (float64, bool) { w.mu.Lock(); defer w.mu.Unlock(); return w.load, true },
		Save:        func(b []byte) error { w.mu.Lock(); defer w.mu.Unlock(); w.saved = slices.Clone(b); return nil },
		Saved:       func() ([]byte, error) { w.mu.Lock(); defer w.mu.Unlock(); return w.saved, nil },
	}, quiet, prometheus.NewPedanticRegistry())
	if err != nil {
		w.t.Fatal(err)
	}
	w.m = m
	if w.first == nil {
		w.first = &edge.Snapshot{Fleet: fleet()}
	}
	w.snapshot(w.first)
}

func (w *world) snapshot(s *edge.Snapshot) {
	w.t.Helper()
	if err := w.m.SetSnapshot(s); err != nil {
		w.t.Fatal(err)
	}
}

// checks lets the check give a result each second, for so many.
func (w *world) checks(err error, seconds int) {
	for range seconds {
		w.m.Result(w.t.Context(), "web", err)
		time.Sleep(time.Second)
	}
	synctest.Wait()
}

func (w *world) expect(what string, want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.happened()); diff != "" {
		w.t.Errorf("%s: -want +got\n%s", what, diff)
	}
}

var errDown = errors.New("answers 503")

// TestMembership: the PoP's own prefix at once, the VIP when the service is
// well, gone when it is not and back after the hold-down.
func TestMembership(t *testing.T) {
	in(t, &world{}, func(w *world) {
		synctest.Wait()
		w.expect("start", "address 198.51.100.1", "announce 192.0.2.0/28, prepend 0, shutdown false")
		w.checks(nil, 2)
		w.expect("up", "announce 198.51.100.0/24, prepend 1, shutdown false")
		w.checks(errDown, 1)
		w.expect("one failure")
		w.checks(errDown, 1)
		w.expect("down", "withdraw 198.51.100.0/24")
		w.checks(nil, 5)
		w.expect("held down")
		w.checks(nil, 3)
		w.expect("back", "announce 198.51.100.0/24, prepend 1, shutdown false")
	})
}

// TestEnd: at the end routes go, and addresses stay for the connections there are.
func TestEnd(t *testing.T) {
	w := &world{}
	in(t, w, func(w *world) {
		w.checks(nil, 3)
		w.happened()
	})
	got := w.happened()
	slices.Sort(got)
	if diff := cmp.Diff([]string{"withdraw 192.0.2.0/28", "withdraw 198.51.100.0/24"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestControlAway: who cannot ask stays, degraded; and withdraws once it may.
func TestControlAway(t *testing.T) {
	away := func(*announce.Status) (announce.Reply, error) {
		return announce.Reply{}, errors.New("no route to host")
	}
	in(t, &world{control: away}, func(w *world) {
		w.checks(nil, 3)
		w.happened()
		w.checks(errDown, 3)
		w.expect("down, nobody to ask", "announce 198.51.100.0/24, prepend 4, shutdown true")
		w.mu.Lock()
		w.control = grant
		w.mu.Unlock()
		w.checks(errDown, 4)
		w.expect("the control node is back", "withdraw 198.51.100.0/24")
	})
}

// TestAsksAtOnce: the control node is asked at the first failure, so that its
// answer is there at the last.
func TestAsksAtOnce(t *testing.T) {
	in(t, &world{}, func(w *world) {
		w.checks(nil, 4)
		w.mu.Lock()
		w.asked = nil
		w.mu.Unlock()
		w.m.Result(w.t.Context(), "web", errDown)
		synctest.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.asked) != 1 || !w.asked[0].Report.VIPs[0].Asks {
			t.Errorf("the control node heard %+v", w.asked)
		}
	})
}

// TestDrain follows a drain in the snapshot through its phases, over a restart,
// and back.
func TestDrain(t *testing.T) {
	w := &world{}
	out := func(s *announce.Status) (announce.Reply, error) {
		r, err := grant(s)
		r.DNS = &announce.DNSSeen{Out: true}
		return r, err
	}
	drained := &edge.Snapshot{Fleet: fleet(), Drains: []edge.Drain{{PoP: "iad", Since: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), By: "alice", Why: "disks", Grace: 20 * time.Second}}}
	in(t, w, func(w *world) {
		w.checks(nil, 3)
		w.happened()
		w.snapshot(drained)
		w.checks(nil, 5)
		w.phase(announce.DNSOut)
		w.mu.Lock()
		w.control = out
		w.mu.Unlock()
		w.checks(nil, 17)
		w.phase(announce.Connections)
		w.expect("closing", "closing true")
	})
	w.happened()
	w.first = drained
	in(t, w, func(w *world) { // another life
		w.checks(nil, 1)
		w.phase(announce.Connections)
		w.expect("resumed", "announce 192.0.2.0/28, prepend 0, shutdown false", "announce 198.51.100.0/24, prepend 1, shutdown false", "closing true")
		w.checks(nil, 22)
		w.expect("grace is over", "announce 198.51.100.0/24, prepend 4, shutdown true")
		w.checks(nil, 6)
		w.expect("settled", "withdraw 198.51.100.0/24")
		w.phase(announce.Withdrawn)
		w.mu.Lock()
		w.load = 0
		w.mu.Unlock()
		w.checks(nil, 8)
		w.phase(announce.Drained)
		w.expect("drained", "closing false")

		w.snapshot(&edge.Snapshot{Fleet: fleet()})
		w.mu.Lock()
		w.control = grant
		w.mu.Unlock()
		w.checks(nil, 8)
		w.expect("restored", "announce 198.51.100.0/24, prepend 4, shutdown true", "announce 198.51.100.0/24, prepend 1, shutdown false")
	})
}

func (w *world) phase(want announce.Phase) {
	w.t.Helper()
	if d := w.m.status.Load().Drain; d == nil || d.Phase != want {
		w.t.Errorf("the drain is %+v, want %s", d, want)
	}
}

// TestFleetChanges: another VIP, an exception, and a VIP that goes leave what
// stays alone; an address goes after the route.
func TestFleetChanges(t *testing.T) {
	in(t, &world{}, func(w *world) {
		w.checks(nil, 3)
		w.happened()
		more := fleet()
		more.Announce.Resume = edge.NoTime // a reload is no restart
		more.VIPs = append(more.VIPs, edge.VIP{ID: "emea", Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.1")}, Prefixes: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}})
		w.snapshot(&edge.Snapshot{Fleet: more})
		w.checks(nil, 3)
		w.expect("more", "1 neighbors, 3 prefixes", "address 203.0.113.1", "announce 203.0.113.0/24, prepend 1, shutdown false")
		w.snapshot(&edge.Snapshot{Fleet: more, Announcements: []edge.Announcement{{PoP: "iad", Withdraw: []edge.VIPID{"emea"}, Prepend: map[string]int{"192.0.2.1": 2}}}})
		w.checks(nil, 1)
		w.expect("exceptions", "announce 198.51.100.0/24, prepend 3, shutdown false", "withdraw 203.0.113.0/24")
		w.snapshot(&edge.Snapshot{Fleet: more})
		w.checks(nil, 1)
		w.expect("no exceptions", "announce 198.51.100.0/24, prepend 1, shutdown false", "announce 203.0.113.0/24, prepend 1, shutdown false")
		w.snapshot(&edge.Snapshot{Fleet: fleet()})
		w.checks(nil, 3)
		w.expect("less", "1 neighbors, 2 prefixes", "withdraw 203.0.113.0/24", "no address 203.0.113.1")

		without := fleet()
		without.PoPs[0].BGP = nil
		if err := w.m.SetSnapshot(&edge.Snapshot{Fleet: without}); err == nil || !strings.Contains(err.Error(), "no bgp any more") {
			t.Errorf("without a speaker: %v", err)
		}
		bad := fleet()
		bad.VIPs[0].Prefixes = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
		if err := w.m.SetSnapshot(&edge.Snapshot{Fleet: bad}); err == nil {
			t.Error("the default route was taken")
		}
		w.checks(nil, 3)
		w.expect("what was refused changes nothing")
	})
}

// TestSpeakerFails: what could not be handed over is tried again.
func TestSpeakerFails(t *testing.T) {
	in(t, &world{setErr: errors.New("busy")}, func(w *world) {
		w.checks(nil, 3)
		w.expect("nothing is told", "address 198.51.100.1")
		w.mu.Lock()
		w.setErr = nil
		w.mu.Unlock()
		w.checks(nil, 2)
		w.expect("told", "announce 192.0.2.0/28, prepend 0, shutdown false", "announce 198.51.100.0/24, prepend 1, shutdown false")
	})
}

// TestSocket gives orders at the PoP.
func TestSocket(t *testing.T) {
	in(t, &world{}, func(w *world) {
		w.checks(nil, 3)
		do := func(method, path, body string, want int, holds string) {
			t.Helper()
			r := httptest.NewRecorder()
			w.m.Handler().ServeHTTP(r, httptest.NewRequestWithContext(w.t.Context(), method, path, strings.NewReader(body)))
			if r.Code != want || !strings.Contains(r.Body.String(), holds) {
				t.Errorf("%s %s %s: %d %s", method, path, body, r.Code, r.Body)
			}
		}
		do("POST", "/v1/restore", `{"why":"x"}`, 409, "there is nothing to restore")
		do("POST", "/v1/drain", `{}`, 400, "why: is missing")
		do("POST", "/v1/drain", `{"why":"x","grace":"soon"}`, 400, "grace")
		do("POST", "/v1/drain", `{"why":"x","force":true}`, 400, "force")
		do("POST", "/v1/drain", `{"why":"fire"}`, 204, "")
		do("POST", "/v1/drain", `{"why":"fire"}`, 409, "a drain is under way")
		r := httptest.NewRecorder()
		w.m.Handler().ServeHTTP(r, httptest.NewRequest("GET", "/v1/status", nil))
		var s announce.Status
		if err := json.Unmarshal(r.Body.Bytes(), &s); err != nil || s.Drain == nil || !s.Drain.Local || s.Drain.Why != "fire" {
			t.Errorf("%v: %s", err, r.Body)
		}
		w.checks(nil, 2)
		w.phase(announce.Connections)
		do("POST", "/v1/skip", `{"why":"now"}`, 204, "")
		w.checks(nil, 1)
		w.phase(announce.Settle)
		do("POST", "/v1/abort", `{"why":"out"}`, 204, "")
	})
}

// TestSavedDamaged: a state that cannot be read does not keep the PoP away.
func TestSavedDamaged(t *testing.T) {
	for _, text := range []string{"{", `{"agent":{"format":7}}`, `{"agent":null}`} {
		in(t, &world{saved: []byte(text)}, func(w *world) {
			w.checks(nil, 3)
			if got := w.happened(); !slices.Contains(got, "announce 198.51.100.0/24, prepend 1, shutdown false") {
				t.Errorf("%s: %q", text, got)
			}
		})
	}
}

func TestStateFile(t *testing.T) {
	dir := stateFile(t.TempDir())
	if text, err := dir.read(); text != nil || err != nil {
		t.Error(text, err)
	}
	for _, want := range []string{"one", "another"} {
		if err := dir.write([]byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := dir.read(); string(got) != want || err != nil {
			t.Errorf("%q %v", got, err)
		}
	}
	if err := stateFile("/no/such/directory").write([]byte("x")); err == nil {
		t.Error("written to nowhere")
	}
}
