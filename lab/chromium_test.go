package lab_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const chromium = "chromium"

// browser is Chromium, speaking one address family, at the client's site, driven by browser/run.mjs.
type browser struct {
	t    *testing.T
	in   *json.Encoder
	out  *json.Decoder
	node *process
}

// step is one step of a page view; see browser/run.mjs.
type step map[string]any

func open(path string) step     { return step{"goto": "https://" + wwwHost + path} }
func until(expr string) step    { return step{"until": expr} }
func eval(expr string) step     { return step{"eval": expr} }
func answered(beacons int) step { return step{"beacon": beacons} }

var (
	back     = step{"back": true}
	closeTab = step{"close": true}
)

// outcome is what a page view came to.
type outcome struct {
	Results []json.RawMessage // of each step
	Beacons []struct {        // that the browser sent, in the order they were answered
		Status int
		Body   string
	}
	Errors     []string // uncaught errors, console errors, CSP violations
	Preflights []string // URLs
	Error      string   // why the view was given up
}

// install installs what browser/run.mjs needs, once.
var install = sync.OnceValue(func() error {
	cmd := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = "browser"
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v in lab/browser: %w\n%s", cmd, err, out)
	}
	return nil
})

// resolverRules maps the lab's names to addresses of one family and everything
// else, which is Chromium's own traffic, to nowhere.
func resolverRules(w *world, family int) string {
	var rules []string
	rule := func(pattern string, d dual) {
		host := d.of(family).String()
		if family == 6 {
			host = "[" + host + "]"
		}
		rules = append(rules, "MAP "+pattern+" "+host)
	}
	rule(wwwHost, www)
	rule(rumHost, control)
	for target, r := range w.reached {
		pattern := strings.ReplaceAll(string(target), ":", "-") + "-*." + probeZone
		if r.vip != "" {
			rule(pattern, vips[r.vip])
			continue
		}
		i := slices.IndexFunc(w.pops, func(p pop) bool { return p.id == r.pop })
		rule(pattern, w.pops[i].unicast)
	}
	return strings.Join(append(rules, "MAP * ~NOTFOUND"), ", ")
}

func newBrowser(t *testing.T, w *world, family int) *browser {
	t.Helper()
	if err := install(); err != nil {
		t.Fatal(err)
	}
	executable, err := exec.LookPath(chromium)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "run.mjs")
	cmd.Dir = "browser"
	temp := t.TempDir() // profile and crash dumps, however the browser ends
	cmd.Env = append(os.Environ(), "TMPDIR="+temp, "HOME="+temp)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	// Not cmd.StdoutPipe: that one is closed when the process ends, though
	// there may be something left to read.
	pr, pw := io.Pipe()
	cmd.Stdout = pw
	b := &browser{t: t, in: json.NewEncoder(in), out: json.NewDecoder(pr)}
	b.node = startProcess(t, w.client, cmd)
	go func() {
		<-b.node.done
		pw.Close()
	}()
	t.Cleanup(func() {
		in.Close() // asks it to end
		select {
		case <-b.node.done:
		case <-time.After(10 * time.Second): // then by signal, with the process's own cleanup
		}
	})
	var hello struct{ Version string }
	b.ask(map[string]any{"executable": executable, "args": []string{
		"--host-resolver-rules=" + resolverRules(w, family),
		"--ignore-certificate-errors-spki-list=" + w.certs.spki,
	}}, &hello)
	t.Logf("Chromium %s", hello.Version)
	return b
}

// view performs one page view and fails the test if a step cannot be done.
// What went wrong within the page is in the outcome.
func (b *browser) view(steps ...step) outcome {
	b.t.Helper()
	return b.perform(false, steps)
}

// watched is view with an eye on CORS preflights, which costs time on the
// page's main thread.
func (b *browser) watched(steps ...step) outcome {
	b.t.Helper()
	return b.perform(true, steps)
}

func (b *browser) perform(watch bool, steps []step) outcome {
	b.t.Helper()
	o := b.attempt(watch, steps)
	if o.Error != "" {
		b.t.Fatalf("page view %v: %s\n%+v", steps, o.Error, o)
	}
	return o
}

// attempt performs one page view; a step that cannot be done is in the outcome.
func (b *browser) attempt(watch bool, steps []step) (o outcome) {
	b.t.Helper()
	b.ask(map[string]any{"watch": watch, "steps": steps}, &o)
	return o
}

func (b *browser) ask(question, answer any) {
	b.t.Helper()
	if err := b.in.Encode(question); err != nil {
		b.t.Fatalf("browser: %v\n%s", err, b.node.log)
	}
	if err := b.out.Decode(answer); err != nil {
		b.t.Fatalf("browser: %v\n%s", err, b.node.log)
	}
}

// value decodes the result of step i.
func value[T any](t *testing.T, o outcome, i int) (v T) {
	t.Helper()
	if err := json.Unmarshal(o.Results[i], &v); err != nil {
		t.Fatalf("result of step %d: %v: %s", i, err, o.Results[i])
	}
	return v
}
