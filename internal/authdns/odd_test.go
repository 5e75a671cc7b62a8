package authdns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// TestPointersMove: a reply that was packed for one name is right for every
// other, however long, also where the pointers in it come near the 16,384 bytes
// that they can tell (RFC 1035, section 4.1.4).
func TestPointersMove(t *testing.T) {
	var b strings.Builder
	b.WriteString(smallZone)
	const hosts = 450
	for i := range hosts {
		for _, host := range []string{"a", "b"} {
			fmt.Fprintf(&b, "*.w 60 MX 10 %s.h%d.example.org.\n", host, i)
			fmt.Fprintf(&b, "cut 60 NS %s.h%d.example.org.\n", host, i)
		}
	}
	s := newServer(t, func(c *Config) { c.Zone, c.Probe, c.State = parseZone(t, b.String()), "", State{} })
	var want []string
	for i := range hosts {
		want = append(want, fmt.Sprintf("a.h%d.example.org.", i), fmt.Sprintf("b.h%d.example.org.", i))
	}
	slices.Sort(want)
	for _, top := range []string{"w.example.net.", "cut.example.net."} {
		for length := 1; length <= 180; length += 13 {
			qname := strings.Repeat("a.", length/2) + "x." + top
			reply, _ := sameFast(t, s, ask(qname, dns.TypeMX).pack(), overTCP, testTime)
			m := checkShape(t, ask(qname, dns.TypeMX).pack(), reply)
			var got []string
			for _, rr := range append(m.Answer, m.Ns...) {
				owner := qname
				switch x := rr.(type) {
				case *dns.MX:
					got = append(got, x.Mx)
				case *dns.NS:
					got, owner = append(got, x.Ns), top
				}
				if rr.Header().Name != owner {
					t.Fatalf("%s: %v", qname, rr)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s: %s", qname, diff)
			}
		}
	}
}

// TestTooLarge: a set that no message can hold is truncated even over TCP, and
// does not keep the zone from being served.
func TestTooLarge(t *testing.T) {
	var b strings.Builder
	b.WriteString(smallZone)
	for i := range 300 {
		fmt.Fprintf(&b, "huge 60 TXT \"%d%s\"\n", i, strings.Repeat("x", 250))
	}
	s := newServer(t, func(c *Config) { c.Zone, c.Probe, c.State = parseZone(t, b.String()), "", State{} })
	reply, _ := sameFast(t, s, ask("huge.example.net", dns.TypeTXT).edns().pack(), overTCP, testTime)
	if got := describe(t, reply); got != "NOERROR qr aa tc | huge.example.net. IN TXT | opt0" {
		t.Error(got[:min(len(got), 200)])
	}
}

// outOfBounds is a Steering that does not keep its word.
type outOfBounds struct{ *table }

func (outOfBounds) Lookup(int, netip.Addr, netip.Addr) (uint32, uint8) { return 1 << 31, 24 }

// TestBadSteering: an answer that there is none of is a failure of one query.
func TestBadSteering(t *testing.T) {
	s := newServer(t, func(c *Config) { c.State.Steering = outOfBounds{exampleSteering()} })
	for _, qname := range []string{"www.example.net", "global-1.probe.example.net"} {
		reply, _ := sameFast(t, s, ask(qname, dns.TypeA).edns(ecs("192.0.2.0/24")).pack(), overUDP, testTime)
		if got := describe(t, reply); got != "SERVFAIL qr | "+qname+". IN A | opt0 ecs:00011800c00002" {
			t.Error(got)
		}
	}
}

// TestDeepNames: names of the greatest length and depth in the zone itself.
func TestDeepNames(t *testing.T) {
	var b strings.Builder
	b.WriteString(smallZone)
	deepest := strings.Repeat("a.", 121) + "example.net."                      // 255 bytes
	longest := strings.Repeat(strings.Repeat("b", 59)+".", 4) + "example.net." // 253, in four labels
	for _, qname := range []string{deepest, longest} {
		if n := len(wireName(qname)); n < maxName-2 {
			t.Fatalf("%s has %d bytes", qname, n)
		}
		fmt.Fprintf(&b, "%s 60 TXT deep\n", qname)
	}
	fmt.Fprintf(&b, "*.%s 60 TXT wild\n", strings.Repeat("c.", 120)+"example.net.")
	for _, sign := range []bool{false, true} {
		s := newServer(t, func(c *Config) {
			c.Zone, c.Probe, c.State = parseZone(t, b.String()), "", State{}
			if sign {
				signed(t)(c)
			}
		})
		for _, qname := range []string{deepest, longest, "d." + strings.Repeat("c.", 120) + "example.net."} {
			for q := qname; dns.CountLabel(q) > 2; q = q[strings.IndexByte(q, '.')+1:] {
				packet := ask(q, dns.TypeTXT).signed().pack()
				reply, _ := sameFast(t, s, packet, overTCP, testTime)
				m := checkShape(t, packet, reply)
				if m.Rcode != dns.RcodeSuccess || (q == qname) != (len(m.Answer) > 0) {
					t.Fatalf("%s: %v", q, m)
				}
				other := ask("z"+q[1:], dns.TypeTXT).signed().pack()
				reply, _ = sameFast(t, s, other, overTCP, testTime)
				if m := checkShape(t, other, reply); m.Rcode == dns.RcodeServerFailure {
					t.Fatalf("%v", m)
				}
			}
			if !sign {
				continue
			}
			v := newValidator(t, s, time.Now())
			for _, q := range []string{qname, "z" + qname[1:], qname[strings.IndexByte(qname, '.')+1:]} {
				if _, err := v.validate(askSigned(t, s, q, dns.TypeTXT, v.now)); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// TestOtherOrigins: the root, a name with a byte that is not a letter, a probe
// zone that is the zone.
func TestOtherOrigins(t *testing.T) {
	for _, c := range []struct{ origin, probe, tailored, qname string }{
		{".", "", "www.example", "www.example."},
		{".", "probe", "global-*.probe", "global-1.probe."},
		{`a\.b.example`, "", `www.a\.b.example`, `www.a\.b.example.`},
		{"example.net", "example.net", "global-*.example.net", "global-1.example.net."},
		{"example.net", "probe.deep.er.example.net", "global-*.probe.deep.er.example.net", "global-1.probe.deep.er.example.net."},
	} {
		t.Run(c.origin+" "+c.probe, func(t *testing.T) {
			zone, err := ParseZone(strings.NewReader("@ 60 SOA ns. h. 1 1 1 1 1\n@ 60 NS ns.example.org.\nns.example.org. 60 A 192.0.2.53\n"), c.origin, "zone")
			if c.origin != "." {
				zone, err = ParseZone(strings.NewReader("@ 60 SOA ns. h. 1 1 1 1 1\n@ 60 NS ns.example.org.\n"), c.origin, "zone")
			}
			if err != nil {
				t.Fatal(err)
			}
			steering := &table{names: []Tailored{{c.tailored, time.Minute, []Answer{{"x", addrs("192.0.2.1"), nil}}}}}
			s := newServer(t, func(cfg *Config) { cfg.Zone, cfg.Probe, cfg.State = zone, c.probe, State{Steering: steering} })
			reply, _ := sameFast(t, s, ask(c.qname, dns.TypeA).pack(), overUDP, testTime)
			if got, want := describe(t, reply), "NOERROR qr aa | "+c.qname+" IN A | an: "+c.qname+" 60 A 192.0.2.1"; got != want {
				t.Errorf(" got %s\nwant %s", got, want)
			}
			for _, qname := range []string{".", "x.", "whoami." + strings.TrimPrefix(zone.origin.text(), "."), zone.origin.text()} {
				for _, qtype := range []uint16{dns.TypeSOA, dns.TypeTXT, dns.TypeNSEC} {
					reply, _ := sameFast(t, s, ask(qname, qtype).signed().pack(), overUDP, testTime)
					describe(t, reply)
				}
			}
		})
	}
}
