package pop

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
)

// dialTo returns a dialer that leads every name to addr.
func dialTo(addr string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
}

// rules returns the rules of findings in order, advice in parentheses.
func rules(findings []Finding) string {
	var names []string
	for _, f := range findings {
		if f.Advice {
			f.Rule = "(" + f.Rule + ")"
		}
		names = append(names, f.Rule)
	}
	return strings.Join(names, " ")
}

func TestCheckOurselves(t *testing.T) {
	cert, pool := selfSigned(t, "*.probe.edge.example")
	site, sitePool := selfSigned(t, "*.probe.edge.example", "www.edge.example")
	for _, c := range []struct {
		name, host, listen string
		cert               tls.Certificate
		pool               *x509.CertPool
		want               string
	}{
		{"probe name", "global-1.probe.edge.example", "127.0.0.1:0", cert, pool, ""},
		{"over IPv6", "global-1.probe.edge.example", "[::1]:0", cert, pool, ""},
		{"over a VIP", "global-1.probe.edge.example", "127.0.0.2:0", cert, pool, ""},
		{"at another PoP's address", "global-1.probe.edge.example", "127.0.0.3:0", cert, pool, "unicast"},
		{"a certificate for the site too", "global-1.probe.edge.example", "127.0.0.1:0", site, sitePool, "(certificate-names)"},
		{"a name of the site", "www.edge.example", "127.0.0.1:0", site, sitePool, ""},
		{"a name it has no certificate for", "www.edge.example", "127.0.0.1:0", cert, pool, "certificate"},
		{"an issuer that nobody knows", "global-1.probe.edge.example", "127.0.0.1:0", cert, x509.NewCertPool(), "certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, Config{Certificates: []tls.Certificate{c.cert}, Listeners: []Listener{{Addr: c.listen, TLS: true}}})
			opt := CheckOptions{Fleet: testFleet(), RootCAs: c.pool, Dial: dialTo(s.Addrs()[0].String())}
			findings, err := CheckURL(t.Context(), "https://"+c.host+"/o", opt)
			if err != nil {
				t.Fatal(err)
			}
			if got := rules(findings); got != c.want {
				t.Errorf("got %s\nwant %s\n%v", got, c.want, findings)
			}
		})
	}
}

// TestCheckFindings breaks one thing of a good answer after the other.
func TestCheckFindings(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(w http.ResponseWriter, h http.Header)
		want  string
	}{
		{"nothing", nil, ""},
		{"no X-PoP", del("X-PoP"), "x-pop"},
		{"two X-PoPs", add("X-PoP", "lax"), "x-pop"},
		{"a strange X-PoP", set("X-PoP", "IAD 1"), "x-pop"},
		{"an unknown PoP", set("X-PoP", "gru", "Server-Timing", `pop;desc="gru", srv;dur=0`), "unknown-pop unicast"},
		{"no Server-Timing", del("Server-Timing"), "server-timing (srv)"},
		{"no pop in it", set("Server-Timing", "srv;dur=0.1"), "server-timing"},
		{"pop without description", set("Server-Timing", "pop, srv;dur=0"), "server-timing"},
		{"not quoted", set("Server-Timing", "pop;desc=iad, srv;dur=0"), "(server-timing)"},
		{"pop twice", add("Server-Timing", `pop;desc="iad"`), "server-timing"},
		{"contradiction", set("Server-Timing", `pop;desc="lax", srv;dur=0`), "mismatch"},
		{"no srv", set("Server-Timing", `pop;desc="iad"`), "(srv)"},
		{"srv in microseconds", set("Server-Timing", `pop;desc="iad", srv;dur=250000`), "srv"},
		{"srv is not a number", set("Server-Timing", `pop;desc="iad", srv;dur=fast`), "srv"},
		{"rtt in microseconds", set("Server-Timing", `pop;desc="iad", srv;dur=0, rtt;dur=18600000, mrtt;dur=18`), "rtt"},
		{"negative rtt", set("Server-Timing", `pop;desc="iad", srv;dur=0, rtt;dur=-1`), "rtt"},
		{"unknown VIP", set("Server-Timing", `pop;desc="iad", vip;desc="asia", srv;dur=0`), "vip"},
		{"the other family", set("Server-Timing", `pop;desc="iad", srv;dur=0, af;desc="6"`), "af"},
		{"no TAO", del("Timing-Allow-Origin"), "timing-allow-origin"},
		{"TAO for others", set("Timing-Allow-Origin", "https://www.example"), "timing-allow-origin"},
		{"TAO for us among others", set("Timing-Allow-Origin", "https://www.example, "+checkOrigin), ""},
		{"no ACAO", del("Access-Control-Allow-Origin"), "access-control-allow-origin"},
		{"ACAO twice", add("Access-Control-Allow-Origin", "*"), "access-control-allow-origin"},
		{"no ACEH", del("Access-Control-Expose-Headers"), "access-control-expose-headers access-control-expose-headers"},
		{"half an ACEH", set("Access-Control-Expose-Headers", "server-timing"), "access-control-expose-headers"},
		{"ACEH for all", set("Access-Control-Expose-Headers", "*"), ""},
		{"cacheable", set("Cache-Control", "public, max-age=60"), "cache-control"},
		{"no Cache-Control", del("Cache-Control"), "cache-control"},
		{"from a cache", set("Age", "17"), "cached"},
		{"Alt-Svc", set("Alt-Svc", `h3=":443"`), "alt-svc"},
		{"Alt-Svc: clear", set("Alt-Svc", "clear"), ""},
		{"compressed", set("Content-Encoding", "gzip"), "compression"},
		{"a cookie", set("Set-Cookie", "a=b"), "(cookie)"},
		{"not kept alive", set("Connection", "close"), "keep-alive"},
		{"a slow clock", set("Date", "Mon, 02 Jan 2006 15:04:05 GMT"), "(clock)"},
		{"redirect", func(w http.ResponseWriter, h http.Header) {
			h.Set("Location", "/elsewhere")
			w.WriteHeader(http.StatusFound)
		}, "redirect"},
		{"error", func(w http.ResponseWriter, _ http.Header) { w.WriteHeader(http.StatusNotFound) }, "status"},
		{"early hints", func(w http.ResponseWriter, _ http.Header) { w.WriteHeader(http.StatusEarlyHints) }, "interim"},
	} {
		t.Run(c.name, func(t *testing.T) {
			findings, err := checkHandler(t, "global-1.probe.edge.example", false, func(w http.ResponseWriter, _ *http.Request) {
				good(w.Header())
				if c.spoil != nil {
					c.spoil(w, w.Header())
				}
				_, _ = io.WriteString(w, "ok")
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := rules(findings); got != c.want {
				t.Errorf("got %s\nwant %s\n%v", got, c.want, findings)
			}
			for _, f := range findings {
				if f.What == "" || f.Set == "" {
					t.Errorf("%+v does not say what and what to set", f)
				}
			}
		})
	}
}

// good sets the headers of an answer without fault.
func good(h http.Header) {
	h.Set("X-PoP", "iad")
	h.Set("Server-Timing", `pop;desc="iad", srv;dur=0`)
	h.Set("Timing-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "X-PoP, Server-Timing")
	h.Set("Cache-Control", "no-store")
}

func set(pairs ...string) func(http.ResponseWriter, http.Header) {
	return func(_ http.ResponseWriter, h http.Header) {
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
	}
}

func add(k, v string) func(http.ResponseWriter, http.Header) {
	return func(_ http.ResponseWriter, h http.Header) { h.Add(k, v) }
}

func del(k string) func(http.ResponseWriter, http.Header) {
	return func(_ http.ResponseWriter, h http.Header) { h.Del(k) }
}

// checkHandler checks host where a TLS server with its own certificate for all
// names runs handler, with or without HTTP/2.
func checkHandler(t *testing.T, host string, http2 bool, handler http.HandlerFunc) ([]Finding, error) {
	t.Helper()
	cert, pool := selfSigned(t, "*.probe.edge.example")
	s := httptest.NewUnstartedServer(handler)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.EnableHTTP2 = http2
	s.StartTLS()
	t.Cleanup(s.Close)
	return CheckURL(t.Context(), "https://"+host+"/o", CheckOptions{Fleet: testFleet(), RootCAs: pool, Dial: dialTo(s.Listener.Addr().String())})
}

func TestCheckHTTP2(t *testing.T) {
	handler := func(w http.ResponseWriter, _ *http.Request) { good(w.Header()) }
	findings, err := checkHandler(t, "global-1.probe.edge.example", true, handler)
	if err != nil || rules(findings) != "alpn" {
		t.Errorf("probe name: %v, %v", findings, err)
	}
}

func TestCheckFlip(t *testing.T) {
	n := 0
	findings, err := checkHandler(t, "global-1.probe.edge.example", false, func(w http.ResponseWriter, _ *http.Request) {
		good(w.Header())
		if n++; n == 2 {
			set("X-PoP", "lax", "Server-Timing", `pop;desc="lax", srv;dur=0`)(w, w.Header())
		}
	})
	if err != nil || rules(findings) != "flip" {
		t.Errorf("%v, %v", findings, err)
	}
}

func TestCheckPlainHTTP(t *testing.T) {
	s := start(t, Config{})
	findings, err := CheckURL(t.Context(), s.url(0, "/o"), CheckOptions{})
	if err != nil || rules(findings) != "(https)" {
		t.Errorf("%v, %v", findings, err)
	}
}

// TestCheckVIP checks an address that the fleet gives to a VIP, where the
// answer names another one.
func TestCheckVIP(t *testing.T) {
	s := start(t, Config{Listeners: []Listener{{Addr: "127.0.0.2:0", VIP: "global"}}})
	findings, err := CheckURL(t.Context(), s.url(0, "/o"), CheckOptions{Fleet: testFleet()})
	if err != nil {
		t.Fatal(err)
	}
	want := Finding{Rule: "vip", What: "127.0.0.2 is the address of VIP americas, but Server-Timing says global", Set: `vip;desc="americas"`}
	if d := cmp.Diff(want, findings[len(findings)-1]); d != "" {
		t.Error(d)
	}
	if got := want.String(); got != `wrong: vip: 127.0.0.2 is the address of VIP americas, but Server-Timing says global; vip;desc="americas"` {
		t.Error(got)
	}
}

func TestCheckExpiry(t *testing.T) {
	f := func(from, to time.Duration, want string) {
		t.Helper()
		cert, pool := expiring(t, time.Now().Add(from), time.Now().Add(to))
		s := start(t, Config{Certificates: []tls.Certificate{cert}, Listeners: []Listener{{Addr: "127.0.0.1:0", TLS: true}}})
		findings, err := CheckURL(t.Context(), "https://a.probe.edge.example/o", CheckOptions{Fleet: testFleet(), RootCAs: pool, Dial: dialTo(s.Addrs()[0].String())})
		if err != nil {
			t.Fatal(err)
		}
		if got := rules(findings); !strings.HasPrefix(got+" "+fmt.Sprint(findings), want) {
			t.Errorf("%v", findings)
		}
	}
	const day = 24 * time.Hour
	f(-2*day, 15*day, " []")
	f(-2*day, 3*day, "(certificate) [advice: certificate: the certificate expires on ")
	f(-2*day, -day, "certificate [wrong: certificate: the certificate expired on ")
	f(2*day, 30*day, "certificate [wrong: certificate: the certificate is not valid before ")
}

// expiring returns a certificate for *.probe.edge.example, valid between two
// times, and a pool that trusts it.
func expiring(t *testing.T, from, to time.Time) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to, DNSNames: []string{"*.probe.edge.example"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

func TestCheckErrors(t *testing.T) {
	f := func(url, want string) {
		t.Helper()
		if _, err := CheckURL(t.Context(), url, CheckOptions{Timeout: time.Second}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", url, err, want)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	f("probe.example/o", "want an URL such as")
	f("ftp://probe.example/o", "want an URL such as")
	f("http://%zz/", "invalid URL escape")
	f("http://"+l.Addr().String()+"/o", "connection refused")
	s := start(t, Config{})
	f(s.url(0, "/big?bytes=2000000"), "over 1 MiB")
	f("https://"+s.Addrs()[0].String()+"/o", "HTTP response to HTTPS client")
}

func TestParseTimings(t *testing.T) {
	f := func(header string, want ...timing) {
		t.Helper()
		if d := cmp.Diff(want, parseTimings([]string{header}), cmp.AllowUnexported(timing{})); d != "" {
			t.Errorf("%s: %s", header, d)
		}
	}
	f(`pop;desc="iad", srv;dur=0.05`, timing{name: "pop", desc: "iad", hasDesc: true, quoted: true}, timing{name: "srv", dur: 0.05})
	f(`a;desc="x, y;z \"q\"";dur=1`, timing{name: "a", desc: `x, y;z "q"`, hasDesc: true, quoted: true, dur: 1})
	f(` a ; DUR = 2 ; dur=3;x , , b`, timing{name: "a", dur: 2}, timing{name: "b"})
	f(`a;dur="4";desc=`, timing{name: "a", dur: 4, hasDesc: true})
	f(`a;dur=`, timing{name: "a", badDur: "(empty)"})
	f(`a;desc="open`, timing{name: "a", desc: `"open`, hasDesc: true})
	f(``)
}

func FuzzServerTiming(f *testing.F) {
	f.Add(`pop;desc="iad", vip;desc="americas", srv;dur=0.05, rtt;dur=18.6, mrtt;dur=18.4, af;desc="6"`)
	f.Add(`a;desc="x, y;z \"q\"";dur=1, b;dur=nan;desc="\`)
	f.Fuzz(func(t *testing.T, header string) {
		for _, tm := range parseTimings([]string{header}) {
			if tm.name == "" || len(tm.desc) > len(header) {
				t.Errorf("%q gives %+v", header, tm)
			}
		}
		// What we write ourselves is found whatever stands before it, unless
		// that leaves a quoted-string open or has a pop of its own.
		if !strings.ContainsAny(header, "\"\\") && !strings.Contains(header, "pop") {
			got, n := timingOf(parseTimings([]string{header, `pop;desc="iad"`}), "pop")
			if n != 1 || got.desc != string(edge.PoPID("iad")) || !got.quoted {
				t.Errorf("after %q: %+v, %d times", header, got, n)
			}
		}
	})
}
