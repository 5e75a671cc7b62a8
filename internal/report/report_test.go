package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/analysis"
	"catchment/internal/edge"
)

// golden compares got with testdata/name, which GOLDEN=update rewrites.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("GOLDEN") == "update" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got)\n%s", path, d)
	}
}

var day, _ = edge.ParseDay("2026-11-01")

func cell(continent, country, subdivision string, asn uint32, family uint8) edge.Cell {
	return edge.Cell{Day: day, Continent: continent, Country: country, Subdivision: subdivision, ASN: asn, Family: family}
}

func prefix(asn uint32, i int) uint64 { return uint64(asn)<<40 | uint64(i)<<24 }

func probes(c edge.Cell, pop edge.PoPID, s edge.Scheme, ms float64) *edge.Latencies {
	l := &edge.Latencies{Cell: c, PoP: pop, Scheme: s}
	for i := range 10 {
		l.Samples, l.Counts = append(l.Samples, edge.SampleOf(prefix(c.ASN, i), ms)), append(l.Counts, 6)
	}
	slices.Sort(l.Samples)
	return l
}

// views are n views at a hundredth from each of 80 prefixes.
func views(c edge.Cell, n uint32, served ...edge.PoPID) *edge.Assignments {
	a := &edge.Assignments{Cell: c}
	copy(a.Served[:], served)
	for i := range 80 {
		v := n + uint32(i*i%7)
		a.Prefixes, a.Views = append(a.Prefixes, prefix(c.ASN, i)), append(a.Views, v)
		a.Weights, a.Weights2 = append(a.Weights, 100*float64(v)), append(a.Weights2, 10000*float64(v))
	}
	return a
}

// world has a state that anycast suits, one with a peer that takes it far
// away, a country where nothing is known, and one where all is well.
func world() iter.Seq[analysis.Window] {
	il, il2 := cell("NA", "US", "IL", 64496, 4), cell("NA", "US", "IL", 64497, 6)
	br, fr, de := cell("SA", "BR", "", 64500, 4), cell("EU", "FR", "", 64501, 4), cell("EU", "DE", "", 64502, 4)
	latencies := []*edge.Latencies{
		probes(il, "ord", "", 11), probes(il, "iad", "", 27), probes(il, "lax", "", 55),
		probes(il2, "ord", "", 12), probes(il2, "iad", "", 25),
		probes(br, "gru", "", 9), probes(br, "mia", "", 108), probes(br, "sin", edge.Global, 331), probes(br, "gru", edge.Unicast, 10),
		probes(de, "fra", "", 8), probes(de, "iad", "", 92), probes(de, "fra", edge.Global, 9),
	}
	assignments := []*edge.Assignments{
		views(il, 60, "ord", "ord", "ord"), views(il, 20, "iad", "ord", "ord"), views(il, 6, "lax", "iad", "ord"),
		views(il, 1, edge.Failed, "ord", "ord"), views(il2, 20, "ord", "ord", "ord"),
		views(br, 30, "gru", "sin", "gru"), views(br, 15, "gru", "gru", "gru"), views(br, 5, "mia", "sin", "gru"),
		views(fr, 2, "fra", edge.Failed), views(de, 9, "fra", "fra", "fra"),
	}
	w := analysis.Window{Latencies: each(latencies), Assignments: each(assignments)}
	return slices.Values([]analysis.Window{w})
}

func each[T any](all []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range all {
			if !yield(v, nil) {
				return
			}
		}
	}
}

func about(totals analysis.Totals) About {
	return About{
		Criteria: analysis.DefaultCriteria(), Margin: analysis.DefaultMargin, Totals: totals,
		Networks: map[uint32]string{
			64496: "Example Broadband of the Prairie", 64500: "Exemplo\x1b[31m | Telecom", 64502: `Beispiel "Netz"`,
		},
	}
}

// render returns the report of a kind.
func render(t *testing.T, kind, by string, f Format, change func(*About)) string {
	t.Helper()
	var b bytes.Buffer
	var err error
	run := func(r analysis.Report) {
		if err := analysis.Judge(analysis.DefaultCriteria(), world(), r); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := analysis.ParseKeys(by)
	if err != nil {
		t.Fatal(err)
	}
	make := func(totals analysis.Totals) About {
		a := about(totals)
		if change != nil {
			change(&a)
		}
		return a
	}
	switch kind {
	case "assignment":
		r := analysis.NewAssignment(keys)
		run(r)
		err = Assignment(&b, f, keys, r.Rows(), make(r.Totals()))
	case "offenders":
		r := analysis.NewOffenders()
		run(r)
		err = Offenders(&b, f, r.Rows(), make(r.Totals()))
	case "pops":
		r := analysis.NewPoPs()
		run(r)
		err = PoPs(&b, f, r.Rows(), make(r.Totals()))
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	for _, kind := range []string{"assignment", "offenders", "pops"} {
		for f, ext := range map[Format]string{Table: "txt", CSV: "csv", JSON: "json", Markdown: "md"} {
			golden(t, kind+"."+ext, render(t, kind, "country,subdivision", f, nil))
		}
	}
	golden(t, "by-all.txt", render(t, "assignment", "continent,asn,family,pop", Table, nil))
	golden(t, "by-all.json", render(t, "assignment", "continent,asn,family,pop", JSON, nil))
	golden(t, "one-scheme.txt", render(t, "assignment", "", Table, func(a *About) {
		a.Schemes = []edge.Scheme{edge.Global}
		a.Criteria.Tolerance = analysis.Tolerance{}
		a.Since = time.Date(2026, 11, 1, 6, 30, 0, 0, time.UTC)
	}))
}

// TestWidth: the default table, with its footer, fits 140 columns.
func TestWidth(t *testing.T) {
	for line := range strings.Lines(render(t, "assignment", "country,subdivision", Table, nil)) {
		if n := utf8.RuneCountInString(line); n > 141 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// TestJSON: what scripts rely on, as they read it.
func TestJSON(t *testing.T) {
	type scheme struct {
		Views, Judged, Failed int
		Optimal, Low, High    *float64
		P50                   *float64 `json:"penalty_p50"`
		P90                   *float64 `json:"penalty_p90"`
	}
	var rows []struct {
		Group    map[string]any
		Views    int
		Schemes  map[string]scheme
		Verdicts map[string]string
		BestPoP  string `json:"best_pop"`
	}
	if err := json.Unmarshal([]byte(render(t, "assignment", "country,subdivision", JSON, nil)), &rows); err != nil {
		t.Fatal(err)
	}
	il := rows[0]
	if d := cmp.Diff(map[string]any{"country": "US", "subdivision": "IL"}, il.Group); d != "" {
		t.Error(d)
	}
	if il.BestPoP != "ord" || il.Verdicts["global"] != "anycast" || il.Verdicts["unicast"] != "" || len(il.Schemes) != 3 {
		t.Errorf("%+v", il)
	}
	u := il.Schemes["unicast"]
	if !(*u.Low < *u.Optimal && *u.Optimal < *u.High && *u.Optimal > 0.5 && *u.High < 1) || u.Failed == 0 || *u.P50 != 0 || *u.P90 < 10 {
		t.Errorf("%+v", u)
	}
	for _, r := range rows {
		if r.Group["country"] != "FR" {
			continue
		}
		if s := r.Schemes["unicast"]; s.Optimal != nil || s.Low != nil || s.P90 != nil || s.Judged != 0 || s.Views == 0 {
			t.Errorf("nothing is known about France: %+v", s)
		}
		if r.Verdicts["global"] != "too few" || r.BestPoP != "" {
			t.Errorf("France: %+v", r)
		}
	}
}

func TestNothing(t *testing.T) {
	a := about(analysis.NewAssignment(nil).Totals())
	var b bytes.Buffer
	if err := Assignment(&b, JSON, nil, nil, a); err != nil || b.String() != "[]\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
	b.Reset()
	if err := PoPs(&b, Table, nil, a); err != nil || !strings.Contains(b.String(), "no views") {
		t.Errorf("%q, %v", b.String(), err)
	}
	full := errors.New("disk full")
	if err := Offenders(failing{full}, CSV, nil, a); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestFigures(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	nan := math.NaN()
	f(interval(0.702, 0.698, 0.706), "70.2 ±0.4")
	f(interval(0.702, 0.698, 0.707), "70.2 ±0.5")
	f(interval(0.458, 0.289, 0.637), "45.8 ±18")
	f(interval(1, 0.987, 1), "98.7–100")
	f(interval(0.99, 0.95, 0.999), "95.0–99.9")
	f(interval(nan, nan, nan), "–")
	f(latency(0), "0")
	f(latency(4.26), "4.3")
	f(latency(31.2), "31")
	f(latency(nan), "–")
	f(grouped(0), "0")
	f(grouped(999), "999")
	f(grouped(52310), "52,310")
	f(grouped(1234567), "1,234,567")
	f(rounded(1.0/3, 6), "0.333333")
	f(rounded(-1e-9, 6), "0")
	f(rounded(math.Inf(1), 6), "")
	f(rounded(12800000, 3), "12800000")
	f(short("Example", 5), "Exam…")
	f(clean("a\x1b[31m\nb\xff"), "a?[31m?b?")
	for _, s := range []string{"", "plain", `qu"ote\`, "ünïcödé", "a\x00\n\u2028<>&", "\xff"} {
		var back string
		if err := json.Unmarshal(appendString(nil, s), &back); err != nil || back != strings.ToValidUTF8(s, "\ufffd") {
			t.Errorf("%q comes back as %q, %v", s, back, err)
		}
	}
	if _, err := ParseFormat("xml"); err == nil {
		t.Error("xml is a format")
	}
}
