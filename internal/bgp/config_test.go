package bgp

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestConfigRefused(t *testing.T) {
	addr := netip.MustParseAddr
	refused := func(want string, edit func(*Config)) {
		t.Helper()
		c := testConfig(Neighbor{Address: addr("192.0.2.1"), ASN: 64496}, Neighbor{Address: addr("192.0.2.2"), ASN: 64497})
		edit(&c)
		s, err := New(c, quiet, prometheus.NewRegistry())
		if err == nil || err.Error() != "bgp: "+want {
			t.Errorf("New: %v, want %s", err, want)
		}
		if s != nil {
			t.Error("a speaker beside an error")
		}
	}
	own := func(p string) func(*Config) {
		return func(c *Config) {
			prefix, _ := netip.ParsePrefix(p)
			c.Prefixes = append(c.Prefixes, prefix)
		}
	}
	first := func(edit func(*Neighbor)) func(*Config) { return func(c *Config) { edit(&c.Neighbors[0]) } }

	refused("asn: AS 0 cannot speak BGP", func(c *Config) { c.ASN = 0 })
	refused("asn: AS 23456 cannot speak BGP", func(c *Config) { c.ASN = 23456 })
	refused("router id: 2001:db8::1 is not an IPv4 address", func(c *Config) { c.RouterID = addr("2001:db8::1") })
	refused("there are no prefixes of our own, so nothing could be announced", func(c *Config) { c.Prefixes = nil })
	refused("own prefix 0.0.0.0/0: is the default route", own("0.0.0.0/0"))
	refused("own prefix ::/0: is the default route", own("::/0"))
	refused("own prefix 192.0.2.1/24: has host bits set, want 192.0.2.0/24", own("192.0.2.1/24"))
	refused("own prefix 192.0.0.0/7: is too much to announce, want /8 or longer", own("192.0.0.0/7"))
	refused("own prefix 2001::/15: has host bits set, want 2000::/15", own("2001::/15"))
	refused("own prefix 2000::/15: is too much to announce, want /16 or longer", own("2000::/15"))
	refused("own prefix 224.0.0.0/24: cannot be routed", own("224.0.0.0/24"))
	refused("own prefix invalid Prefix: not a prefix", own(""))
	refused("own prefix 198.51.100.0/24: stands twice", own("198.51.100.0/24"))
	refused("hold: 2s is not in whole seconds, at least 3s", func(c *Config) { c.Hold = 2 * time.Second })
	refused("hold: 9.5s is not in whole seconds, at least 3s", func(c *Config) { c.Hold = 9500 * time.Millisecond })
	refused("keepalive: 8s is not in whole seconds, at least 1s and at most half of hold (9s)", func(c *Config) { c.Keepalive = 8 * time.Second })
	refused("shutdown text: want UTF-8 of at most 128 bytes", func(c *Config) { c.ShutdownText = strings.Repeat("x", 129) })
	refused("on exit: 7 is neither Withdraw nor Leave", func(c *Config) { c.OnExit = 7 })
	refused("there are no neighbors", func(c *Config) { c.Neighbors = nil })
	refused("neighbor 192.0.2.2: stands twice", first(func(n *Neighbor) { n.Address = addr("192.0.2.2") }))
	refused("neighbor invalid IP: address: no session can go there", first(func(n *Neighbor) { n.Address = netip.Addr{} }))
	refused("neighbor ::ffff:192.0.2.1: address: no session can go there", first(func(n *Neighbor) { n.Address = addr("::ffff:192.0.2.1") }))
	refused("neighbor fe80::1: address: a link-local one needs its interface, such as fe80::1%eth0", first(func(n *Neighbor) { n.Address = addr("fe80::1") }))
	refused("neighbor 192.0.2.1: asn: AS 0 cannot speak BGP", first(func(n *Neighbor) { n.ASN = 0 }))
	refused("neighbor 192.0.2.1: local address: 2001:db8::1 cannot be the other end", first(func(n *Neighbor) { n.LocalAddress = addr("2001:db8::1") }))
	refused("neighbor 192.0.2.1: local address: a passive neighbor needs the one that it connects to", first(func(n *Neighbor) { n.Passive = true }))
	refused("neighbor 192.0.2.1: multihop and TTL security exclude each other", first(func(n *Neighbor) { n.Multihop, n.TTLSecurity = 2, true }))
	refused("neighbor 192.0.2.1: next hop: 2001:db8::1 is not an IPv4 address", first(func(n *Neighbor) { n.NextHop4 = addr("2001:db8::1") }))
	refused("neighbor 192.0.2.1: next hop: fe80::1%eth0 is not an IPv6 address", first(func(n *Neighbor) { n.NextHop6 = addr("fe80::1%eth0") }))
	refused("neighbor 192.0.2.1: max received: 50001 is not 1 to 50000, or -1 for no limit", first(func(n *Neighbor) { n.MaxReceived = 50001 }))
	refused("neighbor 192.0.2.2: another passive neighbor has the same local address", func(c *Config) {
		for i := range c.Neighbors {
			c.Neighbors[i].Passive, c.Neighbors[i].LocalAddress = true, addr("192.0.2.9")
		}
	})
	refused("neighbor 192.0.2.1: password file: open /nonexistent/key: no such file or directory", first(func(n *Neighbor) { n.PasswordFile = "/nonexistent/key" }))
}

func TestReadKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	read := func(content, want, wantErr string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readKey(file)
		if wantErr == "" {
			if err != nil || got != want {
				t.Errorf("%q: %q, %v", content, got, err)
			}
			return
		}
		if err == nil || !strings.Contains(err.Error(), wantErr) {
			t.Errorf("%q: %v, want %s", content, err, wantErr)
		} else if len(content) > 8 && strings.Contains(err.Error(), content[:8]) {
			t.Errorf("the error holds the key: %v", err)
		}
	}
	long := strings.Repeat("0123456789", 8)
	read("secret\n", "secret", "")
	read(" sec ret ", " sec ret ", "")
	read(long+"\r\n", long, "")
	read("", "", "is empty")
	read("\n\n", "", "is empty")
	read(long+"x", "", "longer than 80 bytes")
	read(long+long, "", "longer than 80 bytes")
	read("one-line\ntwo\n", "", "more than one line")
	if key, err := readKey(""); key != "" || err != nil {
		t.Errorf("no file: %q, %v", key, err)
	}
}
