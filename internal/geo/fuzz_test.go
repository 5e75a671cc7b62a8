package geo

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"catchment/internal/edge"
	"catchment/internal/geo/geotest"
)

// FuzzPlaces: the parser never panics, and what it accepts it finds.
func FuzzPlaces(f *testing.F) {
	f.Add([]byte(header + "\n192.0.2.0/24,NA,US,VA,Ashburn,64496,\"Example, Inc.\",39.04,-77.49\n"))
	f.Add([]byte("prefix,country\n192.0.2.0/24,US\n192.0.2.128/25,CA\n2001:db8::/32,BR\n::/0,FR\n0.0.0.0/0,DE\n"))
	f.Add([]byte("\ufeffasn,prefix\r\n64496,2001:db8:0:1::/64\r\n# remark\r\n"))
	f.Add([]byte("prefix,lat,lon\n192.0.2.1,1e309,NaN\n::ffff:192.0.2.0/120,91,0\n\"192.0.2.0/24\nx"))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := parseOverrides("places.csv", data)
		if (o == nil) == (err == nil) {
			t.Fatalf("overrides %v, error %v", o, err)
		}
		if err != nil {
			if !strings.HasPrefix(err.Error(), "places.csv:") {
				t.Errorf("no position: %v", err)
			}
			return
		}
		for i, p := range o.prefixes {
			row := o.find(p.Addr())
			if row < 0 || o.prefixes[row].Bits() < p.Bits() || !o.prefixes[row].Contains(p.Addr()) {
				t.Errorf("row %d, %v: its first address is on row %d", i, p, row)
			}
		}
	})
}

// FuzzFile: a file that is not what it should be is refused or answers, and
// never panics or takes long.
func FuzzFile(f *testing.F) {
	path := f.TempDir() + "/x.mmdb"
	geotest.City(f, path, map[string]edge.Place{
		"192.0.2.0/24":  {Continent: "NA", Country: "US", Subdivision: "VA", City: "Ashburn", Lat: 39.04, Lon: -77.49},
		"2001:db8::/32": {Country: "BR"},
	})
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	for i := 0; i < len(whole); i += 41 {
		damaged := slices.Clone(whole)
		damaged[i] ^= 0xff
		f.Add(damaged)
		f.Add(whole[:i])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := newLayer(data)
		if err != nil {
			return
		}
		for _, a := range []string{"192.0.2.1", "2001:db8::1", "::"} {
			p, _ := l.lookup(netip.MustParseAddr(a))
			if p == nil {
				continue
			}
			if _, ok := ContinentOf(p.Country); p.Country != "" && !ok {
				t.Errorf("country %q", p.Country)
			}
		}
	})
}

// TestForgedTree gives the reader a file in which both branches of every node
// lead to the next one: 2^128 ways to one record.
func TestForgedTree(t *testing.T) {
	const nodes = 128
	var b []byte
	for i := range nodes {
		next := i + 1
		if next == nodes {
			next = nodes + 16 // the first record
		}
		for range 2 {
			b = append(b, byte(next>>16), byte(next>>8), byte(next))
		}
	}
	b = append(b, make([]byte, 16)...)
	text := func(s string) string { return string(rune(0x40|len(s))) + s }
	record := "\xe1" + text("country") + "\xe1" + text("iso_code") + text("US")
	b = append(b, record...)
	b = append(b, "\xab\xcd\xefMaxMind.com\xe6"...)
	b = append(b, text("node_count")+"\xc1\x80"...)
	b = append(b, text("record_size")+"\xa1\x18"...)
	b = append(b, text("ip_version")+"\xa1\x06"...)
	b = append(b, text("database_type")+text("Forged")...)
	b = append(b, text("binary_format_major_version")+"\xa1\x02"...)
	b = append(b, text("build_epoch")+"\xa1\x01"...)
	_, err := newLayer(b)
	if err == nil || err.Error() != "the search tree is not a tree" {
		t.Errorf("error %v", err)
	}
}

// TestRanges compares the flattened ranges with a plain search.
func TestRanges(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	address := func(v6 bool, b byte) netip.Addr {
		if !v6 {
			return netip.AddrFrom4([4]byte{255, 255, 255, b})
		}
		a := [16]byte{15: b}
		for i := range 15 {
			a[i] = 255
		}
		return netip.AddrFrom16(a)
	}
	for round := range 60 {
		v6 := round%2 == 1
		seen := map[netip.Prefix]bool{}
		var prefixes []netip.Prefix
		var rows []int32
		for range rng.IntN(12) {
			a := address(v6, byte(rng.Uint32()))
			p, _ := a.Prefix(a.BitLen() - rng.IntN(10))
			if !seen[p] {
				seen[p] = true
				prefixes, rows = append(prefixes, p), append(rows, int32(len(rows)))
			}
		}
		r := makeRanges(prefixes, rows)
		for b := range 256 {
			a := address(v6, byte(b))
			want := int32(-1)
			for i, p := range prefixes {
				if p.Contains(a) && (want < 0 || p.Bits() > prefixes[want].Bits()) {
					want = rows[i]
				}
			}
			if got := r.find(a); got != want {
				t.Fatalf("%v in %v: row %d, want %d", a, prefixes, got, want)
			}
			alike, _ := a.Prefix(r.bits(a))
			for c := range 256 {
				if x := address(v6, byte(c)); alike.Contains(x) && r.find(x) != want {
					t.Fatalf("%v in %v: %v is not alike at %v", a, prefixes, alike, x)
				}
			}
		}
	}
}
