package world

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"catchment/internal/announce"
	"catchment/internal/edge"
)

// rig is the small world with everything that an operator would run in it.
type rig struct {
	t       *testing.T
	f       *Fleet
	control *Process
	pops    map[string]*Process
	mu      sync.Mutex
	logs    map[string]*bytes.Buffer // guarded by mu
}

// What the PoPs' fleet file has: a check that fails while a file is there, and
// phases of a drain in seconds.
const (
	settings = `{hold_down: 500ms, jitter: 0s, guard: {window: 1s, wait: 1s}, drain: {ttl: 3s, grace: 20s, verify: 5s, settle: 2s, quiet: 1s}}`
	checks   = `[{name: well, exec: [/usr/bin/test, "!", -e, %s], rise: 1, fall: 2, every: 500ms, timeout: 400ms}, {name: objects, http: "http://127.0.0.1/healthz", rise: 2, fall: 2, every: 500ms, timeout: 400ms}]`
)

func newRig(t *testing.T) *rig {
	t.Helper()
	require(t, "ip", "bird", "birdc")
	topology, err := Parse([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, pops: map[string]*Process{}, logs: map[string]*bytes.Buffer{}}
	dir := t.TempDir()
	w, err := Start(topology, filepath.Join(dir, "routers"), 1)
	if w != nil {
		t.Cleanup(w.Close)
	}
	if errors.Is(err, syscall.EPERM) {
		t.Skip("missing: CAP_SYS_ADMIN, for network namespaces")
	}
	if err != nil {
		t.Fatal(err)
	}
	r.f = &Fleet{World: w, Binary: binary(t), Dir: dir, Log: r.log}
	t.Cleanup(r.tell)
	must(t, r.f.Prepare(w.Fleet(FleetOptions{Health: fmt.Sprintf(checks, r.f.Path("all-dead")), Announce: settings})))
	must(t, r.f.Write("views.ndjson", w.views()))
	if out, err := exec.Command(r.f.Binary, "import", "--fleet", r.f.Path("fleet.yaml"), "--places", r.f.Path("places.csv"), "--data", r.f.Path("control"), r.f.Path("views.ndjson")).CombinedOutput(); err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
	r.control, err = r.f.StartControl()
	must(t, err)
	for _, id := range []string{"ns1", "ns2"} {
		_, err := r.f.StartDNS(id)
		must(t, err)
	}
	for _, p := range topology.PoPs {
		r.pops[p.ID], err = r.f.StartPoP(p.ID, "--reset-watcher", "off")
		must(t, err)
	}
	return r
}

// views are what browsers in the access networks saw: which PoP the global
// address leads them to, and how far the PoPs are.
func (w *World) views() string {
	var b strings.Builder
	pops := map[string]struct {
		pop string
		rtt map[string]int
	}{
		"us1": {"iad", map[string]int{"iad": 3, "lax": 11, "fra": 26, "nrt": 36}},
		"de1": {"fra", map[string]int{"iad": 31, "lax": 30, "fra": 5, "nrt": 46}},
		"jp1": {"nrt", map[string]int{"iad": 41, "lax": 40, "fra": 45, "nrt": 5}},
	}
	n := 0
	for i, spec := range w.Topology.Networks {
		p, ok := pops[spec.ID]
		if !ok {
			continue
		}
		for k := range 60 {
			var probes []map[string]any
			probe := func(target, pop string) {
				rtt := p.rtt[pop]
				probes = append(probes, map[string]any{"target": target, "pop": pop, "rtt": rtt, "warm": []int{rtt, rtt, rtt}, "af": 4, "proto": "http/1.1"})
			}
			probe("global", p.pop)
			for pop := range p.rtt {
				probe("pop:"+pop, pop)
			}
			n++
			line, _ := json.Marshal(map[string]any{
				"v": 1, "id": fmt.Sprintf("v%d", n), "t": time.Now().UnixMilli(), "rate": 1, "probes": probes,
				"client": fmt.Sprintf("198.18.%d.%d", 16*i+k%12, 20+k), "received": time.Now().UTC().Add(-time.Minute).Format(time.RFC3339Nano),
			})
			b.Write(append(line, '\n'))
		}
	}
	return b.String()
}

// binary is the program under test: $LAB_BINARY, else this tree's.
func binary(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("LAB_BINARY"); path != "" {
		return path
	}
	path, err := filepath.Abs("../../bin/catchment")
	must(t, err)
	if out, err := exec.Command("go", "build", "-o", path, "../../cmd/catchment").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// require skips the test where something is missing, which in CI is a failure.
func require(t *testing.T, programs ...string) {
	t.Helper()
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	if len(missing) > 0 {
		t.Skipf("missing: %s (tools/setup test installs it)", strings.Join(missing, ", "))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// log collects what a process says.
func (r *rig) log(name string) io.Writer { return &logWriter{r, name} }

type logWriter struct {
	r    *rig
	name string
}

func (w *logWriter) Write(p []byte) (int, error) {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	if w.r.logs[w.name] == nil {
		w.r.logs[w.name] = &bytes.Buffer{}
	}
	return w.r.logs[w.name].Write(p)
}

// tell shows the logs of a test that failed.
func (r *rig) tell() {
	if !r.t.Failed() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, b := range r.logs {
		lines := strings.Split(b.String(), "\n")
		r.t.Logf("log of %s:\n%s", name, strings.Join(lines[max(0, len(lines)-40):], "\n"))
	}
}

// eventually asks until ok, for at most Patience.
func (r *rig) eventually(what string, ask func() (last string, ok bool)) {
	r.t.Helper()
	for end := time.Now().Add(Patience); ; time.Sleep(50 * time.Millisecond) {
		last, ok := ask()
		if ok {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("%s: not within %v; last seen: %s", what, Patience, last)
		}
	}
}

// leads waits until an address leads a network to a PoP.
func (r *rig) leads(network string, a netip.Addr, want string) {
	r.t.Helper()
	r.eventually(fmt.Sprintf("%v from %s leads to %s", a, network, want), func() (string, bool) {
		got, err := r.f.Trace(network, a)
		return fmt.Sprint(got, err), err == nil && got == want
	})
}

// fetch asks an address from a host, with curl's own timeouts, and returns who
// answered.
func (r *rig) fetch(host string, a netip.Addr) string {
	r.t.Helper()
	code := fmt.Sprintf("exec 3<>/dev/tcp/%v/80; printf 'GET /o HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n' >&3; cat <&3", a)
	out, err := Run(r.f.Hosts[host].NS, "", "timeout", "5", "bash", "-c", code)
	if err != nil {
		r.t.Errorf("%s asks %v: %v", host, a, err)
		return ""
	}
	for line := range strings.Lines(out) {
		if pop, ok := strings.CutPrefix(line, "X-PoP: "); ok {
			return strings.TrimSpace(pop)
		}
	}
	r.t.Errorf("%s asks %v: %s", host, a, out)
	return ""
}

// TestWorld goes through a day in the life of four PoPs on three continents.
func TestWorld(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	four, six := GlobalVIP()
	homes := map[string]struct{ network, region, pop string }{
		"alice": {"us1", "americas", "iad"}, "clara": {"de1", "emea", "fra"}, "daiki": {"jp1", "apac", "nrt"},
	}
	for _, h := range homes {
		r.leads(h.network, four, h.pop)
		r.leads(h.network, six, h.pop)
	}
	step := func(name string, f func(r *rig)) {
		if t.Failed() {
			return
		}
		t.Run(name, func(t *testing.T) {
			was := r.t
			r.t = t
			defer func() { r.t = was }()
			f(r)
		})
	}

	step("catchments", func(r *rig) {
		for host, h := range homes {
			for _, a := range []netip.Addr{four, six} {
				if got := r.fetch(host, a); got != h.pop {
					r.t.Errorf("%s reaches %s by %v, the routers say %s", host, got, a, h.pop)
				}
			}
			for region, pop := range map[string]string{"emea": "fra", "apac": "nrt"} {
				a4, a6 := r.f.RegionalVIP(region)
				for _, a := range []netip.Addr{a4, a6} {
					r.leads(h.network, a, pop)
					if got := r.fetch(host, a); got != pop {
						r.t.Errorf("%s reaches %s by the VIP of %s", host, got, region)
					}
				}
			}
		}
	})

	step("a service dies", func(r *rig) {
		r.pops["fra"].Signal(syscall.SIGSTOP) // hangs: the hold time ends it
		at := time.Now()
		r.eventually("the global VIP leads elsewhere", func() (string, bool) {
			got, err := r.f.Trace("de1", four)
			return fmt.Sprint(got, err), err == nil && got != "" && got != "fra"
		})
		a, _ := r.f.RegionalVIP("emea")
		r.leads("de1", a, "") // a region's VIP has no other home
		r.t.Logf("figures: hung, hold 9 s: global leads elsewhere after %.1f s", time.Since(at).Seconds())
		if took := time.Since(at); took > 12*time.Second {
			r.t.Errorf("it took %v", took)
		}
		r.pops["fra"].Signal(syscall.SIGCONT)
		r.leads("de1", four, "fra")
		r.leads("de1", a, "fra")
	})

	step("drain under load", func(r *rig) {
		ns := netip.AddrPortFrom(r.f.Hosts["ns2"].Four, 53).String()
		end := r.load("alice", load{NameServer: ns, PerSecond: 200, Slow: 20, Seconds: 4})
		r.eventually("alice is at iad", func() (string, bool) { s, err := r.f.Trace("us1", four); return fmt.Sprint(s, err), s == "iad" })
		out, err := r.f.Operator("drain", "iad", "--why", "new disks")
		if err != nil {
			r.t.Fatalf("%v\n%s", err, out)
		}
		if got, err := r.f.Trace("us1", four); got != "lax" || err != nil {
			r.t.Errorf("drained, and the global VIP leads to %s, %v", got, err)
		}
		if out, err := r.f.Operator("restore", "iad", "--why", "disks are in"); err != nil {
			r.t.Fatalf("%v\n%s", err, out)
		}
		r.leads("us1", four, "iad")
		time.Sleep(3 * time.Second) // so that some come back
		o := end()
		r.t.Logf("figures: drain and restore: %d short requests, %d failed; %d slow downloads, %d failed; answered by %v", o.Short, o.ShortFailed, o.Slow, o.SlowFailed, o.PoPs)
		if o.ShortFailed > 0 || o.SlowFailed > 0 || o.Short < 1000 || o.Slow < 20 {
			r.t.Errorf("%+v\n%s", o, out)
		}
		if o.PoPs["iad"] == 0 || o.PoPs["lax"] == 0 {
			r.t.Errorf("the PoPs answered %v", o.PoPs)
		}
	})

	step("all checks fail at once", func(r *rig) {
		// The guard lets one of four PoPs go, one of two, and the only one never:
		// whoever comes first.
		least := map[edge.VIPID]int{"global": 3, "americas": 1, "emea": 1, "apac": 1}
		must(r.t, r.f.Write("all-dead", ""))
		r.eventually("no PoP is well", func() (string, bool) {
			_, well := r.announced()
			return fmt.Sprint(well), well == 0
		})
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			announced, _ := r.announced()
			for vip, n := range least {
				if announced[vip] < n {
					r.t.Fatalf("%s is announced by %d PoPs, want at least %d", vip, announced[vip], n)
				}
			}
			for _, h := range homes {
				if got, err := r.f.Trace(h.network, four); got == "" || err != nil {
					r.t.Fatalf("the global VIP leads %s nowhere: %v", h.network, err)
				}
			}
		}
		must(r.t, os.Remove(r.f.Path("all-dead")))
		r.eventually("all are well", func() (string, bool) {
			_, well := r.announced()
			return fmt.Sprint(well), well == 8 // the global VIP and a region's at each
		})
		for _, h := range homes {
			r.leads(h.network, four, h.pop)
		}
	})

	step("drain without a control node", func(r *rig) {
		r.control.Kill()
		ns := netip.AddrPortFrom(r.f.Hosts["ns2"].Four, 53).String()
		end := r.load("alice", load{NameServer: ns, PerSecond: 200, Slow: 5, Seconds: 12})
		time.Sleep(2 * time.Second)
		out, err := Run(r.f.PoPs["iad"].NS, "", r.f.Binary, "drain", "iad", "--local", filepath.Join(r.f.Path("iad"), "pop.sock"), "--why", "fire", "--grace", "2s", "--no-wait")
		if err != nil {
			r.t.Fatalf("%v\n%s", err, out)
		}
		r.leads("us1", four, "lax")
		time.Sleep(2 * time.Second)
		o := end()
		r.t.Logf("figures: drain at the PoP: %d short requests, %d failed; %d slow downloads, %d failed; answered by %v", o.Short, o.ShortFailed, o.Slow, o.SlowFailed, o.PoPs)
		if o.ShortFailed > 5 {
			r.t.Errorf("more than what was under way when the route changed: %+v", o)
		}
		if o.SlowFailed != 5 {
			r.t.Errorf("%d of 5 downloads that were open when the route changed were reset: %+v", o.SlowFailed, o)
		}
	})
}

// announced is by how many PoPs each VIP is announced, and how many of these
// are not a last resort, as the control node has it.
func (r *rig) announced() (by map[edge.VIPID]int, well int) {
	r.t.Helper()
	out, err := r.f.Operator("pops", "--format", "json")
	if err != nil {
		r.t.Fatal(err)
	}
	var pops []struct {
		VIPs []announce.VIPReport `json:"vips"`
	}
	if err := json.Unmarshal([]byte(out), &pops); err != nil {
		r.t.Fatal(err)
	}
	by = map[edge.VIPID]int{}
	for _, p := range pops {
		for _, v := range p.VIPs {
			if v.Announced {
				by[v.VIP]++
			}
			if v.Announced && !v.Degraded {
				well++
			}
		}
	}
	return by, well
}
