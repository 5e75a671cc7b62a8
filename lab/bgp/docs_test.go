package bgp_test

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"catchment/internal/bgp"
)

// snippet returns a block of docs/bgp.md.
func snippet(t *testing.T, language string) string {
	t.Helper()
	doc, err := os.ReadFile("../../docs/bgp.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(string(doc), "```"+language+"\n")
	block, _, ended := strings.Cut(block, "```")
	if !ok || !ended {
		t.Fatalf("docs/bgp.md has no block of %s", language)
	}
	return block
}

// documented is the agent that the snippets are the other end of. It may
// announce more than they accept.
func documented(t *testing.T, n *network) *agent {
	t.Helper()
	a := startAgent(t, n, config(1, func(c *bgp.Config) {
		c.Neighbors = c.Neighbors[:1]
		c.Neighbors[0].PasswordFile, c.Neighbors[0].TTLSecurity = keyFile(t, "secret"), true
		c.Prefixes = append(c.Prefixes, netip.MustParsePrefix("198.51.100.0/25"))
	}))
	a.set(t, to(vip4, bgp.Options{GracefulShutdown: true}, 0), to(second4, bgp.Options{}, 0), to(netip.MustParsePrefix("198.51.100.0/25"), bgp.Options{}, 0))
	a.wait(t, 20*time.Second, bgp.NeighborState.InSync)
	return a
}

// TestSnippets: what docs/bgp.md tells operators to configure works.
func TestSnippets(t *testing.T) {
	t.Parallel()
	t.Run("BIRD", func(t *testing.T) {
		n := newNetwork(t, 1)
		b := startBirdWith(t, n, 0, "router id 192.0.2.1; log stderr all; protocol device {}\n"+snippet(t, "bird"))
		a := documented(t, n)
		b.wantRoute(t, vip4.String(), "BGP.local_pref: 0\n", "(65535,0)")
		b.wantRoute(t, second4.String(), "BGP.local_pref: 100\n")
		if out := b.route("198.51.100.0/25"); out != "" {
			t.Errorf("the filter lets a part of a prefix pass:\n%s", out)
		}
		if got := a.tell(t, command{}).Neighbors[0].Received; got != 0 {
			t.Errorf("%d routes are received", got)
		}
	})
	t.Run("FRR", func(t *testing.T) {
		n := newNetwork(t, 1)
		ask := startFRR(t, n, snippet(t, "frr"))
		documented(t, n)
		eventually(t, 5*time.Second, func() (string, bool) {
			out := ask("show bgp ipv4 unicast " + vip4.String())
			return out, strings.Contains(out, "localpref 0,") && strings.Contains(out, "graceful-shutdown")
		})
		if out := ask("show bgp ipv4 unicast " + second4.String()); !strings.Contains(out, "64500") || strings.Contains(out, "localpref 0,") {
			t.Errorf("the second prefix:\n%s", out)
		}
		if out := ask("show bgp ipv4 unicast 198.51.100.0/25"); strings.Contains(out, "198.51.100.0/25") {
			t.Errorf("the filter lets a part of a prefix pass:\n%s", out)
		}
	})
}
