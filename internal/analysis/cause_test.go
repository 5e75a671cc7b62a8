package analysis

import (
	"math"
	"net/netip"
	"testing"

	"catchment/internal/edge"
)

func at(continent, country, subdivision, city string, lat, lon float64) edge.Place {
	return edge.Place{Continent: continent, Country: country, Subdivision: subdivision, City: city, Lat: lat, Lon: lon}
}

var (
	chicago    = at("NA", "US", "IL", "Chicago", 41.88, -87.63)
	ashburn    = at("NA", "US", "VA", "Ashburn", 39.04, -77.49)
	losAngeles = at("NA", "US", "CA", "Los Angeles", 34.05, -118.24)
	denver     = at("NA", "US", "CO", "Denver", 39.74, -104.98)
	saoPaulo   = at("SA", "BR", "SP", "São Paulo", -23.55, -46.63)
	london     = at("EU", "GB", "ENG", "London", 51.51, -0.13)
	accra      = at("AF", "GH", "AA", "Accra", 5.6, -0.19)
	lagos      = at("AF", "NG", "LA", "Lagos", 6.45, 3.39)
	singapore  = at("AS", "SG", "", "Singapore", 1.29, 103.85)
	kansas     = at("NA", "US", "", "", 38.5, -98) // the middle of a country: no city is known
)

func causeFleet() *edge.Fleet {
	f := &edge.Fleet{Regions: []edge.Region{
		{ID: "americas", Continents: []string{"NA", "SA"}, PoPs: []edge.PoPID{"ord", "iad", "lax", "gru"}},
		{ID: "emea", Continents: []string{"EU", "AF"}, PoPs: []edge.PoPID{"lhr", "los"}},
		{ID: "asia", Continents: []string{"AS"}, PoPs: []edge.PoPID{"sin"}},
	}}
	for _, p := range []struct {
		id edge.PoPID
		at edge.Place
	}{{"ord", chicago}, {"iad", ashburn}, {"lax", losAngeles}, {"gru", saoPaulo}, {"lhr", london}, {"los", lagos}, {"sin", singapore}} {
		f.PoPs = append(f.PoPs, edge.PoP{ID: p.id, Place: p.at})
	}
	return f
}

// placesOf are the places of networks.
type placesOf map[string]edge.Place

func (p placesOf) Lookup(a netip.Addr) edge.Place {
	for text, place := range p {
		if netip.MustParsePrefix(text).Contains(a) {
			return place
		}
	}
	return edge.Place{}
}

// resolversAt are resolvers, by where they are.
var resolversAt = placesOf{
	"192.0.2.0/26":      chicago,
	"192.0.2.64/26":     losAngeles,
	"192.0.2.128/26":    london,
	"192.0.2.192/26":    singapore,
	"198.51.100.0/25":   {Continent: "NA", Country: "US"}, // without coordinates
	"198.51.100.128/25": saoPaulo,
	"203.0.113.0/24":    losAngeles,
}

const clientNetwork = "2001:db8:1::/48"

// ms are RTTs by PoP.
type ms map[edge.PoPID]float64

// measured yields the latencies of a place: 30 prefixes each measured every PoP.
func measured(where edge.Place, rtts ms) (all []*edge.Latencies) {
	for _, pop := range causeFleet().PoPs {
		if rtt, ok := rtts[pop.ID]; ok {
			l := &edge.Latencies{Cell: cellAt(where), PoP: pop.ID}
			for i := range 30 {
				l.Samples, l.Counts = append(l.Samples, edge.SampleOf(prefixKey(i), rtt)), append(l.Counts, 1)
			}
			all = append(all, l)
		}
	}
	return all
}

func cellAt(p edge.Place) edge.Cell {
	return edge.Cell{Day: testDay, Continent: p.Continent, Country: p.Country, Subdivision: p.Subdivision, ASN: 64496, Family: 4}
}

// view is a page view from a place that reached a PoP under a scheme.
func viewAt(where edge.Place, s edge.Scheme, pop edge.PoPID, resolver, ecs string, seen ms) *edge.PageView {
	v := &edge.PageView{Cell: cellAt(where), Place: where, Prefix: edge.PrefixKey(netip.MustParsePrefix(clientNetwork)), Weight: 1}
	v.Place.ASN = 64496
	v.Served[s.Index()] = pop
	if resolver != "" {
		v.Resolver.Addr = netip.MustParsePrefix(resolver)
	}
	if ecs != "" {
		v.Resolver.ECS = netip.MustParsePrefix(ecs)
	}
	for pop, rtt := range seen {
		v.Seen = append(v.Seen, edge.Seen{PoP: pop, RTT: rtt})
	}
	return v
}

// causes judges views and returns the rows of the report on them.
func causesOf(t *testing.T, latencies []*edge.Latencies, views ...*edge.PageView) []CauseRow {
	t.Helper()
	r := NewCauses(nil)
	s := Setting{Fleet: causeFleet(), Places: resolversAt, FarKm: DefaultFarKm}
	err := JudgeViews(DefaultCriteria(), s, func(yield func(ViewWindow) bool) {
		yield(ViewWindow{Latencies: each(latencies), Views: each(views)})
	}, r)
	if err != nil {
		t.Fatal(err)
	}
	return r.Rows()
}

// TestCauses tells one story after another, each of a view that did not reach
// its best PoP.
func TestCauses(t *testing.T) {
	const (
		inChicago, inLosAngeles, inLondon, inSingapore = "192.0.2.1/32", "192.0.2.65/32", "192.0.2.129/32", "192.0.2.193/32"
		somewhereUS, nowhere                           = "198.51.100.1/32", "2001:db8:ffff::/48"
	)
	midwest := ms{"ord": 10, "iad": 25, "lax": 55, "lhr": 95, "gru": 130, "sin": 210}
	coast := ms{"lax": 10, "ord": 55, "iad": 65, "lhr": 140, "gru": 170, "sin": 170}
	f := func(why string, want Cause, home edge.Place, rtts ms, s edge.Scheme, pop edge.PoPID, resolver, ecs string, seen ms) {
		t.Helper()
		rows := causesOf(t, measured(home, rtts), viewAt(home, s, pop, resolver, ecs, seen))
		got := Cause("none")
		for i, e := range rows[0].Causes {
			if e.Share == 1 {
				got = CauseOrder[i]
			}
		}
		if got != want || len(rows) != 1 || (rows[0].Missed.Share == 1) != (want != "none") {
			t.Errorf("%s: %s, want %s", why, got, want)
		}
	}

	f("optimal: no cause", "none", chicago, midwest, edge.Unicast, "ord", inLondon, "", nil)
	f("good enough: no cause", "none", chicago, ms{"ord": 10, "iad": 14}, edge.Unicast, "iad", inLondon, "", nil)
	f("no answer, whoever asked", CauseFailed, chicago, midwest, edge.Unicast, edge.Failed, inLondon, "", nil)

	f("a resolver on the other coast", CauseResolver, chicago, midwest, edge.Unicast, "lax", inLosAngeles, "", nil)
	f("the resolver is at home, and DNS answered the other coast for reasons of its own", CauseUnknown, chicago, midwest, edge.Unicast, "lax", inChicago, "", nil)
	f("the resolver is abroad, but that is not where the view went", CauseUnknown, chicago, midwest, edge.Unicast, "lax", inLondon, "", nil)
	f("the resolver is on the other coast and says who asks", CauseUnknown, chicago, midwest, edge.Unicast, "lax", inLosAngeles, clientNetwork, nil)
	f("it says a part of a larger network", CauseUnknown, chicago, midwest, edge.Unicast, "lax", inLosAngeles, "2001:db8::/32", nil)
	f("it says another network than the page's", CauseResolver, chicago, midwest, edge.Unicast, "lax", inChicago, "203.0.113.0/24", nil)
	f("nobody knows where the resolver is", CauseUnknown, chicago, midwest, edge.Unicast, "lax", nowhere, "", nil)
	f("its country is known: not where in it", CauseUnknown, chicago, midwest, edge.Unicast, "lax", somewhereUS, "", nil)
	f("nobody knows the resolver", CauseUnknown, chicago, midwest, edge.Unicast, "lax", "", "", nil)
	f("a resolver abroad", CauseResolver, chicago, midwest, edge.Unicast, "lhr", inLondon, "", nil)
	f("off the continent, and the resolver does not explain it", CauseContinent, chicago, midwest, edge.Unicast, "lhr", inChicago, "", nil)

	// Accra's way to Lagos is by way of London.
	f("nearest, but slower", CauseDistance, accra, ms{"lhr": 90, "los": 180}, edge.Unicast, "los", "", "", nil)
	f("nearest from where the resolver is, too", CauseDistance, accra, ms{"lhr": 90, "los": 180}, edge.Unicast, "los", "198.51.100.129/32", "", nil)
	f("the region has it: routes err", CauseBGP, accra, ms{"lhr": 90, "los": 180}, edge.Regional, "los", "", "", nil)
	f("nearest by 140 km, but slower", CauseDistance, denver, ms{"lax": 60, "ord": 25, "iad": 40}, edge.Unicast, "lax", "", "", nil)
	f("from where the resolver is it is not nearest: something else", CauseUnknown, denver, ms{"lax": 60, "ord": 25, "iad": 40}, edge.Unicast, "lax", inChicago, "", nil)

	f("routes within a continent", CauseBGP, chicago, midwest, edge.Global, "lax", inLondon, "", nil)
	f("routes off the continent", CauseContinent, chicago, midwest, edge.Global, "lhr", inLondon, "", nil)
	f("routes off a continent that has nothing better", CauseBGP, saoPaulo, ms{"iad": 110, "lhr": 190}, edge.Global, "lhr", "", "", nil)

	f("regional, routes within the region", CauseBGP, chicago, midwest, edge.Regional, "iad", "", "", nil)
	f("regional, another region by the resolver", CauseResolver, chicago, midwest, edge.Regional, "lhr", inLondon, "", nil)
	f("regional, another region without a resolver to blame", CauseContinent, chicago, midwest, edge.Regional, "lhr", inChicago, "", nil)
	f("regional, the region lacks the best PoP", CauseRegion, accra, ms{"iad": 110, "lhr": 190, "los": 170}, edge.Regional, "lhr", "", "", nil)
	f("regional, and the resolver would have led to no better", CauseRegion, accra, ms{"iad": 110, "lhr": 190, "sin": 300}, edge.Regional, "sin", inSingapore, "", nil)
	f("regional, the region has one as good as the best", CauseBGP, accra, ms{"iad": 110, "lhr": 112, "los": 170}, edge.Regional, "los", "", "", nil)

	f("light is not that fast", CausePlace, losAngeles, coast, edge.Global, "ord", "", "", ms{"ord": 12})
	f("it is, all but", CauseBGP, losAngeles, coast, edge.Global, "ord", "", "", ms{"ord": 29, "lax": 12})
	f("a place that is the middle of a country is believed less", CauseBGP, kansas, coast, edge.Global, "ord", "", "", ms{"ord": 3})
	f("what is far from its cell is near to the view", CausePlace, losAngeles, coast, edge.Global, "ord", "", "", ms{"ord": 31, "lax": 70})
	f("that goes before the resolver", CausePlace, losAngeles, coast, edge.Unicast, "ord", inChicago, "", ms{"ord": 31, "lax": 70})
	f("a queue is not a place", CauseBGP, losAngeles, coast, edge.Global, "ord", "", "", ms{"ord": 66, "lax": 70})
	f("the view is where it should be, and others of its cell are not", CausePlace, accra, ms{"lhr": 90, "los": 180}, edge.Global, "los", "", "", ms{"los": 50, "lhr": 90})
}

// TestCausesAddUp: every miss has one cause, under every scheme and in every
// group.
func TestCausesAddUp(t *testing.T) {
	rtts := ms{"ord": 10, "iad": 25, "lax": 55, "lhr": 95, "gru": 130, "sin": 210}
	var views []*edge.PageView
	pops := []edge.PoPID{"ord", "iad", "lax", "lhr", "gru", "sin", edge.Failed, "", "nobody"}
	resolvers := []string{"", "192.0.2.1/32", "192.0.2.65/32", "192.0.2.129/32", "198.51.100.9/32"}
	for i := range 900 {
		v := viewAt(chicago, edge.Unicast, pops[i%9], resolvers[i%5], "", ms{"ord": float64(1 + i%40)})
		v.Served[globalAt], v.Served[regionalAt] = pops[(i/9)%9], pops[(i/7)%9]
		v.Prefix, v.Weight = prefixKey(i%60), float64(1+i%3)
		views = append(views, v)
	}
	rows := causesOf(t, measured(chicago, rtts), views...)
	if len(rows) != 3 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, r := range rows {
		sum := 0.0
		for i, e := range r.Causes {
			sum += e.Share
			if !(e.Low <= e.Share && e.Share <= e.High && e.Low >= 0 && e.High <= 1) || e.Share > 0 && !(e.High-e.Low > 0) {
				t.Errorf("%s %s: %+v", r.Scheme, CauseOrder[i], e)
			}
		}
		if math.Abs(sum-r.Missed.Share) > 1e-12 || r.Missed.Share < 0.5 || r.MissedViews == 0 {
			t.Errorf("%s: the causes add up to %v of %v", r.Scheme, sum, r.Missed.Share)
		}
		// A ninth is not probed, a ninth reached a PoP that nobody measured.
		if r.Scheme == edge.Unicast && (r.Judged != 700 || r.Views != 800) {
			t.Errorf("%s: %d views, %d judged", r.Scheme, r.Views, r.Judged)
		}
	}
}

// TestCausesAgree: single views are judged as their aggregate is, with the same
// intervals.
func TestCausesAgree(t *testing.T) {
	w := newWorld(3)
	for _, g := range published {
		w.add(g, traffic{views: 1500, prefixes: 80, icc: 0.2})
	}
	a := NewAssignment([]Key{ByCountry, BySubdivision})
	if err := Judge(DefaultCriteria(), once(w.window()), a); err != nil {
		t.Fatal(err)
	}
	var views []*edge.PageView
	for _, x := range w.assignments {
		for i, prefix := range x.Prefixes {
			for range x.Views[i] { // weights are not told one by one: alike
				v := &edge.PageView{Cell: x.Cell, Served: x.Served, Prefix: prefix, Weight: 50}
				views = append(views, v)
			}
			x.Weights[i], x.Weights2[i] = 50*float64(x.Views[i]), 2500*float64(x.Views[i])
		}
	}
	a = NewAssignment([]Key{ByCountry, BySubdivision})
	if err := Judge(DefaultCriteria(), once(w.window()), a); err != nil {
		t.Fatal(err)
	}
	c := NewCauses([]Key{ByCountry, BySubdivision})
	err := JudgeViews(DefaultCriteria(), Setting{Fleet: causeFleet(), Places: placesOf{}}, func(yield func(ViewWindow) bool) {
		yield(ViewWindow{Latencies: each(w.latencies), Views: each(views)})
	}, c)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]CauseRow{}
	for _, r := range c.Rows() {
		got[r.Group[0].Text+r.Group[1].Text+string(r.Scheme)] = r
	}
	close := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
	n := 0
	for _, row := range a.Rows() {
		for k, s := range row.Schemes {
			if s.Views == 0 {
				continue
			}
			n++
			r := got[row.Group[0].Text+row.Group[1].Text+string(edge.Schemes[k])]
			if r.Views != s.Views || r.Judged != s.Judged || !close(r.Missed.Share, 1-s.Optimal) || !close(r.Missed.Low, 1-s.High) || !close(r.Missed.High, 1-s.Low) {
				t.Errorf("%v %s: %+v, want %+v", row.Group, edge.Schemes[k], r.Missed, s)
			}
		}
	}
	if n != 2*len(published) || len(got) != n {
		t.Errorf("%d shares, %d rows", n, len(got))
	}
}
