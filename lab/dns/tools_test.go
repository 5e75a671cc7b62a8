package dns_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestTools has the standard clients look at a server: what they print must
// match, and must not match what begins with "!".
func TestTools(t *testing.T) {
	s := newSite(t)
	keys, keyFile := s.keys()
	anchor := s.delvAnchor(keyFile)
	cert, certKey := s.certificate("ns1.edge.example", server4)
	s.serve("--zone", "testdata/edge.example.zone", "--fleet", "testdata/fleet.yaml", "--places", "testdata/places.csv",
		"--key-dir", keys, "--allow-transfer", "192.0.2.63/32",
		"--listen-tls", server4+":853", "--tls-cert", cert, "--tls-key", certKey)
	s.startUnbound("subnetcache validator iterator", keyFile)

	dig := []string{"dig", "@" + server4, "+tries=1"}
	kdig := []string{"kdig", "@" + server4, "+retry=0"}
	dot := append(kdig, "+tls-ca="+cert, "+tls-hostname=ns1.edge.example")
	delv := []string{"delv", "@" + server4, "-a", anchor, "+root=" + zoneName}
	cached := []string{"dig", "@" + resolver, "+tries=1", "+dnssec"}

	const noerror, aa = `status: NOERROR`, `flags: qr aa rd;`
	for _, c := range []struct {
		tool  []string
		args  string
		wants []string
	}{
		// Steering.
		{dig, "www.edge.example A +subnet=203.0.113.200/32", []string{noerror, aa, `\s30\s+IN\s+A\s+192\.0\.2\.30\n`, `CLIENT-SUBNET: 203\.0\.113\.200/32/25\n`, `ANSWER: 1,`}},
		{dig, "www.edge.example AAAA +subnet=203.0.113.5/32", []string{noerror, `AAAA\s+2001:db8:20::1\n`, `CLIENT-SUBNET: 203\.0\.113\.5/32/25\n`}},
		{dig, "www.edge.example A +subnet=203.0.113.0/24", []string{`A\s+192\.0\.2\.20\n`, `CLIENT-SUBNET: 203\.0\.113\.0/24/25\n`}},
		{dig, "www.edge.example AAAA +subnet=2001:db8:1:100::/56", []string{`AAAA\s+2001:db8:30::1\n`, `CLIENT-SUBNET: 2001:db8:1:100::/56/4[0-8]\n`}},
		{dig, "www.edge.example A +subnet=0/0", []string{noerror, `CLIENT-SUBNET: 0\.0\.0\.0/0/0\n`}},
		{dig, "www.edge.example A", []string{noerror, `!CLIENT-SUBNET`}},
		{dig, "www.edge.example A -b 203.0.113.200", []string{`A\s+192\.0\.2\.30\n`}},
		{dig, "any.edge.example A +subnet=203.0.113.5/32", []string{`\s60\s+IN\s+A\s+198\.51\.100\.1\n`, `/32/0\n`}},
		{dig, "mail.edge.example A +subnet=203.0.113.5/32", []string{`A\s+192\.0\.2\.25\n`, `/32/0\n`}},
		{dig, "www.edge.example HTTPS +subnet=203.0.113.5/32", []string{`HTTPS\s+1 \. alpn="h2"\n`, `/32/0\n`}},
		{dig, "any.edge.example HTTPS", []string{noerror, `ANSWER: 0, AUTHORITY: 1,`, `SOA\s+ns1`}},
		{dig, "pop-fra-n0nce.probe.edge.example A", []string{noerror, `A\s+192\.0\.2\.30\n`}},
		{dig, "unicast-n0nce.probe.edge.example AAAA +subnet=203.0.113.5/32", []string{noerror, `AAAA\s+2001:db8:20::1\n`, `/32/25\n`}},
		{dig, "whoami.edge.example TXT +subnet=203.0.113.200/32", []string{`"ecs: 203\.0\.113\.200/32"`, `"server: ns1"`, `www\.edge\.example: .* fra `, `/32/32\n`}},

		// What a zone has.
		{dig, "alias.edge.example A", []string{noerror, `CNAME\s+www\.edge\.example\.\n`, `ANSWER: 1,`}},
		{dig, "any.thing.wild.edge.example TXT", []string{noerror, `any\.thing\.wild\.edge\.example\.\s.*"any name"`}},
		{dig, "er.edge.example A", []string{noerror, `ANSWER: 0, AUTHORITY: 1,`}},
		{dig, "nx.edge.example A +subnet=203.0.113.5/32", []string{`status: NXDOMAIN`, aa, `SOA\s+ns1`, `/32/0\n`}},
		{dig, "x.sub.edge.example A", []string{noerror, `flags: qr rd;`, `NS\s+ns\.sub`, `ns\.sub\.edge\.example\.\s.*192\.0\.2\.77`}},
		{dig, "edge.example MX", []string{`MX\s+10 mail\.edge\.example\.`}},
		{dig, "www.edge.example ANY", []string{noerror, `HINFO\s+"RFC8482"`}},
		{dig, "elsewhere.example A", []string{`status: REFUSED`, `flags: qr rd;`, `EDE: 20 \(Not Authoritative\)`}},

		// EDNS and the header.
		{dig, "www.edge.example A +nsid", []string{`NSID: .*\("ns1"\)`}},
		{dig, "www.edge.example A +cookie", []string{`COOKIE: [0-9a-f]{48} \(good\)`}},
		{dig, "www.edge.example A +dnssec", []string{`flags: do; udp: 1232`, `RRSIG\s+A 13 3 30 `}},
		{dig, "www.edge.example A +noedns", []string{noerror, `!OPT PSEUDOSECTION`}},
		{dig, "www.edge.example A +edns=1 +noednsnegotiation", []string{`status: BADVERS`, `version: 0`, `ANSWER: 0,`}},
		{dig, "www.edge.example A +edns=1", []string{`BADVERS, retrying with EDNS version 0`, noerror, `ANSWER: 1,`}},
		{dig, "www.edge.example A +ednsopt=65001:c0ffee", []string{noerror, `ANSWER: 1,`, `!OPT=65001`}},
		{dig, "www.edge.example A +ednsflags=0x4001", []string{noerror, `ANSWER: 1,`, `!MBZ`}},
		{dig, "WwW.eDgE.eXaMpLe A", []string{`;WwW\.eDgE\.eXaMpLe\.`, `\nWwW\.eDgE\.eXaMpLe\.\s`}},
		{dig, "www.edge.example A +opcode=status", []string{`opcode: STATUS, status: NOTIMP`, `flags: qr;`}},
		{dig, "+header-only +nocookie", []string{`status: FORMERR`}},
		{dig, "+header-only +cookie", []string{noerror, `QUERY: 0,`, `\(good\)`}},
		{dig, "www.edge.example A +adflag +cdflag +zflag +aaflag +raflag +tcflag", []string{noerror, `ANSWER: 1,`, `!flags: [a-z ]*(tc|ra|ad)`}},
		{dig, "edge.example IXFR=1 +notcp", []string{`\(UDP\)`, `rcvd: [0-9]{2}\n`, `!\sSOA\s`}},
		{dig, "id.server TXT CH", []string{noerror, `TXT\s+"ns1"`}},
		{dig, "version.bind TXT CH", []string{`TXT\s+"Catchment"`}},
		{dig, "authors.bind TXT CH", []string{`status: REFUSED`}},

		// Transports.
		{dig, "big.edge.example TXT +bufsize=512 +ignore", []string{`flags: qr aa tc rd;`, `ANSWER: 0,`}},
		{dig, "big.edge.example TXT +bufsize=512", []string{`Truncated, retrying in TCP mode`, `ANSWER: 3,`, `\(TCP\)`}},
		{dig, "big.edge.example TXT", []string{`ANSWER: 3,`, `\(UDP\)`}},
		{dig, "www.edge.example A +tcp +keepalive", []string{noerror, `TCP[- ]KEEPALIVE: 20\.0`}},
		{dig, "+tcp +keepopen www.edge.example A big.edge.example TXT nx.edge.example A", []string{`ANSWER: 1,`, `ANSWER: 3,`, `NXDOMAIN`}},
		{[]string{"dig", "@" + server6, "+tries=1"}, "www.edge.example A", []string{noerror, `2001:db8:53::53`}},
		{[]string{"dig", "@" + server6, "+tries=1", "+tcp"}, "www.edge.example AAAA +subnet=2001:db8:2::/48", []string{`AAAA\s+2001:db8:20::1\n`}},
		{kdig, "www.edge.example A +cookie +subnet=203.0.113.200/32", []string{noerror, `CLIENT-SUBNET: 203\.0\.113\.200/32/25`, `COOKIE: [0-9A-F]{16}\s?[0-9A-F]{32}`}},
		{kdig, "edge.example DNSKEY +tcp +multiline", []string{noerror, `ECDSAP256SHA256`}},
		{dot, "www.edge.example A +padding=128 +subnet=203.0.113.200/32", []string{`TLS session \(TLS1\.3\)`, noerror, `192\.0\.2\.30`, `PADDING: [0-9]+ B`, `Received 468 B`}},
		{dot, "www.edge.example A big.edge.example TXT +keepopen", []string{`192\.0\.2\.`, `222222`}},

		// Validation: what is signed, what does not exist, what is steered, and
		// what is not signed and may not be.
		{delv, "edge.example SOA", []string{`; fully validated`}},
		{delv, "edge.example DNSKEY", []string{`; fully validated`}},
		{delv, "edge.example CDS", []string{`; fully validated`, `CDS\s`}},
		{delv, "www.edge.example A", []string{`; fully validated`, `A\s+192\.0\.2\.`}},
		{delv, "www.edge.example AAAA", []string{`; fully validated`, `AAAA\s+2001:db8:`}},
		{delv, "www.edge.example HTTPS", []string{`; fully validated`}},
		{delv, "chain.edge.example A", []string{`; fully validated`, `CNAME\s+alias`, `CNAME\s+www`, `A\s+192\.0\.2\.`}},
		{delv, "x.wild.edge.example TXT", []string{`; fully validated`, `any name`}},
		{delv, "x.wild.edge.example A", []string{`negative response, fully validated`}},
		{delv, "any.edge.example TXT", []string{`negative response, fully validated`, `NXRRSET`}},
		{delv, "er.edge.example A", []string{`negative response, fully validated`, `NXRRSET`}},
		{delv, "nx.edge.example A", []string{`negative response, fully validated`, `NXDOMAIN`}},
		{delv, "sub.edge.example DS", []string{`negative response, fully validated`}},
		{delv, "unicast-n0nce.probe.edge.example A", []string{`; unsigned answer`, `A\s+192\.0\.2\.`}},

		// The same behind a validating cache, with the clients told.
		{cached, "www.edge.example A +subnet=198.51.100.200/32", []string{noerror, `flags: qr rd ra ad;`, `A\s+192\.0\.2\.10\n`, `RRSIG\s+A `}},
		{cached, "www.edge.example A +subnet=203.0.113.5/32", []string{`flags: qr rd ra ad;`, `A\s+192\.0\.2\.20\n`}},
		{cached, "www.edge.example AAAA +subnet=2001:db8:1::/48", []string{`flags: qr rd ra ad;`, `AAAA\s+2001:db8:30::1\n`}},
		{cached, "chain.edge.example AAAA +subnet=2001:db8:2::/48", []string{`flags: qr rd ra ad;`, `CNAME\s+alias`, `AAAA\s+2001:db8:20::1\n`}},
		{cached, "x.wild.edge.example TXT", []string{`flags: qr rd ra ad;`, `any name`}},
		{cached, "any.edge.example TXT", []string{noerror, `flags: qr rd ra ad;`, `ANSWER: 0,`, `NSEC`}},
		{cached, "nx.edge.example A", []string{`status: NXDOMAIN`, `flags: qr rd ra ad;`}},
		{cached, "unicast-n0nce.probe.edge.example A +subnet=198.51.100.200/32", []string{noerror, `flags: qr rd ra;`, `A\s+192\.0\.2\.10\n`}},
		{cached, "whoami.edge.example TXT +subnet=203.0.113.200/32", []string{noerror, `flags: qr rd ra;`, `resolver: 192\.0\.2\.54`, `ecs: 203\.0\.113\.0/24`}},
	} {
		args := append(c.tool[1:len(c.tool):len(c.tool)], strings.Fields(c.args)...)
		t.Run(c.tool[0]+" "+c.args, func(t *testing.T) {
			out, err := s.in(t).try(c.tool[0], args...)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, want := range c.wants {
				pattern, not := strings.CutPrefix(want, "!")
				if regexp.MustCompile(pattern).MatchString(out) == not {
					t.Errorf("want %s:\n%s", want, out)
				}
			}
		})
	}

	t.Run("zone", func(t *testing.T) {
		s := s.in(t)
		s.tool("named-checkzone", "-i", "local", zoneName, "testdata/edge.example.zone")
		moved := s.write("moved", []byte(s.tool("dig", "@"+server4, "-b", "192.0.2.63", zoneName, "AXFR", "+onesoa")))
		s.tool("named-checkzone", "-i", "local", zoneName, moved)
		whole := func(file string) string { // as canonical text
			return s.tool("named-checkzone", "-q", "-i", "local", "-D", "-s", "full", "-o", "-", zoneName, file)
		}
		if a, b := whole("testdata/edge.example.zone"), whole(moved); a != b || len(a) < 1000 {
			t.Errorf("the zone file:\n%s\ntransferred:\n%s", a, b)
		}
		if out := s.tool("dig", "@"+server4, zoneName, "AXFR"); !strings.Contains(out, "Transfer failed") {
			t.Errorf("transferred to anyone:\n%s", out)
		}
	})
	t.Run("ALPN", func(t *testing.T) {
		pem, err := os.ReadFile(cert)
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		raw, err := s.Dial(&net.Dialer{Timeout: time.Second}, "tcp", server4+":853")
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		c := tls.Client(raw, &tls.Config{RootCAs: roots, ServerName: "ns1.edge.example", NextProtos: []string{"dot"}})
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		if got := c.ConnectionState().NegotiatedProtocol; got != "dot" {
			t.Errorf("ALPN gave %q", got)
		}
	})
}

// TestBogus is what validation is worth: with another zone's key nothing is
// believed.
func TestBogus(t *testing.T) {
	s := newSite(t)
	keys, _ := s.keys()
	s.serve("--zone", "testdata/edge.example.zone", "--fleet", "testdata/fleet.yaml", "--key-dir", keys)
	s.dir = t.TempDir()
	_, other := s.keys()
	s.startUnbound("subnetcache validator iterator", other)
	if out := s.tool("dig", "@"+resolver, "+tries=1", "www.edge.example"); !strings.Contains(out, "status: SERVFAIL") {
		t.Errorf("believed:\n%s", out)
	}
	out, _ := s.try("delv", "@"+server4, "-a", s.delvAnchor(other), "+root="+zoneName, "www.edge.example")
	if strings.Contains(out, "; fully validated") || !strings.Contains(out, "broken trust chain") {
		t.Errorf("believed:\n%s", out)
	}
}
