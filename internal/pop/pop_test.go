package pop

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"catchment/internal/certs"
	"catchment/internal/edge"
)

var quiet = slog.New(slog.DiscardHandler)

// testFleet has the loopback addresses as IAD's own, so that a connection
// between them stands for one to its unicast address.
func testFleet() *edge.Fleet {
	addrs := func(list ...string) (all []netip.Addr) {
		for _, s := range list {
			all = append(all, netip.MustParseAddr(s))
		}
		return all
	}
	return &edge.Fleet{
		Zone:  "edge.example",
		Probe: "Probe.edge.example",
		PoPs: []edge.PoP{
			{ID: "iad", Unicast: addrs("127.0.0.1", "::1")},
			{ID: "lax", Unicast: addrs("127.0.0.3")},
		},
		VIPs: []edge.VIP{
			{ID: "global", Addresses: addrs("198.51.100.1", "2001:db8:ff::1")},
			{ID: "americas", Addresses: addrs("127.0.0.2")},
		},
	}
}

// started is a running server.
type started struct {
	*Server
	stop func() error // asks it to stop and returns what Run did
	reg  *prometheus.Registry
}

func start(t *testing.T, cfg Config) *started {
	t.Helper()
	s := newTestServer(t, cfg)
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	s.stop = run(t, s.Server)
	return s
}

// newTestServer returns IAD's server; by default it listens on one free port.
func newTestServer(t *testing.T, cfg Config) *started {
	t.Helper()
	cfg.PoP, cfg.Fleet = "iad", testFleet()
	if cfg.Listeners == nil {
		cfg.Listeners = []Listener{{Addr: "127.0.0.1:0"}}
	}
	reg := prometheus.NewPedanticRegistry()
	s, err := New(cfg, quiet, reg)
	if err != nil {
		t.Fatal(err)
	}
	return &started{Server: s, reg: reg}
}

// run runs s until the test ends or the returned function is called.
func run(t *testing.T, s *Server) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	stop = func() error {
		cancel()
		stopped = true
		return <-done
	}
	t.Cleanup(func() {
		if stopped {
			return
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return stop
}

// url returns the URL of path on the i-th listener.
func (s *started) url(i int, path string) string {
	scheme := "http://"
	if s.cfg.Listeners[i].TLS {
		scheme = "https://"
	}
	return scheme + s.Addrs()[i].String() + path
}

// newClient returns a client that shares no connection with others.
func newClient(t *testing.T, c *tls.Config) *http.Client {
	tr := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true, DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

func do(t *testing.T, c *http.Client, method, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// timingShape is Server-Timing with each duration as N.
func timingShape(h http.Header) string {
	return regexp.MustCompile(`dur=\d+(\.\d{1,3})?(,|$)`).ReplaceAllString(h.Get("Server-Timing"), "dur=N$2")
}

// kernelTimes is what the kernel's RTTs add to a shape.
func kernelTimes() string {
	if runtime.GOOS == "linux" {
		return ", rtt;dur=N, mrtt;dur=N"
	}
	return ""
}

func TestIdentity(t *testing.T) {
	s := start(t, Config{Listeners: []Listener{
		{Addr: "127.0.0.1:0"},
		{Addr: "127.0.0.2:0"},
		{Addr: "[::1]:0"},
		{Addr: "127.0.0.1:0", VIP: "global"},
		{Addr: "[::]:0"},
	}})
	port := func(i int) string {
		_, p, _ := net.SplitHostPort(s.Addrs()[i].String())
		return p
	}
	for _, c := range []struct{ name, url, timing string }{
		{"unicast address", s.url(0, "/o"), `pop;desc="iad", srv;dur=N` + kernelTimes() + `, af;desc="4"`},
		{"address of a VIP", s.url(1, "/o"), `pop;desc="iad", vip;desc="americas", srv;dur=N` + kernelTimes() + `, af;desc="4"`},
		{"IPv6", s.url(2, "/o"), `pop;desc="iad", srv;dur=N` + kernelTimes() + `, af;desc="6"`},
		{"VIP of the listener", s.url(3, "/o"), `pop;desc="iad", vip;desc="global", srv;dur=N` + kernelTimes() + `, af;desc="4"`},
		{"IPv4 on a listener for both", "http://127.0.0.2:" + port(4) + "/o", `pop;desc="iad", vip;desc="americas", srv;dur=N` + kernelTimes() + `, af;desc="4"`},
	} {
		resp, body := do(t, newClient(t, nil), "GET", c.url)
		if resp.StatusCode != 200 || len(body) == 0 || len(body) > 2 {
			t.Errorf("%s: status %d, body %q", c.name, resp.StatusCode, body)
		}
		if got := timingShape(resp.Header); got != c.timing {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.timing)
		}
	}
}

func TestSetFleet(t *testing.T) {
	s := start(t, Config{Listeners: []Listener{{Addr: "127.0.0.2:0"}}})
	renamed := testFleet()
	renamed.VIPs[1].ID = "north"
	if err := s.SetFleet(renamed); err != nil {
		t.Fatal(err)
	}
	without := testFleet()
	without.PoPs = without.PoPs[1:]
	if err := s.SetFleet(without); err == nil || err.Error() != `pop: PoP "iad" is not in the fleet` {
		t.Errorf("a fleet without this PoP: %v", err)
	}
	resp, _ := do(t, newClient(t, nil), "GET", s.url(0, "/o"))
	if got, want := timingShape(resp.Header), `pop;desc="iad", vip;desc="north", srv;dur=N`+kernelTimes()+`, af;desc="4"`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// TestHeadersAsWritten looks at the bytes: the spelling, and that nothing else
// is sent.
func TestHeadersAsWritten(t *testing.T) {
	s := start(t, Config{})
	c, err := net.Dial("tcp", s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /o?x=1&n HTTP/1.1\r\nHost: global-1.probe.edge.example\r\nOrigin: https://www.example\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	raw = regexp.MustCompile(`dur=[0-9.]+`).ReplaceAll(raw, []byte("dur=N"))
	raw = regexp.MustCompile(`Date: [^\r]+`).ReplaceAll(raw, []byte("Date: D"))
	want := strings.ReplaceAll(`HTTP/1.1 200 OK
Access-Control-Allow-Origin: *
Access-Control-Expose-Headers: X-PoP, Server-Timing
Cache-Control: no-store
Content-Length: 2
Content-Type: text/plain; charset=utf-8
Server-Timing: pop;desc="iad", srv;dur=N`+kernelTimes()+`, af;desc="4"
Timing-Allow-Origin: *
X-PoP: iad
Date: D
Connection: close

ok`, "\n", "\r\n")
	if d := cmp.Diff(want, string(raw)); d != "" {
		t.Error(d)
	}
}

func TestAnswers(t *testing.T) {
	s := start(t, Config{})
	c := newClient(t, nil)
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return errors.New("redirected") }
	for _, tc := range []struct {
		method, path string
		status       int
		key, value   string // one more header that must be there
	}{
		{"GET", "/o", 200, "Content-Length", "2"},
		{"HEAD", "/o", 200, "Content-Length", "2"},
		{"OPTIONS", "/o", 204, "Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"},
		{"POST", "/o", 405, "Allow", "GET, HEAD, OPTIONS"},
		{"DELETE", "/nothing", 405, "Allow", "GET, HEAD, OPTIONS"},
		{"GET", "/healthz", 200, "", ""},
		{"GET", "/", 404, "", ""},
		{"GET", "//o", 404, "", ""},
		{"GET", "/o/", 404, "", ""},
		{"GET", "/slow?seconds=0", 400, "", ""},
		{"GET", "/slow?seconds=301", 400, "", ""},
		{"GET", "/slow?seconds=1e9", 400, "", ""},
		{"GET", "/slow?bytes=1048577", 400, "", ""},
		{"GET", "/big?bytes=-1", 400, "", ""},
		{"GET", "/big?bytes=99999999999999999999", 400, "", ""},
		{"HEAD", "/big", 200, "Content-Length", "65536"},
		{"HEAD", "/slow", 200, "Content-Length", "30000"},
		{"HEAD", "/slow?seconds=8&bytes=80", 200, "Content-Length", "80"},
	} {
		resp, body := do(t, c, tc.method, s.url(0, tc.path))
		name := tc.method + " " + tc.path
		if resp.StatusCode != tc.status {
			t.Errorf("%s: status %d, want %d", name, resp.StatusCode, tc.status)
		}
		if tc.key != "" && resp.Header.Get(tc.key) != tc.value {
			t.Errorf("%s: %s is %q", name, tc.key, resp.Header.Get(tc.key))
		}
		if tc.status == 400 && !regexp.MustCompile(`^(seconds|bytes): ".+" is not a whole number from 1 to \d+\n$`).MatchString(body) {
			t.Errorf("%s: %q does not say what is wrong", name, body)
		}
		for k, want := range map[string]string{
			"X-PoP": "iad", "Timing-Allow-Origin": "*", "Access-Control-Allow-Origin": "*",
			"Access-Control-Expose-Headers": "X-PoP, Server-Timing", "Cache-Control": "no-store",
			"Alt-Svc": "", "Content-Encoding": "", "Set-Cookie": "",
		} {
			if got := resp.Header.Get(k); got != want {
				t.Errorf("%s: %s is %q, want %q", name, k, got, want)
			}
		}
		if !strings.HasPrefix(timingShape(resp.Header), `pop;desc="iad", srv;dur=N, `) {
			t.Errorf("%s: Server-Timing %s", name, resp.Header.Get("Server-Timing"))
		}
	}
	if got := testutil.ToFloat64(s.metrics.requests.WithLabelValues("big", "400", "")); got != 2 {
		t.Errorf("%v refused requests for /big were counted", got)
	}
}

// TestOptionsStar asks for no object at all: net/http would answer that alone.
func TestOptionsStar(t *testing.T) {
	s := start(t, Config{})
	c, err := net.Dial("tcp", s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 204 || resp.Header.Get("X-PoP") != "iad" {
		t.Errorf("status %d, X-PoP %q", resp.StatusCode, resp.Header.Get("X-PoP"))
	}
}

func TestBig(t *testing.T) {
	s := start(t, Config{})
	for path, size := range map[string]int{"/big": 64 << 10, "/big?bytes=200001": 200001} {
		_, body := do(t, newClient(t, nil), "GET", s.url(0, path))
		if len(body) != size {
			t.Errorf("%s: %d bytes, want %d", path, len(body), size)
		}
		var packed bytes.Buffer
		z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		_, _ = io.WriteString(z, body)
		_ = z.Close()
		if packed.Len() < size {
			t.Errorf("%s: gzip makes %d bytes of %d", path, packed.Len(), size)
		}
	}
	if got := testutil.ToFloat64(s.metrics.sent.WithLabelValues("big")); got != 64<<10+200001 {
		t.Errorf("%v bytes were counted", got)
	}
	if got := testutil.ToFloat64(s.metrics.ends.WithLabelValues("big", "complete")); got != 2 {
		t.Errorf("%v complete downloads were counted", got)
	}
}

// TestWarm looks at what the script relies on: requests after the first find
// the connection open.
func TestWarm(t *testing.T) {
	s := start(t, Config{})
	c := newClient(t, nil)
	for _, path := range []string{"/o", "/nothing", "/big", "/o"} {
		do(t, c, "GET", s.url(0, path))
	}
	if got := testutil.ToFloat64(s.metrics.connections); got != 1 {
		t.Errorf("four requests opened %v connections", got)
	}
}

func TestConfigErrors(t *testing.T) {
	f := func(cfg Config, want string) {
		t.Helper()
		_, err := New(cfg, quiet, prometheus.NewRegistry())
		if err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
	fleet := testFleet()
	f(Config{}, "pop: no fleet")
	f(Config{Fleet: fleet, PoP: "gru"}, "pop: PoP \"gru\" is not in the fleet\nno listeners")
	f(Config{Fleet: fleet, PoP: "iad", Listeners: []Listener{{Addr: "8080"}}}, `pop: listener "8080": want host:port or :port`)
	f(Config{Fleet: fleet, PoP: "iad", Listeners: []Listener{{Addr: ":443", TLS: true, VIP: "asia"}}}, "pop: listener :443: TLS needs a certificate\nlistener :443: VIP \"asia\" is not in the fleet")
	f(Config{Fleet: fleet, PoP: "iad", Listeners: []Listener{{Addr: ":80"}}, TrustedProxies: []netip.Prefix{{}}}, "pop: a trusted proxy network is not valid")
}

func TestListenErrors(t *testing.T) {
	s := start(t, Config{})
	busy := s.Addrs()[0].String()
	second, err := New(Config{PoP: "iad", Fleet: testFleet(), Listeners: []Listener{{Addr: "127.0.0.1:0"}, {Addr: busy}}}, quiet, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Listen(); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("a busy port: %v", err)
	}
	if len(second.Addrs()) != 0 {
		t.Error("the free port stayed bound")
	}
	if err := second.Run(t.Context()); err == nil {
		t.Error("it ran without Listen")
	}
	missing, err := New(Config{PoP: "iad", Fleet: testFleet(), Listeners: []Listener{{Addr: "127.0.0.1:0", TLS: true}}, KeyPairs: []certs.Pair{{Cert: "/nonexistent/c", Key: "/nonexistent/k"}}}, quiet, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := missing.Listen(); err == nil || !strings.Contains(err.Error(), "/nonexistent/c") || !strings.Contains(err.Error(), "/nonexistent/k") {
		t.Errorf("missing files: %v", err)
	}
}

func TestConnectionLimits(t *testing.T) {
	s := start(t, Config{Limits: Limits{Connections: 3, ConnectionsPerPrefix: 2}, Listeners: []Listener{{Addr: "127.0.0.1:0"}, {Addr: "[::1]:0"}}})
	// open reports whether a connection is served.
	open := func(addr net.Addr) (net.Conn, bool) {
		t.Helper()
		c, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_, _ = io.WriteString(c, "GET /o HTTP/1.1\r\nHost: x\r\n\r\n")
		_, err = http.ReadResponse(bufio.NewReader(c), nil)
		return c, err == nil
	}
	v4, v6 := s.Addrs()[0], s.Addrs()[1]
	for i, want := range []bool{true, true, false} {
		if _, ok := open(v4); ok != want {
			t.Errorf("IPv4 connection %d served: %v", i, ok)
		}
	}
	c, ok := open(v6)
	if !ok {
		t.Error("the third connection, of another prefix, was refused")
	}
	if _, ok := open(v6); ok {
		t.Error("the fourth connection was served")
	}
	for _, reason := range []string{"total", "prefix"} {
		if got := testutil.ToFloat64(s.metrics.refused.WithLabelValues(reason)); got != 1 {
			t.Errorf("%v refusals for %s", got, reason)
		}
	}
	_ = c.Close()
	for deadline := time.Now().Add(10 * time.Second); testutil.ToFloat64(s.metrics.connections) != 2; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("a closed connection still counts")
		}
	}
	if _, ok := open(v6); !ok {
		t.Error("the place of a closed connection was not given to another")
	}
}

func TestMetricNames(t *testing.T) {
	s := start(t, Config{})
	do(t, newClient(t, nil), "GET", s.url(0, "/big"))
	problems, err := testutil.GatherAndLint(s.reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// selfSigned returns a certificate for the names and a pool that trusts it.
func selfSigned(t *testing.T, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	cert, err := newCertificate(names...)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	return cert, pool
}
