package authdns

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Times of signatures. A signature is made anew once half of its life is
// over, which leaves a week to notice that something is wrong.
const (
	signatureLife  = 14 * 24 * time.Hour
	signatureRenew = signatureLife / 2
	signatureSkew  = time.Hour // by which a validator's clock may be behind
)

// signer signs snapshots, and keeps signatures from one to the next. It is not
// safe for concurrent use.
type signer struct {
	keys    *Keys
	made    map[string]signatures // by the set they are of
	used    map[string]signatures // of the snapshot in the making
	renewAt time.Time             // of what the last snapshot uses
}

type signatures struct {
	rrs     []dns.RR
	expires time.Time
}

func newSigner(keys *Keys) *signer { return &signer{keys: keys, made: map[string]signatures{}} }

// sign adds DNSKEY, CDS, CDNSKEY and NSEC records to a zone, and signatures to
// everything in it that is authoritative, tailored answers included.
func (s *signer) sign(b *builder, z *zone, now time.Time) error {
	if s.keys.zone != z.top.name {
		return fmt.Errorf("the keys are of %s, not of %s", s.keys.zone.text(), z.top.text)
	}
	s.used, s.renewAt = map[string]signatures{}, now.Add(signatureLife)
	z.signed = true
	maps.Copy(z.top.sets, s.keys.sets())
	z.chain = b.chain(z)
	for i, n := range z.chain {
		next := z.chain[(i+1)%len(z.chain)]
		if err := s.node(b, n, next, now); err != nil {
			return err
		}
	}
	soa := z.top.sets[dns.TypeSOA]
	z.soa.sigs = withTTL(soa.sigs, z.soa.rrs[0].Header().Ttl)
	s.made, s.used = s.used, nil
	return nil
}

// chain returns the names of a zone that have an NSEC record, in canonical
// order: those with data of ours, and delegations.
func (b *builder) chain(z *zone) (chain []*node) {
	for _, n := range b.nodes {
		switch {
		case n.zone != z:
			if n.parent != nil && n.parent.zone == z {
				chain = append(chain, n.parent)
			}
		case n.cut != nil && n.cut != n:
		case len(n.sets) > 0 || n.tailor >= 0:
			chain = append(chain, n)
		}
	}
	slices.SortFunc(chain, func(a, b *node) int { return compareNames(a.name, b.name) })
	return chain
}

func (s *signer) node(b *builder, n, next *node, now time.Time) error {
	delegation := n.above || n.cut == n
	for t, x := range n.sets {
		if delegation && t != dns.TypeDS {
			continue // not ours (RFC 4035, section 2.2)
		}
		if err := s.set(x, now); err != nil {
			return err
		}
	}
	families := map[int]bool{n.union: true}
	if n.tailor >= 0 {
		for i := range b.tailored[n.tailor].answers {
			a := &b.tailored[n.tailor].answers[i]
			families[a.families] = true
			for _, x := range a.sets {
				if x == nil {
					continue
				}
				if err := s.set(x, now); err != nil {
					return err
				}
			}
		}
	}
	for f := range families {
		n.nsec[f] = &set{rrs: []dns.RR{n.nsecRecord(next, f)}}
		if err := s.set(n.nsec[f], now); err != nil {
			return err
		}
	}
	if n.anySet == nil || delegation {
		return nil
	}
	return s.set(n.anySet, now)
}

// nsecRecord returns the record that tells which types a name has, and which
// name comes next (RFC 4034, section 4). Its TTL is that of negative answers
// (RFC 9077).
func (n *node) nsecRecord(next *node, families int) dns.RR {
	types := []uint16{dns.TypeRRSIG, dns.TypeNSEC}
	for t := range n.sets {
		f := familyOf(t)
		if f >= 0 && (n.cut == n || n.tailor >= 0) {
			continue // glue
		}
		types = append(types, t)
	}
	if n.tailor >= 0 {
		for f, t := range [2]uint16{dns.TypeA, dns.TypeAAAA} {
			if families&(1<<f) != 0 {
				types = append(types, t)
			}
		}
	}
	slices.Sort(types)
	return &dns.NSEC{
		Hdr:        dns.RR_Header{Name: n.text, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: n.zone.soa.rrs[0].Header().Ttl},
		NextDomain: next.text, TypeBitMap: types,
	}
}

// set signs a set, or takes the signatures that it has had.
func (s *signer) set(x *set, now time.Time) error {
	key := setKey(x)
	sigs, ok := s.used[key]
	if !ok {
		sigs, ok = s.made[key]
	}
	if !ok || sigs.expires.Sub(now) <= signatureRenew {
		var err error
		if sigs, err = s.make(x, now); err != nil {
			return err
		}
	}
	s.used[key] = sigs
	x.sigs = sigs.rrs
	if at := sigs.expires.Add(-signatureRenew); at.Before(s.renewAt) {
		s.renewAt = at
	}
	return nil
}

// setKey tells sets apart by all that is signed.
func setKey(x *set) string {
	var b strings.Builder
	for _, rr := range x.rrs {
		b.WriteString(rr.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// make signs a set. One signature takes about 40 µs.
func (s *signer) make(x *set, now time.Time) (signatures, error) {
	out := signatures{expires: now.Add(signatureLife)}
	h := x.rrs[0].Header()
	for _, k := range s.keys.signers(h.Rrtype) {
		sig := &dns.RRSIG{
			Hdr:       dns.RR_Header{Ttl: h.Ttl}, // the rest of it Sign fills in
			Algorithm: k.record.Algorithm, KeyTag: k.record.KeyTag(), SignerName: s.keys.zone.text(),
			Inception: uint32(now.Add(-signatureSkew).Unix()), Expiration: uint32(out.expires.Unix()),
		}
		if err := sig.Sign(k.private, x.rrs); err != nil {
			return out, fmt.Errorf("sign %s %s: %w", h.Name, dns.TypeToString[h.Rrtype], err)
		}
		out.rrs = append(out.rrs, sig)
	}
	return out, nil
}

// withTTL returns records with a lesser TTL, if theirs is not less already.
func withTTL(rrs []dns.RR, ttl uint32) []dns.RR {
	out := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		out[i] = dns.Copy(rr)
		out[i].Header().Ttl = min(out[i].Header().Ttl, ttl)
	}
	return out
}
