package lab_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"catchment/internal/edge"
)

// dual is the IPv4 and the IPv6 address of something.
type dual [2]netip.Addr

func addrs(v4, v6 string) dual { return dual{netip.MustParseAddr(v4), netip.MustParseAddr(v6)} }

// of returns the address of family 4 or 6.
func (d dual) of(family int) netip.Addr { return d[family/2-2] }

const (
	probeZone = "probe.edge.example"
	wwwHost   = "www.edge.example"
	admin     = "127.0.0.1:9100"   // of every role, each at its own site
	rumHost   = "rum.edge.example" // the collector
)

// pop is a PoP of the lab's fleet.
type pop struct {
	id      edge.PoPID
	place   string // YAML
	unicast dual
	vips    []edge.VIPID  // that it answers on
	rtt     time.Duration // to the client
}

var (
	client  = addrs("192.0.2.200", "2001:db8:c::200")
	control = addrs("192.0.2.101", "2001:db8:d::101")
	www     = addrs("192.0.2.102", "2001:db8:d::102")

	iad = pop{"iad", "{country: US, subdivision: VA, lat: 39.04, lon: -77.49}", addrs("192.0.2.10", "2001:db8:10::1"), []edge.VIPID{"global", "americas"}, 5 * time.Millisecond}
	lax = pop{"lax", "{country: US, subdivision: CA, lat: 34.05, lon: -118.24}", addrs("192.0.2.20", "2001:db8:20::1"), []edge.VIPID{"global", "americas"}, 20 * time.Millisecond}
	gru = pop{"gru", "{country: BR, subdivision: SP, lat: -23.55, lon: -46.63}", addrs("192.0.2.30", "2001:db8:30::1"), []edge.VIPID{"global", "americas"}, 60 * time.Millisecond}
	sin = pop{"sin", "{country: SG, lat: 1.35, lon: 103.82}", addrs("192.0.2.40", "2001:db8:40::1"), []edge.VIPID{"global", "asia"}, 120 * time.Millisecond}

	vips = map[edge.VIPID]dual{
		"global":   addrs("198.51.100.1", "2001:db8:ff::1"),
		"americas": addrs("203.0.113.1", "2001:db8:a1::1"),
		"asia":     addrs("203.0.113.129", "2001:db8:a2::1"),
	}
)

// places puts the client next to iad.
const places = `prefix,continent,country,subdivision,city,asn,as_name,lat,lon
192.0.2.192/26,NA,US,VA,Ashburn,64500,Example Access,39.04,-77.49
2001:db8:c::/48,NA,US,VA,Ashburn,64500,Example Access,39.04,-77.49
`

// fleetFile returns the fleet file of pops, with a region for each VIP that is
// not global.
func fleetFile(pops []pop) string {
	var b strings.Builder
	fmt.Fprintf(&b, "zone: edge.example\nprobe: %s\npops:\n", probeZone)
	members := map[edge.VIPID][]string{}
	for _, p := range pops {
		fmt.Fprintf(&b, "  - {id: %s, place: %s, unicast: [%s, \"%s\"]}\n", p.id, p.place, p.unicast[0], p.unicast[1])
		for _, v := range p.vips {
			members[v] = append(members[v], string(p.id))
		}
	}
	order := slices.Sorted(maps.Keys(members))
	fmt.Fprintf(&b, "vips:\n")
	for _, v := range order {
		p4, _ := vips[v][0].Prefix(25)
		p6, _ := vips[v][1].Prefix(48)
		fmt.Fprintf(&b, "  - {id: %s, addresses: [%s, \"%s\"], prefixes: [%s, \"%s\"]}\n", v, vips[v][0], vips[v][1], p4, p6)
	}
	fmt.Fprintf(&b, "regions:\n")
	continents := map[edge.VIPID]string{"americas": "NA, SA", "asia": "AS, OC, EU, AF"}
	for _, v := range order {
		if c := continents[v]; c != "" {
			fmt.Fprintf(&b, "  - {id: %s, vip: %s, continents: [%s], pops: [%s]}\n", v, v, c, strings.Join(members[v], ", "))
		}
	}
	fmt.Fprintf(&b, "services:\n  - {name: %s, scheme: unicast, ttl: 30s}\n", wwwHost)
	return b.String()
}
