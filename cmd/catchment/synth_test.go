package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
	"catchment/internal/fleet"
	"catchment/internal/pop"
	"catchment/internal/synth"
)

const synthFleet = `
zone: edge.example
probe: probe.edge.example
pops:
  - {id: iad, place: {country: US, lat: 38.95, lon: -77.45}, unicast: [127.0.0.1]}
vips:
  - {id: global, addresses: [127.0.0.2], prefixes: [127.0.0.2/32]}
services:
  - {name: www.edge.example, scheme: global}
`

// notify is an output that says when it has so many lines.
type notify struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	lines int
	full  func()
}

func (n *notify) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.buf.Write(b)
	if bytes.Count(n.buf.Bytes(), []byte("\n")) >= n.lines {
		n.full()
	}
	return len(b), nil
}

// synthWorld writes the fleet file and runs its PoP on loopback.
func synthWorld(t *testing.T) (file string, port string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "fleet.yaml")
	if err := os.WriteFile(file, []byte(synthFleet), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := fleet.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	server, err := pop.New(pop.Config{PoP: "iad", Fleet: f, Listeners: []pop.Listener{{Addr: "0.0.0.0:0"}}},
		slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-served })
	return file, fmt.Sprint(server.Addrs()[0].(*net.TCPAddr).Port)
}

func TestSynth(t *testing.T) {
	file, port := synthWorld(t)
	run, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	out, log := &notify{lines: 12, full: stop}, &bytes.Buffer{}
	err := runSynth(run, stdio{nil, out, log}, []string{
		"--fleet", file, "--admin", "127.0.0.1:0", "--agent", "lab", "--protocols", "http", "--families", "4",
		"--port", port, "--length", "1s", "--ladder", "1s", "--pause", "1ms", "--concurrent", "4",
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	seen := map[synth.Target]bool{}
	for line := range strings.Lines(out.buf.String()) {
		var d synth.Download
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatal(err)
		}
		if d.Outcome.Failed() || d.Agent != "lab" {
			t.Errorf("%+v", d)
		}
		seen[d.Target] = true
	}
	if !seen["vip:global"] || !seen["pop:iad"] {
		t.Errorf("targets %v\n%s", seen, log)
	}
}

// With a control node: its fleet is followed, and what it does not take at
// first, it gets later.
func TestSynthFollows(t *testing.T) {
	file, port := synthWorld(t)
	world, err := fleet.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	const token = "0123456789abcdef0123456789abcdef"
	var mu sync.Mutex
	calls, got := 0, map[string]synth.Download{}
	control := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("%s without the token", r.URL.Path)
		}
		switch {
		case r.URL.Path == "/v1/snapshot" && r.FormValue("after") == "0":
			w.Header().Set("ETag", `"1"`)
			json.NewEncoder(w).Encode(&edge.Snapshot{Version: 1, Made: time.Now(), Fleet: world})
		case r.URL.Path == "/v1/snapshot":
			<-r.Context().Done()
		case r.Method == http.MethodPost && r.URL.Path == "/v1/downloads":
			mu.Lock()
			defer mu.Unlock()
			if calls++; calls == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			var batch []synth.Download
			if err := json.NewDecoder(r.Body).Decode(&batch); err != nil {
				t.Error(err)
			}
			for _, d := range batch {
				got[d.ID] = d
			}
			if len(got) > 12 {
				stop()
			}
		default:
			t.Errorf("%s %s", r.Method, r.URL)
		}
	}))
	defer control.Close()
	dir := t.TempDir()
	ca, key := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "token")
	if err := errors.Join(
		os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: control.Certificate().Raw}), 0o600),
		os.WriteFile(key, []byte(token), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	log := &bytes.Buffer{}
	err = runSynth(ctx, stdio{nil, log, log}, []string{
		"--follow", control.URL, "--token-file", key, "--ca", ca, "--data", filepath.Join(dir, "data"), "--admin", "127.0.0.1:0",
		"--protocols", "http", "--families", "4", "--port", port, "--length", "1s", "--ladder", "1s", "--pause", "1ms", "--concurrent", "4",
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	mu.Lock()
	defer mu.Unlock()
	if calls < 2 || len(got) <= 12 {
		t.Errorf("%d records in %d calls\n%s", len(got), calls, log)
	}
	for _, d := range got {
		if d.Outcome.Failed() || d.Outcome == synth.OK && d.PoP != "iad" {
			t.Errorf("%+v", d)
		}
	}
}

func TestSynthUsage(t *testing.T) {
	for _, c := range []struct {
		args, want string
	}{
		{"", "want exactly one of --follow, --fleet and --snapshot"},
		{"--fleet f --families 5", `--families: "5": want 4, 6, or both`},
		{"--fleet f --concurrent 0", "--concurrent: 0 is not at least 1"},
		{"--fleet f --protocols ftp", `protocols: "ftp" is none`},
		{"--fleet f --length 1500ms", "length: 1.5s is not a whole number of seconds"},
		{"--fleet f --port 70000", "want 1 to 65535"},
	} {
		var said bytes.Buffer
		err := runSynth(t.Context(), stdio{nil, &said, &said}, strings.Fields(c.args))
		if !errors.Is(err, errUsage) || !strings.Contains(said.String(), c.want) {
			t.Errorf("%s: %v\n%s", c.args, err, said.String())
		}
	}
}
