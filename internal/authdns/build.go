package authdns

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// snapshot is everything that queries are answered from. It is immutable and
// replaced whole.
type snapshot struct {
	nodes    map[string]*node
	tailored []tailored
	steering Steering
	records  []dns.RR // of the zone file, for transfers
	origin   name
	whoami   *node

	leftOut []error // challenges that do not suit the zone
	made    time.Time
	renewAt time.Time // when signatures have to be made anew; zero: never
}

// content is what a snapshot is built from.
type content struct {
	zone  *Zone
	probe name // of the probe zone; empty: none
	State
}

// builder makes a snapshot.
type builder struct {
	*snapshot
	zones []*zone
	errs  []error
}

func (b *builder) fail(format string, args ...any) {
	b.errs = append(b.errs, fmt.Errorf(format, args...))
}

// build makes a snapshot; sign may be nil. The error names everything that is
// wrong with the content; there is no snapshot then.
func build(c content, sign *signer, now time.Time) (*snapshot, error) {
	b := &builder{snapshot: &snapshot{
		nodes: map[string]*node{}, steering: c.Steering, made: now,
		records: c.zone.records, origin: c.zone.origin,
	}}
	main := b.addZone(c.zone.origin)
	b.addChildren(c, sign != nil)
	b.addRecords(c.zone)
	if len(b.errs) > 0 {
		return nil, errors.Join(b.errs...)
	}
	b.deriveChildren(main)
	b.addTailored()
	b.addTree()
	b.addChallenges(c.Challenges)
	b.check()
	if len(b.errs) > 0 {
		return nil, errors.Join(b.errs...)
	}
	b.finishNodes()
	for _, z := range b.zones {
		z.soa = negative(z.top.sets[dns.TypeSOA])
	}
	if sign != nil {
		if err := sign.sign(b, main, now); err != nil {
			return nil, err
		}
		b.renewAt = sign.renewAt
	}
	if err := b.compile(); err != nil {
		return nil, err
	}
	return b.snapshot, nil
}

func (b *builder) addZone(at name) *zone {
	z := &zone{}
	z.top = &node{name: at, text: at.text(), zone: z, sets: map[uint16]*set{}, tailor: -1}
	b.nodes[string(at)] = z.top
	b.zones = append(b.zones, z)
	return z
}

// addChildren adds the zones of the names that are not finite.
func (b *builder) addChildren(c content, signed bool) {
	if c.probe != "" {
		switch {
		case !c.probe.under(c.zone.origin):
			b.fail("probe zone %s is not under %s", c.probe.text(), c.zone.origin.text())
		case c.probe == c.zone.origin && signed:
			b.fail("probe zone %s: probe names cannot be signed, and need a zone of their own beneath it", c.probe.text())
		case c.probe != c.zone.origin:
			b.addZone(c.probe)
		}
		if x := b.nodes[string(c.probe)]; x != nil {
			x.probes = map[string]int{}
		}
	}
	if at := c.zone.origin.child("whoami"); len(at) <= maxName {
		if x := b.nodes[string(at)]; x != nil {
			b.fail("%s is taken: it tells clients who they are", at.text())
			return
		}
		b.whoami = b.addZone(at).top
		b.whoami.whoami = true
	}
}

// zoneOf returns the zone that a name is in: the lowest that holds it.
func (b *builder) zoneOf(n name) *zone {
	var lowest *zone
	for _, z := range b.zones {
		if n.under(z.top.name) && (lowest == nil || len(z.top.name) > len(lowest.top.name)) {
			lowest = z
		}
	}
	return lowest
}

// nodeAt returns the node of a name, and adds it and those between it and the
// top of its zone when they are not there yet.
func (b *builder) nodeAt(n name) *node {
	if x := b.nodes[string(n)]; x != nil {
		return x
	}
	x := &node{name: n, text: n.text(), zone: b.zoneOf(n), sets: map[uint16]*set{}, tailor: -1}
	b.nodes[string(n)] = x
	b.nodeAt(n.parent())
	return x
}

// addRecords adds the records of the zone file.
func (b *builder) addRecords(z *Zone) {
	for _, rr := range z.records {
		owner, _ := newName(rr.Header().Name) // has been read once
		b.nodeAt(owner).add(rr)
	}
}

// add adds a record to the set of its type. All of a set get the least of
// their TTLs (RFC 2181, section 5.2).
func (n *node) add(rr dns.RR) {
	rr = dns.Copy(rr)
	t := rr.Header().Rrtype
	x := n.sets[t]
	if x == nil {
		x = &set{}
		n.sets[t] = x
	}
	if x.rrs = append(x.rrs, rr); rr.Header().Ttl >= x.rrs[0].Header().Ttl {
		rr.Header().Ttl = x.rrs[0].Header().Ttl
		return
	}
	for _, o := range x.rrs {
		o.Header().Ttl = rr.Header().Ttl
	}
}

// has reports whether the name has such a record, whatever its TTL.
func (n *node) has(rr dns.RR) bool {
	x := n.sets[rr.Header().Rrtype]
	return x != nil && slices.ContainsFunc(x.rrs, func(o dns.RR) bool { return dns.IsDuplicate(o, rr) })
}

// deriveChildren gives child zones the SOA and, unless the zone file has
// others, the NS records of the zone above, and delegates them there.
func (b *builder) deriveChildren(main *zone) {
	for _, z := range b.zones {
		if z == main {
			continue
		}
		top := z.top
		for _, t := range []uint16{dns.TypeSOA, dns.TypeNS} {
			if top.sets[t] != nil {
				continue
			}
			for _, rr := range main.top.sets[t].rrs {
				rr = dns.Copy(rr)
				rr.Header().Name = top.text
				top.add(rr)
			}
		}
		top.parent = &node{
			name: top.name, text: top.text, zone: main, tailor: -1, above: true,
			sets: map[uint16]*set{dns.TypeNS: top.sets[dns.TypeNS]},
		}
		if ds := top.sets[dns.TypeDS]; ds != nil {
			b.fail("%s DS: it is not signed", top.text)
		}
		b.nodeAt(top.name.parent())
	}
}

// addTailored adds the names of the Steering.
func (b *builder) addTailored() {
	if b.steering == nil {
		return
	}
	for i, t := range b.steering.Names() {
		x := tailored{Tailored: t}
		b.addTailoredName(i, &x)
		b.tailored = append(b.tailored, x)
	}
}

func (b *builder) addTailoredName(i int, x *tailored) {
	label, zoneName, _ := strings.Cut(x.Name, ".")
	label, isProbe := strings.CutSuffix(label, "-*")
	text := x.Name
	if isProbe {
		text = zoneName
	}
	owner, err := newName(text)
	switch {
	case err != nil:
		b.fail("tailored name: %w", err)
		return
	case !owner.under(b.origin):
		b.fail("tailored name %s is not in the zone %s", x.Name, b.origin.text())
		return
	case x.TTL < 0 || x.TTL%time.Second != 0 || x.TTL > (1<<31-1)*time.Second:
		b.fail("tailored name %s: TTL %v (want whole seconds)", x.Name, x.TTL)
		return
	case len(x.Answers) == 0:
		b.fail("tailored name %s has no answers", x.Name)
		return
	}
	x.owner, x.label = owner, strings.ToLower(label)
	ttl := uint32(x.TTL / time.Second)
	if isProbe {
		top := b.nodes[string(owner)]
		if top == nil || top.probes == nil {
			b.fail("probe name %s is not in the probe zone", x.Name)
			return
		}
		if _, twice := top.probes[x.label]; twice || label == "" {
			b.fail("probe name %s is there twice, or has no label", x.Name)
		}
		top.probes[x.label] = i
	} else {
		n := b.nodeAt(owner)
		switch {
		case n.tailor >= 0:
			b.fail("tailored name %s is there twice", x.Name)
		case n.whoami || n.zone != b.zones[0]:
			b.fail("tailored name %s is in the child zone %s", x.Name, n.zone.top.text)
		case owner.first() == "*":
			b.fail("tailored name %s is a wildcard", x.Name)
		}
		n.tailor = i
	}
	for _, a := range x.Answers {
		var ta tailoredAnswer
		for f, addrs := range [2][]dns.RR{addressRecords(owner, ttl, a.A), addressRecords(owner, ttl, a.AAAA)} {
			if len(addrs) > 0 {
				ta.sets[f] = &set{rrs: addrs}
				ta.families |= 1 << f
			}
			for _, rr := range addrs {
				if familyOf(rr.Header().Rrtype) != f {
					b.fail("tailored name %s has an address of the wrong family: %s", x.Name, rr)
				}
			}
		}
		x.answers = append(x.answers, ta)
	}
}

// addTree notes wildcards and delegations.
func (b *builder) addTree() {
	for _, n := range b.nodes {
		if n.name.first() == "*" && !n.isTop() {
			b.nodes[string(n.name.parent())].wild = n
		}
	}
	for _, n := range b.nodes {
		// The highest delegation counts; what is beneath it is not ours.
		for x := n; !x.isTop(); x = b.nodes[string(x.name.parent())] {
			if x.sets[dns.TypeNS] != nil {
				n.cut = x
			}
		}
	}
}

// challengeTTL is short: a certificate authority asks once, and the next time
// there is another value.
const challengeTTL = 30

// addChallenges adds TXT sets that stand beside the zone file.
func (b *builder) addChallenges(all []Challenge) {
	for _, c := range all {
		if err := b.addChallenge(c); err != nil {
			b.leftOut = append(b.leftOut, fmt.Errorf("challenge %s: %w", c.Name, err))
		}
	}
}

func (b *builder) addChallenge(c Challenge) error {
	owner, err := newName(c.Name)
	if err != nil {
		return err
	}
	switch m := b.find([]byte(owner), dns.TypeTXT); {
	case m.kind == foreign:
		return errors.New("is not in the zone")
	case m.kind == delegated:
		return fmt.Errorf("is delegated by %s", m.node.text)
	case m.kind == exact && (m.node.whoami || m.node.sets[dns.TypeCNAME] != nil):
		return errors.New("is taken")
	}
	for _, v := range c.Values { // before any is added
		if len(v) > 255 {
			return fmt.Errorf("a value has %d bytes (want at most 255)", len(v))
		}
	}
	for _, v := range c.Values {
		rr := &dns.TXT{
			Hdr: dns.RR_Header{Name: owner.text(), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: challengeTTL},
			Txt: splitText(v),
		}
		if n := b.nodeAt(owner); !n.has(rr) {
			n.add(rr)
		}
	}
	return nil
}

// finishNodes notes what follows from all records of a name.
func (b *builder) finishNodes() {
	for _, n := range b.nodes {
		n.id = n.name.hash()
		for f, t := range [2]uint16{dns.TypeA, dns.TypeAAAA} {
			if n.sets[t] != nil {
				n.union |= 1 << f
			}
		}
		if n.tailor >= 0 {
			for _, a := range b.tailored[n.tailor].answers {
				n.union |= a.families
			}
		}
		if len(n.sets) > 0 || n.tailor >= 0 {
			n.anySet = anySet(n)
		}
	}
}

// check looks at names as wholes.
func (b *builder) check() {
	for _, key := range slices.Sorted(maps.Keys(b.nodes)) {
		n := b.nodes[key]
		has := func(t uint16) bool { return n.sets[t] != nil }
		switch {
		case n.tailor >= 0 && (has(dns.TypeA) || has(dns.TypeAAAA) || has(dns.TypeCNAME)):
			b.fail("%s is tailored, and has addresses or a CNAME in the zone file", n.text)
		case n.tailor >= 0 && n.cut != nil:
			b.fail("%s is tailored, and delegated by %s", n.text, n.cut.text)
		case has(dns.TypeCNAME) && (len(n.sets) > 1 || len(n.sets[dns.TypeCNAME].rrs) > 1):
			b.fail("%s has a CNAME and other records (RFC 1034, section 3.6.2)", n.text)
		case has(dns.TypeDS) && (n.isTop() || n.cut != n):
			b.fail("%s DS: not at a delegation", n.text)
		case n.whoami && len(n.sets) > 2:
			b.fail("%s is taken: it tells clients who they are", n.text)
		case n.cut != nil && n.cut != n && !onlyGlue(n):
			b.fail("%s is delegated by %s, and has more than addresses", n.text, n.cut.text)
		case n.cut == n && !onlyDelegation(n):
			b.fail("%s is delegated, and has other records", n.text)
		}
		if n.tailor >= 0 {
			b.checkHints(n)
		}
		b.checkNames(n)
	}
}

func onlyGlue(n *node) bool {
	for t := range n.sets {
		if familyOf(t) < 0 {
			return false
		}
	}
	return true
}

func onlyDelegation(n *node) bool {
	for t := range n.sets {
		if t != dns.TypeNS && t != dns.TypeDS && familyOf(t) < 0 {
			return false
		}
	}
	return true
}

// checkHints refuses HTTPS records that would lead past the Steering.
func (b *builder) checkHints(n *node) {
	x := n.sets[dns.TypeHTTPS]
	if x == nil {
		return
	}
	for _, rr := range x.rrs {
		for _, v := range rr.(*dns.HTTPS).Value {
			if v.Key() == dns.SVCB_IPV4HINT || v.Key() == dns.SVCB_IPV6HINT {
				b.fail("%s is tailored: leave the address hints out of its HTTPS record", n.text)
			}
		}
	}
}

// checkNames holds name servers and mail exchangers to having addresses, when
// they are in the zone.
func (b *builder) checkNames(n *node) {
	for _, t := range []uint16{dns.TypeNS, dns.TypeMX} {
		x := n.sets[t]
		if x == nil || n.isTop() && n.zone != b.zones[0] {
			continue
		}
		for _, rr := range x.rrs {
			host := ""
			switch rr := rr.(type) {
			case *dns.NS:
				host = rr.Ns
			case *dns.MX:
				host = rr.Mx
			}
			target, err := newName(host)
			if err != nil || !target.under(b.origin) {
				continue
			}
			m := b.find([]byte(target), dns.TypeA)
			ok := m.kind == wildcard || m.kind == exact && (m.node.tailor >= 0 || hasAddress(m.node))
			if m.kind == delegated {
				glue := b.nodes[string(target)]
				ok = glue != nil && hasAddress(glue) || m.node != n
			}
			if !ok {
				b.fail("%s %s: %s is in the zone and has no address", n.text, dns.TypeToString[t], host)
			}
		}
	}
}

func hasAddress(n *node) bool { return n.sets[dns.TypeA] != nil || n.sets[dns.TypeAAAA] != nil }
