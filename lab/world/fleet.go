package world

import (
	"fmt"
	"net/netip"
	"strings"
)

// FleetOptions are what a fleet file has beyond the topology.
type FleetOptions struct {
	Health   string // of each PoP: the value of health; empty: none
	Announce string // the value of announce; empty: none
	Scheme   string // of www.edge.example; empty: global
	TTL      string // of it; empty: 2s
	Capacity int    // of each PoP, requests/s; 0: unknown
	Load     string // of each PoP: the value of load; empty: none
}

// Service is the name that is steered.
const Service = "www.edge.example"

// Fleet returns the fleet file of the topology.
func (w *World) Fleet(o FleetOptions) string {
	var b strings.Builder
	b.WriteString("zone: edge.example\npops:\n")
	for _, p := range w.Topology.PoPs {
		s := w.PoPs[p.ID]
		four, six := netip.PrefixFrom(s.Four, 30).Masked(), netip.PrefixFrom(s.Six, 64).Masked()
		fmt.Fprintf(&b, "  - id: %s\n    place: {country: %s, lat: %v, lon: %v}\n    unicast: [%v, %q]\n    unicast_prefixes: [%v, %q]\n", p.ID, p.Country, p.Lat, p.Lon, s.Four, s.Six, four, six)
		fmt.Fprintf(&b, "    bgp:\n      asn: %d\n      router_id: %v\n      neighbors:\n", OurASN, s.Four)
		for _, n := range s.Neighbors {
			fmt.Fprintf(&b, "        - {address: %v, asn: %d}\n        - {address: %q, asn: %d}\n", n.Four, n.ASN, n.Six, n.ASN)
		}
		for key, v := range map[string]string{"health": o.Health, "load": o.Load} {
			if v != "" {
				fmt.Fprintf(&b, "    %s: %s\n", key, v)
			}
		}
		if o.Capacity > 0 {
			fmt.Fprintf(&b, "    capacity: %d\n", o.Capacity)
		}
	}
	fmt.Fprintf(&b, "vips:\n  - {id: global, addresses: [%v, %q], prefixes: [%v, %q]}\n", first(Global), first(Global6), Global, Global6)
	for i, r := range w.Topology.Regions {
		four, six := regional(i)
		fmt.Fprintf(&b, "  - {id: %s, addresses: [%v, %q], prefixes: [%v, %q]}\n", r.ID, first(four), first(six), four, six)
	}
	if len(w.Topology.Regions) > 0 {
		b.WriteString("regions:\n")
	}
	for _, r := range w.Topology.Regions {
		fmt.Fprintf(&b, "  - {id: %s, vip: %s, continents: [%s], pops: [%s]}\n", r.ID, r.ID, strings.Join(r.Continents, ", "), strings.Join(r.PoPs, ", "))
	}
	scheme, ttl := o.Scheme, o.TTL
	if scheme == "" {
		scheme = "global"
	}
	if ttl == "" {
		ttl = "2s"
	}
	fmt.Fprintf(&b, "services:\n  - {name: %s, scheme: %s, ttl: %s}\n", Service, scheme, ttl)
	if o.Announce != "" {
		fmt.Fprintf(&b, "announce: %s\n", o.Announce)
	}
	return b.String()
}

// Places returns a places file that knows every host's network.
func (w *World) Places() string {
	var b strings.Builder
	b.WriteString("prefix,continent,country,subdivision,city,asn,as_name,lat,lon\n")
	for i, n := range w.Topology.Networks {
		four, six := lan(i)
		for _, p := range []netip.Prefix{four, six} {
			fmt.Fprintf(&b, "%v,%s,%s,,,%d,%s,%v,%v\n", p, n.Continent, n.Country, n.ASN, n.ID, n.Lat, n.Lon)
		}
	}
	return b.String()
}

// RegionalVIP returns the addresses of a region's VIP.
func (w *World) RegionalVIP(id string) (four, six netip.Addr) {
	for i, r := range w.Topology.Regions {
		if r.ID == id {
			p4, p6 := regional(i)
			return first(p4), first(p6)
		}
	}
	return four, six
}

// GlobalVIP returns the addresses of the global VIP.
func GlobalVIP() (four, six netip.Addr) { return first(Global), first(Global6) }
