package store

import (
	"math"

	"catchment/internal/edge"
)

// beaconColumns are the columns of BeaconRow.
type beaconColumns struct {
	received, sent                times
	id, plan                      tokens
	rate, lat, lon                numbers[uint64]
	client, resolver, resolverECS prefixes

	continent, country, subdivision, city, asName texts
	asn, family                                   numbers[uint32]

	served  [len(edge.Schemes)]texts
	rtt     [len(edge.Schemes)]numbers[uint32]
	bestPoP texts
	bestRTT numbers[uint32]

	pagePoP, pageVIP                  texts
	dns, connect, tls, ttfb, pageLoad numbers[uint32]
	netType                           texts

	flags    textLists
	probes   levels // of what follows, but for the lists in it
	target   texts
	pop      texts
	vip      texts
	probeRTT numbers[uint32]
	warm     floatLists
	cold     floatLists
	srv      numbers[uint32]
	mrtt     numbers[uint32]
	proto    texts
	af       numbers[uint32]
	status   numbers[uint32]
	failure  texts
	servedBy textLists
	doubts   textLists
}

type textLists struct {
	levels
	texts
}

type floatLists struct {
	levels
	numbers[uint32]
}

// columnField is a column by its name, without what stands for a list.
type columnField struct {
	name   string
	values values
	levels *levels
}

// fields returns the columns in the order of the schema.
func (c *beaconColumns) fields() []columnField {
	return []columnField{
		{"received", &c.received, nil},
		{"id", &c.id, nil},
		{"plan", &c.plan, nil},
		{"t", &c.sent, nil},
		{"rate", &c.rate, nil},
		{"client", &c.client, nil},
		{"continent", &c.continent, nil},
		{"country", &c.country, nil},
		{"subdivision", &c.subdivision, nil},
		{"city", &c.city, nil},
		{"asn", &c.asn, nil},
		{"as_name", &c.asName, nil},
		{"lat", &c.lat, nil},
		{"lon", &c.lon, nil},
		{"resolver", &c.resolver, nil},
		{"resolver_ecs", &c.resolverECS, nil},
		{"family", &c.family, nil},
		{"unicast", &c.served[0], nil},
		{"global", &c.served[1], nil},
		{"regional", &c.served[2], nil},
		{"unicast_rtt", &c.rtt[0], nil},
		{"global_rtt", &c.rtt[1], nil},
		{"regional_rtt", &c.rtt[2], nil},
		{"best_pop", &c.bestPoP, nil},
		{"best_rtt", &c.bestRTT, nil},
		{"page_pop", &c.pagePoP, nil},
		{"page_vip", &c.pageVIP, nil},
		{"page_dns", &c.dns, nil},
		{"page_connect", &c.connect, nil},
		{"page_tls", &c.tls, nil},
		{"page_ttfb", &c.ttfb, nil},
		{"page_load", &c.pageLoad, nil},
		{"net_type", &c.netType, nil},
		{"flags", &c.flags.texts, &c.flags.levels},
		{"probes.target", &c.target, &c.probes},
		{"probes.pop", &c.pop, &c.probes},
		{"probes.vip", &c.vip, &c.probes},
		{"probes.rtt", &c.probeRTT, &c.probes},
		{"probes.warm", &c.warm.numbers, &c.warm.levels},
		{"probes.cold", &c.cold.numbers, &c.cold.levels},
		{"probes.srv", &c.srv, &c.probes},
		{"probes.mrtt", &c.mrtt, &c.probes},
		{"probes.proto", &c.proto, &c.probes},
		{"probes.af", &c.af, &c.probes},
		{"probes.status", &c.status, &c.probes},
		{"probes.error", &c.failure, &c.probes},
		{"probes.served", &c.servedBy.texts, &c.servedBy.levels},
		{"probes.flags", &c.doubts.texts, &c.doubts.levels},
	}
}

// levels returns those of all columns.
func (c *beaconColumns) levels() []*levels {
	return []*levels{&c.flags.levels, &c.probes, &c.warm.levels, &c.cold.levels, &c.servedBy.levels, &c.doubts.levels}
}

// add appends the row of b, whose view is v. The best PoP is derived here.
func (c *beaconColumns) add(b *edge.Beacon, v *edge.View) {
	c.received.add(b.Received.UnixMicro())
	c.id.add(b.ID)
	c.plan.add(b.Plan)
	c.sent.add(b.Time)
	c.rate.add(math.Float64bits(b.Rate))
	c.client.add(b.Client)
	c.continent.add(b.Place.Continent)
	c.country.add(b.Place.Country)
	c.subdivision.add(b.Place.Subdivision)
	c.city.add(b.Place.City)
	c.asn.add(b.Place.ASN)
	c.asName.add(b.Place.ASName)
	c.lat.add(math.Float64bits(b.Place.Lat))
	c.lon.add(math.Float64bits(b.Place.Lon))
	c.resolver.add(b.Resolver.Addr)
	c.resolverECS.add(b.Resolver.ECS)
	c.family.add(uint32(v.Family))
	for i := range c.served {
		c.served[i].add(string(v.Served[i]))
		c.rtt[i].add(floatBits(v.RTT[i]))
	}
	best := bestProbe(b)
	if best == nil {
		best = &edge.Probe{}
	}
	c.bestPoP.add(string(best.PoP))
	c.bestRTT.add(floatBits(best.RTT))
	c.pagePoP.add(string(b.Page.PoP))
	c.pageVIP.add(string(b.Page.VIP))
	c.dns.add(floatBits(b.Page.DNS))
	c.connect.add(floatBits(b.Page.Connect))
	c.tls.add(floatBits(b.Page.TLS))
	c.ttfb.add(floatBits(b.Page.TTFB))
	c.pageLoad.add(floatBits(b.Page.Load))
	c.netType.add(b.Net.Type)
	addTexts(&c.flags, 0, 0, b.Flags)
	if len(b.Probes) == 0 {
		for _, l := range c.levels()[1:] {
			l.add(0, 0)
		}
	}
	for i := range b.Probes {
		c.addProbe(byte(min(i, 1)), &b.Probes[i])
	}
}

// addProbe appends a probe; rep is 0 for the first one of a beacon, else 1.
func (c *beaconColumns) addProbe(rep byte, p *edge.Probe) {
	c.probes.add(rep, 1)
	c.target.add(string(p.Target))
	c.pop.add(string(p.PoP))
	c.vip.add(string(p.VIP))
	c.probeRTT.add(floatBits(p.RTT))
	addFloats(&c.warm, rep, p.Warm)
	addFloats(&c.cold, rep, p.Cold)
	c.srv.add(floatBits(p.Srv))
	c.mrtt.add(floatBits(p.MRTT))
	c.proto.add(p.Proto)
	c.af.add(uint32(p.AF))
	c.status.add(uint32(p.Status))
	c.failure.add(p.Error)
	addTexts(&c.servedBy, rep, 1, p.Served)
	addTexts(&c.doubts, rep, 1, p.Flags)
}

func floatBits(v float64) uint32 { return math.Float32bits(float32(v)) }

// addTexts appends a list in a list of depth so many, 0 or 1; rep says whether
// the outer one goes on.
func addTexts[T ~string](column *textLists, rep, depth byte, list []T) {
	if len(list) == 0 {
		column.levels.add(rep, depth)
	}
	for i, s := range list {
		if i > 0 {
			rep = depth + 1
		}
		column.levels.add(rep, depth+1)
		column.texts.add(string(s))
	}
}

func addFloats(column *floatLists, rep byte, list []float64) {
	if len(list) == 0 {
		column.levels.add(rep, 1)
	}
	for i, v := range list {
		if i > 0 {
			rep = 2
		}
		column.levels.add(rep, 2)
		column.numbers.add(floatBits(v))
	}
}

// bestProbe returns the probe of a PoP by its own name that has the least RTT,
// the first of equals, or nil.
func bestProbe(b *edge.Beacon) (best *edge.Probe) {
	for i := range b.Probes {
		p := &b.Probes[i]
		if ownName(p) && (best == nil || float32(p.RTT) < float32(best.RTT)) {
			best = p
		}
	}
	return best
}
