package runner_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/control"
	"catchment/internal/edge"
	"catchment/internal/ramp"
	"catchment/internal/ramp/runner"
	"catchment/internal/steer"
	"catchment/internal/tokens"
)

// monday is when tests begin.
var monday = time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)

const (
	alice  = "operator-alice-0123456789"
	victor = "viewer-victor-01234567890"
	ns1    = "dns-ns1-0123456789012345"
)

func known(t testing.TB) *tokens.Tokens {
	t.Helper()
	all, _, err := tokens.Parse(strings.NewReader("operator alice " + alice + "\nviewer victor " + victor + "\ndns ns1 " + ns1 + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// testFleet has two PoPs and a VIP.
func testFleet() *edge.Fleet {
	addr := netip.MustParseAddr
	return &edge.Fleet{
		Zone: "edge.example", Probe: "probe.edge.example",
		PoPs: []edge.PoP{
			{ID: "iad", Place: edge.Place{Country: "US", Lat: 39, Lon: -77}, Unicast: []netip.Addr{addr("192.0.2.10")}},
			{ID: "lax", Place: edge.Place{Country: "US", Lat: 34, Lon: -118}, Unicast: []netip.Addr{addr("192.0.2.20")}},
		},
		VIPs:     []edge.VIP{{ID: "global", Addresses: []netip.Addr{addr("198.51.100.1")}, Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}},
		Services: []edge.Service{{Name: "www.edge.example", Scheme: edge.Unicast, TTL: 30 * time.Second}},
	}
}

// country is a table of places by the third group of an IPv6 address.
type country struct{}

func (country) All() iter.Seq2[netip.Prefix, edge.Place] {
	return func(yield func(netip.Prefix, edge.Place) bool) {
		_ = yield(netip.MustParsePrefix("2001:db8::/33"), edge.Place{Country: "US"}) &&
			yield(netip.MustParsePrefix("2001:db8:8000::/33"), edge.Place{Country: "BR"})
	}
}

func (country) Lookup(a netip.Addr) edge.Place {
	if a.As16()[4] < 0x80 {
		return edge.Place{Country: "US"}
	}
	return edge.Place{Country: "BR"}
}
func (country) Version() string { return "one" }

// users are 600 clients in each of two countries, whose page views follow from
// the time alone, and from the share that name servers answer by.
type users struct {
	steering interface{ Snapshot() *edge.Snapshot }
	harmed   string // geography where the treatment arm is badly off
	broken   error  // of the store
	calls    int
}

const clients = 600

func client(place, n int) netip.Prefix {
	var b [16]byte
	copy(b[:], []byte{0x20, 0x01, 0x0d, 0xb8, byte(place<<7 | n>>8), byte(n)})
	return netip.PrefixFrom(netip.AddrFrom16(b), 48)
}

func (u *users) PageLoads(_ context.Context, since, until time.Time) iter.Seq2[*edge.PageLoad, error] {
	return func(yield func(*edge.PageLoad, error) bool) {
		u.calls++
		if u.broken != nil {
			yield(nil, u.broken)
			return
		}
		snapshot := u.steering.Snapshot()
		for place, name := range []string{"us", "br"} {
			treated := treats(snapshot, name)
			for n := range clients { // each has a view a minute
				for at := since.Truncate(time.Minute); at.Before(until); at = at.Add(time.Minute) {
					if at.Before(since) {
						continue
					}
					l := u.view(treated, place, name, n, at)
					if !yield(&l, nil) {
						return
					}
				}
			}
		}
	}
}

// treats returns whom name servers give the answer of a ramp of a geography.
func treats(s *edge.Snapshot, geography string) func(netip.Addr) bool {
	for _, r := range s.Ramps {
		if strings.HasSuffix(r.ID, "/"+geography) {
			draw := steer.DrawOf(r.Salt, r.Granule)
			return func(a netip.Addr) bool { return float64(draw.Bucket(a)) < r.Share*10000 }
		}
	}
	return func(netip.Addr) bool { return false }
}

func (u *users) view(treated func(netip.Addr) bool, place int, name string, n int, at time.Time) edge.PageLoad {
	p := client(place, n)
	moved := treated(p.Addr())
	l := edge.PageLoad{
		Cell: edge.Cell{Day: edge.DayOf(at), Country: strings.ToUpper(name), Family: 6}, At: at, Client: edge.PrefixKey(p),
		Resolver: edge.Resolver{Addr: netip.MustParsePrefix("198.51.100.0/24"), ECS: p},
		Served:   [3]edge.PoPID{"iad", "iad", ""}, RTT: [3]float64{20, 20, 0}, PoP: "iad",
		Connect: 20 + float64((n*7+int(at.Unix()/60)*13)%11),
	}
	if (n+int(at.Unix()/60))%5 == 0 {
		l.PoP, l.Served = "lax", [3]edge.PoPID{"lax", "lax", ""}
	}
	if moved {
		l.VIP = "global"
		if name == u.harmed {
			l.PoP, l.Served[1] = "lax", "lax"
			l.Connect += 60
		}
	}
	return l
}

// testPlan is for the two countries.
func testPlan(t testing.TB) *ramp.Plan {
	t.Helper()
	p, err := ramp.Parse("r.yaml", []byte(`
id: r
service: www.edge.example
from: unicast
to: global
at_once: 2
observe: 30m
steps: [20%, 50%, 100%]
dwell: {time: 1h, views: 100}
settle: 10m
guardrails: [{metric: optimal, margin: 10%, on_breach: roll_back}, {metric: p50, margin: 20}]
geographies: [{id: us, countries: [US]}, {id: br, countries: [BR]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var quiet = slog.New(slog.DiscardHandler)

// plane is a control plane over a directory.
func plane(t testing.TB, dir string) *control.Control {
	t.Helper()
	c, err := control.New(control.Config{Dir: dir, Places: country{}, Tokens: known(t)}, testFleet(), quiet, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetMeasured([]edge.Order{order("US"), order("BR")}, nil); err != nil {
		t.Fatal(err)
	}
	return c
}

func order(country string) edge.Order {
	return edge.Order{CellKey: edge.CellKey{Country: country}, PoPs: []edge.Latency{{PoP: "iad", RTT: 20, Samples: 100}, {PoP: "lax", RTT: 70, Samples: 100}}}
}

// immediate publishes at once what the plane's state says, without its Run:
// for tests whose time is their own.
type immediate struct {
	*control.Control
	fleet *edge.Fleet
}

func (i immediate) Snapshot() *edge.Snapshot {
	s := &edge.Snapshot{Version: 1, Fleet: i.fleet, Orders: []edge.Order{order("US"), order("BR")}}
	s.Ramps = i.Shares()
	return s
}
func (immediate) RampFollowed(string, time.Time) bool { return true }
func (immediate) Loads() []edge.PoPLoad               { return nil }

// rig is a runner whose clock is its own.
type rig struct {
	t     testing.TB
	plane *control.Control
	users *users
	now   time.Time
	*runner.Runner
}

func newRig(t testing.TB, c *control.Control, edit func(*runner.Config)) *rig {
	t.Helper()
	r := &rig{t: t, plane: c, now: monday.Add(time.Second)}
	steering := immediate{c, testFleet()}
	r.users = &users{steering: steering}
	cfg := runner.Config{
		Records: c, Leases: c, Trails: c, Steering: steering, Evidence: r.users, Places: country{}, Tokens: known(t),
		Lag: time.Second, Now: func() time.Time { return r.now },
	}
	if edit != nil {
		edit(&cfg)
	}
	var err error
	if r.Runner, err = runner.New(cfg, quiet, prometheus.NewRegistry()); err != nil {
		t.Fatal(err)
	}
	return r
}

// goOn looks n times, every 5 minutes.
func (r *rig) goOn(n int) {
	r.t.Helper()
	for range n {
		r.now = r.now.Add(5 * time.Minute)
		if err := r.Look(r.t.Context()); err != nil {
			r.t.Fatal(err)
		}
	}
}

// said returns what was decided, of waits and holds but how many.
func (r *rig) said() string {
	r.t.Helper()
	looks, _, err := r.Looks("r", 0, 100_000)
	if err != nil {
		r.t.Fatal(err)
	}
	return sayings(looks)
}

func sayings(looks []runner.Look) string {
	var b strings.Builder
	for _, l := range looks {
		for _, d := range l.Decisions {
			if d.Action != ramp.Waits && d.Action != ramp.Holds {
				fmt.Fprintf(&b, "%s %s %s %g→%g\n", d.At.Format("Mon 15:04"), d.Geography, d.Action, d.From, d.To)
			}
		}
	}
	return b.String()
}

func (r *rig) shares() string {
	var all []string
	for _, x := range r.plane.Shares() {
		all = append(all, fmt.Sprintf("%s %g", x.ID, x.Share))
	}
	return strings.Join(all, ", ")
}

func text(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func tempDB(t testing.TB) string { return filepath.Join(t.TempDir(), "data") }
