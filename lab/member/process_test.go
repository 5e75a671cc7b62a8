package member_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"catchment/internal/announce"
)

// The prefixes of fleetFile, and the VIP's addresses.
const (
	vip4     = "198.51.100.0/24"
	vip6     = "2001:db8:ff::/48"
	own4     = "203.0.113.0/28"
	vipAddr4 = "198.51.100.1"
	vipAddr6 = "2001:db8:ff::1"
	lo4      = vipAddr4 + "/32"
	lo6      = vipAddr6 + "/128"
)

// world is what of the fleet file differs between tests.
type world struct {
	routers  int
	announce string // beside drain and hold-down
	vips     string // beside global
	health   string // beside web, and groups
	rise     int    // 0: 2
	checking        // zero: patiently
}

// checking is how a check is made. A busy machine must not make a service look
// down, but where the time is what the test is about.
type checking struct {
	every, timeout time.Duration
	fall           int
}

var (
	patiently = checking{300 * time.Millisecond, 280 * time.Millisecond, 5}
	quickly   = checking{200 * time.Millisecond, 190 * time.Millisecond, 2}
)

// countsFor is how long a failure takes to count at the most.
func (c checking) countsFor() time.Duration { return time.Duration(c.fall) * (c.every + c.timeout) }

// file is the fleet file. Without a control node nobody permits to withdraw.
func (w world) file() string {
	var neighbors []string
	for i := range w.routers {
		for _, a := range []string{routerAddr(i), routerAddr6(i)} {
			neighbors = append(neighbors, fmt.Sprintf("        - {address: %q, asn: %d}", a, 64496+i))
		}
	}
	c := w.checking
	if c.fall == 0 {
		c = patiently
	}
	if w.announce == "" {
		w.announce = "guard: {wait: 0s, unreachable: fail-open-withdraw}"
	}
	return fmt.Sprintf(`zone: edge.example
pops:
  - id: iad
    place: {country: US, lat: 38.95, lon: -77.45}
    unicast: [192.0.2.2]
    unicast_prefixes: [%s]
    bgp:
      asn: 64500
      router_id: 192.0.2.2
      neighbors:
%s
    health:
      - {name: web, http: "http://%s/", rise: %d, fall: %d, every: %v, timeout: %v}
%s
vips:
  - {id: global, addresses: [%s, "%s"], prefixes: [%s, "%s"]}
%s
announce:
  hold_down: 300ms
  jitter: 0s
  drain: {ttl: 0s, grace: 10s, verify: 5s, settle: 1s, quiet: 500ms}
  %s
`, own4, strings.Join(neighbors, "\n"), serviceAddr, max(w.rise, 2), c.fall, c.every, c.timeout, w.health, vipAddr4, vipAddr6, vip4, vip6, w.vips, w.announce)
}

// process is a running `catchment pop`.
type process struct {
	t    *testing.T
	s    *site
	cmd  *exec.Cmd
	log  *syncBuffer
	done chan struct{}
	err  error // once done is closed
	http *http.Client
}

// binary is the program under test: $LAB_BINARY, else this tree's.
var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("LAB_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	path, err := filepath.Abs("../../bin/catchment")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", path, "../../cmd/catchment")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	return path, nil
})

func catchment(t *testing.T) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

const admin = "127.0.0.1:9101"

func (s *site) data() string { return filepath.Join(s.dir, "data") }

// start starts the PoP with its fleet file, which write has written.
func (s *site) start(more ...string) *process {
	s.t.Helper()
	return s.startWith(nil, append([]string{"--fleet", filepath.Join(s.dir, "fleet.yaml")}, more...)...)
}

// startWith starts the PoP with variables beyond the environment's.
func (s *site) startWith(env []string, flags ...string) *process {
	s.t.Helper()
	args := append([]string{"pop", "--pop", "iad", "--data", s.data(), "--listen", ":80", "--admin", admin}, flags...)
	p := &process{t: s.t, s: s, cmd: exec.Command(catchment(s.t), args...), log: &syncBuffer{}, done: make(chan struct{})}
	p.cmd.Stderr, p.cmd.Env = p.log, append(os.Environ(), env...)
	if err := s.pop.Start(p.cmd); err != nil {
		s.t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	s.t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGKILL)
		<-p.done
		if s.t.Failed() {
			s.t.Logf("log of catchment pop:\n%s", tail(p.log.String(), 60))
		}
	})
	p.http = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(s.data(), "pop.sock"))
		},
	}}
	return p
}

func (p *process) kill() time.Time {
	at := time.Now()
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.done
	return at
}

// stop ends the process in order.
func (p *process) stop() time.Time {
	p.t.Helper()
	at := time.Now()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		if p.err != nil {
			p.t.Errorf("catchment pop: %v", p.err)
		}
	case <-time.After(patience):
		p.t.Fatalf("catchment pop does not stop within %v", patience)
	}
	return at
}

// count is how often a text stands in the log.
func (p *process) count(text string) int { return strings.Count(p.log.String(), text) }

func (p *process) hangup() { _ = p.cmd.Process.Signal(syscall.SIGHUP) }

// ask is a request to the local socket.
func (p *process) ask(method, path, body string) (status int, answer string, err error) {
	req, err := http.NewRequest(method, "http://pop"+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// order gives an order at the PoP, which follows it.
func (p *process) order(do, why string) time.Time {
	p.t.Helper()
	at := time.Now()
	body, err := json.Marshal(map[string]string{"why": why})
	if err != nil {
		p.t.Fatal(err)
	}
	if status, text, err := p.ask(http.MethodPost, "/v1/"+do, string(body)); err != nil || status/100 != 2 {
		p.t.Fatalf("%s: %d %q %v", do, status, text, err)
	}
	return at
}

// refuses gives an order that the PoP does not follow, and says why.
func (p *process) refuses(do, want string) {
	p.t.Helper()
	status, text, err := p.ask(http.MethodPost, "/v1/"+do, `{"why":"test"}`)
	if err != nil || status != http.StatusConflict || !strings.Contains(text, want) {
		p.t.Errorf("%s: %d %q %v, want 409 and %q", do, status, text, err, want)
	}
}

// status is how the PoP says it stands.
func (p *process) status() (s announce.Status, err error) {
	code, text, err := p.ask(http.MethodGet, "/v1/status", "")
	if err != nil {
		return s, err
	}
	if code != http.StatusOK {
		return s, fmt.Errorf("%d: %s", code, text)
	}
	return s, json.Unmarshal([]byte(text), &s)
}

// until waits until the status is as ok says.
func (p *process) until(what string, ok func(announce.Status) bool) (s announce.Status) {
	p.t.Helper()
	eventually(p.t, what, func() (string, bool) {
		var err error
		if s, err = p.status(); err != nil {
			select {
			case <-p.done:
				p.t.Fatalf("%s: catchment pop has ended: %v", what, p.err)
			default:
				return err.Error(), false
			}
		}
		text, _ := json.MarshalIndent(s, "", " ")
		return string(text), ok(s)
	})
	return s
}

// established waits until all sessions are.
func (p *process) established() {
	p.t.Helper()
	p.until("sessions with all neighbors", func(s announce.Status) bool {
		for _, n := range s.Neighbors {
			if n.State != "established" {
				return false
			}
		}
		return len(s.Neighbors) > 0
	})
}

// tells waits until the last event about a check begins with a text.
func (p *process) tells(text string) {
	p.t.Helper()
	p.until("event "+text, func(s announce.Status) bool {
		for _, e := range slices.Backward(s.Events) {
			if strings.HasPrefix(e.Text, "check ") {
				return strings.HasPrefix(e.Text, text)
			}
		}
		return false
	})
}

// phase waits until the drain is in one.
func (p *process) phase(want announce.Phase) {
	p.t.Helper()
	p.until("phase "+string(want), func(s announce.Status) bool { return phaseOf(s) == want })
}

func phaseOf(s announce.Status) announce.Phase {
	if s.Drain == nil {
		return ""
	}
	return s.Drain.Phase
}

// wanted is how the PoP says a prefix is wanted.
func wanted(s announce.Status, prefix string) (w announce.Wanted) {
	for _, w := range s.Wanted {
		if w.Prefix.String() == prefix {
			return w
		}
	}
	return w
}

// admin asks the admin listener.
func (p *process) admin(path string) (status int, text string) {
	p.t.Helper()
	conn, err := p.s.pop.Dial(&net.Dialer{Timeout: 2 * time.Second}, "tcp", admin)
	if err != nil {
		p.t.Fatal(err)
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}}
	resp, err := client.Get("http://" + admin + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	_, _ = body.ReadFrom(resp.Body)
	return resp.StatusCode, body.String()
}
