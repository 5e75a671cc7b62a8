package bgp_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"catchment/lab/delay"
)

// birdSession is what a router's BGP session with the PoP says beyond the
// defaults, in BIRD's words.
type birdSession struct {
	routerASN, popASN int
	more              string // in both protocols, such as: password "secret";
	global            string // beside them
	v4, v6            string // in the channels; empty: import all, export none
}

type bird struct {
	ns   *delay.Namespace
	dir  string
	cmd  *exec.Cmd
	log  *syncBuffer
	done chan struct{}
}

// startBird runs BIRD at router i, with an IPv4 and an IPv6 session to the PoP.
func startBird(t *testing.T, n *network, i int, s birdSession) *bird {
	t.Helper()
	orElse := func(s string) string {
		if s == "" {
			return "import all; export none;"
		}
		return s
	}
	session := func(name, local, neighbor, channel string) string {
		return fmt.Sprintf(`protocol bgp %s {
	local %s as %d; neighbor %s as %d;
	connect delay time 1; connect retry time 1; error wait time 1,2; error forget time 5; startup hold time 5; hold time 9;
	%s
	%s
}
`, name, local, s.routerASN, neighbor, s.popASN, s.more, channel)
	}
	conf := fmt.Sprintf("router id %s;\nlog stderr all;\n", routerAddr(i)) + s.global + `
protocol device { scan time 30; }
protocol direct { ipv4; ipv6; }
protocol kernel { ipv4 { export where source = RTS_BGP; }; }
protocol kernel { ipv6 { export where source = RTS_BGP; }; }
` + session("pop4", routerAddr(i), popAddr(i), "ipv4 { "+orElse(s.v4)+" };") + session("pop6", routerAddr6(i), popAddr6(i), "ipv6 { "+orElse(s.v6)+" };")
	return startBirdWith(t, n, i, conf)
}

func startBirdWith(t *testing.T, n *network, i int, conf string) *bird {
	t.Helper()
	b := &bird{ns: n.routers[i], dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(b.dir, "bird.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	t.Cleanup(func() {
		b.kill()
		if t.Failed() {
			t.Logf("log of BIRD at r%d:\n%s", i, tail(b.log.String(), 40))
		}
	})
	return b
}

func (b *bird) start(t *testing.T) {
	t.Helper()
	b.log, b.done = &syncBuffer{}, make(chan struct{})
	b.cmd = exec.Command("bird", "-f", "-c", filepath.Join(b.dir, "bird.conf"), "-s", filepath.Join(b.dir, "ctl"))
	b.cmd.Stderr = b.log
	if err := b.ns.Start(b.cmd); err != nil {
		t.Fatal(err)
	}
	go func(cmd *exec.Cmd, done chan struct{}) { cmd.Wait(); close(done) }(b.cmd, b.done)
}

func (b *bird) kill() {
	b.cmd.Process.Signal(syscall.SIGKILL)
	<-b.done
}

// ask runs birdc.
func (b *bird) ask(args ...string) string {
	out, _ := exec.Command("birdc", append([]string{"-s", filepath.Join(b.dir, "ctl")}, args...)...).CombinedOutput()
	return string(out)
}

// route returns what BIRD knows of a prefix: empty if nothing.
func (b *bird) route(prefix string) string {
	out := b.ask("show", "route", prefix, "all")
	if !strings.Contains(out, "BGP.as_path") {
		return ""
	}
	return out
}

func (b *bird) wantRoute(t *testing.T, prefix string, holds ...string) string {
	t.Helper()
	return eventually(t, 20*time.Second, func() (string, bool) {
		out := b.route(prefix)
		for _, h := range holds {
			if !strings.Contains(out, h) {
				return out + "\nlacks " + h, false
			}
		}
		return out, out != ""
	})
}

func (b *bird) wantNoRoute(t *testing.T, prefix string) {
	t.Helper()
	eventually(t, 5*time.Second, func() (string, bool) { out := b.route(prefix); return out, out == "" })
}

// syncBuffer is written by a process and read by the test.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func tail(s string, lines int) string {
	all := strings.Split(s, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
