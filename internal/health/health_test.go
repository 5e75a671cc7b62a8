package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
)

var quiet = slog.New(slog.DiscardHandler)

// posted keeps what was sent to the control node.
type posted struct {
	mu  sync.Mutex
	all []any // guarded by mu
	err error
}

func (p *posted) Post(_ context.Context, path string, body any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, body)
	return p.err
}

func (p *posted) take() []any {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.all
	p.all = nil
	return all
}

func TestStreak(t *testing.T) {
	f := func(results, want string) {
		t.Helper()
		s := streak{rise: 2, fall: 3, state: edge.Unknown}
		var got strings.Builder
		for _, r := range results {
			before := s.state
			if s.note(r == '+') != (s.state != before) {
				t.Errorf("%s: a change was not told", results)
			}
			got.WriteString(map[edge.HealthState]string{edge.Unknown: "?", edge.Up: "U", edge.Down: "D"}[s.state])
		}
		if got.String() != want {
			t.Errorf("%s: %s, want %s", results, got.String(), want)
		}
	}
	f("++--+---+-++", "?UUUUUUDDDDU")
	f("-----", "??DDD")
	f("+-+-+-", "??????")
	f("---+-++", "??DDDDU")
}

// TestReporter: a PoP reports every 3 s and at once when a check changes, and
// nothing before its checks have decided.
func TestReporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &posted{}
		r, err := NewReporter("iad", 0, to, quiet, prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		r.SetFleet(&edge.Fleet{PoPs: []edge.PoP{{ID: "iad"}}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := to.take(); len(got) != 4 || got[0] != (edge.HealthReport{State: edge.Up, Share: 1}) {
			t.Errorf("without checks: %+v", got)
		}
		// Nobody listens there: the check fails three times in a row, once a second.
		closed := "http://" + closedPort(t) + "/healthz"
		r.SetFleet(&edge.Fleet{PoPs: []edge.PoP{{ID: "iad", Health: []edge.HealthCheck{{Name: "web", HTTP: closed, Rise: 3, Fall: 3, Every: time.Second, Timeout: time.Second / 2}}}}})
		time.Sleep(1700 * time.Millisecond)
		synctest.Wait()
		if got := to.take(); len(got) != 0 {
			t.Errorf("before its check decided: %+v", got)
		}
		time.Sleep(400 * time.Millisecond)
		synctest.Wait()
		got := to.take()
		if len(got) != 1 || got[0].(edge.HealthReport).State != edge.Down || !strings.Contains(got[0].(edge.HealthReport).Why, "connection refused") {
			t.Errorf("when its check failed: %+v", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestCheckHTTP: what an answer has to be, over TLS on loopback too, where no
// certificate is right.
func TestCheckHTTP(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/broken":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/slow":
			<-r.Context().Done()
		}
	})
	plain, secure := httptest.NewServer(h), httptest.NewTLSServer(h)
	defer plain.Close()
	defer secure.Close()
	f := func(url, want string) {
		t.Helper()
		err := get(t.Context(), newHTTPClient(url), url, 300*time.Millisecond)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
	f(plain.URL, "")
	f(secure.URL, "")
	f(plain.URL+"/moved", "302 Found")
	f(plain.URL+"/broken", "503 Service Unavailable")
	f(plain.URL+"/slow", "deadline exceeded")
}

func TestSumOf(t *testing.T) {
	const page = `# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{code="200",path="/a b}"} 1027 1395066363000
http_requests_total{code="500",path="a\"}{"} 3
http_requests_total_created 17
http_requests 5
plain_total 2.5e3
infinite_total +Inf
negative_total -1
torn_total{a="b
`
	f := func(metric string, want float64, wantErr string) {
		t.Helper()
		got, err := sumOf([]byte(page), metric)
		if got != want || (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("%s: %v, %v", metric, got, err)
		}
	}
	f("http_requests_total", 1030, "")
	f("http_requests", 5, "")
	f("plain_total", 2500, "")
	f("http", 0, "no such metric")
	f("torn_total", 0, "no such metric")
	f("infinite_total", 0, "which no counter can have")
	f("negative_total", 0, "which no counter can have")
}

func FuzzSumOf(f *testing.F) {
	f.Add("x_total{a=\"\\\"}\"} 1\nx_total 2 3\n", "x_total")
	f.Add("x_total{", "x_total")
	f.Add("x_total{a=\"\\", "x_total")
	f.Fuzz(func(t *testing.T, page, metric string) {
		if v, err := sumOf([]byte(page), metric); err == nil && (math.IsNaN(v) || v < 0) {
			t.Errorf("%v", v)
		}
	})
}

func TestRate(t *testing.T) {
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	m := newMeter(edge.Load{})
	var got []float64
	for i, total := range []float64{1000, 1600, 1600, 30} { // started anew before the last
		load, ok := m.rate(total, at.Add(time.Duration(i)*3*time.Second))
		if ok != (i > 0) {
			t.Errorf("reading %d: %v", i, ok)
		}
		got = append(got, load)
	}
	if diff := cmp.Diff([]float64{0, 200, 0, 10}, got); diff != "" {
		t.Error(diff)
	}
}

func TestLoadSources(t *testing.T) {
	page := "12.5\n"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, page) }))
	defer server.Close()
	f := func(source edge.Load, want float64, wantErr string) {
		t.Helper()
		got, ok, err := newMeter(source).read(t.Context())
		if got != want || ok != (wantErr == "") || (err == nil) != ok || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("%+v: %v %v %v, want %v %q", source, got, ok, err, want, wantErr)
		}
	}
	f(edge.Load{URL: server.URL}, 12.5, "")
	f(edge.Load{Exec: []string{"/bin/echo", "33"}}, 33, "")
	f(edge.Load{Exec: []string{"/bin/echo", "-33"}}, 0, "is not a number of requests/s")
	f(edge.Load{Exec: []string{"/bin/false"}}, 0, "exit status 1")
	f(edge.Load{Prometheus: server.URL, Metric: "x_total"}, 0, "no such metric")
	page = "a lot"
	f(edge.Load{URL: server.URL}, 0, `"a lot" is not a number of requests/s`)
}

// TestProber tries real sockets: one that answers, one that does not.
func TestProber(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	fleet := &edge.Fleet{PoPs: []edge.PoP{
		{ID: "iad", Unicast: []netip.Addr{netip.MustParseAddr("127.0.0.1")}},
		{ID: "lax", Unicast: []netip.Addr{netip.MustParseAddr("127.0.0.2")}}, // the listener is on the former only
	}}
	for _, check := range []string{"tcp:" + port, "http:" + port + "/healthz"} {
		p, err := NewProber(ProberConfig{Check: check}, &posted{}, quiet, prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		got := p.tryAll(t.Context(), fleet)
		if len(got) != 2 || got[0] != (edge.Reachable{PoP: "iad", Address: "127.0.0.1", OK: true}) ||
			got[1].OK || got[1].PoP != "lax" || !strings.Contains(got[1].Why, "connection refused") {
			t.Errorf("%s: %+v", check, got)
		}
	}
	p, err := NewProber(ProberConfig{Check: "http:" + port + "/other"}, &posted{}, quiet, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.tryAll(t.Context(), fleet); got[0].OK || got[0].Why != "answers 404 Not Found" {
		t.Errorf("%+v", got)
	}
}

func TestProberReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &posted{err: errors.New("away")}
		p, err := NewProber(ProberConfig{Check: "tcp:1"}, to, quiet, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		time.Sleep(59 * time.Second)
		if got := to.take(); got != nil {
			t.Errorf("without a fleet: %v", got)
		}
		p.SetFleet(&edge.Fleet{PoPs: []edge.PoP{{ID: "iad", Unicast: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}}})
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := to.take(); len(got) != 12 || got[0].([]edge.Reachable)[0].OK {
			t.Errorf("%d reports: %v", len(got), got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestProberConfig(t *testing.T) {
	for _, check := range []string{"", "tcp", "tcp:0", "tcp:99999", "udp:53", "http:x/", "tcp:443/path"} {
		if _, err := NewProber(ProberConfig{Check: check}, nil, quiet, nil); err == nil {
			t.Errorf("%q was taken", check)
		}
	}
	if _, err := NewProber(ProberConfig{Check: "tcp:443", Timeout: time.Minute}, nil, quiet, nil); err == nil {
		t.Error("a timeout above the interval was taken")
	}
}

func TestCut(t *testing.T) {
	long := strings.Repeat("é", 150)
	if got := cut(long); len(got) > maxWhy || !strings.HasPrefix(got, "éé") || !strings.HasSuffix(got, "é…") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
	if cut("x") != "x" {
		t.Error(cut("x"))
	}
}
