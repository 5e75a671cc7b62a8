package steer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"catchment/internal/edge"
)

// rampOf is a ramp of www to the global VIP.
func rampOf(share float64) []edge.Ramp {
	return []edge.Ramp{{ID: "r", Service: www, Scheme: edge.Global, Share: share, Salt: "2026-11"}}
}

// splitPlaces reads prefixes that are in Virginia, those with ! in Germany.
func splitPlaces(text string) (places known) {
	for s := range strings.FieldsSeq(text) {
		p := knownPrefix{place: virginia}
		if rest, ok := strings.CutPrefix(s, "!"); ok {
			s, p.place = rest, germany
		}
		p.prefix = netip.MustParsePrefix(s)
		places = append(places, p)
	}
	return places
}

// millionClients are random client prefixes, one address of each: three in
// four IPv4 /24s from anywhere, the others IPv6 /48s.
func millionClients() []netip.Addr {
	rng := rand.New(rand.NewPCG(11, 12))
	all := make([]netip.Addr, 1_000_000)
	for i := range all {
		x := rng.Uint64()
		if i%4 == 0 {
			all[i] = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8 ^ byte(x>>16), byte(x >> 8), byte(x), 15: 1})
		} else {
			all[i] = netip.AddrFrom4([4]byte{byte(x), byte(x >> 8), byte(x >> 16), 1})
		}
	}
	return all
}

// treated tells which clients get the global VIP.
func treated(t *testing.T, clients []netip.Addr, ramps ...edge.Ramp) []bool {
	t.Helper()
	s := testSnapshot(edge.Unicast)
	s.Ramps = ramps
	service := compile(t, s, testPlaces()).services[0]
	in := make([]bool, len(clients))
	for i, c := range clients {
		n, _ := service.Lookup(c)
		in[i] = service.answers[n].VIP == "global"
	}
	return in
}

func shareOf(in []bool) float64 {
	n := 0
	for _, x := range in {
		if x {
			n++
		}
	}
	return float64(n) / float64(len(in))
}

// On 1,000,000 random client prefixes a ramp treats its share, within 0.2
// points (with 15 million /24s to draw from, 4.5 standard deviations at 50 %
// are 0.23 points; the seed is fixed), and raising the share never moves a
// treated client back.
func TestRampNested(t *testing.T) {
	clients := millionClients()
	var before []bool
	for _, share := range []float64{0, 0.0001, 0.05, 0.25, 0.5, 0.9999, 1} {
		in := treated(t, clients, rampOf(share)...)
		if got := shareOf(in); math.Abs(got-share) > 0.002 || share == 0 && got != 0 || share == 1 && got != 1 {
			t.Errorf("a ramp of %v treats %v", share, got)
		}
		back := 0
		for i := range before {
			if before[i] && !in[i] {
				back++
			}
		}
		if back > 0 {
			t.Errorf("raising to %v moved %d clients back", share, back)
		}
		before = in
	}
}

// Two ramps of different salts draw independently: chi-square over the four
// combinations of being treated, 1 degree of freedom. Under independence it
// exceeds 10.83 once in a thousand; the seed is fixed. So do a shed and a
// ramp, and the same salt of ramps under other shares does not.
func TestRampsIndependent(t *testing.T) {
	clients := millionClients()
	with := func(salt string, share float64) []bool {
		r := rampOf(share)
		r[0].Salt = salt
		return treated(t, clients, r...)
	}
	a := with("a", 0.25)
	for _, c := range []struct {
		salt        string
		share       float64
		independent bool
	}{
		{"b", 0.25, true},
		{"b", 0.05, true},
		{"aa", 0.5, true},
		{"A", 0.5, true},
		{"a", 0.05, false},
	} {
		b := with(c.salt, c.share)
		var n [2][2]float64
		for i := range a {
			n[index(a[i])][index(b[i])]++
		}
		chi := chiSquare(n)
		if independent := chi < 10.83; independent != c.independent {
			t.Errorf("salts a and %s, share %v: chi-square %.2f, table %v", c.salt, c.share, chi, n)
		}
	}
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

func chiSquare(n [2][2]float64) (chi float64) {
	all := n[0][0] + n[0][1] + n[1][0] + n[1][1]
	for i := range 2 {
		for j := range 2 {
			want := (n[i][0] + n[i][1]) * (n[0][j] + n[1][j]) / all
			chi += (n[i][j] - want) * (n[i][j] - want) / want
		}
	}
	return chi
}

// The buckets are even: chi-square over 10,000 of them, 9,999 degrees of
// freedom, whose standard deviation is 141: within 4 of them. Consecutive
// prefixes, which is what a network has, count as well as random ones.
func TestBucketsEven(t *testing.T) {
	const n = 1_000_000
	for name, key := range map[string]func(i uint64) key{
		"consecutive /24s": func(i uint64) key { return key{hi: (0x0a000000 + i<<8) << 32} },
		"consecutive /48s": func(i uint64) key { return key{hi: 0x20010db8<<32 + i<<16} },
	} {
		family, granule := v4, uint8(24)
		if strings.HasSuffix(name, "/48s") {
			family, granule = v6, 48
		}
		var count [buckets]float64
		for i := range uint64(n) {
			count[bucket(saltOf("ramp", "x"), key(i), granule, family)]++
		}
		chi, want := 0.0, float64(n)/buckets
		for _, c := range count {
			chi += (c - want) * (c - want) / want
		}
		if math.Abs(chi-(buckets-1)) > 4*141 {
			t.Errorf("%s: chi-square %.0f over %d buckets", name, chi, buckets)
		}
	}
}

// The hash is for ever: another one would move every client of every ramp.
func TestBucketStable(t *testing.T) {
	for _, c := range []struct {
		client  string
		kind    string
		salt    string
		granule uint8
		want    uint16
	}{
		{"192.0.2.1", "ramp", "2026-11", 24, 8402},
		{"192.0.2.255", "ramp", "2026-11", 24, 8402},
		{"198.51.100.1", "ramp", "2026-11", 24, 2862},
		{"198.51.100.1", "ramp", "2026-11", 20, 9110},
		{"198.51.100.1", "shed", "iad", 24, 4897},
		{"2001:db8:1:2::1", "ramp", "2026-11", 48, 5274},
		{"2001:db8:1:ffff::", "ramp", "2026-11", 48, 5274},
	} {
		k, f := keyOf(netip.MustParseAddr(c.client))
		if got := bucket(saltOf(c.kind, c.salt), k, c.granule, f); got != c.want {
			t.Errorf("%s in %s %s, /%d: bucket %d, want %d", c.client, c.kind, c.salt, c.granule, got, c.want)
		}
	}
}

// An earlier ramp has precedence, one of another service or place is for
// nobody here, and one to regional is not for places that no region serves.
func TestRampsChain(t *testing.T) {
	all := edge.Ramp{ID: "all", Service: www, Scheme: edge.Global, Share: 1, Salt: "a"}
	regional := edge.Ramp{ID: "regional", Service: www, Scheme: edge.Regional, Share: 1, Salt: "b"}
	only := func(r edge.Ramp, w edge.Where) edge.Ramp { r.Where = w; return r }
	for i, c := range []struct {
		ramps  []edge.Ramp
		client string
		want   string
	}{
		{nil, "virginia", "iad"},
		{[]edge.Ramp{all}, "virginia", "vip global"},
		{[]edge.Ramp{all, regional}, "virginia", "vip global"},
		{[]edge.Ramp{regional, all}, "virginia", "vip americas"},
		{[]edge.Ramp{regional, all}, "turkey", "vip emea"},
		{[]edge.Ramp{regional, all}, "japan", "vip global"},
		{[]edge.Ramp{regional}, "japan", "lax"},
		{[]edge.Ramp{only(all, edge.Where{Continents: []string{"NA"}})}, "california", "vip global"},
		{[]edge.Ramp{only(all, edge.Where{Continents: []string{"NA"}})}, "germany", "fra"},
		{[]edge.Ramp{only(all, edge.Where{Countries: []string{"US"}})}, "california", "vip global"},
		{[]edge.Ramp{only(all, edge.Where{Subdivisions: []string{"US-VA"}})}, "california", "lax"},
		{[]edge.Ramp{only(all, edge.Where{Subdivisions: []string{"US-VA"}})}, "virginia", "vip global"},
		{[]edge.Ramp{only(all, edge.Where{ASNs: []uint32{64499}})}, "germany", "vip global"},
		{[]edge.Ramp{only(all, edge.Where{ASNs: []uint32{64499}, Countries: []string{"BR"}})}, "brazil", "vip global"},
		{[]edge.Ramp{only(all, edge.Where{Countries: []string{"US"}})}, "nowhere", "gru"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			s := testSnapshot(edge.Unicast)
			s.Fleet.PoPs[2].Capacity = 5000 // gru is the default
			s.Ramps = c.ramps
			if got := lookup(compile(t, s, testPlaces()).services[0], clients[c.client]); got != c.want {
				t.Errorf("%s gets %s, want %s", c.client, got, c.want)
			}
		})
	}
}
