package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"catchment/internal/announce"
	"catchment/internal/edge"
	"catchment/internal/follow"
)

const operateFleet = `zone: edge.example
pops:
  - id: iad
    place: {country: US, lat: 38.95, lon: -77.45}
    unicast: [192.0.2.10]
    capacity: 1000
    bgp: {asn: 64500, router_id: 192.0.2.10, neighbors: [{address: 192.0.2.1, asn: 64496}]}
    health: [{http: "http://127.0.0.1/healthz"}]
  - id: fra
    place: {country: DE, lat: 50.03, lon: 8.57}
    unicast: [192.0.2.30]
    capacity: 1000
    bgp: {asn: 64500, router_id: 192.0.2.30, neighbors: [{address: 192.0.2.2, asn: 64497}]}
    health: [{http: "http://127.0.0.1/healthz"}]
vips:
  - {id: global, addresses: [198.51.100.1], prefixes: [198.51.100.0/24]}
services:
  - {name: www.edge.example, scheme: unicast}
`

const (
	operatorToken = "operator-alice-0123456789"
	nsToken       = "dns-ns1-0123456789012345"
	iadToken      = "pop-iad-0123456789012345"
	fraToken      = "pop-fra-0123456789012345"
)

// agent is a PoP with the rules of package announce, whose neighbors are told
// at once.
type agent struct {
	mu     sync.Mutex
	agent  *announce.Agent   // guarded by mu
	status announce.Status   // guarded by mu
	seen   announce.Seen     // guarded by mu; nothing but these conditions of phases is made up
	events []announce.Event  // guarded by mu
	skip   announce.Phase    // guarded by mu
	order  []*announce.Order // guarded by mu
	wants  bool              // guarded by mu: a drain, as the snapshot says
}

var agentPrefix = netip.MustParsePrefix("198.51.100.0/24")

func newAgent(t *testing.T, id edge.PoPID) *agent {
	t.Helper()
	a, err := announce.New(announce.Config{
		PoP: id, Checks: []announce.Check{{Name: "web", Rise: 1, Fall: 1, Every: time.Minute, Timeout: time.Minute}},
		VIPs:  []announce.VIP{{ID: "global", Prefixes: []netip.Prefix{agentPrefix}}},
		Drain: announce.Draining{TTL: 30 * time.Millisecond, Settle: 30 * time.Millisecond, Quiet: 30 * time.Millisecond, Grace: time.Minute, Verify: time.Minute},
	}, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &agent{agent: a}
}

// step takes what happened, and returns what to tell.
func (a *agent) step(in announce.Input) announce.Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	in.Seen = &announce.Seen{Version: a.seen.Version, Connections: a.seen.Connections, DNS: a.seen.DNS}
	if len(a.order) > 0 {
		in.Order, a.order = a.order[0], a.order[1:]
	}
	out := a.agent.Step(time.Now(), in)
	a.seen.Version = out.Version
	a.events = append(a.events, out.Events...)
	sent := []announce.Sent{}
	for _, w := range out.Wanted {
		if w.Announced {
			sent = append(sent, announce.Sent{Prefix: w.Prefix, GracefulShutdown: w.GracefulShutdown, Prepend: w.Prepend})
		}
	}
	a.status = announce.Status{
		Report: out.Report, Drain: out.Drain, Wanted: out.Wanted, Events: a.events, Connections: a.seen.Connections, Traffic: 0,
		Neighbors: []announce.Neighbor{{Address: netip.MustParseAddr("192.0.2.1"), ASN: 64496, State: "established", Sent: sent}},
	}
	return a.status
}

// run lives until ctx is done: it tells the control node how it is, and follows.
func (a *agent) run(ctx context.Context, t *testing.T, client *follow.Client, id edge.PoPID) {
	in := announce.Input{Results: []announce.Result{{Check: "web", OK: true}}}
	for ; ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		status := a.step(in)
		in = announce.Input{}
		if client == nil {
			continue
		}
		var reply announce.Reply
		if err := client.Call(ctx, http.MethodPost, "/v1/announce", &status, &reply); err != nil {
			if ctx.Err() == nil {
				t.Error(err)
			}
			return
		}
		in.Answers = reply.Answers
		a.mu.Lock()
		a.seen.DNS = reply.DNS
		if s := reply.Skip; s != nil && s.Phase != a.skip {
			a.order, a.skip = append(a.order, &announce.Order{Do: announce.DoSkip, Why: s.Why}), s.Phase
		}
		a.mu.Unlock()
	}
}

// apply follows the drains of snapshots.
func (a *agent) apply(id edge.PoPID) func(*edge.Snapshot) error {
	return func(s *edge.Snapshot) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		why, wants := "", false
		for _, d := range s.Drains {
			if d.PoP == id && !d.Ending {
				wants, why = true, d.Why
			}
		}
		switch {
		case wants && !a.wants:
			a.order = append(a.order, &announce.Order{Do: announce.DoDrain, Why: why})
		case !wants && a.wants:
			a.order = append(a.order, &announce.Order{Do: announce.DoRestore, Why: "as told"})
		}
		a.wants = wants
		return nil
	}
}

func (a *agent) connections(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen.Connections = n
}

// operated is a control node with a name server and two PoPs.
type operated struct {
	t          *testing.T
	serve      *running
	admin      string
	token      string
	data, ca   string
	stopNS     context.CancelFunc
	iad        *agent
	controlURL string
}

func operate(t *testing.T) *operated {
	t.Helper()
	cert, key := loopbackCert(t)
	o := &operated{t: t, data: t.TempDir(), token: file(t, "token", operatorToken), ca: cert}
	o.serve = start(
		t, "serve", "--fleet", file(t, "fleet.yaml", operateFleet), "--data", o.data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
		"--control", "127.0.0.1:0", "--control-cert", cert, "--control-key", key, "--measured-days", "0",
		"--tokens", file(t, "tokens", "operator alice "+operatorToken+"\ndns ns1 "+nsToken+"\npop iad "+iadToken+"\npop fra "+fraToken+"\n"),
	)
	o.admin = "http://" + o.serve.find(`msg=listening .*admin=(\S+)`)
	o.controlURL = "https://" + o.serve.find(`msg=listening .*control=(\S+)`)
	nothing := func(*edge.Snapshot) error { return nil }
	o.stopNS = o.follow(nsToken, nothing)
	for id, token := range map[edge.PoPID]string{"iad": iadToken, "fra": fraToken} {
		a := newAgent(t, id)
		if id == "iad" {
			o.iad = a
		}
		o.follow(token, a.apply(id))
		client := o.client(token)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); a.run(ctx, t, client, id) }()
		t.Cleanup(func() { cancel(); <-done })
		if err := client.Post(t.Context(), "/v1/health", edge.HealthReport{State: edge.Up}); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) { // until both have told what they announce
		_, text := ask(t, "GET", o.admin+"/api/v1/pops", operatorToken, "")
		if strings.Count(text, `"announced":true,"counts":false,"healthy":true`) == 2 {
			return o
		}
		if time.Now().After(deadline) {
			t.Fatalf("the PoPs do not announce:\n%s", text)
		}
	}
}

func (o *operated) client(token string) *follow.Client {
	o.t.Helper()
	client, err := follow.NewClient(o.controlURL, file(o.t, "token", token), o.ca)
	if err != nil {
		o.t.Fatal(err)
	}
	return client
}

// follow applies snapshots until it is stopped.
func (o *operated) follow(token string, apply func(*edge.Snapshot) error) context.CancelFunc {
	o.t.Helper()
	f, err := follow.New(o.client(token), filepath.Join(o.t.TempDir(), "snapshot.json"), apply, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		o.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(o.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = f.Run(ctx) }()
	stop := func() { cancel(); <-done }
	o.t.Cleanup(stop)
	return stop
}

// run runs a command against the control node, and wants a status.
func (o *operated) run(want int, args ...string) (out, said string) {
	o.t.Helper()
	return runOf(o.t, want, append(args, "--control", o.admin, "--token-file", o.token)...)
}

func runOf(t *testing.T, want int, args ...string) (out, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var a, b bytes.Buffer
	if got := run(ctx, stdio{nil, &a, &b}, args); got != want {
		t.Fatalf("%v: %d, want %d\n%s%s", args, got, want, a.String(), b.String())
	}
	return a.String(), b.String()
}

// inOrder checks that a text has all of some, one after the other.
func inOrder(t *testing.T, text string, want ...string) {
	t.Helper()
	rest := text
	for _, w := range want {
		_, after, ok := strings.Cut(rest, w)
		if !ok {
			t.Fatalf("no %q, in order, in\n%s", w, text)
		}
		rest = after
	}
}

// TestDrainCommand drains a PoP over a control node: attached again after an
// interruption, and restored.
func TestDrainCommand(t *testing.T) {
	o := operate(t)
	o.iad.connections(12)
	drain := start(t, "drain", "iad", "--why", "new disks", "--grace", "90s", "--control", o.admin, "--token-file", o.token)
	drain.find(`iad: connections: 12 connections are open`)
	drain.cancel()
	if status := <-drain.done; status != exitFailed {
		t.Errorf("interrupted: %d", status)
	}
	inOrder(t, drain.err.String(), "drain ordered: new disks", "drain ordered (new disks): now dns-out",
		"phase dns-out over: all name servers leave the PoP out: now ttl", "now connections", "interrupted: the drain goes on; the same command attaches again")

	out, _ := o.run(exitOK, "pops")
	inOrder(t, out, "POP", "STATE", "iad", "up", "?/1000", "1/1", "1/1", "connections: 12 connections are open (graceful-shutdown by ", "fra", "up", "?/1000", "1/1", "1/1")
	again := start(t, "drain", "iad", "--control", o.admin, "--token-file", o.token)
	again.find(`a drain is under way: new disks`)
	o.iad.connections(0)
	if status := <-again.done; status != exitOK {
		t.Errorf("%d %s", status, again.err.String())
	}
	inOrder(t, again.err.String(), "now graceful-shutdown", "global: ", "now settle", "now withdrawn", "now drained", "iad: drained")

	out, _ = o.run(exitOK, "pops", "iad")
	inOrder(t, out, "drained: new disks", "PREFIX", "198.51.100.0/24", "global", "no", "-", "drained (new disks)", "NEIGHBOR", "192.0.2.1", "64496", "established", "VIP", "global", "not announced", "drained")
	out, _ = o.run(exitOK, "pops", "--format", "json")
	var all []popState
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 2 || all[0].Ordered.Grace != 90*time.Second || all[0].phase() != announce.Drained {
		t.Errorf("%v %s", err, out)
	}

	_, said := o.run(exitRefused, "drain", "fra")
	if !strings.Contains(said, "the fleet would be left without a PoP that is up and not drained; give --force if that is meant") {
		t.Error(said)
	}
	_, said = o.run(exitRefused, "drain", "iad", "--skip")
	if !strings.Contains(said, "iad is drained") {
		t.Error(said)
	}
	_, said = o.run(exitOK, "restore", "iad", "--why", "disks are in")
	inOrder(t, said, "restore ordered: disks are in", "now reannounce", "now settle-back", "now prefer", "now dns-in", "now in service", "iad: in service")
	_, said = o.run(exitRefused, "restore", "iad")
	if !strings.Contains(said, `there is no drain "iad"`) {
		t.Error(said)
	}
}

// TestDrainSkipsAndAborts: a name server that is gone holds a drain up until
// the phase is skipped; the drain is then aborted.
func TestDrainSkipsAndAborts(t *testing.T) {
	o := operate(t)
	o.iad.connections(3)
	o.run(exitOK, "drain", "iad", "--no-wait")
	again := start(t, "drain", "iad", "--control", o.admin, "--token-file", o.token)
	again.find(`iad: connections: 3 connections are open`)
	_, said := o.run(exitOK, "drain", "iad", "--abort", "--why", "changed my mind")
	inOrder(t, said, "restore ordered: changed my mind", "restore ordered in phase connections", "now dns-in", "iad: in service")
	if status := <-again.done; status != exitFailed || !strings.Contains(again.err.String(), "the drain was ended by somebody else") {
		t.Errorf("%d %s", status, again.err.String())
	}

	o.stopNS()
	third := start(t, "drain", "iad", "--control", o.admin, "--token-file", o.token)
	third.find(`dns-out: name servers that do not leave the PoP out yet: ns1`)
	_, said = o.run(exitOK, "drain", "iad", "--skip", "--why", "ns1 is gone")
	inOrder(t, said, "phase dns-out is to be skipped")
	third.find(`phase dns-out skipped by order \(ns1 is gone\)`)
	o.iad.connections(0)
	if status := <-third.done; status != exitOK {
		t.Errorf("%d %s", status, third.err.String())
	}
}

// TestShedCommand: shares and exceptions add up, and end.
func TestShedCommand(t *testing.T) {
	o := operate(t)
	object := func(path string, code int) string {
		t.Helper()
		got, text := ask(t, "GET", o.admin+"/api/v1/"+path, operatorToken, "")
		if got != code {
			t.Errorf("%s: %d %s, want %d", path, got, text, code)
		}
		return text
	}
	_, said := o.run(exitOK, "shed", "iad", "--share", "20%", "--why", "hot")
	inOrder(t, said, "iad gives up 20% of its clients")
	if text := object("sheds/iad", 200); !strings.Contains(text, `"share":0.2,`) || !strings.Contains(text, `"why":"hot"`) {
		t.Error(text)
	}
	_, said = o.run(exitOK, "shed", "iad", "--withdraw", "global", "--prepend", "192.0.2.1=2")
	inOrder(t, said, "iad withdraws global, prepends 2 to 192.0.2.1")
	out, _ := o.run(exitOK, "pops")
	inOrder(t, out, "iad", "sheds 20%: hot; withdraws global, prepends 2 to 192.0.2.1")
	_, said = o.run(exitRefused, "shed", "fra", "--withdraw", "global")
	inOrder(t, said, "no other PoP announces global and finds it well; give --force")
	_, said = o.run(exitOK, "shed", "iad", "--announce", "global")
	inOrder(t, said, "iad prepends 2 to 192.0.2.1")
	_, said = o.run(exitOK, "shed", "iad", "--prepend", "192.0.2.1=0")
	inOrder(t, said, "iad announces as ever")
	object("announcements/iad", 404)
	_, said = o.run(exitOK, "shed", "iad", "--end")
	inOrder(t, said, "iad sheds nothing any more")
	object("sheds/iad", 404)
	o.run(exitRefused, "shed", "iad", "--end")
}

// TestBackupCommand: a new control node goes on from what was written.
func TestBackupCommand(t *testing.T) {
	o := operate(t)
	o.run(exitOK, "drain", "iad", "--no-wait", "--why", "kept")
	data := t.TempDir()
	to := filepath.Join(data, "control.db")
	_, said := o.run(exitOK, "control", "backup", "--out", to)
	inOrder(t, said, to, "bytes")
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	again := start(
		t, "serve", "--fleet", file(t, "fleet.yaml", operateFleet), "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
		"--measured-days", "0", "--tokens", file(t, "tokens", "operator alice "+operatorToken+"\n"),
	)
	admin := "http://" + again.find(`msg=listening .*admin=(\S+)`)
	if code, text := ask(t, "GET", admin+"/api/v1/drains/iad", operatorToken, ""); code != 200 || !strings.Contains(text, "kept") {
		t.Error(code, text)
	}
	again.stop()
	o.run(exitFailed, "control", "backup", "--out", filepath.Join(data, "none", "control.db"))
}

// TestLocal: without a control node a drain is ordered at the PoP.
func TestLocal(t *testing.T) {
	a := newAgent(t, "iad")
	a.connections(2)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); a.run(ctx, t, nil, "iad") }()
	t.Cleanup(func() { cancel(); <-done })

	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		_ = json.NewEncoder(w).Encode(&a.status)
	})
	mux.HandleFunc("POST /v1/{do}", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Why, Grace string }
		if text, err := io.ReadAll(r.Body); err != nil || json.Unmarshal(text, &body) != nil || body.Why == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.status.Drain == nil && r.PathValue("do") != "drain" {
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"error":"there is nothing to restore, the PoP is in service"}`)
			return
		}
		grace, _ := time.ParseDuration(body.Grace)
		a.order = append(a.order, &announce.Order{Do: announce.Do(r.PathValue("do")), Local: true, Why: body.Why, Grace: grace})
	})
	socket := filepath.Join(t.TempDir(), "pop.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })

	drain := start(t, "drain", "--local", socket, "--why", "control is dead", "--grace", "1h")
	drain.find("connections: 2 connections are open")
	if out, _ := runOf(t, exitOK, "pops", "--local", socket, "--format", "json"); !strings.Contains(out, `"phase":"connections"`) {
		t.Error(out)
	}
	a.mu.Lock()
	if left := time.Until(a.status.Drain.Until); left < 50*time.Minute {
		t.Errorf("connections have %v", left)
	}
	a.mu.Unlock()
	_, said := runOf(t, exitOK, "drain", "iad", "--local", socket, "--skip")
	inOrder(t, said, "phase connections is to be skipped")
	if status := <-drain.done; status != exitOK {
		t.Errorf("%d %s", status, drain.err.String())
	}
	inOrder(t, drain.err.String(), "drain ordered: control is dead", "skipped: ordered at the PoP", "phase connections skipped by order", "now drained", "iad: drained")
	out, _ := runOf(t, exitOK, "pops", "--local", socket)
	inOrder(t, out, "iad", "-", "?/?", "0/0", "1/1", "0s ago", "drained: control is dead")
	runOf(t, exitRefused, "drain", "fra", "--local", socket)
	_, said = runOf(t, exitOK, "restore", "--local", socket)
	inOrder(t, said, "now reannounce", "iad: in service")
	_, said = runOf(t, exitRefused, "restore", "--local", socket)
	inOrder(t, said, "there is nothing to restore")
}

func TestOperateUsage(t *testing.T) {
	f := func(want int, args ...string) {
		t.Helper()
		runOf(t, want, args...)
	}
	token := file(t, "token", operatorToken)
	f(exitUsage, "drain", "--token-file", token)
	f(exitUsage, "drain", "iad")
	f(exitUsage, "drain", "iad", "fra", "--token-file", token)
	f(exitUsage, "drain", "iad", "--abort", "--skip", "--token-file", token)
	f(exitUsage, "drain", "iad", "--local", "x", "--token-file", token)
	f(exitUsage, "drain", "iad", "--local", "x", "--force")
	f(exitUsage, "drain", "iad", "--grace", "-1s", "--token-file", token)
	f(exitFailed, "drain", "iad", "--local", filepath.Join(t.TempDir(), "none.sock"))
	f(exitUsage, "restore", "--token-file", token)
	f(exitUsage, "shed", "iad", "--token-file", token)
	f(exitUsage, "shed", "iad", "--share", "1.2", "--token-file", token)
	f(exitUsage, "shed", "iad", "--share", "20%", "--end", "--token-file", token)
	f(exitUsage, "shed", "iad", "--prepend", "router=1", "--token-file", token)
	f(exitUsage, "shed", "iad", "--prepend", "192.0.2.1=11", "--token-file", token)
	f(exitUsage, "pops", "iad", "fra", "--token-file", token)
	f(exitUsage, "pops", "--format", "xml", "--token-file", token)
	f(exitUsage, "control", "backup", "--token-file", token)
	f(exitUsage, "control", "restore")
	f(exitRefused, "pops", "--control", "http://192.0.2.1", "--token-file", token)
}
