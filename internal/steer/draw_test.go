package steer_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"catchment/internal/edge"
	"catchment/internal/steer"
)

// Whom Draw says a ramp treats is whom Lookup gives the ramp's answer, at
// every share and for both families.
func TestDrawIsLookup(t *testing.T) {
	addr := netip.MustParseAddr
	fleet := &edge.Fleet{
		Zone: "edge.example", Probe: "probe.edge.example",
		PoPs:     []edge.PoP{{ID: "iad", Place: edge.Place{Country: "US", Lat: 39, Lon: -77}, Unicast: []netip.Addr{addr("192.0.2.10")}}},
		VIPs:     []edge.VIP{{ID: "global", Addresses: []netip.Addr{addr("198.51.100.1")}, Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}},
		Services: []edge.Service{{Name: "www.edge.example", Scheme: edge.Unicast, TTL: 30 * time.Second}},
	}
	for _, granule := range []edge.Granule{{}, {V4: 20, V6: 40}} {
		draw := steer.DrawOf("a salt", granule)
		for _, share := range []float64{0.01, 0.25, 0.9} {
			plan, err := steer.Compile(&edge.Snapshot{Version: 1, Fleet: fleet, Ramps: []edge.Ramp{{
				ID: "r", Service: "www.edge.example", Scheme: edge.Global, Share: share, Salt: "a salt", Granule: granule,
			}}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			s := plan.Services()[0]
			treated := 0
			for i := range 4000 {
				client := addr(fmt.Sprintf("2001:db8:%x:1::1", i*16))
				if i%20 == 0 {
					client = addr([]string{"192.0.2.9", "198.51.100.9", "203.0.113.9", "10.0.0.9"}[i/20%4])
				}
				n, _ := s.Lookup(client)
				want := s.Answers()[n].Scheme == edge.Global
				got := float64(draw.Bucket(client)) < share*10000
				if got != want {
					t.Fatalf("%v at %v: treated %v by Draw, %v by Lookup", client, share, got, want)
				}
				if got {
					treated++
				}
				if p, _ := client.Prefix(draw.Bits(client)); draw.Unit(client) != draw.Unit(p.Addr()) || draw.Bucket(client) != draw.Bucket(p.Addr()) {
					t.Fatalf("%v is not drawn as its granule %v", client, p)
				}
			}
			if part := float64(treated) / 4000; share >= 0.25 && (part < share*0.7 || part > min(1, share*1.3)) {
				t.Errorf("%v of clients are treated at a share of %v", part, share)
			}
		}
	}
	a, b := steer.DrawOf("s", edge.Granule{}), steer.DrawOf("s", edge.Granule{})
	if a.Unit(addr("192.0.2.1")) == b.Unit(addr("192.0.3.1")) {
		t.Error("two granules are one unit")
	}
}
