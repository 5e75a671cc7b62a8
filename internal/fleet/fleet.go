// Package fleet reads the fleet file: the one YAML file that describes the
// world to Catchment. docs/fleet.md is its reference.
//
// A file is taken whole or not at all, and everything that is wrong with it is
// said at once, each with its line, its path and what would be right.
package fleet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"catchment/internal/edge"
)

// maxBytes bounds a fleet file. A thousand PoPs with everything there is take
// about 1 MiB.
const maxBytes = 4 << 20

// Load reads the fleet file at path. The error is Errors when the file could
// be read and was refused.
func Load(path string) (*edge.Fleet, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("fleet: read %s: %w", path, err)
	}
	return Parse(path, data)
}

// Parse reads a fleet file; errors call it name. The error, if any, is Errors,
// sorted by line: everything that is wrong, up to a few hundred problems.
func Parse(name string, data []byte) (*edge.Fleet, error) {
	d := decoder{report: report{file: name, lines: map[string]int{}, wrong: map[string]bool{}}}
	root, ok := d.document(data)
	if !ok {
		return nil, d.err()
	}
	f := d.fleet(value{root, ""})
	if d.full() {
		return nil, Errors{{name, 1, "", fmt.Sprintf("the file has more than %d values", maxValues), "aliases are counted wherever they are used"}}
	}
	c := checker{report: d.report, fleet: f}
	c.check()
	if err := c.err(); err != nil {
		return nil, err
	}
	return f, nil
}

// document returns the root of the only YAML document in data.
func (d *decoder) document(data []byte) (*yaml.Node, bool) {
	if len(data) > maxBytes {
		d.at("", fmt.Sprintf("the file is larger than %d MiB", maxBytes>>20), "")
		return nil, false
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		d.at("", err.Error(), "")
		return nil, false
	}
	var docs [2]yaml.Node
	for i := range docs {
		switch err := loader.Load(&docs[i]); {
		case errors.Is(err, io.EOF) && i == 0:
			d.at("", "the file is empty", "want at least zone and pops")
			return nil, false
		case errors.Is(err, io.EOF):
			return docs[0].Content[0], true
		case err != nil:
			d.syntax(err, data)
			return nil, false
		case len(docs[i].Content) != 1:
			d.atLine(max(1, docs[i].Line), "", "the file is empty", "want at least zone and pops")
			return nil, false
		}
	}
	d.atLine(docs[1].Line, "", "a second YAML document begins", "want one fleet a file, without ---")
	return nil, false
}

// syntax reports that the file is not YAML.
func (d *decoder) syntax(err error, data []byte) {
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		d.at("", "not YAML: "+err.Error(), "")
		return
	}
	line, msg := load.Mark.Line, load.Message
	if line < 1 { // the reader, which sees bytes that are no text, does not say where
		line = 1 + bytes.Count(data[:textLen(data)], []byte("\n"))
	}
	if load.ContextMsg != "" {
		msg = load.ContextMsg + ": " + msg
	}
	d.atLine(line, "", "not YAML: "+msg, "")
}

// textLen returns how many bytes of data come before the first that YAML does
// not allow.
func textLen(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 || unicode.IsControl(r) && r != '\t' && r != '\n' && r != '\r' && r != 0x85 {
			return i
		}
		i += n
	}
	return len(data)
}
