package authdns

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestCookieVectors holds cookies to RFC 9018, appendix A: those that other
// makes of server hand out are taken, and ours are bit for bit theirs.
func TestCookieVectors(t *testing.T) {
	const first, second = exampleSecret, "445536bcd2513298075a5d379663c962"
	for _, c := range []struct {
		name, secrets, client, cookie string
		at                            int64 // Unix time, s
		valid, fresh                  bool
		renewed                       string // what is handed out when it is not fresh
	}{
		{"A.1: a new one", first, "198.51.100.100", "2464c4abcf10c957", 1559731985, false, false, "2464c4abcf10c957010000005cf79f111f8130c3eee29480"},
		{"A.1: sent again at once", first, "198.51.100.100", "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559731985, true, true, ""},
		{"A.2: renewed after 40 minutes", first, "198.51.100.100", "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559734385, true, false, "2464c4abcf10c957010000005cf7a871d4a564a1442aca77"},
		{"A.3: from a server that uses the reserved bytes", first, "203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1559727985, true, true, ""},
		{"A.4: of the former secret", second + "\n" + "dd3bdf9344b678b185a6f5cb60fca715", "2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1559741961, true, false, "22681ab97d52c298010000005cf7c609a6bb79d16625507a"},
		{"an hour old", first, "198.51.100.100", "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559731985 + 3600, true, false, "2464c4abcf10c957010000005cf7ad21"},
		{"older", first, "198.51.100.100", "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559731985 + 3601, false, false, "2464c4abcf10c957010000005cf7ad22"},
		{"five minutes ahead", first, "198.51.100.100", "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559731985 - 300, true, true, ""},
		{"further ahead", first, "198.51.100.100", "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559731985 - 301, false, false, "2464c4abcf10c957010000005cf79de4"},
		{"another client's", first, "198.51.100.101", "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559731985, false, false, "2464c4abcf10c957010000005cf79f11"},
		{"another secret's", second, "198.51.100.100", "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559731985, false, false, "2464c4abcf10c957010000005cf79f11"},
		{"version 2", first, "198.51.100.100", "2464c4abcf10c957020000005cf79f111f8130c3eee29480", 1559731985, false, false, "2464c4abcf10c957010000005cf79f111f8130c3eee29480"},
		{"40 bytes", first, "198.51.100.100", "2464c4abcf10c957" + strings.Repeat("00", 32), 1559731985, false, false, "2464c4abcf10c957010000005cf79f111f8130c3eee29480"},
	} {
		t.Run(c.name, func(t *testing.T) {
			secrets, err := ParseCookieSecrets([]byte(c.secrets))
			if err != nil {
				t.Fatal(err)
			}
			s := newServer(t, func(cfg *Config) { cfg.Cookies = secrets })
			client, now := netip.MustParseAddr(c.client), time.Unix(c.at, 0)
			if valid, fresh := secrets.check(unhex(c.cookie), client, uint32(c.at)); valid != c.valid || fresh != c.fresh {
				t.Errorf("valid %v, fresh %v; want %v, %v", valid, fresh, c.valid, c.fresh)
			}
			want := unhex(c.renewed)
			if c.fresh {
				want = unhex(c.cookie)
			}
			reply, _ := answerOf(s, aOnly().edns(option(optCookie, c.cookie)).pack(), overUDP, client, now)
			all := optionsOf(t, reply)
			if len(all) != 1 || len(all[0]) != 4+24 || !bytes.HasPrefix(all[0][4:], want) {
				t.Errorf("options of the answer %x, want a cookie %x", all, want)
			}
		})
	}
}

// TestCookieWire: lengths, and the query that has no question.
func TestCookieWire(t *testing.T) {
	s := start(t)
	with := func(cookie string) []byte { return aOnly().edns(option(optCookie, cookie)).pack() }
	for _, c := range []struct {
		name   string
		packet []byte
		want   string // before what the server adds to the client's cookie
		cookie bool
	}{
		{"client cookie", with("0102030405060708"), "NOERROR", true},
		{"server cookie of 8 bytes", with("0102030405060708" + "1111111111111111"), "NOERROR", true},
		{"server cookie of 32 bytes", with("0102030405060708" + strings.Repeat("11", 32)), "NOERROR", true},
		{"empty", with(""), "FORMERR", false},
		{"7 bytes", with("01020304050607"), "FORMERR", false},
		{"9 bytes", with("010203040506070809"), "FORMERR", false},
		{"15 bytes", with("010203040506070809101112131415"), "FORMERR", false},
		{"41 bytes", with(strings.Repeat("01", 41)), "FORMERR", false},
		{"only the first counts (RFC 7873, section 5.2)", aOnly().edns(option(optCookie, "0102030405060708"), option(optCookie, "09")).pack(), "NOERROR", true},
		{"no question (RFC 7873, section 5.4)", (&packetOf{}).edns(option(optCookie, "0102030405060708")).pack(), "NOERROR", true},
		{"not ours", ask("www.example.org", dns.TypeA).edns(option(optCookie, "0102030405060708")).pack(), "REFUSED", true},
		{"slow path", (&packetOf{}).question("id.server", dns.TypeTXT, dns.ClassCHAOS).edns(option(optCookie, "0102030405060708")).pack(), "NOERROR", true},
		{"no cookie", aOnly().edns().pack(), "NOERROR", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for network, asked := range map[string]func(testing.TB, *Server, []byte) []byte{"udp": askUDP, "tcp": askTCP} {
				reply := asked(t, s, c.packet)
				got := describe(t, reply)
				if !strings.HasPrefix(got, c.want+" qr") {
					t.Errorf("%s: %s, want %s", network, got, c.want)
				}
				if strings.Contains(got, " cookie:0102030405060708") != c.cookie {
					t.Errorf("%s: %s, want a cookie: %v", network, got, c.cookie)
				}
				if !c.cookie {
					continue
				}
				// What was handed out is taken, and sent again as it is.
				for _, o := range optionsOf(t, reply) {
					if binary.BigEndian.Uint16(o) != optCookie {
						continue
					}
					again := asked(t, s, aOnly().edns(o).pack())
					if got := optionsOf(t, again); len(got) != 1 || !bytes.Equal(got[0], o) {
						t.Errorf("%s: cookie %x came back as %x", network, o, got)
					}
				}
			}
		})
	}
}

func TestCookieSecretsFile(t *testing.T) {
	good := "# a comment\n\n  " + exampleSecret + "  \n445536bcd2513298075a5d379663c962\n"
	if c, err := ParseCookieSecrets([]byte(good)); err != nil || len(c.keys) != 2 {
		t.Errorf("%v, %v", c, err)
	}
	for _, c := range []struct{ file, want string }{
		{"", "authdns: cookie secrets: 0 of them (want 1 to 8)"},
		{strings.Repeat(exampleSecret+"\n", 9), "authdns: cookie secrets: 9 of them (want 1 to 8)"},
		{"# x\n" + exampleSecret[:31], "authdns: cookie secrets, line 2: want 32 hexadecimal digits"},
		{exampleSecret + "00", "authdns: cookie secrets, line 1: want 32 hexadecimal digits"},
		{strings.Repeat("z", 32), "authdns: cookie secrets, line 1: want 32 hexadecimal digits"},
	} {
		if _, err := ParseCookieSecrets([]byte(c.file)); err == nil || err.Error() != c.want {
			t.Errorf("%q: %v, want %s", c.file, err, c.want)
		}
	}
}
