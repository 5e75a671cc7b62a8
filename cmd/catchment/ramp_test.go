package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

const rampFleet = `zone: edge.example
pops:
  - {id: iad, place: {country: US, lat: 38.95, lon: -77.45}, unicast: [192.0.2.10]}
  - {id: fra, place: {country: DE, lat: 50.03, lon: 8.57}, unicast: [192.0.2.30]}
vips:
  - {id: global, addresses: [198.51.100.1], prefixes: [198.51.100.0/24]}
services:
  - {name: www.edge.example, scheme: unicast}
`

const rampFile = `id: us
service: www.edge.example
from: unicast
to: global
guardrails: [{metric: optimal}]
geographies:
  - {id: il, subdivisions: [US-IL]}
  - {id: ny, subdivisions: [US-NY]}
`

// An operator declares a ramp, looks at it, and takes it back, with a control
// node that runs, and one that was started anew.
func TestRampCommands(t *testing.T) {
	fleet, data := file(t, "fleet.yaml", rampFleet), filepath.Join(t.TempDir(), "data")
	tokens := file(t, "tokens", "operator alice alice-alice-alice-alice\nviewer victor victor-victor-victor-victor\n")
	alice, victor := file(t, "alice", "alice-alice-alice-alice"), file(t, "victor", "victor-victor-victor-victor")
	serve := func() (*running, string) {
		r := start(t, "serve", "--fleet", fleet, "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--tokens", tokens, "--measured-days", "0")
		return r, "http://" + r.find(`admin=(127\.0\.0\.1:\d+)`)
	}
	r, at := serve()
	r.find("(snapshot published)")
	f := func(want int, contains string, args ...string) string {
		t.Helper()
		var out, err bytes.Buffer
		token := alice
		if args[0] == "victor" {
			token, args = victor, args[1:]
		}
		args = append([]string{"ramp"}, args...)
		if args[1] != "check" {
			args = append(args, "--control", at, "--token-file", token)
		}
		got := run(t.Context(), stdio{strings.NewReader(""), &out, &err}, args)
		if all := out.String() + err.String(); got != want || !strings.Contains(all, contains) {
			t.Errorf("%v: status %d\n%s\nwant %d with %q", args, got, all, want, contains)
		}
		return out.String()
	}
	plan := file(t, "us.yaml", rampFile)
	f(exitOK, "", "check", plan)
	f(exitRefused, "bad.yaml:4: to: ", "check", file(t, "bad.yaml", strings.Replace(rampFile, "global", "somewhere", 1)))
	f(exitUsage, "--why", "start", plan)
	f(exitFailed, "403", "victor", "start", plan, "--why", "x")
	f(exitRefused, "no service", "start", file(t, "x.yaml", strings.Replace(rampFile, "www.edge", "x.edge", 1)), "--why", "x")
	f(exitOK, "there are no ramps", "status")
	f(exitOK, "begins after 72h", "start", plan, "--why", "try it")
	f(exitRefused, "already", "start", plan, "--why", "try it")
	f(exitOK, "us  www.edge.example, unicast to global: 2 pending", "victor", "status")
	f(exitRefused, "no such ramp", "status", "xx")
	f(exitRefused, "is not a step", "set", "us", "--geography", "il", "--share", "3%", "--why", "x")
	f(exitOK, "0% → 5%", "set", "us", "--geography", "il", "--share", "5%", "--why", "x")
	f(exitOK, "lunch, by alice", "pause", "us", "--why", "lunch")
	f(exitOK, "paused: lunch, by alice", "status", "us")

	r.stop()
	r, at = serve()
	r.find("(snapshot published)")
	f(exitOK, `"share":0.05`, "status", "us", "--format", "json")
	f(exitOK, "resume", "resume", "us", "--why", "back")
	f(exitOK, "0.05", "chart", "us", "--format", "json", "--every", "1h")
	f(exitOK, "at,geography,share", "chart", "us")
	f(exitOK, "5% → 0%", "rollback", "us", "--geography", "il", "--why", "it is worse")
	f(exitOK, "rolled back: us", "rollback", "--all", "--why", "it burns")
	f(exitUsage, "--all is every ramp", "rollback", "us", "--all", "--why", "x")
	f(exitOK, "it burns", "log", "us")
	f(exitOK, "", "abort", "us", "--why", "never mind")
	f(exitOK, "there are no ramps", "status")
	f(exitOK, "never mind", "log", "us", "--all")
	f(exitUsage, "unknown command", "jump")
	r.stop()
}

func TestSparkline(t *testing.T) {
	v := func(x float64) *float64 { return &x }
	if got := sparkline([]*float64{v(0.6), nil, v(0.75), v(0.9)}); got != "▁ ▄█" {
		t.Errorf("%q", got)
	}
	if got := sparkline([]*float64{v(0.9), v(0.901)}); got != "▄▄" {
		t.Errorf("%q", got)
	}
}
