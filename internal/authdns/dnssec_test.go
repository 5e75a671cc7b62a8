package authdns

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// status is what a validator makes of an answer.
type status string

const (
	secure   status = "secure"
	insecure status = "insecure" // beneath a delegation that is proven not to be signed
)

// validator checks answers as a validating resolver does that trusts the keys
// of example.net (RFC 4035, section 5). It shares no code with the server.
type validator struct {
	keys   []*dns.DNSKEY
	anyKey bool // may sign any set
	now    time.Time
	seen   map[string]error // verified signatures
}

func newValidator(t testing.TB, s *Server, now time.Time) *validator {
	t.Helper()
	v := &validator{now: now, seen: map[string]error{}}
	m := askSigned(t, s, "example.net.", dns.TypeDNSKEY, now)
	for _, rr := range m.Answer {
		if k, ok := rr.(*dns.DNSKEY); ok {
			v.keys = append(v.keys, k)
		}
	}
	return v
}

func askSigned(t testing.TB, s *Server, qname string, qtype uint16, now time.Time, options ...[]byte) *dns.Msg {
	t.Helper()
	reply, _ := answerOf(s, ask(qname, qtype).signed(options...).pack(), overTCP, localhost, now)
	var m dns.Msg
	if err := m.Unpack(reply); err != nil {
		t.Fatal(err)
	}
	return &m
}

// rrset is one set of an answer and what signs it.
type rrset struct {
	rrs  []dns.RR
	sigs []*dns.RRSIG
}

func sets(rrs []dns.RR) (all []*rrset) {
	at := map[string]*rrset{}
	of := func(h *dns.RR_Header, t uint16) *rrset {
		key := fmt.Sprint(strings.ToLower(h.Name), t)
		if at[key] == nil {
			at[key] = &rrset{}
			all = append(all, at[key])
		}
		return at[key]
	}
	for _, rr := range rrs {
		if sig, ok := rr.(*dns.RRSIG); ok {
			x := of(&sig.Hdr, sig.TypeCovered)
			x.sigs = append(x.sigs, sig)
			continue
		}
		x := of(rr.Header(), rr.Header().Rrtype)
		x.rrs = append(x.rrs, rr)
	}
	return all
}

// verify checks that a set is signed (RFC 4035, section 5.3). It returns how
// many labels of the owner a wildcard stands for.
func (v *validator) verify(x *rrset) (expanded int, err error) {
	if len(x.rrs) == 0 {
		return 0, fmt.Errorf("signatures without their set: %v", x.sigs)
	}
	if len(x.sigs) == 0 {
		return 0, fmt.Errorf("not signed: %v", x.rrs[0])
	}
	owner := x.rrs[0].Header()
	for _, sig := range x.sigs {
		if sig.SignerName != "example.net." || !sig.ValidityPeriod(v.now) || int(sig.Labels) > dns.CountLabel(owner.Name) || owner.Ttl > sig.OrigTtl || sig.Hdr.Ttl != owner.Ttl {
			return 0, fmt.Errorf("signature %v of %v", sig, x.rrs[0])
		}
		labels := dns.CountLabel(owner.Name)
		if strings.HasPrefix(owner.Name, "*.") {
			labels--
		}
		expanded = labels - int(sig.Labels)
		var texts []string
		for _, rr := range x.rrs {
			texts = append(texts, strings.ToLower(rr.Header().Name)+rr.String())
		}
		key := sig.String() + strings.Join(texts, "\n")
		if _, ok := v.seen[key]; !ok {
			v.seen[key] = v.verifyOne(sig, x.rrs)
		}
		if v.seen[key] != nil {
			return 0, v.seen[key]
		}
	}
	return expanded, nil
}

func (v *validator) verifyOne(sig *dns.RRSIG, rrs []dns.RR) error {
	for _, k := range v.keys {
		keys := sig.TypeCovered == dns.TypeDNSKEY || sig.TypeCovered == dns.TypeCDS || sig.TypeCovered == dns.TypeCDNSKEY
		if k.KeyTag() == sig.KeyTag && (v.anyKey || (k.Flags&dns.SEP != 0) == keys) {
			if err := sig.Verify(k, rrs); err != nil {
				return fmt.Errorf("%v of %v: %w", sig, rrs, err)
			}
			return nil
		}
	}
	return fmt.Errorf("no key for %v", sig)
}

// canonical returns the labels of a name from the right, to compare.
func canonical(text string) (labels []string) {
	wire := wireName(strings.ToLower(text))
	for at := 0; wire[at] != 0; at += 1 + int(wire[at]) {
		labels = append(labels, string(wire[at+1:at+1+int(wire[at])]))
	}
	slices.Reverse(labels)
	return labels
}

func beneath(n, above string) bool { return dns.IsSubDomain(above, n) && n != above }

// covers reports whether an NSEC says that there is no name n.
func covers(x *dns.NSEC, n string) bool {
	owner, next, at := canonical(x.Hdr.Name), canonical(x.NextDomain), canonical(n)
	has := func(t uint16) bool { return slices.Contains(x.TypeBitMap, t) }
	if beneath(n, x.Hdr.Name) && (has(dns.TypeNS) && !has(dns.TypeSOA) || has(dns.TypeDNAME)) {
		return false // the zone beneath may have it
	}
	if slices.Compare(owner, next) >= 0 { // the last one
		return slices.Compare(owner, at) < 0
	}
	return slices.Compare(owner, at) < 0 && slices.Compare(at, next) < 0
}

// validate says what an answer is worth, or why it is bogus.
func (v *validator) validate(m *dns.Msg) (status, error) {
	q := m.Question[0]
	qname := strings.ToLower(q.Name)
	for _, child := range []string{"probe.example.net.", "whoami.example.net."} {
		if beneath(qname, child) || qname == child && q.Qtype != dns.TypeDS {
			for _, rr := range append(slices.Clone(m.Answer), m.Ns...) {
				if t := rr.Header().Rrtype; t == dns.TypeRRSIG || t == dns.TypeNSEC || t == dns.TypeDNSKEY {
					return "", fmt.Errorf("%v in a zone that is not signed", rr)
				}
			}
			return insecure, nil
		}
	}
	var proofs []*dns.NSEC
	expanded := 0
	referral := ""
	for _, section := range [][]dns.RR{m.Answer, m.Ns} {
		for _, x := range sets(section) {
			if len(x.rrs) > 0 && x.rrs[0].Header().Rrtype == dns.TypeNS && !m.Authoritative {
				referral = x.rrs[0].Header().Name
				if len(x.sigs) > 0 {
					return "", fmt.Errorf("signed NS of a delegation: %v", x.sigs)
				}
				continue
			}
			if q.Qtype == dns.TypeRRSIG && len(x.rrs) == 0 {
				continue
			}
			n, err := v.verify(x)
			if err != nil {
				return "", err
			}
			if nsec, ok := x.rrs[0].(*dns.NSEC); ok && n == 0 {
				proofs = append(proofs, nsec)
			}
			expanded = max(expanded, n)
		}
	}
	if q.Qtype == dns.TypeRRSIG {
		if len(m.Answer) == 0 && m.Rcode == dns.RcodeSuccess && m.Authoritative && slices.ContainsFunc(proofs, func(x *dns.NSEC) bool { return x.Hdr.Name == qname }) {
			return "", fmt.Errorf("no signatures at a name that has some")
		}
		return secure, nil
	}
	switch {
	case referral != "":
		return v.delegation(m, referral, proofs)
	case m.Rcode == dns.RcodeNameError:
		return secure, nameError(qname, proofs)
	case len(m.Answer) == 0:
		return secure, noData(qname, q.Qtype, proofs)
	}
	for _, x := range sets(m.Answer) {
		h := x.rrs[0].Header()
		if strings.ToLower(h.Name) != qname || h.Rrtype != q.Qtype && h.Rrtype != dns.TypeCNAME && !(q.Qtype == dns.TypeANY && h.Rrtype == dns.TypeHINFO) {
			return "", fmt.Errorf("not what was asked for: %v", x.rrs[0])
		}
	}
	if expanded > 0 && !slices.ContainsFunc(proofs, func(x *dns.NSEC) bool { return covers(x, qname) }) {
		return "", fmt.Errorf("a wildcard, and no proof that nothing is closer: %v", proofs)
	}
	return secure, nil
}

func (v *validator) delegation(m *dns.Msg, cut string, proofs []*dns.NSEC) (status, error) {
	for _, rr := range m.Ns {
		if rr.Header().Rrtype == dns.TypeDS && rr.Header().Name == cut {
			return secure, nil
		}
	}
	for _, x := range proofs {
		if x.Hdr.Name == cut && slices.Contains(x.TypeBitMap, dns.TypeNS) && !slices.Contains(x.TypeBitMap, dns.TypeDS) && !slices.Contains(x.TypeBitMap, dns.TypeSOA) {
			return insecure, nil
		}
	}
	return "", fmt.Errorf("delegation of %s: neither DS nor proof that there is none: %v", cut, proofs)
}

// closestEncloser is what the NSEC that covers a name tells of it: the longest
// that the name shares with one that is there.
func closestEncloser(qname string, x *dns.NSEC) string {
	n := max(dns.CompareDomainName(qname, x.Hdr.Name), dns.CompareDomainName(qname, x.NextDomain))
	labels := dns.Split(qname)
	return qname[labels[len(labels)-n]:]
}

func nameError(qname string, proofs []*dns.NSEC) error {
	for _, x := range proofs {
		if !covers(x, qname) || beneath(x.NextDomain, qname) {
			continue
		}
		wild := "*." + closestEncloser(qname, x)
		if slices.ContainsFunc(proofs, func(x *dns.NSEC) bool { return covers(x, wild) }) {
			return nil
		}
	}
	return fmt.Errorf("NXDOMAIN of %s is not proven by %v", qname, proofs)
}

func noData(qname string, qtype uint16, proofs []*dns.NSEC) error {
	for _, x := range proofs {
		has := func(t uint16) bool { return slices.Contains(x.TypeBitMap, t) }
		switch {
		case x.Hdr.Name == qname:
			if has(qtype) || has(dns.TypeCNAME) || has(dns.TypeNS) && !has(dns.TypeSOA) && qtype != dns.TypeDS {
				return fmt.Errorf("NODATA of %s %d, and %v", qname, qtype, x)
			}
			return nil
		case covers(x, qname) && beneath(x.NextDomain, qname):
			return nil // an empty non-terminal
		case covers(x, qname):
			wild := "*." + closestEncloser(qname, x)
			for _, y := range proofs {
				if y.Hdr.Name == wild && !slices.Contains(y.TypeBitMap, qtype) && !slices.Contains(y.TypeBitMap, dns.TypeCNAME) {
					return nil
				}
			}
		}
	}
	return fmt.Errorf("NODATA of %s %d is not proven by %v", qname, qtype, proofs)
}

// TestEverythingValidates asks a signed server for everything.
func TestEverythingValidates(t *testing.T) {
	s := newServer(t, signed(t))
	v := newValidator(t, s, time.Now())
	seen := map[status]int{}
	for _, qname := range interestingNames(s) {
		if !dns.IsSubDomain("example.net.", strings.ToLower(dns.Fqdn(qname))) {
			continue
		}
		for _, qtype := range interestingTypes {
			if qtype >= dns.TypeTKEY && qtype < dns.TypeANY {
				continue
			}
			for _, client := range []string{"192.0.2.0/24", "198.51.100.0/25", "203.0.113.0/26", "203.0.113.64/26"} {
				if familyOf(qtype) < 0 && client != "192.0.2.0/24" {
					continue
				}
				m := askSigned(t, s, qname, qtype, v.now, ecs(client))
				if m.Truncated || m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
					t.Fatalf("%s %s: %v", qname, dns.Type(qtype), m)
				}
				got, err := v.validate(m)
				if err != nil {
					t.Fatalf("%s %s for %s is bogus: %v\n%v", qname, dns.Type(qtype), client, err, m)
				}
				seen[got]++
			}
		}
	}
	if seen[secure] == 0 || seen[insecure] == 0 {
		t.Errorf("answers by status: %v", seen)
	}
	t.Logf("answers by status: %v; %d signatures", seen, len(v.seen))
}

// TestProofs names the proofs that each kind of answer carries.
func TestProofs(t *testing.T) {
	s := newServer(t, signed(t))
	for _, c := range []struct {
		why    string
		qname  string
		qtype  uint16
		client string
		want   string // status; rcode; owners of NSEC records
	}{
		{"positive", "static.example.net.", dns.TypeA, "192.0.2.0/24", "secure NOERROR"},
		{"no such type", "static.example.net.", dns.TypeMX, "192.0.2.0/24", "secure NOERROR static.example.net."},
		{"no such name: one gap holds it and the wildcard", "!.example.net.", dns.TypeA, "192.0.2.0/24", "secure NXDOMAIN example.net."},
		{"no such name", "nope.example.net.", dns.TypeA, "192.0.2.0/24", "secure NXDOMAIN medium.example.net. example.net."},
		{"the last gap", "zzz.example.net.", dns.TypeA, "192.0.2.0/24", "secure NXDOMAIN www.example.net. example.net."},
		{"wildcard", "x.wild.example.net.", dns.TypeA, "192.0.2.0/24", "secure NOERROR deep.host.wild.example.net."},
		{"wildcard, no such type", "x.wild.example.net.", dns.TypeAAAA, "192.0.2.0/24", "secure NOERROR *.wild.example.net. deep.host.wild.example.net."},
		{"empty non-terminal", "b.ent.example.net.", dns.TypeA, "192.0.2.0/24", "secure NOERROR chained.example.net."},
		{"signed delegation", "x.signed.example.net.", dns.TypeA, "192.0.2.0/24", "secure NOERROR"},
		{"unsigned delegation", "x.far.example.net.", dns.TypeA, "192.0.2.0/24", "insecure NOERROR far.example.net."},
		{"unsigned delegation to itself", "self.example.net.", dns.TypeA, "192.0.2.0/24", "insecure NOERROR self.example.net."},
		{"DS that is not there", "far.example.net.", dns.TypeDS, "192.0.2.0/24", "secure NOERROR far.example.net."},
		{"the probe zone's DS is not there", "probe.example.net.", dns.TypeDS, "192.0.2.0/24", "secure NOERROR probe.example.net."},
		{"whoami's DS is not there", "whoami.example.net.", dns.TypeDS, "192.0.2.0/24", "secure NOERROR whoami.example.net."},
		{"a probe name", "global-1.probe.example.net.", dns.TypeA, "192.0.2.0/24", "insecure NOERROR"},
		{"a probe name that is not there", "nope.probe.example.net.", dns.TypeA, "192.0.2.0/24", "insecure NXDOMAIN"},
		{"whoami", "whoami.example.net.", dns.TypeTXT, "192.0.2.0/24", "insecure NOERROR"},
		{"tailored", "www.example.net.", dns.TypeA, "192.0.2.0/24", "secure NOERROR"},
		{"tailored, another type", "www.example.net.", dns.TypeMX, "192.0.2.0/24", "secure NOERROR www.example.net."},
		{"tailored, only IPv4", "www.example.net.", dns.TypeAAAA, "198.51.100.0/25", "secure NOERROR www.example.net."},
		{"tailored, only IPv6", "www.example.net.", dns.TypeA, "203.0.113.0/26", "secure NOERROR www.example.net."},
		{"tailored, no address", "www.example.net.", dns.TypeA, "203.0.113.64/26", "secure NOERROR www.example.net."},
		{"ANY", "static.example.net.", dns.TypeANY, "192.0.2.0/24", "secure NOERROR"},
		{"CNAME", "alias.example.net.", dns.TypeA, "192.0.2.0/24", "secure NOERROR"},
		{"wildcard CNAME", "x.calias.example.net.", dns.TypeA, "192.0.2.0/24", "secure NOERROR *.calias.example.net."},
	} {
		t.Run(c.why, func(t *testing.T) {
			now := time.Now()
			v := newValidator(t, s, now)
			m := askSigned(t, s, c.qname, c.qtype, now, ecs(c.client))
			st, err := v.validate(m)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			got.WriteString(string(st) + " " + dns.RcodeToString[m.Rcode])
			for _, rr := range m.Ns {
				if x, ok := rr.(*dns.NSEC); ok {
					got.WriteString(" " + x.Hdr.Name)
					ttl := uint32(300) // RFC 9077
					if c.qname == "www.example.net." && c.qtype != dns.TypeMX {
						ttl = 60 // as the answers of the name
					}
					if x.Hdr.Ttl != ttl {
						t.Errorf("TTL %d, want %d", x.Hdr.Ttl, ttl)
					}
				}
			}
			if got.String() != c.want {
				t.Errorf("got %s\nwant %s\n%v", got.String(), c.want, m)
			}
		})
	}
	t.Run("what each client's NSEC says", func(t *testing.T) {
		for client, want := range map[string]string{
			"198.51.100.0/25": "A TXT RRSIG NSEC HTTPS",
			"203.0.113.0/26":  "TXT AAAA RRSIG NSEC HTTPS",
			"203.0.113.64/26": "TXT RRSIG NSEC HTTPS",
		} {
			qtype := dns.TypeAAAA
			if client == "203.0.113.0/26" {
				qtype = dns.TypeA
			}
			for _, rr := range askSigned(t, s, "www.example.net.", qtype, testTime, ecs(client)).Ns {
				if x, ok := rr.(*dns.NSEC); ok && !strings.HasSuffix(x.String(), " "+want) {
					t.Errorf("%s: %v, want %s", client, x, want)
				}
			}
		}
	})
	t.Run("asked for by name, without DO (RFC 4035, section 3.1)", func(t *testing.T) {
		for _, qname := range []string{"static.example.net.", "bare.sub.example.net."} {
			for _, qtype := range []uint16{dns.TypeNSEC, dns.TypeRRSIG} {
				reply, _ := answerOf(s, ask(qname, qtype).pack(), overTCP, localhost, testTime)
				var m dns.Msg
				if err := m.Unpack(reply); err != nil || len(m.Answer) == 0 || m.Answer[0].Header().Rrtype != qtype {
					t.Errorf("%s %s: %v, %v", qname, dns.Type(qtype), m.Answer, err)
				}
			}
		}
	})
}

// TestKeySets: what the parent zone and validators are told.
func TestKeySets(t *testing.T) {
	s := newServer(t, signed(t))
	v := newValidator(t, s, time.Now())
	if len(v.keys) != 2 {
		t.Fatalf("keys: %v", v.keys)
	}
	for qtype, want := range map[uint16]int{dns.TypeDNSKEY: 2, dns.TypeCDS: 1, dns.TypeCDNSKEY: 1} {
		m := askSigned(t, s, "example.net.", qtype, v.now)
		if _, err := v.validate(m); err != nil {
			t.Error(err)
		}
		if x := sets(m.Answer); len(x) != 1 || len(x[0].rrs) != want || len(x[0].sigs) != 1 {
			t.Errorf("%s: %v", dns.Type(qtype), m.Answer)
		}
	}
	ds := s.cfg.Keys.DS()
	m := askSigned(t, s, "example.net.", dns.TypeCDS, v.now)
	cds := m.Answer[0].(*dns.CDS)
	if len(ds) != 1 || !strings.HasSuffix(ds[0], strings.ToUpper(cds.Digest)) || !strings.HasSuffix(ds[0], v.ksk().ToDS(dns.SHA256).Digest) && !strings.EqualFold(v.ksk().ToDS(dns.SHA256).Digest, cds.Digest) {
		t.Errorf("DS %v, CDS %v", ds, cds)
	}
}

func (v *validator) ksk() *dns.DNSKEY {
	return v.keys[slices.IndexFunc(v.keys, func(k *dns.DNSKEY) bool { return k.Flags&dns.SEP != 0 })]
}

// TestSignaturesAreRenewed looks at two months of a server's life.
func TestSignaturesAreRenewed(t *testing.T) {
	option := signed(t)
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, option)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { s.renewSignatures(ctx); close(done) }()
		began := time.Now()
		for day := range 60 {
			v := newValidator(t, s, time.Now())
			for qname, qtype := range map[string]uint16{
				"example.net.": dns.TypeSOA, "www.example.net.": dns.TypeA, "nope.example.net.": dns.TypeA, "example.net": dns.TypeDNSKEY,
			} {
				m := askSigned(t, s, qname, qtype, time.Now())
				if _, err := v.validate(m); err != nil {
					t.Fatalf("day %d: %v", day, err)
				}
				for _, x := range sets(append(m.Answer, m.Ns...)) {
					left := time.Until(time.Unix(int64(x.sigs[0].Expiration), 0))
					if left < signatureRenew-time.Hour || left > signatureLife {
						t.Errorf("day %d: a signature has %v left", day, left)
					}
				}
			}
			if day == 20 { // a new state does not make anew what is good
				before := s.current.Load().renewAt
				if err := s.SetState(s.state); err != nil {
					t.Fatal(err)
				}
				if got := s.current.Load().renewAt; !got.Equal(before) {
					t.Errorf("renewed at %v, then at %v", before, got)
				}
			}
			time.Sleep(24 * time.Hour)
		}
		if got, want := s.swaps.Load(), uint64(time.Since(began)/signatureRenew); got < want || got > want+2 {
			t.Errorf("%d snapshots in 60 days", got)
		}
		cancel()
		<-done
	})
}
