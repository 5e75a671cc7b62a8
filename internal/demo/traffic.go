package demo

import (
	"encoding/hex"
	"math"
	"math/rand/v2"
	"net/netip"
	"time"

	"catchment/internal/edge"
)

// geography is one row of the table that LinkedIn published in 2015: the share
// of its users who reached their optimal PoP under geo-DNS and under one
// global anycast address. Who reaches which other PoP instead, and the
// latencies, are invented to fit the demo's four PoPs.
type geography struct {
	place           edge.Place
	unicast, global float64                // share optimal
	wrong           [2]edge.PoPID          // reached instead, under unicast and global
	rtt             map[edge.PoPID]float64 // typical, ms; the least is the optimal PoP
}

// regionalShare is where LinkedIn's ramp to regional anycast ended for the US
// as a whole: 10 % suboptimal. There is no figure per state.
const regionalShare = 0.90

func us(state string) edge.Place {
	return edge.Place{Continent: "NA", Country: "US", Subdivision: state}
}

func geographies() []geography {
	type rtts = map[edge.PoPID]float64
	iadLax := [2]edge.PoPID{"lax", "lax"}
	return []geography{
		{us("IL"), 0.70, 0.90, iadLax, rtts{"iad": 22, "lax": 51, "gru": 138, "sin": 224}},
		{us("FL"), 0.73, 0.95, iadLax, rtts{"iad": 26, "lax": 62, "gru": 112, "sin": 245}},
		{us("GA"), 0.75, 0.93, iadLax, rtts{"iad": 17, "lax": 54, "gru": 124, "sin": 238}},
		{us("PA"), 0.85, 0.95, iadLax, rtts{"iad": 12, "lax": 66, "gru": 131, "sin": 236}},
		{us("NY"), 0.77, 0.74, iadLax, rtts{"iad": 11, "lax": 68, "gru": 128, "sin": 233}},
		{us("AZ"), 0.60, 0.39, [2]edge.PoPID{"iad", "iad"}, rtts{"iad": 58, "lax": 15, "gru": 168, "sin": 186}},
		{
			edge.Place{Continent: "SA", Country: "BR"},
			0.88, 0.33,
			[2]edge.PoPID{"iad", "sin"},
			rtts{"iad": 121, "lax": 166, "gru": 16, "sin": 334},
		},
	}
}

// prefixesPerGeography is how many /24s the views of a geography come from.
const prefixesPerGeography = 64

// Traffic makes page views as browsers in LinkedIn's seven geographies would
// have reported them. It is deterministic for a seed.
type Traffic struct {
	rng  *rand.Rand
	geos []geography
}

// NewTraffic returns the traffic of a seed.
func NewTraffic(seed uint64) *Traffic {
	return &Traffic{rng: rand.New(rand.NewPCG(seed, 0)), geos: geographies()}
}

// View returns one page view received at the given time.
func (t *Traffic) View(received time.Time) *edge.Beacon {
	g := t.rng.IntN(len(t.geos))
	geo := &t.geos[g]
	host := t.rng.IntN(prefixesPerGeography)

	// 198.18.0.0/15 is set aside for benchmarks (RFC 2544): 512 /24s.
	n := g*prefixesPerGeography + host
	client := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, byte(18 + n/256), byte(n), 0}), 24)
	place := geo.place
	place.ASN = uint32(64496 + host%4)
	place.ASName = [4]string{"Example Cable", "Example Fiber", "Example Mobile", "Example Telecom"}[host%4]

	var id [16]byte
	for i := range id {
		id[i] = byte(t.rng.Uint32())
	}
	b := &edge.Beacon{
		V: 1, ID: hex.EncodeToString(id[:]), Rate: 1,
		Client: client, Place: place, Received: received,
	}
	// The last mile is the prefix's own: the same for every PoP and view.
	lastMile := 2 + 8*float64(host)/prefixesPerGeography
	best := edge.PoPID("")
	for pop, rtt := range geo.rtt {
		if best == "" || rtt < geo.rtt[best] {
			best = pop
		}
	}
	probe := func(target edge.Target, pop edge.PoPID, vip edge.VIPID) {
		rtt := round(geo.rtt[pop] + lastMile + 1.5*t.rng.ExpFloat64())
		b.Probes = append(b.Probes, edge.Probe{Target: target, PoP: pop, VIP: vip, RTT: rtt, AF: 4, Proto: "http/1.1"})
	}
	pick := func(share float64, wrong edge.PoPID) edge.PoPID {
		if t.rng.Float64() < share {
			return best
		}
		return wrong
	}
	unicast := pick(geo.unicast, geo.wrong[0])
	probe(edge.Target(edge.Unicast), unicast, "")
	probe(edge.Target(edge.Global), pick(geo.global, geo.wrong[1]), "global")
	probe(edge.Target(edge.Regional), pick(regionalShare, geo.wrong[0]), "americas")
	for _, pop := range []edge.PoPID{"iad", "lax", "gru", "sin"} {
		probe(edge.TargetOf(pop), pop, "")
	}
	b.Page = edge.Page{PoP: unicast, Connect: round(geo.rtt[unicast] + lastMile)}
	return b
}

// round keeps the 0.1 ms that browsers resolve.
func round(ms float64) float64 { return math.Round(10*ms) / 10 }
