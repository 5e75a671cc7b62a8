package bgp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"time"
	"unicode/utf8"
)

// Defaults of Config and Neighbor.
const (
	// DefaultHold is short because it is all that ends the session of a PoP
	// that hangs or has lost its path; one that crashes ends at once, with its
	// TCP connection. BIRD accepts as little as 3 s.
	DefaultHold = 9 * time.Second

	// DefaultMaxReceived is far more than the default route or the few routes
	// that a PoP may sensibly be sent, and takes a few MB of memory.
	DefaultMaxReceived = 10_000

	// DefaultLimitPause is how long a neighbor that sent too much is left alone.
	DefaultLimitPause = 5 * time.Minute

	// maxMaxReceived: the library counts all that it has with each update, so a
	// high limit costs more than it saves.
	maxMaxReceived = 50_000

	maxPrepend = 10
	maxKey     = 80  // bytes: the kernel's TCP_MD5SIG_MAXKEYLEN
	maxText    = 128 // bytes: what the library sends of RFC 9003's 255
)

// OnExit is what becomes of the sessions when Run ends.
type OnExit int

const (
	// Withdraw takes the routes back, then ends the sessions with a Cease.
	Withdraw OnExit = iota
	// Leave lets the sessions be until the process ends and the kernel closes
	// their connections, which neighbors see at once: routes go then.
	Leave
)

// Config says who the speaker is and whom it speaks to.
type Config struct {
	ASN      uint32
	RouterID netip.Addr // IPv4; RFC 6286

	// Prefixes are all that may ever be announced, exactly: neither a part of
	// one nor one that covers it. None is shorter than /8 (IPv6: /16).
	Prefixes  []netip.Prefix
	Neighbors []Neighbor

	ListenPort   uint16        // for passive neighbors; 0: 179
	Hold         time.Duration // whole seconds, at least 3 s; 0: DefaultHold
	Keepalive    time.Duration // whole seconds; 0: a third of Hold
	LimitPause   time.Duration // 0: DefaultLimitPause
	OnExit       OnExit
	ShutdownText string // in the Cease (RFC 9003): at most 128 bytes
}

// Neighbor is a router to speak to. Sessions are opened from our side; a
// passive neighbor's is awaited.
type Neighbor struct {
	Address      netip.Addr // an IPv6 link-local one with its zone
	ASN          uint32
	Port         uint16     // where it listens; 0: 179
	LocalAddress netip.Addr // our end; zero: the kernel's choice
	PasswordFile string     // TCP MD5 key (RFC 2385), at most 80 bytes; a newline at its end is not part of it
	TTLSecurity  bool       // GTSM (RFC 5082)
	Multihop     uint8      // hops to a neighbor that is not on our link; 0: it is
	Passive      bool       // waits for the neighbor; LocalAddress is then its own, among the passive ones

	// The next hops that routes are announced with. Those of the session's own
	// family may be left out: it is our end of the session then. A session
	// carries the other family's routes if that one's next hop is set.
	NextHop4, NextHop6 netip.Addr

	// MaxReceived is how many routes a family the neighbor may send, all of
	// which are dropped, before the session ends for Config.LimitPause: up to
	// 50,000. 0 is DefaultMaxReceived, -1 is no limit: then the neighbor
	// decides how much memory its routes take.
	MaxReceived int
}

// carries reports whether routes to p can be announced in the session.
func (n *Neighbor) carries(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return n.Address.Is4() || n.NextHop4.IsValid()
	}
	return n.Address.Is6() || n.NextHop6.IsValid()
}

func (c *Config) withDefaults() Config {
	d := *c
	set := func(t *time.Duration, v time.Duration) {
		if *t == 0 {
			*t = v
		}
	}
	set(&d.Hold, DefaultHold)
	set(&d.Keepalive, (d.Hold / 3).Truncate(time.Second))
	set(&d.LimitPause, DefaultLimitPause)
	if d.ListenPort == 0 {
		d.ListenPort = 179
	}
	d.Prefixes = slices.Clone(c.Prefixes)
	d.Neighbors = slices.Clone(c.Neighbors)
	for i := range d.Neighbors {
		if d.Neighbors[i].MaxReceived == 0 {
			d.Neighbors[i].MaxReceived = DefaultMaxReceived
		}
	}
	return d
}

// Check says what is wrong, if anything is; it reads the neighbors' keys, too.
func (c *Config) Check() error {
	full := c.withDefaults()
	if err := full.check(); err != nil {
		return err
	}
	for i := range full.Neighbors {
		if _, err := readKey(full.Neighbors[i].PasswordFile); err != nil {
			return fmt.Errorf("bgp: neighbor %v: %w", full.Neighbors[i].Address, err)
		}
	}
	return nil
}

// check expects the defaults to be filled in.
func (c *Config) check() error {
	if c.ASN == 0 || c.ASN == 23456 {
		return fmt.Errorf("bgp: asn: AS %d cannot speak BGP", c.ASN)
	}
	if !c.RouterID.Is4() || c.RouterID.IsUnspecified() {
		return fmt.Errorf("bgp: router id: %v is not an IPv4 address", c.RouterID)
	}
	if err := checkOwn(c.Prefixes); err != nil {
		return err
	}
	whole := func(d time.Duration) bool { return d%time.Second == 0 && d <= 65535*time.Second }
	switch {
	case !whole(c.Hold) || c.Hold < 3*time.Second:
		return fmt.Errorf("bgp: hold: %v is not in whole seconds, at least 3s", c.Hold)
	case !whole(c.Keepalive) || c.Keepalive < time.Second || c.Keepalive > c.Hold/2:
		return fmt.Errorf("bgp: keepalive: %v is not in whole seconds, at least 1s and at most half of hold (%v)", c.Keepalive, c.Hold)
	case c.LimitPause < 0:
		return fmt.Errorf("bgp: limit pause: %v is negative", c.LimitPause)
	case c.OnExit != Withdraw && c.OnExit != Leave:
		return fmt.Errorf("bgp: on exit: %d is neither Withdraw nor Leave", c.OnExit)
	case len(c.ShutdownText) > maxText || !utf8.ValidString(c.ShutdownText):
		return fmt.Errorf("bgp: shutdown text: want UTF-8 of at most %d bytes", maxText)
	case len(c.Neighbors) == 0:
		return errors.New("bgp: there are no neighbors")
	}
	seen, local := map[netip.Addr]bool{}, map[netip.Addr]bool{}
	for i := range c.Neighbors {
		n := &c.Neighbors[i]
		if err := n.check(); err != nil {
			return fmt.Errorf("bgp: neighbor %v: %w", n.Address, err)
		}
		if seen[n.Address] {
			return fmt.Errorf("bgp: neighbor %v: stands twice", n.Address)
		}
		seen[n.Address] = true
		if n.Passive && local[n.LocalAddress] {
			return fmt.Errorf("bgp: neighbor %v: another passive neighbor has the same local address", n.Address)
		}
		local[n.LocalAddress] = local[n.LocalAddress] || n.Passive
	}
	return nil
}

func (n *Neighbor) check() error {
	usable := func(a netip.Addr) bool {
		return a.IsValid() && !a.Is4In6() && !a.IsUnspecified() && !a.IsMulticast()
	}
	switch {
	case !usable(n.Address):
		return errors.New("address: no session can go there")
	case n.Address.Is6() && n.Address.IsLinkLocalUnicast() && n.Address.Zone() == "":
		return errors.New("address: a link-local one needs its interface, such as fe80::1%eth0")
	case n.ASN == 0 || n.ASN == 23456:
		return fmt.Errorf("asn: AS %d cannot speak BGP", n.ASN)
	case n.LocalAddress.IsValid() && (!usable(n.LocalAddress) || n.LocalAddress.Is4() != n.Address.Is4()):
		return fmt.Errorf("local address: %v cannot be the other end", n.LocalAddress)
	case n.Passive && !n.LocalAddress.IsValid():
		return errors.New("local address: a passive neighbor needs the one that it connects to")
	case n.Multihop > 0 && n.TTLSecurity:
		return errors.New("multihop and TTL security exclude each other")
	case n.NextHop4.IsValid() && (!usable(n.NextHop4) || !n.NextHop4.Is4()):
		return fmt.Errorf("next hop: %v is not an IPv4 address", n.NextHop4)
	case n.NextHop6.IsValid() && (!usable(n.NextHop6) || !n.NextHop6.Is6() || n.NextHop6.Zone() != ""):
		return fmt.Errorf("next hop: %v is not an IPv6 address", n.NextHop6)
	case n.MaxReceived < -1 || n.MaxReceived > maxMaxReceived:
		return fmt.Errorf("max received: %d is not 1 to %d, or -1 for no limit", n.MaxReceived, maxMaxReceived)
	}
	return nil
}

// checkOwn refuses a set that is empty, which a filter might take for "all",
// and prefixes that can only be a slip.
func checkOwn(own []netip.Prefix) error {
	if len(own) == 0 {
		return errors.New("bgp: there are no prefixes of our own, so nothing could be announced")
	}
	seen := map[netip.Prefix]bool{}
	for _, p := range own {
		shortest := 8 // the largest block ever handed out
		if p.Addr().Is6() {
			shortest = 16
		}
		switch {
		case !p.IsValid() || p.Addr().Is4In6():
			return fmt.Errorf("bgp: own prefix %v: not a prefix", p)
		case p.Bits() == 0:
			return fmt.Errorf("bgp: own prefix %v: is the default route", p)
		case p != p.Masked():
			return fmt.Errorf("bgp: own prefix %v: has host bits set, want %v", p, p.Masked())
		case p.Bits() < shortest:
			return fmt.Errorf("bgp: own prefix %v: is too much to announce, want /%d or longer", p, shortest)
		case p.Addr().IsMulticast() || p.Addr().IsLoopback() || p.Addr().IsLinkLocalUnicast():
			return fmt.Errorf("bgp: own prefix %v: cannot be routed", p)
		case seen[p]:
			return fmt.Errorf("bgp: own prefix %v: stands twice", p)
		}
		seen[p] = true
	}
	return nil
}

// readKey reads a TCP MD5 key. Errors never hold any of it.
func readKey(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("password file: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKey+3)) // the longest key with \r\n, and a byte that is too many
	if err != nil {
		return "", fmt.Errorf("password file: read %s: %w", file, err)
	}
	key := bytes.TrimRight(data, "\r\n")
	switch {
	case len(key) == 0:
		return "", fmt.Errorf("password file: %s is empty", file)
	case len(key) > maxKey:
		return "", fmt.Errorf("password file: the key in %s is longer than %d bytes", file, maxKey)
	case bytes.ContainsAny(key, "\r\n\x00"):
		return "", fmt.Errorf("password file: %s holds more than one line", file)
	}
	return string(key), nil
}
