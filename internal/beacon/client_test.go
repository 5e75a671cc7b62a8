package beacon

import (
	"net/http"
	"net/netip"
	"testing"

	"catchment/internal/edge"
)

func TestClient(t *testing.T) {
	p := proxies{[]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8:f::/48")}}
	const proxy = "192.0.2.1:40000"
	f := func(remote string, header http.Header, want, source string) {
		t.Helper()
		got := p.client(&http.Request{RemoteAddr: remote, Header: header})
		if got.addr.String() != want || got.source != source || got.because == "" {
			t.Errorf("%v by %s because %s; want %s by %s", got.addr, got.source, got.because, want, source)
		}
	}
	xff := func(v ...string) http.Header { return http.Header{"X-Forwarded-For": v} }
	fwd := func(v ...string) http.Header { return http.Header{"Forwarded": v} }

	f("203.0.113.7:1234", nil, "203.0.113.7", "connection")
	f("[2001:db8::7]:1234", nil, "2001:db8::7", "connection")
	f("[::ffff:203.0.113.7]:1234", nil, "203.0.113.7", "connection")
	f("[fe80::1%eth0]:1234", nil, "fe80::1", "connection")
	f("@", nil, "invalid IP", "connection")

	// Anyone can send a header.
	f("203.0.113.7:1234", xff("198.51.100.1"), "203.0.113.7", "connection")
	f("203.0.113.7:1234", fwd("for=198.51.100.1"), "203.0.113.7", "connection")
	f("[::ffff:192.0.2.1]:1", xff("198.51.100.1"), "198.51.100.1", "x-forwarded-for")

	f(proxy, xff("198.51.100.1"), "198.51.100.1", "x-forwarded-for")
	f(proxy, xff("10.0.0.1, 198.51.100.1"), "198.51.100.1", "x-forwarded-for")
	f(proxy, xff("10.0.0.1", "198.51.100.1"), "198.51.100.1", "x-forwarded-for")
	f(proxy, xff("198.51.100.1, 192.0.2.9"), "198.51.100.1", "x-forwarded-for")
	f(proxy, xff("198.51.100.1", "192.0.2.9,192.0.2.8"), "198.51.100.1", "x-forwarded-for")
	f(proxy, xff("192.0.2.9, 192.0.2.8"), "192.0.2.9", "x-forwarded-for")
	f(proxy, xff("198.51.100.1:5555"), "198.51.100.1", "x-forwarded-for")
	f(proxy, xff("2001:db8::7"), "2001:db8::7", "x-forwarded-for")
	f(proxy, xff("[2001:db8::7]"), "2001:db8::7", "x-forwarded-for")
	f(proxy, xff("[2001:db8::7]:5555"), "2001:db8::7", "x-forwarded-for")
	f(proxy, xff("2001:db8::7, 2001:db8:f::1"), "2001:db8::7", "x-forwarded-for")
	f(proxy, xff("198.51.100.1, unknown"), "192.0.2.1", "x-forwarded-for")
	f(proxy, xff("198.51.100.1, , 192.0.2.9"), "192.0.2.9", "x-forwarded-for")
	f(proxy, xff(""), "192.0.2.1", "x-forwarded-for")

	f(proxy, fwd("for=198.51.100.1;proto=https;by=192.0.2.1"), "198.51.100.1", "forwarded")
	f(proxy, fwd(`proto=https; FOR="[2001:db8:cafe::17]:4711"`), "2001:db8:cafe::17", "forwarded")
	f(proxy, fwd("for=10.0.0.1, for=198.51.100.1", "for=192.0.2.9"), "198.51.100.1", "forwarded")
	f(proxy, fwd(`for="_hidden"`), "192.0.2.1", "forwarded")
	f(proxy, fwd("for=unknown"), "192.0.2.1", "forwarded")

	// Whoever wrote the one that the proxy does not write, it was not the proxy.
	f(proxy, http.Header{"X-Forwarded-For": {"198.51.100.1"}, "Forwarded": {"for=198.51.100.2"}}, "192.0.2.1", "connection")
	f(proxy, http.Header{"X-Forwarded-For": {"198.51.100.1"}, "Forwarded": {"for=198.51.100.1"}}, "198.51.100.1", "x-forwarded-for")
}

func TestLocate(t *testing.T) {
	known := places{netip.MustParsePrefix("203.0.113.7/32"): {Country: "US", ASN: 64496}}
	prefix := netip.MustParsePrefix
	f := func(keep Prefixes, in, want edge.Beacon) {
		t.Helper()
		keep, err := keep.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		locate(&in, known, func(string) (string, bool) { return "NA", true }, keep)
		if in.Client != want.Client || in.Place != want.Place || in.Resolver != want.Resolver {
			t.Errorf("got %v %+v %+v, want %v %+v %+v", in.Client, in.Place, in.Resolver, want.Client, want.Place, want.Resolver)
		}
	}
	// Looked up whole, then cut.
	f(Prefixes{}, edge.Beacon{Client: prefix("203.0.113.7/32")},
		edge.Beacon{Client: prefix("203.0.113.0/24"), Place: edge.Place{Country: "US", ASN: 64496}})
	f(Prefixes{}, edge.Beacon{Client: prefix("2001:db8:1:2::3/128")}, edge.Beacon{Client: prefix("2001:db8:1::/48")})
	f(Prefixes{V4: 20, V6: 32}, edge.Beacon{Client: prefix("203.0.113.9/32")}, edge.Beacon{Client: prefix("203.0.112.0/20")})
	f(Prefixes{V6: 56}, edge.Beacon{Client: prefix("2001:db8:1:2ff::/64")}, edge.Beacon{Client: prefix("2001:db8:1:200::/56")})
	f(Prefixes{}, edge.Beacon{Client: prefix("203.0.0.0/16")}, edge.Beacon{Client: prefix("203.0.0.0/16")})
	// The sender knows better.
	f(Prefixes{}, edge.Beacon{Client: prefix("203.0.113.7/32"), Place: edge.Place{Country: "MX"}},
		edge.Beacon{Client: prefix("203.0.113.0/24"), Place: edge.Place{Country: "MX", Continent: "NA"}})
	// A resolver at home is the client.
	f(Prefixes{}, edge.Beacon{
		Client:   prefix("198.51.100.7/32"),
		Resolver: edge.Resolver{Addr: prefix("198.51.100.7/32"), ECS: prefix("198.51.100.7/32")},
	}, edge.Beacon{
		Client:   prefix("198.51.100.0/24"),
		Resolver: edge.Resolver{Addr: prefix("198.51.100.0/24"), ECS: prefix("198.51.100.0/24")},
	})
	f(Prefixes{}, edge.Beacon{Client: prefix("198.51.100.7/32"), Resolver: edge.Resolver{Addr: prefix("192.0.2.53/32")}},
		edge.Beacon{Client: prefix("198.51.100.0/24"), Resolver: edge.Resolver{Addr: prefix("192.0.2.53/32")}})

	for _, bad := range []Prefixes{{V4: 7}, {V4: 29}, {V6: 15}, {V6: 59}, {V4: -1}} {
		if _, err := bad.withDefaults(); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

func TestIsRobot(t *testing.T) {
	f := func(agent string, want bool) {
		t.Helper()
		if isRobot(agent) != want {
			t.Errorf("%q: %v", agent, !want)
		}
	}
	f("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36", false)
	f("Mozilla/5.0 (Linux; Android 9; CUBOT_X18 Plus) AppleWebKit/537.36 Chrome/120 Mobile Safari/537.36", false)
	f("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1", false)
	f("", false)
	f("Mozilla/5.0 (compatible; ExampleBot/2.1; +http://example.com/bot.html)", true)
	f("Mozilla/5.0 (Linux; CUBOT) examplebot", true)
	f("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/140.0.0.0 Safari/537.36", true)
	f("curl/8.5.0", false)
	f("Go-http-client/1.1", false)
}
