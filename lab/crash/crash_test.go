// Package crash kills the real collector with SIGKILL under load, over and
// over, and counts: every beacon that was answered with 204 must be in the
// store exactly once.
package crash

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const fleetFile = `zone: edge.example
probe: probe.edge.example
pops:
  - {id: iad, place: {country: US, lat: 39.04, lon: -77.49}, unicast: [192.0.2.10]}
  - {id: lax, place: {country: US, lat: 34.05, lon: -118.24}, unicast: [192.0.2.20]}
vips:
  - {id: global, addresses: [198.51.100.1], prefixes: [198.51.100.0/24]}
services:
  - {name: www.edge.example, scheme: unicast, ttl: 30s}
`

// senders post concurrently; each retries what was not answered, as a relay
// would, so that duplicates across a crash are exercised too.
const senders = 16

func TestKillUnderLoad(t *testing.T) {
	rounds := 50
	if testing.Short() {
		rounds = 5
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "catchment")
	if out, err := exec.Command("go", "build", "-o", binary, "catchment/cmd/catchment").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	fleet := filepath.Join(dir, "fleet.yaml")
	if err := os.WriteFile(fleet, []byte(fleetFile), 0o644); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	r := rand.New(rand.NewPCG(2026, 11))

	acked := map[string]bool{}
	var pending []string // posted, not answered when the server was killed
	for round := range rounds {
		s := start(t, binary, fleet, data)
		plan := s.plan(t)
		stop := make(chan struct{})
		var (
			mu    sync.Mutex
			wait  sync.WaitGroup
			retry = pending
			next  int
		)
		pending = nil
		for sender := range senders {
			wait.Go(func() {
				for {
					mu.Lock()
					var id string
					if len(retry) > 0 {
						id, retry = retry[0], retry[1:]
					} else {
						next++
						id = fmt.Sprintf("r%02d-%02d-%06d", round, sender, next)
					}
					mu.Unlock()
					status, err := s.post(id, plan, sender)
					mu.Lock()
					if err == nil && status == http.StatusNoContent {
						acked[id] = true
					} else {
						pending = append(pending, id)
					}
					mu.Unlock()
					select {
					case <-stop:
						return
					default:
						if err != nil {
							return // killed
						}
					}
				}
			})
		}
		time.Sleep(time.Duration(30+r.IntN(220)) * time.Millisecond) // the moment is random on purpose
		s.kill(t)
		close(stop)
		wait.Wait()
		pending = append(pending, retry...)
	}
	if len(acked) < rounds*10 {
		t.Fatalf("only %d beacons were acknowledged in %d rounds: no load to speak of", len(acked), rounds)
	}

	// One clean start and stop, so that everything is sealed; then read back.
	s := start(t, binary, fleet, data)
	s.terminate(t)
	stored := export(t, binary, data)
	lost, doubled := 0, 0
	for id := range acked {
		if stored[id] == 0 {
			lost++
		}
	}
	for _, n := range stored {
		if n > 1 {
			doubled++
		}
	}
	t.Logf("figures: %d kills, %d beacons acknowledged, %d stored, %d lost, %d stored twice", rounds, len(acked), len(stored), lost, doubled)
	if lost > 0 || doubled > 0 {
		t.Errorf("%d acknowledged beacons lost, %d stored twice", lost, doubled)
	}
}

type server struct {
	cmd  *exec.Cmd
	addr string
	http http.Client

	log    bytes.Buffer
	logged chan struct{} // closed when log is complete
}

func start(t *testing.T, binary, fleet, data string) *server {
	t.Helper()
	s := &server{
		http:   http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: senders}},
		logged: make(chan struct{}),
	}
	s.cmd = exec.Command(binary, "serve", "--fleet", fleet, "--data", data, "--listen", "127.0.0.1:0",
		"--admin", "127.0.0.1:0", "--trusted-proxy", "127.0.0.0/8")
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	// The address stands in the log line that says that it listens.
	listening := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(io.TeeReader(stderr, &s.log)); lines.Scan(); {
			if _, rest, ok := strings.Cut(lines.Text(), "msg=listening public="); ok {
				addr, _, _ := strings.Cut(rest, " ")
				listening <- addr
			}
		}
		close(listening)
		close(s.logged)
	}()
	select {
	case s.addr = <-listening:
	case <-time.After(20 * time.Second):
	}
	if s.addr == "" {
		s.kill(t)
		t.Fatalf("serve did not come up:\n%s", s.log.String())
	}
	return s
}

func (s *server) plan(t *testing.T) string {
	t.Helper()
	resp, err := s.http.Get("http://" + s.addr + "/v1/plan")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var plan struct{ ID string }
	if err := json.NewDecoder(resp.Body).Decode(&plan); err != nil || plan.ID == "" {
		t.Fatalf("plan: %v %+v", err, plan)
	}
	return plan.ID
}

func (s *server) post(id, plan string, sender int) (int, error) {
	body := fmt.Sprintf(`{"v":1,"id":%q,"plan":%q,"t":1790000000123,"rate":1,"probes":[`+
		`{"target":"unicast","pop":"iad","rtt":18.7,"af":4},{"target":"global","pop":"lax","vip":"global","rtt":60.1,"af":4}]}`, id, plan)
	req, err := http.NewRequest(http.MethodPost, "http://"+s.addr+"/v1/beacons", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "text/plain")
	// A /24 for every few beacons, so that no prefix meets its cap.
	req.Header.Set("X-Forwarded-For", fmt.Sprintf("198.18.%d.%d", rand.IntN(256), sender))
	if n := rand.IntN(2); n == 1 {
		req.Header.Set("X-Forwarded-For", fmt.Sprintf("100.%d.%d.1", 64+rand.IntN(64), rand.IntN(256)))
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, nil
}

func (s *server) kill(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatalf("kill: %v", err)
	}
	<-s.logged
	_ = s.cmd.Wait()
}

func (s *server) terminate(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-s.logged
	if err := s.cmd.Wait(); err != nil {
		t.Fatalf("serve did not end well: %v\n%s", err, s.log.String())
	}
}

// export returns how often each id is stored.
func export(t *testing.T, binary, data string) map[string]int {
	t.Helper()
	cmd := exec.Command(binary, "export", "--data", data, "--format", "ndjson")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	stored := map[string]int{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var b struct{ ID string }
		if err := json.Unmarshal(lines.Bytes(), &b); err != nil {
			t.Fatal(err)
		}
		stored[b.ID]++
	}
	return stored
}
