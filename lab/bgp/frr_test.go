package bgp_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"catchment/internal/bgp"
	"catchment/internal/edge"
)

const frrDaemons = "/usr/lib/frr"

// startFRR runs zebra and bgpd at router 0 and returns a way to ask them.
func startFRR(t *testing.T, n *network, conf string) (ask func(string) string) {
	t.Helper()
	require(t, "vtysh")
	if _, err := os.Stat(filepath.Join(frrDaemons, "bgpd")); err != nil {
		t.Skip("missing: frr (tools/setup test installs it)")
	}
	dir, err := os.MkdirTemp("", "catchment-lab-frr-") // a test's own directory is root's alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := filepath.Join(dir, "bgpd.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	// The daemons give up root for a user of their own.
	u, err := user.Lookup("frr")
	if err != nil {
		t.Skip("missing: frr (tools/setup test installs it)")
	}
	uid, _ := strconv.Atoi(u.Uid)
	for _, path := range []string{dir, file} {
		if err := os.Chown(path, uid, -1); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"zebra", "-f", "/dev/null"},
		{"bgpd", "-f", file},
	} {
		log := &syncBuffer{}
		cmd := exec.Command(filepath.Join(frrDaemons, args[0]), append(args[1:], "-i", filepath.Join(dir, args[0]+".pid"), "-z", filepath.Join(dir, "zserv"), "--vty_socket", dir, "-P", "0", "--log", "stdout")...)
		cmd.Stdout, cmd.Stderr = log, log
		if err := n.routers[0].Start(cmd); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
			if t.Failed() {
				t.Logf("log of %s:\n%s", args[0], tail(log.String(), 30))
			}
		})
		eventually(t, 10*time.Second, func() (string, bool) {
			_, err := os.Stat(filepath.Join(dir, args[0]+".vty"))
			return log.String(), err == nil
		})
	}
	return func(command string) string {
		out, _ := exec.Command("vtysh", "--vty_socket", dir, "-c", command).CombinedOutput()
		return string(out)
	}
}

func TestFRR(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 1)
	const key = "frr-and-catchment"
	neighbor := func(a string) string {
		return fmt.Sprintf(" neighbor %[1]s remote-as %[2]d\n neighbor %[1]s timers 3 9\n neighbor %[1]s timers connect 1\n neighbor %[1]s password %[3]s\n neighbor %[1]s ttl-security hops 1\n", a, popASN, key)
	}
	conf := fmt.Sprintf(`router bgp 64496
 bgp router-id %s
 no bgp ebgp-requires-policy
%s%s address-family ipv4 unicast
  neighbor %s activate
 address-family ipv6 unicast
  neighbor %s activate
`, routerAddr(0), neighbor(popAddr(0)), neighbor(popAddr6(0)), popAddr(0), popAddr6(0))
	ask := startFRR(t, n, conf)
	events := monitor(t, n.routers[0])
	a := startAgent(t, n, config(1, func(c *bgp.Config) {
		for i := range c.Neighbors {
			c.Neighbors[i].PasswordFile, c.Neighbors[i].TTLSecurity = keyFile(t, key), true
		}
	}))
	a.set(t, to(vip6, bgp.Options{Prepend: 1}, 0), to(second4, bgp.Options{}, 0))
	a.wait(t, 20*time.Second, bgp.NeighborState.InSync)
	next(t, events, second4, false, 5*time.Second)

	rich := to(vip4, bgp.Options{Prepend: 2, MED: new(uint32(50)), GracefulShutdown: true, Communities: []edge.Community{community(t, "64496:100"), community(t, "64500:1:2")}}, 0)
	base := []bgp.Route{to(vip6, bgp.Options{Prepend: 1}, 0), to(second4, bgp.Options{}, 0)}
	var announce, withdraw []time.Duration
	for range 5 {
		announce = append(announce, change(t, a, events, append(base, rich), vip4, false))
		withdraw = append(withdraw, change(t, a, events, base, vip4, true))
	}
	t.Logf("figures: FRR: announce %s, withdraw %s", summary(announce), summary(withdraw))
	a.set(t, append(base, rich)...)
	seen := func(command string, holds ...string) {
		t.Helper()
		eventually(t, 5*time.Second, func() (string, bool) {
			out := ask(command)
			for _, h := range holds {
				if !strings.Contains(out, h) {
					return out + "\nlacks " + h, false
				}
			}
			return out, true
		})
	}
	seen("show bgp ipv4 unicast "+vip4.String(), "64500 64500 64500\n", "metric 50", "Community: 64496:100 graceful-shutdown", "Large Community: 64500:1:2")
	seen("show bgp ipv6 unicast "+vip6.String(), "64500 64500\n", popAddr6(0))
	out := ask("show bgp neighbors " + popAddr(0))
	if !strings.Contains(out, "BGP state = Established") || !strings.Contains(out, "Graceful Restart Capability: advertised\n") {
		t.Errorf("graceful restart should be FRR's alone:\n%s", out)
	}
}
