package analysis

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"catchment/internal/edge"
)

var resetsBegin = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// torn is what a PoP saw of a client, seconds after the begin, over some time.
func torn(at edge.PoPID, client string, from, to float64, n uint64, flows ...edge.FlowHash) *edge.ResetRecord {
	when := func(s float64) time.Time { return resetsBegin.Add(time.Duration(s * float64(time.Second))) }
	return &edge.ResetRecord{
		Received: when(to + 2), PoP: at, Method: edge.ResetsByKernel, Key: 1,
		Place: edge.Place{Country: "US", Subdivision: "IL", ASN: 64496, ASName: "Example"},
		Reset: &edge.Reset{Kind: edge.MidFlow, VIP: "global", Client: netip.MustParsePrefix(client), Count: n, First: when(from), Last: when(to), Flows: flows},
	}
}

// had says that a PoP had a connection open.
func had(at edge.PoPID, s float64, flow edge.FlowHash, unheard bool) *edge.ResetRecord {
	r := &edge.ResetRecord{Received: resetsBegin.Add(time.Duration(s * float64(time.Second))), PoP: at, Method: edge.ResetsByKernel}
	r.Open = &edge.OpenFlow{Flow: flow, Key: 1, VIP: "global", Client: netip.MustParsePrefix("203.0.113.0/24"), Unheard: unheard}
	return r
}

func doubted(d edge.ResetDoubt, r *edge.ResetRecord) *edge.ResetRecord {
	r.Reset.Doubt = d
	return r
}

func resetRows(t *testing.T, by string, all ...*edge.ResetRecord) ([]ResetRow, ResetTotals) {
	t.Helper()
	keys, err := ParseResetKeys(by)
	if err != nil {
		t.Fatal(err)
	}
	r := NewResets(keys)
	for _, x := range all {
		r.Add(x)
	}
	return r.Rows(2), r.Totals()
}

// A reset is confirmed by another PoP that had the connection, also where it
// was in doubt; one that is in doubt and not confirmed is counted apart.
func TestResets(t *testing.T) {
	late := torn("iad", "203.0.113.0/24", 300, 300, 1)
	late.Reset.Kind = edge.TimedOut
	excess := &edge.ResetRecord{Received: resetsBegin.Add(time.Hour), PoP: "sin", Method: edge.ResetsByCounters, Reset: &edge.Reset{Kind: edge.Excess, Count: 9}}
	excess.Overflow = 4
	rows, totals := resetRows(t, "from,to,country,asn",
		torn("lax", "203.0.113.0/24", 0, 1, 6, 11, 12, 13),
		doubted(edge.DoubtStart, torn("lax", "192.0.2.0/24", 1, 1, 2, 14)),
		doubted(edge.DoubtStart, torn("lax", "192.0.2.0/24", 1, 1, 5, 15)),
		doubted(edge.DoubtScan, torn("lax", "198.51.100.0/24", 1, 1, 7)),
		had("iad", 4, 11, true), had("iad", 4, 12, false), had("gru", 5, 13, false), had("iad", 5, 14, false),
		had("lax", 5, 15, false), // its own: no flip
		torn("lax", "203.0.113.0/24", 10, 10, 3, 16),
		late, had("iad", 400, 16, false), // too late to be believed
		excess,
	)
	type row struct {
		group                                               string
		resets, sampled, confirmed, unheard, late, doubtful uint64
		prefixes                                            int
	}
	want := []row{
		{"iad lax US 64496", 8, 4, 4, 1, 0, 0, 2},
		{" lax US 64496", 3, 1, 0, 0, 0, 12, 1},
		{"iad  US 64496", 0, 0, 0, 0, 1, 0, 1},
	}
	if len(rows) != len(want) {
		t.Fatalf("%d rows: %+v", len(rows), rows)
	}
	for i, r := range rows {
		g := r.Group
		got := row{fmt.Sprintf("%s %s %s %s", g[0].Text, g[1].Text, g[2].Text, g[3].Text), r.Resets, r.Sampled, r.Confirmed, r.Unheard, r.TimedOut, r.Doubtful, r.Networks}
		if got != want[i] || r.PerHour != float64(r.Resets)/2 {
			t.Errorf("%+v, %v an hour; want %+v", got, r.PerHour, want[i])
		}
	}
	if totals.Resets != 11 || totals.Confirmed != 4 || totals.TimedOut != 1 || totals.Doubts[edge.DoubtStart] != 5 || totals.Doubts[edge.DoubtScan] != 7 ||
		totals.Excess != 9 || totals.Overflow != 4 || totals.Methods["sin"] != edge.ResetsByCounters {
		t.Errorf("totals %+v", totals)
	}
}

// Packets that are spread one by one are told from routes that move, that go
// to and fro, and from connections that are spread when their PoP is gone.
func TestResetsSpread(t *testing.T) {
	const c = "203.0.113.0/24"
	for name, x := range map[string]struct {
		all  []*edge.ResetRecord
		want int
	}{
		"at once":    {[]*edge.ResetRecord{torn("iad", c, 0, 2, 20), torn("lax", c, 0.1, 2.1, 20)}, 1},
		"by turns":   {[]*edge.ResetRecord{torn("iad", c, 0, 0, 1), torn("lax", c, 5, 5, 1), torn("iad", c, 9, 9, 1), torn("lax", c, 20, 20, 1)}, 1},
		"moved":      {[]*edge.ResetRecord{torn("lax", c, 0, 2, 20), torn("lax", c, 3, 5, 20)}, 0},
		"to and fro": {[]*edge.ResetRecord{torn("lax", c, 0, 2, 20), torn("iad", c, 10, 12, 20), torn("lax", c, 30, 31, 9)}, 0},
		"now and then": {[]*edge.ResetRecord{
			torn("lax", c, 0, 2, 20), torn("iad", c, 100, 102, 20), torn("lax", c, 200, 202, 20), torn("iad", c, 300, 302, 20),
		}, 0},
		"their PoP is gone": {[]*edge.ResetRecord{torn("lax", c, 0, 2, 20, 1), torn("gru", c, 0.1, 2, 20, 2), had("iad", 5, 1, true), had("iad", 5, 2, true)}, 0},
		"two networks":      {[]*edge.ResetRecord{torn("iad", c, 0, 2, 20), torn("lax", "192.0.2.0/24", 0, 2, 20)}, 0},
		"one stray":         {[]*edge.ResetRecord{torn("iad", c, 0, 2, 20), torn("lax", c, 1, 1, 1)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			rows, _ := resetRows(t, "", x.all...)
			if len(rows) != 1 || rows[0].Balanced != x.want {
				t.Errorf("%+v; want %d balanced", rows, x.want)
			}
		})
	}
}

// What is kept for the join is forgotten in time.
func TestResetsLong(t *testing.T) {
	r := NewResets(nil)
	for i := range 10_000 {
		r.Add(torn("lax", "203.0.113.0/24", float64(10*i), float64(10*i), 1, edge.FlowHash(i)))
		r.Add(had("iad", float64(10*i+3), edge.FlowHash(i), false))
	}
	if n := len(r.waiting) + len(r.open) + len(r.tracks); n > 100 {
		t.Errorf("%d records wait", n)
	}
	rows := r.Rows(math.NaN())
	if len(rows) != 1 || rows[0].Confirmed != 10_000 || !math.IsNaN(rows[0].PerHour) {
		t.Errorf("%+v; want 10,000 confirmed", rows)
	}
}

func TestParseResetKeys(t *testing.T) {
	for s, want := range map[string]string{"vip,pop": `group key "pop"`, "vip,vip": `group key "vip" is there twice`, ",": `group key ""`} {
		if _, err := ParseResetKeys(s); err == nil || len(err.Error()) < len(want) || err.Error()[:len(want)] != want {
			t.Errorf("%q: %v; want %s", s, err, want)
		}
	}
}
