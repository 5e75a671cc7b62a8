package authdns

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// conformanceCase is a packet and what it is worth. In want, $Q stands for the
// question for a-only.example.net A, and $A for that and its answer.
type conformanceCase struct {
	name   string
	rfc    string // and section
	packet []byte
	want   string
	tcp    string // over TCP; empty: the same
}

func (c conformanceCase) check(t *testing.T, s *Server) {
	expand := strings.NewReplacer(
		"$Q", "| a-only.example.net. IN A",
		"$A", "| a-only.example.net. IN A | an: a-only.example.net. 3600 A 203.0.113.3").Replace
	want := expand(c.want)
	if got := describe(t, askUDP(t, s, c.packet)); got != want {
		t.Errorf("RFC %s, over UDP:\n got %s\nwant %s", c.rfc, got, want)
	}
	if c.tcp != "" {
		want = expand(c.tcp)
	}
	if got := describe(t, askTCP(t, s, c.packet)); got != want {
		t.Errorf("RFC %s, over TCP:\n got %s\nwant %s", c.rfc, got, want)
	}
}

func aOnly() *packetOf { return ask("a-only.example.net", dns.TypeA) }

// TestConformance is ISC's EDNS compliance test and more, on the wire.
func TestConformance(t *testing.T) {
	const (
		refusedAs  = "REFUSED qr | www.example.org. IN A | opt0 ede:0014"
		soa        = "ns: example.net. 300 SOA 2026010101"
		rfc8482    = "an: a-only.example.net. 3789 HINFO \"RFC8482\" \"\""
		noData     = "NOERROR qr aa | a-only.example.net. IN AAAA | " + soa
		longLabel  = "a23456789012345678901234567890123456789012345678901234567890123"
		longestEnd = ".a234567890123456789012345678901234567890123456789.example.net" // to 255 bytes
	)
	longest := longLabel + "." + longLabel + "." + longLabel + longestEnd
	if n := len(wireName(longest)); n != maxName {
		t.Fatalf("the longest name has %d bytes", n)
	}
	medium := ask("medium.example.net", dns.TypeTXT)
	mediumCut := "NOERROR qr aa tc | medium.example.net. IN TXT"
	s := start(t)
	mediumWhole := describe(t, askTCP(t, s, medium.pack()))

	for _, c := range []conformanceCase{
		{name: "plain", rfc: "1035 4.1", packet: aOnly().pack(), want: "NOERROR qr aa $A"},
		{name: "no such type", rfc: "2308 2.2", packet: ask("a-only.example.net", dns.TypeAAAA).pack(), want: noData},
		{name: "no such name", rfc: "2308 2.1", packet: ask("x.y.example.net", dns.TypeA).pack(), want: "NXDOMAIN qr aa | x.y.example.net. IN A | " + soa},
		{name: "not ours", rfc: "8914 4.21", packet: ask("www.example.org", dns.TypeA).edns().pack(), want: refusedAs},
		{name: "the root is not ours", rfc: "8914 4.21", packet: ask(".", dns.TypeNS).pack(), want: "REFUSED qr | . IN NS"},
		{name: "the parent is not ours", rfc: "8914 4.21", packet: ask("net", dns.TypeDS).pack(), want: "REFUSED qr | net. IN DS"},
		{name: "unknown type", rfc: "3597 3", packet: ask("a-only.example.net", 1000).pack(), want: "NOERROR qr aa | a-only.example.net. IN TYPE1000 | " + soa},
		{name: "type 0", rfc: "3597 3", packet: ask("a-only.example.net", 0).pack(), want: "NOERROR qr aa | a-only.example.net. IN None | " + soa},
		{name: "ANY", rfc: "8482 4.2", packet: ask("a-only.example.net", dns.TypeANY).pack(), want: "NOERROR qr aa | a-only.example.net. IN ANY | " + rfc8482},
		{name: "mail types", rfc: "1035 3.2.3", packet: ask("a-only.example.net", dns.TypeMAILB).edns().pack(), want: "NOTIMP qr | a-only.example.net. IN MAILB | opt0 ede:0015"},
		{name: "AXFR", rfc: "5936 4.2", packet: ask("example.net", dns.TypeAXFR).edns().pack(), want: "REFUSED qr | example.net. IN AXFR | opt0 ede:0012"},
		{name: "IXFR", rfc: "1995 2", packet: ask("example.net", dns.TypeIXFR).pack(), want: "REFUSED qr | example.net. IN IXFR"},
		{name: "IXFR with its SOA", rfc: "1995 3", packet: ask("example.net", dns.TypeIXFR).count(2, 1).
			raw(wireName("example.net")).numbers(dns.TypeSOA, classIN, 0, 0, 22).raw(make([]byte, 22)).pack(), want: "REFUSED qr | example.net. IN IXFR"},

		// names
		{
			name: "case is echoed", rfc: "4343 4.1", packet: ask("A-oNLy.eXample.NET", dns.TypeA).pack(),
			want: "NOERROR qr aa | A-oNLy.eXample.NET. IN A | an: A-oNLy.eXample.NET. 3600 A 203.0.113.3",
		},
		{
			name: "case is echoed above what is missing", rfc: "4343 4.1", packet: ask("x.eXample.NET", dns.TypeA).pack(),
			want: "NXDOMAIN qr aa | x.eXample.NET. IN A | ns: eXample.NET. 300 SOA 2026010101",
		},
		{name: "255 bytes", rfc: "1035 3.1", packet: ask(longest, dns.TypeA).pack(), want: "NXDOMAIN qr aa | " + longest + ". IN A | " + soa},
		{name: "256 bytes", rfc: "1035 3.1", packet: (&packetOf{}).count(0, 1).raw([]byte{1, 'x'}).raw(wireName(longest)).numbers(1, 1).pack(), want: "FORMERR qr"},
		{
			name: "dots and zeros within labels", rfc: "2181 11", packet: ask(`esc\.aped.example.net`, dns.TypeTXT).pack(),
			want: `NOERROR qr aa | esc\.aped.example.net. IN TXT | an: esc\.aped.example.net. 3600 TXT "a dot \"within\" a label" "\000\255"`,
		},
		{
			name: "any byte within a label", rfc: "2181 11", packet: ask(`\000\255\032.example.net`, dns.TypeA).pack(),
			want: `NXDOMAIN qr aa | \000\255\ .example.net. IN A | ` + soa,
		},
		{name: "a pointer to itself", rfc: "1035 4.1.4", packet: (&packetOf{}).count(0, 1).raw(unhex("C00C")).numbers(1, 1).pack(), want: "FORMERR qr"},
		{name: "a pointer ahead", rfc: "1035 4.1.4", packet: (&packetOf{}).count(0, 1).raw(unhex("C012 0001 0001 00")).pack(), want: "FORMERR qr"},
		{name: "a pointer into the header", rfc: "1035 4.1.4", packet: (&packetOf{}).count(0, 1).raw(unhex("0161 C004")).numbers(1, 1).pack(), want: "FORMERR qr"},
		{name: "an extended label", rfc: "6891 5", packet: (&packetOf{}).count(0, 1).raw(unhex("41 00 00")).numbers(1, 1).pack(), want: "FORMERR qr"},
		{name: "a label of type 10", rfc: "1035 4.1.4", packet: (&packetOf{}).count(0, 1).raw(unhex("80 00 00")).numbers(1, 1).pack(), want: "FORMERR qr"},
		{name: "a name cut off", rfc: "1035 4.1.2", packet: (&packetOf{}).count(0, 1).raw(unhex("0361")).pack(), want: "FORMERR qr"},
		{name: "a question cut off", rfc: "1035 4.1.2", packet: (&packetOf{}).count(0, 1).raw(unhex("00 0001 00")).pack(), want: "FORMERR qr"},

		// header
		{name: "RD", rfc: "1035 4.1.1", packet: aOnly().flag(0x0100).pack(), want: "NOERROR qr aa rd $A"},
		{name: "CD", rfc: "4035 3.1.6", packet: aOnly().flag(0x0010).pack(), want: "NOERROR qr aa cd $A"},
		{name: "AD", rfc: "6840 5.7", packet: aOnly().flag(0x0020).pack(), want: "NOERROR qr aa $A"},
		{name: "Z", rfc: "8906 3.1.3", packet: aOnly().flag(0x0040).pack(), want: "NOERROR qr aa $A"},
		{name: "TC, RA and AA", rfc: "8906 3.1", packet: aOnly().flag(0x0680).pack(), want: "NOERROR qr aa $A"},
		{name: "an RCODE", rfc: "1035 4.1.1", packet: aOnly().flag(0x0005).pack(), want: "NOERROR qr aa $A"},
		{name: "opcode IQUERY", rfc: "3425 3", packet: aOnly().flag(0x0800).pack(), want: "NOTIMP qr IQUERY"},
		{name: "opcode STATUS", rfc: "8906 3.1.4", packet: aOnly().flag(0x1170).pack(), want: "NOTIMP qr STATUS"},
		{name: "opcode NOTIFY", rfc: "8906 3.1.4", packet: aOnly().flag(0x2400).pack(), want: "NOTIMP qr NOTIFY"},
		{name: "opcode UPDATE", rfc: "2136 3", packet: ask("example.net", dns.TypeSOA).flag(0x2800).count(2, 1).pack(), want: "NOTIMP qr UPDATE"},
		{name: "opcode 15, and nothing else", rfc: "8906 3.1.4", packet: (&packetOf{}).flag(0x7800).pack(), want: "NOTIMP qr " + dns.OpcodeToString[15]},
		{name: "no question", rfc: "8906 3.1", packet: (&packetOf{}).pack(), want: "FORMERR qr"},
		{name: "no question, with EDNS", rfc: "7873 5.4", packet: (&packetOf{}).edns().pack(), want: "FORMERR qr | opt0"},
		{name: "two questions", rfc: "9619 4", packet: aOnly().question("www.example.net", 1, 1).pack(), want: "FORMERR qr"},
		{name: "two questions said, one sent", rfc: "1035 4.1.1", packet: aOnly().count(0, 2).pack(), want: "FORMERR qr"},
		{name: "an answer in the query", rfc: "1035 4.1.1", packet: aOnly().count(1, 1).raw(unhex("C00C 0001 0001 00000000 0004 C0000201")).pack(), want: "FORMERR qr $Q"},
		{name: "an authority in the query", rfc: "1035 4.1.1", packet: aOnly().count(2, 1).raw(unhex("C00C 0001 0001 00000000 0004 C0000201")).pack(), want: "FORMERR qr $Q"},
		{name: "trailing bytes", rfc: "1035 4.1", packet: aOnly().raw([]byte{0}).pack(), want: "FORMERR qr $Q"},
		{name: "trailing bytes behind OPT", rfc: "1035 4.1", packet: aOnly().edns().raw([]byte{0}).pack(), want: "FORMERR qr $Q | opt0"},
		{name: "an additional record that is not there", rfc: "1035 4.1.1", packet: aOnly().count(3, 1).pack(), want: "FORMERR qr $Q"},
		{name: "an additional record cut off", rfc: "1035 4.1.3", packet: aOnly().count(3, 1).raw(unhex("00 0001 0001 00000000 0005 00")).pack(), want: "FORMERR qr $Q"},
		{name: "another additional record", rfc: "8945 5.2", packet: aOnly().count(3, 1).raw(unhex("C00C 0001 0001 00000000 0004 C0000201")).pack(), want: "NOERROR qr aa $A"},

		// classes
		{name: "class CH", rfc: "4892 2.1", packet: (&packetOf{}).question("www.example.net", dns.TypeA, dns.ClassCHAOS).edns().pack(), want: "REFUSED qr | www.example.net. CH A | opt0 ede:0015"},
		{name: "class ANY", rfc: "1035 3.2.5", packet: (&packetOf{}).question("www.example.net", dns.TypeA, dns.ClassANY).edns().pack(), want: "REFUSED qr | www.example.net. CLASS255 A | opt0 ede:0015"},
		{name: "class 0", rfc: "6895 3.2", packet: (&packetOf{}).question("www.example.net", dns.TypeA, 0).pack(), want: "REFUSED qr | www.example.net. CLASS0 A"},
		{name: "id.server", rfc: "4892 2.2", packet: (&packetOf{}).question("ID.server", dns.TypeTXT, dns.ClassCHAOS).pack(), want: `NOERROR qr aa | ID.server. CH TXT | an: ID.server. 0 TXT "iad-1"`},
		{name: "hostname.bind", rfc: "4892 2", packet: (&packetOf{}).question("hostname.bind", dns.TypeTXT, dns.ClassCHAOS).pack(), want: `NOERROR qr aa | hostname.bind. CH TXT | an: hostname.bind. 0 TXT "iad-1"`},
		{name: "version.bind", rfc: "4892 2", packet: (&packetOf{}).question("version.bind", dns.TypeTXT, dns.ClassCHAOS).pack(), want: `NOERROR qr aa | version.bind. CH TXT | an: version.bind. 0 TXT "catchment 1.0"`},
		{name: "id.server A", rfc: "4892 2.2", packet: (&packetOf{}).question("id.server", dns.TypeA, dns.ClassCHAOS).pack(), want: "NOERROR qr | id.server. CH A"},
		{name: "authors.bind", rfc: "4892 2", packet: (&packetOf{}).question("authors.bind", dns.TypeTXT, dns.ClassCHAOS).pack(), want: "REFUSED qr | authors.bind. CH TXT"},

		// EDNS
		{name: "edns0", rfc: "6891 6.1", packet: aOnly().edns().pack(), want: "NOERROR qr aa $A | opt0"},
		{name: "do", rfc: "3225 3", packet: aOnly().signed().pack(), want: "NOERROR qr aa $A | opt0 do"},
		{name: "unknown flags", rfc: "6891 6.1.4", packet: aOnly().opt(1232, 0, 0x7FFF).pack(), want: "NOERROR qr aa $A | opt0"},
		{name: "do among unknown flags", rfc: "6891 6.1.4", packet: aOnly().opt(1232, 0, 0xFFFF).pack(), want: "NOERROR qr aa $A | opt0 do"},
		{name: "an extended RCODE", rfc: "6891 6.1.3", packet: aOnly().opt(1232, 0xFF00, 0).pack(), want: "NOERROR qr aa $A | opt0"},
		{name: "edns1", rfc: "6891 6.1.3", packet: aOnly().opt(1232, 1, 0).pack(), want: "BADVERS qr $Q | opt0"},
		{name: "edns255 with do", rfc: "6891 6.1.3", packet: aOnly().opt(1232, 255, 0x8000).pack(), want: "BADVERS qr $Q | opt0 do"},
		{name: "edns1 with an option", rfc: "6891 6.1.3", packet: aOnly().opt(1232, 1, 0, option(100, ""), option(optNSID, "")).pack(), want: "BADVERS qr $Q | opt0"},
		{name: "edns1 with what this version calls malformed", rfc: "6891 6.1.3", packet: aOnly().opt(1232, 1, 0, option(optECS, "00")).pack(), want: "BADVERS qr $Q | opt0"},
		{name: "edns1 of what is not ours", rfc: "6891 6.1.3", packet: ask("www.example.org", dns.TypeA).opt(1232, 1, 0).pack(), want: "BADVERS qr | www.example.org. IN A | opt0"},
		{name: "unknown options", rfc: "6891 6.1.2", packet: aOnly().edns(option(100, ""), option(65001, "0102")).pack(), want: "NOERROR qr aa $A | opt0"},
		{
			name: "option list", rfc: "8906 8.2.7", packet: aOnly().edns(option(optNSID, ""), option(9, ""), option(optCookie, "0102030405060708")[:0], ecs("192.0.2.0/24"), option(100, "00")).pack(),
			want: "NOERROR qr aa $A | opt0 nsid:" + "6961642d31" + " ecs:00011800c00002",
		},
		{name: "nsid", rfc: "5001 2", packet: aOnly().edns(option(optNSID, "")).pack(), want: "NOERROR qr aa $A | opt0 nsid:6961642d31"},
		{name: "keepalive", rfc: "7828 3.2", packet: aOnly().edns(option(optKeepalive, "")).pack(), want: "NOERROR qr aa $A | opt0", tcp: "NOERROR qr aa $A | opt0 keepalive:00c8"},
		{name: "keepalive with a time", rfc: "7828 3.3.1", packet: aOnly().edns(option(optKeepalive, "0064")).pack(), want: "NOERROR qr aa $A | opt0", tcp: "NOERROR qr aa $A | opt0 keepalive:00c8"},
		{name: "padding in the clear", rfc: "7830 6", packet: aOnly().edns(option(optPadding, "000000")).pack(), want: "NOERROR qr aa $A | opt0"},
		{name: "no OPT, no option", rfc: "6891 7", packet: ask("www.example.org", dns.TypeA).pack(), want: "REFUSED qr | www.example.org. IN A"},
		{name: "two OPT records", rfc: "6891 6.1.1", packet: aOnly().edns().edns().pack(), want: "FORMERR qr $Q | opt0"},
		{name: "OPT with a name", rfc: "6891 6.1.2", packet: aOnly().count(3, 1).raw(unhex("0161 00 0029 04D0 00000000 0000")).pack(), want: "FORMERR qr $Q"},
		{name: "OPT before another record", rfc: "6891 6.1.1", packet: aOnly().edns().count(3, 2).raw(unhex("00 0001 0001 00000000 0004 C0000201")).pack(), want: "NOERROR qr aa $A | opt0"},
		{name: "OPT longer than the packet", rfc: "6891 6.1.2", packet: aOnly().count(3, 1).raw(unhex("00 0029 04D0 00000000 0005 00")).pack(), want: "FORMERR qr $Q"},
		{name: "an option longer than OPT", rfc: "6891 6.1.2", packet: aOnly().edns(unhex("0064 0005 00000000")).pack(), want: "FORMERR qr $Q | opt0"},
		{name: "an option without its length", rfc: "6891 6.1.2", packet: aOnly().edns(unhex("0064 00")).pack(), want: "FORMERR qr $Q | opt0"},
		{name: "a question for type OPT", rfc: "6891 6.1.1", packet: ask("a-only.example.net", typeOPT).pack(), want: "FORMERR qr | a-only.example.net. IN OPT"},
		{name: "OPT in the answer section", rfc: "6891 6.1.1", packet: aOnly().count(1, 1).raw(unhex("00 0029 04D0 00000000 0000")).pack(), want: "FORMERR qr $Q"},

		// sizes
		{name: "more than 512 bytes", rfc: "1035 4.2.1", packet: ask("medium.example.net", dns.TypeTXT).pack(), want: mediumCut, tcp: mediumWhole},
		{name: "512 bytes is the least", rfc: "6891 6.2.3", packet: ask("medium.example.net", dns.TypeTXT).opt(0, 0, 0).pack(), want: mediumCut + " | opt0", tcp: mediumWhole + " | opt0"},
		{name: "1 byte is 512", rfc: "6891 6.2.3", packet: ask("medium.example.net", dns.TypeTXT).opt(1, 0, 0x8000).pack(), want: mediumCut + " | opt0 do", tcp: mediumWhole + " | opt0 do"},
		{name: "1 byte, and it fits", rfc: "6891 6.2.3", packet: aOnly().opt(1, 0, 0).pack(), want: "NOERROR qr aa $A | opt0"},
		{name: "fits what the client takes", rfc: "6891 6.2.3", packet: ask("medium.example.net", dns.TypeTXT).opt(4096, 0, 0).pack(), want: mediumWhole + " | opt0"},
		{
			name: "options survive truncation", rfc: "6891 7", packet: ask("medium.example.net", dns.TypeTXT).opt(512, 0, 0, ecs("192.0.2.0/24"), option(optNSID, "")).pack(),
			want: mediumCut + " | opt0 nsid:6961642d31 ecs:00011800c00002", tcp: mediumWhole + " | opt0 nsid:6961642d31 ecs:00011800c00002",
		},
	} {
		t.Run(c.name, func(t *testing.T) { c.check(t, s) })
	}

	t.Run("1232 bytes is the most", func(t *testing.T) {
		packet := ask("large.example.net", dns.TypeTXT).opt(65535, 0, 0).pack()
		if got := describe(t, askUDP(t, s, packet)); got != "NOERROR qr aa tc | large.example.net. IN TXT | opt0" {
			t.Errorf("over UDP: %s", got)
		}
		if got := askTCP(t, s, packet); len(got) < 2000 || got[2]&flagTC != 0 {
			t.Errorf("over TCP: %d bytes, flags %x", len(got), got[2])
		}
	})
}

// TestClientSubnet holds the server to every MUST that RFC 7871 has for an
// authoritative one.
func TestClientSubnet(t *testing.T) {
	const (
		www       = "| www.example.net. IN A"
		bothA     = www + " | an: www.example.net. 60 A 192.0.2.10, www.example.net. 60 A 192.0.2.11"
		only4A    = www + " | an: www.example.net. 60 A 192.0.2.20"
		soa       = "ns: example.net. 300 SOA 2026010101"
		short     = "ns: example.net. 60 SOA 2026010101" // as short as the name's answers: another state may have an address
		formerr   = "FORMERR qr " + www + " | opt0"
		aaaa      = "| www.example.net. IN AAAA"
		sectionSc = "7871 7.2.1"
	)
	tailored := func(data string) []byte { return ask("www.example.net", dns.TypeA).edns(option(optECS, data)).pack() }
	s := start(t)
	for _, c := range []conformanceCase{
		// what is echoed, and how wide the answer holds
		{name: "IPv4", rfc: sectionSc, packet: tailored("0001 18 00 C00002"), want: "NOERROR qr aa " + bothA + " | opt0 ecs:00011806c00002"},
		{name: "IPv4, another answer", rfc: sectionSc, packet: tailored("0001 19 00 C6336400"), want: "NOERROR qr aa " + only4A + " | opt0 ecs:00011919c6336400"},
		{name: "a scope longer than the source", rfc: sectionSc, packet: tailored("0001 08 00 CB"), want: "NOERROR qr aa " + bothA + " | opt0 ecs:00010812cb"},
		{name: "a whole address", rfc: sectionSc, packet: tailored("0001 20 00 C6336480"), want: "NOERROR qr aa " + bothA + " | opt0 ecs:00012019c6336480"},
		{name: "one bit", rfc: "7871 6", packet: tailored("0001 01 00 80"), want: "NOERROR qr aa " + bothA + " | opt0 ecs:0001010280"},
		{name: "IPv6", rfc: sectionSc, packet: tailored("0002 38 00 20010DB8000000"), want: "NOERROR qr aa " + only4A + " | opt0 ecs:0002382120010db8000000"},
		{name: "IPv6, a whole address", rfc: sectionSc, packet: tailored("0002 80 00 20010DB8000000000000000000000001"), want: "NOERROR qr aa " + only4A + " | opt0 ecs:0002802120010db8000000000000000000000001"},
		{name: "IPv4-mapped", rfc: sectionSc, packet: tailored("0002 78 00 00000000000000000000FFFFC63364"), want: "NOERROR qr aa " + only4A + " | opt0 ecs:0002787900000000000000000000ffffc63364"},
		{name: "no address of the family", rfc: "7871 7.4", packet: ask("www.example.net", dns.TypeAAAA).edns(ecs("198.51.100.0/25")).pack(), want: "NOERROR qr aa " + aaaa + " | " + short + " | opt0 ecs:00011919c6336400"},
		{name: "no address at all", rfc: "7871 7.4", packet: tailored("0001 1A 00 CB007140"), want: "NOERROR qr aa " + www + " | " + short + " | opt0 ecs:00011a1acb007140"},
		{name: "source 0: the resolver counts", rfc: "7871 7.1.2", packet: tailored("0001 00 00"), want: "NOERROR qr aa " + bothA + " | opt0 ecs:00010000"},
		{name: "source 0 of IPv6", rfc: "7871 7.1.2", packet: tailored("0002 00 00"), want: "NOERROR qr aa " + bothA + " | opt0 ecs:00020000"},
		{name: "none asked, none told", rfc: "7871 7.2.2", packet: ask("www.example.net", dns.TypeA).edns().pack(), want: "NOERROR qr aa " + bothA + " | opt0"},
		{name: "a name that is not tailored", rfc: sectionSc, packet: aOnly().edns(ecs("192.0.2.0/24")).pack(), want: "NOERROR qr aa $A | opt0 ecs:00011800c00002"},
		{name: "another type of a tailored name", rfc: sectionSc, packet: ask("www.example.net", dns.TypeTXT).edns(ecs("192.0.2.0/24")).pack(), want: `NOERROR qr aa | www.example.net. IN TXT | an: www.example.net. 3600 TXT "beside" | opt0 ecs:00011800c00002`},
		{name: "no such type", rfc: "7871 7.4", packet: ask("a-only.example.net", dns.TypeAAAA).edns(ecs("192.0.2.0/24")).pack(), want: "NOERROR qr aa | a-only.example.net. IN AAAA | " + soa + " | opt0 ecs:00011800c00002"},
		{name: "no such name", rfc: "7871 7.4", packet: ask("x.example.net", dns.TypeA).edns(ecs("192.0.2.0/24")).pack(), want: "NXDOMAIN qr aa | x.example.net. IN A | " + soa + " | opt0 ecs:00011800c00002"},
		{name: "a delegation", rfc: sectionSc, packet: ask("x.far.example.net", dns.TypeA).edns(ecs("192.0.2.0/24")).pack(), want: "NOERROR qr | x.far.example.net. IN A | ns: far.example.net. 3600 NS ns.example.org. | opt0 ecs:00011800c00002"},
		{name: "not ours", rfc: sectionSc, packet: ask("www.example.org", dns.TypeA).edns(ecs("192.0.2.0/24")).pack(), want: "REFUSED qr | www.example.org. IN A | opt0 ecs:00011800c00002 ede:0014"},
		{name: "a probe name", rfc: sectionSc, packet: ask("pop-iad-1.probe.example.net", dns.TypeA).edns(ecs("198.51.100.0/25")).pack(), want: "NOERROR qr aa | pop-iad-1.probe.example.net. IN A | an: pop-iad-1.probe.example.net. 5 A 192.0.2.20 | opt0 ecs:00011919c6336400"},

		// what is malformed
		{name: "family 0", rfc: "7871 7.1.2", packet: tailored("0000 00 00"), want: formerr},
		{name: "family 3", rfc: "7871 7.1.2", packet: tailored("0003 18 00 C00002"), want: formerr},
		{name: "33 bits of IPv4", rfc: "7871 7.1.2", packet: tailored("0001 21 00 C000020180"), want: formerr},
		{name: "129 bits of IPv6", rfc: "7871 7.1.2", packet: tailored("0002 81 00 20010DB800000000000000000000000180"), want: formerr},
		{name: "255 bits", rfc: "7871 7.1.2", packet: tailored("0002 FF 00" + strings.Repeat("20", 32)), want: formerr},
		{name: "a scope in the query", rfc: "7871 7.1.2", packet: tailored("0001 18 18 C00002"), want: formerr},
		{name: "bits beyond the prefix", rfc: "7871 6", packet: tailored("0001 17 00 C00003"), want: formerr},
		{name: "the last bit of a byte beyond the prefix", rfc: "7871 6", packet: tailored("0001 01 00 81"), want: formerr},
		{name: "too short an address", rfc: "7871 6", packet: tailored("0001 18 00 C000"), want: formerr},
		{name: "too long an address", rfc: "7871 6", packet: tailored("0001 18 00 C0000200"), want: formerr},
		{name: "an address with source 0", rfc: "7871 6", packet: tailored("0001 00 00 00"), want: formerr},
		{name: "no address", rfc: "7871 6", packet: tailored("0001 18 00"), want: formerr},
		{name: "three bytes", rfc: "7871 6", packet: tailored("0001 00"), want: formerr},
		{name: "nothing", rfc: "7871 6", packet: tailored(""), want: formerr},
		{name: "two options", rfc: "7871 7.1.2", packet: ask("www.example.net", dns.TypeA).edns(ecs("192.0.2.0/24"), ecs("192.0.2.0/24")).pack(), want: formerr + " ecs:00011800c00002"},
		{name: "malformed, of a name that is not tailored", rfc: "7871 7.1.2", packet: aOnly().edns(option(optECS, "0001")).pack(), want: "FORMERR qr $Q | opt0"},
	} {
		t.Run(c.name, func(t *testing.T) { c.check(t, s) })
	}
}
