package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// simPlacesOf writes the places file of the small Internet.
func simPlacesOf(t *testing.T, args ...string) string {
	t.Helper()
	data, err := smallInternet()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	internet, places := filepath.Join(dir, "internet"), filepath.Join(dir, "places.csv")
	if err := os.WriteFile(internet, data, 0o644); err != nil {
		t.Fatal(err)
	}
	var o, e bytes.Buffer
	io := stdio{strings.NewReader(""), &o, &e}
	if err := simPlaces().run(t.Context(), io, append([]string{"--topology", internet, "--out", places}, args...)); err != nil {
		t.Fatalf("%v: %s", err, e.String())
	}
	if err := simPlaces().run(t.Context(), io, append([]string{"--topology", internet}, args...)); err != nil {
		t.Fatalf("%v: %s", err, e.String())
	}
	if file, err := os.ReadFile(places); err != nil || string(file) != o.String() {
		t.Fatalf("the file differs from standard output: %v", err)
	}
	return places
}

// manyPoPs is a fleet whose PoPs can be probed.
const manyPoPs = "../../internal/demo/fleet.yaml"

// shareOf is a share of JSON.
type shareOf struct{ Share, Low, High float64 }

type singleRow struct {
	Scheme    string
	Known     shareOf
	ECS       shareOf
	Explained shareOf
	Wrong     struct{ Astray, Others shareOf }
	NotOpt    shareOf `json:"not_optimal"`
	Causes    map[string]shareOf
}

func singleOf(t *testing.T, args ...string) []singleRow {
	t.Helper()
	var rows []singleRow
	out := mustReport(t, append(args, "--fleet", manyPoPs, "--by", "", "--format", "json")...)
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return rows
}

// TestReportSingle: what DNS gets wrong in a simulated world is because of
// resolvers; where all of them send the client's network, nothing is.
func TestReportSingle(t *testing.T) {
	data, places := filepath.Join(t.TempDir(), "data"), simPlacesOf(t, "--seed", "3")
	if _, stderr, err := simBeaconsOf(t, "--fleet", manyPoPs, "--views", "25000", "--seed", "3", "--data", data); err != nil {
		t.Fatal(err, stderr)
	}
	r := singleOf(t, "resolvers", "--data", data, "--places", places)[0]
	if r.Known.Share != 1 || r.ECS.Share < 0.1 || r.ECS.Share > 0.2 || r.Explained.Low < 0.3 ||
		r.Wrong.Astray.Low <= r.Wrong.Others.High {
		t.Errorf("%+v", r)
	}
	unicast := singleOf(t, "causes", "--data", data, "--places", places, "--scheme", "unicast")
	if len(unicast) != 1 || unicast[0].Scheme != "unicast" || unicast[0].Causes["resolver"].Share < 0.5*unicast[0].NotOpt.Share {
		t.Errorf("%+v", unicast)
	}
	if rows := singleOf(t, "causes", "--data", data, "--places", places); len(rows) != 3 {
		t.Errorf("%+v", rows)
	}

	// Without places of resolvers nothing is said of them.
	_, stderr, err := reportOf(t, "causes", "--data", data, "--fleet", manyPoPs)
	if err != nil || !strings.Contains(stderr, "--places") {
		t.Errorf("without places: %v, %s", err, stderr)
	}
	if u := singleOf(t, "causes", "--data", data)[0]; u.Causes["resolver"].Share != 0 || u.Causes["unknown"].Share == 0 {
		t.Errorf("without places: %+v", u)
	}

	ecs := []string{"--public", "1", "--ecs", "1", "--abroad", "0", "--seed", "3"}
	data, places = filepath.Join(t.TempDir(), "data"), simPlacesOf(t, ecs...)
	if _, stderr, err := simBeaconsOf(t, append(ecs, "--fleet", manyPoPs, "--views", "25000", "--data", data)...); err != nil {
		t.Fatal(err, stderr)
	}
	if u := singleOf(t, "causes", "--data", data, "--places", places)[0]; u.Causes["resolver"].Share != 0 {
		t.Errorf("with client subnet: %+v", u)
	}
}

func TestReportSingleEmpty(t *testing.T) {
	for _, kind := range []string{"resolvers", "causes"} {
		out, stderr, err := reportOf(t, kind, "--data", t.TempDir(), "--fleet", "testdata/sim/fleet.yaml", "--format", "json")
		if err != nil || out != "[]\n" || !strings.Contains(stderr, "catchment import") {
			t.Errorf("%s: %q, %q, %v", kind, out, stderr, err)
		}
	}
}

func TestReportSingleUsage(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		_, stderr, err := reportOf(t, args...)
		if !errors.Is(err, errUsage) || !strings.Contains(stderr, want) {
			t.Errorf("%q: %v, %s", args, err, stderr)
		}
	}
	f("--fleet is required", "causes", "--data", "x")
	f("--fleet is required", "resolvers", "--data", "x")
	f("--places is for 'report resolvers|causes'", "assignment", "--data", "x", "--places", "y")
	f("--far is for 'report resolvers'", "causes", "--data", "x", "--fleet", "y", "--far", "100")
	f("--far: want 0 to 20038", "resolvers", "--data", "x", "--fleet", "y", "--far", "NaN")
	f(`group key "resolver"`, "assignment", "--data", "x", "--by", "resolver")
	f("--margin is for 'report assignment'", "causes", "--data", "x", "--fleet", "y", "--margin", "5")
	got, err := parseReport(stdio{err: &bytes.Buffer{}}, []string{"resolvers", "--data", "x", "--fleet", "y"})
	if err != nil || len(got.by) != 1 || got.by[0] != "country" {
		t.Errorf("%+v, %v", got, err)
	}
	dir := t.TempDir()
	bad := filepath.Join(dir, "places.csv")
	if err := os.WriteFile(bad, []byte("nonsense\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var refused *refusedError
	if _, _, err := reportOf(t, "causes", "--data", dir, "--fleet", "testdata/sim/fleet.yaml", "--places", bad); !errors.As(err, &refused) {
		t.Errorf("a bad places file: %v", err)
	}
	if _, _, err := reportOf(t, "causes", "--data", dir, "--fleet", bad); !errors.As(err, &refused) {
		t.Errorf("a bad fleet file: %v", err)
	}
}
