// Package geotest makes small MaxMind-format files for tests.
package geotest

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"catchment/internal/edge"
)

// City writes a file at path that has the layout of GeoLite2-City with what
// places says of each prefix, except its ASN.
func City(t testing.TB, path string, places map[string]edge.Place) {
	t.Helper()
	records := map[string]mmdbtype.DataType{}
	for prefix, p := range places {
		r := mmdbtype.Map{}
		if p.Continent != "" {
			r["continent"] = mmdbtype.Map{"code": mmdbtype.String(p.Continent)}
		}
		if p.Country != "" {
			r["country"] = mmdbtype.Map{"iso_code": mmdbtype.String(p.Country), "names": names(p.Country)}
		}
		if p.Subdivision != "" {
			r["subdivisions"] = mmdbtype.Slice{mmdbtype.Map{"iso_code": mmdbtype.String(p.Subdivision)}}
		}
		if p.City != "" {
			r["city"] = mmdbtype.Map{"names": names(p.City)}
		}
		if p.HasCoord() {
			r["location"] = mmdbtype.Map{"latitude": mmdbtype.Float64(p.Lat), "longitude": mmdbtype.Float64(p.Lon)}
		}
		records[prefix] = r
	}
	Write(t, path, "GeoLite2-City", records)
}

// ASN writes a file at path that has the layout of GeoLite2-ASN with the ASN
// and ASName of places.
func ASN(t testing.TB, path string, places map[string]edge.Place) {
	t.Helper()
	records := map[string]mmdbtype.DataType{}
	for prefix, p := range places {
		records[prefix] = mmdbtype.Map{
			"autonomous_system_number":       mmdbtype.Uint32(p.ASN),
			"autonomous_system_organization": mmdbtype.String(p.ASName),
		}
	}
	Write(t, path, "GeoLite2-ASN", records)
}

func names(en string) mmdbtype.Map {
	return mmdbtype.Map{"de": mmdbtype.String(en), "en": mmdbtype.String(en)}
}

// Write makes a file of the given database type at path, for IPv4 and IPv6. It
// writes aside and renames, as an updater does.
func Write(t testing.TB, path, databaseType string, records map[string]mmdbtype.DataType) {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{
		DatabaseType:            databaseType,
		BuildEpoch:              1793491200, // 2026-11-01
		IncludeReservedNetworks: true,       // the documentation prefixes
	})
	if err != nil {
		t.Fatal(err)
	}
	var prefixes []netip.Prefix
	for prefix := range records {
		prefixes = append(prefixes, netip.MustParsePrefix(prefix))
	}
	slices.SortFunc(prefixes, netip.Prefix.Compare) // a longer prefix replaces part of a shorter one
	for _, p := range prefixes {
		ipnet := &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
		if err := tree.Insert(ipnet, records[p.String()]); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.CreateTemp(filepath.Dir(path), "geotest")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := tree.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		t.Fatal(err)
	}
}
