package bgp_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"catchment/internal/bgp"
)

func keyFile(t *testing.T, key string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// session runs a router and an agent until the IPv4 and IPv6 session are both
// established, or until both say why not.
func session(t *testing.T, router birdSession, edit func(*bgp.Neighbor), wantError string) (*bird, *agent) {
	t.Helper()
	n := newNetwork(t, 1)
	b := startBird(t, n, 0, router)
	a := startAgent(t, n, config(1, func(c *bgp.Config) {
		for i := range c.Neighbors {
			edit(&c.Neighbors[i])
		}
	}))
	if wantError == "" {
		a.set(t, to(vip4, bgp.Options{}, 0), to(vip6, bgp.Options{}, 0))
		a.wait(t, 15*time.Second, bgp.NeighborState.InSync)
		b.wantRoute(t, vip4.String())
		b.wantRoute(t, vip6.String())
		return b, a
	}
	a.set(t, to(vip4, bgp.Options{}, 0), to(vip6, bgp.Options{}, 0))
	ans := a.wait(t, 25*time.Second, func(n bgp.NeighborState) bool { return strings.Contains(n.LastError, wantError) })
	t.Logf("%s", ans.Neighbors[0].LastError)
	if b.route(vip4.String()) != "" || b.route(vip6.String()) != "" {
		t.Error("the router has a route without a session")
	}
	return b, a
}

func TestMD5(t *testing.T) {
	t.Parallel()
	const key = "correct horse battery staple"
	router := birdSession{routerASN: 64496, popASN: popASN, more: `password "` + key + `";`}
	t.Run("right", func(t *testing.T) {
		_, a := session(t, router, func(n *bgp.Neighbor) { n.PasswordFile = keyFile(t, key) }, "")
		if strings.Contains(a.log.String(), key) {
			t.Error("the key is in the log")
		}
	})
	t.Run("wrong", func(t *testing.T) {
		_, a := session(t, router, func(n *bgp.Neighbor) { n.PasswordFile = keyFile(t, key+"r") }, "MD5")
		if strings.Contains(a.log.String(), key) {
			t.Error("the key is in the log")
		}
	})
	t.Run("none here", func(t *testing.T) { session(t, router, func(*bgp.Neighbor) {}, "MD5") })
	t.Run("none there", func(t *testing.T) {
		session(t, birdSession{routerASN: 64496, popASN: popASN}, func(n *bgp.Neighbor) { n.PasswordFile = keyFile(t, key) }, "MD5")
	})
}

func TestTTLSecurity(t *testing.T) {
	t.Parallel()
	router := birdSession{routerASN: 64496, popASN: popASN, more: "ttl security on;"}
	t.Run("both", func(t *testing.T) { session(t, router, func(n *bgp.Neighbor) { n.TTLSecurity = true }, "") })
	t.Run("with a key", func(t *testing.T) {
		router := router
		router.more += ` password "key";`
		session(t, router, func(n *bgp.Neighbor) { n.TTLSecurity, n.PasswordFile = true, keyFile(t, "key") }, "")
	})
	t.Run("there only", func(t *testing.T) { session(t, router, func(*bgp.Neighbor) {}, "TTL security is on at one end only") })
	t.Run("here only", func(t *testing.T) {
		session(t, birdSession{routerASN: 64496, popASN: popASN}, func(n *bgp.Neighbor) { n.TTLSecurity = true }, "TTL security is on at one end only")
	})
}

func TestWrongASN(t *testing.T) {
	t.Parallel()
	t.Run("the neighbor's", func(t *testing.T) {
		session(t, birdSession{routerASN: 64499, popASN: popASN}, func(*bgp.Neighbor) {}, "the neighbor has another AS number than configured here")
	})
	t.Run("ours", func(t *testing.T) {
		session(t, birdSession{routerASN: 64496, popASN: 64511}, func(*bgp.Neighbor) {}, "expects another AS number of us")
	})
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 1)
	a := startAgent(t, n, config(1, nil))
	a.wait(t, 15*time.Second, func(n bgp.NeighborState) bool { return strings.Contains(n.LastError, "connection refused") })
}

// TestPassive: the router connects, we wait.
func TestPassive(t *testing.T) {
	t.Parallel()
	b, _ := session(t, birdSession{routerASN: 64496, popASN: popASN, more: `password "key"; ttl security on;`}, func(n *bgp.Neighbor) {
		n.Passive, n.PasswordFile, n.TTLSecurity = true, keyFile(t, "key"), true
		n.LocalAddress = addr(popAddr(0))
		if n.Address.Is6() {
			n.LocalAddress = addr(popAddr6(0))
		}
	}, "")
	_ = b
}

// TestBothFamilies: IPv6 routes over the IPv4 session.
func TestBothFamilies(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 1)
	b := startBird(t, n, 0, birdSession{routerASN: 64496, popASN: popASN, v4: "import all; export none; }; ipv6 { import all; export none;"})
	a := startAgent(t, n, config(1, func(c *bgp.Config) {
		c.Neighbors = c.Neighbors[:1]
		c.Neighbors[0].NextHop6 = addr(popAddr6(0))
	}))
	over4 := to(vip6, bgp.Options{}, 0)
	over4.To = to(vip4, bgp.Options{Prepend: 1}, 0).To
	a.set(t, to(vip4, bgp.Options{}, 0), over4)
	b.wantRoute(t, vip4.String(), "BGP.next_hop: "+popAddr(0))
	b.wantRoute(t, vip6.String(), "BGP.next_hop: "+popAddr6(0), "BGP.as_path: 64500 64500\n")
	a.wait(t, 5*time.Second, bgp.NeighborState.InSync)
}

// TestFamilyMissing: wanted, but the router does not take it, and we say so.
func TestFamilyMissing(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 1)
	b := startBird(t, n, 0, birdSession{routerASN: 64496, popASN: popASN})
	a := startAgent(t, n, config(1, func(c *bgp.Config) {
		c.Neighbors = c.Neighbors[:1]
		c.Neighbors[0].NextHop6 = addr(popAddr6(0))
	}))
	over4 := to(vip6, bgp.Options{}, 0)
	over4.To = to(vip4, bgp.Options{}, 0).To
	a.set(t, to(vip4, bgp.Options{}, 0), over4)
	b.wantRoute(t, vip4.String())
	ans := a.wait(t, 5*time.Second, established)
	if got := ans.Neighbors[0].Diff(); len(got) != 1 || got[0] != vip6 {
		t.Errorf("wanted and not sent: %v, want %v", got, vip6)
	}
}

// TestShutdown: routes first, then the session, with the reason.
func TestShutdown(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 1)
	b := startBird(t, n, 0, birdSession{routerASN: 64496, popASN: popASN, global: "debug protocols { routes, states };\n"})
	a := startAgent(t, n, config(1, func(c *bgp.Config) { c.ShutdownText = "iad: maintenance, ticket 123" }))
	a.set(t, to(vip4, bgp.Options{}, 0), to(vip6, bgp.Options{}, 0))
	b.wantRoute(t, vip4.String())
	b.wantRoute(t, vip6.String())
	a.signal(syscall.SIGTERM)
	<-a.done
	b.wantNoRoute(t, vip4.String())
	log := eventually(t, 5*time.Second, func() (string, bool) {
		log := b.log.String()
		return log, strings.Count(log, `Administrative shutdown: "iad: maintenance, ticket 123"`) == 2
	})
	removed := strings.Index(log, "pop4.ipv4 > removed")
	if ended := strings.Index(log, "pop4: Received: Administrative shutdown"); removed < 0 || removed > ended {
		t.Errorf("the withdrawal (at %d) should come before the Cease (at %d):\n%s", removed, ended, log)
	}
}
