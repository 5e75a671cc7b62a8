package analysis

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
)

// probes are those of n client prefixes, around an RTT.
func probesAround(rng *rand.Rand, c edge.Cell, pop edge.PoPID, ms float64, n int) *edge.Latencies {
	byName := map[edge.Sample]uint32{}
	for i := range n {
		byName[edge.SampleOf(uint64(c.ASN)<<32|uint64(c.Family)<<24|uint64(i), ms*(0.9+0.2*rng.Float64()))] += 4
	}
	l := &edge.Latencies{Cell: c, PoP: pop}
	for s := range byName {
		l.Samples = append(l.Samples, s)
	}
	slices.Sort(l.Samples)
	for _, s := range l.Samples {
		l.Counts = append(l.Counts, byName[s])
	}
	return l
}

func cellIn(country, subdivision string, asn uint32, family uint8) edge.Cell {
	return edge.Cell{Day: testDay, Continent: "NA", Country: country, Subdivision: subdivision, ASN: asn, Family: family}
}

// TestMeasuredOrders: a network has an order of its own, with PoPs that only
// its place knows borrowed and shifted; places and countries have theirs, over
// a family and over both.
func TestMeasuredOrders(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	slow, fast := cellIn("US", "IL", 64496, 4), cellIn("US", "IL", 64497, 4)
	reached := probesAround(rng, fast, "sin", 1, 300)
	reached.Scheme = edge.Global // not by its own name
	windows := []Window{
		{Latencies: each([]*edge.Latencies{
			probesAround(rng, slow, "ord", 40, 30), probesAround(rng, slow, "iad", 60, 30),
			probesAround(rng, fast, "ord", 10, 300), probesAround(rng, fast, "iad", 30, 300), probesAround(rng, fast, "lax", 50, 300),
			probesAround(rng, slow, "lax", 1, 3), // too few prefixes to believe
			probesAround(rng, cellIn("US", "IL", 64497, 6), "ord", 12, 30),
			probesAround(rng, cellIn("", "", 64497, 4), "ord", 1, 300), // nowhere
		}), Assignments: each([]*edge.Assignments(nil))},
		{Latencies: each([]*edge.Latencies{reached}), Assignments: each([]*edge.Assignments(nil))},
	}
	m := NewMeasured(DefaultCriteria())
	for _, w := range windows {
		if err := m.Read(w); err != nil {
			t.Fatal(err)
		}
	}
	type near struct {
		PoP edge.PoPID
		RTT float64
	}
	got := map[edge.CellKey][]near{}
	for _, o := range m.Orders() {
		for _, l := range o.PoPs {
			got[o.CellKey] = append(got[o.CellKey], near{l.PoP, math.Round(l.RTT/5) * 5})
			if l.Samples < 20 {
				t.Errorf("%+v: %+v", o.CellKey, l)
			}
		}
	}
	key := func(sub string, asn uint32, family uint8) edge.CellKey {
		return edge.CellKey{Country: "US", Subdivision: sub, ASN: asn, Family: family}
	}
	place := []near{{"ord", 10}, {"iad", 30}, {"lax", 50}}
	if diff := cmp.Diff(map[edge.CellKey][]near{
		key("IL", 64496, 4): {{"ord", 40}, {"iad", 60}, {"lax", 80}}, // 30 ms on top of the place's
		key("IL", 64497, 4): place,
		key("IL", 0, 4):     place,
		key("IL", 0, 0):     place,
		key("", 0, 4):       place,
		key("", 0, 0):       place,
	}, got); diff != "" {
		t.Error(diff)
	}
}

func TestMeasuredCatchments(t *testing.T) {
	served := func(c edge.Cell, global, regional edge.PoPID, views uint32, weight float64) *edge.Assignments {
		a := &edge.Assignments{Cell: c, Prefixes: []uint64{1, 2}, Views: []uint32{views / 2, views / 2}, Weights: []float64{weight / 2, weight / 2}}
		a.Served[globalAt], a.Served[regionalAt] = global, regional
		return a
	}
	m := NewMeasured(DefaultCriteria())
	for range 2 { // days
		if err := m.Read(Window{Latencies: each([]*edge.Latencies(nil)), Assignments: each([]*edge.Assignments{
			served(cellIn("US", "", 64496, 4), "iad", "ord", 10, 1000),
			served(cellIn("US", "", 64496, 4), "lax", "ord", 10, 3000),
			served(cellIn("US", "", 64496, 4), edge.Failed, "", 100, 9000),
			served(cellIn("BR", "", 64500, 4), "gru", "", 8, 8),
			served(cellIn("US", "", 64499, 4), "sin", "ord", 2, 100),
		})}); err != nil {
			t.Fatal(err)
		}
	}
	network, both := edge.CellKey{Country: "US", ASN: 64496, Family: 4}, edge.CellKey{Country: "US"}
	country := edge.CellKey{Country: "US", Family: 4}
	var want []edge.Catchment
	for _, c := range []struct {
		cell     edge.CellKey
		lax, iad float64
	}{{both, 0.7317, 0.2439}, {country, 0.7317, 0.2439}, {network, 0.75, 0.25}} { // sin has under 5 % of the country
		want = append(
			want, edge.Catchment{CellKey: c.cell, Scheme: edge.Global, PoP: "lax", Share: c.lax},
			edge.Catchment{CellKey: c.cell, Scheme: edge.Global, PoP: "iad", Share: c.iad},
			edge.Catchment{CellKey: c.cell, Scheme: edge.Regional, PoP: "ord", Share: 1},
		)
	}
	if diff := cmp.Diff(want, m.Catchments()); diff != "" {
		t.Error(diff)
	}
}

// TestThinned: many samples are thinned to those of some prefixes, the same
// ones in whatever order they come, and the median hardly moves.
func TestThinned(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	c := cellIn("US", "IL", 64496, 4)
	var pieces []*edge.Latencies
	for i := range 40 {
		l := probesAround(rng, c, "ord", 30, 500)
		for j := range l.Samples { // prefixes of its own
			l.Samples[j] = edge.SampleOf(uint64(i)<<40|uint64(j), edge.BinMs(l.Samples[j].Bin()))
		}
		pieces = append(pieces, l)
	}
	var a, b thinned
	for i := range pieces {
		a.add(pieces[i])
		b.add(pieces[len(pieces)-1-i])
	}
	a.compact()
	b.compact()
	if diff := cmp.Diff(a.packed, b.packed); diff != "" || a.level != b.level {
		t.Errorf("the order of the pieces matters: level %d and %d", a.level, b.level)
	}
	var h histogram
	prefixes := len(h.prefixes(&samples{packed: a.packed}))
	if prefixes > maxPrefixes || prefixes < maxPrefixes/3 {
		t.Errorf("%d prefixes are left of 20000", prefixes)
	}
	ms, ok := h.median([]*samples{{packed: a.packed}}, 20, true)
	if !ok || ms < 29 || ms > 31 {
		t.Errorf("median %v %v", ms, ok)
	}
}

func TestMeasuredErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	fail := func(yield func(*edge.Latencies, error) bool) { yield(nil, broken) }
	if err := NewMeasured(DefaultCriteria()).Read(Window{Latencies: fail, Assignments: each([]*edge.Assignments(nil))}); !errors.Is(err, broken) {
		t.Error(err)
	}
	odd := []*edge.Latencies{{Cell: cellIn("US", "IL", 64496, 4), Samples: []edge.Sample{1, 2}, Counts: []uint32{1}}}
	if err := NewMeasured(DefaultCriteria()).Read(Window{Latencies: each(odd), Assignments: each([]*edge.Assignments(nil))}); err == nil {
		t.Error("a malformed element was taken")
	}
}
