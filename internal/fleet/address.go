package fleet

import (
	"fmt"
	"net/netip"
	"strings"
)

// address reads an IP address that a PoP or a VIP can have.
func (d *decoder) address(v value) netip.Addr {
	return d.addr(v, "an address, such as 192.0.2.1", false)
}

// neighborAddress reads an IP address that a BGP session can go to: an
// IPv6 link-local one with its interface, too.
func (d *decoder) neighborAddress(v value) netip.Addr {
	return d.addr(v, "an address, such as 192.0.2.1", true)
}

// routerID reads a BGP identifier, which by custom is written as an IPv4
// address (RFC 6286: any number but 0).
func (d *decoder) routerID(v value) netip.Addr {
	const want = "an IPv4 address, such as 192.0.2.1"
	a := d.addr(v, want, false)
	if a.IsValid() && !a.Is4() {
		d.at(v.path, a.String()+" is not an IPv4 address", "want "+want)
		return netip.Addr{}
	}
	return a
}

// addr returns the zero address when it has reported what is wrong.
func (d *decoder) addr(v value, want string, zoneAllowed bool) (none netip.Addr) {
	s, ok := d.scalar(v, want)
	if !ok {
		return none
	}
	fail := func(msg, hint string) netip.Addr {
		d.at(v.path, msg, "want "+hint)
		return none
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		if p, err := netip.ParsePrefix(s); err == nil {
			return fail(s+" is a prefix", "an address, such as "+p.Addr().String())
		}
		if ap, err := netip.ParseAddrPort(s); err == nil {
			return fail(s+" has a port", "the address alone: "+ap.Addr().String())
		}
		return fail(quote(s)+" is not an IP address", want)
	}
	switch {
	case a.Is4In6():
		return fail(s+" is an IPv4 address in its IPv6 form", a.Unmap().String())
	case a.Zone() != "" && !zoneAllowed:
		return fail(s+" has an interface", "the address alone: "+a.WithZone("").String())
	case a.IsLinkLocalUnicast() && a.Is6() && a.Zone() == "" && zoneAllowed:
		return fail(s+" is link-local", "its interface with it, such as "+s+"%eth0")
	case a.IsUnspecified():
		return fail(s+" stands for no address", want)
	case a.IsMulticast():
		return fail(s+" is a multicast address", want)
	}
	return a
}

// prefix reads a prefix that a VIP is announced with.
func (d *decoder) prefix(v value) (none netip.Prefix) {
	const want = "a prefix, such as 198.51.100.0/24"
	s, ok := d.scalar(v, want)
	if !ok {
		return none
	}
	fail := func(msg, hint string) netip.Prefix {
		d.at(v.path, msg, "want "+hint)
		return none
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			return fail(s+" is an address", fmt.Sprintf("a prefix, such as %s/%d", a, a.BitLen()))
		}
		return fail(quote(s)+" is not a prefix", want)
	}
	shortest := 8 // the largest block that was ever handed out, IPv4
	if p.Addr().Is6() {
		shortest = 16 // and IPv6; anything shorter is a slip that would draw in the Internet
	}
	switch {
	case p.Addr().Is4In6():
		return fail(s+" is an IPv4 prefix in its IPv6 form", want)
	case p != p.Masked():
		return fail(s+" has host bits set", p.Masked().String())
	case p.Bits() < shortest:
		return fail(s+" is too much to announce", fmt.Sprintf("/%d or longer", shortest))
	case p.Addr().IsMulticast():
		return fail(s+" is multicast", want)
	}
	return p
}

// name reads a DNS name without the trailing dot, in lower case, of labels of
// letters, digits and hyphens (RFC 1035, section 2.3.1; RFC 1123, section 2.1).
func (d *decoder) name(v value) string {
	const want = "a DNS name, such as www.edge.example.net"
	s, ok := d.scalar(v, want)
	if !ok {
		return ""
	}
	fail := func(msg, hint string) string {
		d.at(v.path, msg, hint)
		return ""
	}
	if len(s) > 1 && strings.HasSuffix(s, ".") {
		return fail(quote(s)+" ends in a dot", "want "+strings.TrimRight(s, "."))
	}
	for label := range strings.SplitSeq(s, ".") {
		switch {
		case label == "":
			return fail(quote(s)+" has an empty label", "want "+want)
		case len(label) > 63:
			return fail(quote(s)+" has a label of more than 63 bytes", "want "+want)
		case label[0] == '-' || label[len(label)-1] == '-':
			return fail(quote(s)+" has a label with a hyphen at its end", "want "+want)
		}
	}
	for _, c := range s {
		switch {
		case c >= 'A' && c <= 'Z':
			return fail(quote(s)+" has capitals", "want "+strings.ToLower(s))
		case c > 127:
			return fail(quote(s)+" is not ASCII", "want its IDNA form, which begins with xn--")
		case (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.':
			return fail(fmt.Sprintf("%s holds a %q", quote(s), c), "want letters, digits and hyphens between dots")
		}
	}
	if len(s) > 253 {
		return fail(fmt.Sprintf("has %d bytes", len(s)), "want at most 253")
	}
	return s
}
