package pop

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pires/go-proxyproto"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

var trustLoopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}

// header returns a PROXY header about a TCP connection.
func header(t testing.TB, version byte, from, to string) []byte {
	t.Helper()
	h := proxyproto.HeaderProxyFromAddrs(version, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from)), net.TCPAddrFromAddrPort(netip.MustParseAddrPort(to)))
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ask sends raw and a request from the local address given, over TLS if config
// is not nil.
func ask(t *testing.T, local, addr string, raw []byte, config *tls.Config, path string) (*http.Response, error) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}, Timeout: 5 * time.Second}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Write(raw); err != nil {
		return nil, err
	}
	if config != nil {
		c = tls.Client(c, config)
	}
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: global-1.probe.edge.example\r\n\r\n"); err != nil {
		return nil, err
	}
	return http.ReadResponse(bufio.NewReader(c), nil)
}

func TestProxyProtocol(t *testing.T) {
	cert, pool := selfSigned(t, "*.probe.edge.example")
	config := &tls.Config{ServerName: "global-1.probe.edge.example", RootCAs: pool}
	s := start(t, Config{
		TrustedProxies: trustLoopback,
		Certificates:   []tls.Certificate{cert},
		Listeners:      []Listener{{Addr: "127.0.0.1:0"}, {Addr: "127.0.0.1:0", TLS: true}},
	})
	plain, secure := s.Addrs()[0].String(), s.Addrs()[1].String()
	v4 := func(version byte) []byte { return header(t, version, "203.0.113.7:4711", "198.51.100.1:443") }
	v6 := header(t, 2, "[2001:db8:7::1]:4711", "[2001:db8:ff::1]:443")
	local, err := (&proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}).Format()
	if err != nil {
		t.Fatal(err)
	}

	f := func(name, addr, from string, raw []byte, config *tls.Config, want string) {
		t.Helper()
		resp, err := ask(t, from, addr, raw, config, "/o")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if got := timingShape(resp.Header); resp.StatusCode != 200 || got != want {
			t.Errorf("%s: status %d\n got %s\nwant %s", name, resp.StatusCode, got, want)
		}
	}
	viaGlobal4 := `pop;desc="iad", vip;desc="global", srv;dur=N, af;desc="4"`
	viaGlobal6 := `pop;desc="iad", vip;desc="global", srv;dur=N, af;desc="6"`
	f("version 2", plain, "127.0.0.1", v4(2), nil, viaGlobal4)
	f("version 1", plain, "127.0.0.1", v4(1), nil, viaGlobal4)
	f("version 2 over TLS", secure, "127.0.0.1", v4(2), config, viaGlobal4)
	f("IPv6 over IPv4", plain, "127.0.0.1", v6, nil, viaGlobal6)
	f("the proxy's own health check", plain, "127.0.0.1", local, nil, `pop;desc="iad", srv;dur=N, af;desc="4"`)
	f("a neighbor that is not trusted", plain, "127.0.0.9", nil, nil, `pop;desc="iad", srv;dur=N`+kernelTimes()+`, af;desc="4"`)

	refused := func(name, addr, from string, raw []byte, config *tls.Config) {
		t.Helper()
		if resp, err := ask(t, from, addr, raw, config, "/o"); err == nil && resp.StatusCode < 400 {
			t.Errorf("%s: status %d", name, resp.StatusCode)
		}
	}
	refused("no header from a trusted proxy", plain, "127.0.0.1", nil, nil)
	refused("no header from a trusted proxy, over TLS", secure, "127.0.0.1", nil, config)
	refused("a header from elsewhere", plain, "127.0.0.9", v4(2), nil)
	refused("a version 1 header from elsewhere", plain, "127.0.0.9", v4(1), nil)
	refused("a header from elsewhere, over TLS", secure, "127.0.0.9", v4(2), config)
	udp := append([]byte{}, v4(2)...)
	udp[13] = byte(proxyproto.UDPv4)
	refused("a datagram", plain, "127.0.0.1", udp, nil)

	if got := testutil.ToFloat64(s.metrics.proxyHeaders.WithLabelValues("accepted")); got != 5 {
		t.Errorf("%v headers were accepted", got)
	}
	if got := testutil.ToFloat64(s.metrics.proxyHeaders.WithLabelValues("refused")); got != 3 {
		t.Errorf("%v headers were refused", got)
	}
}

// TestProxiedClients counts downloads for the clients behind a proxy, each
// alone.
func TestProxiedClients(t *testing.T) {
	s := start(t, Config{TrustedProxies: trustLoopback, Limits: Limits{BytesPerMinute: 1000}})
	f := func(from string, want int) {
		t.Helper()
		resp, err := ask(t, "127.0.0.1", s.Addrs()[0].String(), header(t, 2, from, "198.51.100.1:443"), nil, "/big?bytes=600")
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != want {
			t.Errorf("%s: status %d, want %d", from, resp.StatusCode, want)
		}
	}
	f("203.0.113.7:1", 200)
	f("203.0.113.8:1", 429)
	f("192.0.2.7:1", 200)
}

func TestSilentProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := pipeServer(t, Config{TrustedProxies: trustLoopback})
		c := l.dialFrom("127.0.0.1:1")
		begin := time.Now()
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("got %v, want the connection closed", err)
		}
		if took := time.Since(begin); took != headerTimeout {
			t.Errorf("it was closed after %v, want %v", took, headerTimeout)
		}
		synctest.Wait()
		if got := testutil.ToFloat64(s.metrics.connections); got != 0 {
			t.Errorf("%v connections are left", got)
		}
	})
}

// FuzzProxyHeader sends anything at all through a connection from a trusted
// proxy: the server must not panic, must end within its time limits (which
// pass at once under synctest), and serves nothing without a good header.
func FuzzProxyHeader(f *testing.F) {
	request := []byte("GET /o HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	f.Add(append(header(f, 2, "203.0.113.7:4711", "198.51.100.1:443"), request...))
	f.Add(append(header(f, 2, "[2001:db8::7]:4711", "[2001:db8:ff::1]:443"), request...))
	f.Add(append(header(f, 1, "203.0.113.7:4711", "198.51.100.1:443"), request...))
	f.Add(append([]byte("PROXY UNKNOWN\r\n"), request...))
	f.Add(append([]byte("PROXY TCP4 203.0.113.7"), bytes.Repeat([]byte{' '}, 300)...))
	f.Add(append(append([]byte{}, proxyproto.SIGV2...), 0x20, 0x00, 0xff, 0xff))
	f.Add(append(append([]byte{}, proxyproto.SIGV2...), 0x21, 0x11, 0x00, 0x0c))
	f.Add(request)
	f.Fuzz(func(t *testing.T, raw []byte) {
		synctest.Test(t, func(t *testing.T) {
			_, l := pipeServer(t, Config{TrustedProxies: trustLoopback})
			c := l.dialFrom("127.0.0.1:1")
			begin := time.Now()
			go func() {
				_, _ = c.Write(raw)
			}()
			answer, _ := io.ReadAll(io.LimitReader(c, 1<<20))
			if took := time.Since(begin); took > headerTimeout+requestTimeout+idleTimeout+writeTimeout {
				t.Errorf("the connection lasted %v", took)
			}
			good := bytes.HasPrefix(raw, proxyproto.SIGV1) || bytes.HasPrefix(raw, proxyproto.SIGV2)
			if len(answer) > 0 && !good {
				t.Errorf("without a PROXY header it was answered: %.80q", answer)
			}
			if strings.Contains(string(answer), ", rtt;dur=") {
				t.Errorf("an RTT to the proxy was told: %q", answer)
			}
			_ = c.Close()
		})
	})
}

// pipes is a listener of connections in memory, for synctest.
type pipes struct {
	conns chan net.Conn
	done  context.Context
	close context.CancelFunc
}

// pipeServer runs a server on pipes until the test ends.
func pipeServer(t *testing.T, cfg Config) (*started, *pipes) {
	t.Helper()
	// Not the test's context, which ends before the server is asked to stop.
	ctx, cancel := context.WithCancel(context.Background())
	l := &pipes{make(chan net.Conn), ctx, cancel}
	s := newTestServer(t, cfg)
	if err := s.openCerts(); err != nil {
		t.Fatal(err)
	}
	s.bound = []bound{{&acceptor{Listener: l, server: s.Server}, s.certs != nil}}
	s.stop = run(t, s.Server)
	return s, l
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done.Done():
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error   { l.close(); return nil }
func (l *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dialFrom returns the client's end of a new connection.
func (l *pipes) dialFrom(addr string) net.Conn {
	client, server := net.Pipe()
	l.conns <- pipeEnd{server, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))}
	return client
}

// pipeEnd is the server's end of a pipe, with addresses.
type pipeEnd struct {
	net.Conn
	remote net.Addr
}

func (p pipeEnd) RemoteAddr() net.Addr { return p.remote }
func (p pipeEnd) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }
