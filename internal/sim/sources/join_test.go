package sources

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"catchment/internal/edge"
	"catchment/internal/geo/geotest"
	"catchment/internal/sim/topology"
)

const (
	prefixRows = "192.0.2.0,192.0.2.255,64500,\"Example, Inc.\"\n" +
		"198.51.100.0,198.51.101.255,64501,Beispiel\n" +
		"203.0.113.0,203.0.113.255,0,Not routed\n" +
		"2001:db8::,2001:db8:0:ffff:ffff:ffff:ffff:ffff,64502,Six\n" +
		"2001:db8:1::,2001:db8:1:ffff:ffff:ffff:ffff:ffff,64501,Beispiel\n"
	// 64500 is half in New York and half in a US town without a name; 64501 has
	// a /24 in London, 100 addresses in Basel, 156 in Lörrach, whose metro is
	// Basel; 64502 has IPv6 only, near Chicago.
	cityRows = "192.0.2.0,192.0.2.127,US,New York,,New York,,40.7,-74,America/New_York\n" +
		"192.0.2.128,192.0.2.255,US,,,,,37.751,-97.822,\n" +
		"198.51.100.0,198.51.100.255,GB,England,,London,,51.5,-0.1,\n" +
		"198.51.101.0,198.51.101.99,CH,Basel,,Basel,,47.56,7.57,\n" +
		"198.51.101.100,198.51.101.255,DE,,,Lörrach,,47.6,7.66,\n" +
		"2001:db8::,2001:db8:0:7fff:ffff:ffff:ffff:ffff,US,Wisconsin,,Milwaukee,,43.04,-87.91,\n"
	dbipRows = "192.0.2.0,192.0.2.127,NA,US,New York,New York,40.7,-74\n" +
		"192.0.2.128,192.0.2.255,NA,US,,,37.751,-97.822\n" +
		"198.51.100.0,198.51.100.255,EU,GB,England,London,51.5,-0.1\n" +
		"198.51.101.0,198.51.101.99,EU,CH,Basel,Basel,47.56,7.57\n" +
		"198.51.101.100,198.51.101.255,EU,DE,,Lörrach,47.6,7.66\n" +
		"2001:db8::,2001:db8:0:7fff:ffff:ffff:ffff:ffff,NA,US,Wisconsin,Milwaukee,43.04,-87.91\n"
)

// byAddresses is what both say together. The 100 addresses in Basel and the 156
// near it are each less than a /24, so that all is in London.
var byAddresses = []topology.Presence{
	{ASN: 64500, Metro: newYork, Users: 256}, {ASN: 64501, Metro: london, Users: 512}, {ASN: 64502, Metro: chicago},
}

func TestAddresses(t *testing.T) {
	f := func(prefixes, cities string) {
		t.Helper()
		s := newSet(t)
		give(t, s.Cities, "cities.csv", cities)
		give(t, s.Prefixes, "prefixes.csv", prefixes)
		give(t, s.ASRelationships, "as-rel.txt", relations)
		in, notes := input(t, s)
		if d := cmp.Diff(byAddresses, in.Presence); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
		if d := cmp.Diff(map[uint32]string{64500: "Example, Inc.", 64501: "Beispiel", 64502: "Six"}, in.Names); d != "" {
			t.Errorf("names (-want +got)\n%s", d)
		}
		if d := cmp.Diff([]string{
			"users are counted as IPv4 addresses, which is a poor stand-in: give APNIC's users if you may",
			"2 of 5 networks are in no file of places: they are put where their customers, providers or peers are",
		}, notes); d != "" {
			t.Errorf("notes (-want +got)\n%s", d)
		}
	}
	f(prefixRows, cityRows)
	f(prefixRows, dbipRows)
	f(packed(prefixRows), packed(cityRows))
	numbers := strings.NewReplacer(
		"192.0.2.0,192.0.2.255", "3221225984,3221226239",
		"2001:db8::,2001:db8:0:ffff:ffff:ffff:ffff:ffff", "42540766411282592856903984951653826560,42540766411283801782723599580828532735",
	)
	f(numbers.Replace(prefixRows), cityRows)
}

func TestAddressesMMDB(t *testing.T) {
	dir := t.TempDir()
	asn := map[string]edge.Place{
		"192.0.2.0/24": {ASN: 64500, ASName: "Example, Inc."}, "198.51.100.0/23": {ASN: 64501, ASName: "Beispiel"},
		"2001:db8::/48": {ASN: 64502, ASName: "Six"}, "2001:db8:1::/48": {ASN: 64501, ASName: "Beispiel"},
	}
	geotest.ASN(t, dir+"/asn.mmdb", asn)
	geotest.City(t, dir+"/city.mmdb", map[string]edge.Place{
		"192.0.2.0/25": {Country: "US", City: "New York", Lat: 40.7, Lon: -74}, "192.0.2.128/25": {Country: "US", Lat: 37.751, Lon: -97.822},
		"198.51.100.0/24": {Country: "GB", City: "London", Lat: 51.5, Lon: -0.1}, "198.51.101.0/25": {Country: "CH", City: "Basel", Lat: 47.56, Lon: 7.57},
		"198.51.101.128/25": {Country: "DE", City: "Lörrach", Lat: 47.6, Lon: 7.66},
		"2001:db8::/49":     {Country: "US", City: "Milwaukee", Lat: 43.04, Lon: -87.91},
	})
	s := newSet(t)
	mmdb := func(name string, read func(string, []byte) error) {
		t.Helper()
		data, err := os.ReadFile(dir + "/" + name)
		if err == nil {
			err = read(name, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	mmdb("asn.mmdb", s.PrefixesMMDB)
	mmdb("city.mmdb", s.CitiesMMDB)
	give(t, s.ASRelationships, "as-rel.txt", relations)
	in, _ := input(t, s)
	if d := cmp.Diff(byAddresses, in.Presence); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if in.Names[64500] != "Example, Inc." {
		t.Errorf("names %v", in.Names)
	}
	if len(in.Sources) != 3 || !strings.HasPrefix(in.Sources[0], "asn.mmdb (prefixes), sha256 ") {
		t.Errorf("sources %q", in.Sources)
	}
	// A file of the other kind has nothing in it.
	s = newSet(t)
	mmdb("city.mmdb", s.PrefixesMMDB)
	if len(s.prefixes[v4])+len(s.prefixes[v6]) > 0 {
		t.Error("cities are prefixes")
	}
	if err := s.CitiesMMDB("x.mmdb", []byte("no database")); err == nil || !strings.HasPrefix(err.Error(), "x.mmdb: ") {
		t.Errorf("error %v", err)
	}
}

// TestFlatMMDB reads the layouts of ip-location-db and IPinfo.
func TestFlatMMDB(t *testing.T) {
	dir := t.TempDir()
	geotest.Write(t, dir+"/flat.mmdb", "flat", map[string]mmdbtype.DataType{"192.0.2.0/24": mmdbtype.Map{
		"asn": mmdbtype.String("AS64500"), "as_name": mmdbtype.String("Example"),
		"country_code": mmdbtype.String("GB"), "country": mmdbtype.String("United Kingdom"), "city": mmdbtype.String("London"),
		"latitude": mmdbtype.String("51.5"), "longitude": mmdbtype.Float32(-0.1),
	}})
	data, err := os.ReadFile(dir + "/flat.mmdb")
	if err != nil {
		t.Fatal(err)
	}
	s := newSet(t)
	if err := s.PrefixesMMDB("flat.mmdb", data); err != nil {
		t.Fatal(err)
	}
	if err := s.CitiesMMDB("flat.mmdb", data); err != nil {
		t.Fatal(err)
	}
	give(t, s.ASRelationships, "as-rel.txt", relations)
	in, _ := input(t, s)
	if d := cmp.Diff([]topology.Presence{{ASN: 64500, Metro: london, Users: 256}}, in.Presence); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestAddressesRefused(t *testing.T) {
	refused(t, newSet(t).Prefixes, "", "f: no rows (want first,last,AS number,name)")
	refused(t, newSet(t).Prefixes, "192.0.2.0,192.0.2.255\n192.0.2.0,192.0.2.255,x,y\n192.0.2.0,192.0.2.300,1\n\"192.0.2.0\n",
		"f:1: 2 fields (want first,last,AS number,name)",
		`f:2: "x" is not an AS number (want 1 to 4294967295)`,
		`f:3: "192.0.2.300" is not an address (want such as 192.0.2.1, 2001:db8::1 or 3221225985)`,
		"f:4: a quoted field does not end")
	refused(t, newSet(t).Cities, "192.0.2.0,192.0.2.255,us,,,x,,1,2,\n192.0.2.0,192.0.2.255,US,,,x,,91,2,\n192.0.2.0,192.0.2.255,US,,,x,,1,NaN,\n192.0.2.0,192.0.2.255,US\n",
		`f:1: "us" is not a country (want two capitals, ISO 3166-1)`,
		`f:2: "91", "2" is not on the globe (want degrees north and east)`,
		`f:3: "1", "NaN" is not on the globe (want degrees north and east)`,
		"f:4: 3 fields (want 10: first,last,country,state,district,city,postcode,lat,lon,time zone; or 8: first,last,continent,country,state,city,lat,lon)")
}

func TestPlacesOfNetworks(t *testing.T) {
	f := func(prefixes, cities string, want ...topology.Presence) {
		t.Helper()
		s := newSet(t)
		give(t, s.Prefixes, "prefixes.csv", prefixes)
		give(t, s.Cities, "cities.csv", cities)
		give(t, s.ASRelationships, "as-rel.txt", relations)
		in, _ := input(t, s)
		if d := cmp.Diff(want, in.Presence); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
	}
	at := func(m topology.Metro, users float64) topology.Presence {
		return topology.Presence{ASN: 64500, Metro: m, Users: users}
	}
	// A country without a town: its largest metro.
	f("192.0.2.0,192.0.2.255,64500", "192.0.2.0,192.0.2.255,US,,,,,37.751,-97.822,", at(newYork, 256))
	// No metro in the country, and no point: nowhere.
	f("192.0.2.0,192.0.2.255,64500", "192.0.2.0,192.0.2.255,BR,,,,,,,")
	// Addresses of no town follow those of towns, in proportion.
	f("192.0.2.0,192.0.9.255,64500",
		"192.0.2.0,192.0.2.255,US,,,New York,,40.7,-74,\n192.0.3.0,192.0.5.255,US,,,Chicago,,41.8,-87.6,\n192.0.6.0,192.0.9.255,US,,,,,37.751,-97.822,",
		at(newYork, 512), at(chicago, 1536))
	// What is too little for a site counts where the rest is.
	f("192.0.2.0,192.0.9.255,64500", "192.0.2.0,192.0.5.255,US,,,New York,,40.7,-74,\n192.0.6.0,192.0.6.254,GB,,,London,,51.5,0.1,", at(newYork, 1279))
	// A network without a link is nobody.
	f("192.0.2.0,192.0.2.255,64511", "192.0.2.0,192.0.2.255,US,,,New York,,40.7,-74,")
}

const usersCSV = "\"(C) Example, 2026\"\n#Rank,AS,AS Name,CC,Users (est.),% of Country,% of Internet,Samples\n" +
	"1,AS64500,EXAMPLE-AS - \"Example\",US,\"1,000,000\",1,0.1,5\n2,AS64501,BEISPIEL,DE,300,1,0.1,5\n3,AS64501,BEISPIEL,CH,400,1,0.1,5\n" +
	"4,AS64501,BEISPIEL,BR,500,1,0.1,5\n5,AS64502,SIX,GB,600,1,0.1,5\n6,AS64511,NOBODY,GB,700,1,0.1,5\n7,AS64497,Telef\xf3nica,BR,800,1,0.1,5\n"

const usersJSON = `{"copyright": "(C) Example", "Date": "2026-09-01", "Window": {"days": 60}, "Data": [
{"rank": 1, "AS": 64500, "Description": "EXAMPLE-AS - \"Example\"", "CC": "US", "Users": 1000000, "Percent of CC Pop": 1.5, "Samples": 5},
{"rank": 2, "AS": 64501, "Description": "BEISPIEL", "CC": "DE", "Users": 300}, {"AS": 64501, "CC": "CH", "Users": 400}, {"AS": 64501, "CC": "BR", "Users": 500},
{"AS": 64502, "Description": "SIX", "CC": "GB", "Users": 600}, {"AS": 64511, "CC": "GB", "Users": 700},
` + "{\"AS\": 64497, \"Description\": \"Telef\xf3nica\", \"CC\": \"BR\", \"Users\": 800}]}"

const usersList = `[{"rank": 1, "asn": "AS64500", "descr": "EXAMPLE-AS - \"Example\"", "cc": "US", "users": 1000000, "country-percent": 36},
{"asn": "AS64501", "descr": "BEISPIEL", "cc": "DE", "users": 300}, {"asn": "AS64501", "cc": "CH", "users": "400"}, {"asn": "AS64501", "cc": "BR", "users": 500},
{"asn": "AS64502", "descr": "SIX", "cc": "GB", "users": 600}, {"asn": "AS64511", "cc": "GB", "users": 700}, {"asn": "AS64497", "descr": "Telefónica", "cc": "BR", "users": 800}]`

func TestUsers(t *testing.T) {
	f := func(text string) {
		t.Helper()
		s := newSet(t)
		give(t, s.Users, "aspop", text)
		give(t, s.ASRelationships, "as-rel.txt", relations)
		give(t, s.Prefixes, "prefixes.csv", prefixRows)
		// Basel as a town in Germany and one in Switzerland, each large enough.
		give(t, s.Cities, "cities.csv", strings.NewReplacer("198.51.100.255,GB", "198.51.100.255,DE").Replace(cityRows))
		in, notes := input(t, s)
		got, err := topology.Build(in)
		if err != nil {
			t.Fatal(err)
		}
		type group struct {
			ASN   uint32
			Metro topology.Metro
			Users float32
		}
		var groups []group
		for _, g := range got.Groups {
			groups = append(groups, group{got.ASNs[g.AS], g.Metro, g.Users})
		}
		if d := cmp.Diff([]group{
			{64500, newYork, 1e6},
			{64501, london, 800}, // Germany's 300, as its addresses say, and Brazil's, where the rest is
			{64501, basel, 400},  // Switzerland's: its largest metro
			{64502, london, 600}, // none of its addresses are in Britain
		}, groups); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
		if d := cmp.Diff([]string{
			"0.07 % of the users are of networks without a link: they are left out",
			"0.08 % of the users are in no known place: they are left out",
			"2 of 5 networks are in no file of places: they are put where their customers, providers or peers are",
		}, notes); d != "" {
			t.Errorf("notes (-want +got)\n%s", d)
		}
		if in.Names[64497] != "Telefónica" || in.Names[64500] != "Example, Inc." {
			t.Errorf("names %v", in.Names)
		}
	}
	f(usersCSV)
	f(usersJSON)
	f(usersList)
	f(packed(usersCSV))
}

func TestUsersRefused(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		refused(t, newSet(t).Users, text, want...)
	}
	f("", "f: no users (want rows with an AS, an economy and users)")
	f("{}", "f: no users (want rows with an AS, an economy and users)")
	f("AS,CC,Users\nx,US,1\nAS64500,US,many\nAS64500,US,-1\nAS64500,US,1e11\nAS64500,US\nAS64500,US,NaN\n",
		`f:2: "x" is not an AS number (want 1 to 4294967295)`,
		`f:3: "many" is not a number of users (want 0 to 10000000000)`,
		`f:4: "-1" is not a number of users (want 0 to 10000000000)`,
		`f:5: "1e11" is not a number of users (want 0 to 10000000000)`,
		"f:6: 2 fields (want at least 3)",
		`f:7: "NaN" is not a number of users (want 0 to 10000000000)`)
	f(strings.Repeat("no,titles\n", 100), "f:20: no titles (want columns AS, CC and Users)")
	f(`{"Data": [{"AS": "x", "CC": "US", "Users": 1}, {"AS": 64500, "CC": 7, "Users": 1}, {"AS": 64500, "CC": "US"}, 5]}`,
		`f: /Data/0: "x" is not an AS number (want 1 to 4294967295)`,
		`f: /Data/1: CC: a number is not what is wanted here`,
		`f: /Data/2: "" is not a number of users (want 0 to 10000000000)`)
	f(`{"Data": [{"AS": 64500, "CC": "US", "Users": 1},`, "f: /Data/0: the file is cut off")
	f(`{"Data": [}`, "f: /Data: invalid character '}' at start of value at byte 10")
	f(`[] []`, "f: something follows the end")
	f(`[{"AS": 64500, "CC": "US", "Users": 1, "x": "`+strings.Repeat("x", 3*maxRecord), "f: a record is larger than 1048576 bytes")
}
