package authdns

import (
	"bytes"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// interestingTypes are those that something treats in its own way, and some.
var interestingTypes = []uint16{
	0, dns.TypeA, dns.TypeNS, dns.TypeCNAME, dns.TypeSOA, dns.TypePTR, dns.TypeHINFO, dns.TypeMX, dns.TypeTXT, dns.TypeAAAA, dns.TypeSRV,
	dns.TypeDNAME, dns.TypeDS, dns.TypeRRSIG, dns.TypeNSEC, dns.TypeDNSKEY, dns.TypeNSEC3, dns.TypeNSEC3PARAM,
	dns.TypeCDS, dns.TypeCDNSKEY, dns.TypeSVCB, dns.TypeHTTPS, dns.TypeTKEY, dns.TypeTSIG, dns.TypeIXFR, dns.TypeAXFR,
	dns.TypeMAILB, dns.TypeMAILA, dns.TypeANY, dns.TypeCAA, 1000, 65534, 65535,
}

// interestingNames are the names of the zone, names beneath them, and others.
func interestingNames(s *Server) (all []string) {
	nodes := s.current.Load().nodes
	for _, key := range slices.Sorted(maps.Keys(nodes)) {
		n := nodes[key]
		all = append(all, n.text)
		for _, label := range []string{"x", "zz.y", "*", "global-1"} {
			all = append(all, label+"."+n.text)
		}
	}
	return append(all, "x.*.wild.example.net.", "a.global-1.probe.example.net.", ".", "net.", "example.org.", "xexample.net.",
		"GLOBAL-0a1b.probe.example.net.", "pop-iad-0a1b.probe.example.net.", "pop-fra-0a1b.probe.example.net.",
		"pop-iad-.probe.example.net.", "-x.probe.example.net.", "pop-.probe.example.net.", "global-a-.probe.example.net.")
}

// sameFast holds the fast path to what the slow path says, byte for byte.
func sameFast(t testing.TB, s *Server, packet []byte, via transport, now time.Time) (reply []byte, fast bool) {
	t.Helper()
	peer := netip.MustParseAddr("198.51.100.7")
	a := &answerer{Server: s, via: via, peer: peer, now: now, snap: s.current.Load(), stats: s.stats}
	v := a.parse(packet)
	if v != wellFormed {
		return a.slow(nil, v), false
	}
	quick, fast := a.fast(nil)
	b := &answerer{Server: s, via: via, peer: peer, now: now, snap: a.snap, stats: s.stats}
	b.parse(packet)
	reply = b.slow(nil, v)
	if fast && !bytes.Equal(quick, reply) {
		t.Errorf("%s %s: the fast path says\n%x\n%s\nand the slow one\n%x\n%s", name(a.name[:a.length]).text(), dns.Type(a.qtype),
			quick, describeAny(quick), reply, describeAny(reply))
	}
	return reply, fast
}

func describeAny(reply []byte) string {
	var m dns.Msg
	if err := m.Unpack(reply); err != nil {
		return err.Error()
	}
	return m.String()
}

// TestFastIsSlow compares the two paths for every name, type and manner of
// asking, and looks at each answer with another's eyes.
func TestFastIsSlow(t *testing.T) {
	for kind, s := range map[string]*Server{"unsigned": newServer(t), "signed": newServer(t, signed(t))} {
		t.Run(kind, func(t *testing.T) {
			quick, all := 0, 0
			for _, qname := range interestingNames(s) {
				for _, qtype := range interestingTypes {
					packets := [][]byte{
						ask(qname, qtype).pack(),
						ask(qname, qtype).signed(ecs("198.51.100.0/25")).pack(),
					}
					if familyOf(qtype) >= 0 {
						packets = append(packets,
							ask(qname, qtype).signed().pack(),
							ask(qname, qtype).edns(ecs("203.0.113.0/24"), option(optNSID, ""), option(optCookie, "0102030405060708")).pack(),
							ask(qname, qtype).signed(ecs("2001:db8:9000::/48")).pack())
					}
					for i, packet := range packets {
						via := overTCP
						if i == 0 {
							via = overUDP
						}
						reply, fast := sameFast(t, s, packet, via, testTime)
						all++
						if fast {
							quick++
						}
						checkShape(t, packet, reply)
						if t.Failed() {
							return // one tells enough
						}
					}
				}
			}
			t.Logf("%d of %d queries took the fast path", quick, all)
		})
	}
}

// checkShape holds an answer to what every answer has.
func checkShape(t testing.TB, packet, reply []byte) *dns.Msg {
	t.Helper()
	var q, r dns.Msg
	if err := r.Unpack(reply); err != nil {
		t.Errorf("answer %x to %x: %v", reply, packet, err)
		return &r
	}
	qe, rd := q.Unpack(packet), r.IsEdns0()
	o := q.IsEdns0()
	switch {
	case r.Id != uint16(packet[0])<<8|uint16(packet[1]) || !r.Response:
		t.Errorf("answer %x to %x: not to it", reply, packet)
	case qe == nil && len(r.Question) == 1 && !bytes.Equal(reply[headerLen:headerLen+4], packet[headerLen:headerLen+4]):
		t.Errorf("answer %x to %x: another question", reply, packet)
	case qe == nil && q.Opcode == 0 && (o != nil) != (rd != nil):
		t.Errorf("answer %x to %x: OPT %v", reply, packet, rd)
	case o != nil && rd != nil && o.Do() != rd.Do() && r.Rcode != dns.RcodeFormatError: // of two OPT records, either
		t.Errorf("answer %x to %x: DO %v", reply, packet, rd.Do())
	}
	signed := o != nil && o.Do()
	for _, rr := range append(append(r.Answer, r.Ns...), r.Extra...) {
		switch x := rr.(type) {
		case *dns.RRSIG, *dns.NSEC:
			if !signed && r.Question[0].Qtype != rr.Header().Rrtype {
				t.Errorf("answer to %x: %s, which was not asked for", packet, x)
			}
		case *dns.OPT:
		default:
			if !dns.IsSubDomain("example.net.", rr.Header().Name) && rr.Header().Class == dns.ClassINET {
				t.Errorf("answer to %x: %s is not ours", packet, x)
			}
		}
	}
	return &r
}
