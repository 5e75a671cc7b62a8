package analysis

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"catchment/internal/edge"
)

// farAway has one network of Brazil that global anycast leads to Singapore,
// and one that it leads to a PoP nearby.
func farAway() Window {
	a := edge.Cell{Day: testDay, Continent: "SA", Country: "BR", ASN: 64500, Family: 4}
	b := a
	b.ASN = 64501
	us := illinois
	next := func(c edge.Cell) edge.Cell { c.Day++; return c }
	var lat []*edge.Latencies
	for _, c := range []edge.Cell{a, b, next(a)} {
		lat = append(lat, probe(c, "gru", "", 40, 10), probe(c, "mia", "", 40, 110), probe(c, "sin", edge.Global, 40, 330))
	}
	lat = append(lat, probe(us, "ord", "", 400, 12), probe(us, "sin", "", 400, 210), probe(us, "ord", edge.Unicast, 40, 14))
	return Window{each(lat), each([]*edge.Assignments{
		viewsOf(a, 30, "gru", "sin"),
		viewsOf(next(a), 10, "mia", "sin"),
		viewsOf(b, 50, "gru", "mia"),
		viewsOf(us, 60, "ord", "ord"),
		viewsOf(us, 5, edge.Failed, "sin"),
	})}
}

func TestOffenders(t *testing.T) {
	r := NewOffenders()
	if err := Judge(DefaultCriteria(), once(farAway()), r); err != nil {
		t.Fatal(err)
	}
	global := 40*320.0 + 50*100 + 5*198
	want := []Offender{
		{64500, "BR", "", edge.Global, "sin", "gru", 40, 320, 40 * 320, 40 * 320 / global, testDay, testDay + 1},
		{64501, "BR", "", edge.Global, "mia", "gru", 50, 100, 50 * 100, 50 * 100 / global, testDay, testDay},
		{64500, "BR", "", edge.Unicast, "mia", "gru", 10, 100, 1000, 1, testDay + 1, testDay + 1},
		{64496, "US", "IL", edge.Global, "sin", "ord", 5, 198, 990, 990 / global, testDay, testDay},
	}
	if d := cmp.Diff(want, r.Rows(), cmpopts.EquateApprox(0.02, 0)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if n := r.Totals().Views; n != 155 {
		t.Errorf("%d views", n)
	}
}

func TestPoPs(t *testing.T) {
	r := NewPoPs()
	if err := Judge(DefaultCriteria(), once(farAway()), r); err != nil {
		t.Fatal(err)
	}
	br, il := PlaceShare{"BR", "", 1}, PlaceShare{"US", "IL", 1}
	nan := (*counts)(nil).quantile(0.5)
	want := []Served{
		{"gru", edge.Unicast, 80, 80.0 / 150, []PlaceShare{br}, nan, nan, 0, "SA", 0},
		{"mia", edge.Unicast, 10, 10.0 / 150, []PlaceShare{br}, nan, nan, 1, "SA", 0},
		{"mia", edge.Global, 50, 50.0 / 155, []PlaceShare{br}, nan, nan, 1, "SA", 0},
		{"ord", edge.Unicast, 60, 60.0 / 150, []PlaceShare{il}, 14, 14, 0, "NA", 0},
		{"ord", edge.Global, 60, 60.0 / 155, []PlaceShare{il}, nan, nan, 0, "NA", 0},
		{
			"sin", edge.Global, 45, 45.0 / 155,
			[]PlaceShare{{"BR", "", 40.0 / 45}, {"US", "IL", 5.0 / 45}},
			330, 330, 1, "NA", 40.0 / 45, // its own name was measured from North America alone
		},
	}
	if d := cmp.Diff(want, r.Rows(), cmpopts.EquateApprox(0.012, 0), cmpopts.EquateNaNs()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
