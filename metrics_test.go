package catchment_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	metricName   = regexp.MustCompile(`\bcatchment_[a-z]+_[a-z0-9_]*[a-z0-9]\b`)
	ofAHistogram = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// TestMetricsExist: documents, alerts and the Grafana dashboard name only
// metrics that the program has.
func TestMetricsExist(t *testing.T) {
	known := metrics(t)
	if len(known) < 100 {
		t.Fatalf("only %d metrics found in the sources", len(known))
	}
	for _, pattern := range []string{"docs/*.md", "README.md", "packaging/*/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files (%v)", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range slices.Compact(slices.Sorted(slices.Values(metricName.FindAllString(string(text), -1)))) {
				if !known[name] && !known[ofAHistogram.ReplaceAllString(name, "")] {
					t.Errorf("%s: there is no metric %s", file, name)
				}
			}
		}
	}
}

// metrics are the names in the sources: whole ones, and those that are put
// together of a prefix and a name in the same file.
func metrics(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && (e.Name() == "node_modules" || e.Name() == ".cache") {
			return filepath.SkipDir
		}
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		literals := map[string]bool{}
		ast.Inspect(file, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
				if s, err := strconv.Unquote(l.Value); err == nil {
					literals[s] = true
				}
			}
			return true
		})
		for s := range literals {
			switch {
			case !strings.HasPrefix(s, "catchment_"):
			case !strings.HasSuffix(s, "_"):
				known[s] = true
			default:
				for name := range maps.Keys(literals) {
					known[s+name] = true
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return known
}
