package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
	"catchment/internal/geo/geotest"
)

// simOf runs a subcommand of sim, and returns what it printed and said.
func simOf(ctx context.Context, c command, stdin string, args ...string) (printed, said string, err error) {
	var out, e bytes.Buffer
	err = c.run(ctx, stdio{strings.NewReader(stdin), &out, &e}, args)
	return out.String(), e.String(), err
}

// importFiles writes small files of each kind into a directory and goes there.
func importFiles(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	if _, err := w.Write([]byte("198.51.100.0,198.51.100.255,GB,,,London,,51.5,-0.1,\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"as-rel.txt":   "# example\n64496|64497|0\n64496|64500|-1\n64497|64501|-1\n",
		"as-rel2.txt":  "64500|64501|0|mlp\n64496|64500|0|mlp\n",
		"prefixes.csv": "192.0.2.0,192.0.2.255,64500,\"Example, Inc.\"\n198.51.100.0,198.51.100.255,64501,Beispiel\n",
		"cities.gz":    gz.String(),
		"users.csv":    "AS,CC,Users (est.)\nAS64500,US,\"2,000\"\nAS64501,GB,1000\n",
		"net.json":     `{"data": [{"id": 1, "org_id": 7, "asn": 64496, "name": "Example Transit"}]}`,
		"bad.txt":      "64496|x|0\n64496|64497|2\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	geotest.City(t, "cities.mmdb", map[string]edge.Place{"192.0.2.0/24": {Country: "US", City: "Chicago", Lat: 41.85, Lon: -87.65}})
}

func TestSimImport(t *testing.T) {
	importFiles(t)
	printed, said, err := simOf(t.Context(), simImport(), "", "--as-rel", "as-rel.txt", "--as-rel", "as-rel2.txt",
		"--prefixes", "prefixes.csv", "--cities", "cities.gz", "--cities", "cities.mmdb", "--apnic", "users.csv", "--peeringdb", "net.json", "--out", "t.topo")
	if err != nil {
		t.Fatalf("%v; it says %s", err, said)
	}
	wantSaid := "note: 1 links are given with different relations: a provider beats a peering, else the first line holds\n" +
		"note: 2 of 4 networks are in no file of places: they are put where their customers, providers or peers are\n"
	if d := cmp.Diff(wantSaid, said); d != "" {
		t.Errorf("said (-want +got)\n%s", d)
	}
	var lines []string
	for line := range strings.Lines(printed) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	lines[3], _, _ = strings.Cut(lines[3], " ") // the number of metros is not of this test
	for i, line := range lines {
		lines[i], _, _ = strings.Cut(line, ", sha256 ")
	}
	want := []string{
		"networks 4 2 without customers",
		"links 4 2 transit, 2 peering",
		"users 3,000 in 2 networks, 2 groups by network and metro",
		"metros",
		"tier-1s 2 without providers, all peers of each other",
		"AS64496 2 Example Transit",
		"AS64497 2",
		"largest cone 2 networks, reached through customers; median 1, p90 2, p99 2",
		"AS64496 2 Example Transit", "AS64497 2", "AS64500 1 Example, Inc.", "AS64501 1 Beispiel",
		"from as-rel.txt (AS relationships)", "from as-rel2.txt (AS relationships)", "from prefixes.csv (prefixes)",
		"from cities.gz (cities)", "from cities.mmdb (cities)", "from users.csv (users)", "from net.json (PeeringDB)",
	}
	if d := cmp.Diff(want, lines); d != "" {
		t.Errorf("printed (-want +got)\n%s", d)
	}

	topo, err := loadTopology("t.topo")
	if err != nil {
		t.Fatal(err)
	}
	var where []string
	for _, g := range topo.Groups {
		where = append(where, topo.Cities[g.Metro].Name)
	}
	if d := cmp.Diff([]string{"Chicago", "London"}, where); d != "" {
		t.Errorf("users (-want +got)\n%s", d)
	}
	again, said, err := simOf(t.Context(), simStats(), "", "t.topo")
	if err != nil || again != printed || said != "" {
		t.Errorf("stats: %v, says %q\n%s", err, said, cmp.Diff(printed, again))
	}
	asJSON, _, err := simOf(t.Context(), simStats(), "", "--format", "json", "t.topo")
	if err != nil || !strings.HasPrefix(asJSON, "{\n  \"ases\": 4,\n  \"stubs\": 2,\n") || !strings.Contains(asJSON, `"sources": [`) {
		t.Errorf("error %v; JSON %s", err, asJSON)
	}
}

func TestSimImportStdin(t *testing.T) {
	importFiles(t)
	_, said, err := simOf(t.Context(), simImport(), "64496|64500|-1\n", "--as-rel", "-", "--out", "t.topo", "--format", "json")
	if err != nil || !strings.Contains(said, "nothing says where networks are") {
		t.Errorf("error %v; it says %s", err, said)
	}
}

func TestSimImportRefused(t *testing.T) {
	importFiles(t)
	printed, said, err := simOf(t.Context(), simImport(), "", "--as-rel", "bad.txt", "--prefixes", "bad.txt", "--cities", "cities.mmdb", "--out", "t.topo")
	want := `bad.txt:1: "x" is not an AS number (want 1 to 4294967295)
bad.txt:2: relation "2" (want -1, the first AS provides to the second, or 0, they are peers)
bad.txt:1: 1 fields (want first,last,AS number,name)
bad.txt:2: 1 fields (want first,last,AS number,name)`
	var refused *refusedError
	if !errors.As(err, &refused) || err.Error() != want || printed+said != "" {
		t.Errorf("error %v\nwant  %s\nprinted %q, said %q", err, want, printed, said)
	}
	if left, _ := filepath.Glob("*.topo"); left != nil {
		t.Errorf("there is %v", left)
	}
	// An old file stays when a new one is refused, and nothing is left aside.
	if err := os.WriteFile("t.topo", []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := simOf(t.Context(), simImport(), "", "--as-rel", "bad.txt", "--out", "t.topo"); !errors.As(err, &refused) {
		t.Errorf("error %v", err)
	}
	if data, err := os.ReadFile("t.topo"); err != nil || string(data) != "old" {
		t.Errorf("%q, error %v", data, err)
	}
	if _, _, err := simOf(t.Context(), simStats(), "", "t.topo"); !errors.As(err, &refused) || err.Error() != "t.topo: topology: decode: this is not a snapshot of a topology" {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := simOf(ctx, simImport(), "", "--as-rel", "as-rel.txt", "--out", "u.topo"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, _, err := simOf(t.Context(), simImport(), "", "--as-rel", "none.txt", "--out", "u.topo"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	for _, args := range [][]string{{"--as-rel", "as-rel.txt"}, {"--out", "t.topo"}, {"--as-rel", "as-rel.txt", "--out", "t.topo", "x"}, {"--as-rel", "as-rel.txt", "--out", "t.topo", "--format", "csv"}} {
		if _, said, err := simOf(t.Context(), simImport(), "", args...); !errors.Is(err, errUsage) || said == "" {
			t.Errorf("%q: error %v, says %q", args, err, said)
		}
	}
	for _, args := range [][]string{nil, {"a", "b"}, {"--format", "csv", "t.topo"}} {
		if _, said, err := simOf(t.Context(), simStats(), "", args...); !errors.Is(err, errUsage) || said == "" {
			t.Errorf("%q: error %v, says %q", args, err, said)
		}
	}
}
