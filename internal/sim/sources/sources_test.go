package sources

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
	"catchment/internal/sim/topology"
)

// The metros of these tests, as indexes.
const (
	newYork = iota
	chicago
	london
	basel
)

func testCities() []topology.City {
	city := func(name, cc string, lat, lon float64, people int) topology.City {
		return topology.City{Name: name, Place: edge.Place{Country: cc, City: name, Lat: lat, Lon: lon}, Population: people}
	}
	return []topology.City{
		newYork: city("New York", "US", 40.71, -74.01, 20e6),
		chicago: city("Chicago", "US", 41.85, -87.65, 9e6),
		london:  city("London", "GB", 51.51, -0.13, 14e6),
		basel:   city("Basel", "CH", 47.56, 7.57, 5e5),
	}
}

func newSet(t testing.TB) *Set {
	t.Helper()
	s, err := New(testCities())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type reader = func(name string, r io.Reader) error

// give reads text, which must be good.
func give(t testing.TB, read reader, name, text string) {
	t.Helper()
	if err := read(name, strings.NewReader(text)); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// refused checks the problems that a text has.
func refused(t *testing.T, read reader, text string, want ...string) {
	t.Helper()
	err := read("f", strings.NewReader(text))
	if err == nil {
		t.Errorf("%q is read (want %q)", text, want)
		return
	}
	if d := cmp.Diff(strings.Join(want, "\n"), err.Error()); d != "" {
		t.Errorf("%.200q: (-want +got)\n%s", text, d)
	}
}

func input(t testing.TB, s *Set) (topology.Input, []string) {
	t.Helper()
	in, notes, err := s.Input()
	if err != nil {
		t.Fatal(err)
	}
	return in, notes
}

const relations = "# source:topology|BGP|20260901|example\n64496|64497|0\n64496|64500|-1\n64497|64501|-1\n64501|64502|-1|bgp\n64500|64501|0|mlp\n"

func TestASRelationships(t *testing.T) {
	f := func(want []topology.Link, disagreed int, files ...string) {
		t.Helper()
		s := newSet(t)
		for _, text := range files {
			give(t, s.ASRelationships, "as-rel.txt", text)
		}
		links, n := s.joinLinks()
		if d := cmp.Diff(want, links); d != "" || n != disagreed {
			t.Errorf("%d disagree (want %d); (-want +got)\n%s", n, disagreed, d)
		}
	}
	one := func(l topology.Link) []topology.Link { return []topology.Link{l} }
	f([]topology.Link{
		{A: 64496, B: 64497, Rel: topology.Peering},
		{A: 64496, B: 64500},
		{A: 64497, B: 64501},
		{A: 64500, B: 64501, Rel: topology.Peering},
		{A: 64501, B: 64502},
	}, 0, relations)
	f(one(topology.Link{A: 64500, B: 64496}), 0, "64500|64496|-1\r\n64500|64496|-1\r\n")
	f(one(topology.Link{A: 64496, B: 64500, Rel: topology.Peering}), 0, "64500|64496|0\n", "64496|64500|0|mlp")
	f(one(topology.Link{A: 64500, B: 64496}), 1, "64496|64500|0\n64500|64496|-1\n")
	f(one(topology.Link{A: 64500, B: 64496}), 1, "64500|64496|-1\n64496|64500|0\n")
	f(one(topology.Link{A: 64500, B: 64496}), 1, "64500|64496|-1\n", "64496|64500|-1\n64496|64500|0\n")
}

func TestASRelationshipsRefused(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		refused(t, newSet(t).ASRelationships, text, want...)
	}
	f("", "f: no links")
	f("# only a comment\n\n", "f: no links")
	f("64496|64497|0\nx|64497|0\n64496|64497|1\n64496|64496|0\n64496|64497\n1|2|3|4|5\n",
		`f:2: "x" is not an AS number (want 1 to 4294967295)`,
		`f:3: relation "1" (want -1, the first AS provides to the second, or 0, they are peers)`,
		`f:4: AS64496 is linked to itself`,
		`f:5: 2 fields (want AS|AS|relation, or AS|AS|relation|source)`,
		`f:6: 5 fields (want AS|AS|relation, or AS|AS|relation|source)`)
	f("0|64497|0\n4294967296|1|0\n1|-1|0\n|1|0\n99999999999999999999999999999999999999999999|1|0",
		`f:1: "0" is not an AS number (want 1 to 4294967295)`,
		`f:2: "4294967296" is not an AS number (want 1 to 4294967295)`,
		`f:3: "-1" is not an AS number (want 1 to 4294967295)`,
		`f:4: "" is not an AS number (want 1 to 4294967295)`,
		`f:5: "9999999999999999999999999999999999999999"… is not an AS number (want 1 to 4294967295)`)
	f("64496|64497|0\n"+strings.Repeat("1", maxLine+1), "f:2: the line is longer than 65536 bytes")

	err := newSet(t).ASRelationships("f", strings.NewReader(strings.Repeat("x\n", 1000)))
	if n := strings.Count(err.Error(), "\n") + 1; n != maxProblems {
		t.Errorf("%d problems are told (want %d)", n, maxProblems)
	}
}

func packed(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

// bzipped is relations.
const bzipped = "QlpoOTFBWSZTWY66Rl8AAAPfgAAQSAJ3sBCAQAA6ht5kIAB1EU08RAAaZqPU8oGmknlNGmgAAG+b0wLt8BJBbJZ1BrAqEqRAIJhA8QxJIJiARMAyLbdxXtBRZwUvJGzC0rnVh4jP1GtdQEy+gF/F3JFOFCQjrpGXwA=="

func TestPacked(t *testing.T) {
	s := newSet(t)
	give(t, s.ASRelationships, "/data/as-rel.gz", packed(relations))
	bz, err := base64.StdEncoding.DecodeString(bzipped)
	if err != nil {
		t.Fatal(err)
	}
	give(t, s.ASRelationships, "as-rel.bz2", string(bz))
	if links, disagreed := s.joinLinks(); len(links) != 5 || disagreed != 0 {
		t.Errorf("%d links, %d disagree", len(links), disagreed)
	}
	for i, want := range []string{"as-rel.gz (AS relationships), sha256 ", "as-rel.bz2 (AS relationships), sha256 "} {
		if got := s.sources[i]; !strings.HasPrefix(got, want) || len(got) != len(want)+64 {
			t.Errorf("source %q (want %q)", got, want)
		}
	}

	gz := packed(relations)
	refused(t, newSet(t).ASRelationships, gz[:len(gz)-9], "f:7: the file is cut off")
	refused(t, newSet(t).ASRelationships, gz[:5], "f: the file is cut off")
	refused(t, newSet(t).ASRelationships, string(bz[:len(bz)-20]), "f:1: the file is cut off")
	bz[10] ^= 1
	refused(t, newSet(t).ASRelationships, string(bz), "f:7: block checksum mismatch")
}

// TestBomb reads what unpacks to more than a file may have.
func TestBomb(t *testing.T) {
	f := &file{name: "f"}
	text := &limited{strings.NewReader(strings.Repeat("# x\n", 1000)), 100}
	err := f.lines(text, '#', func(int, []byte) bool { return false })
	if err == nil || !strings.Contains(err.Error(), "bytes of text") {
		t.Errorf("error %v", err)
	}
}

func TestFields(t *testing.T) {
	f := func(line string, want ...string) {
		t.Helper()
		row, err := fields(nil, []byte(line))
		if err != nil {
			t.Errorf("%q: %v", line, err)
		}
		var got []string
		for _, b := range row {
			got = append(got, string(b))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q: (-want +got)\n%s", line, d)
		}
	}
	f("a, b ,c", "a", "b", "c")
	f(`1,"Example, Inc.",x`, "1", "Example, Inc.", "x")
	f(`"say ""hi"" now",""`, `say "hi" now`, "")
	f(`""""`, `"`)
	f("", "")
	f(",", "", "")
	f(`a "b" c,d`, `a "b" c`, "d")
	for _, line := range []string{`"a`, `"a"b`, `"a"" ,`} {
		if row, err := fields(nil, []byte(line)); err == nil {
			t.Errorf("%q is %q", line, row)
		}
	}
}

func TestTidy(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		if got := tidy(s); got != want {
			t.Errorf("%q becomes %q (want %q)", s, got, want)
		}
	}
	f("  Example\tGmbH\n", "Example GmbH")
	f("Telef\xf3nica", "Telefónica")
	f("Zürich", "Zürich")
	f("a\x00b\x1b[31m", "a b [31m")
	f(strings.Repeat("ü", 200), strings.Repeat("ü", maxName))
}
