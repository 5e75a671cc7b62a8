package authdns

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// slow answers anything, and appends the answer to dst. It composes replies
// out of records. Some tens of microseconds.
func (a *answerer) slow(dst []byte, v verdict) []byte {
	r := result{packed: &packed{}, ede: noEDE}
	switch v {
	case unanswerable:
		return dst
	case malformed:
		r.rcode = dns.RcodeFormatError
		a.cookie = nil // it may be what is malformed
	case badVersion:
		r.rcode = dns.RcodeBadVers
	case unknownOpcode:
		r.rcode = dns.RcodeNotImplemented
	case noQuestion: // for a cookie
	default:
		a.slowQuestion(&r)
	}
	return a.write(dst, &r)
}

func (a *answerer) slowQuestion(r *result) {
	fail := func(rcode uint16, ede int) { r.rcode, r.ede = rcode, ede }
	switch {
	case a.class == dns.ClassCHAOS:
		a.chaos(r)
		return
	case a.class != classIN:
		fail(dns.RcodeRefused, edeNotSupported)
		return
	case a.qtype == dns.TypeAXFR, a.qtype == dns.TypeIXFR:
		// Over TCP a transfer has been tried before it comes here.
		fail(dns.RcodeRefused, edeProhibited)
		return
	case a.qtype >= 249 && a.qtype <= 254:
		fail(dns.RcodeNotImplemented, edeNotSupported)
		return
	}
	n := name(a.name[:a.length])
	m := a.snap.find(a.name[:a.length], a.qtype)
	if m.kind == foreign {
		fail(dns.RcodeRefused, edeNotAuthoritative)
		return
	}
	r.key = m.key()
	answer := -1
	if m.tailor >= 0 && familyOf(a.qtype) >= 0 {
		i, scope, ok := a.steer(m.tailor)
		if !ok {
			fail(dns.RcodeServerFailure, noEDE)
			return
		}
		answer, r.scope = int(i), scope
	}
	var c composed
	if m.node.whoami && m.kind == exact && a.qtype == dns.TypeTXT {
		c = composed{aa: true, answer: a.whoAmI(m.node)}
		if a.present {
			r.scope = a.ecs.source
		}
	} else {
		c = a.snap.compose(m, m.templateName(n).text(), a.qtype, a.do, m.coverOf(n), answer)
	}
	p, err := pack(m.templateName(n), a.qtype, c)
	if err != nil {
		a.stats.failed.Add(1)
		fail(dns.RcodeServerFailure, noEDE)
		return
	}
	if m.kind == probe {
		a.noteNonce(m)
	}
	r.packed, r.rcode = p, uint16(p.rcode)
}

// coverOf returns the index of the name that covers n, in a signed zone.
func (m match) coverOf(n name) int {
	if m.node.zone == nil || !m.node.zone.signed {
		return -1
	}
	return covering(m.node.zone.chain, n)
}

// chaos answers questions about the server itself (RFC 4892).
func (a *answerer) chaos(r *result) {
	text := ""
	switch n := name(a.name[:a.length]).text(); n {
	case "id.server.", "hostname.bind.":
		text = a.cfg.ID
	case "version.server.", "version.bind.":
		text = a.cfg.Version
	}
	if text == "" || a.qtype != dns.TypeTXT && a.qtype != dns.TypeANY {
		r.rcode, r.ede = dns.RcodeRefused, edeNotSupported
		if text != "" {
			r.rcode, r.ede = dns.RcodeSuccess, noEDE
		}
		return
	}
	n := name(a.name[:a.length])
	p, err := pack(n, a.qtype, composed{aa: true, answer: []dns.RR{&dns.TXT{
		Hdr: dns.RR_Header{Name: n.text(), Rrtype: dns.TypeTXT, Class: dns.ClassCHAOS},
		Txt: splitText(text),
	}}})
	if err != nil {
		r.rcode = dns.RcodeServerFailure
		return
	}
	r.packed = p
}

// maxExplained bounds how many names whoami explains.
const maxExplained = 8

// whoAmI tells a client what we see of it, and why it is answered as it is.
// Nobody else may get to see it: the TTL is 0, the scope the whole prefix.
func (a *answerer) whoAmI(n *node) (rrs []dns.RR) {
	say := func(text string) {
		rrs = append(rrs, &dns.TXT{
			Hdr: dns.RR_Header{Name: n.text, Rrtype: dns.TypeTXT, Class: dns.ClassINET},
			Txt: splitText(text),
		})
	}
	say("resolver: " + a.peer.String())
	client := a.peer
	if a.present {
		say("ecs: " + netip.PrefixFrom(a.ecs.addr, int(a.ecs.source)).String())
		if a.ecs.source > 0 {
			client = a.ecs.addr
		}
	} else {
		say("ecs: none")
	}
	if a.cfg.ID != "" {
		say("server: " + a.cfg.ID)
	}
	explained := 0
	for i := range a.snap.tailored {
		t := &a.snap.tailored[i]
		if t.isProbe() || explained == maxExplained {
			continue
		}
		explained++
		why := strings.Join(strings.Fields(a.snap.steering.Explain(i, a.peer, client)), " ")
		say(fmt.Sprintf("%s: %s", t.Name, why))
	}
	return rrs
}

// maxText bounds a text in a TXT record, bytes.
const maxText = 1000

// splitText cuts a text into the strings of a TXT record, 255 bytes at most,
// in the presentation form that the library wants.
func splitText(text string) (parts []string) {
	text = text[:min(len(text), maxText)]
	for {
		part := text[:min(len(text), 255)]
		text = text[len(part):]
		parts = append(parts, escapeText(part))
		if text == "" {
			return parts
		}
	}
}

// escapeText escapes what the library would take for escapes.
func escapeText(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, "\\%03d", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
