package dash

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"catchment/internal/sim"
)

// contract is openapi.yaml with its schemas compiled on demand.
type contract struct {
	t        *testing.T
	doc      map[string]any
	compiler *jsonschema.Compiler
}

const contractURL = "https://catchment.example/openapi.json"

func loadContract(t *testing.T) *contract {
	t.Helper()
	text, err := openapiJSON()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource(contractURL, doc); err != nil {
		t.Fatal(err)
	}
	return &contract{t, doc.(map[string]any), c}
}

// at returns what a JSON pointer names, references followed, and its pointer.
func (c *contract) at(pointer string) (any, string) {
	c.t.Helper()
	var v any = c.doc
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		m, isMap := v.(map[string]any)
		if !isMap {
			return nil, ""
		}
		if v = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]; v == nil {
			return nil, ""
		}
		if m, isMap := v.(map[string]any); isMap {
			if ref, isRef := m["$ref"].(string); isRef && len(m) == 1 {
				return c.at(strings.TrimPrefix(ref, "#"))
			}
		}
	}
	return v, pointer
}

func escape(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }

// check validates a body against the schema of an answer.
func (c *contract) check(path, method, status, what string, body []byte) {
	c.t.Helper()
	_, response := c.at("/paths/" + escape(path) + "/" + method + "/responses/" + status)
	if response == "" {
		_, response = c.at("/paths/" + escape(path) + "/" + method + "/responses/default")
	}
	pointer := response + "/content/application~1json/schema"
	if schema, _ := c.at(pointer); schema == nil {
		c.t.Errorf("%s %s: the contract has no schema of %s", method, path, status)
		return
	}
	schema, err := c.compiler.Compile(contractURL + "#" + pointer)
	if err != nil {
		c.t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err == nil {
		err = schema.Validate(v)
	}
	if err != nil {
		c.t.Errorf("%s %s: %s: %v\n%.300s", method, path, what, err, body)
	}
}

// operations are all methods of all paths.
func (c *contract) operations() []string {
	var all []string
	for path, item := range c.doc["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			if method != "parameters" {
				all = append(all, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.Sort(all)
	return all
}

// TestContractExamples: what the contract gives as examples is true to it.
func TestContractExamples(t *testing.T) {
	c, n := loadContract(t), 0
	for _, op := range c.operations() {
		method, path, _ := strings.Cut(op, " ")
		content, _ := c.at("/paths/" + escape(path) + "/" + strings.ToLower(method) + "/responses/200/content/application~1json")
		if m, isMap := content.(map[string]any); isMap && m["example"] != nil {
			text, err := json.Marshal(m["example"])
			if err != nil {
				t.Fatal(err)
			}
			c.check(path, strings.ToLower(method), "200", "the example", text)
			n++
		}
	}
	if n < 12 {
		t.Errorf("only %d examples", n)
	}
}

// TestContractPaths: every path and method of the contract is served, and every
// one that is served is in the contract.
func TestContractPaths(t *testing.T) {
	c, r := loadContract(t), newRig(t, t.TempDir())
	served := map[string]bool{}
	for _, x := range r.own() {
		served[x.method+" /api/v1/"+x.path] = true
	}
	maps.Copy(served, others(t))
	documented := map[string]bool{}
	for _, op := range c.operations() {
		documented[op] = true
		if !served[op] {
			t.Errorf("the contract has %s, which nobody serves", op)
		}
	}
	for op := range served {
		if !documented[op] {
			t.Errorf("the contract lacks %s", op)
		}
	}
	// And they really are: another answer than that there is nothing.
	for _, op := range c.operations() {
		method, path, _ := strings.Cut(op, " ")
		path = strings.NewReplacer("{id}", "iad", "{pop}", "iad", "{service}", "www.edge.example", "{order}", "pause").Replace(path)
		w := r.ask(method, path, map[bool]string{true: "", false: `{"why":""}`}[method == "GET"])
		if w.Code == http.StatusMethodNotAllowed || strings.Contains(w.Body.String(), "there is no "+method) {
			t.Errorf("%s: %d %s", op, w.Code, w.Body)
		}
	}
}

// others are the paths of control and of ramps, as their sources have them.
func others(t *testing.T) map[string]bool {
	t.Helper()
	served := map[string]bool{}
	text := ""
	for _, dir := range []string{"../control", "../ramp/runner"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(file, "_test.go") {
				text += string(source)
			}
		}
	}
	text = strings.NewReplacer(`const all, one = "/api/v1/ramps", "/api/v1/ramps/{id}"`, "", `+all`, `+"/api/v1/ramps"`, `+one`, `+"/api/v1/ramps/{id}"`,
		"read(all", `read("/api/v1/ramps"`, "read(one", `read("/api/v1/ramps/{id}"`).Replace(text)
	text = strings.ReplaceAll(text, `"+"`, "")
	each := func(pattern string, f func(m []string)) {
		all := regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1)
		if len(all) == 0 {
			t.Errorf("no source has %s", pattern)
		}
		for _, m := range all {
			f(m)
		}
	}
	each(`\bread\("([a-z0-9{}/]+)"`, func(m []string) { served["GET /api/v1/"+strings.TrimPrefix(m[1], "/api/v1/")] = true })
	each(`(?:HandleFunc|change)\("([A-Z]+) ?(/api/v1/[a-z{}/]+)"`, func(m []string) { served[m[1]+" "+m[2]] = true })
	each(`\{path: "([a-z]+)",(?: id: "([a-z{}/]+)",)?`, func(m []string) {
		path := "/api/v1/" + m[1]
		served["GET "+path] = true
		if m[2] != "" {
			path += "/" + m[2]
			served["GET "+path] = true
		}
		served["PUT "+path], served["DELETE "+path] = true, true
	})
	return served
}

// TestContractAnswers: what real handlers answer over real data is true to the
// contract, refusals too.
func TestContractAnswers(t *testing.T) {
	c := loadContract(t)
	r := full(t, func(cfg *Config) { cfg.Simulator = moved{}; cfg.Stability = shaky{} })
	heardAll(r)
	paths := []string{
		"overview", "compare", "compare?by=country,subdivision,asn&days=14&sort=-diff-global&limit=3&offset=2", "compare?by=pop,family&country=US&min_views=10&q=iad",
		"offenders", "offenders?scheme=global&country=BR&pop=iad", "catchments", "catchments?vip=americas&days=30", "catchments/changes?min_views=1&from=2026-11-02&to=2026-11-14",
		"catchments/iad", "catchments/old?days=14&scheme=unicast", "resolvers?days=7", "resolvers?days=7&by=resolver", "stability", "whatif?edit=withdraw+gru&edit=prepend+iad:2",
		"fleet", "docs", "docs/method", "session", "pops", "pops/iad", "vips", "health", "snapshot", "explain?client=203.0.113.7&service=www.edge.example&format=json",
		"audit", "drains", "drains/lax", "sheds", "shares", "pins", "weights", "announcements", "policy", "acme", "ramps",
	}
	put := r.ask("PUT", "/api/v1/drains/lax", `{"why":"new disks","for":"1h"}`)
	if put.Code != 200 {
		t.Fatalf("drain: %d %s", put.Code, put.Body)
	}
	c.check("/api/v1/drains/{id}", "put", "200", "the drain", put.Body.Bytes())
	for _, path := range paths {
		w := r.ask("GET", "/api/v1/"+path, "")
		if w.Code != 200 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
			continue
		}
		c.check(c.pattern(path), "get", "200", path, w.Body.Bytes())
	}
	for path, status := range map[string]int{
		"compare?by=color": 400, "compare?days=0": 400, "compare?since=yesterday": 400, "compare?colour=red": 400, "compare?sort=best": 400, "compare?asn=x": 400,
		"compare?since=2026-11-10&until=2026-11-10": 400, "compare?limit=1e9": 400, "offenders?scheme=best": 400, "catchments?vip=none": 400, "catchments?vip=global&scheme=global": 400,
		"catchments/changes?from=2026-11-02&to=2026-11-02": 400, "catchments/nowhere": 404, "catchments/NO": 400, "resolvers?by=pop": 400,
		"whatif": 400, "whatif?edit=explode+iad": 400, "docs/nothing": 404, "pops/nowhere": 404, "drains/gru": 404, "ramps/none": 404,
	} {
		w := r.ask("GET", "/api/v1/"+path, "")
		if w.Code != status {
			t.Errorf("%s: %d, want %d: %s", path, w.Code, status, w.Body)
			continue
		}
		c.check(c.pattern(path), "get", fmt.Sprint(status), path, w.Body.Bytes())
	}
}

// pattern is the path of the contract that a request is for.
func (c *contract) pattern(path string) string {
	path, _, _ = strings.Cut("/api/v1/"+path, "?")
	paths := c.doc["paths"].(map[string]any)
	if paths[path] != nil {
		return path
	}
	mux := http.NewServeMux()
	for p := range paths {
		mux.HandleFunc(p, func(http.ResponseWriter, *http.Request) {})
	}
	_, pattern := mux.Handler(httptest.NewRequest("GET", path, nil))
	return pattern
}

// heardAll has everything read that is asked for of resolvers.
func heardAll(r *rig) {
	r.t.Helper()
	r.askers.mu.Lock()
	h := r.askers.find(period{testToday - 6, testToday})
	r.askers.mu.Unlock()
	r.askers.read(r.t.Context(), h, r.index.now.Load())
}

var _ Simulator = (*sim.World)(nil)
