package edge

import (
	"math"
	"net/netip"
	"testing"
	"time"
)

func TestBins(t *testing.T) {
	for _, ms := range []float64{0.1, 0.7, 1, 5, 18.7, 120, 999.9, 4000, 60000} {
		got := BinMs(Bin(ms))
		if off := math.Abs(got/ms - 1); off > 0.0055 {
			t.Errorf("%v ms comes back as %v, %.2f %% off", ms, got, 100*off)
		}
	}
	for _, c := range []struct {
		ms   float64
		want int
	}{
		{math.NaN(), 0},
		{-1, 0},
		{0, 0},
		{1e-9, 0},
		{1, 4 * BinsPerOctave},
		{2, 5 * BinsPerOctave},
		{math.Inf(1), NumBins - 1},
	} {
		if got := Bin(c.ms); got != c.want {
			t.Errorf("Bin(%v) = %d, want %d", c.ms, got, c.want)
		}
	}
	if NumBins > 1<<BinBits {
		t.Errorf("%d bins do not fit %d bits", NumBins, BinBits)
	}
}

func TestSample(t *testing.T) {
	tags := map[uint32]bool{}
	for i := range 256 {
		k := PrefixKey(netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, byte(i), 0}), 24))
		s := SampleOf(k, 18.7)
		if s.Bin() != Bin(18.7) {
			t.Fatalf("bin %d, want %d", s.Bin(), Bin(18.7))
		}
		tags[s.Tag()] = true
	}
	if len(tags) != 256 {
		t.Errorf("256 neighboring prefixes have %d tags", len(tags))
	}
}

func TestPrefixKey(t *testing.T) {
	f := func(prefix string, want uint64) {
		t.Helper()
		if got := PrefixKey(netip.MustParsePrefix(prefix)); got != want {
			t.Errorf("%s: %x, want %x", prefix, got, want)
		}
	}
	f("203.0.113.0/24", 0xffffffff_cb007100)
	f("2001:db8:7::/48", 0x20010db8_00070000)
	f("2001:db8:7:40::/58", 0x20010db8_00070040)
}

func TestDay(t *testing.T) {
	f := func(instant, want string) {
		t.Helper()
		at, err := time.Parse(time.RFC3339, instant)
		if err != nil {
			t.Fatal(err)
		}
		d := DayOf(at)
		if d.String() != want {
			t.Errorf("%s is on %s, want %s", instant, d, want)
		}
		if back, err := ParseDay(want); err != nil || back != d {
			t.Errorf("ParseDay(%s) = %v, %v", want, back, err)
		}
	}
	f("1970-01-01T00:00:00Z", "1970-01-01")
	f("1969-12-31T23:59:59Z", "1969-12-31")
	f("2026-11-01T00:30:00+01:00", "2026-10-31")
	if _, err := ParseDay("1.11.2026"); err == nil {
		t.Error("1.11.2026 was read as a day")
	}
}

func TestDistance(t *testing.T) {
	ashburn := Place{Lat: 39.04, Lon: -77.49}
	saoPaulo := Place{Lat: -23.55, Lon: -46.63}
	if got := DistanceKm(ashburn, saoPaulo); math.Abs(got-7658) > 30 {
		t.Errorf("Ashburn to São Paulo: %.0f km", got)
	}
	antipode := Place{Lat: -39.04, Lon: 102.51}
	if got := DistanceKm(ashburn, antipode); math.Abs(got-math.Pi*EarthRadiusKm) > 1 {
		t.Errorf("to the antipode: %.0f km", got)
	}
	if got := DistanceKm(ashburn, Place{}); !math.IsInf(got, 1) {
		t.Errorf("to nowhere: %v km", got)
	}
}

func TestRegionOf(t *testing.T) {
	f := Fleet{Regions: []Region{
		{ID: "americas", Continents: []string{"NA", "SA"}},
		{ID: "emea", Continents: []string{"EU", "AF"}, Countries: []string{"BR"}},
	}}
	check := func(p Place, want RegionID) {
		t.Helper()
		r, ok := f.RegionOf(p)
		if ok != (want != "") || ok && r.ID != want {
			t.Errorf("%v: %v, want %q", p, r, want)
		}
	}
	check(Place{Continent: "NA", Country: "US"}, "americas")
	check(Place{Continent: "SA", Country: "BR"}, "emea") // the country wins over its continent
	check(Place{Continent: "SA"}, "americas")
	check(Place{Continent: "OC", Country: "AU"}, "")
	check(Place{}, "")
}

func TestView(t *testing.T) {
	answered := func(s Scheme, pop PoPID, af int) Probe {
		return Probe{Target: Target(s), PoP: pop, RTT: 10, AF: af}
	}
	failed := Probe{Target: Target(Regional), Error: "timeout"}
	v4 := netip.MustParsePrefix("203.0.113.0/24")
	v6 := netip.MustParsePrefix("2001:db8::/48")
	for _, c := range []struct {
		name   string
		client netip.Prefix
		probes []Probe
		family uint8
		served [3]PoPID
	}{
		{
			"all schemes over one family", v4,
			[]Probe{answered(Unicast, "iad", 4), answered(Global, "lax", 4), failed, {Target: "pop:gru", PoP: "gru", RTT: 99, AF: 4}},
			4,
			[3]PoPID{"iad", "lax", Failed},
		},
		{
			"the other family is not compared", v4,
			[]Probe{answered(Unicast, "iad", 6), answered(Global, "lax", 6), answered(Regional, "iad", 4)},
			6,
			[3]PoPID{"iad", "lax", ""},
		},
		{
			"unicast decides a tie", v4,
			[]Probe{answered(Global, "lax", 4), answered(Unicast, "iad", 6)},
			6,
			[3]PoPID{"iad", "", ""},
		},
		{"no probe says: the client's", v6, []Probe{answered(Global, "lax", 0)}, 6, [3]PoPID{"", "lax", ""}},
		{
			"who leaves says nothing", v4,
			[]Probe{answered(Unicast, "iad", 4), {Target: Target(Global), PoP: "lax", Error: Aborted}},
			4,
			[3]PoPID{"iad", "", ""},
		},
		{
			"an answer without timings is an answer", v4,
			[]Probe{{Target: Target(Unicast), PoP: "iad", Error: NoTiming}},
			4,
			[3]PoPID{"iad", "", ""},
		},
		{"nothing probed", v4, nil, 4, [3]PoPID{}},
	} {
		b := Beacon{Client: c.client, Probes: c.probes}
		if v := b.View(); v.Family != c.family || v.Served != c.served {
			t.Errorf("%s: family %d, served %q", c.name, v.Family, v.Served)
		}
	}
}

func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{
		"iad": true, "fra-2": true, "a": true, "abcdefghijklmnop": true,
		"": false, "IAD": false, "2fra": false, "-a": false, "abcdefghijklmnopq": false, "a.b": false, string(Failed): false,
	} {
		if got := ValidID(id); got != want {
			t.Errorf("ValidID(%q) = %v", id, got)
		}
	}
}
