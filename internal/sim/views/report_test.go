package views

import (
	"iter"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/analysis"
	"catchment/internal/edge"
	"catchment/internal/sim/people"
	"catchment/internal/store"
	"catchment/internal/store/duckdb"
)

// TestReport carries the truth all the way: page views of a world that is known
// exactly go into a store, and the report on them finds the share of optimal
// views within its own 95 % interval, widened so that a dozen of them hold at
// once.
func TestReport(t *testing.T) {
	pm := people.DefaultModel(11)
	pm.CountryError, pm.CityError = 0, nil // else cells hold users of two metros
	w := newHandWorld(t, pm)
	m := plain(DefaultModel(11))
	m.Views, m.Days, m.Timeout = 24_000, 2, 0.01
	g := newGenerator(t, w, m)

	dir := t.TempDir()
	to, err := store.Open(store.Config{Dir: dir}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	f := g.Filler()
	batch := make([]edge.Beacon, 1000)
	refs := make([]*edge.Beacon, len(batch))
	for i := 0; i < m.Views; i += len(batch) {
		for k := range batch {
			f.Fill(&batch[k], i+k) // the same memory for every batch: the store keeps none of it
			refs[k] = &batch[k]
		}
		if n, err := to.Append(t.Context(), refs...); err != nil || n != len(batch) {
			t.Fatal(n, err)
		}
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}

	rows := judge(t, dir, m.From.Time(), (m.From + edge.Day(m.Days)).Time())
	truth := w.optimal(1 - m.Timeout)
	if len(rows) != len(truth) {
		t.Errorf("%d places in the report, %d in the world", len(rows), len(truth))
	}
	for _, r := range rows {
		place := r.Group[0].Text
		if state := r.Group[1].Text; state != "" {
			place += "-" + state
		}
		want, known := truth[place]
		if !known {
			t.Errorf("%s is not in the world", place)
		}
		for k, s := range edge.Schemes {
			got := r.Schemes[k]
			if got.Judged < r.Views*95/100 {
				t.Errorf("%s %s: %d of %d views are judged", place, s, got.Judged, r.Views)
			}
			// 18 intervals of 95 % hold at once at 1.5 times their width.
			middle, half := (got.Low+got.High)/2, (got.High-got.Low)/2
			if math.Abs(want[k]-middle) > 1.5*half {
				t.Errorf("%s %s: reported %.4f (%.4f to %.4f), is %.4f", place, s, got.Optimal, got.Low, got.High, want[k])
			}
		}
	}
}

// judge reports on a store by country and state.
func judge(t *testing.T, dir string, since, until time.Time) []analysis.Row {
	t.Helper()
	engine, err := duckdb.Open(dir, duckdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	q := store.Query{Since: since, Until: until}
	var windows iter.Seq[analysis.Window] = func(yield func(analysis.Window) bool) {
		yield(analysis.Window{Latencies: engine.Latencies(t.Context(), q), Assignments: engine.Assignments(t.Context(), q)})
	}
	by, err := analysis.ParseKeys("country,subdivision")
	if err != nil {
		t.Fatal(err)
	}
	r := analysis.NewAssignment(by)
	if err := analysis.Judge(analysis.DefaultCriteria(), windows, r); err != nil {
		t.Fatal(err)
	}
	return r.Rows()
}

// optimal returns the share of users by place and scheme who reach a PoP that
// is at most 5 ms or 10 % slower than their best one, times how many probes are
// answered.
func (w *handWorld) optimal(answered float64) map[string][len(edge.Schemes)]float64 {
	users := map[string]float64{}
	good := map[string][len(edge.Schemes)]float64{}
	for i, g := range w.topo.Groups {
		at := w.topo.Cities[g.Metro].Place
		place := at.Country
		if at.Subdivision != "" {
			place += "-" + at.Subdivision
		}
		best := w.RTT(i, 0)
		for pop := range w.fleet.PoPs {
			best = min(best, w.RTT(i, pop))
		}
		users[place] += float64(g.Users)
		sums := good[place]
		for k, s := range edge.Schemes {
			for _, x := range w.Assigned(nil, i, s) {
				if x.RTT <= best+max(5, best/10) {
					sums[k] += answered * x.Share * float64(g.Users)
				}
			}
		}
		good[place] = sums
	}
	for place, sums := range good {
		for k := range sums {
			sums[k] /= users[place]
		}
		good[place] = sums
	}
	return good
}
