package ramp_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/ramp"
)

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

func inputs(t testing.TB, pattern string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatal("no inputs", pattern, err)
	}
	out := map[string][]byte{}
	for _, file := range files {
		if out[file], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestValid compares what is made of good declarations, and that their JSON
// form declares the same.
func TestValid(t *testing.T) {
	for file, data := range inputs(t, "testdata/valid/*.yaml") {
		p, err := ramp.Parse(filepath.Base(file), data)
		if err != nil {
			t.Error(err)
			continue
		}
		text, err := json.MarshalIndent(p, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, strings.TrimSuffix(file, ".yaml")+".want", string(text)+"\n")
		again, err := ramp.Parse("json", text)
		if err != nil {
			t.Errorf("%s: its JSON form is refused: %v", file, err)
		} else if diff := cmp.Diff(p, again); diff != "" {
			t.Errorf("%s: its JSON form declares something else:\n%s", file, diff)
		}
		var plain ramp.Plan
		if err := json.Unmarshal(text, &plain); err != nil || !cmp.Equal(*p, plain) {
			t.Errorf("%s: encoding/json reads something else: %v", file, err)
		}
	}
}

// TestRefused compares what is said of bad declarations, word for word.
func TestRefused(t *testing.T) {
	for file, data := range inputs(t, "testdata/refused/*.yaml") {
		p, err := ramp.Parse(filepath.Base(file), data)
		var errs ramp.Errors
		if p != nil || !errors.As(err, &errs) {
			t.Errorf("%s was accepted", file)
			continue
		}
		golden(t, strings.TrimSuffix(file, ".yaml")+".want", err.Error()+"\n")
	}
}

// TestReference holds the declaration in docs/ramps.md to the code.
func TestReference(t *testing.T) {
	doc, err := os.ReadFile("../../docs/ramps.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(doc), "```yaml\n")
	example, _, ended := strings.Cut(example, "```")
	if !found || !ended {
		t.Fatal("there is no example")
	}
	if _, err := ramp.Parse("docs/ramps.md", []byte(example)); err != nil {
		t.Errorf("the example is refused:\n%v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/valid/*.yaml", "testdata/refused/*.yaml"} {
		for _, data := range inputs(f, pattern) {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ramp.Parse("x", data)
		if err != nil {
			var errs ramp.Errors
			if !errors.As(err, &errs) || len(errs) == 0 {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if errs := p.Validate(); len(errs) > 0 {
			t.Fatalf("accepted and not valid: %v", errs)
		}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ramp.Parse("json", text); err != nil || !cmp.Equal(p, again) {
			t.Fatalf("its JSON form is another plan: %v", err)
		}
	})
}
