package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"catchment/internal/analysis"
	"catchment/internal/edge"
)

type resolverPlaces struct{}

func (resolverPlaces) Lookup(a netip.Addr) edge.Place {
	switch {
	case netip.MustParsePrefix("192.0.2.0/25").Contains(a):
		return edge.Place{Continent: "NA", Country: "US", City: "Chicago", ASN: 64510, ASName: "Example Resolver", Lat: 41.9, Lon: -87.6}
	case netip.MustParsePrefix("192.0.2.128/25").Contains(a):
		return edge.Place{Continent: "NA", Country: "US", City: "Los Angeles", Lat: 34, Lon: -118.2}
	}
	return edge.Place{}
}

// renderSingle returns a report on views of Illinois, two thirds of which ask a
// resolver at home, and of a country of which nothing is known.
func renderSingle(t *testing.T, kind, by string, f Format) string {
	t.Helper()
	fleet := &edge.Fleet{}
	for id, p := range map[edge.PoPID]edge.Place{"ord": {Lat: 41.9, Lon: -87.6}, "iad": {Lat: 39, Lon: -77.5}, "lax": {Lat: 34, Lon: -118.2}} {
		p.Continent, p.Country = "NA", "US"
		fleet.PoPs = append(fleet.PoPs, edge.PoP{ID: id, Place: p})
	}
	il, fr := cell("NA", "US", "IL", 64496, 4), cell("EU", "FR", "", 64501, 4)
	latencies := []*edge.Latencies{probes(il, "ord", "", 11), probes(il, "iad", "", 27), probes(il, "lax", "", 55)}
	var views []*edge.PageView
	for i := range 600 {
		v := &edge.PageView{Cell: il, Prefix: prefix(il.ASN, i%60), Weight: 100}
		v.Place = edge.Place{Continent: "NA", Country: "US", Subdivision: "IL", City: "Chicago", Lat: 41.9, Lon: -87.6}
		v.Served = [len(edge.Schemes)]edge.PoPID{"ord", "ord"}
		v.Resolver.Addr = netip.MustParsePrefix("192.0.2.1/32")
		switch {
		case i%3 == 0:
			v.Resolver.Addr = netip.MustParsePrefix("192.0.2.129/32")
			if i%9 < 6 {
				v.Served[0] = "lax"
			}
		case i%10 == 1:
			v.Served[1] = "iad"
		case i%70 == 1:
			v.Served[0] = edge.Failed
		}
		views = append(views, v)
	}
	for i := range 5 {
		views = append(views, &edge.PageView{Cell: fr, Prefix: prefix(fr.ASN, i), Weight: 100, Served: [len(edge.Schemes)]edge.PoPID{"ord"}})
	}
	keys, err := analysis.ParseViewKeys(by)
	if err != nil {
		t.Fatal(err)
	}
	r, c := analysis.NewResolvers(keys), analysis.NewCauses(keys)
	s := analysis.Setting{Fleet: fleet, Places: resolverPlaces{}, FarKm: analysis.DefaultFarKm}
	err = analysis.JudgeViews(analysis.DefaultCriteria(), s, func(yield func(analysis.ViewWindow) bool) {
		yield(analysis.ViewWindow{Latencies: each(latencies), Views: each(views)})
	}, r, c)
	if err != nil {
		t.Fatal(err)
	}
	a := Single{About: about(analysis.Totals{}), FarKm: s.FarKm, Asked: r.Totals(), Resolvers: r.Names()}
	var b bytes.Buffer
	if kind == "resolvers" {
		err = Resolvers(&b, f, keys, r.Rows(), a)
	} else {
		err = Causes(&b, f, keys, c.Rows(), a)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSingleGolden(t *testing.T) {
	for _, kind := range []string{"resolvers", "causes"} {
		for format, suffix := range map[Format]string{Table: "txt", CSV: "csv", JSON: "json", Markdown: "md"} {
			golden(t, kind+"."+suffix, renderSingle(t, kind, "country,subdivision", format))
		}
		golden(t, kind+"-by-resolver.txt", renderSingle(t, kind, "resolver", Table))
		for _, by := range []string{"", "resolver,asn", "country,resolver,family"} {
			records, err := csv.NewReader(strings.NewReader(renderSingle(t, kind, by, CSV))).ReadAll()
			if err != nil || len(records) < 2 { // the reader wants as many cells as titles
				t.Errorf("%s by %q: %d records, %v", kind, by, len(records), err)
			}
			var rows []map[string]any
			if err := json.Unmarshal([]byte(renderSingle(t, kind, by, JSON)), &rows); err != nil || len(rows) != len(records)-1 {
				t.Errorf("%s by %q: %d rows in JSON, %d in CSV, %v", kind, by, len(rows), len(records)-1, err)
			}
		}
	}
}

func TestFraction(t *testing.T) {
	f := func(e analysis.Estimate, want string) {
		t.Helper()
		if got := fraction(e); got != want {
			t.Errorf("%+v: %s, want %s", e, got, want)
		}
	}
	f(analysis.Estimate{Share: 0.917, Low: 0.9, High: 0.93}, "91.7 ±1.7")
	f(analysis.Estimate{Share: -0.1, Low: -0.3, High: 0.1}, "-10.0 ±20.0")
	f(analysis.Estimate{Share: 0.5, Low: -0.6, High: 1}, "too few")
}
