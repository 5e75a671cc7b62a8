package control

import (
	"iter"
	"net/netip"
	"testing"

	"catchment/internal/edge"
	"catchment/internal/steer"
)

// thirds are 10,000 prefixes of clients near each PoP.
type thirds struct{}

// Where the clients of thirds are, by the PoP that they reach.
var around = []struct {
	pop   edge.PoPID
	net   byte // 10.NET.0.0 and on
	place edge.Place
}{
	{"iad", 0, edge.Place{Continent: "NA", Country: "US", Subdivision: "VA", Lat: 39, Lon: -77}},
	{"lax", 64, edge.Place{Continent: "NA", Country: "US", Subdivision: "CA", Lat: 34, Lon: -118}},
	{"fra", 128, edge.Place{Continent: "EU", Country: "DE", Lat: 50, Lon: 8}},
}

const perPoP = 10_000

func (thirds) All() iter.Seq2[netip.Prefix, edge.Place] {
	return func(yield func(netip.Prefix, edge.Place) bool) {
		for _, a := range around {
			if !yield(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, a.net, 0, 0}), 10), a.place) {
				return
			}
		}
	}
}
func (thirds) Version() string { return "thirds" }

// lookups returns what each /24 of thirds is answered, by PoP.
func lookups(t *testing.T, s *steer.Service) map[edge.PoPID][]string {
	all := map[edge.PoPID][]string{}
	for _, a := range around {
		for i := range perPoP {
			client := netip.AddrFrom4([4]byte{10, a.net + byte(i>>8), byte(i), 0})
			n, scope := s.Lookup(client)
			if scope > 24 {
				t.Fatalf("%v: the answer is for /%d, and resolvers tell 24 bits", client, scope)
			}
			answer := s.Answers()[n]
			all[a.pop] = append(all[a.pop], answer.Reason())
		}
	}
	return all
}

// TestShed: of the clients that reach a PoP, under whichever scheme, the share
// moves to the next best PoP, and none of anyone else's; more of it moves more
// and brings nobody back; its end brings all back.
func TestShed(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		f := testFleet()
		f.VIPs = append(f.VIPs, edge.VIP{ID: "us", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.129")}})
		f.Regions = append(f.Regions, edge.Region{ID: "us", VIP: "us", Continents: []string{"NA"}, PoPs: []edge.PoPID{"iad", "lax"}})
		f.Services = []edge.Service{{Name: "unicast.edge.example", Scheme: edge.Unicast}, {Name: "global.edge.example", Scheme: edge.Global}, {Name: "regional.edge.example", Scheme: edge.Regional}}
		if err := r.SetFleet(f); err != nil {
			t.Fatal(err)
		}
		var observed []edge.Catchment
		for _, a := range around {
			for _, s := range []edge.Scheme{edge.Global, edge.Regional} {
				observed = append(observed, edge.Catchment{CellKey: edge.CellKey{Country: a.place.Country, Subdivision: a.place.Subdivision}, Scheme: s, PoP: a.pop, Share: 0.9})
			}
		}
		if err := r.SetMeasured(nil, observed); err != nil {
			t.Fatal(err)
		}
		plan := func() map[string]map[edge.PoPID][]string {
			t.Helper()
			r.settle()
			p, err := steer.Compile(r.Snapshot(), thirds{})
			if err != nil {
				t.Fatal(err)
			}
			all := map[string]map[edge.PoPID][]string{}
			for _, s := range p.Services() {
				all[s.Name()] = lookups(t, s)
			}
			return all
		}
		before := plan()
		moved := func(now map[string]map[edge.PoPID][]string, service string, pop edge.PoPID) map[int]string {
			m := map[int]string{}
			for i, answer := range now[service][pop] {
				if answer != before[service][pop][i] {
					m[i] = answer
				}
			}
			return m
		}
		r.api(200, "PUT", "sheds/iad", `{"share":0.2,"why":"hot"}`)
		fifth := plan()
		r.api(200, "PUT", "sheds/iad", `{"share":0.4,"why":"hotter"}`)
		more := plan()
		for service := range before {
			a, b := moved(fifth, service, "iad"), moved(more, service, "iad")
			if len(a) < perPoP*18/100 || len(a) > perPoP*22/100 || len(b) < perPoP*38/100 || len(b) > perPoP*42/100 {
				t.Errorf("%s: %d, then %d of %d prefixes have moved, want 20 %% ± 2, then 40", service, len(a), len(b), perPoP)
			}
			t.Logf("%s: %d, then %d of %d prefixes", service, len(a), len(b), perPoP)
			for i, to := range a {
				if to != "PoP lax by its own address" || b[i] != to {
					t.Fatalf("%s: prefix %d moved to %q, then to %q", service, i, to, b[i])
				}
			}
			for _, pop := range []edge.PoPID{"lax", "fra"} {
				if n := len(moved(fifth, service, pop)) + len(moved(more, service, pop)); n > 0 {
					t.Errorf("%s: %d prefixes of %s moved", service, n, pop)
				}
			}
		}
		r.api(204, "DELETE", "sheds/iad?why=cool", "")
		after := plan()
		for service := range before {
			for pop := range before[service] {
				if n := len(moved(after, service, pop)); n > 0 {
					t.Errorf("%s: %d prefixes of %s are not back", service, n, pop)
				}
			}
		}
	})
}
