package dash

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestToday: the last day's figures are metrics, the same that the overview has.
func TestToday(t *testing.T) {
	r := full(t)
	reg := prometheus.NewRegistry()
	reg.MustRegister(today{r.index})
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := []string{strings.TrimPrefix(f.GetName(), "catchment_today_")}
			for _, l := range m.Label {
				name = append(name, l.GetValue())
			}
			got[strings.Join(name, " ")] = m.GetGauge().GetValue()
		}
	}
	type scheme struct {
		Optimal, Low, High float64
		PenaltyP90         float64 `json:"penalty_p90"`
	}
	want := get[struct {
		Views   float64
		Schemes map[string]scheme
	}](r, "overview", 200)
	if want.Views == 0 || got["page_views"] != want.Views {
		t.Errorf("%v page views, want %v", got["page_views"], want.Views)
	}
	near := func(name string, want float64) {
		t.Helper()
		if x, ok := got[name]; !ok || x-want > 1e-4 || want-x > 1e-4 {
			t.Errorf("%s is %v, want %v", name, x, want)
		}
	}
	for _, name := range []string{"unicast", "global", "regional"} {
		s := want.Schemes[name]
		near("optimal_ratio "+name, s.Optimal)
		near("optimal_low_ratio "+name, s.Low)
		near("optimal_high_ratio "+name, s.High)
		near("penalty_p90_seconds "+name, s.PenaltyP90/1000)
	}
}
