package edge

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var comparePrefixes = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

// full is a beacon with a value in every field.
func full() *Beacon {
	return &Beacon{
		V: 1, ID: "9f_-A", Plan: "plan", Time: 1_790_000_000_123, Rate: 0.01,
		Page: Page{PoP: "iad", VIP: "americas", DNS: 12.1, Connect: 18, TLS: 21.35, TTFB: 88, Load: 1432.123},
		Probes: []Probe{
			{
				Target: "global", PoP: "iad", VIP: "global", RTT: 18.655, Warm: []float64{18.9, 18.7, 100}, Cold: []float64{0, 19.1, 20.2},
				Srv: 0.05, MRTT: 18.4, Proto: "http/1.1", AF: 6, Status: 204, Error: "tao", Served: []PoPID{"iad", "lax"}, Flags: []string{"flip"},
			},
			{Target: "regional", Error: "timeout"},
		},
		Net: Net{Type: "4g"}, Flags: []string{"hidden", "saved"},
		Client: netip.MustParsePrefix("2001:db8::/48"), Received: time.Date(2026, 11, 1, 12, 0, 0, 123e6, time.UTC),
		Place: Place{
			Continent: "SA", Country: "BR", Subdivision: "SP", City: "São \"Paulo\"\\\n\x01", ASN: 64496,
			ASName: "Example <&> Telecom", Lat: -23.54775, Lon: -46.63611,
		},
		Resolver: Resolver{Addr: netip.MustParsePrefix("198.51.100.53/32"), ECS: netip.MustParsePrefix("203.0.113.0/24")},
	}
}

// TestAppendJSON holds AppendJSON to what encoding/json reads and writes.
func TestAppendJSON(t *testing.T) {
	onlyPlace, onlyECS := Beacon{V: 1, ID: "a", Rate: 1}, Beacon{V: 1, ID: "a", Rate: 1}
	onlyPlace.Place.Lon = -0.1
	onlyECS.Resolver.ECS = netip.MustParsePrefix("192.0.2.0/24")
	onlyECS.Page.TLS = 1e-7
	for name, b := range map[string]*Beacon{
		"full": full(), "empty": {}, "place": &onlyPlace, "resolver": &onlyECS,
		"public": {V: 1, ID: "x", Rate: 0.5, Probes: []Probe{{Target: "unicast", PoP: "iad"}}},
	} {
		text := b.AppendJSON([]byte("before "))[len("before "):]
		std, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		var got, want Beacon
		if err := json.Unmarshal(text, &got); err != nil {
			t.Errorf("%s: %v in %s", name, err, text)
			continue
		}
		if err := json.Unmarshal(std, &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, comparePrefixes, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s\n%s", name, text, diff)
		}
	}
	if text := string((&Beacon{}).AppendJSON(nil)); text != `{"v":0,"id":"","rate":0,"probes":[]}` {
		t.Error(text)
	}
}

// TestAppendJSONHostile: what encoding/json refuses becomes valid JSON anyway.
func TestAppendJSONHostile(t *testing.T) {
	b := &Beacon{ID: "\xff\"\x7f\u2028", Rate: math.NaN(), Probes: []Probe{{RTT: math.Inf(1), Warm: []float64{math.Inf(-1), math.NaN(), 2}}}}
	text := b.AppendJSON(nil)
	var got Beacon
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	want := Beacon{ID: "\ufffd\"\x7f\u2028", Probes: []Probe{{Warm: []float64{0, 0, 2}}}}
	if diff := cmp.Diff(want, got, comparePrefixes); diff != "" {
		t.Error(diff)
	}
}

// TestAppendNumber compares with strconv: numbers of up to nine digits after
// the point, and any bits at all.
func TestAppendNumber(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	check := func(f float64) {
		t.Helper()
		text := string(appendNumber(nil, f))
		back, err := strconv.ParseFloat(text, 64)
		if err != nil || back != f {
			t.Fatalf("%v became %q", f, text)
		}
		if short := strconv.FormatFloat(f, 'f', -1, 64); math.Abs(f) < 1e9 && text != short {
			t.Fatalf("%s became %q", short, text)
		}
	}
	for _, f := range []float64{0, 0.1, 0.05, 1, 9.9, 10, 99.99, 100, 999.9, 1000, 60000, 999_999_999, 999_999_999.9, 1e9, 1e21, -0.5, -180, 0.000005, 5e-324, math.MaxFloat64} {
		check(f)
	}
	for range 30_000 {
		scale := math.Pow10(rng.IntN(10))
		check(math.Round(rng.Float64()*1e6*scale) / scale / math.Pow10(rng.IntN(7)))
		if f := math.Float64frombits(rng.Uint64()); !math.IsNaN(f) && !math.IsInf(f, 0) {
			check(f)
		}
	}
}

func TestAppendJSONDoesNotAllocate(t *testing.T) {
	b, buf := full(), make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { buf = b.AppendJSON(buf[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
