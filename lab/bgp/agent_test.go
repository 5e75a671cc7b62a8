package bgp_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"catchment/internal/bgp"
)

const popASN = 64500

var (
	vip4    = netip.MustParsePrefix("198.51.100.0/24")
	vip6    = netip.MustParsePrefix("2001:db8:ff::/48")
	second4 = netip.MustParsePrefix("203.0.113.0/24")
)

// answer mirrors the agent's.
type answer struct {
	At        time.Time
	Error     string
	Neighbors []bgp.NeighborState
	RSS       int // KiB
}

type command struct {
	Set         []bgp.Route `json:",omitempty"`
	WithdrawAll bool        `json:",omitempty"`
}

type agent struct {
	cmd  *exec.Cmd
	in   io.Writer
	out  *bufio.Scanner
	log  *syncBuffer
	done chan struct{}
}

var buildAgent = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "catchment-lab-bgp-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "agent")
	out, err := exec.Command("go", "build", "-o", path, "./agent").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := buildAgent(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// config is a PoP with an IPv4 and an IPv6 session to each of n routers, whose
// ASes are 64496, 64497 and so on.
func config(n int, edit func(*bgp.Config)) bgp.Config {
	c := bgp.Config{ASN: popASN, RouterID: netip.MustParseAddr(popAddr(0)), Prefixes: []netip.Prefix{vip4, vip6, second4}}
	for i := range n {
		for _, a := range []string{routerAddr(i), routerAddr6(i)} {
			c.Neighbors = append(c.Neighbors, bgp.Neighbor{Address: netip.MustParseAddr(a), ASN: uint32(64496 + i)})
		}
	}
	if edit != nil {
		edit(&c)
	}
	return c
}

func startAgent(t *testing.T, n *network, cfg bgp.Config) *agent {
	t.Helper()
	path, err := buildAgent()
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "agent.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	a := &agent{cmd: exec.Command(path, file), log: &syncBuffer{}, done: make(chan struct{})}
	in, err := a.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	a.in, a.out = in, bufio.NewScanner(r)
	a.out.Buffer(nil, 1<<20)
	a.cmd.Stdout, a.cmd.Stderr = w, a.log
	if err := n.pop.Start(a.cmd); err != nil {
		t.Fatal(err)
	}
	go func() { a.cmd.Wait(); w.Close(); close(a.done) }()
	t.Cleanup(func() {
		a.signal(syscall.SIGKILL)
		<-a.done
		if t.Failed() {
			t.Logf("log of the agent:\n%s", tail(a.log.String(), 60))
		}
	})
	return a
}

func (a *agent) signal(s syscall.Signal) { a.cmd.Process.Signal(s) }

func (a *agent) tell(t *testing.T, c command) answer {
	t.Helper()
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.in.Write(append(data, '\n')); err != nil {
		t.Fatal(err)
	}
	if !a.out.Scan() {
		t.Fatalf("the agent is gone: %v\n%s", a.out.Err(), a.log)
	}
	var ans answer
	if err := json.Unmarshal(a.out.Bytes(), &ans); err != nil {
		t.Fatalf("%v in %s", err, a.out.Bytes())
	}
	return ans
}

func (a *agent) set(t *testing.T, routes ...bgp.Route) answer {
	t.Helper()
	ans := a.tell(t, command{Set: routes})
	if ans.Error != "" {
		t.Fatal(ans.Error)
	}
	return ans
}

// wait waits until every neighbor, or those given by index, is as ok says.
func (a *agent) wait(t *testing.T, limit time.Duration, ok func(bgp.NeighborState) bool, which ...int) answer {
	t.Helper()
	var ans answer
	eventually(t, limit, func() (string, bool) {
		ans = a.tell(t, command{})
		good := true
		for i, n := range ans.Neighbors {
			if len(which) == 0 || which[0] == i {
				good = good && ok(n)
			}
		}
		return fmt.Sprintf("%+v", ans.Neighbors), good
	})
	return ans
}

// to is a route for the neighbors of routers i, in its own family.
func to(p netip.Prefix, options bgp.Options, routers ...int) bgp.Route {
	r := bgp.Route{Prefix: p, To: map[netip.Addr]bgp.Options{}}
	for _, i := range routers {
		addr := routerAddr(i)
		if p.Addr().Is6() {
			addr = routerAddr6(i)
		}
		r.To[netip.MustParseAddr(addr)] = options
	}
	return r
}

func established(n bgp.NeighborState) bool { return n.State == bgp.Established }

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }
