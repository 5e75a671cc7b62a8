package sources

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"catchment/internal/edge"
	"catchment/internal/geo/geotest"
	"catchment/internal/sim/topology"
)

// fuzz reads data beside good files of the other kinds. Whatever is read must
// be what Build takes and what a snapshot can hold; whatever is not must be
// told with the name of the file.
func fuzz(f *testing.F, read func(s *Set, data []byte) error) {
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<18 {
			return // the same again
		}
		s := newSet(t)
		if err := read(s, data); err != nil {
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "fuzzed:") {
					t.Fatalf("no position: %v", err)
				}
			}
			return
		}
		give(t, s.ASRelationships, "as-rel.txt", relations)
		give(t, s.Prefixes, "prefixes.csv", prefixRows)
		give(t, s.Cities, "cities.csv", cityRows)
		give(t, s.PeeringDB, "peeringdb.json", peeringDump)
		in, _, err := s.Input()
		if err != nil {
			t.Fatal(err)
		}
		topo, err := topology.Build(in)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := topo.Encode(&b); err != nil {
			t.Fatal(err)
		}
	})
}

func fuzzText(f *testing.F, read func(s *Set) reader, seeds ...string) {
	for _, text := range seeds {
		f.Add([]byte(text))
		f.Add([]byte(packed(text)))
		f.Add([]byte(text[:len(text)*2/3]))
	}
	fuzz(f, func(s *Set, data []byte) error { return read(s)("fuzzed", bytes.NewReader(data)) })
}

func FuzzASRelationships(f *testing.F) {
	fuzzText(f, func(s *Set) reader { return s.ASRelationships }, relations,
		"64500|64501|-1\n64501|64500|-1\n64500|64501|0\n", "AS1|as2|0|\n4294967295|1|-1", "\ufeff1|2|0\r\n\r\n#\n1||0\n|||\n")
}

func FuzzPrefixes(f *testing.F) {
	fuzzText(f, func(s *Set) reader { return s.Prefixes }, prefixRows,
		"0.0.0.0,255.255.255.255,64500,\"a \"\"b\"\"\"\n192.0.2.0,192.0.2.0,64501\n192.0.2.0,192.0.2.128,64502",
		"::,ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff,64500,x\n0,4294967295,64501\n4294967296,340282366920938463463374607431768211455,64502")
}

func FuzzCities(f *testing.F) {
	fuzzText(f, func(s *Set) reader { return s.Cities }, cityRows, dbipRows,
		"0.0.0.0,255.255.255.255,US,,,,,,,\n192.0.2.0,192.0.2.9,,,,x,,-90,180,\n::,::,GB,,,x,,1e-9,-0,")
}

func FuzzUsers(f *testing.F) {
	fuzzText(f, func(s *Set) reader { return s.Users }, usersCSV, usersJSON, usersList,
		"as,cc,users\n64500,US,1e10\n64500,,1e10\n64500,XX,0.0000001\n", `[{"AS": "64500", "cc": null, "users": 1E5}]`)
}

func FuzzPeeringDB(f *testing.F) {
	fuzzText(f, func(s *Set) reader { return s.PeeringDB }, append(peeringAnswers, peeringDump,
		`{"net": [{"id": 1, "org_id": 1, "asn": 64500}, {"id": 2, "org_id": 1, "asn": 64500}]}`, `[[], {}, [{"a": [[1]]}]]`)...)
}

func FuzzMMDB(f *testing.F) {
	path := f.TempDir() + "/x.mmdb"
	for _, write := range []func(testing.TB, string, map[string]edge.Place){geotest.City, geotest.ASN} {
		write(f, path, map[string]edge.Place{
			"192.0.2.0/24":  {Country: "US", City: "Chicago", Lat: 41.8, Lon: -87.6, ASN: 64500, ASName: "Example"},
			"2001:db8::/32": {Country: "BR", ASN: 64501},
		})
		whole, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(whole)
		for i := 0; i < len(whole); i += 41 {
			damaged := bytes.Clone(whole)
			damaged[i] ^= 0xff
			f.Add(damaged)
			f.Add(whole[:i])
		}
	}
	fuzz(f, func(s *Set, data []byte) error {
		if err := s.PrefixesMMDB("fuzzed", data); err != nil {
			return err
		}
		return s.CitiesMMDB("fuzzed", data)
	})
}
