package authdns

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

// fastCases are the queries of the fast path that is to cost nothing.
var fastCases = []struct {
	name   string
	signed bool
	packet []byte
}{
	{"Tailored", false, ask("www.example.net", dns.TypeA).pack()},
	{"TailoredECS", false, ask("www.example.net", dns.TypeA).edns(ecs("198.51.100.0/24")).pack()},
	{"TailoredECS6", false, ask("www.example.net", dns.TypeAAAA).edns(ecs("2001:db8:9000::/56")).pack()},
	{"TailoredCookie", false, ask("www.example.net", dns.TypeA).edns(ecs("198.51.100.0/24"), option(optCookie, "0102030405060708"), option(optNSID, "")).pack()},
	{"TailoredNoData", false, ask("www.example.net", dns.TypeAAAA).edns(ecs("198.51.100.0/25")).pack()},
	{"Static", false, ask("static.example.net", dns.TypeA).edns().pack()},
	{"Wildcard", false, ask("x.y.wild.example.net", dns.TypeMX).pack()},
	{"Missing", false, ask("a.b.c.d.example.net", dns.TypeA).edns().pack()},
	{"Referral", false, ask("www.glued.example.net", dns.TypeA).edns().pack()},
	{"Refused", false, ask("www.example.org", dns.TypeA).edns().pack()},
	{"Probe", false, ask("global-0a1b2c3d.probe.example.net", dns.TypeA).edns(ecs("198.51.100.0/24")).pack()},
	{"Truncated", false, ask("large.example.net", dns.TypeTXT).pack()},
	{"SignedTailored", true, ask("www.example.net", dns.TypeA).signed(ecs("198.51.100.0/24")).pack()},
	{"SignedNoData", true, ask("www.example.net", dns.TypeAAAA).signed(ecs("198.51.100.0/25")).pack()},
	{"SignedMissing", true, ask("a.b.c.d.example.net", dns.TypeA).signed().pack()},
	{"SignedReferral", true, ask("www.far.example.net", dns.TypeA).signed().pack()},
}

// fastAnswerer answers packets as a UDP worker does.
func fastAnswerer(t testing.TB, sign bool) (answer func(packet []byte) bool) {
	change := func(c *Config) {
		c.Responses = ResponseLimit{PerSecond: 1e6, Burst: 1e6}
		c.Nonces = takeNothing{}
	}
	s := newServer(t, change)
	if sign {
		s = newServer(t, change, signed(t))
	}
	a := &answerer{Server: s, via: overUDP, stats: s.stats, peer: netip.MustParseAddr("198.51.100.7"), now: testTime}
	buf := make([]byte, 0, maxUDP+32)
	return func(packet []byte) bool {
		a.snap = s.current.Load()
		if a.parse(packet) != wellFormed {
			return false
		}
		out, done := a.fast(buf)
		return done && len(out) > 0
	}
}

// TestFastAllocatesNothing, with the response limit and the log of probe names
// in use.
func TestFastAllocatesNothing(t *testing.T) {
	for _, c := range fastCases {
		answer := fastAnswerer(t, c.signed)
		ok := true
		if n := testing.AllocsPerRun(200, func() { ok = ok && answer(c.packet) }); n != 0 || !ok {
			t.Errorf("%s: %v allocations, answered %v", c.name, n, ok)
		}
	}
}

func BenchmarkFast(b *testing.B) {
	for _, c := range fastCases {
		b.Run(c.name, func(b *testing.B) {
			answer := fastAnswerer(b, c.signed)
			b.ReportAllocs()
			for b.Loop() {
				if !answer(c.packet) {
					b.Fatal("no answer")
				}
			}
		})
	}
}

// BenchmarkSlow is what a query costs that has no reply ready.
func BenchmarkSlow(b *testing.B) {
	s := newServer(b, signed(b))
	for name, packet := range map[string][]byte{
		"SignedWildcard": ask("x.y.wild.example.net", dns.TypeMX).signed().pack(),
		"WhoAmI":         ask("whoami.example.net", dns.TypeTXT).pack(),
		"FormErr":        aOnly().raw([]byte{0}).pack(),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				answerOf(s, packet, overUDP, localhost, testTime)
			}
		})
	}
}

// BenchmarkBuild is what a new state costs.
func BenchmarkBuild(b *testing.B) {
	for name, s := range map[string]*Server{"Unsigned": newServer(b), "Signed": newServer(b, signed(b))} {
		b.Run(name, func(b *testing.B) {
			state := State{Steering: exampleSteering()}
			for b.Loop() {
				if err := s.SetState(state); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
