package analysis

import (
	"errors"
	"math"
	"strings"
	"testing"

	"catchment/internal/edge"
)

var illinois = published[0].cell(0)

// probe returns n probes of pop from c, spread over eight prefixes, all of ms.
func probe(c edge.Cell, pop edge.PoPID, scheme edge.Scheme, n int, ms float64) *edge.Latencies {
	var samples []edge.Sample
	for i := range n {
		samples = append(samples, edge.SampleOf(prefixKey(1000*int(c.ASN-firstASN)+i%8), ms))
	}
	return latencies(c, pop, scheme, samples)
}

// viewsOf returns one view from each of n prefixes.
func viewsOf(c edge.Cell, n int, served ...edge.PoPID) *edge.Assignments {
	a := &edge.Assignments{Cell: c}
	copy(a.Served[:], served)
	for i := range n {
		a.Prefixes = append(a.Prefixes, prefixKey(i))
		a.Views, a.Weights, a.Weights2 = append(a.Views, 1), append(a.Weights, 1), append(a.Weights2, 1)
	}
	return a
}

func in(c edge.Cell, asn uint32) edge.Cell { c.ASN = firstASN + asn; return c }

// outcomeOf judges one view of c that reached pop under unicast.
func outcomeOf(t *testing.T, criteria Criteria, c edge.Cell, pop edge.PoPID, all ...*edge.Latencies) (best edge.PoPID, o outcome) {
	t.Helper()
	r := &recorder{}
	w := Window{each(all), each([]*edge.Assignments{viewsOf(c, 1, pop)})}
	if err := Judge(criteria, once(w), r); err != nil {
		t.Fatal(err)
	}
	return r.last.best, r.last.outcomes[0]
}

type recorder struct{ last judgement }

func (r *recorder) add(j *judgement) { r.last = *j }

func TestOutcome(t *testing.T) {
	const judged, optimal = true, true
	cell, other := in(illinois, 0), in(illinois, 1)
	elsewhere := illinois
	elsewhere.Subdivision = "WI"
	v6 := illinois
	v6.Family = 6
	tomorrow := illinois
	tomorrow.Day++
	nowhere := edge.Cell{Day: illinois.Day, Continent: "NA", ASN: illinois.ASN, Family: 4}
	own := func(c edge.Cell, pop edge.PoPID, ms float64) *edge.Latencies { return probe(c, pop, "", 40, ms) }
	strict := Criteria{MinSamples: 20}

	for _, c := range []struct {
		name      string
		criteria  Criteria
		at        edge.Cell
		pop       edge.PoPID
		latencies []*edge.Latencies
		best      edge.PoPID
		judged    bool
		optimal   bool
		penalty   float64
	}{
		{
			"the best", strict, cell, "ord",
			[]*edge.Latencies{own(cell, "ord", 10), own(cell, "iad", 14)},
			"ord", judged, optimal, 0,
		},
		{
			"within 5 ms", DefaultCriteria(), cell, "iad",
			[]*edge.Latencies{own(cell, "ord", 10), own(cell, "iad", 14)},
			"ord", judged, optimal, 4,
		},
		{
			"within 5 ms is not best when strict", strict, cell, "iad",
			[]*edge.Latencies{own(cell, "ord", 10), own(cell, "iad", 14)},
			"ord", judged, false, 4,
		},
		{
			"beyond 10 %", DefaultCriteria(), cell, "iad",
			[]*edge.Latencies{own(cell, "ord", 100), own(cell, "iad", 112)},
			"ord", judged, false, 12,
		},
		{
			"within 10 %", DefaultCriteria(), cell, "iad",
			[]*edge.Latencies{own(cell, "ord", 100), own(cell, "iad", 108)},
			"ord", judged, optimal, 8,
		},
		{
			"a failed probe", strict, cell, edge.Failed,
			[]*edge.Latencies{own(cell, "ord", 10), own(cell, "iad", 14)},
			"ord", judged, false, 0,
		},
		{
			"a failed probe where nothing is known", strict, cell, edge.Failed,
			nil, "", false, false, 0,
		},
		{
			"one PoP is nothing to compare", strict, cell, "ord",
			[]*edge.Latencies{own(cell, "ord", 10)},
			"", false, false, 0,
		},
		{
			"a PoP that nobody measured", strict, cell, "sin",
			[]*edge.Latencies{own(cell, "ord", 10), own(cell, "iad", 14)},
			"ord", false, false, 0,
		},
		{
			"another place, family or day says nothing", strict, cell, "ord",
			[]*edge.Latencies{
				own(elsewhere, "ord", 10), own(elsewhere, "iad", 14), own(v6, "ord", 10), own(v6, "iad", 14),
				own(tomorrow, "ord", 10), own(tomorrow, "iad", 14),
			},
			"", false, false, 0,
		},
		{
			"families are not mixed", strict, v6, "ord",
			[]*edge.Latencies{own(cell, "ord", 10), own(cell, "iad", 30), own(v6, "ord", 50), own(v6, "iad", 30)},
			"iad", judged, false, 20,
		},
		{
			"a thin cell is judged by its place", strict, cell, "iad",
			[]*edge.Latencies{own(other, "ord", 10), own(other, "iad", 14), probe(cell, "iad", "", 19, 3)},
			"ord", judged, false, 4,
		},
		{
			"a cell without any probe too", strict, cell, "iad",
			[]*edge.Latencies{own(other, "ord", 10), own(other, "iad", 14)},
			"ord", judged, false, 4,
		},
		{
			"a cell of its own opinion", strict, cell, "ord",
			[]*edge.Latencies{own(other, "ord", 10), own(other, "iad", 14), own(cell, "ord", 30), own(cell, "iad", 20)},
			"iad", judged, false, 10,
		},
		{
			// The cell's access is 40 ms slower; ord, which only the other cell
			// measured, must not look 40 ms faster than what it did measure.
			"borrowed latencies are shifted", strict, cell, "iad",
			[]*edge.Latencies{
				probe(other, "ord", "", 400, 30), probe(other, "iad", "", 400, 20), probe(other, "lax", "", 400, 60),
				own(cell, "iad", 60), own(cell, "lax", 100),
			},
			"iad", judged, optimal, 0,
		},
		{
			// A best PoP that the cell did not happen to probe is still the best.
			"the best is borrowed", strict, cell, "iad",
			[]*edge.Latencies{
				probe(other, "ord", "", 400, 10), probe(other, "iad", "", 400, 20), probe(other, "lax", "", 400, 60),
				own(cell, "iad", 60), own(cell, "lax", 100),
			},
			"ord", judged, false, 10,
		},
		{
			"the scheme's own probes stand in", strict, cell, "sin",
			[]*edge.Latencies{own(cell, "ord", 10), own(cell, "iad", 14), probe(cell, "sin", edge.Unicast, 20, 200)},
			"ord", judged, false, 190,
		},
		{
			"but not another scheme's", strict, cell, "sin",
			[]*edge.Latencies{own(cell, "ord", 10), own(cell, "iad", 14), probe(cell, "sin", edge.Global, 20, 200)},
			"ord", false, false, 0,
		},
		{
			"the scheme's own probes in the place", strict, cell, "sin",
			[]*edge.Latencies{own(cell, "ord", 10), own(cell, "iad", 14), probe(cell, "sin", edge.Unicast, 8, 200), probe(other, "sin", edge.Unicast, 12, 200)},
			"ord", judged, false, 190,
		},
		{
			"a penalty is never negative", strict, cell, "sin",
			[]*edge.Latencies{own(cell, "ord", 10), own(cell, "iad", 14), probe(cell, "sin", edge.Unicast, 20, 5)},
			"ord", judged, optimal, 0,
		},
		{
			"nobody knows where", strict, nowhere, "ord",
			[]*edge.Latencies{own(nowhere, "ord", 10), own(nowhere, "iad", 14)},
			"", false, false, 0,
		},
	} {
		best, o := outcomeOf(t, c.criteria, c.at, c.pop, c.latencies...)
		if best != c.best || o.judged != c.judged || o.optimal != c.optimal {
			t.Errorf("%s: best %q, judged %v, optimal %v", c.name, best, o.judged, o.optimal)
		}
		if slack := 0.02*c.penalty + 1; math.Abs(o.penalty-c.penalty) > slack {
			t.Errorf("%s: penalty %v ms, want %v", c.name, o.penalty, c.penalty)
		}
		if c.penalty == 0 && o.penalty != 0 {
			t.Errorf("%s: penalty %v ms, want none", c.name, o.penalty)
		}
	}
}

func TestMinSamples(t *testing.T) {
	few := []*edge.Latencies{probe(illinois, "ord", "", 40, 10), probe(illinois, "iad", "", 16, 30)}
	if _, o := outcomeOf(t, Criteria{MinSamples: 16}, illinois, "iad", few...); !o.judged {
		t.Error("16 samples are too few for 16")
	}
	if _, o := outcomeOf(t, Criteria{MinSamples: 17}, illinois, "iad", few...); o.judged {
		t.Error("16 samples suffice for 17")
	}
}

func TestJudgeErrors(t *testing.T) {
	f := func(w Window, want string) {
		t.Helper()
		if err := Judge(DefaultCriteria(), once(w), NewAssignment(nil)); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	lost := errors.New("store: lost")
	broken := func(yield func(*edge.Assignments, error) bool) { yield(nil, lost) }
	f(Window{each([]*edge.Latencies(nil)), broken}, "analysis: assignments: store: lost")
	brokenLatencies := func(yield func(*edge.Latencies, error) bool) { yield(nil, lost) }
	f(Window{brokenLatencies, broken}, "analysis: latencies: store: lost")
	short := viewsOf(illinois, 3, "ord")
	short.Weights = short.Weights[:2]
	f(Window{each([]*edge.Latencies(nil)), each([]*edge.Assignments{short})},
		"analysis: assignments of US-IL AS64496 on 2026-11-01 over IPv4: 3 prefixes, 3 views, 2 weights, 3 squares")
	negative := viewsOf(illinois, 1, "ord")
	negative.Weights[0] = math.NaN()
	f(Window{each([]*edge.Latencies(nil)), each([]*edge.Assignments{negative})},
		"analysis: assignments of US-IL AS64496 on 2026-11-01 over IPv4: weights NaN and 1")
	uneven := probe(illinois, "ord", "", 20, 10)
	uneven.Counts = nil
	f(Window{each([]*edge.Latencies{uneven}), broken}, "analysis: latencies of US-IL AS64496 on 2026-11-01 over IPv4: 8 samples, 0 counts")
}

func TestParseTolerance(t *testing.T) {
	f := func(s string, want Tolerance) {
		t.Helper()
		got, err := ParseTolerance(s)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", s, got, err)
		}
		if back, err := ParseTolerance(got.String()); err != nil || back != got {
			t.Errorf("%q is printed as %q", s, got)
		}
	}
	f("0", Tolerance{})
	f("5ms", Tolerance{Ms: 5})
	f("10%", Tolerance{Share: 0.1})
	f("5ms,10%", Tolerance{Ms: 5, Share: 0.1})
	f(" 12.5 % , 0.5 ms ", Tolerance{Ms: 0.5, Share: 0.125})
	for _, s := range []string{"", "5", "-1ms", "5ms,5ms", "5ms,10%,1%", "NaNms", "Infms", "1e9ms", "ms", "%", "5s"} {
		if _, err := ParseTolerance(s); err == nil || !strings.Contains(err.Error(), "want 0, 5ms") {
			t.Errorf("%q: %v", s, err)
		}
	}
}
