package authdns

import (
	"net/netip"

	"github.com/miekg/dns"
)

// addressRecords returns an A or AAAA record for each address.
func addressRecords(owner name, ttl uint32, addrs []netip.Addr) (rrs []dns.RR) {
	for _, a := range addrs {
		h := dns.RR_Header{Name: owner.text(), Class: dns.ClassINET, Ttl: ttl}
		if a.Is4() {
			h.Rrtype = dns.TypeA
			rrs = append(rrs, &dns.A{Hdr: h, A: a.AsSlice()})
		} else {
			h.Rrtype = dns.TypeAAAA
			rrs = append(rrs, &dns.AAAA{Hdr: h, AAAA: a.AsSlice()})
		}
	}
	return rrs
}

// negative returns a SOA set for negative answers: with the lesser of its TTL
// and its MINIMUM (RFC 2308, section 5).
func negative(soa *set) *set {
	rr := dns.Copy(soa.rrs[0]).(*dns.SOA)
	rr.Hdr.Ttl = min(rr.Hdr.Ttl, rr.Minttl)
	return &set{rrs: []dns.RR{rr}}
}

// anySet is what ANY is answered with (RFC 8482, section 4.2).
func anySet(n *node) *set {
	return &set{rrs: []dns.RR{&dns.HINFO{
		Hdr: dns.RR_Header{Name: n.text, Rrtype: dns.TypeHINFO, Class: dns.ClassINET, Ttl: 3789},
		Cpu: "RFC8482",
	}}}
}

// at returns the set with another owner, for wildcards and probe names.
func (s *set) at(owner string) *set {
	if len(s.rrs) > 0 && s.rrs[0].Header().Name == owner {
		return s
	}
	rename := func(rrs []dns.RR) []dns.RR {
		out := make([]dns.RR, len(rrs))
		for i, rr := range rrs {
			out[i] = dns.Copy(rr)
			out[i].Header().Name = owner
		}
		return out
	}
	return &set{rename(s.rrs), rename(s.sigs)}
}
