package store

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"catchment/internal/edge"
)

// testDay is the day of most test beacons: 2026-11-01.
var testDay = edge.DayOf(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))

// typicalBeacons makes beacons such as browsers send: one probe for each
// scheme and three of PoPs by their own names, one in fifty of them failed.
type typicalBeacons struct {
	rng  *rand.Rand
	at   time.Time
	step time.Duration
}

func newTypical(seed uint64, start time.Time, step time.Duration) *typicalBeacons {
	return &typicalBeacons{rng: rand.New(rand.NewPCG(seed, 1)), at: start, step: step}
}

func (t *typicalBeacons) next() *edge.Beacon {
	rng := t.rng
	t.at = t.at.Add(t.step)
	var id [16]byte
	for i := range id {
		id[i] = byte(rng.Uint32())
	}
	u := rng.Float64()
	client := uint32(u * u * 30_000)
	place := int(client) % 500
	near := place % 40
	b := &edge.Beacon{
		V: 1, ID: hex.EncodeToString(id[:]), Plan: "p1." + hex.EncodeToString(id[:6]), Time: t.at.UnixMilli() - 200,
		Rate: []float64{1, 0.1, 0.01}[rng.IntN(3)],
		Page: edge.Page{
			PoP: testPoP(near), VIP: "global", DNS: t.ms(12), Connect: t.ms(18), TLS: t.ms(21), TTFB: t.ms(88), Load: t.ms(1400),
		},
		Net:      edge.Net{Type: "4g"},
		Client:   netip.PrefixFrom(netip.AddrFrom4([4]byte{203, byte(client >> 16), byte(client >> 8), byte(client)}), 32),
		Received: t.at,
		Place: edge.Place{
			Continent: []string{"NA", "SA", "EU"}[place%3], Country: fmt.Sprintf("%c%c", 'A'+place%60/8, 'A'+place%8), Subdivision: fmt.Sprint("S", place),
			City: fmt.Sprint("City ", place), ASN: uint32(64496 + client%16), ASName: fmt.Sprint("Example ", client%16),
			Lat: float64(place) / 10, Lon: -float64(place) / 7,
		},
		Resolver: edge.Resolver{Addr: netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(client)}), 32)},
	}
	probe := func(target edge.Target, pop int) {
		if rng.IntN(50) == 0 {
			b.Probes = append(b.Probes, edge.Probe{Target: target, Error: "timeout"})
			return
		}
		base := 5 + 12*float64((pop+40-near)%40)
		p := edge.Probe{
			Target: target, PoP: testPoP(pop), VIP: "global", Srv: 0.05, MRTT: t.ms(base), Proto: "http/1.1", AF: 4,
			Warm: []float64{t.ms(base), t.ms(base), t.ms(base)}, Cold: []float64{t.ms(11), t.ms(base), t.ms(base)},
		}
		p.RTT = min(p.Warm[0], p.Warm[1], p.Warm[2])
		b.Probes = append(b.Probes, p)
	}
	for _, s := range edge.Schemes {
		pop := near
		if rng.IntN(4) == 0 {
			pop = (near + 1 + rng.IntN(3)) % 40
		}
		probe(edge.Target(s), pop)
	}
	for i := range 3 {
		pop := (near + i) % 40
		probe(edge.TargetOf(testPoP(pop)), pop)
	}
	return b
}

// ms draws a duration around base, to the 0.1 ms that browsers resolve.
func (t *typicalBeacons) ms(base float64) float64 {
	return math.Round(10*(base+t.rng.ExpFloat64()*0.3*base)) / 10
}

func (t *typicalBeacons) take(n int) []*edge.Beacon {
	all := make([]*edge.Beacon, n)
	for i := range all {
		all[i] = t.next()
	}
	return all
}

func testPoP(i int) edge.PoPID { return edge.PoPID(fmt.Sprintf("pop%d", i)) }

// randomBeacon makes odd but valid beacons, within days of testDay.
func randomBeacon(rng *rand.Rand) *edge.Beacon {
	text := func() string {
		return []string{"", "a", "iad", "São Paulo", "x\x00y", "日本", "longer than most of the texts that are here"}[rng.IntN(7)]
	}
	ms := func() float64 {
		return []float64{0, 0.1, 18.7, 1432, 61234.5, rng.ExpFloat64() * 50}[rng.IntN(6)]
	}
	list := func() (l []float64) {
		for range rng.IntN(4) {
			l = append(l, ms())
		}
		return l
	}
	prefix := func() netip.Prefix {
		switch rng.IntN(3) {
		case 0:
			return netip.Prefix{}
		case 1:
			return netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(rng.IntN(4))}), 24+rng.IntN(9))
		}
		return netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, byte(rng.IntN(4))}), 48)
	}
	pop := func() edge.PoPID { return []edge.PoPID{"iad", "lax", "fra"}[rng.IntN(3)] }
	b := &edge.Beacon{
		V: 1, ID: fmt.Sprintf("%016x%016x", rng.Uint64(), rng.Uint64()), Plan: text(), Time: rng.Int64() - rng.Int64(),
		Rate:   []float64{1, 0.5, 0.01, rng.Float64() + 1e-9}[rng.IntN(4)],
		Page:   edge.Page{PoP: pop(), VIP: edge.VIPID(text()), DNS: ms(), Connect: ms(), TLS: ms(), TTFB: ms(), Load: ms()},
		Net:    edge.Net{Type: text()},
		Client: prefix(),
		Place: edge.Place{
			Continent: []string{"", "NA", "EU"}[rng.IntN(3)], Country: []string{"", "US", "DE"}[rng.IntN(3)],
			Subdivision: []string{"", "IL", "BY"}[rng.IntN(3)], City: text(), ASN: []uint32{0, 64496, 4294967295}[rng.IntN(3)],
			ASName: text(), Lat: rng.Float64()*180 - 90, Lon: rng.Float64()*360 - 180,
		},
		Resolver: edge.Resolver{Addr: prefix(), ECS: prefix()},
		Received: testDay.Time().Add(time.Duration(rng.Int64N(int64(48 * time.Hour)))),
	}
	for range rng.IntN(3) {
		b.Flags = append(b.Flags, []string{flagBot, flagWebdriver, flagCoarse, "hidden", "a", "b", "c"}[rng.IntN(7)])
	}
	targets := []edge.Target{"unicast", "global", "regional", "pop:iad", "pop:lax", "pop:fra", "elsewhere"}
	for range rng.IntN(8) {
		p := edge.Probe{Target: targets[rng.IntN(len(targets))], AF: []int{4, 6, 0}[rng.IntN(3)], Warm: list(), Cold: list()}
		if rng.IntN(4) == 0 {
			p.Error, p.Status = "http", 503
		} else {
			p.PoP, p.VIP, p.RTT, p.Srv, p.MRTT, p.Proto = pop(), edge.VIPID(text()), ms(), ms(), ms(), "http/1.1"
		}
		if rng.IntN(5) == 0 {
			p.Served, p.Flags = []edge.PoPID{pop(), pop()}, []string{text(), "split-tcp"}
		}
		b.Probes = append(b.Probes, p)
	}
	return b
}

// asStored returns b with the precision that it is stored in.
func asStored(b *edge.Beacon) *edge.Beacon {
	round := func(list []float64) (r []float64) {
		for _, v := range list {
			r = append(r, float64(float32(v)))
		}
		return r
	}
	c := *b
	c.Received = b.Received.UTC().Truncate(time.Microsecond)
	for _, v := range []*float64{&c.Page.DNS, &c.Page.Connect, &c.Page.TLS, &c.Page.TTFB, &c.Page.Load} {
		*v = float64(float32(*v))
	}
	c.Probes = slices.Clone(b.Probes)
	for i := range c.Probes {
		p := &c.Probes[i]
		p.Warm, p.Cold = round(p.Warm), round(p.Cold)
		for _, v := range []*float64{&p.RTT, &p.Srv, &p.MRTT} {
			*v = float64(float32(*v))
		}
	}
	return &c
}

func diffBeacons(t *testing.T, want, got *edge.Beacon) {
	t.Helper()
	// Comparing the records first is much quicker, and cmp has the last word on
	// one in sixteen all the same.
	if !strings.HasPrefix(want.ID, "3") && want.V == got.V && bytes.Equal(appendRecord(nil, want), appendRecord(nil, got)) {
		return
	}
	same := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	if d := cmp.Diff(want, got, same, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("beacon %s (-want +got):\n%s", want.ID, d)
	}
}
