package fleet

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// maxValues bounds the values of a file, counted after aliases are followed: a
// thousand PoPs with everything there is have some 50,000.
const maxValues = 1 << 17

// decoder turns YAML nodes into values and reports what does not fit. It goes
// where the keys it knows lead, so that neither depth nor aliases that point
// to what they are part of can lead it astray.
type decoder struct {
	report
	values int
}

// value is a node with its path.
type value struct {
	node *yaml.Node
	path string
}

// enter follows an alias and notes the value's line. It returns false when
// there is nothing to read.
func (d *decoder) enter(v *value) bool {
	if d.values++; d.full() {
		return false
	}
	d.lines[v.path] = v.node.Line
	if v.node.Kind == yaml.AliasNode {
		v.node = v.node.Alias
	}
	return true
}

// full reports that the file has too many values; Parse then says that alone.
func (d *decoder) full() bool { return d.values > maxValues }

// mismatch reports that v is not what was wanted.
func (d *decoder) mismatch(v value, want string) {
	what := "is a list"
	switch {
	case v.node.Kind == yaml.MappingNode:
		what = "is a mapping"
	case v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!null":
		what = "has no value"
	case v.node.Kind == yaml.ScalarNode:
		what = quote(v.node.Value) + " does not fit"
	}
	d.at(v.path, what, "want "+want)
}

// key is a key that a mapping may have.
type key struct {
	name   string
	want   string // what its value looks like, when it must not be missing
	decode func(value)
}

func need(name, want string, decode func(value)) key { return key{name, want, decode} }

func may(name string, decode func(value)) key { return key{name, "", decode} }

// mapping reads a mapping with the given keys and no others.
func (d *decoder) mapping(v value, keys ...key) {
	if !d.enter(&v) {
		return
	}
	if v.node.Kind != yaml.MappingNode {
		d.mismatch(v, "a mapping with "+keyNames(keys))
		return
	}
	first := map[string]int{} // line of each key
	for i := 0; i+1 < len(v.node.Content) && !d.full(); i += 2 {
		k, child := v.node.Content[i], v.node.Content[i+1]
		path := join(v.path, k.Value)
		if k.Kind != yaml.ScalarNode {
			d.atLine(k.Line, v.path, "a key must be a word", "known are "+keyNames(keys))
			continue
		}
		if k.ShortTag() == "!!merge" {
			d.atLine(k.Line, v.path, "merge keys (<<) are not read", "write the keys out, or alias the whole value")
			continue
		}
		n := slices.IndexFunc(keys, func(known key) bool { return known.name == k.Value })
		if n < 0 {
			d.unknown(k, v.path, keys)
			continue
		}
		if line, dup := first[k.Value]; dup {
			d.atLine(k.Line, path, fmt.Sprintf("stands on line %d already", line), "keep one of the two")
			continue
		}
		first[k.Value] = k.Line
		keys[n].decode(value{child, path})
	}
	for _, k := range keys {
		if _, ok := first[k.name]; !ok && k.want != "" && !d.full() {
			d.atLine(d.lines[v.path], join(v.path, k.name), "is missing", "want "+k.want)
		}
	}
}

func (d *decoder) unknown(k *yaml.Node, path string, keys []key) {
	d.values++
	hint := "known are " + keyNames(keys)
	if near := nearest(k.Value, keys); near != "" {
		hint = "did you mean " + near + "?"
	}
	d.atLine(k.Line, path, "unknown key "+quote(k.Value), hint)
}

func keyNames(keys []key) string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	return strings.Join(names, ", ")
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// list reads a list, item by item. Items that are not right have a zero value,
// so that the others keep their index.
func list[T any](d *decoder, v value, item func(value) T) []T {
	if !d.enter(&v) {
		return nil
	}
	if v.node.Kind != yaml.SequenceNode {
		d.mismatch(v, "a list, such as [a, b]")
		return nil
	}
	var out []T
	for i, child := range v.node.Content {
		if d.full() {
			break
		}
		out = append(out, item(value{child, fmt.Sprintf("%s[%d]", v.path, i)}))
	}
	return out
}

// scalar returns the text of a scalar as it is written.
func (d *decoder) scalar(v value, want string) (string, bool) {
	if !d.enter(&v) {
		return "", false
	}
	if v.node.Kind != yaml.ScalarNode || v.node.ShortTag() == "!!null" || v.node.Value == "" {
		d.mismatch(v, want)
		return "", false
	}
	return v.node.Value, true
}

// number reads a number within [low, high]; it returns 0 when it has reported
// what is wrong, as do integer and duration.
func (d *decoder) number(v value, low, high float64, want string) float64 {
	s, ok := d.scalar(v, want)
	if !ok {
		return 0
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(x) || x < low || x > high {
		d.at(v.path, quote(s)+" does not fit", "want "+want)
		return 0
	}
	return x
}

// integer reads a whole number within [low, high].
func (d *decoder) integer(v value, low, high int64, want string) int64 {
	s, ok := d.scalar(v, want)
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < low || n > high {
		d.at(v.path, quote(s)+" does not fit", "want "+want)
		return 0
	}
	return n
}

func (d *decoder) boolean(v value) bool {
	s, ok := d.scalar(v, "true or false")
	if ok && s != "true" && s != "false" {
		d.at(v.path, quote(s)+" does not fit", "want true or false")
	}
	return s == "true"
}

// duration reads a duration within [low, high].
func (d *decoder) duration(v value, low, high time.Duration, want string) time.Duration {
	s, ok := d.scalar(v, want)
	if !ok {
		return 0
	}
	t, err := time.ParseDuration(s)
	switch {
	case err != nil && isDigits(s):
		d.at(v.path, quote(s)+" has no unit", "want "+want)
	case err != nil:
		d.at(v.path, quote(s)+" is not a duration", "want "+want)
	case t < low || t > high:
		d.at(v.path, s+" is out of range", "want "+want)
	default:
		return t
	}
	return 0
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// quote quotes s for an error, shortened if it is long.
func quote(s string) string {
	if len(s) > 64 {
		s = strings.ToValidUTF8(s[:64], "") + "…"
	}
	return strconv.Quote(s)
}
