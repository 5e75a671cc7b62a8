package beacon

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"catchment/internal/edge"
)

// Prefixes says how much of a client's address is kept, in bits.
type Prefixes struct {
	V4 int // 8 to 28; 0 is 24
	V6 int // 16 to 58; 0 is 48
}

// withDefaults returns p with the zero values replaced, or an error for
// lengths that keep too much to be a group, or too little to tell anything.
func (p Prefixes) withDefaults() (Prefixes, error) {
	if p.V4 == 0 {
		p.V4 = 24
	}
	if p.V6 == 0 {
		p.V6 = 48
	}
	if p.V4 < 8 || p.V4 > 28 {
		return p, fmt.Errorf("beacon: IPv4 prefix length %d (want 8 to 28)", p.V4)
	}
	if p.V6 < 16 || p.V6 > 58 {
		return p, fmt.Errorf("beacon: IPv6 prefix length %d (want 16 to 58)", p.V6)
	}
	return p, nil
}

// cut returns the prefix of c that may be kept. What is shorter already stays.
func (p Prefixes) cut(c netip.Prefix) netip.Prefix {
	keep := p.V6
	if c.Addr().Is4() {
		keep = p.V4
	}
	if !c.IsValid() || c.Bits() <= keep {
		return c
	}
	return netip.PrefixFrom(c.Addr(), keep).Masked()
}

// locate adds the place of a relayed beacon, unless it came with one, and then
// cuts all addresses. ContinentOf, which may be nil, completes the place that
// it came with.
func locate(b *edge.Beacon, places Places, continentOf func(country string) (string, bool), keep Prefixes) {
	if b.Place == (edge.Place{}) {
		b.Place = places.Lookup(b.Client.Addr())
	} else if b.Place.Continent == "" && continentOf != nil {
		b.Place.Continent, _ = continentOf(b.Place.Country)
	}
	b.Client = keep.cut(b.Client)
	keep.cutResolver(b)
}

// cutResolver cuts what the resolver of b tells about the client.
func (p Prefixes) cutResolver(b *edge.Beacon) {
	b.Resolver.ECS = p.cut(b.Resolver.ECS)
	if b.Client.Contains(b.Resolver.Addr.Addr()) { // a resolver at home is the client's address
		b.Resolver.Addr = p.cut(b.Resolver.Addr)
	}
}

// Where a client's address comes from.
const (
	fromConnection = "connection"
	fromXFF        = "x-forwarded-for"
	fromForwarded  = "forwarded" // RFC 7239
)

// origin is who sent a request, as far as can be told.
type origin struct {
	addr    netip.Addr // invalid: not known
	source  string     // fromConnection, …
	because string     // for people
}

// proxies derives the client's address. Only what a trusted network adds to a
// forwarded-for header counts, since anyone can send one.
type proxies struct{ trusted []netip.Prefix }

func (p *proxies) trust(a netip.Addr) bool {
	for _, n := range p.trusted {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// client returns the remote address or, when that is a trusted proxy, the
// rightmost address that is not one in X-Forwarded-For or Forwarded. When both
// are there and disagree, one of them was not written by the proxy: neither
// counts. It does not allocate for an address of its own connection.
func (p *proxies) client(r *http.Request) origin {
	remote, ok := parseHop(r.RemoteAddr)
	if !ok {
		return origin{source: fromConnection, because: "the connection has no IP address"}
	}
	own := origin{addr: remote, source: fromConnection}
	xff, forwarded := r.Header["X-Forwarded-For"], r.Header["Forwarded"]
	switch {
	case len(xff) == 0 && len(forwarded) == 0:
		own.because = "no forwarded-for header"
		return own
	case !p.trust(remote):
		own.because = "the connection comes from no trusted proxy, so that its forwarded-for header is not believed"
		return own
	case len(forwarded) == 0:
		return p.walk(own, fromXFF, xff, func(s string) string { return s })
	case len(xff) == 0:
		return p.walk(own, fromForwarded, forwarded, forwardedFor)
	}
	a := p.walk(own, fromXFF, xff, func(s string) string { return s })
	b := p.walk(own, fromForwarded, forwarded, forwardedFor)
	if a.addr != b.addr {
		own.because = "X-Forwarded-For and Forwarded disagree: the proxy must remove the one that it does not write"
		return own
	}
	return a
}

// walk goes through the elements of a forwarded-for header from right to left:
// each was added by the hop to the right of it.
func (p *proxies) walk(own origin, source string, lines []string, address func(string) string) origin {
	last := origin{addr: own.addr, source: source, because: "every hop is a trusted proxy: the first one counts"}
	for i := len(lines) - 1; i >= 0; i-- {
		rest, more := lines[i], true
		for more {
			var element string
			if cut := strings.LastIndexByte(rest, ','); cut >= 0 {
				rest, element = rest[:cut], rest[cut+1:]
			} else {
				element, more = rest, false
			}
			a, ok := parseHop(address(strings.TrimSpace(element)))
			if !ok {
				last.because = "the next hop is not written as an IP address: the last trusted proxy counts"
				return last
			}
			last.addr = a
			if !p.trust(a) {
				last.because = "the rightmost address that is not a trusted proxy's"
				return last
			}
		}
	}
	return last
}

// forwardedFor returns the node of the "for" parameter of one element of
// Forwarded, without quotes (RFC 7239, section 4). Quoted strings with a comma
// or a semicolon in them are not addresses and not understood.
func forwardedFor(element string) string {
	for pair := range strings.SplitSeq(element, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if !strings.EqualFold(name, "for") {
			continue
		}
		if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		return value
	}
	return ""
}

// parseHop reads an address with or without a port: 192.0.2.1,
// 192.0.2.1:4711, 2001:db8::1, [2001:db8::1], [2001:db8::1]:4711.
func parseHop(s string) (netip.Addr, bool) {
	if len(s) == 0 || len(s) > 64 {
		return netip.Addr{}, false
	}
	var (
		a   netip.Addr
		err error
	)
	switch {
	case s[0] == '[' && s[len(s)-1] == ']':
		a, err = netip.ParseAddr(s[1 : len(s)-1])
	case s[0] == '[' || strings.Count(s, ":") == 1:
		var ap netip.AddrPort
		ap, err = netip.ParseAddrPort(s)
		a = ap.Addr()
	default:
		a, err = netip.ParseAddr(s)
	}
	if err != nil {
		return netip.Addr{}, false
	}
	return a.Unmap().WithZone(""), true
}
