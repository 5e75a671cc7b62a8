package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"catchment/internal/edge"
)

const steeringFleet = `zone: edge.example
pops:
  - {id: iad, place: {country: US, lat: 38.95, lon: -77.45}, unicast: [192.0.2.10]}
  - {id: fra, place: {country: DE, lat: 50.03, lon: 8.57}, unicast: [192.0.2.30]}
services:
  - {name: www.edge.example, scheme: unicast}
`

// logged is a command's stderr, in which a test finds addresses.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// running is a command that runs until it is stopped.
type running struct {
	t      *testing.T
	err    logged
	cancel context.CancelFunc
	done   chan int
}

func start(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{t: t, cancel: cancel, done: make(chan int, 1)}
	go func() { r.done <- run(ctx, stdio{strings.NewReader(""), io.Discard, &r.err}, args) }()
	t.Cleanup(cancel)
	return r
}

// find waits until the command has logged something, and returns what the
// pattern's group is.
func (r *running) find(pattern string) string {
	r.t.Helper()
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if m := re.FindStringSubmatch(r.err.String()); m != nil {
			return m[len(m)-1]
		}
	}
	r.t.Fatalf("no %q in\n%s", pattern, r.err.String())
	return ""
}

func (r *running) stop() {
	r.t.Helper()
	r.cancel()
	if status := <-r.done; status != exitOK {
		r.t.Errorf("exit status %d:\n%s", status, r.err.String())
	}
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// loopbackCert makes a certificate for 127.0.0.1.
func loopbackCert(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		file(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}

// ask sends an operator's request.
func ask(t *testing.T, method, url, token, body string) (int, string) {
	t.Helper()
	q, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestControlNode runs the whole: a control node, a PoP that follows it and
// reports to it, an operator who drains and asks why; then the control node is
// gone, and the PoP starts anew all the same.
func TestControlNode(t *testing.T) {
	const operator, pop = "operator-alice-0123456789", "pop-iad-0123456789012345"
	cert, key := loopbackCert(t)
	fleet, data := file(t, "fleet.yaml", steeringFleet), t.TempDir()
	places := file(t, "places.csv", "prefix,country,lat,lon\n203.0.113.0/24,DE,52,13\n")
	serve := start(
		t, "serve", "--fleet", fleet, "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
		"--control", "127.0.0.1:0", "--control-cert", cert, "--control-key", key, "--places", places,
		"--tokens", file(t, "tokens", "operator alice "+operator+"\npop iad "+pop+"\n"),
	)
	admin := "http://" + serve.find(`msg=listening .*admin=(\S+)`)
	control := "https://" + serve.find(`msg=listening .*control=(\S+)`)
	serve.find(`msg="measurements read" orders=0`)

	popData := t.TempDir()
	popArgs := []string{
		"pop", "--pop", "iad", "--follow", control, "--token-file", file(t, "token", pop), "--ca", cert,
		"--data", popData, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
	}
	follower := start(t, popArgs...)
	follower.find(`msg=listening .*admin=(\S+)`)
	serve.find(`msg="health changed" pop=iad state=up`)
	follower.find(`msg="snapshot applied" version=2`)

	if code, text := ask(t, "PUT", admin+"/api/v1/drains/fra", operator, `{"why":"disks"}`); code != 200 {
		t.Fatal(code, text)
	}
	follower.find(`msg="snapshot applied" version=3`)
	query := []string{"explain", "--client", "203.0.113.7", "--service", "www.edge.example"}
	explain := func(want string, args ...string) {
		t.Helper()
		var out, errs bytes.Buffer
		if status := run(t.Context(), stdio{nil, &out, &errs}, append(query[:len(query):len(query)], args...)); status != exitOK {
			t.Fatalf("%v: %d %s", args, status, errs.String())
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("%v: no %q in\n%s", args, want, out.String())
		}
	}
	explain("left out: drained: disks", "--control", admin, "--token-file", file(t, "token", operator))
	explain(`"pop":"iad","scheme":"unicast"`, "--control", admin, "--token-file", file(t, "token", operator), "--format", "json")

	follower.stop()
	serve.stop()
	follower = start(t, popArgs...)
	metrics := "http://" + follower.find(`msg=listening .*admin=(\S+)`) + "/metrics"
	if _, text := ask(t, "GET", metrics, "", ""); !strings.Contains(text, `catchment_snapshot_source{source="disk"} 1`) || !strings.Contains(text, "catchment_snapshot_version 3") {
		t.Errorf("did not start from disk:\n%s", text)
	}
	follower.stop()
	snapshot := filepath.Join(popData, "snapshot.json")
	explain("left out: drained: disks", "--snapshot", snapshot)
	explain("192.0.2.10: PoP iad", "--snapshot", snapshot, "--places", places)
	explain("192.0.2.30: PoP fra", "--fleet", fleet, "--places", places) // which knows of no drain

	again := start(
		t, "serve", "--fleet", fleet, "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
		"--tokens", file(t, "tokens", "viewer victor "+operator+"\n"), "--measured-days", "0",
	)
	admin = "http://" + again.find(`msg=listening .*admin=(\S+)`)
	again.find(`msg="snapshot published" version=(\d+)`)
	var kept edge.Snapshot
	if code, text := ask(t, "GET", admin+"/api/v1/snapshot", operator, ""); code != 200 || json.Unmarshal([]byte(text), &kept) != nil {
		t.Fatal(code, text)
	}
	if kept.Version < 3 || len(kept.Drains) != 1 || len(kept.Health) != 1 {
		t.Errorf("after a restart: %+v", kept)
	}
	again.stop()
}

func TestSteeringUsage(t *testing.T) {
	f := func(want int, args ...string) {
		t.Helper()
		var errs bytes.Buffer
		if got := run(t.Context(), stdio{nil, io.Discard, &errs}, args); got != want {
			t.Errorf("%v: %d %s, want %d", args, got, errs.String(), want)
		}
	}
	fleet := file(t, "fleet.yaml", steeringFleet)
	f(exitUsage, "pop", "--pop", "iad")
	f(exitUsage, "pop", "--pop", "iad", "--fleet", fleet, "--follow", "https://control.example")
	f(exitUsage, "pop", "--pop", "iad", "--follow", "https://control.example", "--data", "x")
	f(exitUsage, "pop", "--pop", "iad", "--fleet", fleet, "--token-file", "x")
	f(exitRefused, "pop", "--pop", "nrt", "--fleet", fleet)
	f(exitRefused, "pop", "--pop", "iad", "--follow", "http://control.example", "--data", t.TempDir(), "--token-file", "x")
	f(exitUsage, "serve", "--fleet", fleet, "--data", "x", "--shed-low", "0.8")
	f(exitUsage, "serve", "--fleet", fleet, "--data", "x", "--shed-low", "0.8", "--shed-high", "0.8")
	f(exitUsage, "explain", "--service", "www.edge.example", "--fleet", fleet)
	f(exitUsage, "explain", "--client", "192.0.2.1", "--service", "www.edge.example", "--fleet", fleet, "--control", "x")
	f(exitUsage, "explain", "--client", "192.0.2.1", "--service", "www.edge.example", "--control", "http://127.0.0.1:1", "--token-file", "x", "--places", "y")
	f(exitUsage, "explain", "--client", "192.0.2.1.1", "--service", "www.edge.example", "--fleet", fleet)
	f(exitFailed, "explain", "--client", "192.0.2.1", "--service", "ftp.edge.example", "--fleet", fleet)
	f(exitRefused, "explain", "--client", "192.0.2.1", "--service", "www.edge.example", "--snapshot", fleet)
	f(exitRefused, "explain", "--client", "192.0.2.1", "--service", "www.edge.example", "--control", "http://192.0.2.1", "--token-file", "x")
}

// TestSourceFile: a file is read again on SIGHUP, and one that is refused
// changes nothing.
func TestSourceFile(t *testing.T) {
	path := file(t, "fleet.yaml", steeringFleet)
	var first atomic.Uint64
	apply := func(s *edge.Snapshot) error {
		if len(s.Fleet.PoPs) == 1 {
			return errors.New("one is too few")
		}
		first.CompareAndSwap(0, s.Version)
		return nil
	}
	src := sourceFlags{fleet: path}
	var lines logged
	s, err := src.open(t.Context(), nil, slog.New(slog.NewTextHandler(&lines, nil)), nil, apply)
	if err != nil || first.Load() != 1 {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	guard := make(chan os.Signal, 1) // a hang-up before the service listens must not end the test
	signal.Notify(guard, syscall.SIGHUP)
	defer signal.Stop(guard)
	hangup := func(text, pattern string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < 2000 && !strings.Contains(lines.String(), pattern); i++ {
			if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Millisecond)
		}
		if !strings.Contains(lines.String(), pattern) {
			t.Fatalf("no %q in\n%s", pattern, lines.String())
		}
	}
	hangup(steeringFleet, "version=2")
	hangup("zone: x\n", "steering not reloaded")
	hangup(strings.Replace(steeringFleet, "  - {id: fra", "  # {id: fra", 1), "one is too few")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
