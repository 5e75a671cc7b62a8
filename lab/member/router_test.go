package member_test

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"catchment/lab/delay"
)

// router is a BIRD that has a session with the PoP over each address family
// and puts what it hears into its kernel, whose changes are noted.
type router struct {
	t   *testing.T
	ns  *delay.Namespace
	dir string

	mu     sync.Mutex
	events []routeEvent // guarded by mu
}

// routeEvent is a change of the kernel's routes.
type routeEvent struct {
	at      time.Time
	prefix  string
	deleted bool
}

func startRouter(t *testing.T, ns *delay.Namespace, i int) *router {
	t.Helper()
	r := &router{t: t, ns: ns, dir: t.TempDir()}
	session := func(name, local, neighbor, family string) string {
		return fmt.Sprintf(`protocol bgp %s {
	local %s as %d; neighbor %s as 64500;
	connect delay time 1; connect retry time 1; error wait time 1,2; error forget time 5; startup hold time 5; hold time 9;
	%s { import all; export none; };
}
`, name, local, 64496+i, neighbor, family)
	}
	conf := fmt.Sprintf(`router id %s;
log stderr all;
protocol device { scan time 30; }
protocol direct { ipv4; ipv6; }
protocol kernel { ipv4 { export where source = RTS_BGP; }; }
protocol kernel { ipv6 { export where source = RTS_BGP; }; }
`, routerAddr(i)) + session("pop4", routerAddr(i), popAddr(i), "ipv4") + session("pop6", routerAddr6(i), popAddr6(i), "ipv6")
	s := &site{t: t, dir: r.dir}
	log := &syncBuffer{}
	r.background(nil, log, "bird", "-f", "-c", s.write("bird.conf", conf), "-s", filepath.Join(r.dir, "ctl"))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of BIRD at r%d:\n%s", i, tail(log.String(), 20))
		}
	})
	out, in := io.Pipe()
	r.background(in, io.Discard, "ip", "-ts", "monitor", "route")
	go r.note(out)
	return r
}

// background runs a program for as long as the test.
func (r *router) background(stdout *io.PipeWriter, stderr io.Writer, name string, args ...string) {
	r.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stderr = stderr
	if stdout != nil {
		cmd.Stdout = stdout
	}
	if err := r.ns.Start(cmd); err != nil {
		r.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	r.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		<-done
		if stdout != nil {
			_ = stdout.Close()
		}
	})
}

// note reads what `ip -ts monitor route` prints, such as
// "[2026-01-02T15:04:05.123456] Deleted 198.51.100.0/24 via 192.0.2.2 dev pop".
func (r *router) note(out io.Reader) {
	for in := bufio.NewScanner(out); in.Scan(); {
		f := strings.Fields(in.Text())
		if len(f) < 2 {
			continue
		}
		at, err := time.ParseInLocation("[2006-01-02T15:04:05.000000]", f[0], time.Local)
		e := routeEvent{at: at, deleted: f[1] == "Deleted"}
		if f = f[1:]; e.deleted {
			f = f[1:]
		}
		if err != nil || len(f) == 0 {
			continue
		}
		e.prefix = f[0]
		r.mu.Lock()
		r.events = append(r.events, e)
		r.mu.Unlock()
	}
}

// changes are those of a prefix since a time.
func (r *router) changes(prefix string, since time.Time) (all []routeEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.prefix == prefix && e.at.After(since) {
			all = append(all, e)
		}
	}
	return all
}

// gone waits until the kernel has lost a route since a time, and returns when
// that was; there waits until it has got it.
func (r *router) gone(prefix string, since time.Time) time.Time {
	r.t.Helper()
	return r.await(prefix, since, true)
}

func (r *router) there(prefix string, since time.Time) time.Time {
	r.t.Helper()
	return r.await(prefix, since, false)
}

func (r *router) await(prefix string, since time.Time, deleted bool) (at time.Time) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("%s: deleted %t", prefix, deleted), func() (string, bool) {
		for _, e := range r.changes(prefix, since) {
			if e.deleted == deleted {
				at = e.at
				return "", true
			}
		}
		return r.route(prefix), false
	})
	return at
}

// route is what BIRD knows of a prefix; empty: nothing.
func (r *router) route(prefix string) string {
	out, _ := exec.Command("birdc", "-s", filepath.Join(r.dir, "ctl"), "show", "route", prefix, "all").CombinedOutput()
	if !strings.Contains(string(out), "BGP.as_path") {
		return ""
	}
	return string(out)
}

// hears waits until BIRD knows a prefix with all of holds and without lacks,
// if that is not empty.
func (r *router) hears(prefix, lacks string, holds ...string) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("%s with %q, without %q", prefix, holds, lacks), func() (string, bool) {
		out := r.route(prefix)
		for _, h := range holds {
			if !strings.Contains(out, h) {
				return out, false
			}
		}
		return out, out != "" && (lacks == "" || !strings.Contains(out, lacks))
	})
}

func (r *router) hearsNothing(prefix string) {
	r.t.Helper()
	eventually(r.t, "no route to "+prefix, func() (string, bool) { out := r.route(prefix); return out, out == "" })
}
