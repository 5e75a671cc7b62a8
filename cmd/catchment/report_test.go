package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
)

// reportOf runs the command and returns what it printed.
func reportOf(t *testing.T, args ...string) (out, stderr string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	err = reportCommand().run(t.Context(), stdio{strings.NewReader(""), &o, &e}, args)
	return o.String(), e.String(), err
}

func mustReport(t *testing.T, args ...string) string {
	t.Helper()
	out, stderr, err := reportOf(t, args...)
	if err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	return out
}

// published is LinkedIn's table of 2015: the share of users that DNS and one
// global anycast address led to the optimal PoP, and the right decision.
var published = []struct {
	continent, country, subdivision string
	dns, global                     float64
	verdict                         string
}{
	{"NA", "US", "IL", 0.70, 0.90, "anycast"},
	{"NA", "US", "FL", 0.73, 0.95, "anycast"},
	{"NA", "US", "GA", 0.75, 0.93, "anycast"},
	{"NA", "US", "PA", 0.85, 0.95, "anycast"},
	{"NA", "US", "NY", 0.77, 0.74, "no change"},
	{"NA", "US", "AZ", 0.60, 0.39, "dns"},
	{"SA", "BR", "", 0.88, 0.33, "dns"},
}

// publishedBeacons are 4,000 page views of each geography, from four networks
// and 240 client prefixes, at those rates. ord is optimal everywhere.
func publishedBeacons(rng *rand.Rand) []*edge.Beacon {
	const views = 4000
	pops := []edge.PoPID{"ord", "iad", "lax", "sin"}
	rtt := func(pop, network int) float64 {
		return ([]float64{11, 26, 58, 190}[pop] + []float64{1, 4, 9, 22}[network]) * (1 + 0.15*rng.ExpFloat64())
	}
	day := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	var all []*edge.Beacon
	for g, geo := range published {
		for i := range views {
			prefix := rng.IntN(240)
			network := prefix % 4
			b := &edge.Beacon{
				V: 1, ID: fmt.Sprintf("%d-%d", g, i), Rate: 0.01,
				Received: day.Add(time.Duration(i) * 20 * time.Second),
				Client:   netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(g), byte(prefix)}), 48),
				Place: edge.Place{
					Continent: geo.continent, Country: geo.country, Subdivision: geo.subdivision,
					ASN: uint32(64496 + network), ASName: fmt.Sprintf("Example %d", network),
				},
			}
			probe := func(target edge.Target, pop int) {
				b.Probes = append(b.Probes, edge.Probe{Target: target, PoP: pops[pop], RTT: rtt(pop, network), AF: 6})
			}
			served := func(s edge.Scheme, optimal float64) {
				pop := 0
				if rng.Float64() >= optimal {
					pop = 1 + rng.IntN(len(pops)-1)
				}
				probe(edge.Target(s), pop)
			}
			served(edge.Unicast, geo.dns)
			served(edge.Global, geo.global)
			probe(edge.TargetOf(pops[0]), 0)
			other := 1 + rng.IntN(len(pops)-1)
			probe(edge.TargetOf(pops[other]), other)
			all = append(all, b)
		}
	}
	return all
}

// TestReportPublished: beacons in the store, the published table in the report.
func TestReportPublished(t *testing.T) {
	dir := t.TempDir()
	writeDays(t, dir, publishedBeacons(rand.New(rand.NewPCG(7, 7))))

	var rows []struct {
		Group struct{ Country, Subdivision string }
		Views int

		Schemes map[string]struct {
			Views              int
			Optimal, Low, High float64
			P90                float64 `json:"penalty_p90"`
		}
		Verdicts map[string]string
		BestPoP  string `json:"best_pop"`
	}
	out := mustReport(t, "assignment", "--data", dir, "--by", "country,subdivision", "--format", "json")
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(published) {
		t.Fatalf("%d groups: %s", len(rows), out)
	}
	inside := 0
	for _, geo := range published {
		for _, r := range rows {
			if r.Group.Country != geo.country || r.Group.Subdivision != geo.subdivision {
				continue
			}
			if r.Views != 4000 || r.BestPoP != "ord" || r.Verdicts["global"] != geo.verdict || len(r.Schemes) != 2 {
				t.Errorf("%s %s: %+v, want %s", geo.country, geo.subdivision, r, geo.verdict)
			}
			for scheme, truth := range map[string]float64{"unicast": geo.dns, "global": geo.global} {
				s := r.Schemes[scheme]
				if math.Abs(s.Optimal-truth) > 0.03 || s.High-s.Low > 0.04 || s.Views != 4000 {
					t.Errorf("%s %s %s: %+v, the truth is %v", geo.country, geo.subdivision, scheme, s, truth)
				}
				if s.Low <= truth && truth <= s.High {
					inside++
				}
			}
		}
	}
	if inside < 12 { // of 14; fewer than 12 in 3 % of all tables, by binomial chance
		t.Errorf("%d of 14 shares lie inside their intervals", inside)
	}

	// The same figures in CSV.
	records, err := csv.NewReader(strings.NewReader(mustReport(t, "assignment", "--data", dir, "--format", "csv"))).ReadAll()
	if err != nil || len(records) != 1+len(published) {
		t.Fatalf("%d records, %v", len(records), err)
	}

	// A window of part of the day has part of the views, and says so.
	half := mustReport(t, "assignment", "--data", dir, "--by", "", "--since", "2026-11-01T11:06:40Z")
	if !strings.Contains(half, "14,000 views") || !strings.Contains(half, "since 2026-11-01 11:06") {
		t.Errorf("half a day:\n%s", half)
	}

	table := mustReport(t, "offenders", "--data", dir, "--limit", "3", "--scheme", "global")
	if !strings.Contains(table, "Example") || strings.Contains(table, "unicast  ") || !strings.Contains(table, "BR") {
		t.Errorf("offenders:\n%s", table)
	}
	var pops []struct {
		PoP, Scheme string
		Share       float64
	}
	if err := json.Unmarshal([]byte(mustReport(t, "pops", "--data", dir, "--format", "json")), &pops); err != nil {
		t.Fatal(err)
	}
	sum := map[string]float64{}
	for _, p := range pops {
		sum[p.Scheme] += p.Share
	}
	if len(pops) != 8 || math.Abs(sum["unicast"]-1) > 1e-5 || math.Abs(sum["global"]-1) > 1e-5 {
		t.Errorf("pops: %+v", pops)
	}
}

func TestReportEmpty(t *testing.T) {
	dir := t.TempDir()
	for _, kind := range []string{"assignment", "offenders", "pops"} {
		out, stderr, err := reportOf(t, kind, "--data", dir, "--format", "json")
		if err != nil || out != "[]\n" || !strings.Contains(stderr, "catchment import") {
			t.Errorf("%s: %q, %q, %v", kind, out, stderr, err)
		}
		if out = mustReport(t, kind, "--data", dir); !strings.Contains(out, "no views") {
			t.Errorf("%s: %s", kind, out)
		}
	}
	if _, _, err := reportOf(t, "pops", "--data", dir+"/none"); err == nil {
		t.Error("a directory that does not exist has a report")
	}
}

func TestReportUsage(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		_, stderr, err := reportOf(t, args...)
		if !errors.Is(err, errUsage) || !strings.Contains(stderr, want) {
			t.Errorf("%q: %v, %s", args, err, stderr)
		}
	}
	f("which report?")
	f("which report?", "--data", "x")
	f(`(got "all")`, "all", "--data", "x")
	f("--data is required", "assignment")
	f(`unexpected argument "x"`, "assignment", "x")
	f(`group key "city"`, "assignment", "--data", "x", "--by", "city")
	f("want 0, 5ms", "assignment", "--data", "x", "--tolerance", "5")
	f("--margin", "assignment", "--data", "x", "--margin", "NaN")
	f("--min-samples", "pops", "--data", "x", "--min-samples", "0")
	f("--limit", "offenders", "--data", "x", "--limit", "-1")
	f("xml", "pops", "--data", "x", "--format", "xml")
	f(`"dns"`, "pops", "--data", "x", "--scheme", "global,dns")
	f("--since", "pops", "--data", "x", "--since", "noon")
	f("--by is for 'report assignment|resolvers|causes'", "pops", "--data", "x", "--by", "asn")
	f("--limit is for 'report offenders'", "assignment", "--data", "x", "--limit", "3")
	got, err := parseReport(stdio{err: &bytes.Buffer{}}, []string{"assignment", "--data", "x", "--scheme", "global, regional", "--margin", "2.5"})
	if err != nil || got.margin != 0.025 {
		t.Errorf("%+v, %v", got, err)
	}
	if d := cmp.Diff([]edge.Scheme{edge.Global, edge.Regional}, got.schemes); d != "" {
		t.Error(d)
	}
}
