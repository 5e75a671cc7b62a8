package beacon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"catchment/internal/edge"
	"catchment/internal/store"
)

// rig is a collector with what is around it.
type rig struct {
	*Collector
	sink *memory
	reg  *prometheus.Registry
	log  *bytes.Buffer
}

var illinois = edge.Place{Continent: "NA", Country: "US", Subdivision: "IL", ASN: 64496, ASName: "Example", Lat: 41.9, Lon: -87.6}

func newRig(t testing.TB, cfg Config) *rig {
	t.Helper()
	r := &rig{sink: &memory{}, reg: prometheus.NewRegistry(), log: &bytes.Buffer{}}
	known := places{netip.MustParsePrefix("203.0.113.7/32"): illinois}
	var err error
	r.Collector, err = New(cfg, testFleet(), known, r.sink, slog.New(slog.NewTextHandler(r.log, nil)), r.reg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// metricLines is the exposition of every metric.
func (r *rig) metricLines() string {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r.reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// do sends a request from 203.0.113.7 to the public endpoints.
func (r *rig) do(method, path, body string, header ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.RemoteAddr = "203.0.113.7:40000"
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, req)
	return w
}

func TestBeacons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := testKeys(t, 1)
		r := newRig(t, Config{Keys: keys})
		plan := keys.planID(0, newSeed(time.Now(), 1))
		body := strings.Replace(typical, `"t":`, `"plan":"`+plan+`","t":`, 1)
		time.Sleep(59 * time.Minute)
		w := r.do("POST", "/v1/beacons", body, "Content-Type", "text/plain;charset=UTF-8", "User-Agent", "Mozilla/5.0")
		if w.Code != 204 || w.Body.Len() > 0 || w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
		}
		got := r.sink.all()[0]
		want := edge.Beacon{
			V: 1, ID: "9f86d081884c7d659a2feaa0c55ad015", Plan: plan, Time: 1790000000123, Rate: 0.01,
			Page: got.Page, Net: got.Net, Probes: got.Probes, // see TestBody
			Client: netip.MustParsePrefix("203.0.113.0/24"), Received: time.Now().UTC(), Place: illinois,
		}
		if diff := cmp.Diff(want, got, comparePrefixes, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
		if got.Probes[0].RTT != 18.65 {
			t.Errorf("RTT %v is not computed from the timings", got.Probes[0].RTT)
		}

		// Again: a duplicate, and fine. Two minutes later the plan is too old.
		if w := r.do("POST", "/v1/beacons", body); w.Code != 204 {
			t.Errorf("a duplicate gets %d", w.Code)
		}
		time.Sleep(2 * time.Minute)
		w = r.do("POST", "/v1/beacons", "["+body+"]")
		if w.Code != 400 || !strings.Contains(w.Body.String(), `"reason":"plan","field":"plan"`) {
			t.Errorf("an old plan gets %d %s", w.Code, w.Body)
		}
		wantLines(t, r.metricLines(),
			"catchment_beacons_accepted_total 1", "catchment_beacons_duplicates_total 1",
			`catchment_beacons_rejected_total{reason="plan"} 1`, "catchment_beacons_in_flight 0",
			"catchment_beacons_request_seconds_count 3")
	})
}

// TestBeaconFlags holds what the server adds in doubt.
func TestBeaconFlags(t *testing.T) {
	r := newRig(t, Config{})
	post := func(id, flags, agent string) {
		t.Helper()
		w := r.do("POST", "/v1/beacons", `{"v":1,"id":"`+id+`","rate":1,"probes":[],"flags":[`+flags+`]}`, "User-Agent", agent)
		if w.Code != 204 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	post("a", ``, "Mozilla/5.0")
	post("b", `"noplan","hidden"`, "Mozilla/5.0")
	post("c", `"webdriver"`, "ExampleBot/1.0")
	var got [][]string
	for _, b := range r.sink.all() {
		got = append(got, b.Flags)
	}
	if diff := cmp.Diff([][]string{{"noplan"}, {"noplan", "hidden"}, {"webdriver", "noplan", "bot"}}, got); diff != "" {
		t.Error(diff)
	}

	r = newRig(t, Config{RequirePlan: true})
	if w := r.do("POST", "/v1/beacons", typical); w.Code != 400 || !strings.Contains(w.Body.String(), "plan") {
		t.Errorf("without a plan: %d %s", w.Code, w.Body)
	}
}

// TestHostileBodies posts over a real connection what should be refused.
func TestHostileBodies(t *testing.T) {
	r := newRig(t, Config{BeaconLimit: Limit{PerMinute: 1e6, Burst: 1e6}})
	server := httptest.NewUnstartedServer(nil)
	server.Config = Server(r.Handler(), slog.New(slog.NewTextHandler(r.log, nil)))
	server.Start()
	defer server.Close()

	post := func(name string, body io.Reader, header ...string) (int, Error) {
		t.Helper()
		req, err := http.NewRequest("POST", server.URL+"/v1/beacons", body)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer resp.Body.Close()
		var e Error
		if err := json.NewDecoder(resp.Body).Decode(&e); err != nil {
			t.Errorf("%s: the answer is not JSON: %v", name, err)
		}
		return resp.StatusCode, e
	}
	counts := map[Reason]int{}
	for name, c := range refusedBodies() {
		status, e := post(name, strings.NewReader(c.body))
		counts[c.reason]++
		if status != 400 || e.Reason != c.reason || e.Field != c.field {
			t.Errorf("%s: %d %+v", name, status, e)
		}
	}

	f := func(name string, status int, reason Reason, body io.Reader, header ...string) {
		t.Helper()
		counts[reason]++
		if got, e := post(name, body, header...); got != status || e.Reason != reason {
			t.Errorf("%s: %d %+v, want %d %s", name, got, e, status, reason)
		}
	}
	spaces := func(n int) io.Reader { return strings.NewReader(typical + strings.Repeat(" ", n-len(typical))) }
	unknown := func(r io.Reader) io.Reader { return struct{ io.Reader }{r} } // no Content-Length
	f("a byte too long", 413, ReasonLength, spaces(MaxBody+1))
	f("a byte too long, chunked", 413, ReasonLength, unknown(spaces(MaxBody+1)))
	f("10 MiB", 413, ReasonLength, unknown(io.LimitReader(endless('['), 10<<20)))
	f("a form", 415, ReasonMedia, strings.NewReader(typical), "Content-Type", "application/x-www-form-urlencoded")
	f("gzip", 415, ReasonMedia, strings.NewReader(typical), "Content-Encoding", "gzip")
	if len(r.sink.all()) > 0 {
		t.Error("something was stored")
	}
	var want []string
	for reason, n := range counts {
		want = append(want, fmt.Sprintf("catchment_beacons_rejected_total{reason=%q} %d", reason, n))
	}
	wantLines(t, r.metricLines(), want...)

	// At the limit is within it.
	for _, kind := range []string{"", "text/plain", "text/plain;charset=UTF-8", "Application/JSON", "application/json; charset=utf-8"} {
		resp, err := http.Post(server.URL+"/v1/beacons", kind, unknown(spaces(MaxBody)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 204 {
			t.Errorf("16 KiB of %q: %d", kind, resp.StatusCode)
		}
	}
}

type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

func TestSinkErrors(t *testing.T) {
	r := newRig(t, Config{})
	f := func(err error, retry string, reason Reason) {
		t.Helper()
		r.sink.fail = err
		w := r.do("POST", "/v1/beacons", typical)
		if w.Code != 503 || w.Header().Get("Retry-After") != retry || !strings.Contains(w.Body.String(), string(reason)) {
			t.Errorf("%v: %d %v %s", err, w.Code, w.Header(), w.Body)
		}
		if strings.Contains(w.Body.String(), "secret") {
			t.Error("the answer tells the error")
		}
	}
	f(fmt.Errorf("wrapped: %w", store.ErrBusy), "1", ReasonBusy)
	f(store.ErrDisk, "60", ReasonDisk)
	f(errors.New("secret path"), "5", ReasonStore)
	f(errors.New("secret path"), "5", ReasonStore)
	wantLines(t, r.metricLines(), `catchment_beacons_rejected_total{reason="busy"} 1`,
		`catchment_beacons_rejected_total{reason="disk"} 1`, `catchment_beacons_rejected_total{reason="store"} 2`,
		"catchment_beacons_accepted_total 0")
	if n := strings.Count(r.log.String(), "level=ERROR"); n != 1 {
		t.Errorf("%d errors logged in a moment, want 1:\n%s", n, r.log)
	}
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{BeaconLimit: Limit{PerMinute: 6, Burst: 3}, PlanLimit: Limit{PerMinute: 60, Burst: 1}})
		one := func(id string) string { return `{"v":1,"id":"` + id + `","rate":1,"probes":[]}` }
		post := func(want int, body string) {
			t.Helper()
			w := r.do("POST", "/v1/beacons", body)
			if w.Code != want {
				t.Errorf("%d %s, want %d", w.Code, w.Body, want)
			}
			if want == 429 && w.Header().Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
		}
		post(204, "["+one("a")+","+one("b")+"]")
		post(429, "["+one("c")+","+one("d")+"]") // one token was there and is gone
		post(429, one("e"))
		time.Sleep(10 * time.Second)
		post(204, one("f"))
		post(429, one("g"))
		if n := len(r.sink.all()); n != 3 {
			t.Errorf("%d beacons are stored, want 3", n)
		}

		for _, want := range []int{200, 429} {
			if w := r.do("GET", "/v1/plan", ""); w.Code != want {
				t.Errorf("plan: %d, want %d", w.Code, want)
			}
		}
		time.Sleep(time.Second)
		if w := r.do("GET", "/v1/plan", ""); w.Code != 200 {
			t.Errorf("plan a second later: %d", w.Code)
		}
		wantLines(t, r.metricLines(), `catchment_beacons_rejected_total{reason="cap"} 3`,
			`catchment_beacons_plans_refused_total{reason="cap"} 1`, "catchment_beacons_plans_issued_total 2")
	})
}

func TestMaxInFlight(t *testing.T) {
	r := newRig(t, Config{MaxInFlight: 1})
	slow := &blocked{entered: make(chan struct{}), release: make(chan struct{})}
	done := make(chan int)
	go func() {
		req := httptest.NewRequest("POST", "/v1/beacons", slow)
		w := httptest.NewRecorder()
		r.Handler().ServeHTTP(w, req)
		done <- w.Code
	}()
	<-slow.entered
	if w := r.do("POST", "/v1/beacons", typical); w.Code != 503 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("a second request gets %d", w.Code)
	}
	wantLines(t, r.metricLines(), "catchment_beacons_in_flight 1", `catchment_beacons_rejected_total{reason="busy"} 1`)
	close(slow.release)
	if code := <-done; code != 400 {
		t.Errorf("a body that breaks off gets %d", code)
	}
	if w := r.do("POST", "/v1/beacons", typical); w.Code != 204 {
		t.Errorf("afterwards: %d %s", w.Code, w.Body)
	}
}

// blocked is a body that says nothing and then breaks off.
type blocked struct{ entered, release chan struct{} }

func (b *blocked) Read([]byte) (int, error) {
	close(b.entered)
	<-b.release
	return 0, io.ErrUnexpectedEOF
}

func TestPublicEndpoints(t *testing.T) {
	sick := errors.New("the disk of host iad-7 is full")
	var healthy error
	r := newRig(t, Config{
		Healthy: func() error { return healthy },
		Assets: map[string]http.Handler{"/rum.js": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "script")
		})},
	})
	f := func(method, path string, status int, body string, header ...string) {
		t.Helper()
		w := r.do(method, path, "")
		if w.Code != status || !strings.Contains(w.Body.String(), body) {
			t.Errorf("%s %s: %d %q", method, path, w.Code, w.Body)
		}
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != "*" {
			t.Errorf("%s %s: no CORS", method, path)
		}
		for i := 0; i < len(header); i += 2 {
			if got := w.Header().Get(header[i]); got != header[i+1] {
				t.Errorf("%s %s: %s is %q, want %q", method, path, header[i], got, header[i+1])
			}
		}
	}
	f("GET", "/healthz", 200, "ok")
	healthy = sick
	f("GET", "/healthz", 503, "not healthy")
	f("GET", "/rum.js", 200, "script")
	f("GET", "/", 404, "")
	f("GET", "/metrics", 404, "")
	f("POST", "/v1/relay", 404, "")
	f("GET", "/v1/beacons", 405, "", "Allow", "POST, OPTIONS")
	f("POST", "/v1/plan", 405, "", "Allow", "GET, OPTIONS")
	f("OPTIONS", "/v1/beacons", 204, "", "Access-Control-Allow-Methods", "POST, OPTIONS",
		"Access-Control-Allow-Headers", "Content-Type", "Access-Control-Max-Age", "86400")
	f("GET", "/v1/plan", 200, `"probes":[{`, "Cache-Control", "no-store", "Content-Type", "application/json")
	wantLines(t, r.metricLines(), `catchment_beacons_rejected_total{reason="method"} 1`,
		`catchment_beacons_plans_refused_total{reason="method"} 1`)
}

// TestPlanThenBeacon is what a page does.
func TestPlanThenBeacon(t *testing.T) {
	r := newRig(t, Config{RequirePlan: true, URL: func(target edge.Target, nonce string) string {
		return "http://127.0.0.1/" + string(target) + "?" + nonce
	}})
	var plan Plan
	if err := json.Unmarshal(r.do("GET", "/v1/plan", "").Body.Bytes(), &plan); err != nil {
		t.Fatal(err)
	}
	if len(plan.Probes) != 6 || plan.TTL != 300 { // three schemes, three of the four PoPs
		t.Errorf("plan %+v", plan)
	}
	b := edge.Beacon{V: 1, ID: "x", Plan: plan.ID, Rate: 1}
	for _, p := range plan.Probes {
		b.Probes = append(b.Probes, edge.Probe{Target: p.Target, Error: "net"})
	}
	body, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if w := r.do("POST", "/v1/beacons", string(body)); w.Code != 204 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestSetFleet(t *testing.T) {
	r := newRig(t, Config{})
	body := `{"v":1,"id":"x","rate":1,"probes":[{"target":"pop:ams","error":"net"}]}`
	if w := r.do("POST", "/v1/beacons", body); w.Code != 400 {
		t.Fatalf("an unknown PoP gets %d", w.Code)
	}
	fleet := testFleet()
	fleet.PoPs = append(fleet.PoPs, edge.PoP{ID: "ams"})
	r.SetFleet(fleet)
	if w := r.do("POST", "/v1/beacons", body); w.Code != 204 {
		t.Errorf("a PoP of the new fleet gets %d %s", w.Code, w.Body)
	}
}

func TestWhoami(t *testing.T) {
	r := newRig(t, Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	ask := func(remote string, header ...string) (a whoami) {
		t.Helper()
		req := httptest.NewRequest("GET", "/v1/whoami", nil)
		req.RemoteAddr = remote
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		r.Handler().ServeHTTP(w, req)
		if w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Error("any site's scripts may ask for the address of its visitors")
		}
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	got := ask("192.0.2.1:1", "X-Forwarded-For", "203.0.113.7")
	want := whoami{"203.0.113.7", "x-forwarded-for", "the rightmost address that is not a trusted proxy's", "203.0.113.0/24", illinois}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = ask("198.51.100.1:1", "Forwarded", "for=203.0.113.7")
	if got.Address != "198.51.100.1" || got.Source != "connection" || !strings.Contains(got.Because, "not believed") {
		t.Errorf("%+v", got)
	}
	ask("198.51.100.1:1", "Forwarded", "for=203.0.113.7")
	if n := strings.Count(r.log.String(), "not believed"); n != 1 {
		t.Errorf("%d warnings about a proxy, want 1", n)
	}
	wantLines(t, r.metricLines(), "catchment_beacons_untrusted_forwarded_total 2")
}

// TestNoAddressIsLogged looks for clients in everything that is logged.
func TestNoAddressIsLogged(t *testing.T) {
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	errorLog := Server(nil, log).ErrorLog
	errorLog.Print("http: TLS handshake error from 203.0.113.7:4711: EOF")
	errorLog.Print("http: TLS handshake error from [2001:db8::7]:4711: EOF")
	errorLog.Printf("http: TLS handshake error from %s: EOF", "[fe80::7%eth0]:4711")
	errorLog.Print("http: panic serving 203.0.113.7:4711: oops")
	got := logged.String()
	for _, address := range []string{"203.0.113", "2001:db8", "fe80"} {
		if strings.Contains(got, address) {
			t.Errorf("an address is logged: %s", got)
		}
	}
	if !strings.Contains(got, "level=ERROR") || strings.Count(got, "level=DEBUG") != 3 {
		t.Errorf("levels: %s", got)
	}
}

func TestNewErrors(t *testing.T) {
	f := func(cfg Config, want string) {
		t.Helper()
		_, err := New(cfg, testFleet(), places{}, &memory{}, slog.New(slog.DiscardHandler), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	f(Config{PlanTTL: 2 * time.Hour}, "plan TTL 2h0m0s (want 1s to 1h0m0s)")
	f(Config{Keep: Prefixes{V4: 32}}, "IPv4 prefix length 32 (want 8 to 28)")
	f(Config{BeaconLimit: Limit{PerMinute: 60}}, "burst")
	f(Config{PlanLimit: Limit{Burst: 60}}, "rate")
}
