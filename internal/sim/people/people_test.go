package people

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
	"catchment/internal/sim/metros"
	"catchment/internal/sim/topology"
)

// worldwide has networks customers of one carrier, each in every metro of the
// world, with users in proportion to people there.
func worldwide(t testing.TB, networks int) *topology.Topology {
	t.Helper()
	in := topology.Input{Cities: metros.Cities()}
	for n := range networks {
		asn := uint32(4_200_000_000 + n) // private use (RFC 6996): more than the documentation has
		in.Links = append(in.Links, topology.Link{A: 64511, B: asn, Rel: topology.Transit})
		for m := range in.Cities {
			in.Presence = append(in.Presence, topology.Presence{
				ASN: asn, Metro: topology.Metro(m), Users: float64(in.Cities[m].Population) / float64(networks),
			})
		}
	}
	topo, err := topology.Build(in)
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

// near fails unless a share of n draws is within four standard deviations of
// what it should be.
func near(t *testing.T, what string, got, want float64, n int) {
	t.Helper()
	if slack := 4 * math.Sqrt(want*(1-want)/float64(n)); math.Abs(got-want) > slack {
		t.Errorf("%s: %.4f, want %.4f ± %.4f", what, got, want, slack)
	}
}

// quantile returns the q-quantile of values weighted by users.
func quantile(values, weights []float64, q float64) float64 {
	order := make([]int, len(values))
	sum := 0.0
	for i := range order {
		order[i] = i
		sum += weights[i]
	}
	slices.SortFunc(order, func(a, b int) int { return int(math.Copysign(1, values[a]-values[b])) })
	for _, i := range order {
		if q -= weights[i] / sum; q <= 0 {
			return values[i]
		}
	}
	return math.NaN()
}

// TestAskers: shares are those of the model, in every group.
func TestAskers(t *testing.T) {
	topo := worldwide(t, 4)
	m := DefaultModel(1)
	p := New(topo, m)
	for g := range topo.Groups {
		group := &topo.Groups[g]
		country := topo.Cities[group.Metro].Place.Country
		abroad := m.Abroad[country].Share * m.AbroadScale
		var byKind [6]float64
		var blocks uint8
		sum := 0.0
		for _, a := range p.Askers(g) {
			sum += a.Share
			byKind[a.Resolver.Kind] += a.Share
			if a.ECS != (a.Resolver.Kind == ECS) || a.ECS != (a.Blocks != 0) || blocks&a.Blocks != 0 {
				t.Fatalf("group %d: %+v", g, a)
			}
			blocks |= a.Blocks
			if a.Located.City != topo.Cities[a.LocatedMetro].Place.City {
				t.Fatalf("group %d is located in two cities: %+v", g, a)
			}
			if a.Resolver.Kind == Abroad {
				if km := p.Km(group.Metro, a.Resolver.Metro); km < m.Abroad[country].Beyond {
					t.Errorf("%s: the far resolver is at %.0f km", country, km)
				}
			}
		}
		if math.Abs(sum-1) > 1e-12 || blocks != 1<<min(Blocks, p.Lines(g))-1 {
			t.Fatalf("group %d: shares add up to %v, blocks %b", g, sum, blocks)
		}
		public := (1 - abroad) * m.Public
		isp := 1 - abroad - public
		if byKind[Own]+byKind[Hub] == 0 {
			t.Fatal("nobody asks the ISP")
		}
		own := isp
		if p.hubGroup[group.AS] != int32(g) {
			own = isp * (1 - m.HubResolver)
		}
		want := [6]float64{own, isp - own, 0, public * (1 - m.PublicECS), public * m.PublicECS, abroad}
		for k := range want {
			if math.Abs(byKind[k]-want[k]) > 1e-12 {
				t.Fatalf("group %d: %v, want %v", g, byKind, want)
			}
		}
	}
}

// TestSmallNetworks: they resolve at their provider's in part.
func TestSmallNetworks(t *testing.T) {
	m := DefaultModel(1)
	m.SmallUsers, m.CityError, m.CountryError = 1e10, nil, 0
	p := New(worldwide(t, 1), m)
	for _, a := range p.Askers(100) {
		if a.Resolver.Kind != Carrier {
			continue
		}
		if asn := p.t.ASNs[a.Resolver.AS]; asn != 64511 || a.Located.ASN != 64511 {
			t.Errorf("the carrier is AS%d, seen as AS%d", asn, a.Located.ASN)
		}
		if a.Resolver.Metro != p.hubs[p.metros[p.t.Groups[100].Metro].country][0] {
			t.Errorf("the carrier resolves in metro %d", a.Resolver.Metro)
		}
		return
	}
	t.Error("nobody asks a carrier")
}

type count struct{ n, city, country int }

func (c *count) add(city, country bool) {
	c.n++
	if city {
		c.city++
	}
	if country {
		c.country++
	}
}

// TestGeolocation counts how often a network is put into the wrong city and
// the wrong country.
func TestGeolocation(t *testing.T) {
	const networks = 40
	topo := worldwide(t, networks)
	m := DefaultModel(2)
	p := New(topo, m)
	wrong := func(metro topology.Metro, home edge.Place) (city, country bool) {
		at := topo.Cities[metro].Place
		return at.Country == home.Country && at.City != home.City, at.Country != home.Country
	}
	counts := map[string]*count{}
	all, clients, want := &count{}, &count{}, 0.0
	for g := range topo.Groups {
		home := topo.Cities[topo.Groups[g].Metro].Place
		c := p.metros[topo.Groups[g].Metro].country
		if len(p.hubs[c]) < hubsOfCountry {
			continue // too few cities to be wrong about
		}
		key := "other"
		if home.Country == "US" || home.Continent == "EU" {
			key = home.Country
			if key != "US" {
				key = "EU"
			}
		}
		if counts[key] == nil {
			counts[key] = &count{}
		}
		// The ISP's resolver there is a network of its own, and so is each block
		// of clients, at a fraction of the errors.
		asn := uint64(topo.ASNs[topo.Groups[g].AS])
		at := p.locate(topo.Groups[g].Metro, asn, locResolver)
		city, country := wrong(at, home)
		for _, to := range []*count{counts[key], all} {
			to.add(city, country)
		}
		if city && !slices.Contains(p.hubs[c], at) {
			t.Fatalf("%s is put into metro %d, which is no hub", home.City, at)
		}
		for b := range min(Blocks, p.Lines(g)) {
			clients.add(wrong(p.ClientMetro(g, b), home))
			want += m.ClientError * of(m.CityError, &home)
		}
	}
	near(t, "country", float64(all.country)/float64(all.n), m.CountryError, all.n)
	for key, want := range map[string]float64{"US": 0.20, "EU": 0.12, "other": 0.25} {
		c := counts[key]
		near(t, key, float64(c.city)/float64(c.n-c.country), want, c.n)
	}
	near(t, "country of clients", float64(clients.country)/float64(clients.n), m.ClientError*m.CountryError, clients.n)
	near(t, "city of clients", float64(clients.city)/float64(clients.n), want/float64(clients.n), clients.n)
}

// TestResolverDistance compares with Akamai's figures of 2014: what has been
// fitted stays fitted. Users are people here, so that it is roughly so.
func TestResolverDistance(t *testing.T) {
	topo := worldwide(t, 1)
	m := DefaultModel(3)
	m.AbroadScale = 1
	p := New(topo, m)
	var public, weights []float64
	type tail struct{ far, all float64 }
	tails := map[string]*tail{}
	within, total := 0.0, 0.0
	for g := range topo.Groups {
		group := &topo.Groups[g]
		country := topo.Cities[group.Metro].Place.Country
		if tails[country] == nil {
			tails[country] = &tail{}
		}
		for _, a := range p.Askers(g) {
			km, users := p.Km(group.Metro, a.Resolver.Metro), a.Share*float64(group.Users)
			if a.Resolver.Kind == Public || a.Resolver.Kind == ECS {
				public, weights = append(public, km), append(weights, users)
			}
			tails[country].all += users
			if limit := m.Abroad[country].Beyond; limit > 0 && km >= limit {
				tails[country].far += users
			}
			total += users
			if km == 0 {
				within += users
			}
		}
	}
	if km := quantile(public, weights, 0.5); km < 900 || km > 1654 {
		t.Errorf("half of the users of public resolvers are within %.0f km", km)
	} else {
		t.Logf("public resolvers: median %.0f km; own metro %.2f of all", km, within/total)
	}
	for country, want := range m.Abroad {
		got := tails[country].far / tails[country].all
		if got < want.Share-1e-9 {
			t.Errorf("%s: %.3f beyond %.0f km, want at least %.2f", country, got, want.Beyond, want.Share)
		}
	}
}

// TestLines: delays, kinds and families come in the shares of the model.
func TestLines(t *testing.T) {
	topo := worldwide(t, 60)
	m := DefaultModel(4)
	m.MaxPrefixes = 2
	p := New(topo, m)
	var delays [Accesses][]float64
	var jitters []float64
	seen := map[netip.Prefix]bool{}
	v6 := 0
	clients4, clients6 := netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("3fff::/20")
	for g := range topo.Groups {
		for i := range p.Lines(g) {
			l := p.Line(g, i)
			if seen[l.V4] || l.V4.Bits() != 24 || !clients4.Contains(l.V4.Addr()) || l.V4 != l.V4.Masked() {
				t.Fatalf("prefix %v of group %d", l.V4, g)
			}
			seen[l.V4] = true
			if l.V6.IsValid() {
				v6++
				if seen[l.V6] || l.V6.Bits() != 48 || !clients6.Contains(l.V6.Addr()) || l.V6 != l.V6.Masked() {
					t.Fatalf("prefix %v of group %d", l.V6, g)
				}
				seen[l.V6] = true
			}
			if l.V6.IsValid() != p.HasV6(topo.Groups[g].AS) {
				t.Fatalf("group %d: %+v", g, l)
			}
			delays[l.Access] = append(delays[l.Access], l.LastMile)
			jitters = append(jitters, l.Jitter)
		}
	}
	for a, ms := range delays {
		slices.Sort(ms)
		if median := ms[len(ms)/2]; math.Abs(median/m.LastMile[a]-1) > 0.05 {
			t.Errorf("%v: median last mile %.2f ms, want %.2f ± 5 %%", Access(a), median, m.LastMile[a])
		}
		if p90 := ms[len(ms)*9/10] / m.LastMile[a]; math.Abs(p90-math.Exp(0.5*1.2816)) > 0.15 {
			t.Errorf("%v: 90th percentile %.2f of the median, want 1.90 ± 0.15", Access(a), p90)
		}
	}
	slices.Sort(jitters)
	if p50, p90 := jitters[len(jitters)/2], jitters[len(jitters)*9/10]; math.Abs(p50-0.4) > 0.02 || math.Abs(p90-5.6) > 0.3 {
		t.Errorf("jitter: median %.2f, 90th percentile %.2f ms, want 0.4 ± 0.02 and 5.6 ± 0.3", p50, p90)
	}
	// By network, of which there are 60.
	near(t, "networks with IPv6", float64(v6)/float64(len(jitters)), m.V6Networks, 60)
}

// TestStable: what a group is like does not depend on the groups beside it,
// but for its prefixes' addresses.
func TestStable(t *testing.T) {
	small, large := New(worldwide(t, 2), DefaultModel(5)), New(worldwide(t, 3), DefaultModel(5))
	for g := range small.t.Groups {
		of := &small.t.Groups[g]
		h := slices.IndexFunc(large.t.Groups, func(x topology.Group) bool {
			return large.t.ASNs[x.AS] == small.t.ASNs[of.AS] && x.Metro == of.Metro
		})
		a, b := small.Line(g, 0), large.Line(h, 0)
		a.V4, b.V4, a.V6, b.V6 = netip.Prefix{}, netip.Prefix{}, netip.Prefix{}, netip.Prefix{}
		if a != b || small.Client(g, 0) != large.Client(h, 0) || small.Key(g) != large.Key(h) {
			t.Fatalf("group %d changed: %+v, %+v", g, a, b)
		}
	}
}

// TestManyGroups: a hundred thousand groups cost a few megabytes, and prefixes
// beyond what the addresses have room for are thinned out.
func TestManyGroups(t *testing.T) {
	topo := worldwide(t, 200)
	m := DefaultModel(6)
	m.UsersPerPrefix = 1
	p := New(topo, m)
	if n := len(topo.Groups); n < 90_000 {
		t.Fatalf("%d groups", n)
	}
	if last := p.first[len(topo.Groups)]; last > clientNets || last < clientNets/4 {
		t.Errorf("%d prefixes (want up to %d)", last, clientNets)
	}
	last := p.Line(len(topo.Groups)-1, 0)
	if !netip.MustParsePrefix("240.0.0.0/4").Contains(last.V4.Addr()) || last.V4.Addr().As4()[0] > 253 {
		t.Errorf("the last prefix is %v", last.V4)
	}
}

func TestValidate(t *testing.T) {
	m := DefaultModel(1)
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	m.Public, m.PublicSites, m.Jitter = 1.5, nil, math.NaN()
	m.Abroad = map[string]Tail{"BR": {2, 100}}
	want := strings.Join([]string{
		"people: Public is 1.5 (want 0 to 1)",
		"people: len(PublicSites) is 0 (want 1 to 512)",
		"people: Abroad[BR].Share is 2 (want 0 to 1)",
		"people: Jitter is NaN (want 0 to 1000)",
	}, "\n")
	if diff := cmp.Diff(want, fmt.Sprint(m.Validate())); diff != "" {
		t.Error(diff)
	}
}

func TestAllocations(t *testing.T) {
	p := New(worldwide(t, 1), DefaultModel(1))
	buf := make([]Asker, 0, 16)
	if n := testing.AllocsPerRun(100, func() {
		buf = p.AppendAskers(buf[:0], 17)
		p.Line(17, 0)
		p.Client(17, 1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestOneMetro: a country with one metro has no other city to be wrong about.
func TestOneMetro(t *testing.T) {
	m := DefaultModel(1)
	m.CityError, m.CountryError = map[string]float64{"": 1}, 1
	topo, err := topology.Build(topology.Input{
		Cities:   []topology.City{{Name: "Singapore", Place: edge.Place{Country: "SG", Lat: 1.29, Lon: 103.85}}},
		Links:    []topology.Link{{A: 64496, B: 64497}},
		Presence: []topology.Presence{{ASN: 64497, Users: 10}},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := New(topo, m)
	if at := p.ClientMetro(0, 0); at != 0 {
		t.Errorf("it is put into metro %d", at)
	}
}
