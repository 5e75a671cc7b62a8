package fleet_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/fleet"
)

// golden compares got with the golden file, or rewrites it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if os.Getenv("GOLDEN") == "update" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: -want +got\n%s", file, diff)
	}
}

func inputs(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(dir + "/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no inputs in", dir, err)
	}
	out := map[string][]byte{}
	for _, file := range files {
		if out[file], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestValid compares what is made of good files.
func TestValid(t *testing.T) {
	for file, data := range inputs(t, "testdata/valid") {
		f, err := fleet.Parse(filepath.Base(file), data)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		dump, err := json.MarshalIndent(f, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, strings.TrimSuffix(file, ".yaml")+".want", string(dump)+"\n")
	}
}

// TestRefused compares what is said of bad files, word for word.
func TestRefused(t *testing.T) {
	for file, data := range inputs(t, "testdata/refused") {
		f, err := fleet.Parse(filepath.Base(file), data)
		if err == nil {
			t.Errorf("%s was accepted", file)
			continue
		}
		if f != nil {
			t.Errorf("%s: a fleet was returned with the error", file)
		}
		errs, ok := err.(fleet.Errors)
		if !ok || !slices.IsSortedFunc(errs, func(a, b fleet.Error) int { return a.Line - b.Line }) {
			t.Errorf("%s: %T is not sorted Errors", file, err)
		}
		var one fleet.Error
		if !errors.As(err, &one) || one != errs[0] {
			t.Errorf("%s: the first problem cannot be unwrapped", file)
		}
		golden(t, strings.TrimSuffix(file, ".yaml")+".want", err.Error()+"\n")
	}
}

func TestLoad(t *testing.T) {
	if f, err := fleet.Load("testdata/valid/small.yaml"); err != nil || len(f.PoPs) != 1 {
		t.Errorf("%v, %v", f, err)
	}
	_, err := fleet.Load("testdata/none.yaml")
	var refused fleet.Errors
	if err == nil || errors.As(err, &refused) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

const small = "zone: edge.example\npops: [{id: iad, place: {country: US, lat: 38.95, lon: -77.45}}]\n"

// TestLimits: what is too much is refused in a short time and few words.
func TestLimits(t *testing.T) {
	f := func(name, data, want string) {
		t.Helper()
		_, err := fleet.Parse("x.yaml", []byte(data))
		if err == nil {
			t.Errorf("%s: accepted", name)
			return
		}
		errs := err.(fleet.Errors)
		if got := errs[len(errs)-1].Error(); got != want || len(errs) > 201 {
			t.Errorf("%s: %d errors, the last is\n%s\nwant\n%s", name, len(errs), got, want)
		}
	}
	f("large", small+strings.Repeat("#\n", 2<<20), "x.yaml:1: the file is larger than 4 MiB")
	f("deep", small+"vips: "+strings.Repeat("[", 20_000), "x.yaml:3: not YAML: while increasing flow level: exceeded max depth of 10000")
	f("nested", small+"vips: "+strings.Repeat("[", 900)+strings.Repeat("]", 900),
		"x.yaml:3: vips[0]: is a list (want a mapping with id, addresses, prefixes, health)")
	f("many problems", small+"vips:\n"+strings.Repeat("- x\n", 5000), "x.yaml:203: more problems follow, which are not shown")
	f("many unknown keys", small+strings.Repeat("x:\n", 5000), "x.yaml:202: more problems follow, which are not shown")
	f("alias bomb", small+"vips:\n- &v {id: a, prefixes: [198.51.100.0/24], addresses: ["+strings.Repeat("198.51.100.1,", 1000)+"]}\n"+strings.Repeat("- *v\n", 1000),
		"x.yaml:1: the file has more than 131072 values (aliases are counted wherever they are used)")
	f("alias to itself", small+"vips: &v [*v]\n", "x.yaml:3: vips[0]: is a list (want a mapping with id, addresses, prefixes, health)")
	if testing.Short() { // the rest reads 1.8 MB of YAML, which the race detector makes slow
		return
	}
	f("many values", small+"vips: [{id: a, prefixes: [198.51.100.0/24], addresses: ["+strings.Repeat("198.51.100.1,", 140_000)+"]}]",
		"x.yaml:1: the file has more than 131072 values (aliases are counted wherever they are used)")
}

// FuzzParse: nothing panics, a refusal has a position, and what is accepted is
// accepted again, alike.
func FuzzParse(f *testing.F) {
	for _, dir := range []string{"testdata/valid", "testdata/refused"} {
		for _, data := range inputs(f, dir) {
			f.Add(data)
		}
	}
	f.Add([]byte(small))
	f.Add([]byte("zone: *x\npops: &x [*x]\n? [a]\n: !!binary aGk=\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := fleet.Parse("x.yaml", data)
		if err != nil {
			errs, ok := err.(fleet.Errors)
			if !ok || len(errs) == 0 || errs[0].Line < 1 || errs[0].Msg == "" {
				t.Fatalf("refused with %#v", err)
			}
			return
		}
		if len(first.PoPs) == 0 || first.Zone == "" || first.Probe == "" {
			t.Errorf("accepted %+v", first)
		}
		second, err := fleet.Parse("x.yaml", data)
		if err != nil {
			t.Fatal(err)
		}
		a, errA := json.Marshal(first)
		b, errB := json.Marshal(second)
		if errA != nil || errB != nil || string(a) != string(b) {
			t.Errorf("%s %v\n%s %v", a, errA, b, errB)
		}
	})
}
