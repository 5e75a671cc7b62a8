// Package bgp_test runs a PoP's BGP speaker against real routers: BIRD and FRR,
// each in a network namespace of its own. Most of what its tests do is wait, and
// so all but the one that measures times do it at once.
package bgp_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"catchment/lab/delay"
)

// network is a PoP with a link to each of its routers:
//
//	pop 192.0.2.2  ── 192.0.2.1  r0    2001:db8:0:1::2 ── 2001:db8:0:1::1
//	pop 192.0.2.6  ── 192.0.2.5  r1    2001:db8:0:2::2 ── 2001:db8:0:2::1
type network struct {
	pop     *delay.Namespace
	routers []*delay.Namespace
}

func popAddr(i int) string     { return fmt.Sprintf("192.0.2.%d", 4*i+2) }
func routerAddr(i int) string  { return fmt.Sprintf("192.0.2.%d", 4*i+1) }
func popAddr6(i int) string    { return fmt.Sprintf("2001:db8:0:%d::2", i+1) }
func routerAddr6(i int) string { return fmt.Sprintf("2001:db8:0:%d::1", i+1) }

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

func newNetwork(t *testing.T, routers int) *network {
	t.Helper()
	require(t, "ip", "bird", "birdc")
	n := &network{pop: namespace(t)}
	for i := range routers {
		r := namespace(t)
		n.routers = append(n.routers, r)
		var tid int
		if err := r.Do(func() error { tid = unix.Gettid(); return nil }); err != nil {
			t.Fatal(err)
		}
		ip(t, n.pop, fmt.Sprintf("link add to%d type veth peer name pop netns %d", i, tid))
		ip(t, n.pop, fmt.Sprintf("link set to%d up", i), fmt.Sprintf("addr add %s/30 dev to%d", popAddr(i), i), fmt.Sprintf("addr add %s/64 dev to%d nodad", popAddr6(i), i))
		ip(t, r, "link set pop up", fmt.Sprintf("addr add %s/30 dev pop", routerAddr(i)), fmt.Sprintf("addr add %s/64 dev pop nodad", routerAddr6(i)))
	}
	return n
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
func ip(t *testing.T, ns *delay.Namespace, commands ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(strings.Join(commands, "\n")+"\n"), &out, &out
	err := ns.Start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		t.Fatalf("ip: %v: %s in %q", err, out.String(), commands)
	}
}

// eventually asks until ok, for at most limit; last is what is shown if not.
func eventually(t *testing.T, limit time.Duration, ask func() (last string, ok bool)) string {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		last, ok := ask()
		if ok {
			return last
		}
		if time.Now().After(end) {
			t.Fatalf("not within %v; last seen:\n%s", limit, last)
		}
	}
}
