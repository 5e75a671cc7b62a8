package topology_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
	"catchment/internal/sim/generate"
	"catchment/internal/sim/topology"
)

// small has two tier-1s, a sibling, a stub with users in both metros, a peering
// at the edge, and an AS with the highest number.
func small(t testing.TB) *topology.Topology {
	t.Helper()
	topo, err := topology.Build(topology.Input{
		Cities: []topology.City{
			{Name: "Zürich", Place: edge.Place{Continent: "EU", Country: "CH", Subdivision: "ZH", City: "Zürich", Lat: 47.37, Lon: 8.54}, Population: 1_400_000},
			{Name: "Chicago", Place: edge.Place{Continent: "NA", Country: "US", Subdivision: "IL", City: "Chicago", Lat: 41.85, Lon: -87.65}},
		},
		Links: []topology.Link{
			{A: 64496, B: 64497, Rel: topology.Peering},
			{A: 64496, B: 64500, Rel: topology.Transit},
			{A: 64497, B: 64500, Rel: topology.Transit},
			{A: 64497, B: 64501, Rel: topology.Transit},
			{A: 64500, B: 64501, Rel: topology.Peering},
			{A: 64501, B: math.MaxUint32, Rel: topology.Transit},
		},
		Presence: []topology.Presence{
			{ASN: 64500, Metro: 0, Users: 1000}, {ASN: 64500, Metro: 1, Users: 2.5}, {ASN: 64501, Metro: 1, Users: 7}, {ASN: 64497, Metro: 1},
		},
		Names:    map[uint32]string{64496: "Example Transit", 64501: "Beispiel GmbH & Co. Zürich"},
		Siblings: [][]uint32{{64496, 64497}},
		Sources:  []string{"as-rel.txt, sha256 0123", "cities.csv"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

func encode(t testing.TB, topo *topology.Topology) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := topo.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func generated(t testing.TB, ases int) *topology.Topology {
	t.Helper()
	in, err := generate.Generate(generate.Params{ASes: ases, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	topo, err := topology.Build(in)
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

func TestRoundTrip(t *testing.T) {
	f := func(name string, want *topology.Topology) {
		t.Helper()
		data := encode(t, want)
		got, err := topology.Decode(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: (-want +got)\n%s", name, d)
		}
		if again := encode(t, got); !bytes.Equal(again, data) {
			t.Errorf("%s: encoded again it is not the same", name)
		}
	}
	f("small", small(t))
	f("generated", generated(t, 3000)) // large enough for carriers with bitsets as footprints
}

// sealed returns a snapshot with another checksum: the right one.
func sealed(data []byte) []byte {
	body := data[:len(data)-4]
	sum := crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))
	return binary.LittleEndian.AppendUint32(bytes.Clone(body), sum)
}

func TestDecodeDamaged(t *testing.T) {
	good := encode(t, small(t))
	f := func(data []byte, want string) {
		t.Helper()
		_, err := topology.Decode(data)
		if err == nil || err.Error() != "topology: decode: "+want && !strings.HasPrefix(err.Error(), "topology: decode: "+want+" ") {
			t.Errorf("error %v\nwant  topology: decode: %s", err, want)
		}
	}
	f(nil, "this is not a snapshot of a topology")
	f([]byte("64496|64497|0\n"), "this is not a snapshot of a topology")
	f(good[:12], "the snapshot is cut off")
	newer := bytes.Clone(good)
	newer[8]++
	f(newer, "version 2 (want 1)")
	f(good[:len(good)-1], "checksum")
	f(append(bytes.Clone(good), 0), "checksum")

	// Any flipped bit is found, and any cut, with a right checksum or not.
	for i := 8 * 12; i < 8*len(good); i++ {
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		f(bad, "checksum")
	}
	for n := 16; n < len(good); n++ {
		if _, err := topology.Decode(sealed(good[:n])); err == nil {
			t.Errorf("%d of %d bytes are a topology", n, len(good))
		}
	}
	f(sealed(append(bytes.Clone(good), 0)), "groups: 1 bytes too many")

	// Counts of what does not follow make no memory.
	huge := binary.AppendUvarint(bytes.Clone(good[:12]), 1<<60)
	f(sealed(append(huge, 0, 0, 0, 0)), "cities: a number is too large (want under 513)")
	many := binary.AppendUvarint(bytes.Clone(good[:12]), 500)
	f(sealed(append(many, 0, 0, 0, 0)), "cities: cut off: 500 cannot follow in 0 bytes")
}

// TestRefused changes a good topology into ones that Build never makes.
func TestRefused(t *testing.T) {
	f := func(want string, change func(*topology.Topology)) {
		t.Helper()
		topo := small(t)
		change(topo)
		err := topo.Encode(&bytes.Buffer{})
		if err == nil || err.Error() != "topology: encode: "+want {
			t.Errorf("error %v\nwant  topology: encode: %s", err, want)
		}
	}
	type topo = topology.Topology
	f("no cities", func(t *topo) {
		*t = topology.Topology{}
		t.Customers.Start = []uint32{0}
		t.Providers, t.Peers = t.Customers, t.Customers
	})
	f("no ASes", func(t *topo) {
		*t = topology.Topology{Cities: t.Cities}
		t.Customers.Start = []uint32{0}
		t.Providers, t.Peers = t.Customers, t.Customers
	})
	f("513 cities (want at most 512)", func(t *topo) { t.Cities = make([]topology.City, 513) })
	f("4 names and 5 footprints of 5 ASes", func(t *topo) { t.Names = t.Names[1:] })
	f(`city 0 ("Zürich"): 91, 8.54 is not on the globe (want latitudes of -90 to 90 and longitudes of -180 to 180)`,
		func(t *topo) { t.Cities[0].Place.Lat = 91 })
	f(`city 1 ("Chicago"): NaN, -87.65 is not on the globe (want latitudes of -90 to 90 and longitudes of -180 to 180)`,
		func(t *topo) { t.Cities[1].Place.Lat = math.NaN() })
	f(`city 0 ("Zürich"): "\xff" is not UTF-8`, func(t *topo) { t.Cities[0].Place.City = "\xff" })
	f(`city 0 ("Zürich"): a city has no AS`, func(t *topo) { t.Cities[0].Place.ASN = 64496 })
	f(`city 0 ("Zürich"): -1 people`, func(t *topo) { t.Cities[0].Population = -1 })
	f(`source 1: "\xfe" is not UTF-8`, func(t *topo) { t.Sources[1] = "\xfe" })
	f(`AS64497: the name "\xc3" is not UTF-8`, func(t *topo) { t.Names[1] = "\xc3" })
	f("AS64496 follows AS64496 (want ascending)", func(t *topo) { t.ASNs[1] = 64496 })
	f("customers: rows of 5 ASes do not hold 4 links", func(t *topo) { t.Customers.Start = t.Customers.Start[1:] })
	f("peers: the row of AS64496 ends before it starts", func(t *topo) { t.Peers.Start[1] = 1 << 31 })
	f("customers: AS64497: index 2 after 3 (want ascending, under 5)", func(t *topo) { t.Customers.To[1], t.Customers.To[2] = 3, 2 })
	f("customers: AS64496: index 5 after -1 (want ascending, under 5)", func(t *topo) { t.Customers.To[0] = 5 })
	f("customers and providers: AS64497 has AS64496 and not the other way round", func(t *topo) { t.Customers.To[1] = 0 })
	f("customers and providers: 4 and 0", func(t *topo) { t.Providers = topology.Links{Start: make([]uint32, 6)} })
	f("peers: AS64496 has AS64500 and not the other way round", func(t *topo) { t.Peers.To[0] = 2 })
	f("AS64497 and AS64496 have two different relations", func(t *topo) {
		t.Providers = topology.Links{Start: []uint32{0, 0, 1, 1, 1, 1}, To: []topology.AS{0}}
		t.Customers = topology.Links{Start: []uint32{0, 1, 1, 1, 1, 1}, To: []topology.AS{1}}
	})
	f("peers: AS64496 is linked to itself", func(t *topo) { t.Peers = topology.Links{Start: []uint32{0, 1, 1, 1, 1, 1}, To: []topology.AS{0}} })
	f("AS64496 has no link", func(t *topo) {
		none := topology.Links{Start: make([]uint32, 6)}
		t.Providers, t.Customers, t.Peers = none, none, none
	})
	f("AS64500 is nowhere", func(t *topo) { t.Footprint[2] = topology.Metros{} })
	f("AS64500 is in a metro that does not exist (want under 2)", func(t *topo) { t.Footprint[2].Add(2) })
	f("group 0: AS 5 (want under 5)", func(t *topo) { t.Groups[0].AS = 5 })
	f("group 2: AS64501 is not in metro 0", func(t *topo) { t.Groups[2].Metro, t.Footprint[3] = 0, topology.Metros{2} })
	f("group 1: AS64500 in metro 0 (want them sorted, each once)", func(t *topo) { t.Groups[1].Metro = 0 })
	f("group 2: AS64496 in metro 1 (want them sorted, each once)", func(t *topo) { t.Groups[2].AS = 0 })
	f("group 0: AS64500 in metro 0: NaN users", func(t *topo) { t.Groups[0].Users = float32(math.NaN()) })
	f("group 0: AS64500 in metro 0: +Inf users", func(t *topo) { t.Groups[0].Users = float32(math.Inf(1)) })
	f("group 0: AS64500 in metro 0: -1 users", func(t *topo) { t.Groups[0].Users = -1 })
}

type failing struct{}

var errFull = errors.New("disk full")

func (failing) Write([]byte) (int, error) { return 0, errFull }

func TestEncodeFails(t *testing.T) {
	if err := small(t).Encode(failing{}); !errors.Is(err, errFull) {
		t.Errorf("error %v (want %v)", err, errFull)
	}
}

// FuzzDecode seals what it is given, as the checksum would keep it out.
func FuzzDecode(f *testing.F) {
	for _, topo := range []*topology.Topology{small(f), generated(f, 500)} {
		f.Add(encode(f, topo))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<20 {
			return
		}
		topo, err := topology.Decode(data)
		if err != nil && len(data) >= 16 {
			topo, err = topology.Decode(sealed(data))
		}
		if err != nil {
			return
		}
		again, err := topology.Decode(encode(t, topo))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(topo, again); d != "" {
			t.Fatal(d)
		}
		// Whoever reads it must not run out of its bounds.
		topo.Stats()
		for a := range topology.AS(topo.Len()) {
			for m := range topo.Footprint[a].All() {
				_ = topo.Cities[m]
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	topo := generated(b, 80_000)
	var buf bytes.Buffer
	for b.Loop() {
		buf.Reset()
		if err := topo.Encode(&buf); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(buf.Len()), "bytes")
}

func BenchmarkDecode(b *testing.B) {
	topo := generated(b, 80_000)
	data := encode(b, topo)
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := topology.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
	s := topo.Stats()
	b.ReportMetric(float64(s.Links), "links")
	b.ReportMetric(float64(s.Groups), "groups")
}
