package analysis

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
)

func TestAstray(t *testing.T) {
	s := Setting{Fleet: causeFleet(), FarKm: 500}
	f := func(client, resolver edge.Place, wantAstray, wantKnown bool) {
		t.Helper()
		astray, known := s.astray(client, resolver)
		if astray != wantAstray || known != wantKnown {
			t.Errorf("%s and %s: %v, %v", client.City, resolver.City, astray, known)
		}
	}
	us := edge.Place{Continent: "NA", Country: "US"}
	f(chicago, chicago, false, true)
	f(chicago, ashburn, true, true) // 954 km
	f(chicago, us, false, true)     // as far as is known
	f(accra, lagos, true, true)     // 408 km, another country
	f(chicago, london, true, true)
	f(chicago, edge.Place{}, false, false)
	f(edge.Place{}, chicago, false, false)
	f(edge.Place{Lat: 41, Lon: -87}, edge.Place{Lat: 41, Lon: -88}, false, true)
	f(edge.Place{Lat: 41, Lon: -87}, edge.Place{Lat: 41, Lon: -118}, true, true)

	// A country may be divided between regions.
	s.FarKm = 5000
	f(chicago, losAngeles, false, true)
	s.Fleet.Regions = append([]edge.Region{{ID: "all", Countries: []string{"GH"}}}, s.Fleet.Regions...)
	f(accra, accra, false, true)
	f(accra, lagos, true, true)
}

func TestHolds(t *testing.T) {
	f := func(network, client string, want bool) {
		t.Helper()
		if got := holds(netip.MustParsePrefix(network), edge.PrefixKey(netip.MustParsePrefix(client))); got != want {
			t.Errorf("%s holds %s: %v", network, client, got)
		}
	}
	f("203.0.113.0/24", "203.0.113.0/24", true)
	f("203.0.112.0/22", "203.0.113.0/24", true)
	f("203.0.112.0/24", "203.0.113.0/24", false)
	f("2001:db8::/32", "2001:db8:1::/48", true)
	f("2001:db8:2::/48", "2001:db8:1::/48", false)
	f("2001:db8:1:0:8000::/66", "2001:db8:1::/64", true) // beyond what a key tells
	f("::/1", "203.0.113.0/24", false)
	f("128.0.0.0/1", "2001:db8:1::/48", false)
}

// away makes views from prefixes whose users ask resolvers near and far: of
// those with a far one a share misses, of the others another.
func away(seed uint64, prefixes, views int, far, missFar, missNear, ecs float64) []*edge.PageView {
	rng := rand.New(rand.NewPCG(seed, 1))
	var all []*edge.PageView
	for i := range views {
		resolver, miss := "192.0.2.1/32", missNear
		if rng.Float64() < far {
			resolver, miss = "192.0.2.129/32", missFar
		}
		prefix, sends := prefixKey(i%prefixes), ""
		if rng.Float64() < ecs {
			sends, miss = networkOf(prefix), missNear
		}
		pop := edge.PoPID("ord")
		if rng.Float64() < miss {
			pop = "lhr"
		}
		v := viewAt(chicago, edge.Unicast, pop, resolver, sends, nil)
		v.Prefix = prefix
		all = append(all, v)
	}
	return all
}

// networkOf is the IPv6 prefix of a key.
func networkOf(key uint64) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], key)
	return netip.PrefixFrom(netip.AddrFrom16(b), 48).String()
}

func resolverRows(t *testing.T, by []Key, views []*edge.PageView) []ResolverRow {
	t.Helper()
	r := NewResolvers(by)
	s := Setting{Fleet: causeFleet(), Places: resolversAt, FarKm: DefaultFarKm}
	rtts := measured(chicago, ms{"ord": 10, "iad": 25, "lax": 55, "lhr": 95})
	err := JudgeViews(DefaultCriteria(), s, func(yield func(ViewWindow) bool) {
		yield(ViewWindow{Latencies: each(rtts), Views: each(views)})
	}, r)
	if err != nil {
		t.Fatal(err)
	}
	return r.Rows()
}

// TestResolvers: half of the users ask London; half of those go there. The
// others hardly miss.
func TestResolvers(t *testing.T) {
	rows := resolverRows(t, nil, away(1, 200, 20_000, 0.5, 0.5, 0.02, 0.2))
	if len(rows) != 1 || rows[0].Views != 20_000 {
		t.Fatalf("%+v", rows)
	}
	r := rows[0]
	within := func(what string, e Estimate, want float64) {
		t.Helper()
		// Five intervals of 95 % hold at once at 1.3 times their width.
		middle, half := (e.Low+e.High)/2, (e.High-e.Low)/2
		if !(math.Abs(want-middle) <= 1.3*half) || half > 0.05 {
			t.Errorf("%s: %.4f (%.4f to %.4f), want %.4f", what, e.Share, e.Low, e.High, want)
		}
	}
	within("known", r.Known, 1)
	within("ECS for others", r.Foreign, 0)
	within("astray", r.Astray, 0.5)
	within("ECS", r.ECS, 0.2)
	within("wrong with a resolver astray", r.Away, 0.5)
	within("wrong else", r.Home, 0.02)
	// Of 0.4·0.5 + 0.6·0.02 wrong views, 0.4·(0.5 − 0.02) would be right.
	within("explained", r.Explained, 0.4*0.48/(0.2+0.012))
	km := edge.DistanceKm(chicago, london)
	if r.KmP90 < 0.99*km || r.KmP90 > 1.01*km || r.KmP50 > 1.01*km || r.AwayViews+r.HomeViews != 20_000 {
		t.Errorf("%+v", r)
	}

	// Without a difference nothing is explained.
	r = resolverRows(t, nil, away(2, 200, 20_000, 0.5, 0.1, 0.1, 0))[0]
	if !(r.Explained.Low < 0 && r.Explained.High > 0) || r.Explained.High > 0.2 {
		t.Errorf("explained: %+v", r.Explained)
	}
	if r.ECS.Share != 0 || r.Foreign.Share != 0 {
		t.Errorf("%+v", r)
	}

	// All resolvers are at home, or nobody knows them.
	r = resolverRows(t, nil, away(3, 50, 500, 0, 0, 0.1, 0))[0]
	if !math.IsNaN(r.Away.Share) || !math.IsNaN(r.Explained.Share) {
		t.Errorf("all at home: %+v", r)
	}
	views := away(4, 50, 500, 0.5, 0.5, 0.1, 0)
	for _, v := range views {
		v.Resolver = edge.Resolver{}
	}
	r = resolverRows(t, nil, views)[0]
	if r.Known.Share != 0 || !math.IsNaN(r.ECS.Share) || !math.IsNaN(r.KmP50) || !math.IsNaN(r.Explained.Share) {
		t.Errorf("nobody is known: %+v", r)
	}
}

// TestExplainedCoverage: the interval of what is explained holds the truth
// about as often as it says.
func TestExplainedCoverage(t *testing.T) {
	const seeds, truth = 200, 0.5 * 0.3 / (0.5*0.4 + 0.5*0.1)
	inside := 0
	for seed := range uint64(seeds) {
		if e := resolverRows(t, nil, away(seed, 100, 1500, 0.5, 0.4, 0.1, 0))[0].Explained; e.Low <= truth && truth <= e.High {
			inside++
		}
	}
	if inside < 181 || inside > 199 { // 95 %, four standard errors either way
		t.Errorf("%d of %d intervals hold the truth", inside, seeds)
	}
}

// TestViewGroups: by the resolver's network or, where that has no number, its
// prefix.
func TestViewGroups(t *testing.T) {
	named := placesOf{"192.0.2.0/25": {Country: "US", ASN: 64500, ASName: "Example Resolver"}}
	r := NewResolvers([]Key{ByResolver, ByCountry})
	var views []*edge.PageView
	for _, resolver := range []string{"192.0.2.1/32", "192.0.2.0/24", "192.0.2.129/32", "192.0.2.200/32", "", "2001:db8:53::1/128", "192.0.2.1/32"} {
		views = append(views, viewAt(chicago, edge.Unicast, "ord", resolver, "", nil))
	}
	err := JudgeViews(DefaultCriteria(), Setting{Fleet: causeFleet(), Places: named}, func(yield func(ViewWindow) bool) {
		yield(ViewWindow{Latencies: each[*edge.Latencies](nil), Views: each(views)})
	}, r)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for _, row := range r.Rows() {
		got[row.Group[0].Text+" "+row.Group[1].Text] = row.Views
	}
	want := map[string]uint64{"64500 US": 3, "192.0.2.0/24 US": 2, "2001:db8:53::/48 US": 1, " US": 1}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[uint32]string{64500: "Example Resolver"}, r.Names()); d != "" {
		t.Error(d)
	}
}

func TestParseViewKeys(t *testing.T) {
	f := func(s string, want []Key, wantErr bool) {
		t.Helper()
		got, err := ParseViewKeys(s)
		if d := cmp.Diff(want, got); d != "" || (err != nil) != wantErr {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	f("", nil, false)
	f("resolver", []Key{ByResolver}, false)
	f("country, resolver,asn", []Key{ByCountry, ByResolver, ByASN}, false)
	f("resolver,resolver", nil, true)
	f("resolver,city", nil, true)
	f("country,country", nil, true)
}

func TestJudgeViewsErrors(t *testing.T) {
	for _, w := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		v := viewAt(chicago, edge.Unicast, "ord", "", "", nil)
		v.Weight = w
		err := JudgeViews(DefaultCriteria(), Setting{Fleet: causeFleet(), Places: placesOf{}}, func(yield func(ViewWindow) bool) {
			yield(ViewWindow{Latencies: each[*edge.Latencies](nil), Views: each([]*edge.PageView{v})})
		}, NewCauses(nil))
		if err == nil {
			t.Errorf("weight %v is fine", w)
		}
	}
}
