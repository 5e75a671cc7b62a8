package control

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
	"catchment/internal/steer"
	"catchment/internal/tokens"
)

// Tokens of the tests.
const (
	alice  = "operator-alice-0123456789"
	victor = "viewer-victor-01234567890"
	ns1    = "dns-ns1-0123456789012345"
	ns2    = "dns-ns2-0123456789012345"
	ns3    = "dns-ns3-0123456789012345"
	iad    = "pop-iad-0123456789012345"
	lax    = "pop-lax-0123456789012345"
	fra    = "pop-fra-0123456789012345"
	other  = "pop-other-01234567890123"
	relay  = "relay-one-01234567890123"
)

const tokenFile = "operator alice " + alice + "\nviewer victor " + victor +
	"\ndns ns1 " + ns1 + "\ndns ns2 " + ns2 + "\ndns ns3 " + ns3 +
	"\npop iad " + iad + "\npop lax " + lax + "\npop fra " + fra + "\npop other " + other + "\nrelay one " + relay + "\n"

// testFleet has two PoPs in one region and one in another.
func testFleet() *edge.Fleet {
	addr := netip.MustParseAddr
	return &edge.Fleet{
		Zone: "edge.example", Probe: "probe.edge.example",
		PoPs: []edge.PoP{
			{ID: "iad", Place: edge.Place{Country: "US", Lat: 39, Lon: -77}, Unicast: []netip.Addr{addr("192.0.2.10")}, Capacity: 1000},
			{ID: "lax", Place: edge.Place{Country: "US", Lat: 34, Lon: -118}, Unicast: []netip.Addr{addr("192.0.2.20")}, Capacity: 1000},
			{ID: "fra", Place: edge.Place{Country: "DE", Lat: 50, Lon: 8}, Unicast: []netip.Addr{addr("192.0.2.30")}},
		},
		VIPs: []edge.VIP{
			{ID: "global", Addresses: []netip.Addr{addr("198.51.100.1")}, Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/25")}},
			{ID: "emea", Addresses: []netip.Addr{addr("198.51.100.129")}, Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.128/25")}},
		},
		Regions:  []edge.Region{{ID: "emea", VIP: "emea", Continents: []string{"EU"}, PoPs: []edge.PoPID{"fra"}}},
		Services: []edge.Service{{Name: "www.edge.example", Scheme: edge.Unicast, TTL: 30 * time.Second}},
	}
}

// nowhere is a table of one place.
type nowhere struct{}

func (nowhere) All() iter.Seq2[netip.Prefix, edge.Place] {
	return func(yield func(netip.Prefix, edge.Place) bool) {
		yield(netip.MustParsePrefix("203.0.113.0/24"), edge.Place{Country: "DE", Lat: 52, Lon: 13})
	}
}
func (nowhere) Version() string { return "one" }

// rig is a control plane under test.
type rig struct {
	*Control
	t    *testing.T
	reg  *prometheus.Registry
	stop func()
}

func testConfig(dir string) Config {
	known, _, err := tokens.Parse(strings.NewReader(tokenFile))
	if err != nil {
		panic(err)
	}
	return Config{Dir: dir, Places: nowhere{}, Tokens: known}
}

func newRig(t *testing.T, cfg Config) *rig {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	c, err := New(cfg, testFleet(), slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	r := &rig{Control: c, t: t, reg: reg}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	return r
}

// settle lets everything that was asked for happen, in a bubble.
func (r *rig) settle() {
	time.Sleep(2 * coalesce)
	synctest.Wait()
}

// do sends a request to a handler, and returns the answer without spaces
// around it.
func do(h http.Handler, token, method, path, body string) (int, string) {
	code, text := doRaw(h, token, method, path, body)
	return code, strings.TrimSpace(text)
}

func doRaw(h http.Handler, token, method, path, body string) (int, string) {
	var text io.Reader
	if body != "" {
		text = strings.NewReader(body)
	}
	q := httptest.NewRequest(method, path, text)
	q.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, q)
	return w.Code, w.Body.String()
}

// api sends an operator's request and wants a status.
func (r *rig) api(want int, method, path, body string) string {
	r.t.Helper()
	code, text := do(r.API(), alice, method, "/api/v1/"+path, body)
	if code != want {
		r.t.Errorf("%s %s %s: %d %s, want %d", method, path, body, code, text, want)
	}
	return text
}

// tell sends a report of a PoP or name server.
func (r *rig) tell(token, path, body string) {
	r.t.Helper()
	if code, text := do(r.Handler(), token, "POST", "/v1/"+path, body); code != http.StatusNoContent {
		r.t.Errorf("%s %s: %d %s", path, body, code, text)
	}
}

func (r *rig) health(id edge.PoPID) edge.HealthState {
	for _, h := range r.Snapshot().Health {
		if h.PoP == id {
			return h.State
		}
	}
	return edge.Unknown
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func watermarks(low, high float64) *steer.Watermarks { return &steer.Watermarks{Low: low, High: high} }
