package sources

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/sim/topology"
)

// peeringDump has facilities in Lörrach (whose metro is Basel), in a town known
// by that one, in Chicago by name, and nowhere; and an exchange by its town, one
// by its facilities, and one nowhere.
const peeringDump = `{
"poc": {"data": [{"id": 1, "name": "nobody's business"}]},
"net": {"data": [
 {"id": 1, "org_id": 10, "asn": 64500, "name": "Example One", "status": "ok", "info_prefixes4": 5},
 {"id": 2, "org_id": 10, "asn": 64501, "name": "Example Two", "status": "ok"},
 {"id": 3, "org_id": 11, "asn": 64502, "name": "Beispiel", "status": "ok"},
 {"id": 4, "org_id": 11, "asn": 64503, "name": "Gone", "status": "deleted"}], "meta": {}},
"fac": {"data": [
 {"id": 1, "org_id": 20, "name": "A", "city": "Lörrach", "country": "DE", "latitude": 47.6, "longitude": 7.66, "status": "ok"},
 {"id": 2, "org_id": 20, "name": "B", "city": "LÖRRACH", "country": "DE", "latitude": null, "longitude": null, "status": "ok"},
 {"id": 3, "org_id": 20, "name": "C", "city": "chicago", "country": "US", "latitude": null, "longitude": null, "status": "ok"},
 {"id": 4, "org_id": 20, "name": "D", "city": "Elsewhere", "country": "US", "status": "ok"}]},
"ix": {"data": [
 {"id": 1, "name": "X", "city": "London", "country": "GB", "status": "ok"},
 {"id": 2, "name": "Y", "city": "Three Countries", "country": "CH", "status": "ok"},
 {"id": 3, "name": "Z", "city": "Elsewhere", "country": "US", "status": "ok"}]},
"ixfac": {"data": [{"id": 1, "ix_id": 2, "fac_id": 3}, {"id": 2, "ix_id": 2, "fac_id": 2}, {"id": 3, "ix_id": 2, "fac_id": 1}, {"id": 4, "ix_id": 3, "fac_id": 4}]},
"netfac": {"data": [
 {"id": 1, "net_id": 1, "fac_id": 1, "local_asn": 64500, "status": "ok"},
 {"id": 2, "net_id": 3, "fac_id": 3, "local_asn": null, "status": "ok"},
 {"id": 3, "net_id": 1, "fac_id": 4, "local_asn": 64500, "status": "ok"},
 {"id": 4, "net_id": 99, "fac_id": 3, "status": "ok"}]},
"netixlan": {"data": [
 {"id": 1, "net_id": 2, "ix_id": 1, "ixlan_id": 1, "asn": 64501, "speed": 10000, "operational": true, "status": "ok"},
 {"id": 2, "net_id": 1, "ix_id": 2, "ixlan_id": 2, "asn": 64500, "operational": true, "status": "ok"},
 {"id": 3, "net_id": 1, "ix_id": 1, "ixlan_id": 1, "asn": 64500, "operational": false, "status": "ok"},
 {"id": 4, "net_id": 1, "ix_id": 3, "ixlan_id": 3, "asn": 64500, "status": "ok"}]}
}`

// peeringAnswers is the same as the API answers.
var peeringAnswers = []string{
	`{"data": [{"id": 1, "org_id": 10, "asn": 64500, "name": "Example One", "aka": ""}, {"id": 2, "org_id": 10, "asn": 64501, "name": "Example Two"},
 {"id": 3, "org_id": 11, "asn": 64502, "name": "Beispiel"}], "meta": {"generated": 1.5}}`,
	`{"meta": {}, "data": [{"id": 1, "org_id": 20, "name": "A", "city": "Lörrach", "country": "DE", "clli": "", "latitude": 47.6, "longitude": 7.66},
 {"id": 2, "city": "Lörrach", "country": "DE", "clli": ""}, {"id": 3, "city": "Chicago", "country": "US", "clli": ""}, {"id": 4, "city": "Elsewhere", "country": "US", "clli": ""}]}`,
	`[{"id": 1, "city": "London", "country": "GB", "proto_unicast": true}, {"id": 2, "city": "Three Countries", "country": "CH", "proto_unicast": true},
 {"id": 3, "city": "Elsewhere", "country": "US", "proto_unicast": false}, {"id": 77, "org": "of another kind"}]`,
	`{"data": [{"id": 1, "ix_id": 2, "fac_id": 3}, {"id": 2, "ix_id": 2, "fac_id": 2}, {"id": 3, "ix_id": 2, "fac_id": 1}, {"id": 4, "ix_id": 3, "fac_id": 4}]}`,
	`{"data": [{"id": 1, "net_id": 1, "fac_id": 1, "local_asn": 64500}, {"id": 2, "net_id": 3, "fac_id": 3}, {"id": 3, "net_id": 1, "fac_id": 4, "local_asn": 64500}]}`,
	`{"data": [{"id": 1, "net_id": 2, "ix_id": 1, "asn": 64501}, {"id": 2, "net_id": 1, "ix_id": 2, "asn": 64500}, {"id": 4, "net_id": 1, "ix_id": 3, "asn": 64500}]}`,
}

func TestPeeringDB(t *testing.T) {
	f := func(files ...string) {
		t.Helper()
		s := newSet(t)
		give(t, s.ASRelationships, "as-rel.txt", relations)
		for _, text := range files {
			give(t, s.PeeringDB, "peeringdb.json", text)
		}
		in, notes := input(t, s)
		if d := cmp.Diff([]topology.Presence{
			{ASN: 64500, Metro: basel},
			{ASN: 64502, Metro: chicago},
			{ASN: 64501, Metro: london},
			{ASN: 64500, Metro: basel},
		}, in.Presence); d != "" {
			t.Errorf("presence (-want +got)\n%s", d)
		}
		if d := cmp.Diff([][]uint32{{64500, 64501}}, in.Siblings); d != "" {
			t.Errorf("siblings (-want +got)\n%s", d)
		}
		if d := cmp.Diff(map[uint32]string{64500: "Example One", 64501: "Example Two", 64502: "Beispiel"}, in.Names); d != "" {
			t.Errorf("names (-want +got)\n%s", d)
		}
		if d := cmp.Diff([]string{
			"2 facilities and exchanges of PeeringDB are in no known place",
			"2 of 5 networks are in no file of places: they are put where their customers, providers or peers are",
		}, notes); d != "" {
			t.Errorf("notes (-want +got)\n%s", d)
		}
	}
	f(peeringDump)
	f(packed(peeringDump))
	f(peeringAnswers...)
	f(peeringAnswers[5], peeringAnswers[4], peeringAnswers[3], peeringAnswers[2], peeringAnswers[1], peeringAnswers[0])
}

func TestPeeringDBRefused(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		refused(t, newSet(t).PeeringDB, text, want...)
	}
	f("", "f: the file is cut off")
	f("5", "f: this is neither an object nor an array")
	f(`{"data": []}`, "f: no records (want net, netixlan, netfac, ix, fac or ixfac)")
	f(`{"net": {"data": [{"id": 1, "org_id": 1, "asn": "x"}, {"id": 2, "asn": -5}, {"id": "x"}, {"id": 3, "org_id": 1, "asn": 64500, "name": 5}, {"asn": null}, {}]}}`,
		`f: /net/data/0: asn: "\"x\"" is not an AS number (want 1 to 4294967295)`,
		`f: /net/data/1: asn: "-5" is not an AS number (want 1 to 4294967295)`,
		`f: /net/data/2: id: a string is not what is wanted here`,
		`f: /net/data/3: name: a number is not what is wanted here`,
		`f: /net/data/4: asn: "null" is not an AS number (want 1 to 4294967295)`,
		`f: /net/data/5: asn: "" is not an AS number (want 1 to 4294967295)`)
	f(peeringDump[:200], "f: /net/data/0: the file is cut off")
	f(`{"net" {}}`, "f: /net: invalid character '{' after object name (expecting ':') at byte 7")
	f(`{"poc": {"data": [{"x": "`+strings.Repeat("x", 3*maxRecord)+`"}]}}`, "f: /poc/data: a record is larger than 1048576 bytes")
	f(strings.Repeat("[", 20000), "f: exceeded max depth at byte 10000")
}

// TestManyRecords has more between two records than one may have, and more in
// all.
func TestManyRecords(t *testing.T) {
	s := newSet(t)
	give(t, s.PeeringDB, "f", `{"x": [`+strings.Repeat(`{"y": [1, 2, 3]}, 5, `, 200_000)+`0], "fac": {"data": [{"id": 1, "city": "Chicago", "country": "US"}]}}`)
	if n := len(s.peering.facilities); n != 1 {
		t.Errorf("%d facilities", n)
	}
}
