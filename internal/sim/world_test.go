package sim

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/analysis"
	"catchment/internal/edge"
	"catchment/internal/fleet"
	"catchment/internal/sim/topology"
)

// The metros of the hand-made world.
const (
	ashburn topology.Metro = iota
	chicago
	saoPaulo
	rio
	singapore
	frankfurt
)

func cities() []topology.City {
	at := func(name, continent, country, subdivision string, lat, lon float64) topology.City {
		return topology.City{Name: name, Place: edge.Place{
			Continent: continent, Country: country, Subdivision: subdivision, City: name, Lat: lat, Lon: lon,
		}}
	}
	return []topology.City{
		at("Ashburn", "NA", "US", "VA", 39.04, -77.49),
		at("Chicago", "NA", "US", "IL", 41.88, -87.63),
		at("São Paulo", "SA", "BR", "SP", -23.55, -46.63),
		at("Rio de Janeiro", "SA", "BR", "RJ", -22.91, -43.17),
		at("Singapore", "AS", "SG", "", 1.35, 103.82),
		at("Frankfurt", "EU", "DE", "HE", 50.11, 8.68),
	}
}

// story is two tier-1s that are everywhere (64496, 64497); an Asian carrier
// (64498) that buys from Brazil's incumbent (64500); in Brazil besides a
// network with one transit (64501) and one that peers (64502); and users in
// the US (64505), Singapore (64506) and Germany (64507).
func story(t testing.TB) *topology.Topology {
	in := topology.Input{Cities: cities(), Names: map[uint32]string{
		64496: "Example Tier One", 64497: "Example Backbone", 64498: "Asia Carrier", 64500: "Incumbente", 64501: "Rede Única",
		64502: "Rede Par", 64505: "US Broadband", 64506: "SG Broadband", 64507: "DE Breitband",
	}}
	transit := func(provider uint32, customers ...uint32) {
		for _, c := range customers {
			in.Links = append(in.Links, topology.Link{A: provider, B: c, Rel: topology.Transit})
		}
	}
	in.Links = append(in.Links, topology.Link{A: 64496, B: 64497, Rel: topology.Peering})
	transit(64496, 64500, 64501, 64502, 64505, 64507)
	transit(64497, 64505, 64506)
	transit(64500, 64498)
	transit(64498, 64506)
	present := func(asn uint32, users float64, metros ...topology.Metro) {
		for _, m := range metros {
			in.Presence = append(in.Presence, topology.Presence{ASN: asn, Metro: m, Users: users})
		}
	}
	all := []topology.Metro{ashburn, chicago, saoPaulo, rio, singapore, frankfurt}
	present(64496, 0, all...)
	present(64497, 0, all...)
	present(64498, 0, singapore, saoPaulo)
	present(64500, 3000, saoPaulo, rio)
	present(64501, 1000, saoPaulo)
	present(64502, 500, saoPaulo)
	present(64505, 4000, ashburn, chicago)
	present(64506, 2000, singapore)
	present(64507, 2500, frankfurt)
	topo, err := topology.Build(in)
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

// plainOptions have no noise.
func plainOptions() Options {
	o := DefaultOptions(1)
	o.Route.Stray, o.Route.Anomaly, o.Route.Detour = 0, 0, 0
	return o
}

func loadFleet(t testing.TB, edit func(string) string) *edge.Fleet {
	t.Helper()
	data, err := os.ReadFile("testdata/fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if edit == nil {
		edit = func(s string) string { return s }
	}
	f, err := fleet.Parse("fleet.yaml", []byte(edit(string(data))))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func newStory(t testing.TB, edit func(string) string) *World {
	t.Helper()
	w, err := New(loadFleet(t, edit), story(t), plainOptions())
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Warnings) > 0 {
		t.Fatal(w.Warnings)
	}
	return w
}

func evaluate(t testing.TB, w *World) *Outcome {
	t.Helper()
	o, err := w.Evaluate()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func summarize(o *Outcome, by By) map[string]Row {
	rows := map[string]Row{}
	s := o.Summarize(Judging{By: by, Tolerance: analysis.DefaultTolerance})
	for _, r := range s.Rows {
		rows[r.Label] = r
	}
	rows["all"] = s.All
	return rows
}

// TestPolarized: a transit that only sin buys takes most of Brazil to
// Singapore under one global address, and regions bring it back.
func TestPolarized(t *testing.T) {
	br := summarize(evaluate(t, newStory(t, nil)), ByCountry)["BR"]
	unicast, global, regional := br.Schemes[0], br.Schemes[1], br.Schemes[2]
	if br.Users != 7500 {
		t.Fatalf("%v users", br.Users)
	}
	if unicast.Optimal != 1 || unicast.Foreign != 0 || unicast.PenaltyP90 != 0 {
		t.Errorf("unicast: %+v", unicast)
	}
	// The incumbent's 6,000 of 7,500 leave the continent, and lose most of the
	// way around the world: 16,000 km are 264 ms at 1.65 ms per 100 km.
	if !near(global.Optimal, 0.2) || !near(global.Foreign, 0.8) || global.PenaltyP50 < 200 || global.PenaltyP50 > 300 {
		t.Errorf("global: %+v", global)
	}
	if regional.Optimal != 1 || regional.Foreign != 0 || regional.PenaltyP90 != 0 {
		t.Errorf("regional: %+v", regional)
	}
}

// TestEqualTransit: once every PoP buys from the same carriers, nobody leaves
// a continent that has a PoP.
func TestEqualTransit(t *testing.T) {
	w := newStory(t, func(s string) string {
		for _, old := range []string{"asn: 64496}", "asn: 64498}"} {
			s = strings.Replace(s, "        - {address: 192.0.2.21, "+old, "", 1)
		}
		with := func(pop, carriers string) {
			s = strings.Replace(s, "router_id: 192.0.2."+pop+"\n      neighbors:\n", "router_id: 192.0.2."+pop+"\n      neighbors:\n"+carriers, 1)
		}
		with("1", "        - {address: 192.0.2.13, asn: 64498}\n")
		with("2", "        - {address: 192.0.2.23, asn: 64498}\n        - {address: 192.0.2.24, asn: 64496}\n        - {address: 192.0.2.25, asn: 64497}\n")
		with("3", "        - {address: 192.0.2.33, asn: 64496}\n")
		return s
	})
	rows := summarize(evaluate(t, w), ByContinent)
	for _, continent := range []string{"NA", "SA", "AS"} {
		if f := rows[continent].Schemes[1]; f.Foreign != 0 || f.Optimal != 1 {
			t.Errorf("%s: %+v", continent, f)
		}
	}
	if f := rows["EU"].Schemes[1]; f.Foreign != 1 || f.Optimal != 1 { // there is no PoP
		t.Errorf("EU: %+v", f)
	}
	// No region has Europe: nobody there is led anywhere.
	if f := rows["EU"].Schemes[2]; f.Users != 0 || !math.IsNaN(f.Optimal) {
		t.Errorf("EU, regional: %+v", f)
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func whatIf(t testing.TB, w *World, vip edge.VIPID, edits ...string) *Change {
	t.Helper()
	var list []Edit
	for _, s := range edits {
		kind, text, _ := strings.Cut(s, " ")
		e, err := ParseEdit(EditKind(kind), text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	c, err := w.WhatIf(vip, list, 1)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// moves is "from→to" → users.
func moves(c *Change) map[string]float64 {
	m := map[string]float64{}
	for _, x := range c.Moves {
		m[string(x.From)+"→"+string(x.To)] = x.Users
	}
	return m
}

// TestPrepend: longer paths move the network with one transit, to where that
// transit goes next, and not the one that peers.
func TestPrepend(t *testing.T) {
	w := newStory(t, nil)
	c := whatIf(t, w, "americas", "prepend gru:3")
	// The incumbent and the single-transit network follow 64496 to iad; the
	// peer prefers its own route, however long.
	if d := cmp.Diff(map[string]float64{"gru→iad": 7000}, moves(c)); d != "" {
		t.Error(d)
	}
	if c.MovedShift.P50 < 80 || c.Users != 15500 { // 7,700 km further
		t.Errorf("%+v", c)
	}
	// The same one by one: only the transit's session matters.
	if d := cmp.Diff(moves(c), moves(whatIf(t, w, "americas", "prepend gru:AS64496:3"))); d != "" {
		t.Error(d)
	}
	if m := whatIf(t, w, "americas", "prepend gru:64502:10"); m.Moved != 0 || len(m.Causes) != 0 {
		t.Errorf("the peer moved: %+v", m)
	}
	if len(c.Causes) != 1 || c.Causes[0].ASN != 64496 || !strings.HasPrefix(c.Causes[0].Why, "longer path after prepending at gru; ") {
		t.Errorf("causes: %+v", c.Causes)
	}
}

// TestDrain: withdrawing a PoP moves its own users and nobody else.
func TestDrain(t *testing.T) {
	w := newStory(t, nil)
	o := evaluate(t, w)
	var gru float64
	for g := range w.Topology.Groups {
		for _, s := range o.Assigned(nil, g, edge.Global) {
			if s.PoP == 1 {
				gru += s.Share * float64(w.Topology.Groups[g].Users)
			}
		}
	}
	c := whatIf(t, w, "global", "withdraw gru")
	if c.Moved != gru || gru != 1500 || c.Lost != 0 {
		t.Errorf("%v moved, gru had %v", c.Moved, gru)
	}
	for _, m := range c.Moves {
		if m.From != "gru" || m.Engine != ByTopology {
			t.Errorf("%+v", m)
		}
	}
	for _, p := range c.PoPs {
		switch p.PoP {
		case "gru":
			if p.Before != gru || p.After != 0 {
				t.Errorf("%+v", p)
			}
		case "iad": // 8,000 of the US, 2,500 of Germany and these at 1 request/s, of 4,000
			if !p.Over() || p.After != 8000+2500+1500 {
				t.Errorf("%+v", p)
			}
		}
	}
	// Everywhere: nobody is left with a route.
	c = whatIf(t, w, "global", "withdraw *")
	if c.Lost != c.Users || c.Moved != c.Users || !math.IsNaN(c.All.P50) || c.Causes[0].Why == "" {
		t.Errorf("%+v", c)
	}
}

// TestAgain: a change computed from the old catchment equals one computed anew.
func TestAgain(t *testing.T) {
	w := newStory(t, nil)
	for _, edit := range []string{
		"withdraw iad", "withdraw sin:64498", "drop-transit gru:64496", "class gru:64502:transit", "add-session gru:64497",
		"add-session sin:64496:peer", "cut 64500:64498", "scope sin:64498:AS", "no-export sin:64498:64500", "add-pop fra:50.03,8.57:64496",
	} {
		kind, text, _ := strings.Cut(edit, " ")
		e, err := ParseEdit(EditKind(kind), text)
		if err != nil {
			t.Fatal(err)
		}
		p, err := w.plan("global", []Edit{e})
		if err != nil {
			t.Fatal(err)
		}
		fresh := p.w.land(w.Network.Announce(p.sessions(), p.cuts...))
		c, err := w.WhatIf("global", []Edit{e}, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, pop := range c.PoPs {
			var users float64
			for g, at := range fresh.pop {
				if int(at) == i {
					users += float64(w.Topology.Groups[g].Users)
				}
			}
			if pop.After != users {
				t.Errorf("%s: %s has %v users, announced anew %v", edit, pop.PoP, pop.After, users)
			}
		}
	}
}

// TestRepairs: what brings Brazil back, and what it says about it.
func TestRepairs(t *testing.T) {
	w := newStory(t, nil)
	f := func(edit, why string) {
		t.Helper()
		c := whatIf(t, w, "global", edit)
		if c.Moved != 6000 || moves(c)["sin→gru"] != 6000 {
			t.Errorf("%s: %v", edit, moves(c))
			return
		}
		if x := c.Causes[0]; x.Why != why || x.Lost > -6000*200 || x.From != "sin" || x.To != "gru" {
			t.Errorf("%s: %+v", edit, x)
		}
	}
	f("cut 64500:64498", "the link AS64500–AS64498 is cut; the best route left to AS64500 is a transit route to gru (2 hops), not a customer route (2 hops)")
	f("scope sin:64498:EU", "AS64498 passes the route of sin on to others than before; the best route left to AS64500 is a transit route to gru (2 hops), not a customer route (2 hops)")
	f("no-export sin:64498:64500", "AS64498 passes the route of sin on to others than before; the best route left to AS64500 is a transit route to gru (2 hops), not a customer route (2 hops)")
	f("drop-transit sin:64498", "sin no longer announces global to AS64498; the best route left to AS64500 is a transit route to gru (2 hops), not a customer route (2 hops)")
	f("class sin:64498:customer", "AS64498 ranks the route of sin as a transit route, no longer as a customer route; the best route left to AS64500 is a transit route to gru (2 hops), not a customer route (2 hops)")
	f("add-session gru:64500:transit", "AS64500 takes the shorter customer route to gru (1 hop) rather than the one to sin (2 hops)")
	f("add-session gru:64498", "of 2 equally good routes AS64498 takes the nearest hand-over, to gru in São Paulo (0 km; to sin in Singapore: 15987 km)")
}

// TestAddPoP: a new PoP takes whom it is best for, and its name can be used by
// other edits.
func TestAddPoP(t *testing.T) {
	w := newStory(t, nil)
	c := whatIf(t, w, "global", "prepend fra:1", "add-pop fra:50.03,8.57:AS64496,64497")
	if c.Moved != 0 || len(c.PoPs) != 4 || c.PoPs[3].PoP != "fra" {
		t.Errorf("%+v", c)
	}
	c = whatIf(t, w, "global", "add-pop fra:50.03,8.57:AS64496,64497")
	if d := cmp.Diff(map[string]float64{"iad→fra": 2500}, moves(c)); d != "" {
		t.Error(d)
	}
	if w.PoP("fra") != -1 || len(w.Fleet.PoPs) != 3 {
		t.Error("the world was changed")
	}
	// In a region's VIP it is the region's.
	c = whatIf(t, w, "americas", "add-pop ord:41.97,-87.90:64496,64497")
	if d := cmp.Diff(map[string]float64{"iad→ord": 4000}, moves(c)); d != "" {
		t.Error(d)
	}
}

// TestExplain: the incumbent's way, and why not the other.
func TestExplain(t *testing.T) {
	w := newStory(t, nil)
	a, m, err := FindGroup(w.Topology, 64500, "rio de janeiro")
	if err != nil {
		t.Fatal(err)
	}
	e, err := w.Explain("global", a, m, analysis.DefaultTolerance)
	if err != nil {
		t.Fatal(err)
	}
	var way []uint32
	for _, h := range e.Path.Hops {
		way = append(way, h.ASN)
	}
	if e.Path.PoP != "sin" || e.Best.PoP != "gru" || e.Good || e.Users != 3000 || !slices.Equal(way, []uint32{64500, 64498}) {
		t.Errorf("%+v", e)
	}
	if want := "AS64500 prefers its customer route at sin (2 hops) to the transit route at gru (2 hops); gru does not announce global to AS64498"; e.Reason != want {
		t.Errorf("%q, want %q", e.Reason, want)
	}
	// Hop by hop it adds up.
	var sum float64
	for _, h := range e.Path.Hops {
		sum += h.RTT
	}
	if math.Abs(sum-e.Path.RTT) > 1e-3 {
		t.Errorf("%v ms in hops, %v in all", sum, e.Path.RTT)
	}
	if e, err = w.Explain("asia", a, m, analysis.DefaultTolerance); err != nil || e.Reason != "gru does not announce asia" {
		t.Errorf("%+v, %v", e, err)
	}
	if e, err = w.Explain("americas", a, m, analysis.DefaultTolerance); err != nil || e.Path.PoP != "gru" || !e.Good || e.Reason != "" {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err = w.Explain("none", a, m, analysis.DefaultTolerance); err == nil || err.Error() != "sim: there is no VIP none (want one of global, americas, asia)" {
		t.Error(err)
	}
}

func TestFindGroup(t *testing.T) {
	topo := story(t)
	if _, m, err := FindGroup(topo, 64505, ""); err != nil || m != ashburn {
		t.Error(m, err)
	}
	if _, m, err := FindGroup(topo, 64505, "Chicago/US-IL"); err != nil || m != chicago {
		t.Error(m, err)
	}
	f := func(asn uint32, metro, want string) {
		t.Helper()
		if _, _, err := FindGroup(topo, asn, metro); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	f(64499, "", "sim: AS64499 is not in the topology")
	f(64505, "Springfield", `sim: there is no metro "Springfield" in the topology`)
	f(64505, "Singapore", "sim: AS64505 is not in Singapore (it is in Ashburn, Chicago)")
}
