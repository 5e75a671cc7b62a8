package authdns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// TestZoneSemantics asks for what a zone can hold. In want, $S stands for the
// SOA in negative answers, whose TTL is the lesser of its own and its MINIMUM
// (RFC 2308, section 5).
func TestZoneSemantics(t *testing.T) {
	s := newServer(t)
	const (
		a     = dns.TypeA
		aaaa  = dns.TypeAAAA
		txt   = dns.TypeTXT
		https = dns.TypeHTTPS
		glued = "ns: glued.example.net. 3600 NS ns.example.org., glued.example.net. 3600 NS ns.glued.example.net."
		glue  = "ar: ns.glued.example.net. 3600 A 192.0.2.54, ns.glued.example.net. 3600 AAAA 2001:db8::54"
		rfc   = " 3789 HINFO \"RFC8482\" \"\""
	)
	for _, c := range []struct {
		why   string
		qname string
		qtype uint16
		want  string
	}{
		{"the top", "example.net.", dns.TypeSOA, "NOERROR aa | an: example.net. 3600 SOA 2026010101"},
		{"the top", "example.net.", dns.TypeNS, "NOERROR aa | an: example.net. 3600 NS ns.example.org., example.net. 3600 NS ns1.example.net., example.net. 3600 NS ns2.example.net."},
		{"the top", "example.net.", dns.TypeMX, "NOERROR aa | an: example.net. 3600 MX 10 mail.example.net."},
		{"the top", "example.net.", dns.TypeCAA, `NOERROR aa | an: example.net. 3600 CAA 0 issue "ca.example.org"`},
		{"the top", "example.net.", https, `NOERROR aa | an: example.net. 3600 HTTPS 1 . alpn="h2,h3"`},
		{"the top", "example.net.", aaaa, "NOERROR aa | $S"},
		{"its parent is asked for DS (RFC 4035, section 3.1.4.1)", "example.net.", dns.TypeDS, "NOERROR aa | $S"},
		{"a set of records", "static.example.net.", a, "NOERROR aa | an: static.example.net. 3600 A 203.0.113.1, static.example.net. 3600 A 203.0.113.2"},
		{"a set of records", "static.example.net.", aaaa, "NOERROR aa | an: static.example.net. 3600 AAAA 2001:db8:1::1"},
		{"its own TTL", "ns2.example.net.", a, "NOERROR aa | an: ns2.example.net. 600 A 198.51.100.53"},
		{"SVCB", "svc.example.net.", dns.TypeSVCB, `NOERROR aa | an: svc.example.net. 3600 SVCB 1 static.example.net. port="8443"`},
		{"SRV", "_dns._udp.example.net.", dns.TypeSRV, "NOERROR aa | an: _dns._udp.example.net. 3600 SRV 0 0 53 ns1.example.net."},
		{"above SRV there is nothing, which is not missing", "_udp.example.net.", a, "NOERROR aa | $S"},

		{"CNAME, not followed", "alias.example.net.", a, "NOERROR aa | an: alias.example.net. 3600 CNAME static.example.net."},
		{"CNAME", "alias.example.net.", dns.TypeCNAME, "NOERROR aa | an: alias.example.net. 3600 CNAME static.example.net."},
		{"CNAME, whatever is asked", "alias.example.net.", dns.TypeMX, "NOERROR aa | an: alias.example.net. 3600 CNAME static.example.net."},
		{"CNAME, whatever is asked", "alias.example.net.", dns.TypeDS, "NOERROR aa | an: alias.example.net. 3600 CNAME static.example.net."},
		{"CNAME and ANY (RFC 8482)", "alias.example.net.", dns.TypeANY, "NOERROR aa | an: alias.example.net." + rfc},
		{"CNAME to elsewhere", "outside.example.net.", a, "NOERROR aa | an: outside.example.net. 3600 CNAME www.example.org."},
		{"CNAME to a CNAME", "chained.example.net.", a, "NOERROR aa | an: chained.example.net. 3600 CNAME alias.example.net."},

		{"wildcard", "x.wild.example.net.", a, "NOERROR aa | an: x.wild.example.net. 3600 A 203.0.113.4"},
		{"wildcard, two labels", "y.x.wild.example.net.", txt, `NOERROR aa | an: y.x.wild.example.net. 3600 TXT "star"`},
		{"wildcard, names in its data", "x.wild.example.net.", dns.TypeMX, "NOERROR aa | an: x.wild.example.net. 3600 MX 10 mail.example.net."},
		{"wildcard, no such type", "x.wild.example.net.", aaaa, "NOERROR aa | $S"},
		{"wildcard, ANY", "x.wild.example.net.", dns.TypeANY, "NOERROR aa | an: x.wild.example.net." + rfc},
		{"the wildcard itself", "*.wild.example.net.", a, "NOERROR aa | an: *.wild.example.net. 3600 A 203.0.113.4"},
		{"a wildcard does not stand for names beneath itself (RFC 4592, section 2.2.1)", "x.*.wild.example.net.", a, "NXDOMAIN aa | $S"},
		{"above a wildcard there is nothing, which is not missing", "wild.example.net.", a, "NOERROR aa | $S"},
		{"a name that is there hides the wildcard", "host.wild.example.net.", txt, "NOERROR aa | $S"},
		{"and hides it for those beneath (RFC 4592, section 3.3.1)", "x.host.wild.example.net.", a, "NXDOMAIN aa | $S"},
		{"a wildcard CNAME", "x.calias.example.net.", a, "NOERROR aa | an: x.calias.example.net. 3600 CNAME static.example.net."},
		{"a wildcard CNAME", "x.calias.example.net.", dns.TypeANY, "NOERROR aa | an: x.calias.example.net." + rfc},

		{"an empty non-terminal (RFC 8020)", "ent.example.net.", a, "NOERROR aa | $S"},
		{"an empty non-terminal", "b.ent.example.net.", dns.TypeANY, "NOERROR aa | $S"},
		{"beneath one", "x.b.ent.example.net.", a, "NXDOMAIN aa | $S"},
		{"the leaf", "a.b.ent.example.net.", txt, `NOERROR aa | an: a.b.ent.example.net. 3600 TXT "leaf"`},

		{"a delegation", "glued.example.net.", a, "NOERROR | " + glued + " | " + glue},
		{"beneath a delegation", "x.y.glued.example.net.", dns.TypeMX, "NOERROR | " + glued + " | " + glue},
		{"NS of a delegation is not ours", "glued.example.net.", dns.TypeNS, "NOERROR | " + glued + " | " + glue},
		{"glue is not ours", "ns.glued.example.net.", a, "NOERROR | " + glued + " | " + glue},
		{"ANY at a delegation", "glued.example.net.", dns.TypeANY, "NOERROR | " + glued + " | " + glue},
		{"DS at a delegation is ours", "glued.example.net.", dns.TypeDS, "NOERROR aa | $S"},
		{"DS beneath a delegation is not", "x.glued.example.net.", dns.TypeDS, "NOERROR | " + glued + " | " + glue},
		{"DS", "signed.example.net.", dns.TypeDS, "NOERROR aa | an: signed.example.net. 3600 DS 12345 13 2 000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"},
		{"a delegation to itself", "self.example.net.", a, "NOERROR | ns: self.example.net. 3600 NS self.example.net. | ar: self.example.net. 3600 A 192.0.2.55"},
		{"a delegation without glue", "www.far.example.net.", a, "NOERROR | ns: far.example.net. 3600 NS ns.example.org."},

		{"tailored", "www.example.net.", a, "NOERROR aa | an: www.example.net. 60 A 192.0.2.10, www.example.net. 60 A 192.0.2.11"},
		{"tailored", "www.example.net.", aaaa, "NOERROR aa | an: www.example.net. 60 AAAA 2001:db8:a::10"},
		{"beside what is tailored", "www.example.net.", txt, `NOERROR aa | an: www.example.net. 3600 TXT "beside"`},
		{"beside what is tailored", "www.example.net.", https, `NOERROR aa | an: www.example.net. 3600 HTTPS 1 . alpn="h2"`},
		{"no such type at a tailored name", "www.example.net.", dns.TypeMX, "NOERROR aa | $S"},
		{"ANY at a tailored name", "www.example.net.", dns.TypeANY, "NOERROR aa | an: www.example.net." + rfc},
		{"a tailored name that the zone file does not have", "bare.sub.example.net.", aaaa, "NOERROR aa | an: bare.sub.example.net. 30 AAAA 2001:db8:a::10"},
		{"the name above it", "sub.example.net.", a, "NOERROR aa | $S"},
		{"a name beneath a tailored one", "x.www.example.net.", a, "NXDOMAIN aa | $S"},

		{"a probe name", "global-0a1b2c.probe.example.net.", a, "NOERROR aa | an: global-0a1b2c.probe.example.net. 5 A 192.0.2.10, global-0a1b2c.probe.example.net. 5 A 192.0.2.11"},
		{"a probe name in capitals", "GLOBAL-0A.probe.example.net.", aaaa, "NOERROR aa | an: GLOBAL-0A.probe.example.net. 5 AAAA 2001:db8:a::10"},
		{"a probe name with hyphens", "pop-iad-0a.probe.example.net.", a, "NOERROR aa | an: pop-iad-0a.probe.example.net. 5 A 192.0.2.20"},
		{"no such family, for as long as the answers hold", "pop-iad-0a.probe.example.net.", aaaa, "NOERROR aa | ns: probe.example.net. 5 SOA 2026010101"},
		{"another type of a probe name", "global-0a.probe.example.net.", https, "NOERROR aa | $P"},
		{"ANY for a probe name", "global-0a.probe.example.net.", dns.TypeANY, "NOERROR aa | an: global-0a.probe.example.net." + rfc},
		{"no such target", "pop-fra-0a.probe.example.net.", a, "NXDOMAIN aa | $P"},
		{"no nonce", "global-.probe.example.net.", a, "NXDOMAIN aa | $P"},
		{"a hyphen too many", "global-0a-.probe.example.net.", a, "NXDOMAIN aa | $P"},
		{"no target", "-0a.probe.example.net.", a, "NXDOMAIN aa | $P"},
		{"no hyphen", "global.probe.example.net.", a, "NXDOMAIN aa | $P"},
		{"a name beneath a probe name", "x.global-0a.probe.example.net.", a, "NXDOMAIN aa | $P"},
		{"the probe zone", "probe.example.net.", dns.TypeSOA, "NOERROR aa | an: probe.example.net. 3600 SOA 2026010101"},
		{"the probe zone", "probe.example.net.", txt, `NOERROR aa | an: probe.example.net. 3600 TXT "probes"`},
		{"the probe zone's DS is in the zone above", "probe.example.net.", dns.TypeDS, "NOERROR aa | $S"},

		{"missing", "nope.example.net.", a, "NXDOMAIN aa | $S"},
		{"missing", "a.b.c.d.example.net.", dns.TypeNS, "NXDOMAIN aa | $S"},
		{"a name that ends as ours do", "xexample.net.", a, "REFUSED"},
		{"another zone", "example.org.", a, "REFUSED"},
	} {
		t.Run(fmt.Sprint(c.qname, dns.Type(c.qtype), c.why), func(t *testing.T) {
			reply, _ := answerOf(s, ask(c.qname, c.qtype).pack(), overTCP, localhost, testTime)
			got := describe(t, reply)
			got = strings.Replace(got, " qr", "", 1)
			got = strings.Replace(got, fmt.Sprintf(" | %s IN %s", c.qname, dns.Type(c.qtype)), "", 1)
			want := strings.NewReplacer("$S", "ns: example.net. 300 SOA 2026010101", "$P", "ns: probe.example.net. 300 SOA 2026010101").Replace(c.want)
			if sortedSections(got) != sortedSections(want) {
				t.Errorf("%s:\n got %s\nwant %s", c.why, got, want)
			}
		})
	}
}

// sortedSections makes the order of records within a section not matter.
func sortedSections(text string) string {
	sections := strings.Split(text, " | ")
	for i, s := range sections {
		if label, records, ok := strings.Cut(s, ": "); ok {
			all := strings.Split(records, ", ")
			slices.Sort(all)
			sections[i] = label + ": " + strings.Join(all, ", ")
		}
	}
	return strings.Join(sections, " | ")
}

// TestNegativeTTL: the lesser of the SOA's TTL and its MINIMUM counts.
func TestNegativeTTL(t *testing.T) {
	for _, c := range []struct{ ttl, minimum, want uint32 }{{3600, 300, 300}, {60, 300, 60}, {0, 300, 0}, {300, 0, 0}} {
		zone := parseZone(t, fmt.Sprintf("@ %d SOA ns hostmaster 1 7200 900 1209600 %d\n@ NS ns.example.org.\n", c.ttl, c.minimum))
		s := newServer(t, func(cfg *Config) { cfg.Zone, cfg.State, cfg.Probe = zone, State{}, "" })
		for _, qname := range []string{"x.example.net", "example.net", "x.whoami.example.net"} {
			reply, _ := answerOf(s, ask(qname, dns.TypeA).pack(), overUDP, localhost, testTime)
			var m dns.Msg
			if err := m.Unpack(reply); err != nil || len(m.Ns) != 1 || m.Ns[0].Header().Ttl != c.want {
				t.Errorf("SOA with TTL %d and MINIMUM %d, %s: %v, %v", c.ttl, c.minimum, qname, m.Ns, err)
			}
		}
		reply, _ := answerOf(s, ask("example.net", dns.TypeSOA).pack(), overUDP, localhost, testTime)
		if want := fmt.Sprintf("an: example.net. %d SOA 1", c.ttl); !strings.HasSuffix(describe(t, reply), want) {
			t.Errorf("asked for: %s, want %s", describe(t, reply), want)
		}
	}
}

// TestTTLOfSet: all records of a set get the least TTL (RFC 2181, section 5.2).
func TestTTLOfSet(t *testing.T) {
	zone := parseZone(t, smallZone+"x 600 A 192.0.2.1\nx 60 A 192.0.2.2\nx 6000 A 192.0.2.3\nx 7 A 192.0.2.1\n")
	s := newServer(t, func(cfg *Config) { cfg.Zone, cfg.State, cfg.Probe = zone, State{}, "" })
	reply, _ := answerOf(s, ask("x.example.net", dns.TypeA).pack(), overUDP, localhost, testTime)
	want := "NOERROR qr aa | x.example.net. IN A | an: x.example.net. 60 A 192.0.2.1, x.example.net. 60 A 192.0.2.2, x.example.net. 60 A 192.0.2.3"
	if got := describe(t, reply); got != want {
		t.Errorf(" got %s\nwant %s", got, want)
	}
}

// TestWhoAmI: it tells what is seen, to nobody else, and why.
func TestWhoAmI(t *testing.T) {
	s := newServer(t)
	for _, c := range []struct {
		packet *packetOf
		peer   string
		want   string
	}{
		{
			ask("whoami.example.net", dns.TypeTXT), "198.51.100.7",
			`an: $W "resolver: 198.51.100.7", $W "ecs: none", $W "server: iad-1", $W "www.example.net: only4 for \"198.51.100.7\"/25", $W "bare.sub.example.net: only4 for \"198.51.100.7\"/25"`,
		},
		{
			ask("whoami.example.net", dns.TypeTXT).edns(ecs("203.0.113.64/26")), "2001:db8::1",
			`an: $W "resolver: 2001:db8::1", $W "ecs: 203.0.113.64/26", $W "server: iad-1", $W "www.example.net: none for \"203.0.113.64\"/26", $W "bare.sub.example.net: only4 for \"203.0.113.64\"/26" | opt0 ecs:00011a1acb007140`,
		},
		{
			ask("whoami.example.net", dns.TypeTXT).edns(ecs("0.0.0.0/0")), "192.0.2.7",
			`an: $W "resolver: 192.0.2.7", $W "ecs: 0.0.0.0/0", $W "server: iad-1", $W "www.example.net: both for \"192.0.2.7\"/6", $W "bare.sub.example.net: both for \"192.0.2.7\"/6" | opt0 ecs:00010000`,
		},
		{ask("whoami.example.net", dns.TypeA), "192.0.2.7", `ns: whoami.example.net. 300 SOA 2026010101`},
		{ask("whoami.example.net", dns.TypeDS), "192.0.2.7", `ns: example.net. 300 SOA 2026010101`},
	} {
		reply, _ := answerOf(s, c.packet.pack(), overTCP, netip.MustParseAddr(c.peer), testTime)
		_, got, _ := strings.Cut(describe(t, reply), "| whoami.example.net. IN ")
		_, got, _ = strings.Cut(got, " | ")
		if diff := cmp.Diff(strings.ReplaceAll(c.want, "$W", "whoami.example.net. 0 TXT"), got); diff != "" {
			t.Error(diff)
		}
	}
}

// TestZoneErrors: what is wrong is named, all of it at once.
func TestZoneErrors(t *testing.T) {
	for _, c := range []struct{ name, zone, want string }{
		{"syntax", smallZone + "x A 192.0.2\n", `authdns: zone: dns: bad A A: "192.0.2" at line: 4:11`},
		{"include", smallZone + "$INCLUDE /etc/passwd\n", "authdns: zone: dns: $INCLUDE directive not allowed: \"/etc/passwd\" at line: 4:20"},
		{"no SOA, no NS", "x 60 A 192.0.2.1\n", "authdns: zone: 0 SOA records (want 1)\nno NS records at the top of the zone"},
		{"two SOA", smallZone + "@ 3600 SOA ns hostmaster 2 7200 900 1209600 300\n", "authdns: zone: 2 SOA records (want 1)"},
		{"SOA elsewhere", smallZone + "x 3600 SOA ns hostmaster 2 7200 900 1209600 300\n", "authdns: zone: x.example.net. SOA: not at the top of the zone\n2 SOA records (want 1)"},
		{
			"all at once", smallZone + "x 60 CH TXT \"a\"\nx.example.org. 60 A 192.0.2.1\nd 60 DNAME x\n* 60 NS ns.example.org.\n",
			"authdns: zone: x.example.net. TXT: class CH (want IN)\nx.example.org. A: not in the zone example.net.\nd.example.net. DNAME: is not supported\n*.example.net. NS: a wildcard cannot be delegated",
		},
		{"made by the server", smallZone + "@ 60 NSEC x.example.net. A\n", "authdns: zone: example.net. NSEC: is made by the server: leave it out"},
		{"reserved label", smallZone + `\000 60 A 192.0.2.1` + "\n", `authdns: zone: \000.example.net. A: a label is \000 (reserved for templates of answers)`},
		{"TTL", smallZone + "x 2147483648 A 192.0.2.1\n", "authdns: zone: x.example.net. A: TTL 2147483648 (want at most 2147483647, RFC 2181, section 8)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ParseZone(strings.NewReader(c.zone), "example.net", "zone"); err == nil || err.Error() != c.want {
				t.Errorf(" got %v\nwant %s", err, c.want)
			}
		})
	}
	if _, err := ParseZone(strings.NewReader(smallZone), "a..b", "zone"); err == nil {
		t.Error("an origin that is no name was taken")
	}
	if z := parseZone(t, smallZone); z.Origin() != "example.net" {
		t.Errorf("origin %q", z.Origin())
	}
}

// TestContentErrors: what does not suit the zone is refused, by name.
func TestContentErrors(t *testing.T) {
	one := []Answer{{"one", addrs("192.0.2.1"), nil}}
	names := func(names ...Tailored) State { return State{Steering: &table{names: names}} }
	tailoredAt := func(text string) State { return names(Tailored{text, 0, one}) }
	for _, c := range []struct {
		name, zone, probe string
		state             State
		want              string
	}{
		{"CNAME and more", "x CNAME y\nx A 192.0.2.1", "", State{}, "x.example.net. has a CNAME and other records (RFC 1034, section 3.6.2)"},
		{"two CNAMEs", "x CNAME y\nx CNAME z", "", State{}, "x.example.net. has a CNAME and other records (RFC 1034, section 3.6.2)"},
		{"CNAME at the top", "@ CNAME y", "", State{}, "example.net. has a CNAME and other records (RFC 1034, section 3.6.2)"},
		{"DS without a delegation", "x DS 1 13 2 " + strings.Repeat("00", 32), "", State{}, "x.example.net. DS: not at a delegation"},
		{"DS at the top", "@ DS 1 13 2 " + strings.Repeat("00", 32), "", State{}, "example.net. DS: not at a delegation"},
		{"more than a delegation", "x NS ns.example.org.\nx TXT a", "", State{}, "x.example.net. is delegated, and has other records"},
		{"more than glue", "x NS ns.example.org.\ny.x TXT a", "", State{}, "y.x.example.net. is delegated by x.example.net., and has more than addresses"},
		{"a name server without an address", "@ NS ns9", "", State{}, "example.net. NS: ns9.example.net. is in the zone and has no address"},
		{"a name server without glue", "x NS ns.x", "", State{}, "x.example.net. NS: ns.x.example.net. is in the zone and has no address"},
		{"a mail exchanger without an address", "@ MX 1 mx", "", State{}, "example.net. MX: mx.example.net. is in the zone and has no address"},
		{"whoami is taken", "whoami A 192.0.2.1", "", State{}, "whoami.example.net. is taken: it tells clients who they are"},

		{"probe zone elsewhere", "", "probe.example.org", State{}, "probe zone probe.example.org. is not under example.net."},
		{"probe zone with DS", "probe DS 1 13 2 " + strings.Repeat("00", 32), "probe.example.net", State{}, "probe.example.net. DS: it is not signed\nprobe.example.net. DS: not at a delegation"},
		{"probe zone is whoami", "", "whoami.example.net", State{}, "whoami.example.net. is taken: it tells clients who they are"},
		{"probe name elsewhere", "", "probe.example.net", tailoredAt("a-*.example.net"), "probe name a-*.example.net is not in the probe zone"},
		{"probe name without a label", "", "probe.example.net", tailoredAt("-*.probe.example.net"), "probe name -*.probe.example.net is there twice, or has no label"},
		{"probe name twice", "", "probe.example.net", names(Tailored{"a-*.probe.example.net", 0, one}, Tailored{"A-*.probe.example.net", 0, one}), "probe name A-*.probe.example.net is there twice, or has no label"},

		{"tailored elsewhere", "", "", tailoredAt("www.example.org"), "tailored name www.example.org is not in the zone example.net."},
		{"tailored twice", "", "", names(Tailored{"www.example.net", 0, one}, Tailored{"WWW.example.net", 0, one}), "tailored name WWW.example.net is there twice"},
		{"tailored in the probe zone", "", "probe.example.net", tailoredAt("www.probe.example.net"), "tailored name www.probe.example.net is in the child zone probe.example.net."},
		{"tailored in whoami", "", "", tailoredAt("whoami.example.net"), "tailored name whoami.example.net is in the child zone whoami.example.net."},
		{"a tailored wildcard", "", "", tailoredAt("*.example.net"), "tailored name *.example.net is a wildcard"},
		{"no name", "", "", tailoredAt("a..example.net"), `tailored name: "a..example.net" is not a domain name: dns: bad rdata`},
		{"no answers", "", "", names(Tailored{"www.example.net", 0, nil}), "tailored name www.example.net has no answers"},
		{"half a second", "", "", names(Tailored{"www.example.net", 5e8, one}), "tailored name www.example.net: TTL 500ms (want whole seconds)"},
		{
			"a wrong family", "", "", names(Tailored{"www.example.net", 0, []Answer{{"x", addrs("2001:db8::1"), addrs("192.0.2.1")}}}),
			"tailored name www.example.net has an address of the wrong family: www.example.net.\t0\tIN\tAAAA\t2001:db8::1\ntailored name www.example.net has an address of the wrong family: www.example.net.\t0\tIN\tA\t192.0.2.1",
		},
		{"tailored beside addresses", "www A 192.0.2.1", "", tailoredAt("www.example.net"), "www.example.net. is tailored, and has addresses or a CNAME in the zone file"},
		{"tailored beside a CNAME", "www CNAME x", "", tailoredAt("www.example.net"), "www.example.net. is tailored, and has addresses or a CNAME in the zone file"},
		{"tailored at a delegation", "www NS ns.example.org.", "", tailoredAt("www.example.net"), "www.example.net. is tailored, and delegated by www.example.net."},
		{"tailored beneath a delegation", "x NS ns.example.org.", "", tailoredAt("www.x.example.net"), "www.x.example.net. is tailored, and delegated by x.example.net."},
		{"hints past the steering", "www HTTPS 1 . ipv4hint=192.0.2.1", "", tailoredAt("www.example.net"), "www.example.net. is tailored: leave the address hints out of its HTTPS record"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := exampleConfig(t)
			cfg.Zone, cfg.Probe, cfg.State = parseZone(t, smallZone+c.zone+"\n"), c.probe, c.state
			_, err := newServerOf(cfg)
			if err == nil || strings.TrimPrefix(err.Error(), "authdns: ") != c.want {
				t.Errorf(" got %v\nwant %s", err, c.want)
			}
		})
	}
}
