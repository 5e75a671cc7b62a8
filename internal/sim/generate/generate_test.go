package generate

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"catchment/internal/sim/metros"
	"catchment/internal/sim/topology"
)

func generated(t testing.TB, ases int, seed uint64) *topology.Topology {
	t.Helper()
	in, err := Generate(Params{ASes: ases, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	top, err := topology.Build(in)
	if err != nil {
		t.Fatal(err)
	}
	return top
}

func TestLimits(t *testing.T) {
	for _, n := range []int{-1, 0, MinASes - 1, MaxASes + 1} {
		want := fmt.Sprintf("generate: %d ASes (want 500 to 200000)", n)
		if _, err := Generate(Params{ASes: n}); err == nil || err.Error() != want {
			t.Errorf("%d ASes: %v (want %s)", n, err, want)
		}
	}
}

// digest hashes everything of an input, in order.
func digest(t *testing.T, p Params) [32]byte {
	t.Helper()
	in, err := Generate(p)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	for _, l := range in.Links {
		fmt.Fprintln(h, l.A, l.B, l.Rel)
	}
	for _, at := range in.Presence {
		fmt.Fprintln(h, at.ASN, at.Metro, in.Names[at.ASN])
		binary.Write(h, binary.LittleEndian, math.Float64bits(at.Users))
	}
	fmt.Fprintln(h, in.Siblings, in.Sources)
	return [32]byte(h.Sum(nil))
}

func TestSameSeedSameBytes(t *testing.T) {
	first := digest(t, Params{ASes: 2000, Seed: 7})
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if digest(t, Params{ASes: 2000, Seed: 7}) != first {
		t.Error("one seed gave two results")
	}
	if digest(t, Params{ASes: 2000, Seed: 8}) == first {
		t.Error("two seeds gave one result")
	}
}

// Whatever the size: as many ASes as asked for, tier-1s in a clique, and
// everyone else with a provider that is there before it.
func TestStructure(t *testing.T) {
	for _, n := range []int{500, 777, 4000} {
		in, err := Generate(Params{ASes: n, Seed: uint64(n)})
		if err != nil {
			t.Fatal(err)
		}
		top, err := topology.Build(in)
		if err != nil {
			t.Fatal(err)
		}
		if top.Len() != n {
			t.Errorf("%d ASes (want %d)", top.Len(), n)
		}
		for i, asn := range top.ASNs {
			a := topology.AS(i)
			kind, ok := KindOf(asn)
			if !ok {
				t.Fatalf("AS%d has no kind", asn)
			}
			if top.Names[a] == "" {
				t.Errorf("AS%d has no name", asn)
			}
			if isTop := len(top.Providers.Of(a)) == 0; isTop != (kind == TierOne) {
				t.Errorf("AS%d, %v, has %d providers", asn, kind, len(top.Providers.Of(a)))
			}
			if kind != TierOne {
				continue
			}
			for j := range tierOnes {
				b, ok := top.Find(TierOneASN(j + 1))
				if !ok || a != b && !slices.Contains(top.Peers.Of(a), b) {
					t.Errorf("tier-1s AS%d and AS%d do not peer", asn, TierOneASN(j+1))
				}
			}
		}
		if seen := below(top); seen != n {
			t.Errorf("%d of %d ASes are below tier-1s without a cycle", seen, n)
		}
		for _, p := range in.Presence {
			if !(p.Users >= 0) || p.Users != math.Trunc(p.Users) || p.Users > 0 && p.Users < leastUsers {
				t.Errorf("AS%d has %v users in metro %d", p.ASN, p.Users, p.Metro)
			}
		}
	}
}

// below counts the ASes that are reached from those without providers, each
// after all of its providers: all of them, if there is no cycle.
func below(t *topology.Topology) int {
	left := make([]int, t.Len())
	var queue []topology.AS
	for i := range left {
		if left[i] = len(t.Providers.Of(topology.AS(i))); left[i] == 0 {
			queue = append(queue, topology.AS(i))
		}
	}
	for i := 0; i < len(queue); i++ {
		for _, c := range t.Customers.Of(queue[i]) {
			if left[c]--; left[c] == 0 {
				queue = append(queue, c)
			}
		}
	}
	return len(queue)
}

// The figures of the real Internet that a generated one is made to have.
func TestAnchors(t *testing.T) {
	n := 80_000
	if testing.Short() {
		n = 20_000
	}
	top := generated(t, n, 1)
	between := func(what string, got, low, high float64) {
		t.Helper()
		t.Logf("%s: %.4g", what, got)
		if !(got >= low && got <= high) {
			t.Errorf("%s: %.4g (want %v to %v)", what, got, low, high)
		}
	}
	per := func(n int) float64 { return float64(n) / float64(top.Len()) }
	transit, peering := len(top.Customers.To), len(top.Peers.To)/2
	between("links per AS", per(transit+peering), 6.2, 6.35) // CAIDA, 2025-09-01: 6.27
	between("share of transit links", float64(transit)/float64(transit+peering), 0.29, 0.37)

	var one, stubs, peerless int
	var degrees []int
	for i := range top.Len() {
		a := topology.AS(i)
		p, c, s := len(top.Providers.Of(a)), len(top.Customers.Of(a)), len(top.Peers.Of(a))
		degrees = append(degrees, p+c+s)
		if p == 1 {
			one++
		}
		if c == 0 {
			stubs++
		}
		if s == 0 {
			peerless++
		}
	}
	between("share with one provider", per(one), 0.36, 0.46)
	between("share without customers", per(stubs), 0.80, 0.93) // so the median cone is 1
	between("share without peers", per(peerless), 0.5, 0.8)
	between("groups per AS", per(len(top.Groups)), 1.0, 1.8)

	// Degrees have a power law's tail.
	slices.Sort(degrees)
	between("median degree", float64(degrees[n/2]), 2, 4)
	between("largest degree per AS", per(degrees[n-1]), 0.08, 0.25)
	var hill float64
	tail := degrees[n-n/50:]
	for _, d := range tail {
		hill += math.Log(float64(d) / float64(tail[0]))
	}
	between("tail index of degrees", float64(len(tail))/hill, 0.7, 1.6)
}

func TestUsers(t *testing.T) {
	top := generated(t, 4000, 1)
	countries, err := readCountries(metros.Cities())
	if err != nil {
		t.Fatal(err)
	}
	users := map[string]float64{}
	byAS := map[uint32]float64{}
	for _, g := range top.Groups {
		users[top.Cities[g.Metro].Place.Country] += float64(g.Users)
		byAS[top.ASNs[g.AS]] += float64(g.Users)
	}
	for _, c := range countries {
		if got := users[c.code]; math.Abs(got-c.users) > 0.001*c.users+1000 {
			t.Errorf("%s has %.0f users (want %.0f)", c.code, got, c.users)
		}
	}
	// The share of a country's users with the n networks that have the most,
	// arms included.
	f := func(country string, n int, low, high float64) {
		t.Helper()
		var shares []float64
		for rank := 1; rank < 10; rank++ {
			sum := byAS[NationalASN(country, rank)]
			for arm := range uint32(armsEach) {
				sum += byAS[countryASN(country)+armsAt+armsEach*uint32(rank)+arm]
			}
			shares = append(shares, sum/users[country])
		}
		slices.SortFunc(shares, func(a, b float64) int { return cmp.Compare(b, a) })
		var got float64
		for _, s := range shares[:n] {
			got += s
		}
		t.Logf("%s: the largest %d have %.3f", country, n, got)
		if got < low || got > high {
			t.Errorf("%s: the largest %d networks have %.3f of the users (want %v to %v)", country, n, got, low, high)
		}
	}
	f("US", 1, 0.12, 0.25)
	f("US", 6, 0.65, 0.90)
	f("BR", 3, 0.40, 0.65) // a third with small ones
	f("DE", 3, 0.60, 0.85)
	f("IN", 2, 0.60, 0.75)
	f("JP", 3, 0.55, 0.80)
	f("CN", 3, 0.90, 1)
	f("KE", 1, 0.20, 0.65)
}

// What plans of US traffic look at: national networks that are one AS in many
// states, regional ones in a few, and several to choose from in each state.
func TestUnitedStates(t *testing.T) {
	top := generated(t, 4000, 2)
	states := map[uint32]map[string]bool{}
	networks := map[string]int{}
	for _, g := range top.Groups {
		if p := top.Cities[g.Metro].Place; p.Country == "US" {
			asn := top.ASNs[g.AS]
			if states[asn] == nil {
				states[asn] = map[string]bool{}
			}
			if !states[asn][p.Subdivision] {
				states[asn][p.Subdivision] = true
				networks[p.Subdivision]++
			}
		}
	}
	for rank := 1; rank <= 7; rank++ {
		asn := NationalASN("US", rank)
		if n := len(states[asn]); n < 20 {
			t.Errorf("AS%d is in %d states (want 20)", asn, n)
		}
	}
	var regional int
	for asn, in := range states {
		if kind, _ := KindOf(asn); kind == Regional && len(in) >= 2 && len(in) <= 12 {
			regional++
		}
	}
	if regional < 20 {
		t.Errorf("%d regional networks span states (want 20)", regional)
	}
	if len(networks) != 51 {
		t.Errorf("users in %d states", len(networks))
	}
	for state, n := range networks {
		if n < 4 {
			t.Errorf("%s has %d access networks (want 4)", state, n)
		}
	}
}

// Demo fleets may name tier-1s and national networks by number: they are the
// same for every seed and size.
func TestStableNames(t *testing.T) {
	small, large := generated(t, 4000, 1), generated(t, 6000, 9)
	f := func(asn uint32, want string) {
		t.Helper()
		for _, top := range []*topology.Topology{small, large} {
			a, ok := top.Find(asn)
			if !ok || top.Names[a] != want {
				t.Errorf("AS%d is not %s", asn, want)
			}
		}
	}
	f(4200000001, "Albatross Backbone")
	f(4200000015, "Gannet Carrier")
	f(NationalASN("US", 1), "Prairie Cable")
	f(4201000000+100_000*(26*20+18)+1, "Prairie Cable")
	f(NationalASN("BR", 2), "Ipê Fibra")
	f(NationalASN("JP", 3), "Momiji Mobile")
	for _, country := range []string{"KE", "PL", "KR", "SG"} {
		a, _ := small.Find(NationalASN(country, 1))
		f(NationalASN(country, 1), small.Names[a])
	}
}

func TestTables(t *testing.T) {
	cities := metros.Cities()
	for field := range strings.SplitSeq(hubs, ",") {
		var weight float64
		words := strings.Fields(field)
		n := len(words)
		if _, err := fmt.Sscan(words[n-1], &weight); err != nil || weight <= 0 {
			t.Errorf("hub %q: weight %s", field, words[n-1])
		}
		if _, ok := metros.Find(cities, strings.Join(words[:n-2], " "), words[n-2], ""); !ok {
			t.Errorf("no metro for hub %q", field)
		}
	}
	for code, m := range markets {
		sum := m.regional + m.local
		for _, nat := range m.nationals {
			sum += nat.share
			for _, rank := range append(slices.Clone(nat.up), nat.peers...) {
				if rank < 1 || rank > len(tierOnes) {
					t.Errorf("%s: tier-1 %d", nat.name, rank)
				}
			}
			if nat.arms > armsEach || nat.parent == 0 && len(nat.up) == 0 || nat.parent > 0 && nat.up != nil {
				t.Errorf("%s: arms %d, parent %d, up %v", nat.name, nat.arms, nat.parent, nat.up)
			}
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("the market of %s sums to %v", code, sum)
		}
	}
}

func TestKindOf(t *testing.T) {
	f := func(asn uint32, want Kind, known bool) {
		t.Helper()
		if kind, ok := KindOf(asn); ok != known || kind != want {
			t.Errorf("AS%d is %v, %v (want %v, %v)", asn, kind, ok, want, known)
		}
	}
	f(64496, 0, false)
	f(4200000000, 0, false)
	f(4200000001, TierOne, true)
	f(4200000016, 0, false)
	f(4200001001, International, true)
	f(NationalASN("AA", 0), 0, false)
	f(NationalASN("ZZ", 1), National, true)
	f(countryASN("US")+carriersAt+1, Carrier, true)
	f(countryASN("US")+regionalsAt+1, Regional, true)
	f(countryASN("US")+localsAt+1, Local, true)
	f(countryASN("US")+armsAt+11, Arm, true)
	f(4269000001, Content, true)
	f(4270000001, Enterprise, true)
	f(4294967295, 0, false)
}

func TestWriteASRel(t *testing.T) {
	in := topology.Input{
		Links:   []topology.Link{{A: 64500, B: 64501, Rel: topology.Peering}, {A: 64496, B: 64500, Rel: topology.Transit}},
		Sources: []string{"by hand"},
	}
	var text strings.Builder
	if err := WriteASRel(&text, in); err != nil {
		t.Fatal(err)
	}
	if want := "# by hand\n64496|64500|-1\n64500|64501|0\n"; text.String() != want {
		t.Errorf("%q (want %q)", text.String(), want)
	}
}

// Users are where a network serves, not where it only goes for peering: none
// has users in another country.
func TestUsersAtHome(t *testing.T) {
	top := generated(t, 4000, 3)
	home := map[uint32]string{}
	for _, g := range top.Groups {
		asn, country := top.ASNs[g.AS], top.Cities[g.Metro].Place.Country
		if was, ok := home[asn]; ok && was != country {
			t.Errorf("AS%d has users in %s and in %s", asn, was, country)
		}
		home[asn] = country
	}
}

func BenchmarkGenerate(b *testing.B) {
	for _, n := range []int{4000, 80_000} {
		b.Run(fmt.Sprintf("%dASes", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := Generate(Params{ASes: n, Seed: 1}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
