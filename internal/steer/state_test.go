package steer

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"catchment/internal/edge"
)

// set changes a snapshot by a short text: "drain:iad down:lax up:fra=0.5
// shed:gru=0.2 floor=0.5".
func set(s *edge.Snapshot, text string) {
	for word := range strings.FieldsSeq(text) {
		what, rest, _ := strings.Cut(word, ":")
		id, number, has := strings.Cut(rest, "=")
		x := 0.0
		if has {
			x = parse(number)
		}
		switch what {
		case "drain":
			s.Drains = append(s.Drains, edge.Drain{PoP: edge.PoPID(id)})
		case "up", "down", "unknown":
			s.Health = append(s.Health, edge.Health{PoP: edge.PoPID(id), State: edge.HealthState(what), Share: x})
		case "shed":
			s.Sheds = append(s.Sheds, edge.Shed{PoP: edge.PoPID(id), Share: x})
		default:
			s.Policy.HealthyFloor = parse(strings.TrimPrefix(word, "floor="))
		}
	}
}

// Who is out, who stands in, and when nobody is left out. Virginia's PoPs are
// iad, lax, gru, fra in this order.
func TestAvailability(t *testing.T) {
	for _, c := range []struct {
		state  string
		scheme edge.Scheme
		client string
		want   string
		opened string
	}{
		{"", edge.Unicast, "virginia", "iad", ""},
		{"unknown:iad", edge.Unicast, "virginia", "iad", ""},
		{"down:iad", edge.Unicast, "virginia", "lax", ""},
		{"drain:iad", edge.Unicast, "virginia", "lax", ""},
		{"drain:iad down:lax", edge.Unicast, "virginia", "fra", ""},
		{"down:iad down:lax down:gru down:fra", edge.Unicast, "virginia", "iad", "every PoP is down"},
		{"drain:iad down:lax down:gru down:fra", edge.Unicast, "virginia", "lax", "every PoP is down"},
		{"drain:iad drain:lax drain:gru drain:fra", edge.Unicast, "virginia", "iad", "every PoP is drained"},
		{"drain:iad drain:lax drain:gru drain:fra down:iad", edge.Unicast, "virginia", "lax", "every PoP is drained"},
		{"floor=0.5 down:iad down:lax", edge.Unicast, "virginia", "fra", ""},
		{"floor=0.5 down:iad down:lax down:gru", edge.Unicast, "virginia", "iad", "floor"},
		{"floor=0.5 drain:fra down:iad down:lax", edge.Unicast, "virginia", "iad", "floor"},
		{"floor=0.5 drain:iad down:lax", edge.Unicast, "virginia", "fra", ""},
		{"floor=0.5 up:iad=0.4 up:lax=0.4 up:gru=0.4 up:fra=0.4", edge.Unicast, "virginia", "iad", "floor"},
		{"floor=0.5 down:iad up:lax=0.4 up:gru=0.8 up:fra=0.9", edge.Unicast, "virginia", "lax", ""},

		// A place that no region serves: the global VIP. A region without a
		// PoP: the region of the nearest that is left.
		{"", edge.Regional, "virginia", "vip americas", ""},
		{"", edge.Regional, "turkey", "vip emea", ""},
		{"", edge.Regional, "japan", "vip global", ""},
		{"", edge.Regional, "nowhere", "vip global", ""},
		{"down:iad", edge.Regional, "virginia", "vip americas", ""},
		{"down:fra", edge.Regional, "germany", "vip americas", ""},
		{"drain:iad drain:lax drain:gru", edge.Regional, "brazil", "vip emea", ""},
		{"down:iad down:lax down:gru down:fra", edge.Regional, "brazil", "vip americas", "every PoP is down"},
		{"down:iad drain:lax", edge.Global, "virginia", "vip global", ""},
	} {
		t.Run(string(c.scheme)+" "+c.state, func(t *testing.T) {
			s := testSnapshot(c.scheme)
			set(s, c.state)
			p := compile(t, s, testPlaces())
			if got := lookup(p.services[0], clients[c.client]); got != c.want {
				t.Errorf("%s gets %s, want %s\n%v", c.client, got, c.want, p.services[0].Explain(clients[c.client], netip.Addr{}))
			}
			if opened := p.fleet.opened; (opened == "") != (c.opened == "") || !strings.Contains(opened, c.opened) {
				t.Errorf("failing open: %q, want %q", opened, c.opened)
			}
		})
	}
}

// The floor is a share of capacity where all PoPs have one: the big PoP alone
// is above it, the three small ones are not.
func TestFloorByCapacity(t *testing.T) {
	for _, c := range []struct {
		capacity float64
		state    string
		want     string
	}{
		{10_000, "floor=0.5 down:lax down:gru down:fra", "iad"},
		{10_000, "floor=0.5 down:iad", "iad"},
		{0, "floor=0.5 down:iad", "lax"}, // not known of all: by count
	} {
		s := testSnapshot(edge.Unicast)
		s.Fleet.PoPs[0].Capacity = c.capacity
		set(s, c.state)
		if got := lookup(compile(t, s, testPlaces()).services[0], clients["virginia"]); got != c.want {
			t.Errorf("capacity %v, %s: virginia gets %s, want %s", c.capacity, c.state, got, c.want)
		}
	}
}

// Where all PoPs that have addresses of their own are out, their addresses
// are given all the same; the others cannot be.
func TestUnicastFailsOpen(t *testing.T) {
	s := testSnapshot(edge.Unicast)
	s.Fleet.PoPs[2].Unicast, s.Fleet.PoPs[3].Unicast = nil, nil
	set(s, "down:iad down:lax")
	if got := lookup(compile(t, s, testPlaces()).services[0], clients["germany"]); got != "iad" {
		t.Errorf("germany gets %s, want iad", got)
	}
}

// Draining a PoP under an anycast scheme leads those who reach it away by the
// next best PoP's own address, and nobody else. One that is down withdraws its
// routes itself.
func TestAnycastDrain(t *testing.T) {
	for _, c := range []struct {
		scheme edge.Scheme
		state  string
		client string
		want   string
	}{
		{edge.Global, "", "virginia", "vip global"},
		{edge.Global, "drain:iad", "virginia", "lax"},
		{edge.Global, "drain:iad", "california", "vip global"}, // observed to reach lax
		{edge.Global, "drain:lax", "california", "iad"},
		{edge.Global, "drain:iad", "germany", "vip global"}, // nothing observed
		{edge.Global, "drain:iad", "nowhere", "vip global"},
		{edge.Global, "down:iad", "virginia", "vip global"},
		{edge.Global, "drain:iad down:lax", "virginia", "fra"},
		{edge.Regional, "drain:iad", "virginia", "lax"},
		{edge.Regional, "drain:iad drain:lax drain:gru", "virginia", "vip emea"},
		{edge.Unicast, "drain:iad", "virginia", "lax"},
	} {
		t.Run(string(c.scheme)+" "+c.state+" "+c.client, func(t *testing.T) {
			s := testSnapshot(c.scheme)
			for _, scheme := range []edge.Scheme{edge.Global, edge.Regional} {
				s.Catchments = append(
					s.Catchments,
					edge.Catchment{CellKey: edge.CellKey{Country: "US", Subdivision: "VA", ASN: 64496, Family: 4}, Scheme: scheme, PoP: "lax", Share: 0.5},
					edge.Catchment{CellKey: edge.CellKey{Country: "US", Subdivision: "VA", ASN: 64496, Family: 4}, Scheme: scheme, PoP: "iad", Share: 0.5},
					edge.Catchment{CellKey: edge.CellKey{Country: "US"}, Scheme: scheme, PoP: "lax", Share: 1},
				)
			}
			set(s, c.state)
			p := compile(t, s, testPlaces())
			if got := lookup(p.services[0], clients[c.client]); got != c.want {
				t.Errorf("%s gets %s, want %s\n%v", c.client, got, c.want, p.services[0].Explain(clients[c.client], netip.Addr{}))
			}
		})
	}
}

// A shed of 20 % takes 20 % ± 2 of that PoP's clients and no one else's, under
// every scheme; raising it takes more and gives nobody back.
func TestShed(t *testing.T) {
	everyone := millionClients()[:200_000]
	for i, c := range everyone { // into the 10.0.0.0/8 of testPlaces
		if c.Is4() {
			b := c.As4()
			b[0] = 10
			everyone[i] = netip.AddrFrom4(b)
		}
	}
	for _, scheme := range edge.Schemes {
		t.Run(string(scheme), func(t *testing.T) {
			give := func(share float64, others string) (out []string) {
				s := testSnapshot(scheme)
				s.Catchments = []edge.Catchment{
					{CellKey: edge.CellKey{Country: "US", Subdivision: "VA"}, Scheme: edge.Global, PoP: "iad", Share: 1},
					{CellKey: edge.CellKey{Country: "US", Subdivision: "VA"}, Scheme: edge.Regional, PoP: "iad", Share: 1},
				}
				s.Sheds = []edge.Shed{{PoP: "iad", Share: share}}
				set(s, others)
				service := compile(t, s, testPlaces()).services[0]
				for _, c := range everyone {
					out = append(out, lookup(service, c))
				}
				return out
			}
			inVirginia := netip.MustParsePrefix("10.0.0.0/10")
			before, taken := give(0, ""), map[int]bool{}
			for _, share := range []float64{0.1, 0.2, 0.6} {
				after, owned, moved := give(share, ""), 0, 0
				for i, c := range everyone {
					own := before[i] == "iad" || scheme != edge.Unicast && (inVirginia.Contains(c) || !c.Is4() && strings.HasPrefix(before[i], "vip ") && lookupPlace(c) == "VA")
					if own {
						owned++
					}
					switch {
					case after[i] == before[i] && taken[i]:
						t.Fatalf("raising the shed to %v gave %v back", share, c)
					case after[i] == before[i]:
					case !own:
						t.Fatalf("a shed of iad moved %v from %s to %s", c, before[i], after[i])
					case after[i] != "lax":
						t.Fatalf("%v went from iad to %s, want lax", c, after[i])
					default:
						moved++
						taken[i] = true
					}
				}
				if got := float64(moved) / float64(owned); owned < 10_000 || math.Abs(got-share) > 0.02 {
					t.Errorf("a shed of %v took %v of %d clients", share, got, owned)
				}
			}
			// Not to one that sheds itself, and to nobody when all do.
			for i, to := range give(0.5, "shed:lax=0.01") {
				if before[i] == "iad" && to != "iad" && to != "fra" {
					t.Fatalf("%v went to %s, which sheds, too", everyone[i], to)
				}
			}
			for i, to := range give(1, "shed:lax=1 shed:gru=1 shed:fra=1") {
				if to != before[i] {
					t.Fatalf("all shed, and %v went from %s to %s", everyone[i], before[i], to)
				}
			}
		})
	}
}

func lookupPlace(a netip.Addr) string {
	if netip.MustParsePrefix("2001:db8::/34").Contains(a) {
		return "VA"
	}
	return ""
}

// While health changes, answers are short-lived.
func TestTTL(t *testing.T) {
	made := testSnapshot(edge.Unicast).Made
	for _, c := range []struct {
		name   string
		health edge.Health
		drain  bool
		policy edge.Policy
		ttl    time.Duration
		want   time.Duration
	}{
		{"steady", edge.Health{PoP: "iad", State: edge.Up, Since: made.Add(-time.Hour)}, false, edge.Policy{}, 30 * time.Second, 30 * time.Second},
		{"just up", edge.Health{PoP: "iad", State: edge.Up, Since: made.Add(-time.Minute)}, false, edge.Policy{}, 30 * time.Second, DefaultMinTTL},
		{"just down", edge.Health{PoP: "iad", State: edge.Down, Since: made}, false, edge.Policy{}, 30 * time.Second, DefaultMinTTL},
		{"settled", edge.Health{PoP: "iad", State: edge.Down, Since: made.Add(-DefaultSettle)}, false, edge.Policy{}, 30 * time.Second, 30 * time.Second},
		{"own settings", edge.Health{PoP: "iad", State: edge.Down, Since: made.Add(-time.Minute)}, false, edge.Policy{Settle: time.Hour, MinTTL: time.Second}, 30 * time.Second, time.Second},
		{"never longer", edge.Health{PoP: "iad", State: edge.Down, Since: made}, false, edge.Policy{}, 2 * time.Second, 2 * time.Second},
		{"drained", edge.Health{PoP: "iad", State: edge.Down, Since: made}, true, edge.Policy{}, 30 * time.Second, 30 * time.Second},
		{"unknown", edge.Health{PoP: "iad", State: edge.Unknown, Since: made}, false, edge.Policy{}, 30 * time.Second, 30 * time.Second},
		{"since never", edge.Health{PoP: "iad", State: edge.Up}, false, edge.Policy{}, 30 * time.Second, 30 * time.Second},
		{"not in the fleet", edge.Health{PoP: "old", State: edge.Down, Since: made}, false, edge.Policy{}, 30 * time.Second, 30 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := testSnapshot(edge.Unicast)
			s.Fleet.Services[0].TTL, s.Policy, s.Health = c.ttl, c.policy, []edge.Health{c.health}
			if c.drain {
				s.Drains = []edge.Drain{{PoP: c.health.PoP}}
			}
			service := compile(t, s, testPlaces()).services[0]
			if service.TTL() != c.want {
				t.Errorf("TTL %v, want %v", service.TTL(), c.want)
			}
			for _, a := range service.Answers() {
				if a.TTL != c.want {
					t.Errorf("TTL of %s %v, want %v", a.name(), a.TTL, c.want)
				}
			}
		})
	}
}

func TestWatermarks(t *testing.T) {
	w := Watermarks{Low: 0.8, High: 1.2}
	for _, c := range []struct{ load, capacity, want float64 }{
		{0, 1000, 0},
		{800, 1000, 0},
		{900, 1000, 0.25},
		{1000, 1000, 0.5},
		{1200, 1000, 1},
		{9000, 1000, 1},
		{1000, 0, 0},
		{math.NaN(), 1000, 0},
		{1000, math.NaN(), 0},
	} {
		if got := w.Share(c.load, c.capacity); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("at %v of %v it sheds %v, want %v", c.load, c.capacity, got, c.want)
		}
	}
	if got := w.Next(0.3, math.NaN(), 1000); got != 0.3 {
		t.Errorf("without a load it goes from 0.3 to %v", got)
	}
	if got := w.Next(0.3, 9000, 1000); got != 0.4 {
		t.Errorf("far above the mark it goes from 0.3 to %v, want a step to 0.4", got)
	}

	// With clients who come at a rate and follow the share, the load settles
	// between the marks, or stays where it is below the low one, and the share
	// with it; when they leave, so does the share.
	for _, offered := range []float64{500, 790, 900, 1000, 1300, 2000} {
		share := 0.0
		for range 200 {
			share = w.Next(share, offered*(1-share), 1000)
		}
		load := offered * (1 - share)
		if again := w.Next(share, load, 1000); again != share {
			t.Errorf("offered %v: still moving from %v to %v", offered, share, again)
		}
		if offered > 1000*w.Low && (load < 1000*w.Low-20 || load > 1000*w.High) || offered <= 1000*w.Low && share != 0 {
			t.Errorf("offered %v: settles at a share of %v, load %v", offered, share, load)
		}
		for range 200 {
			share = w.Next(share, 100*(1-share), 1000)
		}
		if share != 0 {
			t.Errorf("after %v the share stays at %v", offered, share)
		}
	}
}

func parse(s string) float64 {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(err)
	}
	return x
}

// TestLeavesOut: a drained PoP is left out, unless that would leave nobody.
func TestLeavesOut(t *testing.T) {
	f := func(want bool, without edge.PoPID, drained ...edge.PoPID) {
		t.Helper()
		s := testSnapshot(edge.Unicast)
		for _, id := range drained {
			s.Drains = append(s.Drains, edge.Drain{PoP: id})
		}
		for i := range s.Fleet.PoPs {
			if p := &s.Fleet.PoPs[i]; without != "" && p.ID != without {
				p.Unicast = nil
			}
		}
		if got := LeavesOut(s, "iad"); got != want {
			t.Errorf("%v drained: iad left out: %v, want %v", drained, got, want)
		}
	}
	f(false, "")
	f(false, "", "lax")
	f(true, "", "iad")
	f(true, "", "iad", "lax", "gru")
	f(false, "", "iad", "lax", "gru", "fra")
	f(false, "iad", "iad") // nobody else has an address of its own
	f(true, "lax", "iad")
}
