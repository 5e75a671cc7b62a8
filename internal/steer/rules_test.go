package steer

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"

	"catchment/internal/edge"
)

// Pins, in their precedence: the resolver's, the longest prefix's, the ASN's;
// of one kind that of one service before that of all. They go before ramps and
// sheds.
func TestPins(t *testing.T) {
	client := func(prefix, to string) edge.Pin {
		return pinTo(edge.Pin{Client: netip.MustParsePrefix(prefix)}, to)
	}
	resolver := func(prefix, to string) edge.Pin {
		return pinTo(edge.Pin{Resolver: netip.MustParsePrefix(prefix)}, to)
	}
	asn := func(n uint32, to string) edge.Pin { return pinTo(edge.Pin{ASN: n}, to) }
	of := func(service string, p edge.Pin) edge.Pin { p.Service = service; return p }
	for i, c := range []struct {
		pins     []edge.Pin
		state    string
		resolver string
		want     string // for Virginia, AS64496
	}{
		{nil, "", "", "iad"},
		{[]edge.Pin{client("10.0.0.0/8", "gru")}, "", "", "gru"},
		{[]edge.Pin{client("10.0.0.0/8", "gru"), client("10.1.0.0/16", "fra")}, "", "", "fra"},
		{[]edge.Pin{client("10.1.0.0/16", "fra"), client("10.0.0.0/8", "gru")}, "", "", "fra"},
		{[]edge.Pin{client("10.200.0.0/16", "fra")}, "", "", "iad"},
		{[]edge.Pin{asn(64496, "fra")}, "", "", "fra"},
		{[]edge.Pin{asn(64497, "fra")}, "", "", "iad"},
		{[]edge.Pin{asn(64496, "fra"), client("0.0.0.0/0", "gru")}, "", "", "gru"},
		{[]edge.Pin{asn(64496, "fra"), of(www, asn(64496, "gru"))}, "", "", "gru"},
		{[]edge.Pin{client("10.0.0.0/8", "fra"), of(www, client("10.0.0.0/8", "gru"))}, "", "", "gru"},
		{[]edge.Pin{of("other.edge.example", client("10.0.0.0/8", "gru"))}, "", "", "iad"},
		{[]edge.Pin{of("other.edge.example", client("10.0.0.0/16", "gru")), client("10.0.0.0/8", "fra")}, "", "", "fra"},
		{[]edge.Pin{client("10.1.0.0/16", "global")}, "", "", "vip global"},
		{[]edge.Pin{client("10.1.0.0/16", "regional")}, "", "", "vip americas"},

		// A resolver's holds whatever client it asks for, and for no other's.
		{[]edge.Pin{resolver("198.51.100.0/24", "gru")}, "", "", "iad"},
		{[]edge.Pin{resolver("198.51.100.0/24", "gru")}, "", "198.51.100.53", "gru"},
		{[]edge.Pin{resolver("198.51.100.0/24", "gru")}, "", "198.51.101.53", "iad"},
		{[]edge.Pin{resolver("198.51.100.0/24", "global"), resolver("198.51.100.53/32", "lax")}, "", "198.51.100.53", "lax"},
		{[]edge.Pin{resolver("198.51.100.0/24", "regional"), client("10.1.2.3/32", "lax")}, "", "198.51.100.53", "vip americas"},
		{[]edge.Pin{resolver("2001:db8::/32", "gru")}, "", "2001:db8::53", "gru"},
		{[]edge.Pin{of("other.edge.example", resolver("198.51.100.0/24", "gru"))}, "", "198.51.100.53", "iad"},

		// They go before ramps and sheds; a PoP that is out, before them.
		{[]edge.Pin{asn(64496, "unicast")}, "ramp", "", "iad"},
		{nil, "ramp", "", "vip global"},
		{[]edge.Pin{asn(64496, "gru")}, "ramp shed:gru=1", "", "gru"},
		{[]edge.Pin{asn(64496, "unicast")}, "shed:iad=1", "", "lax"},
		{[]edge.Pin{asn(64496, "gru")}, "drain:gru", "", "iad"},
		{[]edge.Pin{asn(64496, "gru")}, "down:gru shed:iad=1", "", "lax"},
		{[]edge.Pin{resolver("198.51.100.0/24", "gru")}, "down:gru", "198.51.100.53", "iad"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			s := testSnapshot(edge.Unicast)
			s.Fleet.Services = append(s.Fleet.Services, edge.Service{Name: "other.edge.example", Scheme: edge.Unicast})
			s.Pins = c.pins
			if state, ok := strings.CutPrefix(c.state, "ramp"); ok {
				s.Ramps = rampOf(1)
				set(s, state)
			} else {
				set(s, c.state)
			}
			service := compile(t, s, testPlaces()).services[0]
			var resolver netip.Addr
			if c.resolver != "" {
				resolver = netip.MustParseAddr(c.resolver)
			}
			n, _ := service.LookupVia(resolver, clients["virginia"])
			if got := service.answers[n].name(); got != c.want {
				t.Errorf("virginia gets %s, want %s\n%v", got, c.want, service.Explain(clients["virginia"], resolver))
			}
		})
	}
}

func pinTo(p edge.Pin, to string) edge.Pin {
	if edge.Scheme(to).Index() >= 0 {
		p.Scheme = edge.Scheme(to)
	} else {
		p.PoP = edge.PoPID(to)
	}
	return p
}

// Measured order goes before distance, the narrowest cell first, with enough
// probes of at least two PoPs; what is not measured comes after.
func TestMeasuredOrder(t *testing.T) {
	cell := func(country, subdivision string, asn uint32, family uint8) edge.CellKey {
		return edge.CellKey{Country: country, Subdivision: subdivision, ASN: asn, Family: family}
	}
	order := func(k edge.CellKey, pops ...edge.Latency) edge.Order { return edge.Order{CellKey: k, PoPs: pops} }
	at := func(pop edge.PoPID, rtt float64, n int) edge.Latency {
		return edge.Latency{PoP: pop, RTT: rtt, Samples: n}
	}
	narrow, place, country := cell("US", "VA", 64496, 4), cell("US", "VA", 0, 4), cell("US", "", 0, 0)
	for i, c := range []struct {
		orders []edge.Order
		min    int
		state  string
		want   string
	}{
		{nil, 0, "", "iad"},
		{[]edge.Order{order(narrow, at("iad", 30, 20), at("fra", 20, 20))}, 0, "", "fra"},
		{[]edge.Order{order(narrow, at("iad", 30, 20), at("fra", 20, 20))}, 0, "down:fra", "iad"},
		{[]edge.Order{order(narrow, at("iad", 30, 20), at("fra", 20, 20))}, 0, "down:fra down:iad", "lax"},
		{[]edge.Order{order(narrow, at("iad", 30, 20), at("fra", 20, 19))}, 0, "", "iad"},
		{[]edge.Order{order(narrow, at("iad", 30, 19), at("fra", 20, 20))}, 0, "", "iad"},
		{[]edge.Order{order(narrow, at("iad", 30, 19), at("fra", 20, 20), at("gru", 50, 20))}, 0, "", "fra"},
		{[]edge.Order{order(narrow, at("iad", 30, 10), at("fra", 20, 10))}, 10, "", "fra"},
		{[]edge.Order{order(narrow, at("fra", 20, 99), at("old", 1, 99))}, 0, "", "iad"},
		{[]edge.Order{order(place, at("iad", 30, 20), at("fra", 20, 20))}, 0, "", "fra"},
		{[]edge.Order{order(country, at("iad", 30, 20), at("fra", 20, 20))}, 0, "", "fra"},
		{[]edge.Order{order(country, at("iad", 30, 20), at("fra", 20, 20)), order(place, at("iad", 30, 20), at("gru", 20, 20))}, 0, "", "gru"},
		{[]edge.Order{order(narrow, at("iad", 30, 2), at("fra", 20, 2)), order(place, at("iad", 30, 20), at("gru", 20, 20))}, 0, "", "gru"},
		{[]edge.Order{order(cell("US", "VA", 64496, 6), at("iad", 30, 20), at("fra", 20, 20))}, 0, "", "iad"},
		{[]edge.Order{order(cell("US", "VA", 64497, 4), at("iad", 30, 20), at("fra", 20, 20))}, 0, "", "iad"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			s := testSnapshot(edge.Unicast)
			s.Orders, s.Policy.MinSamples = c.orders, c.min
			set(s, c.state)
			if got := lookup(compile(t, s, testPlaces()).services[0], clients["virginia"]); got != c.want {
				t.Errorf("virginia gets %s, want %s", got, c.want)
			}
		})
	}
}

// Where nothing is measured and coordinates are missing, a PoP of the same
// country is nearest, then of the same continent, then the largest, then the
// first by id, whatever the order in the fleet file.
func TestDefaults(t *testing.T) {
	for _, c := range []struct {
		place   edge.Place
		biggest int
		want    string
	}{
		{edge.Place{Country: "BR", Continent: "SA"}, 0, "gru"},
		{edge.Place{Country: "AR", Continent: "SA"}, 0, "gru"},
		{edge.Place{Country: "US", Continent: "NA"}, -1, "iad"},
		{edge.Place{Country: "US", Continent: "NA"}, 1, "lax"},
		{edge.Place{Country: "JP", Continent: "AS"}, 3, "fra"},
		{edge.Place{}, 2, "gru"},
		{edge.Place{}, -1, "fra"},
	} {
		s := testSnapshot(edge.Unicast)
		if c.biggest >= 0 {
			s.Fleet.PoPs[c.biggest].Capacity *= 2
		}
		places := known{{netip.MustParsePrefix("10.0.0.0/8"), c.place}}
		if got := lookup(compile(t, s, places).services[0], clients["virginia"]); got != c.want {
			t.Errorf("%+v gets %s, want %s", c.place, got, c.want)
		}
	}
}

// Weights divide the clients for whom PoPs are equally good, and only these; a
// standby serves where nobody else can.
func TestWeights(t *testing.T) {
	near := edge.Order{CellKey: edge.CellKey{Country: "US"}, PoPs: []edge.Latency{
		{PoP: "iad", RTT: 20, Samples: 50}, {PoP: "lax", RTT: 24, Samples: 50}, {PoP: "gru", RTT: 26, Samples: 50},
	}}
	weights := func(text string) (all []edge.Weight) {
		for word := range strings.FieldsSeq(text) {
			id, w, _ := strings.Cut(word, "=")
			all = append(all, edge.Weight{Service: www, PoP: edge.PoPID(id), Weight: parse(w)})
		}
		return all
	}
	everyone := millionClients()[:100_000]
	for i, c := range everyone {
		if c.Is4() {
			b := c.As4()
			everyone[i] = netip.AddrFrom4([4]byte{10, b[1] & 0x7f, b[2], b[3]}) // in the US
		}
	}
	for _, c := range []struct {
		weights string
		state   string
		want    map[string]float64
	}{
		{"", "", map[string]float64{"iad": 1}},
		{"iad=1", "", map[string]float64{"iad": 0.5, "lax": 0.5}},
		{"iad=3", "", map[string]float64{"iad": 0.75, "lax": 0.25}},
		{"iad=3 gru=7", "", map[string]float64{"iad": 0.75, "lax": 0.25}},
		{"iad=0", "", map[string]float64{"lax": 0.5, "gru": 0.5}}, // from lax, gru is as good
		{"iad=3", "down:iad", map[string]float64{"lax": 0.5, "gru": 0.5}},
		{"iad=0 lax=0 gru=0 fra=0", "", map[string]float64{"iad": 1}},
		{"lax=0", "down:iad down:gru down:fra", map[string]float64{"lax": 1}},
		{"iad=1", "shed:iad=0.2", map[string]float64{"iad": 0.4, "lax": 0.6}},
	} {
		t.Run(c.weights+" "+c.state, func(t *testing.T) {
			s := testSnapshot(edge.Unicast)
			s.Orders, s.Weights = []edge.Order{near}, weights(c.weights)
			set(s, c.state)
			service := compile(t, s, testPlaces()).services[0]
			got, n := map[string]float64{}, 0.0
			for _, a := range everyone {
				if a.Is4() {
					got[lookup(service, a)]++
					n++
				}
			}
			for id := range got {
				if math.Abs(got[id]/n-c.want[id]) > 0.01 {
					t.Errorf("%s has %.3f of the clients, want %v", id, got[id]/n, c.want[id])
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// Services are independent, answers have both families, and addresses may come
// in their mapped form.
func TestServices(t *testing.T) {
	s := testSnapshot(edge.Unicast)
	s.Fleet.Services = append(
		s.Fleet.Services,
		edge.Service{Name: "static.edge.example", Scheme: edge.Regional},
		edge.Service{Name: "api.edge.example", Scheme: edge.Unicast},
	)
	s.Ramps = rampOf(1)
	p := compile(t, s, testPlaces())
	for i, want := range []string{"vip global", "vip americas", "iad"} {
		if got := lookup(p.Services()[i], clients["virginia"]); got != want {
			t.Errorf("%s gives %s, want %s", p.Services()[i].Name(), got, want)
		}
	}
	api := p.services[2]
	n, _ := api.Lookup(clients["virginia"])
	a := api.Answers()[n]
	if fmt.Sprint(a.A, a.AAAA) != "[192.0.2.10] [2001:db8:10::1]" || a.Scheme != edge.Unicast || a.Reason() != "PoP iad by its own address" {
		t.Errorf("the answer is %+v: %s", a, a.Reason())
	}
	m, scope := api.Lookup(netip.MustParseAddr("::ffff:10.1.2.3"))
	if _, want := api.Lookup(clients["virginia"]); m != n || scope != want {
		t.Errorf("a mapped address gets %d /%d, want %d /%d", m, scope, n, want)
	}
	if n, scope := api.Lookup(netip.Addr{}); int(n) >= len(api.answers) || scope > 32 {
		t.Errorf("no address gets %d /%d", n, scope)
	}
}
