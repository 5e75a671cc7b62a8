package beacon

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"catchment/internal/edge"
)

// testFleet has four PoPs, the VIP "global" and a region.
func testFleet() *edge.Fleet {
	pop := func(id edge.PoPID, country string, lat, lon float64, addr string) edge.PoP {
		return edge.PoP{
			ID: id, Place: edge.Place{Country: country, Lat: lat, Lon: lon},
			Unicast: []netip.Addr{netip.MustParseAddr(addr)},
		}
	}
	return &edge.Fleet{
		Zone:  "edge.example.net",
		Probe: "probe.edge.example.net",
		PoPs: []edge.PoP{
			pop("iad", "US", 38.95, -77.45, "192.0.2.10"),
			pop("lax", "US", 33.94, -118.4, "192.0.2.20"),
			pop("gru", "BR", -23.43, -46.47, "192.0.2.30"),
			pop("sin", "SG", 1.36, 103.99, "192.0.2.40"),
		},
		VIPs:    []edge.VIP{{ID: "global"}, {ID: "americas"}},
		Regions: []edge.Region{{ID: "americas", VIP: "americas", PoPs: []edge.PoPID{"iad", "lax", "gru"}}},
	}
}

// typical is a beacon as rum.js sends it.
const typical = `{"v":1,"id":"9f86d081884c7d659a2feaa0c55ad015","t":1790000000123,"rate":0.01,` +
	`"page":{"pop":"iad","vip":"americas","dns":12.1,"connect":18,"tls":21.3,"ttfb":88,"load":1432},` +
	`"probes":[{"target":"global","pop":"iad","vip":"global","rtt":18.7,"warm":[18.9,18.7,19.4],"cold":[11,19.1,20.2],"srv":0.05,"mrtt":18.4,"proto":"http/1.1","af":4},` +
	`{"target":"pop:lax","pop":"lax","rtt":64,"warm":[64,64.3,64.1],"cold":[9.7,64.4,66],"srv":0.04,"proto":"http/1.1","af":4},` +
	`{"target":"regional","error":"timeout"}],"net":{"type":"4g"}}`

// typicalRelay is a beacon as relays and files have it.
const typicalRelay = `{"v":1,"id":"r1","rate":1,"probes":[{"target":"unicast","pop":"iad","rtt":20,"af":4}],` +
	`"client":"203.0.113.7","received":"2026-11-01T12:00:00.123Z",` +
	`"place":{"country":"US","subdivision":"IL","city":"São Paulo","asn":64496,"as_name":"Example","lat":41.8,"lon":-87.6},` +
	`"resolver":{"addr":"198.51.100.53","ecs":"203.0.113.0/24"}}`

// places is a Places that knows everything of one network.
type places map[netip.Prefix]edge.Place

func (p places) Lookup(a netip.Addr) edge.Place {
	for n, place := range p {
		if n.Contains(a) {
			return place
		}
	}
	return edge.Place{}
}

// memory is a Sink that keeps copies and drops duplicates.
type memory struct {
	mu      sync.Mutex
	fail    error
	beacons []edge.Beacon
	ids     map[string]bool
}

func (m *memory) Append(ctx context.Context, beacons ...*edge.Beacon) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return 0, m.fail
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if m.ids == nil {
		m.ids = map[string]bool{}
	}
	stored := 0
	for _, b := range beacons {
		if m.ids[b.ID] {
			continue
		}
		m.ids[b.ID] = true
		stored++
		c := *b
		c.Flags = slices.Clone(c.Flags)
		c.Probes = slices.Clone(c.Probes)
		for i := range c.Probes {
			p := &c.Probes[i]
			p.Warm, p.Cold = slices.Clone(p.Warm), slices.Clone(p.Cold)
			p.Served, p.Flags = slices.Clone(p.Served), slices.Clone(p.Flags)
		}
		m.beacons = append(m.beacons, c)
	}
	return stored, nil
}

func (m *memory) all() []edge.Beacon {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.beacons)
}

// wantLines checks counters by their exposition lines.
func wantLines(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !slices.Contains(strings.Split(got, "\n"), w) {
			t.Errorf("no line %q in\n%s", w, got)
		}
	}
}
