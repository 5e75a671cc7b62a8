package topology

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"catchment/internal/edge"
)

// smallInput is a carrier over two access networks, one of which has a sibling
// elsewhere, and a network that is nowhere.
func smallInput() Input {
	city := func(name, country string, lat, lon float64) City {
		return City{Name: name, Place: edge.Place{Country: country, City: name, Lat: lat, Lon: lon}}
	}
	return Input{
		Cities: []City{city("Chicago", "US", 41.9, -87.6), city("Dallas", "US", 32.8, -96.8), city("Frankfurt", "DE", 50.1, 8.7)},
		Links: []Link{
			{64500, 64501, Transit},
			{64500, 64502, Transit},
			{64501, 64502, Peering},
			{64502, 64503, Transit},
			{64502, 64504, Transit},
			{64502, 64501, Peering}, // again, from the other end
		},
		Presence: []Presence{
			{64501, 0, 1000},
			{64501, 0, 500},
			{64502, 1, 20},
			{64503, 2, 7},
			{64500, 0, 0},
			{64999, 0, 5}, // without a link
		},
		Names:    map[uint32]string{64501: "Example Cable"},
		Siblings: [][]uint32{{64501, 64503}},
	}
}

func TestBuild(t *testing.T) {
	topo, err := Build(smallInput())
	if err != nil {
		t.Fatal(err)
	}
	as := func(asn uint32) AS {
		a, ok := topo.Find(asn)
		if !ok {
			t.Fatalf("AS%d is missing", asn)
		}
		return a
	}
	if want := []uint32{64500, 64501, 64502, 64503, 64504}; !slices.Equal(topo.ASNs, want) {
		t.Errorf("ASes %v, want %v", topo.ASNs, want)
	}
	if _, ok := topo.Find(64999); ok {
		t.Error("a network without links is there")
	}
	links := func(what string, l *Links, of uint32, want ...uint32) {
		t.Helper()
		var got []uint32
		for _, a := range l.Of(as(of)) {
			got = append(got, topo.ASNs[a])
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s of %d: %v, want %v", what, of, got, want)
		}
	}
	links("customers", &topo.Customers, 64500, 64501, 64502)
	links("customers", &topo.Customers, 64502, 64503, 64504)
	links("providers", &topo.Providers, 64503, 64502)
	links("peers", &topo.Peers, 64501, 64502)
	links("peers", &topo.Peers, 64502, 64501)

	if want := []Group{{as(64501), 0, 1500}, {as(64502), 1, 20}, {as(64503), 2, 7}}; !slices.Equal(topo.Groups, want) {
		t.Errorf("groups %v, want %v", topo.Groups, want)
	}
	metros := func(asn uint32, want ...Metro) {
		t.Helper()
		if got := slices.Collect(topo.Footprint[as(asn)].All()); !slices.Equal(got, want) {
			t.Errorf("AS%d is in %v, want %v", asn, got, want)
		}
	}
	metros(64501, 0, 2)    // its own, and its sibling's
	metros(64503, 0, 2)    // likewise
	metros(64502, 0, 1, 2) // its own and its customers'
	metros(64500, 0, 1, 2) // likewise; not its customers' customers'
	metros(64504, 0, 1, 2) // nowhere: where its provider is
	if topo.Names[as(64501)] != "Example Cable" || topo.Users() != 1527 {
		t.Errorf("named %q, %v users", topo.Names[as(64501)], topo.Users())
	}
}

// TestBuildOrder gives the same input in any order.
func TestBuildOrder(t *testing.T) {
	want, err := Build(smallInput())
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		in := smallInput()
		rng.Shuffle(len(in.Links), func(i, j int) { in.Links[i], in.Links[j] = in.Links[j], in.Links[i] })
		rng.Shuffle(len(in.Presence), func(i, j int) { in.Presence[i], in.Presence[j] = in.Presence[j], in.Presence[i] })
		got, err := Build(in)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: another topology", seed)
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	for want, change := range map[string]func(*Input){
		"topology: 0 metros (want 1 to 512)":                   func(in *Input) { in.Cities = nil },
		"topology: 513 metros (want 1 to 512)":                 func(in *Input) { in.Cities = make([]City, 513) },
		"topology: no links":                                   func(in *Input) { in.Links = nil },
		"topology: AS64500 is linked to itself":                func(in *Input) { in.Links[0].B = 64500 },
		"topology: AS64502 and AS64503 are each the other's":   func(in *Input) { in.Links = append(in.Links, Link{64503, 64502, Transit}) },
		"topology: AS64501 is both provider and peer of AS645": func(in *Input) { in.Links = append(in.Links, Link{64501, 64502, Transit}) },
		"topology: AS64501: there is no metro 3":               func(in *Input) { in.Presence[0].Metro = 3 },
		"topology: AS64501: there is no metro -1":              func(in *Input) { in.Presence[0].Metro = None },
		"topology: AS64501: -1 users in metro 0":               func(in *Input) { in.Presence[0].Users = -1 },
		"topology: AS64501: NaN users in metro 0":              func(in *Input) { in.Presence[0].Users = math.NaN() },
	} {
		in := smallInput()
		change(&in)
		if _, err := Build(in); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s…", err, want)
		}
	}
}

func TestMetros(t *testing.T) {
	var a, b Metros
	for _, m := range []Metro{0, 63, 64, 511} {
		a.Add(m)
	}
	b.Add(64)
	b.Add(200)
	both := a.And(&b)
	if got := slices.Collect(both.All()); !slices.Equal(got, []Metro{64}) {
		t.Errorf("in both: %v", got)
	}
	a.Union(&b)
	if got := slices.Collect(a.All()); !slices.Equal(got, []Metro{0, 63, 64, 200, 511}) || a.Len() != 5 {
		t.Errorf("in either: %v, %d", got, a.Len())
	}
	if !a.Has(511) || a.Has(1) || a.Empty() || !(&Metros{}).Empty() {
		t.Error("Has, Empty")
	}
}
