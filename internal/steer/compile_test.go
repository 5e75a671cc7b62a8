package steer

import (
	"encoding/json"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
)

// Everything that is wrong is said at once, with the field's name.
func TestRefused(t *testing.T) {
	s := testSnapshot(edge.Unicast)
	s.Policy = edge.Policy{HealthyFloor: 1.5, MinTTL: -time.Second}
	s.Drains = []edge.Drain{{PoP: "xxx"}, {PoP: "iad"}, {PoP: "iad"}}
	s.Sheds = []edge.Shed{{PoP: "iad", Share: math.NaN(), Granule: edge.Granule{V4: 25}}}
	s.Ramps = []edge.Ramp{
		{ID: "a", Service: "nobody.example", Scheme: "anycast", Share: -1},
		{ID: "a", Service: www, Scheme: edge.Global, Salt: "s", Granule: edge.Granule{V6: 64}},
		{ID: "b", Service: www, Scheme: edge.Global, Salt: "s"},
	}
	s.Pins = []edge.Pin{
		{},
		{ASN: 64496, Client: netip.MustParsePrefix("192.0.2.0/24"), PoP: "iad"},
		{ASN: 64496, PoP: "iad", Scheme: edge.Global},
		{Client: netip.MustParsePrefix("192.0.2.1/24"), PoP: "gone"},
		{ASN: 64496, PoP: "iad", Service: "nobody.example"},
	}
	s.Weights = []edge.Weight{{Service: "nobody.example", PoP: "iad", Weight: -1}}
	s.Fleet.Regions[0].VIP = "gone"
	s.Fleet.VIPs[1].Addresses = append(s.Fleet.VIPs[1].Addresses, netip.Addr{})
	s.Fleet.Services = append(s.Fleet.Services, s.Fleet.Services[0])
	_, err := Compile(s, nil)
	if err == nil {
		t.Fatal("it was accepted")
	}
	golden(t, "refused.txt", err.Error()+"\n")

	for _, s := range []*edge.Snapshot{nil, {}, {Fleet: &edge.Fleet{}}} {
		if _, err := Compile(s, nil); err == nil || !strings.Contains(err.Error(), "steer: fleet:") {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for _, p := range []netip.Prefix{{}, netip.PrefixFrom(netip.MustParseAddr("::ffff:0:0"), 90)} {
		if _, err := Compile(testSnapshot(edge.Unicast), known{{p, virginia}}); err == nil || !strings.Contains(err.Error(), "steer: places:") {
			t.Errorf("a table of places with %v: %v", p, err)
		}
	}
}

// Prefixes may come in any order and form; of equal ones the last counts.
func TestPlacesForms(t *testing.T) {
	places := known{
		{netip.MustParsePrefix("10.1.0.0/16"), california},
		{netip.MustParsePrefix("::ffff:10.3.0.0/112"), brazil},
		{netip.MustParsePrefix("10.1.2.9/24"), germany}, // host bits
		{netip.MustParsePrefix("10.0.0.0/8"), brazil},
		{netip.MustParsePrefix("10.1.2.0/24"), turkey},
		{netip.MustParsePrefix("10.0.0.0/8"), virginia},
		{netip.MustParsePrefix("0.0.0.0/0"), japan},
		{netip.MustParsePrefix("255.255.255.255/32"), germany},
		{netip.MustParsePrefix("ffff::/16"), germany},
		{netip.MustParsePrefix("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"), brazil},
	}
	s := testSnapshot(edge.Unicast)
	service := compile(t, s, places).services[0]
	for client, want := range map[string]string{
		"10.2.0.1": "VA", "10.1.0.1": "CA", "10.1.2.1": "TR", "10.3.0.1": "SP", "9.255.255.255": "JP", "11.0.0.0": "JP",
		"255.255.255.255": "DE", "255.255.255.254": "JP", "fffe:ffff::": "", "ffff::1": "DE", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "SP",
	} {
		x := service.Explain(netip.MustParseAddr(client), netip.Addr{})
		got := x.Place.Subdivision
		if got == "" {
			got = x.Place.Country
		}
		if got != want {
			t.Errorf("%s is in %q, want %q", client, got, want)
		}
		if want != "" && !x.Known.Contains(x.Client) {
			t.Errorf("%s is known of %v", client, x.Known)
		}
	}
}

// The same snapshot gives the same plan, answer by answer.
func TestCompileDeterministic(t *testing.T) {
	s := testSnapshot(edge.Regional)
	s.Ramps = rampOf(0.3)
	s.Pins = []edge.Pin{{ASN: 64496, PoP: "gru"}, {ASN: 64497, PoP: "fra"}, {ASN: 64498, Scheme: edge.Unicast}}
	a, b := compile(t, s, testPlaces()), compile(t, s, testPlaces())
	text := func(p *Plan) string { data, _ := json.Marshal(p.services[0].Answers()); return string(data) }
	if diff := cmp.Diff(text(a), text(b)); diff != "" {
		t.Errorf("-first +second\n%s", diff)
	}
	if !slices.Equal(a.services[0].tables.v4.runs, b.services[0].tables.v4.runs) {
		t.Error("the tables differ")
	}
}

// A ramp splits what it is for into granules: that is what it costs.
func TestCost(t *testing.T) {
	s := testSnapshot(edge.Unicast)
	s.Fleet.PoPs[0].Capacity = 2000 // iad is the default, so that all is one scope
	places := splitPlaces("10.0.0.0/16 2001:db8::/40")
	settled := Cost{Entries: [2]float64{1, 1}, Settled: [2]float64{1, 1}}
	if got := compile(t, s, places).services[0].Cost(); got != settled {
		t.Errorf("without a ramp: %+v, want %+v", got, settled)
	}
	s.Ramps = rampOf(0.5)
	if got, want := compile(t, s, places).services[0].Cost(), (Cost{Entries: [2]float64{256, 256}, Settled: [2]float64{1, 1}}); got != want {
		t.Errorf("with a ramp: %+v, want %+v", got, want)
	}
	s.Ramps[0].Granule = edge.Granule{V4: 20, V6: 44}
	if got, want := compile(t, s, places).services[0].Cost(), (Cost{Entries: [2]float64{16, 16}, Settled: [2]float64{1, 1}}); got != want {
		t.Errorf("with longer granules: %+v, want %+v", got, want)
	}
	s.Ramps[0].Share = 1
	if got := compile(t, s, places).services[0].Cost(); got != settled {
		t.Errorf("with a finished ramp: %+v, want %+v", got, settled)
	}
}

func TestLookupAllocates(t *testing.T) {
	s := testSnapshot(edge.Unicast)
	s.Ramps = rampOf(0.5)
	s.Sheds = []edge.Shed{{PoP: "iad", Share: 0.2}}
	s.Pins = []edge.Pin{{Resolver: netip.MustParsePrefix("198.51.100.0/24"), Scheme: edge.Regional}}
	service := compile(t, s, testPlaces()).services[0]
	resolver, v6 := netip.MustParseAddr("198.51.100.53"), netip.MustParseAddr("2001:db8::1")
	if n := testing.AllocsPerRun(1000, func() {
		service.Lookup(clients["virginia"])
		service.Lookup(v6)
		service.LookupVia(resolver, clients["virginia"])
	}); n != 0 {
		t.Errorf("a look-up allocates %v times", n)
	}
}

// No snapshot makes Compile or a look-up panic.
func FuzzCompile(f *testing.F) {
	s := testSnapshot(edge.Unicast)
	s.Ramps = rampOf(0.5)
	set(s, "drain:iad down:lax up:fra=0.5 shed:gru=0.2 floor=0.5")
	s.Pins = []edge.Pin{{ASN: 64496, PoP: "gru"}, {Client: netip.MustParsePrefix("10.0.0.0/8"), Scheme: edge.Regional}, {Resolver: netip.MustParsePrefix("::/0"), PoP: "fra"}}
	s.Weights = []edge.Weight{{Service: www, PoP: "iad", Weight: 2}, {Service: www, PoP: "lax"}}
	s.Orders = []edge.Order{{CellKey: edge.CellKey{Country: "US"}, PoPs: []edge.Latency{{PoP: "iad", RTT: 1, Samples: 50}, {PoP: "fra", RTT: 2, Samples: 50}}}}
	s.Catchments = []edge.Catchment{{CellKey: edge.CellKey{Country: "US"}, Scheme: edge.Global, PoP: "iad", Share: 1}}
	for _, scheme := range edge.Schemes {
		s.Fleet.Services[0].Scheme = scheme
		data, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var s edge.Snapshot
		if json.Unmarshal(data, &s) != nil {
			return
		}
		p, err := Compile(&s, testPlaces())
		if err != nil {
			return
		}
		for _, service := range p.Services() {
			for _, c := range clients {
				n, scope := service.LookupVia(c, c)
				if int(n) >= len(service.Answers()) || scope > 32 {
					t.Fatalf("%v gets %d /%d", c, n, scope)
				}
				_ = service.Explain(c, c).String()
			}
		}
	})
}

// golden compares got with a file of testdata, or rewrites that.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("GOLDEN") == "update" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: -want +got\n%s", path, diff)
	}
}
