package analysis

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"catchment/internal/edge"
)

var compareRows = cmp.Options{
	cmpopts.EquateNaNs(), cmp.AllowUnexported(Difference{}), cmpopts.EquateApprox(0, 0),
}

// someWorld has two geographies, half a day each, correlated prefixes.
func someWorld(seed uint64) *world {
	w := newWorld(seed)
	for _, g := range published[:2] {
		w.add(g, traffic{views: 2000, prefixes: 120, icc: 0.1})
	}
	return w
}

// split cuts every element into up to three, and shuffles them.
func (w *world) split() *world {
	out := &world{rng: w.rng}
	for _, l := range w.latencies {
		parts := [3]*edge.Latencies{}
		for p := range parts {
			c := *l
			c.Samples, c.Counts = nil, nil
			parts[p] = &c
		}
		for i, s := range l.Samples {
			for range l.Counts[i] {
				p := parts[w.rng.IntN(3)]
				if k := len(p.Samples) - 1; k >= 0 && p.Samples[k] == s {
					p.Counts[k]++
					continue
				}
				p.Samples, p.Counts = append(p.Samples, s), append(p.Counts, 1)
			}
		}
		out.latencies = append(out.latencies, parts[:]...)
	}
	for _, a := range w.assignments {
		b, c := *a, *a
		b.Prefixes, b.Views, b.Weights, b.Weights2 = nil, nil, nil, nil
		c.Prefixes, c.Views, c.Weights, c.Weights2 = nil, nil, nil, nil
		for i := range a.Prefixes {
			half := a.Views[i] / 2
			add := func(to *edge.Assignments, views uint32, w, w2 float64) {
				if views > 0 {
					to.Prefixes = append(to.Prefixes, a.Prefixes[i])
					to.Views, to.Weights, to.Weights2 = append(to.Views, views), append(to.Weights, w), append(to.Weights2, w2)
				}
			}
			if half > 0 { // the weights in halves, which is exact, whatever the views
				add(&b, half, a.Weights[i]/2, a.Weights2[i]/2)
				add(&c, a.Views[i]-half, a.Weights[i]/2, a.Weights2[i]/2)
			} else {
				add(&b, a.Views[i], a.Weights[i], a.Weights2[i])
			}
		}
		out.assignments = append(out.assignments, &b, &c)
	}
	w.rng.Shuffle(len(out.latencies), func(i, j int) {
		out.latencies[i], out.latencies[j] = out.latencies[j], out.latencies[i]
	})
	w.rng.Shuffle(len(out.assignments), func(i, j int) {
		out.assignments[i], out.assignments[j] = out.assignments[j], out.assignments[i]
	})
	return out
}

// TestPiecesInAnyOrder: pieces of cells add up to the same, to the last bit.
func TestPiecesInAnyOrder(t *testing.T) {
	for seed := range uint64(10) {
		w := someWorld(seed)
		by := []Key{BySubdivision, ByASN}
		whole := judgeAll(t, DefaultCriteria(), w.window(), by...)
		if len(whole) != 2*len(accessOf) {
			t.Fatalf("%d groups", len(whole))
		}
		pieces := judgeAll(t, DefaultCriteria(), w.split().window(), by...)
		if d := cmp.Diff(whole, pieces, compareRows); d != "" {
			t.Fatalf("seed %d: pieces differ (-whole +pieces)\n%s", seed, d)
		}
	}
}

// TestDaysApart: one window of all days is the same as a window for each.
func TestDaysApart(t *testing.T) {
	days := []*world{someWorld(1), someWorld(2), someWorld(3)}
	together, apart := NewAssignment([]Key{BySubdivision}), NewAssignment([]Key{BySubdivision})
	var all world
	var windows []Window
	for i, w := range days {
		for _, l := range w.latencies {
			l.Day += edge.Day(i)
		}
		for _, a := range w.assignments {
			a.Day += edge.Day(i)
		}
		all.latencies = append(all.latencies, w.latencies...)
		all.assignments = append(all.assignments, w.assignments...)
		windows = append(windows, w.window())
	}
	if err := Judge(DefaultCriteria(), slices.Values(windows), apart); err != nil {
		t.Fatal(err)
	}
	if err := Judge(DefaultCriteria(), once(all.window()), together); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(together.Rows(), apart.Rows(), compareRows); d != "" {
		t.Errorf("days apart differ (-together +apart)\n%s", d)
	}
	if got := together.Totals(); got != apart.Totals() || got.From != testDay || got.To != testDay+2 || got.Views != 12000 {
		t.Errorf("totals %+v, apart %+v", got, apart.Totals())
	}
}

// TestRates: a rate that is the same for all changes nothing, and a view of
// rate 1/3 says as much about a share as three of rate 1, but no more surely.
func TestRates(t *testing.T) {
	w := someWorld(4)
	before := judgeAll(t, DefaultCriteria(), w.window(), BySubdivision)
	for _, a := range w.assignments {
		for i := range a.Weights {
			a.Weights[i] *= 8
			a.Weights2[i] *= 64
		}
	}
	after := judgeAll(t, DefaultCriteria(), w.window(), BySubdivision)
	if d := cmp.Diff(before, after, compareRows); d != "" {
		t.Errorf("an eighth of the rate changes (-before +after)\n%s", d)
	}

	rows := func(views int, rate float64) Share {
		good, bad := viewsOf(illinois, 100, "ord"), viewsOf(illinois, 100, "iad")
		for i := range bad.Prefixes {
			bad.Prefixes[i] = prefixKey(100 + i)
			bad.Views[i], bad.Weights[i], bad.Weights2[i] = uint32(views), float64(views)/rate, float64(views)/(rate*rate)
		}
		lat := []*edge.Latencies{probe(illinois, "ord", "", 40, 10), probe(illinois, "iad", "", 40, 30)}
		return judgeAll(t, DefaultCriteria(), Window{each(lat), each([]*edge.Assignments{good, bad})})[0].Schemes[unicastAt]
	}
	thrice, third := rows(3, 1), rows(1, 1.0/3)
	near(t, "optimal", thrice.Optimal, 0.25, 1e-12)
	near(t, "optimal", third.Optimal, 0.25, 1e-12)
	if third.Views != 200 || thrice.Views != 400 {
		t.Errorf("views %d and %d", third.Views, thrice.Views)
	}
	if thrice.High-thrice.Low > third.High-third.Low {
		t.Errorf("fewer views are surer: %v–%v against %v–%v", third.Low, third.High, thrice.Low, thrice.High)
	}
}

// TestSchemeAgainstItself has no difference, and says so only with enough
// prefixes.
func TestSchemeAgainstItself(t *testing.T) {
	w := someWorld(5)
	for _, a := range w.assignments {
		a.Served[globalAt] = a.Served[unicastAt]
	}
	for _, row := range judgeAll(t, DefaultCriteria(), w.window(), BySubdivision) {
		d := row.Against[globalAt]
		if d.Delta != 0 || d.Low != -d.High || !(d.High > 0) {
			t.Errorf("%s: %+v", row.Group[0].Text, d)
		}
		if a, b := row.Schemes[unicastAt], row.Schemes[globalAt]; a != b {
			t.Errorf("%s: %+v and %+v", row.Group[0].Text, a, b)
		}
	}
	same := func(prefixes int) Verdict {
		lat := []*edge.Latencies{probe(illinois, "ord", "", 40, 10), probe(illinois, "iad", "", 40, 30)}
		views := viewsOf(illinois, prefixes, "ord", "ord")
		return judgeAll(t, DefaultCriteria(), Window{each(lat), each([]*edge.Assignments{views})})[0].Against[globalAt].Verdict(DefaultMargin)
	}
	if got := same(200); got != NoChange {
		t.Errorf("200 prefixes that agree: %q", got)
	}
	if got := same(5); got != TooFew {
		t.Errorf("5 prefixes that agree: %q", got)
	}
}

// TestRow checks every figure of a small group by hand.
func TestRow(t *testing.T) {
	lat := []*edge.Latencies{
		probe(illinois, "ord", "", 40, 10), probe(illinois, "iad", "", 40, 30), probe(illinois, "lax", "", 40, 70),
	}
	unknown := illinois
	unknown.Country, unknown.Subdivision = "", ""
	views := []*edge.Assignments{
		viewsOf(illinois, 60, "ord", "ord"),
		viewsOf(illinois, 20, "iad", "ord"),
		viewsOf(illinois, 10, "lax", "ord", "ord"),
		viewsOf(illinois, 5, edge.Failed, "lax"),
		viewsOf(illinois, 4, "ord", "nrt"), // nobody knows how far nrt is
		viewsOf(illinois, 1, "", "ord"),
		viewsOf(unknown, 7, "ord", edge.Failed),
	}
	r := NewAssignment(nil)
	if err := Judge(DefaultCriteria(), once(Window{each(lat), each(views)}), r); err != nil {
		t.Fatal(err)
	}
	rows := r.Rows()
	if len(rows) != 1 || len(rows[0].Group) != 0 {
		t.Fatalf("rows %+v", rows)
	}
	row := rows[0]
	uni, glo, reg := row.Schemes[unicastAt], row.Schemes[globalAt], row.Schemes[regionalAt]
	if row.Views != 107 || row.BestPoP != "ord" {
		t.Errorf("%d views, best %q", row.Views, row.BestPoP)
	}
	if uni.Views != 106 || uni.Judged != 99 || uni.Failed != 5 || uni.WrongPoP != "iad" {
		t.Errorf("unicast %+v", uni)
	}
	near(t, "unicast optimal", uni.Optimal, 64.0/99, 1e-12)
	near(t, "unicast wrong share", uni.WrongShare, 20.0/99, 1e-12)
	near(t, "unicast p50", uni.PenaltyP50, 0, 0)
	near(t, "unicast p90", uni.PenaltyP90, 60, 1) // 94 answered: 64 lose nothing, 20 lose 20 ms, 10 lose 60 ms
	if glo.Views != 107 || glo.Judged != 96 || glo.Failed != 7 || glo.WrongPoP != "lax" {
		t.Errorf("global %+v", glo)
	}
	if reg.Views != 10 || reg.Optimal != 1 {
		t.Errorf("regional %+v", reg)
	}
	d := row.Against[globalAt]
	near(t, "difference", d.Delta, 30.0/95, 1e-12) // 95 judged under both; 30 gained, the failed one was lost already
	if d.Views != 95 || !(d.Low < d.Delta && d.Delta < d.High) {
		t.Errorf("difference %+v", d)
	}
	if v := row.Against[unicastAt].Verdict(DefaultMargin); v != None {
		t.Errorf("unicast against itself: %q", v)
	}
	want := Totals{
		Views: 107, NoPlace: 7, Probed: [3]uint64{106, 107, 10}, Unjudged: [3]uint64{7, 11, 0}, Failed: [3]uint64{5, 7, 0},
		From: testDay, To: testDay,
	}
	if got := r.Totals(); got != want {
		t.Errorf("totals %+v, want %+v", got, want)
	}
}

func TestNothing(t *testing.T) {
	w := Window{each([]*edge.Latencies(nil)), each([]*edge.Assignments(nil))}
	if rows := judgeAll(t, DefaultCriteria(), w, ByCountry); len(rows) != 0 {
		t.Errorf("rows %+v", rows)
	}
	// Views that nobody can judge have NaN for a share, and no verdict but too few.
	rows := judgeAll(t, DefaultCriteria(), Window{w.Latencies, each([]*edge.Assignments{viewsOf(illinois, 3, "ord", "iad")})}, ByCountry)
	if s := rows[0].Schemes[globalAt]; s.Views != 3 || s.Judged != 0 || !math.IsNaN(s.Optimal) || !math.IsNaN(s.Low) || !math.IsNaN(s.PenaltyP90) {
		t.Errorf("%+v", s)
	}
	if v := rows[0].Against[globalAt].Verdict(DefaultMargin); v != TooFew {
		t.Errorf("verdict %q", v)
	}
}

func TestGroups(t *testing.T) {
	perth, seattle := illinois, in(illinois, 5)
	perth.Continent, perth.Country, perth.Subdivision = "OC", "AU", "WA"
	seattle.Subdivision = "WA"
	six := seattle
	six.Family = 6
	views := []*edge.Assignments{
		viewsOf(perth, 2, "syd"), viewsOf(seattle, 3, "sea"), viewsOf(six, 4, edge.Failed), viewsOf(illinois, 2, ""),
	}
	f := func(by string, want ...string) {
		t.Helper()
		keys, err := ParseKeys(by)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, row := range judgeAll(t, DefaultCriteria(), Window{each([]*edge.Latencies(nil)), each(views)}, keys...) {
			var name strings.Builder
			for i, l := range row.Group {
				if l.Key != keys[i] {
					t.Errorf("%s: label %d is of %s", by, i, l.Key)
				}
				name.WriteString(l.Text + " ")
			}
			got = append(got, name.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("by %s: %q", by, got)
		}
	}
	f("", "")
	f("continent", "NA ", "OC ")
	f("country", "US ", "AU ")
	f("subdivision", "US-WA ", "AU-WA ", "US-IL ")
	f("country,subdivision", "US WA ", "AU WA ", "US IL ")
	f("subdivision,country", "WA US ", "IL US ", "WA AU ")
	f("asn", "64501 ", "64496 ")
	f("family", "4 ", "6 ")
	f("pop", "! ", "sea ", " ", "syd ")
	f("family,pop", "6 ! ", "4 sea ", "4  ", "4 syd ")
	for _, bad := range []string{"city", "asn,asn", ",", "country,"} {
		if _, err := ParseKeys(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}
