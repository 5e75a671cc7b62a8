package authdns

import (
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// composed is a reply in records.
type composed struct {
	rcode                         int
	aa                            bool
	answer, authority, additional []dns.RR
}

// placeholder is the label that stands for what a question has before the
// name of its closest encloser. No zone file may use it.
const placeholder = "\x00"

// longest returns as long a name beneath n as there can be, for templates:
// replies are then only moved towards shorter names, and no pointer beyond the
// 14 bits that it has (RFC 1035, section 4.1.4). If there is no room, it is too
// long.
func (n name) longest() name {
	for n = n.child(placeholder); len(n) < maxName-1; {
		size := min(maxName-len(n)-1, 63)
		if maxName-len(n)-1-size == 1 {
			size-- // one byte cannot be filled
		}
		n = n.child(strings.Repeat("x", size))
	}
	return n
}

// templateName returns the name that the reply to a question for n is packed
// under. If nothing has the name n itself, that is a name which stands for all
// of its kind: packed.relocs says what moves with the length of the real one.
func (m match) templateName(n name) name {
	switch m.kind {
	case wildcard:
		return m.node.name.parent().longest()
	case probe, missing:
		return m.node.name.longest()
	case delegated:
		if n != m.node.name {
			return m.node.name.longest()
		}
	}
	return n
}

// compose makes the reply to a question. Owner is the presentation form of
// what templateName returned; cover the index in the zone's chain of the name
// that covers the question's, which only a signed zone has; answer the index
// of the tailored answer, −1 where the name or the type is not tailored.
func (s *snapshot) compose(m match, owner string, qtype uint16, signed bool, cover, answer int) composed {
	if m.kind == foreign {
		return composed{rcode: dns.RcodeRefused}
	}
	signed = signed && m.node.zone.signed
	r := reply{snapshot: s, match: m, owner: owner, signed: signed, cover: cover}
	switch m.kind {
	case delegated:
		r.referral()
		return r.composed
	case missing:
		r.rcode = dns.RcodeNameError
		r.nothing(nil)
	default:
		r.found(qtype, answer)
	}
	r.aa = true
	return r.composed
}

// reply is a composed reply in the making.
type reply struct {
	composed
	*snapshot
	match
	owner  string
	signed bool
	cover  int
}

func (r *reply) add(to *[]dns.RR, x *set) {
	x = x.at(r.owner)
	r.addAs(to, x)
}

// addAs adds a set under its own name.
func (r *reply) addAs(to *[]dns.RR, x *set) {
	*to = append(*to, x.rrs...)
	if r.signed {
		*to = append(*to, x.sigs...)
	}
}

// found answers for a name that is there.
func (r *reply) found(qtype uint16, answer int) {
	n := r.node
	families := n.union
	var x *set
	switch f := familyOf(qtype); {
	case r.tailor >= 0 && f >= 0:
		t := &r.snapshot.tailored[r.tailor].answers[answer]
		x, families = t.sets[f], t.families
	case r.kind == probe:
	case qtype == dns.TypeANY:
		x = n.anySet
	case qtype == dns.TypeNSEC && n.zone.signed:
		x = n.nsec[families]
	case qtype == dns.TypeRRSIG && n.zone.signed:
		x = n.signatures()
	case n.sets[dns.TypeCNAME] != nil:
		x = n.sets[dns.TypeCNAME]
	default:
		x = n.sets[qtype]
	}
	if r.kind == probe && qtype == dns.TypeANY {
		x = anySet(n)
	}
	if x == nil {
		r.nothing(n.nsec[families])
		if r.tailor >= 0 && familyOf(qtype) >= 0 {
			// Another state may have such an address: its absence must not
			// outlive the answers of this one.
			r.authority = withTTL(r.authority, uint32(r.snapshot.tailored[r.tailor].TTL/time.Second))
		}
		return
	}
	r.add(&r.answer, x)
	if r.kind == wildcard && r.signed {
		r.addAs(&r.authority, r.covering()) // RFC 4035, section 3.1.3.3
	}
}

// nothing says that there is no such name, or no such type at the name.
func (r *reply) nothing(at *set) {
	z := r.node.zone
	r.addAs(&r.authority, z.soa)
	if !r.signed {
		return
	}
	var proofs []*set
	switch {
	case r.kind == missing: // RFC 4035, section 3.1.3.2
		wild := covering(z.chain, r.node.name.child("*"))
		proofs = []*set{r.covering(), z.proof(wild)}
	case r.kind == wildcard: // section 3.1.3.4
		proofs = []*set{at, r.covering()}
	case at != nil: // section 3.1.3.1
		proofs = []*set{at}
	default: // an empty non-terminal
		proofs = []*set{z.proof(covering(z.chain, r.node.name))}
	}
	for i, p := range proofs {
		if p != nil && (i == 0 || p != proofs[0]) {
			r.addAs(&r.authority, p)
		}
	}
}

// covering returns the NSEC set that says the question's name is not there.
func (r *reply) covering() *set { return r.node.zone.proof(r.cover) }

// proof returns the NSEC set of the i-th name of the chain.
func (z *zone) proof(i int) *set {
	n := z.chain[i]
	return n.nsec[n.union]
}

// signatures returns the signatures of all that is static at a name, and of its
// NSEC set, for a question for type RRSIG.
func (n *node) signatures() *set {
	var all set
	for _, t := range n.staticTypes() {
		all.rrs = append(all.rrs, n.sets[t].sigs...)
	}
	if x := n.nsec[n.union]; x != nil {
		all.rrs = append(all.rrs, x.sigs...)
	}
	if len(all.rrs) == 0 {
		return nil
	}
	return &all
}

// referral points to the servers of a delegated zone, with the addresses of
// those that only we can tell (RFC 9471).
func (r *reply) referral() {
	cut := r.node
	ns := cut.sets[dns.TypeNS]
	r.authority = append(r.authority, ns.rrs...) // never signed (RFC 4035, section 2.2)
	if r.signed {
		if ds := cut.sets[dns.TypeDS]; ds != nil {
			r.addAs(&r.authority, ds)
		} else {
			r.addAs(&r.authority, cut.nsec[cut.union])
		}
	}
	for _, rr := range ns.rrs {
		host, err := newName(rr.(*dns.NS).Ns)
		if err != nil {
			continue
		}
		glue := r.nodes[string(host)]
		if glue == nil || glue.cut == nil {
			continue
		}
		for _, t := range []uint16{dns.TypeA, dns.TypeAAAA} {
			if x := glue.sets[t]; x != nil {
				r.additional = append(r.additional, x.rrs...)
			}
		}
	}
}

// packed is a reply in wire form: what follows the question.
type packed struct {
	rcode      uint8
	aa         bool
	an, ns, ar uint16 // records in each section
	body       []byte
	relocs     []uint16 // offsets into body of pointers that move with the length of the question's name
	nameLen    int      // for which body is right as it is
}

// pack packs a reply to a question for n.
func pack(n name, qtype uint16, c composed) (*packed, error) {
	msg := dns.Msg{
		Compress: true, Answer: c.answer, Ns: c.authority, Extra: c.additional,
		Question: []dns.Question{{Name: n.text(), Qtype: qtype, Qclass: dns.ClassINET}},
	}
	wire, err := msg.Pack()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", n.text(), dns.Type(qtype), err)
	}
	p := &packed{
		rcode: uint8(c.rcode), aa: c.aa, nameLen: len(n),
		an: uint16(len(c.answer)), ns: uint16(len(c.authority)), ar: uint16(len(c.additional)),
	}
	start := headerLen + len(n) + 4
	p.body = wire[start:len(wire):len(wire)]
	for at := start; at < len(wire); {
		at = p.pointers(wire, at, start)
		rtype, length := int(wire[at])<<8|int(wire[at+1]), int(wire[at+8])<<8|int(wire[at+9])
		at += 10
		// The types whose names are compressed (RFC 3597, section 4).
		switch uint16(rtype) {
		case dns.TypeNS, dns.TypeCNAME, dns.TypePTR, dns.TypeMB, dns.TypeMG, dns.TypeMR, dns.TypeMD, dns.TypeMF:
			p.pointers(wire, at, start)
		case dns.TypeMX:
			p.pointers(wire, at+2, start)
		case dns.TypeSOA, dns.TypeMINFO:
			p.pointers(wire, p.pointers(wire, at, start), start)
		}
		at += length
	}
	return p, nil
}

// pointers passes over a name at offset at, and notes its pointer if that
// moves: one to the question's own name does not.
func (p *packed) pointers(wire []byte, at, start int) int {
	for {
		switch label := int(wire[at]); {
		case label >= 0xC0:
			if label != 0xC0 || wire[at+1] != headerLen {
				p.relocs = append(p.relocs, uint16(at-start))
			}
			return at + 2
		case label == 0:
			return at + 1
		default:
			at += 1 + label
		}
	}
}
