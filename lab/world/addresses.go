package world

import (
	"fmt"
	"net/netip"
)

// Addresses follow from the place in the topology:
//
//	198.51.100.1, 2001:db8:ff::1       the global VIP
//	203.0.113.(64·r+1), 2001:db8:fe:r::1   the VIP of region r
//	192.0.2.(4·p+1), 2001:db8:f0:p::1  a PoP's own
//	198.18.(16·n).(10+h)               host h, at network n; 2001:db8:n::h; PoPs have such ones, too
//	198.19.i.0/31, 2001:db8:f1:i::/64  wire i
var (
	Global  = netip.MustParsePrefix("198.51.100.0/24")
	Global6 = netip.MustParsePrefix("2001:db8:ff::/48")
)

func addr(format string, args ...any) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf(format, args...))
}

func prefix(format string, args ...any) netip.Prefix {
	return netip.MustParsePrefix(fmt.Sprintf(format, args...))
}

func unicast(p int) (netip.Prefix, netip.Prefix) {
	return prefix("192.0.2.%d/30", 4*p), prefix("2001:db8:f0:%x::/64", p)
}

func regional(r int) (netip.Prefix, netip.Prefix) {
	return prefix("203.0.113.%d/26", 64*r), prefix("2001:db8:fe:%x::/64", r)
}

func lan(n int) (netip.Prefix, netip.Prefix) {
	return prefix("198.18.%d.0/20", 16*n), prefix("2001:db8:%x::/48", n+1)
}

func host(n, h int) (netip.Addr, netip.Addr) {
	return addr("198.18.%d.%d", 16*n, 10+h), addr("2001:db8:%x::%x", n+1, 0x10+h)
}

// wire returns both ends' addresses of wire i.
func wire(i int) (four, six [2]netip.Addr) {
	return [2]netip.Addr{addr("198.19.%d.0", i), addr("198.19.%d.1", i)}, [2]netip.Addr{addr("2001:db8:f1:%x::1", i), addr("2001:db8:f1:%x::2", i)}
}

// first is the address in a prefix that is used: the one after the network's.
func first(p netip.Prefix) netip.Addr { return p.Addr().Next() }
