package dash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/docs"
	"catchment/internal/analysis"
	"catchment/internal/control"
	"catchment/internal/edge"
	"catchment/internal/ramp/runner"
	"catchment/internal/store"
	"catchment/internal/store/duckdb"
	"catchment/internal/tokens"
)

// Tokens of the tests.
const (
	alice  = "operator-alice-0123456789"
	victor = "viewer-victor-01234567890"
	ns1    = "dns-ns1-0123456789012345"
)

var testTokens = "operator alice " + alice + "\nviewer victor " + victor + "\ndns ns1 " + ns1 + "\n"

// The tests' days: page views of 15, the last one half.
var (
	testNow   = time.Date(2026, 11, 15, 12, 0, 0, 0, time.UTC)
	testToday = edge.DayOf(testNow)
)

const (
	testDays  = 15
	testViews = 1500 // a day
)

// testFleet has no PoP "old", which views of the first days reach.
func testFleet() *edge.Fleet {
	addr := netip.MustParseAddr
	pop := func(id edge.PoPID, country, city string, lat, lon float64, last byte) edge.PoP {
		return edge.PoP{ID: id, Place: edge.Place{Country: country, City: city, Lat: lat, Lon: lon}, Unicast: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, last})}}
	}
	return &edge.Fleet{
		Zone: "edge.example", Probe: "probe.edge.example",
		PoPs: []edge.PoP{pop("iad", "US", "Ashburn", 39.04, -77.49, 10), pop("lax", "US", "Los Angeles", 34.05, -118.24, 20), pop("gru", "BR", "São Paulo", -23.55, -46.63, 30)},
		VIPs: []edge.VIP{
			{ID: "global", Addresses: []netip.Addr{addr("198.51.100.1")}, Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/25")}},
			{ID: "americas", Addresses: []netip.Addr{addr("198.51.100.129")}, Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.128/25")}},
		},
		Regions:  []edge.Region{{ID: "americas", VIP: "americas", Continents: []string{"NA", "SA"}, PoPs: []edge.PoPID{"iad", "lax", "gru"}}},
		Services: []edge.Service{{Name: "www.edge.example", Scheme: edge.Unicast, TTL: 30 * time.Second}},
	}
}

// home is a place of the tests' users, with the RTT to each PoP, ms.
type home struct {
	place edge.Place
	ms    map[edge.PoPID]float64
}

var homes = []home{
	{edge.Place{Continent: "NA", Country: "US", Subdivision: "NY", Lat: 40.7, Lon: -74}, map[edge.PoPID]float64{"iad": 8, "lax": 65, "gru": 120, "old": 40}},
	{edge.Place{Continent: "NA", Country: "US", Subdivision: "CA", Lat: 37.8, Lon: -122.4}, map[edge.PoPID]float64{"iad": 62, "lax": 9, "gru": 170, "old": 50}},
	{edge.Place{Continent: "SA", Country: "BR", Lat: -22.9, Lon: -43.2}, map[edge.PoPID]float64{"iad": 115, "lax": 160, "gru": 12, "old": 130}},
}

// testView makes a page view; rates differ, so that sums of weights are not
// whole numbers.
func testView(rng *rand.Rand, id string, at time.Time) *edge.Beacon {
	n := rng.IntN(90)
	h, as := homes[n%3], uint32(64496+n/3%5)
	b := &edge.Beacon{
		V: 1, ID: id, Received: at, Rate: []float64{0.3, 0.03, 1}[n%7%3], Place: h.place,
		Client:   netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(n), 0}), 24),
		Resolver: edge.Resolver{Addr: netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(n % 4 * 64)}), 26)},
	}
	b.Place.ASN, b.Place.ASName = as, fmt.Sprintf("Example %d, \"Inc\"", as)
	probe := func(t edge.Target, pop edge.PoPID) {
		b.Probes = append(b.Probes, edge.Probe{Target: t, PoP: pop, RTT: h.ms[pop] + float64(n%4) + math.Round(30*rng.ExpFloat64())/10, AF: 4})
	}
	pick := func(wrong float64, bad edge.PoPID) edge.PoPID {
		best := []edge.PoPID{"iad", "lax", "gru"}[n%3]
		if rng.Float64() < wrong {
			return bad
		}
		return best
	}
	bad := edge.PoPID("lax")
	if n%3 == 1 {
		bad = "iad"
	}
	if edge.DayOf(at) < testToday-10 && n%5 == 0 {
		bad = "old"
	}
	switch r := rng.Float64(); {
	case r < 0.02:
		b.Probes = append(b.Probes, edge.Probe{Target: "global", Error: "timeout"})
	default:
		probe("global", pick(0.05+0.5*float64(n%3/2), bad))
	}
	probe("unicast", pick(0.3, bad))
	probe("regional", pick(0.1, bad))
	for _, pop := range []edge.PoPID{"iad", "lax", "gru"} {
		probe(edge.TargetOf(pop), pop)
	}
	return b
}

// writeViews writes the tests' days into dir.
func writeViews(t *testing.T, dir string) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	for d := range testDays {
		day := testToday - testDays + 1 + edge.Day(d)
		n, step := testViews, 24*time.Hour/testViews
		if day == testToday {
			n /= 2
		}
		var batch []*edge.Beacon
		for i := range n {
			batch = append(batch, testView(rng, fmt.Sprintf("%d-%d", d, i), day.Time().Add(time.Duration(i)*step)))
		}
		if _, err := store.WriteSegment(dir, day, uint64(d+1), uint64(d+1), batch); err != nil {
			t.Fatal(err)
		}
	}
}

// stored reads what a directory holds.
type stored struct {
	dir    string
	engine *duckdb.Engine
	down   error
}

func open(t *testing.T, dir string) *stored {
	t.Helper()
	engine, err := duckdb.Open(dir, duckdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	return &stored{dir: dir, engine: engine}
}

func (s *stored) Days() (map[edge.Day]string, error) {
	if s.down != nil {
		return nil, s.down
	}
	segments, err := store.List(s.dir)
	stamps := map[edge.Day]string{}
	for _, x := range segments {
		stamps[x.Day] += x.Beacons()
	}
	return stamps, err
}

func (s *stored) query(d edge.Day) store.Query {
	return store.Query{Since: d.Time(), Until: (d + 1).Time()}
}

func (s *stored) Window(ctx context.Context, d edge.Day) analysis.Window {
	return analysis.Window{Latencies: s.engine.Latencies(ctx, s.query(d)), Assignments: s.engine.Assignments(ctx, s.query(d))}
}

func (s *stored) ViewWindow(ctx context.Context, d edge.Day) analysis.ViewWindow {
	return analysis.ViewWindow{Latencies: s.engine.Latencies(ctx, s.query(d)), Views: s.engine.PageViews(ctx, s.query(d))}
}

func (s *stored) Networks(ctx context.Context, d edge.Day) (map[uint32]string, error) {
	return s.engine.Networks(ctx, s.query(d))
}

func (s *stored) CountViews(ctx context.Context, since, until time.Time) (n uint64, err error) {
	for _, err := range s.engine.PageLoads(ctx, since, until) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// places puts resolvers where the first or the last of the homes is.
type places struct{}

func (places) Lookup(a netip.Addr) edge.Place {
	if !netip.MustParsePrefix("203.0.113.0/24").Contains(a) {
		return edge.Place{}
	}
	p := homes[0].place
	if a.As4()[3] >= 128 {
		p = homes[2].place
	}
	p.ASN, p.ASName = 64510, "Example Resolvers"
	return p
}

func (places) All() iter.Seq2[netip.Prefix, edge.Place] {
	return maps.All(map[netip.Prefix]edge.Place{netip.MustParsePrefix("203.0.113.0/24"): homes[0].place})
}
func (places) Version() string { return "one" }

// rig is a dashboard under test.
type rig struct {
	*Dash
	t    *testing.T
	from *stored
	log  *slog.Logger
}

// newRig returns a dashboard over a directory, with a real control plane and
// real ramps, which has looked at the store once.
func newRig(t *testing.T, dir string, change ...func(*Config)) *rig {
	t.Helper()
	known, _, err := tokens.Parse(strings.NewReader(testTokens))
	if err != nil {
		t.Fatal(err)
	}
	log, reg := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	from := open(t, dir)
	plane, err := control.New(control.Config{Dir: t.TempDir(), Places: places{}, Tokens: known}, testFleet(), log, reg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- plane.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-done, plane.Close()); err != nil {
			t.Error(err)
		}
	})
	ramps, err := runner.New(runner.Config{Records: plane, Leases: plane, Trails: plane, Steering: plane, Evidence: from.engine, Places: places{}, Tokens: known}, log, reg)
	if err != nil {
		t.Fatal(err)
	}
	api := http.NewServeMux()
	api.Handle("/api/v1/ramps", ramps.API())
	api.Handle("/api/v1/ramps/", ramps.API())
	api.Handle("/", plane.API())
	cfg := Config{
		Beacons: from, Fleet: testFleet, Places: places{}, Control: api, Tokens: known, Docs: fs.FS(docs.Files),
		Now: func() time.Time { return testNow },
	}
	for _, f := range change {
		f(&cfg)
	}
	if cfg.Fleet == nil {
		cfg.Fleet = testFleet
	}
	d, err := New(cfg, log, reg)
	if err != nil {
		t.Fatal(err)
	}
	d.index.refresh(t.Context())
	for plane.Snapshot() == nil {
		select {
		case <-t.Context().Done():
			t.Fatal("no snapshot")
		case <-time.After(time.Millisecond):
		}
	}
	return &rig{d, t, from, log}
}

// ask sends a request as alice, unless told otherwise.
func (r *rig) ask(method, path, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r.t.Helper()
	q := httptest.NewRequest(method, path, strings.NewReader(body))
	q.Header.Set("Authorization", "Bearer "+alice)
	if body != "" {
		q.Header.Set("Content-Type", "application/json")
	}
	for _, f := range change {
		f(q)
	}
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, q)
	return w
}

// get decodes the answer of a page, which must be of a status.
func get[T any](r *rig, path string, status int) T {
	r.t.Helper()
	w := r.ask("GET", "/api/v1/"+path, "")
	if w.Code != status {
		r.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	var v T
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		r.t.Fatalf("%s: %v in %.200s", path, err, w.Body)
	}
	return v
}

// full returns a dashboard over the tests' days.
func full(t *testing.T, change ...func(*Config)) *rig {
	t.Helper()
	dir := t.TempDir()
	writeViews(t, dir)
	return newRig(t, dir, change...)
}

func testRand() *rand.Rand { return rand.New(rand.NewPCG(3, 4)) }
