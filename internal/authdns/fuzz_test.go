package authdns

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// FuzzPacket: whatever comes in, there is an answer to it if it is a query, both
// paths give the same one, another's parser can read it, and it echoes what it
// must.
func FuzzPacket(f *testing.F) {
	for _, p := range seeds() {
		f.Add(p, uint8(overUDP))
		f.Add(p, uint8(overTLS))
	}
	servers := []*Server{newServer(f), newServer(f, signed(f))}
	f.Fuzz(func(t *testing.T, packet []byte, via uint8) {
		if len(packet) > maxQueryTCP {
			return
		}
		for _, s := range servers {
			sent := bytes.Clone(packet)
			how := transport(via) % transports
			reply, _ := sameFast(t, s, packet, how, testTime)
			if !bytes.Equal(sent, packet) {
				t.Fatal("the query was changed")
			}
			if (len(reply) > 0) != answerable(packet) {
				t.Fatalf("%d bytes", len(reply))
			}
			if len(reply) > 0 {
				checkShape(t, packet, reply)
				checkEcho(t, packet, reply, how)
			}
		}
	})
}

// checkEcho holds an answer to what it repeats of the query.
func checkEcho(t *testing.T, packet, reply []byte, via transport) {
	t.Helper()
	const opcode = 0x78
	if reply[2]&(flagQR|opcode) != flagQR|packet[2]&opcode || reply[3]&0xE0 != 0 {
		t.Fatalf("flags %x of the answer to %x", reply[2:4], packet[2:4])
	}
	if packet[2]&opcode != 0 {
		if want := append(append(bytes.Clone(packet[:2]), flagQR|packet[2]&opcode, dns.RcodeNotImplemented), make([]byte, 8)...); !bytes.Equal(reply, want) {
			t.Fatalf("answer %x to an unknown opcode", reply)
		}
		return
	}
	if reply[2]&flagRD != packet[2]&flagRD || reply[3]&flagCD != packet[3]&flagCD {
		t.Fatalf("RD or CD of %x in %x", packet[2:4], reply[2:4])
	}
	if via == overUDP && len(reply) > maxUDP || via != overUDP && reply[2]&flagTC != 0 {
		t.Fatalf("%d bytes, flags %x", len(reply), reply[2])
	}
	var q query
	v := q.parse(packet)
	if n := int(binary.BigEndian.Uint16(reply[4:])); n == 1 {
		if !bytes.HasPrefix(reply[headerLen:], packet[headerLen:q.end]) {
			t.Fatalf("answer %x echoes another question", reply)
		}
	} else if v == wellFormed {
		t.Fatalf("answer %x echoes %d questions", reply, n)
	}
	for _, o := range optionsOf(t, reply) {
		data := o[4:]
		switch binary.BigEndian.Uint16(o) {
		case optECS:
			if !q.present || !bytes.Equal(data[:3], q.ecs.data[:3]) || !bytes.Equal(data[4:], q.ecs.data[4:]) {
				t.Fatalf("ECS %x, asked with %x", data, q.ecs.data)
			}
			if most := map[byte]byte{1: 32, 2: 128}[data[1]]; data[3] > most || data[2] == 0 && data[3] != 0 {
				t.Fatalf("scope %d of source %d", data[3], data[2])
			}
		case optCookie:
			if len(data) != 24 || !bytes.Equal(data[:8], q.cookie[:8]) {
				t.Fatalf("cookie %x, asked with %x", data, q.cookie)
			}
		case optNSID, optKeepalive, optPadding:
			if !q.nsid && !q.keep && !q.pad {
				t.Fatalf("option %x, which nobody asked for", o)
			}
		case optEDE:
		default:
			t.Fatalf("option %x", o)
		}
	}
}

// strictECS reads a client subnet by the letter of RFC 7871, sections 6 and
// 7.1.2, in another way than the server.
func strictECS(data []byte) (p netip.Prefix, ok bool) {
	if len(data) < 4 {
		return p, false
	}
	width := map[string]int{"\x00\x01": 4, "\x00\x02": 16}[string(data[:2])]
	address := make([]byte, width)
	if width == 0 || copy(address, data[4:]) != len(data)-4 {
		return p, false
	}
	a, _ := netip.AddrFromSlice(address)
	p, err := a.Prefix(int(data[2]))
	return p, err == nil && p.Addr() == a && len(data) == 4+(p.Bits()+7)/8 && data[3] == 0
}

func FuzzECS(f *testing.F) {
	for _, seed := range []string{
		"", "0001", "00010000", "00020000", "00000000", "00030000", "00011800c00002", "00011700c00002", "00011700c00003",
		"00011818c00002", "00012000c0000201", "00012100c000020180", "00023800 20010db8000000", "0002800020010db8000000000000000000000001",
		"00028100 20010db800000000000000000000000180", "0001010080", "0001010081", "000200ff", "00027800 00000000000000000000ffffc63364",
	} {
		f.Add(unhex(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var e ecsOption
		want, ok := strictECS(data)
		if got := e.parse(data); got != ok {
			t.Fatalf("%x: taken %v, want %v", data, got, ok)
		}
		if !ok {
			if e.data != nil {
				t.Fatalf("%x: refused, and kept", data)
			}
			return
		}
		if got := netip.PrefixFrom(e.addr, int(e.source)); got != want || !bytes.Equal(e.data, data) {
			t.Fatalf("%x: %v, want %v", data, got, want)
		}
	})
}

// FuzzZone: no zone file makes anything panic, and what is taken can be served,
// signed or not.
func FuzzZone(f *testing.F) {
	example, err := os.ReadFile("testdata/example.net.zone")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example))
	for _, seed := range zoneSeeds {
		f.Add(smallZone + seed)
	}
	keys, err := exampleKeys()
	if err != nil {
		f.Fatal(err)
	}
	s := newServer(f)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 8<<10 {
			return
		}
		zone, err := ParseZone(strings.NewReader(text), "example.net", "zone")
		if err != nil || len(zone.records) > 100 {
			return
		}
		for _, probe := range []name{"", "\x05probe" + zone.origin} {
			for _, sign := range []*signer{nil, newSigner(keys)} {
				snap, err := build(content{zone, probe, State{}}, sign, testTime)
				if err != nil {
					continue
				}
				s.current.Store(snap)
				checkServed(t, s, zone)
			}
		}
	})
}

// zoneSeeds are parts of zone files that are odd.
var zoneSeeds = []string{
	"x NS", "x NS \\# 0\n", "x MX \\# 2 0001\n", "x SRV \\# 6 000000000000\n", "x APL \\# 0\n", "x TXT \\# 0\n",
	"x CNAME y\n", "*.w TXT a\na.*.w TXT b\n", "d NS ns.d\nns.d A 192.0.2.1\nx.y.d A 192.0.2.2\n", "self NS self\nself A 192.0.2.1\n",
	"a.b.c.d TXT leaf\n", "x TYPE65534 \\# 2 0102\n", "x TYPE65280 \\# 0\n", "x TYPE41 \\# 0\n", "x TYPE255 \\# 0\n", "x TYPE0 \\# 0\n", "x TYPE249 \\# 1 00\n", "x TYPE65535 \\# 0\n",
	"\\000\\255.x A 192.0.2.1\n", "X A 192.0.2.1\nx A 192.0.2.1\n", "x HTTPS 0 y\n", "x HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1\n", "x SVCB 1 y mandatory=port port=1\n",
	"$ORIGIN probe.example.net.\n@ NS ns.example.org.\nglobal-1 A 192.0.2.1\n* TXT a\n", "$ORIGIN whoami.example.net.\nx A 192.0.2.1\n",
	"x NAPTR 1 1 \"s\" \"x\" \"\" y\n", "x RP a b\n", "x MINFO a b\n", "x LOC 52 22 23 N 4 53 32 E 0m\n", "x SSHFP 1 1 00\n", "x NULL \\# 3 010203\n", "x EUI48 00-00-5e-00-53-2a\n",
	"x APL 1:192.0.2.0/24\n", "x URI 1 1 \"a\"\n", "$GENERATE 1-5 g$ A 192.0.2.$\n", "x DNAME y\n", "x KX 1 y\n", "x PX 1 a b\n", "x SIG A 13 2 60 20300101000000 20200101000000 1 y AA==\n", "x NXT y A\n", "x KEY 256 3 13 AA==\n",
}

// checkServed asks for every set of a zone, and what is beside them.
func checkServed(t *testing.T, s *Server, zone *Zone) {
	t.Helper()
	for _, rr := range zone.records {
		h := rr.Header()
		under := "x." + h.Name
		if len(wireNameOf(under)) > maxName {
			under = h.Name
		}
		for _, qname := range []string{h.Name, under} {
			for _, qtype := range []uint16{h.Rrtype, dns.TypeA, dns.TypeANY, dns.TypeDS, dns.TypeRRSIG, 1001} {
				for _, do := range []uint16{0, 0x8000} {
					packet := (&packetOf{}).raw(nil).count(0, 1).raw(wireNameOf(qname)).numbers(qtype, classIN).opt(1232, 0, do).pack()
					reply, _ := sameFast(t, s, packet, overTCP, testTime)
					m := checkShape(t, packet, reply)
					if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
						t.Fatalf("%s %s: %s", qname, dns.Type(qtype), dns.RcodeToString[m.Rcode])
					}
					if qname == h.Name && qtype == h.Rrtype && m.Authoritative && !slices.ContainsFunc(m.Answer, func(x dns.RR) bool { return x.Header().Rrtype == qtype }) {
						t.Fatalf("%s %s is not answered: %v", qname, dns.Type(qtype), m)
					}
					for _, x := range m.Answer {
						if got := x.Header().Rrtype; got != qtype && got != dns.TypeCNAME && got != dns.TypeRRSIG && !(qtype == dns.TypeANY && got == dns.TypeHINFO) {
							t.Fatalf("%s %s is answered with %v", qname, dns.Type(qtype), x)
						}
					}
				}
			}
		}
	}
}

func wireNameOf(text string) []byte {
	var buf [600]byte
	n, err := dns.PackDomainName(text, buf[:], 0, nil, false)
	if err != nil {
		return make([]byte, maxName+1)
	}
	return buf[:n]
}
