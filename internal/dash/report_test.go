package dash

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/analysis"
	"catchment/internal/edge"
	"catchment/internal/report"
)

// days are the windows that the command line makes of a period.
func (r *rig) days(first, last edge.Day) func(func(analysis.Window) bool) {
	return func(yield func(analysis.Window) bool) {
		for d := first; d <= last; d++ {
			if !yield(r.from.Window(r.t.Context(), d)) {
				return
			}
		}
	}
}

func about(t analysis.Totals, days []*day) report.About {
	return report.About{Criteria: analysis.DefaultCriteria(), Margin: analysis.DefaultMargin, Totals: t, Networks: names(days)}
}

// TestReports: rows are those of the command line's reports, byte by byte, of
// whatever period and grouping: intervals that are clustered by prefix too.
func TestReports(t *testing.T) {
	r := full(t)
	for _, by := range []string{"", "continent", "country", "country,subdivision", "asn", "country,subdivision,asn", "pop", "family"} {
		for _, n := range []edge.Day{1, 2, 4, 7, 14, 30} {
			first := max(testToday-n+1, testToday-testDays+1)
			keys, err := analysis.ParseKeys(by)
			if err != nil {
				t.Fatal(err)
			}
			want := analysis.NewAssignment(keys)
			if err := analysis.Judge(analysis.DefaultCriteria(), r.days(first, testToday), want); err != nil {
				t.Fatal(err)
			}
			var text bytes.Buffer
			if err := report.Assignment(&text, report.JSON, keys, want.Rows(), about(want.Totals(), r.index.now.Load().between(first, testToday))); err != nil {
				t.Fatal(err)
			}
			path := fmt.Sprintf("compare?by=%s&days=%d", by, n)
			if by == "" {
				continue // the parameter's default is country: the whole is in the overview
			}
			got := get[struct {
				State state
				Total int
				Rows  json.RawMessage
			}](r, path, 200)
			if diff := cmp.Diff(compact(t, text.Bytes()), compact(t, got.Rows)); diff != "" {
				t.Fatalf("%s is not the report:\n%s", path, diff)
			}
			if got.State != ok || got.Total == 0 {
				t.Errorf("%s: %+v", path, got.State)
			}
		}
	}
}

func compact(t *testing.T, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestOffendersReport: the same for offenders, which have more.
func TestOffendersReport(t *testing.T) {
	r := full(t)
	first := testToday - 6
	want := analysis.NewOffenders()
	if err := analysis.Judge(analysis.DefaultCriteria(), r.days(first, testToday), want); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := report.Offenders(&text, report.JSON, want.Rows(), about(want.Totals(), r.index.now.Load().between(first, testToday))); err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	if err := json.Unmarshal(text.Bytes(), &rows); err != nil {
		t.Fatal(err)
	}
	got := get[struct {
		Total int
		Rows  []map[string]any
	}](r, "offenders?limit=1000", 200)
	if got.Total != len(rows) || len(rows) < 10 {
		t.Fatalf("%d rows, want %d", got.Total, len(rows))
	}
	for i := range rows {
		for _, key := range []string{"since", "text"} {
			if got.Rows[i][key] == "" {
				t.Errorf("row %d has no %s", i, key)
			}
			delete(got.Rows[i], key)
		}
	}
	if diff := cmp.Diff(rows, got.Rows); diff != "" {
		t.Error(diff)
	}
}

// TestResolversReport: and for resolvers, which are read in the background.
func TestResolversReport(t *testing.T) {
	r := full(t)
	type rows struct {
		State state
		Hint  string
		Rows  json.RawMessage
	}
	if got := get[rows](r, "resolvers?days=7&by=country,resolver", 200); got.State != building {
		t.Errorf("before anything was read: %s %s", got.State, got.Hint)
	}
	p := period{testToday - 6, testToday}
	r.askers.mu.Lock()
	h := r.askers.find(p)
	r.askers.mu.Unlock()
	r.askers.read(t.Context(), h, r.index.now.Load())
	by, err := analysis.ParseViewKeys("country,resolver")
	if err != nil {
		t.Fatal(err)
	}
	want := analysis.NewResolvers(by)
	windows := func(yield func(analysis.ViewWindow) bool) {
		for d := p.first; d <= p.last; d++ {
			if !yield(r.from.ViewWindow(t.Context(), d)) {
				return
			}
		}
	}
	if err := analysis.JudgeViews(analysis.DefaultCriteria(), analysis.Setting{Fleet: testFleet(), Places: places{}, FarKm: analysis.DefaultFarKm}, windows, want); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := report.Resolvers(&text, report.JSON, by, want.Rows(), report.Single{FarKm: analysis.DefaultFarKm, Asked: want.Totals(), Resolvers: want.Names()}); err != nil {
		t.Fatal(err)
	}
	got := get[rows](r, "resolvers?days=7&by=country,resolver", 200)
	if diff := cmp.Diff(compact(t, text.Bytes()), compact(t, got.Rows)); diff != "" || got.State != ok {
		t.Errorf("%s %s\n%s", got.State, got.Hint, diff)
	}
}
