package geo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPlacesRefused compares what is said of bad places files, word for word.
func TestPlacesRefused(t *testing.T) {
	inputs, err := filepath.Glob("testdata/places/*.csv")
	if err != nil || len(inputs) == 0 {
		t.Fatal("no inputs", err)
	}
	for _, in := range inputs {
		data, err := os.ReadFile(in)
		if err != nil {
			t.Fatal(err)
		}
		_, err = parseOverrides(filepath.Base(in), data)
		if err == nil {
			t.Errorf("%s was accepted", in)
			continue
		}
		got := err.Error() + "\n"
		golden := strings.TrimSuffix(in, ".csv") + ".want"
		if os.Getenv("GOLDEN") == "update" {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s: -want +got\n%s", in, diff)
		}
	}
}

func TestPlacesErrorsAreBounded(t *testing.T) {
	_, err := parseOverrides("places.csv", []byte("prefix,asn\n"+strings.Repeat("x,y\n", 100000)))
	errs, ok := err.(Errors)
	if !ok || len(errs) < maxPlaceErrors || len(errs) > maxPlaceErrors+2 {
		t.Fatalf("%d errors", len(errs))
	}
	if last := errs[len(errs)-1].Msg; last != "too many problems; the rest of the file was not read" {
		t.Errorf("the last error is %q", last)
	}
	if one := errs.Unwrap()[0].Error(); one != errs[0].Error() {
		t.Errorf("unwrapped: %s", one)
	}
}

func TestContinents(t *testing.T) {
	f := func(country, want string) {
		t.Helper()
		got, ok := ContinentOf(country)
		if got != want || ok != (want != "") {
			t.Errorf("ContinentOf(%q) = %q, %v", country, got, ok)
		}
	}
	f("US", "NA")
	f("BR", "SA")
	f("NO", "EU")
	f("NA", "AF")
	f("TL", "OC")
	f("AQ", "AN")
	f("XK", "EU")
	f("UK", "")
	f("EU", "")
	f("us", "")
	f("", "")
	f("USA", "")
	n := 0
	for _, continent := range continentByCode {
		if continent != "" {
			n++
			if !IsContinent(continent) {
				t.Errorf("%q is not a continent", continent)
			}
		}
	}
	if n != 249+1 { // ISO 3166-1 has 249 codes; and XK
		t.Errorf("%d countries", n)
	}
	for _, code := range []string{"", "F ", "A", "ZZ", "na", "AF AN"} {
		if IsContinent(code) {
			t.Errorf("%q is a continent", code)
		}
	}
}
