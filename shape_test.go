// Package catchment_test keeps the shape of the code true: who may import
// whom, and that every dependency has a reason.
package catchment_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mayImport is the import table of the project's own packages, tests aside. A
// role never imports another role; what they share is a value in edge or an
// interface that the consumer declares. Only cmd wires.
var mayImport = map[string][]string{
	"internal/edge":          {},
	"internal/geo":           {"internal/edge"},
	"internal/fleet":         {"internal/edge", "internal/geo"},
	"internal/node":          {},
	"internal/tokens":        {},
	"internal/certs":         {},
	"internal/store":         {"internal/edge"},
	"internal/store/duckdb":  {"internal/edge", "internal/store"},
	"internal/analysis":      {"internal/edge"},
	"internal/report":        {"internal/edge", "internal/analysis", "internal/sim"},
	"internal/targets":       {"internal/edge"},
	"internal/beacon":        {"internal/edge", "internal/store", "internal/targets", "internal/tokens"},
	"internal/beacon/rum":    {},
	"internal/pop":           {"internal/edge", "internal/certs"},
	"internal/steer":         {"internal/edge"},
	"internal/follow":        {"internal/edge", "internal/tokens"},
	"internal/health":        {"internal/edge"},
	"internal/authdns":       {"internal/edge", "internal/certs"},
	"internal/bgp":           {"internal/edge"},
	"internal/synth":         {"internal/edge", "internal/synth/spool"},
	"internal/synth/spool":   {},
	"internal/announce":      {"internal/edge"},
	"internal/member":        {"internal/edge", "internal/announce", "internal/bgp", "internal/sockets"},
	"internal/sockets":       {},
	"internal/resets":        {"internal/edge", "internal/sockets"},
	"internal/resetlog":      {"internal/edge", "internal/daylog", "internal/tokens"},
	"internal/downloadlog":   {"internal/edge", "internal/daylog", "internal/tokens"},
	"internal/ramp":          {"internal/edge", "internal/geo"},
	"internal/ramp/ramptest": {"internal/edge", "internal/ramp"},
	"internal/ramp/observe":  {"internal/edge", "internal/analysis", "internal/ramp", "internal/steer"},
	"internal/ramp/propose":  {"internal/edge", "internal/analysis"},
	"internal/ramp/runner":   {"internal/edge", "internal/analysis", "internal/ramp", "internal/ramp/observe", "internal/steer", "internal/tokens"},
	"internal/rehearsal":     {"internal/edge", "internal/analysis", "internal/ramp", "internal/ramp/runner", "internal/sim", "internal/sim/noise", "internal/sim/people", "internal/sim/views", "internal/steer"},
	"internal/control":       {"internal/edge", "internal/announce", "internal/steer", "internal/tokens"},
	"internal/sim/noise":     {},
	"internal/sim/topology":  {"internal/edge"},
	"internal/sim/metros":    {"internal/edge", "internal/sim/topology"},
	"internal/sim/generate":  {"internal/edge", "internal/sim/metros", "internal/sim/noise", "internal/sim/topology"},
	"internal/sim/sources":   {"internal/edge", "internal/sim/topology"},
	"internal/sim/route":     {"internal/edge", "internal/sim/noise", "internal/sim/topology"},
	"internal/sim":           {"internal/edge", "internal/analysis", "internal/sim/noise", "internal/sim/route", "internal/sim/topology"},
	"internal/sim/people":    {"internal/edge", "internal/sim", "internal/sim/noise", "internal/sim/topology"},
	"internal/sim/views":     {"internal/edge", "internal/sim", "internal/sim/noise", "internal/sim/people", "internal/sim/topology", "internal/targets"},
	"internal/daylog":        {"internal/edge"},
	"internal/dash":          {"internal/edge", "internal/analysis", "internal/report", "internal/sim", "internal/tokens"},
	"internal/demo":          {"internal/edge", "internal/sim", "internal/sim/generate", "internal/sim/people", "internal/sim/topology", "internal/sim/views"},
}

// pure packages have no clock, no log and no I/O of their own.
var pure = []string{
	"internal/edge", "internal/analysis", "internal/targets", "internal/steer", "internal/ramp", "internal/ramp/observe", "internal/ramp/propose", "internal/announce",
	"internal/sim", "internal/sim/noise", "internal/sim/topology", "internal/sim/metros", "internal/sim/generate",
	"internal/sim/sources", "internal/sim/route", "internal/sim/people", "internal/sim/views",
}

var impure = []string{"os", "io/fs", "log", "log/slog", "net", "net/http", "database/sql", "math/rand", "os/exec", "syscall"}

type listed struct {
	ImportPath string
	Imports    []string
	CgoFiles   []string
	Doc        string
	Module     struct{ Path string }
}

func list(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,CgoFiles,Doc,Module", "./cmd/...", "./internal/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestImports(t *testing.T) {
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, "catchment/")
		if p.Doc == "" {
			t.Errorf("%s has no package comment", name)
		}
		if len(p.CgoFiles) > 0 {
			t.Errorf("%s uses cgo", name)
		}
		for _, imported := range p.Imports {
			if slices.Contains(pure, name) && slices.Contains(impure, imported) {
				t.Errorf("%s is pure and imports %s", name, imported)
			}
			if strings.HasPrefix(imported, "github.com/duckdb/") && name != "internal/store/duckdb" {
				t.Errorf("%s imports %s: DuckDB stays behind internal/store/duckdb", name, imported)
			}
			if name == "internal/edge" && strings.Contains(imported, ".") {
				t.Errorf("%s imports %s: the vocabulary leans on the standard library only", name, imported)
			}
			own, ok := strings.CutPrefix(imported, "catchment/")
			if !ok || strings.HasPrefix(name, "cmd/") || strings.HasSuffix(name, "test") {
				continue
			}
			allowed, known := mayImport[name]
			if !known {
				t.Errorf("%s is not in the import table", name)
			} else if !slices.Contains(allowed, own) {
				t.Errorf("%s imports %s, which the import table does not allow", name, own)
			}
		}
	}
}

// TestDependencies holds docs/dependencies.md to go.mod: every direct module
// has its reason there, and no reason outlives its module.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{if not (or .Main .Indirect)}}{{.Path}}{{end}}", "all").Output()
	if err != nil {
		t.Fatal(err)
	}
	direct := strings.Fields(string(out))
	doc, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	var explained []string
	for line := range strings.Lines(string(doc)) {
		if path, ok := strings.CutPrefix(line, "| `"); ok {
			path, _, _ = strings.Cut(path, "`")
			explained = append(explained, path)
		}
	}
	for _, path := range direct {
		if !slices.Contains(explained, path) {
			t.Errorf("%s is a direct dependency without a reason in docs/dependencies.md", path)
		}
	}
	for _, path := range explained {
		if !slices.Contains(direct, path) {
			t.Errorf("docs/dependencies.md explains %s, which is not a direct dependency", path)
		}
	}
}
