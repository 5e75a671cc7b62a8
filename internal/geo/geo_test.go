package geo_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"catchment/internal/edge"
	"catchment/internal/geo"
	"catchment/internal/geo/geotest"
)

var ashburn = edge.Place{Continent: "NA", Country: "US", Subdivision: "VA", City: "Ashburn", Lat: 39.04, Lon: -77.49}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, cfg geo.Config) *geo.DB {
	t.Helper()
	db, err := geo.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// expect compares what db says of addr.
func expect(t *testing.T, db *geo.DB, addr string, want edge.Place) {
	t.Helper()
	if diff := cmp.Diff(want, db.Lookup(netip.MustParseAddr(addr))); diff != "" {
		t.Errorf("%s: -want +got\n%s", addr, diff)
	}
}

func TestLayers(t *testing.T) {
	dir := t.TempDir()
	cfg := geo.Config{Files: []string{dir + "/city.mmdb", dir + "/more.mmdb", dir + "/asn.mmdb"}}
	geotest.City(t, cfg.Files[0], map[string]edge.Place{
		"192.0.2.0/24":    ashburn,
		"192.0.2.128/25":  {Country: "US"}, // no continent, no more
		"198.51.100.0/24": {Country: "FR"},
		"2001:db8::/32":   {Continent: "SA", Country: "BR"},
	})
	geotest.City(t, cfg.Files[1], map[string]edge.Place{
		"192.0.2.0/24":    {Country: "US", Subdivision: "CA", City: "Los Angeles", Lat: 34.05, Lon: -118.24},
		"198.51.100.0/24": {Country: "DE", Subdivision: "HE", City: "Frankfurt", Lat: 50.11, Lon: 8.68},
		"2001:db8::/32":   {Country: "BR", Subdivision: "SP"},
	})
	geotest.ASN(t, cfg.Files[2], map[string]edge.Place{
		"192.0.0.0/16":  {ASN: 64496, ASName: "Example Net"},
		"2001:db8::/48": {ASN: 64497},
	})
	db := open(t, cfg)

	want := ashburn
	want.ASN, want.ASName = 64496, "Example Net"
	expect(t, db, "192.0.2.1", want)
	expect(t, db, "::ffff:192.0.2.1", want)
	expect(t, db, "192.0.2.200", edge.Place{
		Continent: "NA", Country: "US", Subdivision: "CA", City: "Los Angeles", Lat: 34.05, Lon: -118.24,
		ASN: 64496, ASName: "Example Net",
	})
	expect(t, db, "198.51.100.1", edge.Place{Continent: "EU", Country: "FR"}) // nothing German goes with it
	expect(t, db, "2001:db8::1", edge.Place{Continent: "SA", Country: "BR", Subdivision: "SP", ASN: 64497})
	expect(t, db, "2001:db8:1::1%eth0", edge.Place{Continent: "SA", Country: "BR", Subdivision: "SP"})
	expect(t, db, "203.0.113.1", edge.Place{})
	if p := db.Lookup(netip.Addr{}); p != (edge.Place{}) {
		t.Errorf("the invalid address is at %v", p)
	}
	expect(t, open(t, geo.Config{}), "192.0.2.1", edge.Place{})
}

func TestOverrides(t *testing.T) {
	dir := t.TempDir()
	cfg := geo.Config{Files: []string{dir + "/city.mmdb", dir + "/asn.mmdb"}, Places: dir + "/places.csv"}
	geotest.City(t, cfg.Files[0], map[string]edge.Place{"192.0.2.0/24": ashburn, "2001:db8::/32": ashburn})
	geotest.ASN(t, cfg.Files[1], map[string]edge.Place{"192.0.2.0/24": {ASN: 64496, ASName: "Example Net"}})
	write(t, cfg.Places, "\ufeffprefix,continent,country,subdivision,city,asn,as_name,lat,lon\r\n"+`
# known better
192.0.2.0/24,,,,Reston,,,,
192.0.2.64/26,,DE,,,64500,,,
192.0.2.64/27,,,MD,,,"Example, Inc.",,
192.0.2.96/32,EU,TR,34,Istanbul,64501,Example TR,41.01,28.98
2001:db8:7::/48,,SG,,,64502,,1.35,103.82
::/0,,,,,64503,,,
`)
	db := open(t, cfg)
	expect(t, db, "192.0.2.1", edge.Place{ // the city only
		Continent: "NA", Country: "US", Subdivision: "VA", City: "Reston", Lat: 39.04, Lon: -77.49,
		ASN: 64496, ASName: "Example Net",
	})
	expect(t, db, "192.0.2.127", edge.Place{Continent: "EU", Country: "DE", ASN: 64500})
	expect(t, db, "192.0.2.64", edge.Place{Continent: "NA", Country: "US", Subdivision: "MD", ASN: 64496, ASName: "Example, Inc."})
	expect(t, db, "192.0.2.96", edge.Place{
		Continent: "EU", Country: "TR", Subdivision: "34", City: "Istanbul", Lat: 41.01, Lon: 28.98,
		ASN: 64501, ASName: "Example TR",
	})
	expect(t, db, "2001:db8:7::1", edge.Place{Continent: "AS", Country: "SG", ASN: 64502, Lat: 1.35, Lon: 103.82})
	expect(t, db, "2001:db9::1", edge.Place{ASN: 64503})
	expect(t, db, "198.51.100.1", edge.Place{}) // ::/0 is not for IPv4

	p, sources := db.Explain(netip.MustParseAddr("192.0.2.127"))
	if p != db.Lookup(netip.MustParseAddr("192.0.2.127")) {
		t.Errorf("Explain returns %v", p)
	}
	want := []geo.Source{
		{File: cfg.Places, Prefix: netip.MustParsePrefix("192.0.2.64/26"), Place: edge.Place{Continent: "EU", Country: "DE", ASN: 64500}},
		{File: cfg.Files[0], Prefix: netip.MustParsePrefix("192.0.2.0/24"), Place: ashburn},
		{File: cfg.Files[1], Prefix: netip.MustParsePrefix("192.0.2.0/24"), Place: edge.Place{ASN: 64496, ASName: "Example Net"}},
	}
	if diff := cmp.Diff(want, sources, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("sources: -want +got\n%s", diff)
	}
}

func TestLookupPrefix(t *testing.T) {
	dir := t.TempDir()
	cfg := geo.Config{Files: []string{dir + "/city.mmdb"}, Places: dir + "/places.csv"}
	geotest.City(t, cfg.Files[0], map[string]edge.Place{"192.0.2.0/24": ashburn, "2001:db8::/32": ashburn})
	write(t, cfg.Places, "prefix,asn\n192.0.2.128/26,64496\n2001:db8:8::/48,64497\n")
	db := open(t, cfg)
	f := func(addr, want string) {
		t.Helper()
		a := netip.MustParseAddr(addr)
		p, prefix := db.LookupPrefix(a)
		if prefix != netip.MustParsePrefix(want) || p != db.Lookup(a) {
			t.Errorf("%s: %v at %v, want %s at %v", addr, prefix, p, want, db.Lookup(a))
		}
	}
	f("192.0.2.1", "192.0.2.0/25")
	f("192.0.2.130", "192.0.2.128/26")
	f("192.0.2.250", "192.0.2.192/26")
	f("::ffff:192.0.2.1", "192.0.2.0/25")
	f("2001:db8:8::5", "2001:db8:8::/48")
	f("2001:db8:9::5", "2001:db8:9::/48")
	f("2001:db8:8000::5", "2001:db8:8000::/33")
	f("203.0.113.9", "200.0.0.0/5") // nothing is known of all of it
	if _, prefix := db.LookupPrefix(netip.Addr{}); prefix.IsValid() {
		t.Errorf("the invalid address is in %v", prefix)
	}
	if _, prefix := open(t, geo.Config{}).LookupPrefix(netip.MustParseAddr("192.0.2.1")); prefix.String() != "0.0.0.0/0" {
		t.Errorf("with no files everything is alike, but the prefix is %v", prefix)
	}
}

// TestLayouts reads a record of each vendor's layout.
func TestLayouts(t *testing.T) {
	f := func(databaseType string, record mmdbtype.Map, want edge.Place) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "x.mmdb")
		geotest.Write(t, file, databaseType, map[string]mmdbtype.DataType{"192.0.2.0/24": record})
		expect(t, open(t, geo.Config{Files: []string{file}}), "192.0.2.1", want)
	}
	f("GeoLite2-Country", mmdbtype.Map{
		"continent":          mmdbtype.Map{"code": mmdbtype.String("EU"), "geoname_id": mmdbtype.Uint32(6255148)},
		"registered_country": mmdbtype.Map{"iso_code": mmdbtype.String("NO")},
	}, edge.Place{Continent: "EU", Country: "NO"})
	f("GeoIP2-ISP", mmdbtype.Map{
		"autonomous_system_number":       mmdbtype.Uint32(64496),
		"autonomous_system_organization": mmdbtype.String("Example Net"),
		"isp":                            mmdbtype.String("Example"),
	}, edge.Place{ASN: 64496, ASName: "Example Net"})
	f("GeoIP2-Enterprise", mmdbtype.Map{
		"country": mmdbtype.Map{"iso_code": mmdbtype.String("JP"), "confidence": mmdbtype.Uint16(99)},
		"traits": mmdbtype.Map{
			"autonomous_system_number":       mmdbtype.Uint32(64497),
			"autonomous_system_organization": mmdbtype.String("Example JP"),
		},
	}, edge.Place{Continent: "AS", Country: "JP", ASN: 64497, ASName: "Example JP"})
	f("DBIP-City-Lite", mmdbtype.Map{
		"country":      mmdbtype.Map{"iso_code": mmdbtype.String("CH")},
		"subdivisions": mmdbtype.Slice{mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String("Zurich")}}},
		"location":     mmdbtype.Map{"latitude": mmdbtype.Float32(47.5), "longitude": mmdbtype.Float32(8.5)},
	}, edge.Place{Continent: "EU", Country: "CH", Lat: 47.5, Lon: 8.5})
	f("ipinfo lite", mmdbtype.Map{
		"continent": mmdbtype.String("North America"), "continent_code": mmdbtype.String("NA"),
		"country": mmdbtype.String("United States"), "country_code": mmdbtype.String("US"),
		"asn": mmdbtype.String("AS64496"), "as_name": mmdbtype.String("Example Net"), "as_domain": mmdbtype.String("net.example"),
	}, edge.Place{Continent: "NA", Country: "US", ASN: 64496, ASName: "Example Net"})
	f("ipinfo standard_location", mmdbtype.Map{
		"city": mmdbtype.String("São Paulo"), "region": mmdbtype.String("São Paulo"), "region_code": mmdbtype.String("SP"),
		"country": mmdbtype.String("BR"), "lat": mmdbtype.String("-23.55"), "lng": mmdbtype.String("-46.63"),
	}, edge.Place{Continent: "SA", Country: "BR", Subdivision: "SP", City: "São Paulo", Lat: -23.55, Lon: -46.63})
	f("ipinfo asn", mmdbtype.Map{"asn": mmdbtype.String("AS64496"), "name": mmdbtype.String("Example Net")},
		edge.Place{ASN: 64496, ASName: "Example Net"})
	// What makes no sense is left out.
	f("odd", mmdbtype.Map{
		"country":                        mmdbtype.Map{"iso_code": mmdbtype.String("ZZ")},
		"continent":                      mmdbtype.Map{"code": mmdbtype.String("Atlantis")},
		"subdivisions":                   mmdbtype.Slice{mmdbtype.Map{"iso_code": mmdbtype.String("Utopia")}},
		"city":                           mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String(strings.Repeat("long", 100))}},
		"location":                       mmdbtype.Map{"latitude": mmdbtype.Float64(91), "longitude": mmdbtype.Float64(0)},
		"autonomous_system_number":       mmdbtype.Uint64(1 << 40),
		"autonomous_system_organization": mmdbtype.String("Example"),
	}, edge.Place{ASName: "Example"})
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	f := func(cfg geo.Config, want string) {
		t.Helper()
		_, err := geo.Open(cfg)
		if err == nil || strings.ReplaceAll(err.Error(), dir+"/", "") != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	city := dir + "/city.mmdb"
	geotest.City(t, city, map[string]edge.Place{"192.0.2.0/24": ashburn, "198.51.100.0/24": {Country: "FR"}})
	write(t, dir+"/noise.mmdb", "this is not a database")
	geotest.Write(t, dir+"/other.mmdb", "GeoIP2-Anonymous-IP", map[string]mmdbtype.DataType{
		"192.0.2.0/24": mmdbtype.Map{"is_anonymous": mmdbtype.Bool(true)},
	})
	geotest.Write(t, dir+"/empty.mmdb", "GeoLite2-City", nil)
	geotest.Write(t, dir+"/types.mmdb", "GeoLite2-City", map[string]mmdbtype.DataType{
		"192.0.2.0/24": mmdbtype.Map{"location": mmdbtype.Map{"latitude": mmdbtype.String("north")}},
	})
	f(geo.Config{Files: []string{dir + "/none.mmdb", dir + "/noise.mmdb"}},
		"geo: open none.mmdb: no such file or directory\n"+
			"geo: open noise.mmdb: error opening database: invalid MaxMind DB file")
	f(geo.Config{Files: []string{dir + "/other.mmdb"}},
		`geo: open other.mmdb: no record has a country, city, coordinates or AS number: the file is of type "GeoIP2-Anonymous-IP"`)
	f(geo.Config{Files: []string{dir + "/empty.mmdb"}}, "geo: open empty.mmdb: the file holds no networks")
	f(geo.Config{Files: []string{dir + "/types.mmdb"}},
		"geo: open types.mmdb: record of 192.0.2.0/24: at offset 0, path /location/latitude: maxminddb: cannot unmarshal north (string) into type float64")
	f(geo.Config{Files: []string{dir}}, "geo: read "+dir+": not a regular file")
	write(t, dir+"/places.csv", "prefix,asn\n192.0.2.1/24,1\n192.0.2.0/24,AS1\n")
	f(geo.Config{Files: []string{city}, Places: dir + "/places.csv"},
		"places.csv:2: prefix: 192.0.2.1/24 has host bits set (want 192.0.2.0/24)\n"+
			`places.csv:3: asn: "AS1" is not an AS number (want 1 to 4294967295, without AS in front)`)
}
