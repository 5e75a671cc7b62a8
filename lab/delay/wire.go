package delay

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Wire is a link between two namespaces, such as routers, which have a device
// each for it and decide themselves what goes over it.
type Wire struct {
	net  *Network
	rtt  time.Duration
	ends [2]int
	fds  [2]int
}

// RTT is what the wire was made with.
func (w *Wire) RTT() time.Duration { return w.rtt }

// AddWire makes a wire with the devices dev[0] in a and dev[1] in b; names of
// devices have at most 15 bytes. They have no addresses, and are up.
func (n *Network) AddWire(a, b *Namespace, dev [2]string, link Link) (*Wire, error) {
	w := &Wire{net: n, rtt: link.RTT}
	for i, ns := range []*Namespace{a, b} {
		fd, err := openTUN(ns, dev[i])
		if err == nil {
			err = ns.ip(fmt.Sprintf("link set %s mtu %d up\n", dev[i], mtu))
		}
		if err != nil {
			return nil, fmt.Errorf("delay: wire: %w", err)
		}
		w.fds[i] = fd
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	w.ends = [2]int{n.ends, n.ends + 1}
	n.ends += 2
	n.change(func(t *table) {
		t.links = append(t.links, link, link)
		t.wires[w.ends[0]], t.wires[w.ends[1]] = w.ends[1], w.ends[0]
	})
	for _, fd := range w.fds {
		n.loop.add(fd)
	}
	return w, nil
}

// SetLink replaces the wire's link. With Down it is a black hole that neither
// end notices.
func (w *Wire) SetLink(l Link) {
	w.net.mu.Lock()
	defer w.net.mu.Unlock()
	w.net.change(func(t *table) { t.links[w.ends[0]], t.links[w.ends[1]] = l, l })
}

// SetCarrier pulls the plug, or puts it back: both ends notice at once.
func (w *Wire) SetCarrier(on bool) error {
	v := 0
	if on {
		v = 1
	}
	for _, fd := range w.fds {
		if err := unix.IoctlSetPointerInt(fd, unix.TUNSETCARRIER, v); err != nil {
			return fmt.Errorf("delay: carrier: %w", err)
		}
	}
	return nil
}
