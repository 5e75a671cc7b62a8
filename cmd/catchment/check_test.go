package main

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good.yaml", `
zone: edge.example
pops:
  - {id: iad, place: {country: US, lat: 38.95, lon: -77.45}, unicast: [192.0.2.1]}
  - {id: gru, place: {country: BR, lat: -23.43, lon: -46.47}, unicast: [192.0.2.2]}
services: [{name: www.edge.example, scheme: unicast}]
`)
	bad := file("bad.yaml", "zone: edge.example\npops: []\nvip: []\n")
	answers := func(headers map[string]string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for k, v := range headers {
				w.Header().Set(k, v)
			}
		}))
		t.Cleanup(s.Close)
		return s.URL + "/o"
	}
	named := func(pop string) string {
		return answers(map[string]string{
			"X-PoP": pop, "Server-Timing": `pop;desc="` + pop + `", srv;dur=0`, "Timing-Allow-Origin": "*",
			"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "X-PoP, Server-Timing", "Cache-Control": "no-store",
		})
	}
	fit, foreign, bare := named("iad"), named("lax"), answers(nil)
	closed := httptest.NewServer(nil)
	closed.Close()

	// f runs the command and looks for lines; the status is the kind of error.
	f := func(args []string, status int, out, stderr string) {
		t.Helper()
		var o, e bytes.Buffer
		err := checkCommand().run(t.Context(), stdio{strings.NewReader(""), &o, &e}, args)
		got := exitOK
		var refused *refusedError
		switch {
		case errors.As(err, &refused):
			got = exitRefused
		case errors.Is(err, errUsage):
			got = exitUsage
		case err != nil:
			got = exitFailed
		}
		said := e.String()
		if err != nil {
			said += err.Error()
		}
		if got != status || o.String() != out || stderr == "" && said != "" || !strings.Contains(said, stderr) {
			t.Errorf("%v: status %d, want %d\nout: %swant %s\nerr: %s\nwant %s", args, got, status, &o, out, said, stderr)
		}
	}
	ok := good + ": ok: 2 PoPs, 1 service\n"
	refusal := bad + ":2: pops: the list is empty (want at least one PoP)\n" + bad + `:3: unknown key "vip" (did you mean vips?)`
	f([]string{good}, exitOK, ok, "")
	f([]string{bad}, exitRefused, "", refusal)
	f([]string{bad, good, dir + "/none.yaml"}, exitRefused, ok, refusal+"\nfleet: open "+dir+"/none.yaml: no such file")
	f([]string{dir + "/none.yaml", good}, exitFailed, ok, "no such file")
	f(nil, exitUsage, "", "want a FILE or --url")
	f([]string{"--url", fit, good, good}, exitUsage, "", "one FILE only")

	f([]string{"--url", fit}, exitOK, fit+": ok, 1 piece of advice\n", fit+": advice: https: ")
	f([]string{good, "--url", fit}, exitOK, ok+fit+": ok, 1 piece of advice\n", "advice: https")
	f([]string{good, "--url", foreign}, exitRefused, ok, foreign+": wrong: unknown-pop: PoP lax is not in the fleet")
	f([]string{"--url", bare}, exitRefused, "", bare+": wrong: timing-allow-origin: ")
	f([]string{"--url", closed.URL + "/o"}, exitFailed, "", "connection refused")
}
