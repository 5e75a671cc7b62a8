package fleet

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
)

const reference = "../../docs/fleet.md"

// TestReference holds docs/fleet.md to the code: its example is accepted and
// has every key, and its table lists every key and no others.
func TestReference(t *testing.T) {
	doc, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(doc), "```yaml\n")
	example, _, ended := strings.Cut(example, "```")
	if !found || !ended {
		t.Fatal("there is no example")
	}
	if _, err := Parse(reference, []byte(example)); err != nil {
		t.Fatalf("the example is refused:\n%v", err)
	}
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_.\\[\\]]+)` \\|").FindAllStringSubmatch(string(doc), -1) {
		listed = append(listed, row[1])
	}
	slices.Sort(listed)
	if diff := cmp.Diff(keysOf(t, example), listed); diff != "" {
		t.Errorf("keys: -example +table\n%s", diff)
	}
	if diff := cmp.Diff(knownKeys(t, example), listed); diff != "" {
		t.Errorf("keys: -code +table\n%s", diff)
	}
}

var index = regexp.MustCompile(`\[\d+\]`)

// keysOf returns the paths of all keys of a file.
func keysOf(t *testing.T, file string) []string {
	t.Helper()
	d := decoder{report: report{lines: map[string]int{}, wrong: map[string]bool{}}}
	root, ok := d.document([]byte(file))
	if !ok {
		t.Fatal(d.err())
	}
	d.fleet(value{root, ""})
	var keys []string
	for path := range d.lines {
		if path != "" && !strings.HasSuffix(path, "]") {
			keys = append(keys, index.ReplaceAllString(path, "[]"))
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// knownKeys puts a word in the place of each mapping of a file and reads the
// keys that might have been there off the error.
func knownKeys(t *testing.T, file string) []string {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Load([]byte(file), &doc); err != nil {
		t.Fatal(err)
	}
	var keys []string
	var visit func(n *yaml.Node)
	visit = func(n *yaml.Node) {
		if n.Kind == yaml.MappingNode {
			was := *n
			*n = yaml.Node{Kind: yaml.ScalarNode, Value: "word"}
			text, err := yaml.Dump(&doc)
			if err != nil {
				t.Fatal(err)
			}
			*n = was
			_, err = Parse("x.yaml", text)
			errs, _ := err.(Errors)
			for _, e := range errs {
				if names, ok := strings.CutPrefix(e.Hint, "want a mapping with "); ok && e.Msg == `"word" does not fit` {
					for name := range strings.SplitSeq(names, ", ") {
						keys = append(keys, index.ReplaceAllString(join(e.Path, name), "[]"))
					}
				}
			}
		}
		for _, child := range n.Content {
			visit(child)
		}
	}
	visit(&doc)
	slices.Sort(keys)
	return slices.Compact(keys)
}
