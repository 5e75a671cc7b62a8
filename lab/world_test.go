// Package lab_test boots the real thing: one `catchment serve`, one `catchment
// pop` at every PoP, a page host and a browser, each at its own site of a
// network with chosen delays, and looks at what is in the store afterwards.
package lab_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"catchment/internal/edge"
	"catchment/lab/delay"
)

func TestMain(m *testing.M) {
	// The network's thread must not wait for this process's other goroutines,
	// which the kernel may have put aside while they hold a processor of Go's.
	runtime.GOMAXPROCS(max(8, runtime.GOMAXPROCS(0)))
	os.Exit(m.Run())
}

// world is everything that runs, and the network between it.
type world struct {
	t       *testing.T
	dir     string
	certs   certificates
	net     *delay.Network
	client  *delay.Site
	control *delay.Site
	sites   map[edge.PoPID]*delay.Site
	pops    []pop
	reached map[edge.Target]reached
	pages   *pageHost
	serve   *process
}

// reached is where a target leads the client to: by DNS, which the browser's
// resolver rules stand in for, and by the catchment of the VIP.
type reached struct {
	pop edge.PoPID
	vip edge.VIPID // empty: the PoP's own address
}

// newWorld boots a fleet and returns when all of it answers. Unicast leads to
// the nearest PoP, iad; the two anycast schemes to others, which differ. It
// skips the test where it cannot run, which fails in CI.
func newWorld(t *testing.T, pops ...pop) *world {
	t.Helper()
	requirements(t)
	n, err := delay.New(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		t.Logf("network: %v", n.Stats())
		n.Close()
	})
	w := &world{
		t: t, dir: t.TempDir(), net: n, pops: pops, sites: map[edge.PoPID]*delay.Site{},
		reached: map[edge.Target]reached{"unicast": {"iad", ""}},
	}
	w.write("fleet.yaml", fleetFile(pops))
	w.write("places.csv", places)
	w.certs = newCertificates(t, w.dir, "*."+probeZone, wwwHost, rumHost)
	w.client = w.site("client", 0, client)
	w.control = w.site("control", 2*time.Millisecond, control)
	w.pages = newPageHost(t, w.site("www", 2*time.Millisecond, www), w.certs)

	for _, p := range pops {
		all := []dual{p.unicast}
		for _, v := range p.vips {
			all = append(all, vips[v])
		}
		w.sites[p.id] = w.site(string(p.id), p.rtt, all...)
		w.start(w.sites[p.id], p.unicast, "pop", "--pop", string(p.id), "--listen-tls", ":443")
		w.reached[edge.TargetOf(p.id)] = reached{p.id, ""}
	}
	w.lead("global", "global", "gru")
	w.lead("regional", "americas", "lax")
	if err := os.Mkdir(w.path("data"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.serve = w.start(w.control, control, "serve", "--data", w.path("data"), "--places", w.path("places.csv"), "--listen", ":443")
	return w
}

// lead makes the client's probes of a scheme, and all its packets to the
// scheme's VIP, reach a PoP.
func (w *world) lead(scheme edge.Scheme, vip edge.VIPID, pop edge.PoPID) {
	w.reached[edge.Target(scheme)] = reached{pop, vip}
	for _, a := range vips[vip] {
		w.net.Route(w.client, a, w.sites[pop])
	}
}

// rtt returns the true RTT between the client and a PoP in ms.
func (w *world) rtt(id edge.PoPID) float64 {
	for _, p := range w.pops {
		if p.id == id {
			return float64(p.rtt) / float64(time.Millisecond)
		}
	}
	return math.NaN()
}

func (w *world) site(name string, rtt time.Duration, all ...dual) *delay.Site {
	w.t.Helper()
	var flat []netip.Addr
	for _, d := range all {
		flat = append(flat, d[:]...)
	}
	s, err := w.net.AddSite(name, delay.Link{RTT: rtt}, flat...)
	if err == nil {
		// What runs at the sites goes before whatever else the machine does:
		// it is the network that is under test, not who gets the CPU.
		err = s.Do(func() error { return unix.Setpriority(unix.PRIO_PROCESS, 0, -10) })
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(name, content string) {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// start starts a role at a site with what all roles have in common, and
// returns once its port 443 accepts connections from the client.
func (w *world) start(s *delay.Site, addr dual, role string, args ...string) *process {
	w.t.Helper()
	args = append([]string{
		role, "--fleet", w.path("fleet.yaml"), "--admin", admin,
		"--tls-cert", w.certs.certFile, "--tls-key", w.certs.keyFile,
	}, args...)
	p := startProcess(w.t, s, exec.Command(binary(w.t), args...))
	deadline := time.Now().Add(20 * time.Second)
	for {
		c, err := w.client.Dial(&net.Dialer{Timeout: time.Second}, "tcp", netip.AddrPortFrom(addr.of(4), 443).String())
		if err == nil {
			c.Close()
			return p
		}
		if p.exited() || time.Now().After(deadline) {
			w.t.Fatalf("%s at %s does not answer: %v\n%s", role, s.Name, err, p.log)
		}
	}
}

// export stops the collector as an operator would and returns every beacon in
// its store, by id: as many as the collector counted, which refused none.
func (w *world) export() map[string]*edge.Beacon {
	w.t.Helper()
	accepted := w.counted()
	w.serve.stop(w.t)
	var errs bytes.Buffer
	cmd := exec.Command(binary(w.t), "export", "--data", w.path("data"), "--format", "ndjson")
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("export: %v\n%s", err, errs.Bytes())
	}
	beacons := map[string]*edge.Beacon{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		b := &edge.Beacon{}
		if err := dec.Decode(b); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			w.t.Fatalf("export: %v", err)
		}
		if beacons[b.ID] != nil {
			w.t.Errorf("export: beacon %s twice", b.ID)
		}
		beacons[b.ID] = b
	}
	if len(beacons) != accepted {
		w.t.Errorf("%d beacons in the store, %d were accepted", len(beacons), accepted)
	}
	return beacons
}

// counted returns how many beacons the collector says it accepted, and fails
// the test if it refused any or gave no plan.
func (w *world) counted() (accepted int) {
	w.t.Helper()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return w.control.Dial(&net.Dialer{Timeout: 5 * time.Second}, network, addr)
		},
	}
	r, err := (&http.Client{Transport: transport}).Get("http://" + admin + "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	accepted = -1
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		switch {
		case name == "catchment_beacons_accepted_total":
			if accepted, err = strconv.Atoi(value); err != nil {
				w.t.Fatal(err)
			}
		case strings.HasPrefix(name, "catchment_beacons_") && strings.Contains(name, "reason=") && value != "0":
			w.t.Errorf("the collector refused something: %s %s", name, value)
		}
	}
	return accepted
}

// requirements skips the test if the lab cannot run here. In CI that fails.
func requirements(t *testing.T) {
	t.Helper()
	missing := func(format string, args ...any) {
		t.Helper()
		if os.Getenv("CI") == "true" {
			t.Fatalf(format, args...)
		}
		t.Skipf(format, args...)
	}
	if testing.Short() {
		t.Skip("takes minutes")
	}
	if os.Getuid() != 0 {
		missing("needs root, to make network namespaces")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		missing("needs TUN devices: %v", err)
	}
	for _, program := range []string{"ip", "node", "npm", chromium} {
		if _, err := exec.LookPath(program); err != nil {
			missing("%v (see lab/README.md for what the lab needs)", err)
		}
	}
}
