package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// smallInternet is the file of a generated topology.
var smallInternet = sync.OnceValues(func() ([]byte, error) {
	topo, err := readTopology("generate:800:7")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = topo.Encode(&b)
	return b.Bytes(), err
})

// worldOf runs one of the commands on a small generated Internet.
func worldOf(t *testing.T, c command, args ...string) (out, stderr string, err error) {
	t.Helper()
	data, err := smallInternet()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "internet")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	var o, e bytes.Buffer
	args = append([]string{"--fleet", "testdata/sim/fleet.yaml", "--topology", path}, args...)
	err = c.run(t.Context(), stdio{strings.NewReader(""), &o, &e}, args)
	return o.String(), e.String(), err
}

func mustWorld(t *testing.T, c command, args ...string) string {
	t.Helper()
	out, stderr, err := worldOf(t, c, args...)
	if err != nil || stderr != "" {
		t.Fatalf("%v: %s", err, stderr)
	}
	return out
}

// TestSimRun: all of the world's users are in the rows, the PoPs' shares add
// up, and the same command prints the same bytes.
func TestSimRun(t *testing.T) {
	var doc struct {
		Engine string
		All    struct {
			Users   float64
			Schemes map[string]struct{ Optimal, Lost float64 }
		}
		Places []struct {
			Group map[string]string
			Users float64
		}
		PoPs []struct {
			PoP      string
			Capacity *float64
			Schemes  map[string]struct{ Share, Rate, Over float64 }
		}
	}
	args := []string{"--format", "json", "--by", "subdivision", "--rate", "0.001", "--transit", "region"}
	text := mustWorld(t, simRun(), args...)
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, p := range doc.Places {
		sum += p.Users
	}
	if doc.Engine != "topology" || len(doc.Places) < 50 || math.Abs(sum-doc.All.Users) > float64(len(doc.Places)) {
		t.Errorf("%d places with %v of %v users", len(doc.Places), sum, doc.All.Users)
	}
	for _, scheme := range []string{"unicast", "global", "regional"} {
		share := 0.0
		for _, p := range doc.PoPs {
			share += p.Schemes[scheme].Share
		}
		if f := doc.All.Schemes[scheme]; math.Abs(share-1) > 1e-5 || f.Optimal <= 0 || f.Optimal > 1 || f.Lost > 0.01 {
			t.Errorf("%s: shares add up to %v; %+v", scheme, share, f)
		}
	}
	iad := doc.PoPs[0]
	if iad.Capacity == nil || *iad.Capacity != 200000 || doc.PoPs[1].Capacity != nil || iad.Schemes["global"].Over != 1 || iad.Schemes["global"].Rate < 200000 {
		t.Errorf("%+v", iad)
	}
	if again := mustWorld(t, simRun(), args...); again != text {
		t.Error("the same command gives other bytes")
	}
	if other := mustWorld(t, simRun(), append(args, "--seed", "2")...); other == text {
		t.Error("the seed makes no difference")
	}

	// An ensemble holds what its seeds give alone.
	f := func(table string, rows int, columns ...string) {
		t.Helper()
		records, err := csv.NewReader(strings.NewReader(mustWorld(t, simRun(), "--format", "csv", "--table", table, "--seeds", "3"))).ReadAll()
		if err != nil || len(records) <= rows {
			t.Fatalf("%d rows, %v", len(records), err)
		}
		for _, c := range columns {
			if !strings.Contains(","+strings.Join(records[0], ",")+",", ","+c+",") {
				t.Errorf("%s: there is no column %s in %v", table, c, records[0])
			}
		}
	}
	f("places", 50, "country", "users", "global_optimal_p10", "regional_penalty_p90_p50")
	f("pops", 12, "pop", "scheme", "share_p90", "over_p50")
}

// TestSimWhatIf: a drain moves the PoP's users and no others.
func TestSimWhatIf(t *testing.T) {
	var doc struct {
		Users, Moved, Lost float64
		Edits              []string
		Moves              []struct {
			From, To, Engine string
			Users            float64
		}
		PoPs []struct {
			PoP    string
			Before float64 `json:"users_before"`
			After  float64 `json:"users_after"`
		}
		Causes []struct {
			Why, Engine string
			After       []uint32 `json:"path_after"`
		}
	}
	text := mustWorld(t, simWhatIf(), "--withdraw", "gru", "--vip", "americas", "--format", "json")
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.PoPs) != 4 || doc.PoPs[1].Before != doc.Moved || doc.PoPs[1].After != 0 || doc.PoPs[2].After != 0 || doc.Lost != 0 || doc.Moved == 0 {
		t.Errorf("%+v", doc)
	}
	if len(doc.Moves) != 1 || doc.Moves[0].From != "gru" || doc.Moves[0].To != "iad" || doc.Moves[0].Engine != "topology" || doc.Edits[0] != "--withdraw gru" {
		t.Errorf("%+v", doc.Moves)
	}
	for _, c := range doc.Causes {
		if c.Why == "" || c.Engine != "topology" || len(c.After) == 0 {
			t.Errorf("%+v", c)
		}
	}
	table := mustWorld(t, simWhatIf(), "--add-pop", "lhr:51.47,-0.45", "--prepend", "fra:2", "--rate", "0.001")
	if !strings.Contains(table, "lhr") || !strings.Contains(table, "Responsible networks") || !strings.Contains(table, "over capacity") {
		t.Error(table)
	}
}

func TestSimExplain(t *testing.T) {
	var doc struct {
		ASN  uint32
		Path struct {
			PoP  string
			RTT  float64
			Hops []struct {
				ASN uint32
				RTT float64
				Why string
			}
		}
	}
	// The network with most users of the world.
	records, err := csv.NewReader(strings.NewReader(mustWorld(t, simRun(), "--by", "asn", "--format", "csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	asn := records[1][0]
	text := mustWorld(t, simExplain(), "--format", "json", asn)
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, h := range doc.Path.Hops {
		if sum += h.RTT; h.Why == "" {
			t.Errorf("%+v", h)
		}
	}
	if len(doc.Path.Hops) == 0 || doc.Path.PoP == "" || math.Abs(sum-doc.Path.RTT) > 0.01 {
		t.Errorf("%v ms in hops: %+v", sum, doc)
	}
	if table := mustWorld(t, simExplain(), asn, "--vip", "others"); !strings.Contains(table, "The way to others") {
		t.Error(table)
	}
}

// TestSimWorldUsage: what is refused, with which status.
func TestSimWorldUsage(t *testing.T) {
	f := func(c command, status error, want string, args ...string) {
		t.Helper()
		_, stderr, err := worldOf(t, c, args...)
		var refused *refusedError
		if status == nil && !errors.As(err, &refused) || status != nil && !errors.Is(err, status) {
			t.Errorf("%q: %v", args, err)
		} else if all := stderr + err.Error(); !strings.Contains(all, want) {
			t.Errorf("%q: %s", args, all)
		}
	}
	f(simRun(), errUsage, "--fleet is required", "--fleet", "")
	f(simRun(), errUsage, "--topology is required", "--topology", "")
	f(simRun(), errUsage, `unexpected argument "x"`, "x")
	f(simRun(), errUsage, "--seeds: want 1 to 1000", "--seeds", "0")
	f(simRun(), errUsage, `--by: "pop": want continent, country, subdivision or asn`, "--by", "pop")
	f(simRun(), errUsage, `--transit: "all": want same, region or pop`, "--transit", "all")
	f(simRun(), errUsage, "--transits: want 1 to 12", "--transits", "13")
	f(simRun(), errUsage, `--table: "moves" is not one of [places pops]`, "--table", "moves")
	f(simRun(), errUsage, "--rate: want 0 or more", "--rate", "-1")
	f(simRun(), errUsage, "--tolerance", "--tolerance", "5")
	f(simRun(), nil, "testdata/sim/refused.yaml:1: pops: is missing", "--fleet", "testdata/sim/refused.yaml")
	f(simRun(), nil, "testdata/sim/fleet.yaml: topology:", "--topology", "testdata/sim/fleet.yaml")
	f(simRun(), nil, "--topology generate:20: want generate:ASES[:SEED], 500 to 200000 ASes", "--topology", "generate:20")
	f(simRun(), nil, "--topology generate:800:x: want", "--topology", "generate:800:x")
	f(simWhatIf(), errUsage, "want an edit, such as --withdraw iad")
	f(simWhatIf(), errUsage, `"gru" for flag -prepend: "gru": want POP[:AS]:N`, "--prepend", "gru")
	f(simWhatIf(), nil, "there is no PoP lhr", "--withdraw", "lhr")
	f(simWhatIf(), nil, "there is no VIP none (want one of global, americas, others)", "--withdraw", "gru", "--vip", "none")
	f(simExplain(), errUsage, "want an AS number")
	f(simExplain(), errUsage, `"iad" is not an AS number`, "iad")
	f(simExplain(), nil, "AS64500 is not in the topology", "AS64500")
}
