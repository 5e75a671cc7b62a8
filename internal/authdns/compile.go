package authdns

import (
	"strings"

	"github.com/miekg/dns"
)

// variant is a reply without and with signatures. In a zone that is not
// signed both are the same; nil is left to the slow path.
type variant struct{ plain, signed *packed }

func (v *variant) pick(do bool) *packed {
	if do {
		return v.signed
	}
	return v.plain
}

// compiled are the replies that a node has ready.
type compiled struct {
	types    []typed // of its own name, by type
	other    variant // of its own name, for every other type: a CNAME, or nothing
	any      variant // ANY
	expand   expansion
	referral variant // of the delegation itself
	beneath  variant // of names under the delegation
	missing  variant // of names under it that are not there; signed ones see next
	proven   []*packed
	first    int // index in the chain that proven begins with
}

type typed struct {
	qtype uint16
	variant
}

// expansion holds what a wildcard is answered with under other names. Signed
// replies, which also depend on the name, are left to the slow path.
type expansion struct {
	types      []typed
	other, any variant
}

func find(all []typed, qtype uint16) *variant {
	for i := range all {
		if all[i].qtype == qtype {
			return &all[i].variant
		}
	}
	return nil
}

// unused is a type that no name has, since it is reserved (RFC 6895, section
// 3.1): a reply for it is what is said where there is nothing.
const unused = 65535

// maxProven bounds the replies that are made ready to say that a name under
// some name is not there; beyond it they are left to the slow path.
const maxProven = 50_000

// compiler packs replies. Its first error sticks.
type compiler struct {
	*builder
	err    error
	proven int
}

// compile makes replies ready.
func (b *builder) compile() error {
	c := &compiler{builder: b}
	for _, n := range b.nodes {
		c.node(n)
		if n.parent != nil {
			c.node(n.parent)
		}
	}
	for i := range b.tailored {
		c.tailoredName(i)
	}
	return c.err
}

func (c *compiler) one(m match, n name, qtype uint16, signed bool, cover, answer int) *packed {
	if c.err != nil {
		return nil
	}
	at := m.templateName(n)
	if len(at) > maxName {
		return nil // nothing can be there
	}
	p, err := pack(at, qtype, c.compose(m, at.text(), qtype, signed, cover, answer))
	if err != nil {
		c.err = err
		return nil
	}
	return p
}

// both packs both variants of a reply that does not depend on the name's
// place in the chain.
func (c *compiler) both(m match, n name, qtype uint16, answer int) variant {
	v := variant{plain: c.one(m, n, qtype, false, -1, answer)}
	if v.signed = v.plain; m.node.zone.signed {
		v.signed = c.one(m, n, qtype, true, -1, answer)
	}
	return v
}

// plain packs a reply whose signed variant, in a signed zone, is left out.
func (c *compiler) plain(m match, n name, qtype uint16, answer int) variant {
	v := variant{plain: c.one(m, n, qtype, false, -1, answer)}
	if !m.node.zone.signed {
		v.signed = v.plain
	}
	return v
}

func (c *compiler) node(n *node) {
	if n.cut != nil {
		if n.cut == n {
			m := match{delegated, n, -1}
			n.referral = c.both(m, n.name, dns.TypeA, -1)
			n.beneath = c.both(m, n.name.child(placeholder), dns.TypeA, -1)
			n.types = []typed{{dns.TypeDS, c.both(match{exact, n, -1}, n.name, dns.TypeDS, -1)}}
		}
		return
	}
	m := match{exact, n, n.tailor}
	for _, t := range n.staticTypes() {
		if t != dns.TypeCNAME {
			n.types = append(n.types, typed{t, c.both(m, n.name, t, -1)})
		}
	}
	n.other = c.both(m, n.name, unused, -1)
	if n.anySet != nil {
		n.any = c.both(m, n.name, dns.TypeANY, -1)
	} else {
		n.any = n.other
	}
	if n.name.first() == "*" {
		c.expansion(n)
	}
	if n.wild == nil && !n.above && len(n.name)+2 <= maxName {
		c.missing(n)
	}
}

func (c *compiler) expansion(n *node) {
	m := match{wildcard, n, -1}
	e := &n.expand
	for _, t := range n.staticTypes() {
		if t != dns.TypeCNAME {
			e.types = append(e.types, typed{t, c.plain(m, n.name, t, -1)})
		}
	}
	e.other = c.plain(m, n.name, unused, -1)
	e.any = c.plain(m, n.name, dns.TypeANY, -1)
}

// missing packs what is said about names under n that are not there: in a
// signed zone, one reply for each gap between the names that are.
func (c *compiler) missing(n *node) {
	m := match{missing, n, -1}
	n.missing = c.plain(m, n.name, dns.TypeA, -1)
	z := n.zone
	if !z.signed {
		return
	}
	n.first = covering(z.chain, n.name)
	for i := n.first; i < len(z.chain) && (i == n.first || z.chain[i].name.under(n.name)); i++ {
		if c.proven++; c.proven > maxProven {
			n.proven = nil
			return
		}
		n.proven = append(n.proven, c.one(m, n.name, dns.TypeA, true, i, -1))
	}
}

// tailoredName packs each answer of a tailored name.
func (c *compiler) tailoredName(i int) {
	t := &c.tailored[i]
	m := match{exact, c.nodes[string(t.owner)], i}
	if t.isProbe() {
		m.kind = probe
	}
	for a := range t.answers {
		for f, qtype := range [2]uint16{dns.TypeA, dns.TypeAAAA} {
			t.answers[a].packed[f] = c.both(m, t.owner, qtype, a)
		}
	}
	if t.isProbe() {
		t.other = c.both(m, t.owner, unused, -1)
	}
}

func (t *tailored) isProbe() bool {
	label, _, _ := strings.Cut(t.Name, ".")
	return strings.HasSuffix(label, "-*")
}
