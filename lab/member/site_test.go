// Package member_test runs the real `catchment pop` beside a service and next
// to BIRD routers, each in a network namespace of its own: what the PoP
// announces as its checks, its operators and its own end have it.
package member_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"catchment/lab/delay"
)

// patience is how long anything may take that takes little on a quiet machine.
const patience = 20 * time.Second

// site is a PoP with a link to each of its routers:
//
//	pop 192.0.2.2  ── 192.0.2.1  r0    2001:db8:0:1::2 ── 2001:db8:0:1::1
//	pop 192.0.2.6  ── 192.0.2.5  r1    2001:db8:0:2::2 ── 2001:db8:0:2::1
type site struct {
	t       *testing.T
	dir     string
	pop     *delay.Namespace
	routers []*router
	service *service
}

func popAddr(i int) string     { return fmt.Sprintf("192.0.2.%d", 4*i+2) }
func routerAddr(i int) string  { return fmt.Sprintf("192.0.2.%d", 4*i+1) }
func popAddr6(i int) string    { return fmt.Sprintf("2001:db8:0:%d::2", i+1) }
func routerAddr6(i int) string { return fmt.Sprintf("2001:db8:0:%d::1", i+1) }

// newSite makes a site whose routers run, and whose service does not.
func newSite(t *testing.T, routers int) *site {
	t.Helper()
	require(t, "ip", "bird", "birdc")
	s := &site{t: t, dir: t.TempDir(), pop: namespace(t)}
	for i := range routers {
		ns := namespace(t)
		var tid int
		if err := ns.Do(func() error { tid = unix.Gettid(); return nil }); err != nil {
			t.Fatal(err)
		}
		s.ip(s.pop, fmt.Sprintf("link add to%d type veth peer name pop netns %d", i, tid))
		s.ip(s.pop, fmt.Sprintf("link set to%d up", i), fmt.Sprintf("addr add %s/30 dev to%d", popAddr(i), i), fmt.Sprintf("addr add %s/64 dev to%d nodad", popAddr6(i), i))
		s.ip(ns, "link set pop up", fmt.Sprintf("addr add %s/30 dev pop", routerAddr(i)), fmt.Sprintf("addr add %s/64 dev pop nodad", routerAddr6(i)))
		s.routers = append(s.routers, startRouter(t, ns, i))
	}
	s.service = startService(t, s.pop)
	return s
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

func namespace(t *testing.T) *delay.Namespace {
	t.Helper()
	ns, err := delay.NewNamespace()
	if errors.Is(err, unix.EPERM) {
		t.Skip("missing: CAP_SYS_ADMIN, for network namespaces")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ns.Close)
	return ns
}

// ip runs iproute2 commands in a namespace.
func (s *site) ip(ns *delay.Namespace, commands ...string) {
	s.t.Helper()
	if out, err := run(ns, strings.Join(commands, "\n")+"\n", "ip", "-batch", "-"); err != nil {
		s.t.Fatalf("ip: %v: %s in %q", err, out, commands)
	}
}

// run runs a program in a namespace to its end.
func run(ns *delay.Namespace, stdin, name string, args ...string) (string, error) {
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &out
	if err := ns.Start(cmd); err != nil {
		return "", err
	}
	stuck := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer stuck.Stop()
	err := cmd.Wait()
	return out.String(), err
}

// addresses are those on the PoP's loopback interface, but for its own, with
// the flags that iproute2 shows.
func (s *site) addresses() map[string]string {
	s.t.Helper()
	out, err := run(s.pop, "", "ip", "-oneline", "addr", "show", "dev", "lo")
	if err != nil {
		s.t.Fatalf("ip addr: %v: %s", err, out)
	}
	all := map[string]string{}
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) > 4 && f[3] != "127.0.0.1/8" && f[3] != "::1/128" {
			all[f[3]] = strings.Join(f[4:], " ")
		}
	}
	return all
}

// write makes or replaces a file, whole, and returns its path.
func (s *site) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := errors.Join(os.WriteFile(path+".new", []byte(text), 0o600), os.Rename(path+".new", path)); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// eventually asks until ok, for at most patience; last is what is shown if not.
func eventually(t *testing.T, what string, ask func() (last string, ok bool)) time.Time {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		last, ok := ask()
		if ok {
			return time.Now()
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v; last seen:\n%s", what, patience, last)
		}
	}
}

// service is what the PoP's checks look at.
type service struct{ mode atomic.Int32 }

// The modes of a service.
const (
	failing int32 = iota // answers 503
	well
	hanging // answers nothing
)

const serviceAddr = "127.0.0.1:8081"

func startService(t *testing.T, ns *delay.Namespace) *service {
	t.Helper()
	s := &service{}
	l, err := ns.Listen("tcp", serviceAddr)
	if err != nil {
		t.Fatal(err)
	}
	end := make(chan struct{})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch s.mode.Load() {
		case failing:
			w.WriteHeader(http.StatusServiceUnavailable)
		case hanging:
			select {
			case <-r.Context().Done():
			case <-end:
			}
		}
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { close(end); _ = server.Close() })
	return s
}

func (s *service) is(mode int32) time.Time {
	s.mode.Store(mode)
	return time.Now()
}

// dial connects from router i to an address of the PoP.
func (s *site) dial(i int, addr string) (net.Conn, error) {
	return s.routers[i].ns.Dial(&net.Dialer{Timeout: 2 * time.Second}, "tcp", addr)
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

func tail(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
