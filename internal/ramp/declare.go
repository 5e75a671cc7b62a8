package ramp

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"catchment/internal/edge"
	"catchment/internal/geo"
)

const (
	maxBytes  = 1 << 20 // a plan of 64 geographies has some 20 kB
	maxErrors = 100
)

// Errors are the problems of a declaration, in the order of its lines.
type Errors []Error

// Error is one problem of a declaration.
type Error struct {
	File string
	Line int
	Path string // of the value, such as geographies[3].countries[0]; empty: the whole file
	Msg  string // what is wrong
	Hint string // what would be right; may be empty
}

// Error returns "file:line: path: what is wrong (what would be right)".
func (e Error) Error() string {
	s := fmt.Sprintf("%s:%d: ", e.File, e.Line)
	if e.Path != "" {
		s += e.Path + ": "
	}
	s += e.Msg
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Error returns every problem on a line of its own.
func (l Errors) Error() string {
	lines := make([]string, len(l))
	for i, e := range l {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Parse reads a declaration, YAML or JSON (which is YAML, too); errors call it
// name. What is left out has its default. The error, if any, is Errors:
// everything that is wrong, sorted by line.
func Parse(name string, data []byte) (*Plan, error) {
	d := decoder{file: name, lines: map[string]int{}}
	root := d.document(data)
	if root == nil {
		return nil, d.err()
	}
	p := DefaultPlan()
	d.plan(value{root, ""}, &p)
	for _, e := range p.problems() {
		d.at(e.path, e.msg, e.hint)
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return &p, nil
}

// decoder turns YAML nodes into values and reports what does not fit.
type decoder struct {
	file  string
	lines map[string]int // of every value that was read, by path
	errs  Errors
}

type value struct {
	node *yaml.Node
	path string
}

// at reports a problem of the value at path, unless one was reported there or
// within it, of which it would be the consequence.
func (d *decoder) at(path, msg, hint string) {
	for _, e := range d.errs {
		if e.Path == path || strings.HasPrefix(e.Path, path+".") || strings.HasPrefix(e.Path, path+"[") || e.Path != "" && strings.HasPrefix(path, e.Path) {
			return
		}
	}
	line, around := 0, path
	for line == 0 {
		if line = d.lines[around]; around == "" {
			line = max(1, line)
		}
		around = around[:max(0, strings.LastIndexAny(around, ".["))]
	}
	d.atLine(line, path, msg, hint)
}

func (d *decoder) atLine(line int, path, msg, hint string) {
	if len(d.errs) < maxErrors {
		d.errs = append(d.errs, Error{d.file, line, path, msg, hint})
	}
}

func (d *decoder) err() error {
	if len(d.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(d.errs, func(a, b Error) int { return cmp.Compare(a.Line, b.Line) })
	return d.errs
}

// document returns the root of the only YAML document in data, or nil.
func (d *decoder) document(data []byte) *yaml.Node {
	if len(data) > maxBytes {
		d.atLine(1, "", fmt.Sprintf("the file is larger than %d MiB", maxBytes>>20), "")
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		d.atLine(1, "", err.Error(), "")
		return nil
	}
	var docs [2]yaml.Node
	for i := range docs {
		err := loader.Load(&docs[i])
		var load *yaml.LoadError
		switch {
		case errors.Is(err, io.EOF) && i == 1:
			return docs[0].Content[0]
		case errors.As(err, &load):
			d.atLine(max(1, load.Mark.Line), "", "not YAML: "+load.Message, "")
			return nil
		case errors.Is(err, io.EOF) || err == nil && len(docs[i].Content) != 1:
			d.atLine(1, "", "the file is empty", "want at least id, service, from, to and geographies")
			return nil
		case err != nil:
			d.atLine(1, "", "not YAML: "+err.Error(), "")
			return nil
		}
	}
	d.atLine(docs[1].Line, "", "a second YAML document begins", "want one ramp a file, without ---")
	return nil
}

// keys are those that a mapping may have, with how each is read.
type keys []struct {
	name string
	read func(value)
}

func (k keys) String() string {
	names := make([]string, len(k))
	for i := range k {
		names[i] = k[i].name
	}
	return strings.Join(names, ", ")
}

func (d *decoder) mapping(v value, known keys) {
	d.lines[v.path] = v.node.Line
	if v.node.Kind != yaml.MappingNode {
		d.mismatch(v, "a mapping with "+known.String())
		return
	}
	first := map[string]int{}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		k, child := v.node.Content[i], v.node.Content[i+1]
		path := strings.TrimPrefix(v.path+"."+k.Value, ".")
		n := -1
		for j := range known {
			if k.Kind == yaml.ScalarNode && known[j].name == k.Value {
				n = j
			}
		}
		if n < 0 {
			d.atLine(k.Line, v.path, "unknown key "+quote(k.Value), "known are "+known.String())
			continue
		}
		if line, dup := first[k.Value]; dup {
			d.atLine(k.Line, path, fmt.Sprintf("stands on line %d already", line), "keep one of the two")
			continue
		}
		first[k.Value] = k.Line
		known[n].read(value{child, path})
	}
}

// mismatch reports that v is not what was wanted.
func (d *decoder) mismatch(v value, want string) {
	what := "is a list"
	switch {
	case v.node.Kind == yaml.MappingNode:
		what = "is a mapping"
	case v.node.Kind == yaml.AliasNode:
		what = "is an alias"
	case v.node.Kind == yaml.ScalarNode && v.node.Value == "":
		what = "has no value"
	case v.node.Kind == yaml.ScalarNode:
		what = quote(v.node.Value) + " does not fit"
	}
	d.at(v.path, what, "want "+want)
}

func list[T any](d *decoder, v value, item func(value) T) []T {
	d.lines[v.path] = v.node.Line
	if v.node.Kind != yaml.SequenceNode {
		d.mismatch(v, "a list, such as [a, b]")
		return nil
	}
	out := make([]T, 0, len(v.node.Content))
	for i, child := range v.node.Content {
		out = append(out, item(value{child, fmt.Sprintf("%s[%d]", v.path, i)}))
	}
	return out
}

// text reads a scalar that accept takes.
func (d *decoder) text(v value, want string, accept func(string) bool) string {
	d.lines[v.path] = v.node.Line
	if v.node.Kind != yaml.ScalarNode || v.node.ShortTag() == "!!null" || !accept(v.node.Value) {
		d.mismatch(v, want)
		return ""
	}
	return v.node.Value
}

func (d *decoder) word(v value) string {
	return d.text(v, "a word", func(s string) bool { return s != "" })
}

// number reads a number, or percents where a share may stand.
func (d *decoder) number(v value, share bool) (x float64) {
	want := "a number"
	if share {
		want = "a share, such as 25% or 0.25"
	}
	d.text(v, want, func(s string) bool {
		part := 1.0
		if rest, ok := strings.CutSuffix(s, "%"); ok && share {
			s, part = strings.TrimSpace(rest), 100
		}
		var err error
		x, err = strconv.ParseFloat(s, 64)
		x /= part
		return err == nil && !math.IsNaN(x) && !math.IsInf(x, 0)
	})
	return x
}

func (d *decoder) share(v value) float64 { return d.number(v, true) }

func (d *decoder) whole(v value) (n int) {
	d.text(v, "a whole number", func(s string) bool {
		var err error
		n, err = strconv.Atoi(s)
		return err == nil
	})
	return n
}

func (d *decoder) duration(v value) (t Duration) {
	d.text(v, "a duration, such as 24h or 10m", func(s string) bool {
		x, err := time.ParseDuration(s)
		t = Duration(x)
		return err == nil
	})
	return t
}

// asn reads an AS number; neither 0 (RFC 7607) nor 23456 (RFC 6793) is one.
func (d *decoder) asn(v value) uint32 {
	s := d.text(v, "an AS number from 1 to 4294967295", func(s string) bool {
		n, err := strconv.ParseUint(s, 10, 32)
		return err == nil && n != 0 && n != 23456
	})
	n, _ := strconv.ParseUint(s, 10, 32)
	return uint32(n)
}

func (d *decoder) scheme(v value) edge.Scheme {
	return edge.Scheme(d.text(v, "unicast, global or regional", func(s string) bool { return edge.Scheme(s).Index() >= 0 }))
}

func (d *decoder) country(v value) string {
	return d.text(v, "an ISO 3166-1 code, such as US", func(s string) bool {
		_, ok := geo.ContinentOf(s)
		return ok
	})
}

func (d *decoder) continent(v value) string {
	return d.text(v, "one of "+geo.Continents, geo.IsContinent)
}

func (d *decoder) subdivision(v value) string {
	return d.text(v, "an ISO 3166-2 code, such as US-IL", func(s string) bool {
		country, rest, ok := strings.Cut(s, "-")
		_, known := geo.ContinentOf(country)
		return ok && known && geo.ValidSubdivision(rest)
	})
}

func quote(s string) string {
	if len(s) > 64 {
		s = strings.ToValidUTF8(s[:64], "") + "…"
	}
	return strconv.Quote(s)
}
