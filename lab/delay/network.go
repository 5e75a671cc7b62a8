// Package delay is a small Internet to test in: sites, each a network
// namespace of its own with real addresses, joined by links whose delay,
// jitter and loss are chosen.
//
// Every site has one TUN device. One thread reads the packets of all of them,
// decides by a routing table to which site each goes, holds it for as long as
// the links take, and writes it to the other site's device. The kernels' TCP
// at both ends is real and nothing is rewritten, so a server sees the address
// that the client asked for. An address may exist at several sites (anycast);
// which of them a site's packets reach is the routing table's business, and
// may change while connections are open.
//
// It does what tc-netem does, on kernels built without it, and needs root,
// /dev/net/tun and iproute2. No packet can leave: the devices lead nowhere
// else.
package delay

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Link is the way between a site and the middle of the network. The RTT
// between two sites is the sum of both links' RTTs.
type Link struct {
	RTT    time.Duration // half of it each way
	Jitter time.Duration // each way, a uniform draw from [0, Jitter) on top; packets stay in order
	Loss   float64       // each way, the share of packets dropped, 0 to 1
	Down   bool          // a black hole: every packet is dropped, silently
}

// Site is one place in the network.
type Site struct {
	*Namespace
	Name  string
	index int
	net   *Network
}

// Network is a set of sites and the links between them. Its methods may be
// called at any time, also while it runs, from any goroutine.
type Network struct {
	mu    sync.Mutex // serializes changes
	sites []*Site
	ends  int // devices so far: sites, and ends of wires
	table atomic.Pointer[table]
	loop  *loop
}

// table is what the forwarding thread needs to know; replaced whole.
type table struct {
	links  []Link             // by site
	home   map[netip.Addr]int // the first site that has the address
	routes map[route]int      // exceptions to home
	wires  map[int]int        // ends of wires: the other end
}

type route struct {
	from int // site
	to   netip.Addr
}

// New returns an empty network and starts forwarding. Draws for jitter and
// loss come from seed. Close must be called.
func New(seed uint64) (*Network, error) {
	n := &Network{}
	n.table.Store(&table{})
	l, err := newLoop(&n.table, seed)
	if err != nil {
		return nil, err
	}
	n.loop = l
	return n, nil
}

// AddSite makes a namespace with the addresses, all traffic from which goes
// over link. Of an address that several sites have, the first site added gets
// the traffic unless Route says otherwise.
func (n *Network) AddSite(name string, link Link, addrs ...netip.Addr) (*Site, error) {
	ns, err := NewNamespace()
	if err != nil {
		return nil, err
	}
	fd, err := openTUN(ns, device)
	if err != nil {
		ns.Close()
		return nil, err
	}
	if err := ns.ip(setup(addrs)); err != nil {
		ns.Close()
		unix.Close(fd)
		return nil, err
	}

	n.mu.Lock()
	defer n.mu.Unlock()
	s := &Site{Namespace: ns, Name: name, index: n.ends, net: n}
	n.sites = append(n.sites, s)
	n.ends++
	n.change(func(t *table) {
		t.links = append(t.links, link)
		for _, a := range addrs {
			if _, taken := t.home[a]; !taken {
				t.home[a] = s.index
			}
		}
	})
	n.loop.add(fd)
	return s, nil
}

// setup is the iproute2 batch that gives a site its addresses and makes the
// TUN device the way to everything else. The first address of each family is
// the source of what the site sends.
func setup(addrs []netip.Addr) string {
	var b, routes strings.Builder
	fmt.Fprintf(&b, "link set %s mtu %d up\n", device, mtu)
	var has4, has6 bool
	for _, a := range addrs {
		switch {
		case a.Is4():
			fmt.Fprintf(&b, "addr add %s/32 dev %s\n", a, device)
			if !has4 {
				fmt.Fprintf(&routes, "route add 0.0.0.0/0 dev %s src %s\n", device, a)
			}
			has4 = true
		default:
			// Nobody else is on the link: no duplicates to wait for.
			fmt.Fprintf(&b, "addr add %s/128 dev %s nodad\n", a, device)
			if !has6 {
				fmt.Fprintf(&routes, "route add ::/0 dev %s src %s\n", device, a)
			}
			has6 = true
		}
	}
	return b.String() + routes.String()
}

// SetLink replaces the site's link. Packets under way keep the old one's delay.
func (s *Site) SetLink(l Link) {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	s.net.change(func(t *table) { t.links[s.index] = l })
}

// Route sends the packets of from to addr to the site to: the catchment of an
// anycast address.
func (n *Network) Route(from *Site, addr netip.Addr, to *Site) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.change(func(t *table) { t.routes[route{from.index, addr}] = to.index })
}

// change applies f to a copy of the table. n.mu is held.
func (n *Network) change(f func(*table)) {
	old := n.table.Load()
	t := &table{links: slices.Clone(old.links), home: maps.Clone(old.home), routes: maps.Clone(old.routes), wires: maps.Clone(old.wires)}
	if t.home == nil {
		t.home, t.routes, t.wires = map[netip.Addr]int{}, map[route]int{}, map[int]int{}
	}
	f(t)
	n.table.Store(t)
}

// Stats returns what the network has done so far.
func (n *Network) Stats() Stats { return n.loop.stats() }

// Close stops forwarding, kills what was started at the sites and removes
// everything.
func (n *Network) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loop.close()
	for _, s := range n.sites {
		s.Namespace.Close()
	}
	n.sites = nil
}
