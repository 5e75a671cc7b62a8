package edge

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

// A snapshot crosses the network as JSON: nothing of it may get lost, and
// nothing that is not set may appear.
func TestSnapshotJSON(t *testing.T) {
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	cell := CellKey{Country: "US", Subdivision: "IL", ASN: 64496, Family: 4}
	s := Snapshot{
		Version: 7, Made: at, Places: "1f",
		Fleet: &Fleet{
			Zone: "edge.example", Probe: "probe.edge.example",
			PoPs: []PoP{{
				ID: "iad", Place: Place{Continent: "NA", Country: "US", Lat: 39, Lon: -77},
				Unicast: []netip.Addr{netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::1")}, Capacity: 100,
				BGP:    &BGP{ASN: 64500, RouterID: netip.MustParseAddr("192.0.2.10"), Neighbors: []Neighbor{{Address: netip.MustParseAddr("192.0.2.1"), ASN: 64496}}},
				Health: []HealthCheck{{HTTP: "https://127.0.0.1/", Rise: 3, Fall: 3, Every: time.Second, Timeout: time.Second / 2}},
				Load:   &Load{URL: "http://127.0.0.1/load"},
			}},
			VIPs:     []VIP{{ID: "global", Addresses: []netip.Addr{netip.MustParseAddr("198.51.100.1")}, Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}},
			Regions:  []Region{{ID: "all", VIP: "global", Continents: []string{"NA"}, PoPs: []PoPID{"iad"}}},
			Services: []Service{{Name: "www.edge.example", Scheme: Unicast, TTL: 30 * time.Second}},
		},
		Policy:     Policy{HealthyFloor: 0.5, MinSamples: 30, MinTTL: time.Second, Settle: time.Minute},
		Health:     []Health{{PoP: "iad", State: Up, Since: at, Share: 0.9, Why: "told"}},
		Drains:     []Drain{{PoP: "iad", By: "ann", Why: "disks", Since: at, Until: at.Add(time.Hour)}},
		Sheds:      []Shed{{PoP: "iad", Share: 0.2, Granule: Granule{V4: 20, V6: 40}, By: "ann", Why: "load"}},
		Ramps:      []Ramp{{ID: "r", Service: "www.edge.example", Scheme: Global, Share: 0.05, Salt: "s", Where: Where{Continents: []string{"NA"}, Countries: []string{"US"}, Subdivisions: []string{"US-IL"}, ASNs: []uint32{64496}}}},
		Pins:       []Pin{{Client: netip.MustParsePrefix("203.0.113.0/24"), PoP: "iad", By: "ann", Why: "asked", Until: at}},
		Weights:    []Weight{{Service: "www.edge.example", PoP: "iad", Weight: 2}},
		Orders:     []Order{{CellKey: cell, PoPs: []Latency{{PoP: "iad", RTT: 18.7, Samples: 52}}}},
		Catchments: []Catchment{{CellKey: cell, Scheme: Global, PoP: "iad", Share: 1}},
		Challenges: []Challenge{{Name: "_acme-challenge.edge.example", Values: []string{"x"}, Until: at}},
	}
	data, err := json.Marshal(&s)
	if err != nil {
		t.Fatal(err)
	}
	var back Snapshot
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(s, back) {
		t.Errorf("got back\n%+v\nwant\n%+v", back, s)
	}

	empty, err := json.Marshal(&Snapshot{Version: 1, Made: at})
	if want := `{"version":1,"made":"2026-11-01T12:00:00Z","fleet":null}`; err != nil || string(empty) != want {
		t.Errorf("an empty snapshot is %s (%v), want %s", empty, err, want)
	}
}
