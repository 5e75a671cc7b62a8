package fleet

import (
	"fmt"
	"math"
	"net/url"
	"strings"
	"time"

	"catchment/internal/edge"
	"catchment/internal/geo"
)

// What a key that is left out means. docs/fleet.md lists them, too.
const (
	// DefaultTTL is how long resolvers may keep a service's answer: short
	// enough that they follow a PoP that fails within the minute.
	DefaultTTL = 30 * time.Second
)

func (d *decoder) fleet(v value) *edge.Fleet {
	var f edge.Fleet
	d.mapping(v,
		need("zone", "the DNS zone that is steered, such as edge.example.net", func(v value) { f.Zone = d.name(v) }),
		may("probe", func(v value) { f.Probe = d.name(v) }),
		need("pops", "a list of PoPs", func(v value) { f.PoPs = list(d, v, d.pop) }),
		may("vips", func(v value) { f.VIPs = list(d, v, d.vip) }),
		may("regions", func(v value) { f.Regions = list(d, v, d.region) }),
		may("services", func(v value) { f.Services = list(d, v, d.service) }),
		may("announce", func(v value) { f.Announce = d.announce(v) }),
	)
	if _, set := d.lines["probe"]; !set && f.Zone != "" {
		f.Probe = "probe." + f.Zone
	}
	return &f
}

func (d *decoder) pop(v value) (p edge.PoP) {
	d.mapping(v,
		need("id", "a short name, such as iad", func(v value) { p.ID = edge.PoPID(d.id(v)) }),
		need("place", "where the PoP is, such as {country: US, lat: 38.95, lon: -77.45}", func(v value) { p.Place = d.place(v) }),
		may("unicast", func(v value) { p.Unicast = list(d, v, d.address) }),
		may("unicast_prefixes", func(v value) { p.UnicastPrefixes = list(d, v, d.prefix) }),
		may("capacity", func(v value) {
			p.Capacity = d.number(v, math.SmallestNonzeroFloat64, 1e12, "requests per second, above 0")
		}),
		may("bgp", func(v value) { p.BGP = d.bgp(v) }),
		may("health", func(v value) { p.Health = list(d, v, d.health) }),
		may("health_groups", func(v value) { p.HealthGroups = list(d, v, d.healthGroup) }),
		may("load", func(v value) { p.Load = d.load(v) }),
	)
	return p
}

func (d *decoder) place(v value) (p edge.Place) {
	degrees := func(limit float64) func(v value) float64 {
		return func(v value) float64 {
			return d.number(v, -limit, limit, fmt.Sprintf("degrees from %v to %v", -limit, limit))
		}
	}
	d.mapping(v,
		need("country", "an ISO 3166-1 code, such as US", func(v value) { p.Country = d.country(v) }),
		may("subdivision", func(v value) { p.Subdivision = d.subdivision(v) }),
		may("city", func(v value) { p.City = d.city(v) }),
		need("lat", "degrees north, such as 38.95", func(v value) { p.Lat = degrees(90)(v) }),
		need("lon", "degrees east, such as -77.45", func(v value) { p.Lon = degrees(180)(v) }),
	)
	p.Continent, _ = geo.ContinentOf(p.Country)
	return p
}

func (d *decoder) bgp(v value) *edge.BGP {
	var b edge.BGP
	d.mapping(v,
		need("asn", "this PoP's AS number", func(v value) { b.ASN = d.asn(v) }),
		need("router_id", "an IPv4 address of this PoP", func(v value) { b.RouterID = d.routerID(v) }),
		need("neighbors", "a list of BGP neighbors", func(v value) { b.Neighbors = list(d, v, d.neighbor) }),
	)
	return &b
}

func (d *decoder) neighbor(v value) edge.Neighbor {
	n := edge.Neighbor{Relation: edge.Transit}
	d.mapping(v,
		need("address", "the neighbor's IP address", func(v value) { n.Address = d.neighborAddress(v) }),
		need("asn", "the neighbor's AS number", func(v value) { n.ASN = d.asn(v) }),
		may("password_file", func(v value) { n.PasswordFile, _ = d.scalar(v, "the path of a file") }),
		may("ttl_security", func(v value) { n.TTLSecurity = d.boolean(v) }),
		may("communities", func(v value) { n.Communities = list(d, v, d.community) }),
		may("relation", func(v value) { n.Relation = d.relation(v) }),
		may("vips", func(v value) {
			n.VIPs = list(d, v, func(v value) edge.VIPID { return edge.VIPID(d.id(v)) })
		}),
		may("prepend", func(v value) { n.Prepend = int(d.integer(v, 0, 10, "a whole number from 0 to 10")) }),
		may("no_export_to", func(v value) { n.NoExportTo = list(d, v, d.asn) }),
		may("scope", func(v value) { n.Scope = list(d, v, d.continent) }),
	)
	return n
}

func (d *decoder) relation(v value) edge.Relation {
	const want = "transit, peer or customer"
	s, ok := d.scalar(v, want)
	if r := edge.Relation(s); r == edge.Transit || r == edge.Peer || r == edge.Customer {
		return r
	}
	if !ok {
		return ""
	}
	hint := "want " + want
	if s == "provider" || s == "upstream" {
		hint = "want " + string(edge.Transit) + ", which is what a provider sells"
	}
	d.at(v.path, quote(s)+" is not a relation", hint)
	return ""
}

// community reads a BGP community. Two are not for the file: graceful shutdown
// belongs to a drain, and blackhole (RFC 7999) asks for the users' packets to be
// dropped.
func (d *decoder) community(v value) (none edge.Community) {
	const want = "a BGP community, such as 64496:100 or 64496:1:2"
	s, ok := d.scalar(v, want)
	if !ok {
		return none
	}
	c, err := edge.ParseCommunity(s)
	switch {
	case err != nil:
		d.at(v.path, quote(s)+" is not a BGP community", "want "+want)
		return none
	case c == edge.GracefulShutdown:
		d.at(v.path, s+" asks for every other PoP", "a drain adds it; want none of it here")
		return none
	case c == edge.Blackhole:
		d.at(v.path, s+" asks for the users' packets to be dropped", "want "+want)
		return none
	}
	return c
}

func (d *decoder) load(v value) *edge.Load {
	var l edge.Load
	d.mapping(v,
		may("prometheus", func(v value) { l.Prometheus = d.url(v) }),
		may("metric", func(v value) { l.Metric = d.metric(v) }),
		may("url", func(v value) { l.URL = d.url(v) }),
		may("exec", func(v value) { l.Exec = d.command(v) }),
	)
	return &l
}

func (d *decoder) vip(v value) (p edge.VIP) {
	d.mapping(v,
		need("id", "a short name, such as global", func(v value) { p.ID = edge.VIPID(d.id(v)) }),
		need("addresses", "a list of IP addresses", func(v value) { p.Addresses = list(d, v, d.address) }),
		need("prefixes", "a list of the prefixes to announce", func(v value) { p.Prefixes = list(d, v, d.prefix) }),
		may("health", func(v value) { p.Health = d.id(v) }),
	)
	return p
}

func (d *decoder) region(v value) (r edge.Region) {
	d.mapping(v,
		need("id", "a short name, such as americas", func(v value) { r.ID = edge.RegionID(d.id(v)) }),
		need("vip", "the id of a VIP", func(v value) { r.VIP = edge.VIPID(d.id(v)) }),
		may("continents", func(v value) { r.Continents = list(d, v, d.continent) }),
		may("countries", func(v value) { r.Countries = list(d, v, d.country) }),
		need("pops", "a list of the ids of PoPs", func(v value) {
			r.PoPs = list(d, v, func(v value) edge.PoPID { return edge.PoPID(d.id(v)) })
		}),
	)
	return r
}

func (d *decoder) service(v value) edge.Service {
	s := edge.Service{TTL: DefaultTTL}
	d.mapping(v,
		need("name", "a hostname in the zone", func(v value) { s.Name = d.name(v) }),
		need("scheme", "unicast, global or regional", func(v value) { s.Scheme = d.scheme(v) }),
		may("ttl", func(v value) { s.TTL = d.ttl(v) }),
	)
	return s
}

func (d *decoder) id(v value) string {
	const want = "1 to 16 of a-z, 0-9 and hyphen, a letter first"
	s, ok := d.scalar(v, want)
	if ok && !edge.ValidID(s) {
		d.at(v.path, quote(s)+" is not an id", "want "+want)
		return ""
	}
	return s
}

func (d *decoder) scheme(v value) edge.Scheme {
	s, ok := d.scalar(v, "unicast, global or regional")
	if ok && edge.Scheme(s).Index() < 0 {
		d.at(v.path, quote(s)+" is not a scheme", "want unicast, global or regional")
		return ""
	}
	return edge.Scheme(s)
}

func (d *decoder) ttl(v value) time.Duration {
	t := d.duration(v, time.Second, 24*time.Hour, "a duration from 1s to 24h, such as 30s")
	if t%time.Second != 0 {
		d.at(v.path, t.String()+" is not in whole seconds", "DNS counts in seconds, such as 30s")
		return 0
	}
	return t
}

func (d *decoder) country(v value) string {
	s, ok := d.scalar(v, "an ISO 3166-1 code, such as US")
	if !ok {
		return ""
	}
	if _, ok := geo.ContinentOf(s); ok {
		return s
	}
	hint := "want an ISO 3166-1 code, such as US"
	switch _, ok := geo.ContinentOf(strings.ToUpper(s)); {
	case ok:
		hint = "want " + strings.ToUpper(s)
	case s == "UK":
		hint = "want GB"
	}
	d.at(v.path, quote(s)+" is not a country", hint)
	return ""
}

func (d *decoder) continent(v value) string {
	const want = "want one of " + geo.Continents
	s, ok := d.scalar(v, "one of "+geo.Continents)
	if ok && !geo.IsContinent(s) {
		d.at(v.path, quote(s)+" is not a continent", want)
		return ""
	}
	return s
}

func (d *decoder) subdivision(v value) string {
	s, ok := d.scalar(v, "an ISO 3166-2 code without the country, such as VA")
	if ok && !geo.ValidSubdivision(s) {
		d.at(v.path, quote(s)+" is not a subdivision", "want the part of an ISO 3166-2 code after the hyphen, such as VA")
		return ""
	}
	return s
}

func (d *decoder) city(v value) string {
	s, ok := d.scalar(v, "the city's name")
	if ok && !geo.ValidName(s) {
		d.at(v.path, quote(s)+" is not a city's name", "want text on one line, at most 256 bytes")
		return ""
	}
	return s
}

// asn reads an AS number. A speaker can have neither 0 (RFC 7607) nor 23456,
// which stands for numbers that an old speaker cannot write (RFC 6793).
func (d *decoder) asn(v value) uint32 {
	const want = "an AS number from 1 to 4294967295"
	n := d.integer(v, 1, math.MaxUint32, want)
	if n == 23456 {
		d.at(v.path, "AS 23456 is reserved", "want "+want)
		return 0
	}
	return uint32(n)
}

// url reads an http or https URL.
func (d *decoder) url(v value) string {
	const want = "an http or https URL, such as https://127.0.0.1/healthz"
	s, ok := d.scalar(v, want)
	if !ok {
		return ""
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Opaque != "":
		d.at(v.path, quote(s)+" is not a URL that can be asked for", "want "+want)
	case u.User != nil:
		d.at(v.path, "the URL holds a password or user name", "this file is not secret: want a URL without it")
	case u.Fragment != "":
		d.at(v.path, quote(s)+" has a fragment", "want the URL without #"+u.Fragment)
	default:
		return s
	}
	return ""
}

// metric reads the name of a Prometheus metric.
func (d *decoder) metric(v value) string {
	const want = "the name of a counter, such as nginx_http_requests_total"
	s, ok := d.scalar(v, want)
	for i, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == ':'
		if !letter && (i == 0 || c < '0' || c > '9') {
			ok = false
		}
	}
	if s != "" && !ok {
		d.at(v.path, quote(s)+" is not the name of a metric", "want "+want)
	}
	return s
}
