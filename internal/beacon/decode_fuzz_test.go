package beacon

import (
	stdjson "encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"catchment/internal/edge"
)

// relayed is a beacon as JSON has it: addresses may be addresses.
type relayed struct {
	edge.Beacon
	Client   string `json:"client"`
	Resolver struct {
		Addr string `json:"addr"`
		ECS  string `json:"ecs"`
	} `json:"resolver"`
}

// oracle decodes with encoding/json v2, which refuses duplicate names and
// invalid UTF-8 by default, and unknown fields when told to.
func oracle[T any](in []byte) (v T, err error) {
	err = json.Unmarshal(in, &v, json.RejectUnknownMembers(true))
	return v, err
}

var sameBeacon = cmp.Options{comparePrefixes, cmpopts.EquateEmpty()}

// FuzzDecode checks that whatever the decoder accepts, json v2 accepts too and
// takes to mean the same.
func FuzzDecode(f *testing.F) {
	for _, c := range refusedBodies() {
		f.Add([]byte(c.body))
	}
	f.Add([]byte(typical))
	f.Add([]byte("[" + typical + "," + typical + "]"))
	f.Add([]byte(typicalRelay))
	f.Add([]byte(`{"\u0076":1,"i\u0064":"\u0061","rate":1e-1,"probes":[ ]}`))
	f.Add([]byte(`{"v":1,"id":"a","rate":0.30000000000000004,"probes":[{"target":"pop:iad","pop":"iad","rtt":18.700000047683716,"warm":[1.0e1,2E+1]}]}`))
	names := NewNames(testFleet())
	d := Decoder{Names: names}
	f.Fuzz(func(t *testing.T, in []byte) {
		d.Reset()
		if d.Body(in) == nil {
			want := make([]edge.Beacon, 1)
			var err error
			if in[len(in)-len(trimLeft(in))] == '[' {
				want, err = oracle[[]edge.Beacon](in)
			} else {
				want[0], err = oracle[edge.Beacon](in)
			}
			if err != nil {
				t.Fatalf("accepted, but not by json v2: %v", err)
			}
			for i := range want {
				known(names, &want[i].Page)
			}
			var got []edge.Beacon
			for _, b := range d.Beacons() {
				got = append(got, *b)
			}
			if diff := cmp.Diff(want, got, sameBeacon); diff != "" {
				t.Fatal(diff)
			}
		}

		d.Reset()
		if d.Line(in) == nil {
			r, err := oracle[relayed](in)
			if err != nil {
				t.Fatalf("accepted from a relay, but not by json v2: %v", err)
			}
			want := r.Beacon
			known(names, &want.Page)
			want.Client = prefixOf(r.Client)
			want.Received = want.Received.UTC().Truncate(time.Microsecond)
			want.Resolver = edge.Resolver{Addr: prefixOf(r.Resolver.Addr), ECS: prefixOf(r.Resolver.ECS)}
			if diff := cmp.Diff(want, *d.Beacons()[0], sameBeacon); diff != "" {
				t.Fatal(diff)
			}
			Derive(d.Beacons()[0])
			for _, p := range d.Beacons()[0].Probes {
				if !(p.RTT >= 0 && p.RTT <= MaxMs) {
					t.Fatalf("RTT %v", p.RTT)
				}
			}
		}
	})
}

// known drops the names in p that are not of the fleet, as the decoder does.
func known(names *Names, p *edge.Page) {
	p.PoP, p.VIP = names.pops[string(p.PoP)], names.vips[string(p.VIP)]
}

func trimLeft(in []byte) []byte {
	for len(in) > 0 && (in[0] == ' ' || in[0] == '\n' || in[0] == '\t' || in[0] == '\r') {
		in = in[1:]
	}
	return in
}

func prefixOf(s string) netip.Prefix {
	if a, err := netip.ParseAddr(s); err == nil {
		return whole(a.Unmap())
	}
	p, _ := netip.ParsePrefix(s)
	return p.Masked()
}

// BenchmarkDecode compares the decoder with encoding/json, v1 and v2, on the
// beacon of a page with three probes.
func BenchmarkDecode(b *testing.B) {
	body := []byte(typical)
	b.Run("catchment", func(b *testing.B) {
		d := Decoder{Names: NewNames(testFleet())}
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			d.Reset()
			if err := d.Body(body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json-v2", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := oracle[edge.Beacon](body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json-v1", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			var v edge.Beacon
			if err := stdjson.Unmarshal(body, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
