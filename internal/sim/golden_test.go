package sim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/analysis"
	"catchment/internal/fleet"
	"catchment/internal/report"
	"catchment/internal/sim"
	"catchment/internal/sim/people"
	"catchment/internal/sim/route"
)

// golden compares got with testdata/name, which GOLDEN=update rewrites.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("GOLDEN") == "update" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got)\n%s", path, d)
	}
}

var extensions = map[report.Format]string{report.Table: "txt", report.Markdown: "md", report.CSV: "csv", report.JSON: "json"}

func render(t *testing.T, f func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := f(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// noisy is the hand-made world as the commands would make it: with networks
// that stray, and people whom geolocation misplaces.
func noisy(t *testing.T, seed uint64) *sim.World {
	t.Helper()
	topo := sim.Story(t)
	o := sim.DefaultOptions(seed)
	o.People = people.New(topo, people.DefaultModel(seed))
	w, err := sim.New(sim.LoadFleet(t, nil), topo, o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func about(seeds int, by sim.By, table string) report.SimAbout {
	return report.SimAbout{
		Seed: 1, Seeds: seeds, By: by, Tolerance: analysis.DefaultTolerance, Rate: 1,
		Sources: []string{"made by hand"}, Limit: 20, Table: table,
	}
}

func summaries(t *testing.T, seeds int, by sim.By) (runs []*sim.Summary) {
	t.Helper()
	for i := range seeds {
		o, err := noisy(t, 1+uint64(i)).Evaluate()
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, o.Summarize(sim.Judging{By: by, Tolerance: analysis.DefaultTolerance, Rate: 1}))
	}
	return runs
}

func TestRunGolden(t *testing.T) {
	f := func(name string, seeds int, by sim.By, format report.Format, table string) {
		t.Helper()
		runs := summaries(t, seeds, by)
		got := render(t, func(w io.Writer) error { return report.SimRun(w, format, runs, about(seeds, by, table)) })
		golden(t, name+"."+extensions[format], got)
	}
	f("run", 1, sim.ByCountry, report.Table, "places")
	f("run", 1, sim.ByCountry, report.JSON, "places")
	f("run-places", 1, sim.ByASN, report.CSV, "places")
	f("run-pops", 1, sim.ByCountry, report.CSV, "pops")
	f("ensemble", 9, sim.BySubdivision, report.Table, "places")
	f("ensemble", 9, sim.ByContinent, report.Markdown, "places")
	f("ensemble", 9, sim.ByContinent, report.JSON, "places")
	f("ensemble-pops", 9, sim.ByContinent, report.CSV, "pops")
}

func TestWhatIfGolden(t *testing.T) {
	seeds := 1
	f := func(name string, format report.Format, table string, edits ...string) {
		t.Helper()
		var list []sim.Edit
		for _, s := range edits {
			kind, text, _ := strings.Cut(s, " ")
			e, err := sim.ParseEdit(sim.EditKind(kind), text)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, e)
		}
		var runs []*sim.Change
		for i := range seeds {
			c, err := noisy(t, 1+uint64(i)).WhatIf(sim.GlobalVIP, list, 1)
			if err != nil {
				t.Fatal(err)
			}
			runs = append(runs, c)
		}
		golden(t, name+"."+extensions[format], render(t, func(w io.Writer) error {
			return report.SimChange(w, format, runs, about(seeds, sim.ByCountry, table))
		}))
	}
	f("drain", report.Table, "moves", "withdraw gru")
	f("drain", report.JSON, "moves", "withdraw gru")
	f("drain", report.Markdown, "moves", "withdraw gru")
	f("repair", report.Table, "moves", "drop-transit sin:AS64498", "add-session sin:AS64496")
	f("repair-causes", report.CSV, "causes", "drop-transit sin:AS64498", "add-session sin:AS64496")
	f("repair-moves", report.CSV, "moves", "drop-transit sin:AS64498", "add-session sin:AS64496")
	f("repair-pops", report.CSV, "pops", "drop-transit sin:AS64498", "add-session sin:AS64496")
	f("nothing-left", report.Table, "moves", "withdraw *")
	f("nothing-changes", report.Table, "moves", "prepend gru:64502:3")
	seeds = 9
	f("repair-ensemble", report.Table, "moves", "drop-transit sin:AS64498", "add-session sin:AS64496")
	f("repair-ensemble", report.JSON, "moves", "drop-transit sin:AS64498", "add-session sin:AS64496")
	f("repair-ensemble-causes", report.CSV, "causes", "drop-transit sin:AS64498", "add-session sin:AS64496")
}

func TestExplainGolden(t *testing.T) {
	w := noisy(t, 1)
	a, m, err := sim.FindGroup(w.Topology, 64500, "São Paulo")
	if err != nil {
		t.Fatal(err)
	}
	e, err := w.Explain(sim.GlobalVIP, a, m, analysis.DefaultTolerance)
	if err != nil {
		t.Fatal(err)
	}
	for format, ext := range extensions {
		golden(t, "explain."+ext, render(t, func(w io.Writer) error {
			return report.SimExplain(w, format, e, about(1, sim.ByCountry, "path"))
		}))
	}
}

// TestDoc holds docs/sim.md to the code: its fleet is one, it has every edit and
// its parameters are the defaults.
func TestDoc(t *testing.T) {
	data, err := os.ReadFile("../../docs/sim.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(data)
	_, example, _ := strings.Cut(doc, "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	if f, err := fleet.Parse("docs/sim.md", []byte(example)); err != nil || len(f.PoPs) < 5 {
		t.Errorf("%v", err)
	}
	for _, k := range sim.EditKinds {
		if !strings.Contains(doc, "| `--"+string(k.Kind)+" ") {
			t.Errorf("--%s is not in the table", k.Kind)
		}
	}
	c, m := sim.DefaultConnectivity(), route.DefaultModel(1)
	for _, row := range []string{
		fmt.Sprintf("| carriers | %d |", c.Carriers),
		fmt.Sprintf("| transits per PoP | %d (`--transits`) |", c.Transits),
		fmt.Sprintf("| an AS peers with the fleet | %v; %v with a million users or more |", c.Peer, c.PeerLarge),
		fmt.Sprintf("| who peers does so in each common metro | %v |", c.EachMetro),
		fmt.Sprintf("| of those who peer, in one metro only | %v |", c.SingleMetro),
		fmt.Sprintf("| networks stray | %v |", m.Stray),
		fmt.Sprintf("| networks prefer one neighbor | %v |", m.Anomaly),
	} {
		if !strings.Contains(doc, row) {
			t.Errorf("there is no row %s", row)
		}
	}
}

// TestSchema: scripts rely on these keys, in runs of one seed and of several.
func TestSchema(t *testing.T) {
	want := map[string][]string{
		"1": {
			"engine", "seed", "seeds", "sources", "warnings", "tolerance", "by", "all.users", "all.schemes.global.optimal", "places.0.group.country",
			"places.0.users", "places.0.schemes.regional.penalty_p90", "pops.0.pop", "pops.0.capacity", "pops.0.schemes.unicast.share", "pops.0.schemes.unicast.over",
		},
		"3": {"all.schemes.global.optimal.p10", "places.0.schemes.unicast.foreign.p90", "pops.0.schemes.global.users.p50", "pops.0.schemes.global.rate.p50"},
	}
	for _, seeds := range []int{1, 3} {
		runs := summaries(t, seeds, sim.ByCountry)
		var doc any
		text := render(t, func(w io.Writer) error {
			return report.SimRun(w, report.JSON, runs, about(seeds, sim.ByCountry, "places"))
		})
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		for _, path := range want[fmt.Sprint(seeds)] {
			at := doc
			for key := range strings.SplitSeq(path, ".") {
				switch x := at.(type) {
				case map[string]any:
					at = x[key]
				case []any:
					at = x[0]
				default:
					at = nil
				}
			}
			if at == nil {
				t.Errorf("%d seeds: there is no %s", seeds, path)
			}
		}
	}
}

// TestDeterministic: the same bytes with one processor, with several, and
// again.
func TestDeterministic(t *testing.T) {
	all := func() string {
		runs := summaries(t, 2, sim.ByASN)
		return render(t, func(w io.Writer) error { return report.SimRun(w, report.JSON, runs, about(2, sim.ByASN, "places")) })
	}
	first := all()
	was := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(was)
	one := all()
	runtime.GOMAXPROCS(4)
	if four := all(); one != first || four != first {
		t.Error("the number of processors makes a difference")
	}
}

// TestShares: whatever the scheme, a group's shares add up to 1, one for each
// asker, and loads add up to the users who are led somewhere.
func TestShares(t *testing.T) {
	w := noisy(t, 3)
	o, err := w.Evaluate()
	if err != nil {
		t.Fatal(err)
	}
	s := o.Summarize(sim.Judging{By: sim.ByContinent, Tolerance: analysis.DefaultTolerance})
	for _, scheme := range []string{"unicast", "global", "regional"} {
		var led float64
		for _, l := range s.PoPs {
			if string(l.Scheme) == scheme {
				led += l.Users
			}
		}
		k := slices.Index([]string{"unicast", "global", "regional"}, scheme)
		if f := s.All.Schemes[k]; !(f.Users > 0) || led < f.Users*(1-f.Lost)-1e-6 || led > f.Users*(1-f.Lost)+1e-6 {
			t.Errorf("%s: %v users at PoPs, of %+v", scheme, led, f)
		}
	}
	for g := range w.Topology.Groups {
		askers := w.People.Located(nil, g)
		shares := o.Assigned(nil, g, "regional")
		sum := 0.0
		for i, x := range shares {
			sum += x.Share
			if x.Asker != i || x.Unled != (x.VIP == "") {
				t.Errorf("group %d: %+v", g, x)
			}
		}
		if len(shares) != len(askers) || sum < 1-1e-9 || sum > 1+1e-9 {
			t.Errorf("group %d: %d shares of %v for %d askers", g, len(shares), sum, len(askers))
		}
	}
}
