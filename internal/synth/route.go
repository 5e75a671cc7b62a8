package synth

import (
	"net"
	"net/netip"
	"slices"
	"strconv"

	"catchment/internal/edge"
)

// Route is one way to ask: a target's address and a protocol.
type Route struct {
	Target   Target
	Addr     netip.AddrPort
	Protocol Protocol
	Host     string // for Host, :authority and the certificate; with the port if it is not the scheme's own
	Name     string // Host without the port
}

// Family is 4 or 6.
func (r Route) Family() int {
	if r.Addr.Addr().Is4() {
		return 4
	}
	return 6
}

// probeLabel makes a name under the probe name, which no page view's nonce is.
const probeLabel = "synth"

// routes lists the ways to a fleet: those over VIPs, and those to the PoPs'
// own addresses.
func (c *Config) routes(f *edge.Fleet) (anycast, control []Route) {
	list := func(t Target, addrs []netip.Addr) (all []Route) {
		for _, a := range addrs {
			a = a.Unmap()
			if family := 6 - 2*btoi(a.Is4()); !slices.Contains(c.Families, family) {
				continue
			}
			for _, p := range c.Protocols {
				if r, ok := c.route(f, t, a, p); ok {
					all = append(all, r)
				}
			}
		}
		return all
	}
	for i := range f.VIPs {
		anycast = append(anycast, list(VIPTarget(f.VIPs[i].ID), f.VIPs[i].Addresses)...)
	}
	for i := range f.PoPs {
		control = append(control, list(PoPTarget(f.PoPs[i].ID), f.PoPs[i].Unicast)...)
	}
	return anycast, control
}

// route returns the way to a over p, if the fleet has a name for it: HTTP/2 is
// refused under probe names, so it needs a service.
func (c *Config) route(f *edge.Fleet, t Target, a netip.Addr, p Protocol) (Route, bool) {
	port, standard, name := c.TLSPort, uint16(443), probeLabel+"."+f.Probe
	switch p {
	case HTTP:
		port, standard = c.Port, 80
	case HTTP2:
		if len(f.Services) == 0 {
			return Route{}, false
		}
		name = f.Services[0].Name
	}
	host := name
	if port != standard {
		host = net.JoinHostPort(name, strconv.Itoa(int(port)))
	}
	return Route{t, netip.AddrPortFrom(a, port), p, host, name}, true
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
