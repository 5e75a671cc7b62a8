package authdns

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestLimiter: so many answers a second, bursts, and every slip-th truncated.
func TestLimiter(t *testing.T) {
	client := netip.MustParseAddr("192.0.2.1")
	for _, c := range []struct {
		name  string
		limit ResponseLimit
		every time.Duration // between answers
		want  string        // a: allowed, l: limited, s: slipped
	}{
		{"off", ResponseLimit{Slip: 1}, 0, "aaaaaaaaaaaa"},
		{"a burst", ResponseLimit{PerSecond: 10, Burst: 3}, 0, "aaaallllllll"},
		{"slip", ResponseLimit{PerSecond: 10, Burst: 3, Slip: 3}, 0, "aaaallsllsll"},
		{"slip all", ResponseLimit{PerSecond: 10, Burst: 3, Slip: 1}, 0, "aaaassssssss"},
		{"within the limit", ResponseLimit{PerSecond: 10, Burst: 1}, 100 * time.Millisecond, "aaaaaaaaaaaa"},
		{"twice the limit", ResponseLimit{PerSecond: 10, Burst: 1}, 50 * time.Millisecond, "aaalalalalal"},
		{"less than one a second", ResponseLimit{PerSecond: 0.5, Burst: 1}, time.Second, "aaalalalalal"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLimiter(c.limit, 42, testTime)
			var got strings.Builder
			for i := range len(c.want) {
				verdict := allowed
				if l != nil {
					verdict = l.take(client, 7, testTime.Add(time.Duration(i)*c.every))
				}
				got.WriteString(string("als"[verdict]))
			}
			if got.String() != c.want {
				t.Errorf("got %s, want %s", got.String(), c.want)
			}
		})
	}
}

// TestLimiterKeys: who shares a limit, and who does not.
func TestLimiterKeys(t *testing.T) {
	for _, c := range []struct {
		a, b       string
		keyA, keyB uint32
		shared     bool
	}{
		{"192.0.2.1", "192.0.2.254", 1, 1, true},
		{"192.0.2.1", "192.0.3.1", 1, 1, false},
		{"192.0.2.1", "192.0.2.1", 1, 2, false},
		{"2001:db8::1", "2001:db8:0:ff::1", 1, 1, true},
		{"2001:db8::1", "2001:db8:0:100::1", 1, 1, false},
		{"0.0.0.0", "::", 0, 0, false},
	} {
		for seed := range uint64(20) {
			l := newLimiter(ResponseLimit{PerSecond: 1, Burst: 1}, seed, testTime)
			for range 3 {
				l.take(netip.MustParseAddr(c.a), c.keyA, testTime)
			}
			if got := l.take(netip.MustParseAddr(c.b), c.keyB, testTime) != allowed; got != c.shared {
				t.Fatalf("%s %d and %s %d share a limit: %v (seed %d)", c.a, c.keyA, c.b, c.keyB, got, seed)
			}
		}
	}
}

// TestLimiterIsBounded: a flood from forged addresses takes no memory, and does
// not lift the limit of one that floods on.
func TestLimiterIsBounded(t *testing.T) {
	l := newLimiter(ResponseLimit{PerSecond: 10, Burst: 10}, 42, testTime)
	flooder := netip.MustParseAddr("192.0.2.1")
	random := rand.New(rand.NewPCG(1, 2))
	passed, now := 0, testTime
	one := func() {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], random.Uint32())
		l.take(netip.AddrFrom4(b), random.Uint32(), now)
		if l.take(flooder, 7, now) == allowed {
			passed++
		}
		now = now.Add(10 * time.Microsecond)
	}
	if n := testing.AllocsPerRun(300_000, one); n != 0 { // three seconds of 200,000 a second
		t.Errorf("%v allocations", n)
	}
	if passed < 30 || passed > 60 {
		t.Errorf("%d answers to who floods, in 3 s at 10 a second", passed)
	}
}

// TestLimiterTime: years of uptime, and a clock that is set back.
func TestLimiterTime(t *testing.T) {
	l := newLimiter(ResponseLimit{PerSecond: 10, Burst: 10}, 42, testTime)
	for _, at := range []time.Time{testTime, testTime.AddDate(5, 0, 0), testTime.AddDate(0, 0, -1)} {
		passed := 0
		for range 100 {
			if l.take(netip.MustParseAddr("192.0.2.1"), 9, at) == allowed {
				passed++
			}
		}
		if want := 11; passed != want && at.Sub(testTime) >= 0 || passed > want {
			t.Errorf("at %v: %d allowed", at, passed)
		}
	}
}

// TestResponseLimit: truncated or not at all, but never for who has a server
// cookie or comes over TCP.
func TestResponseLimit(t *testing.T) {
	s := newServer(t, func(c *Config) { c.Responses = ResponseLimit{PerSecond: 5, Burst: 5, Slip: 2} })
	client := netip.MustParseAddr("198.51.100.7")
	count := func(packet []byte, via transport) (whole, truncated, dropped int) {
		for range 26 {
			switch reply, _ := answerOf(s, packet, via, client, testTime); {
			case len(reply) == 0:
				dropped++
			case reply[2]&flagTC != 0:
				truncated++
				if len(reply) > len(packet)+serverCookieLen {
					t.Errorf("a truncated answer of %d bytes to %d", len(reply), len(packet))
				}
			default:
				whole++
			}
		}
		return whole, truncated, dropped
	}
	cookie := s.secrets.append(nil, unhex("0102030405060708"), client, uint32(testTime.Unix()))
	valid := append([]byte{0, optCookie, 0, 24}, cookie...)
	invalid := append([]byte{0, optCookie, 0, 24}, cookie...)
	invalid[27] ^= 1
	for _, c := range []struct {
		name    string
		packet  []byte
		via     transport
		limited bool
	}{
		{"tailored", ask("www.example.net", dns.TypeA).pack(), overUDP, true},
		{"with a client cookie", ask("static.example.net", dns.TypeA).edns(option(optCookie, "0102030405060708")).pack(), overUDP, true},
		{"with a forged server cookie", ask("mail.example.net", dns.TypeA).edns(invalid).pack(), overUDP, true},
		{"with a server cookie", ask("static.example.net", dns.TypeA).edns(valid).pack(), overUDP, false},
		{"over TCP", ask("static.example.net", dns.TypeA).pack(), overTCP, false},
		{"malformed", aOnly().raw([]byte{0}).pack(), overUDP, true},
		{"slow", ask("whoami.example.net", dns.TypeTXT).pack(), overUDP, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole, truncated, dropped := count(c.packet, c.via)
			if !c.limited {
				if whole != 26 {
					t.Errorf("%d whole, %d truncated, %d dropped", whole, truncated, dropped)
				}
			} else if whole != 6 || truncated != 10 || dropped != 10 {
				t.Errorf("%d whole, %d truncated, %d dropped; want 6, 10, 10", whole, truncated, dropped)
			}
		})
	}
	t.Run("random names share the limit of what they are missing under", func(t *testing.T) {
		whole := 0
		for i := range 26 {
			reply, _ := answerOf(s, ask(string(rune('a'+i))+".static.example.net", dns.TypeA).pack(), overUDP, client, testTime)
			if len(reply) > 0 && reply[2]&flagTC == 0 {
				whole++
			}
		}
		if whole != 6 {
			t.Errorf("%d whole answers", whole)
		}
	})
}
