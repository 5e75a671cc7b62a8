package demo

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"catchment/internal/analysis"
	"catchment/internal/edge"
	"catchment/internal/fleet"
	"catchment/internal/sim"
	"catchment/internal/sim/topology"
)

var theFleet = sync.OnceValues(func() (*edge.Fleet, error) { return fleet.Parse("demo", FleetFile()) })

var theInternet = sync.OnceValues(Internet)

// inputs are what the demo's world is made of.
func inputs(t *testing.T) (*edge.Fleet, *topology.Topology) {
	t.Helper()
	f, err := theFleet()
	if err != nil {
		t.Fatal(err)
	}
	internet, err := theInternet()
	if err != nil {
		t.Fatal(err)
	}
	return f, internet
}

func world(t *testing.T) *World {
	t.Helper()
	f, internet := inputs(t)
	w, err := NewWorld(f, internet, Seed)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// ensemble returns the mean over 20 seeds of figures under each scheme, by
// country, in percent.
func ensemble(t *testing.T, f *edge.Fleet, figure func(sim.Figures) float64) map[string][len(edge.Schemes)]float64 {
	t.Helper()
	const seeds = 20
	_, internet := inputs(t)
	all := make([]*sim.Summary, seeds)
	var workers sync.WaitGroup
	for i := range all {
		workers.Go(func() {
			o := sim.DefaultOptions(uint64(i + 1))
			o.Connectivity.DrawPeers = true
			w, err := newWorld(f, internet, o)
			if err != nil {
				t.Error(err)
				return
			}
			all[i] = w.Outcome.Summarize(sim.Judging{By: sim.ByCountry, Tolerance: analysis.DefaultTolerance})
		})
	}
	workers.Wait()
	if t.Failed() {
		t.FailNow()
	}
	mean := map[string][len(edge.Schemes)]float64{}
	for _, s := range all {
		for _, r := range s.Rows {
			x := mean[r.Label]
			for k := range edge.Schemes {
				x[k] += 100 * figure(r.Schemes[k]) / seeds
			}
			mean[r.Label] = x
		}
	}
	return mean
}

// TestLinkedIn holds the world to what LinkedIn published in 2015, in the mean
// of 20 seeds: of its US users 31 % were sent to a suboptimal PoP by DNS and
// 10 % by regional anycast, and where transit was bad, in Brazil, global
// anycast lost 55 points.
func TestLinkedIn(t *testing.T) {
	f, _ := inputs(t)
	sum := ensemble(t, f, func(f sim.Figures) float64 { return f.Optimal })
	us, br := sum["US"], sum["BR"]
	t.Logf("figures: US %.1f, BR %.1f %% optimal under %v", us, br, edge.Schemes)
	unicast, global, regional := edge.Unicast.Index(), edge.Global.Index(), edge.Regional.Index()
	within := func(what string, got, want, margin float64) {
		t.Helper()
		if got < want-margin || got > want+margin {
			t.Errorf("%s: %.1f, want %.1f ± %.0f", what, got, want, margin)
		}
	}
	within("US suboptimal under DNS", 100-us[unicast], 31, 3)
	within("US suboptimal under regional anycast", 100-us[regional], 10, 3)
	if lost := br[unicast] - br[global]; lost <= 30 {
		t.Errorf("Brazil loses %.1f points by global anycast, want over 30", lost)
	}
	if regained := br[regional] - br[global]; regained <= 30 {
		t.Errorf("Brazil regains %.1f points by regional anycast, want over 30", regained)
	}
}

// TestEqualTransit has every PoP buy from the carriers that those in the US buy
// from, and the networks in São Paulo peer there as elsewhere: hardly anybody
// leaves their continent any more by global anycast where carriers reach far.
// (Polarization comes from transit that differs: Rizvi et al., PAM 2024.)
func TestEqualTransit(t *testing.T) {
	f, _ := inputs(t)
	equal := *f
	equal.PoPs = slices.Clone(f.PoPs)
	for i := range equal.PoPs {
		equal.PoPs[i].BGP = f.PoPs[0].BGP
	}
	foreign := func(f sim.Figures) float64 { return f.Foreign }
	before, after := ensemble(t, f, foreign), ensemble(t, &equal, foreign)
	for _, country := range []string{"US", "BR", "DE", "IN", "JP"} {
		b, a := before[country][edge.Global.Index()], after[country][edge.Global.Index()]
		t.Logf("figures: %s: %.1f %% leave the continent, %.1f %% with equal transit", country, b, a)
		if a > 2 || a > b {
			t.Errorf("%s: %.1f %% leave the continent with equal transit, %.1f %% without", country, a, b)
		}
	}
}

func TestVisitor(t *testing.T) {
	w := world(t)
	v, err := w.Visitor("br")
	if err != nil {
		t.Fatal(err)
	}
	if p := v.Lookup(netip.Addr{}); p.Country != "BR" || p.ASN == 0 || !p.HasCoord() {
		t.Errorf("the visitor is in %+v", p)
	}
	pop := func(s edge.Scheme) (edge.PoPID, edge.VIPID) {
		i, vip := v.Reached(s)
		if i < 0 {
			t.Fatalf("%s leads nowhere", s)
		}
		return w.Fleet.PoPs[i].ID, vip
	}
	home, own := pop(edge.Unicast)
	away, global := pop(edge.Global)
	back, region := pop(edge.Regional)
	if home != "gru" || own != "" || away == "gru" || global != "global" || back != "gru" || region != "americas" {
		t.Errorf("unicast leads to %s %q, global to %s %q, regional to %s %q", home, own, away, global, back, region)
	}
	near, _ := v.Reached(edge.Unicast)
	far, _ := v.Reached(edge.Global)
	if v.RTT(near) < 15*time.Millisecond || v.RTT(far) < v.RTT(near)+50*time.Millisecond {
		t.Errorf("%v to %s, %v to %s", v.RTT(near), home, v.RTT(far), away)
	}
	if v, err := w.Visitor("US-AZ"); err != nil || v.Lookup(netip.Addr{}).Subdivision != "AZ" {
		t.Errorf("US-AZ: %v", err)
	}
	if _, err := w.Visitor("XX"); err == nil || !strings.Contains(err.Error(), `nobody lives in "XX"`) {
		t.Errorf("XX: %v", err)
	}
}

// TestTraffic asks for what the demo starts with.
func TestTraffic(t *testing.T) {
	w := world(t)
	for _, now := range []time.Time{
		time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), // a Sunday, nothing of it over
		time.Date(2026, 11, 4, 12, 30, 0, 0, time.UTC),
	} {
		const days, atLeast = 14, 100_000
		g, err := w.Traffic(now, days, atLeast)
		if err != nil {
			t.Fatal(err)
		}
		past := Before(g, now)
		if past < atLeast || past > atLeast*12/10 {
			t.Errorf("%v: %d views before, want %d or somewhat more", now, past, atLeast)
		}
		var b edge.Beacon
		f := g.Filler()
		f.Fill(&b, past-1)
		if !b.Received.Before(now) || now.Sub(b.Received) > time.Hour {
			t.Errorf("the last view of the past is of %v, now is %v", b.Received, now)
		}
		f.Fill(&b, 0)
		if first := edge.DayOf(b.Received); first != edge.DayOf(now)-days {
			t.Errorf("the first view is of %v, %v is %d days before", first, now, days)
		}
		f.Fill(&b, g.Views()-1)
		if last := edge.DayOf(b.Received); last != edge.DayOf(now)+1 {
			t.Errorf("the last view is of %v, today is %v", last, edge.DayOf(now))
		}
	}
}

func TestHandler(t *testing.T) {
	w := world(t)
	v, err := w.Visitor("BR")
	if err != nil {
		t.Fatal(err)
	}
	var broken error
	page := Page{
		Visitor: v,
		Table:   func(context.Context) ([]byte, error) { return []byte(`{"countries":[]}`), broken },
		History: func() (stored, total int) { return 3, 7 },
	}
	h, err := page.Handler()
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string, status int, contains string) *httptest.ResponseRecorder {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, Path+path, nil))
		if w.Code != status || !strings.Contains(w.Body.String(), contains) {
			t.Errorf("%s: %d %.60q", path, w.Code, w.Body)
		}
		return w
	}
	index := get("", 200, "rum.js")
	if got := index.Header().Get("Server-Timing"); got != `pop;desc="gru"` {
		t.Errorf("the page names its PoP as %q", got)
	}
	if csp := index.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'self'") || strings.Contains(csp, "unsafe") {
		t.Errorf("CSP %q", csp)
	}
	get("demo.js", 200, "refresh")
	get("table.json", 200, "countries")
	get("history.json", 200, `{"stored":3,"total":7}`)
	var visit struct {
		PoPs  int
		Place edge.Place
		Leads map[edge.Scheme]struct{ PoP edge.PoPID }
	}
	if err := json.Unmarshal(get("visitor.json", 200, "leads").Body.Bytes(), &visit); err != nil {
		t.Fatal(err)
	}
	if visit.PoPs != 18 || visit.Place.Country != "BR" || visit.Leads[edge.Unicast].PoP != "gru" {
		t.Errorf("the visitor's lot: %+v", visit)
	}
	broken = errors.New("no segment yet")
	get("table.json", 503, "no segment yet")
}

// TestPlaces: an address is where the longest of its prefixes says.
func TestPlaces(t *testing.T) {
	w := world(t)
	places := NewPlaces(w)
	n := 0
	for prefix, want := range w.All() {
		if n++; n%997 != 0 { // of some hundred thousand
			continue
		}
		longest := places.Lookup(prefix.Addr())
		if longest == (edge.Place{}) || prefix.Bits() == places.bits[0] && longest != want {
			t.Fatalf("%v is in %+v, want %+v", prefix, longest, want)
		}
	}
	if n < 997 {
		t.Fatalf("only %d prefixes", n)
	}
	if got := places.Lookup(netip.MustParseAddr("127.0.0.1")); got != (edge.Place{}) {
		t.Errorf("nobody's address is in %+v", got)
	}
}

// TestLoads: a drained PoP's users go to others, a shed one's in part, and
// nobody is lost.
func TestLoads(t *testing.T) {
	w := world(t)
	sum := func(loads map[edge.PoPID]float64) (all float64) {
		for _, l := range loads {
			all += l
		}
		return all
	}
	before := w.Loads(nil)
	for i := range w.Fleet.PoPs {
		if p := &w.Fleet.PoPs[i]; !(before[p.ID] > 0) || before[p.ID] > p.Capacity {
			t.Errorf("%s has %.0f requests/s of %.0f", p.ID, before[p.ID], p.Capacity)
		}
	}
	after := w.Loads(map[edge.PoPID]float64{"gru": 1, "lax": 0.25})
	if after["gru"] != 0 {
		t.Errorf("a drained PoP has %v requests/s", after["gru"])
	}
	if got, want := after["lax"], 0.75*before["lax"]; math.Abs(got-want) > 1e-6*want {
		t.Errorf("a PoP that sheds a quarter has %v requests/s, want %v", got, want)
	}
	if got, want := sum(after), sum(before); math.Abs(got-want) > 1e-6*want {
		t.Errorf("%v requests/s in all, %v before", got, want)
	}
	if after["mia"] <= before["mia"] {
		t.Errorf("nobody went from gru to mia: %v requests/s before, %v after", before["mia"], after["mia"])
	}
}
