package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/store"
)

const importFleet = `zone: edge.example.net
probe: probe.edge.example.net
pops:
  - id: iad
    place: {country: US, lat: 38.95, lon: -77.45}
    unicast: [192.0.2.10]
`

func importLine(i int) string {
	return fmt.Sprintf(`{"v":1,"id":"b%d","rate":1,"probes":[{"target":"unicast","pop":"iad","rtt":20}],`+
		`"client":"203.0.113.7","received":"2026-11-01T12:00:00Z"}`, i)
}

// importOf runs the command in a directory with a fleet file, places and an
// empty store, and returns what it said, without how long it took.
func importOf(t *testing.T, dir, stdin string, args ...string) (said string, err error) {
	t.Helper()
	t.Chdir(dir)
	for name, text := range map[string]string{
		"fleet.yaml": importFleet,
		"places.csv": "prefix,continent,country,subdivision,city,asn,as_name,lat,lon\n203.0.113.0/24,NA,US,IL,,64496,Example,41.9,-87.6\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out, e bytes.Buffer
	err = importCommand().run(t.Context(), stdio{strings.NewReader(stdin), &out, &e},
		append([]string{"--fleet", "fleet.yaml", "--data", "data", "--places", "places.csv"}, args...))
	if out.Len() > 0 {
		t.Errorf("standard output: %s", &out)
	}
	said, _, _ = strings.Cut(e.String(), ", in ")
	return said, err
}

func writeLines(t *testing.T, file string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestImport(t *testing.T) {
	dir := t.TempDir()
	good, bad, packed := filepath.Join(dir, "good"), filepath.Join(dir, "bad"), filepath.Join(dir, "packed.gz")
	writeLines(t, good, importLine(1), importLine(2), importLine(2))
	lines := []string{importLine(3), `{"v":1}`}
	for range maxReported + 5 {
		lines = append(lines, "x")
	}
	writeLines(t, bad, lines...)
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	fmt.Fprintln(w, importLine(4))
	if err := errors.Join(w.Close(), os.WriteFile(packed, b.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}

	f := func(want string, refused bool, stdin string, args ...string) {
		t.Helper()
		said, err := importOf(t, dir, stdin, args...)
		var r *refusedError
		if errors.As(err, &r) != refused || !refused && err != nil {
			t.Errorf("error %v", err)
		}
		if diff := cmp.Diff(want, said); diff != "" {
			t.Error(diff)
		}
	}
	f("2 beacons stored, 1 known already, 0 lines refused, 0 lines done earlier", false, "", good)
	f("0 beacons stored, 0 known already, 0 lines refused, 3 lines done earlier", false, "", good)
	f("0 beacons stored, 3 known already, 0 lines refused, 0 lines done earlier", false, "", "--again", good)
	f("1 beacons stored, 0 known already, 0 lines refused, 0 lines done earlier", false, importLine(5), "-")

	var refused strings.Builder
	refused.WriteString(bad + ":2: id: is missing\n")
	for i := 3; i < 3+maxReported-1; i++ {
		refused.WriteString(fmt.Sprintf("%s:%d: want an object\n", bad, i))
	}
	refused.WriteString("... and 6 more lines were refused\n")
	f(refused.String()+"2 beacons stored, 0 known already, 26 lines refused, 0 lines done earlier", true, "", bad, packed)

	n := 0
	segments, err := store.List(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range segments {
		for b, err := range store.ReadBeacons(s) {
			if err != nil {
				t.Fatal(err)
			}
			n++
			if b.Client.String() != "203.0.113.0/24" || b.Place.Subdivision != "IL" || b.Place.ASN != 64496 {
				t.Errorf("stored as %+v", b)
			}
		}
	}
	if n != 5 {
		t.Errorf("%d beacons in segments, want 5", n)
	}
}

func TestImportErrors(t *testing.T) {
	dir := t.TempDir()
	f := func(want string, args ...string) {
		t.Helper()
		said, err := importOf(t, dir, "", args...)
		if err == nil || !strings.Contains(said+err.Error(), want) {
			t.Errorf("%v: %v %s, want %s", args, err, said, want)
		}
	}
	f("want at least one file")
	f("no such file", "absent")
	f("is a directory", dir)
	f("IPv4 prefix length 30", "--keep-v4", "30", "-")
	f("absent.yaml", "--fleet", "absent.yaml", "-")

	beacons, err := store.Open(store.Config{Dir: filepath.Join(dir, "data")}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer beacons.Close()
	f("/v1/relay", "-")
}
