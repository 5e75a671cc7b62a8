package synth

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"catchment/internal/edge"
)

// serve accepts connections on loopback and hands each to f, with its number.
func serve(t *testing.T, f func(c *net.TCPConn, n int)) (port uint16) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop); l.Close() })
	go func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				f(c.(*net.TCPConn), n)
				<-stop
				c.Close()
			}()
		}
	}()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

// request reads a request, and returns its path; empty: none came.
func request(r *bufio.Reader) string {
	req, err := http.ReadRequest(r)
	if err != nil {
		return ""
	}
	return req.URL.RequestURI()
}

func header(pop string, length int) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nX-PoP: %s\r\nContent-Length: %d\r\n\r\n", pop, length)
}

// slowAt returns the record of a slow download of one second from port.
func slowAt(t *testing.T, port uint16, p Protocol) Download {
	t.Helper()
	const limit = 600 * time.Millisecond
	a, out, _ := newAgent(t, Config{Port: port, TLSPort: port, Limits: Limits{Connect: limit, Answer: limit, Stall: limit}})
	a.slow(t.Context(), routeTo(t, a, "pop:iad", "127.0.0.1", p), time.Second)
	d := out.one(t, Slow)
	if d.TCP == nil != (d.Stage == Connecting) {
		t.Errorf("TCP_INFO %v at stage %s", d.TCP, d.Stage)
	}
	return d
}

func TestFailures(t *testing.T) {
	half := func(c *net.TCPConn) { // of the object
		request(bufio.NewReader(c))
		io.WriteString(c, header("iad", 400)+strings.Repeat("x", 200))
	}
	answer := func(text string) func(*net.TCPConn, int) {
		return func(c *net.TCPConn, _ int) {
			request(bufio.NewReader(c))
			io.WriteString(c, text)
		}
	}
	body := strings.Repeat("x", 400)
	slow := func(body string) func(*net.TCPConn, int) { // as slow as was asked for
		return func(c *net.TCPConn, _ int) {
			request(bufio.NewReader(c))
			io.WriteString(c, header("iad", 400))
			for part := range 2 {
				time.Sleep(450 * time.Millisecond)
				io.WriteString(c, body[part*200:min(len(body), 200+part*201)])
			}
		}
	}
	for _, c := range []struct {
		name  string
		serve func(*net.TCPConn, int)
		want  Download // Outcome, Stage, Errno, Status, Bytes
	}{
		{
			"reset in the body", func(c *net.TCPConn, _ int) { half(c); c.SetLinger(0); c.Close() },
			Download{Outcome: Reset, Stage: Body, Errno: "ECONNRESET", Bytes: 200},
		},
		{
			"reset before an answer", func(c *net.TCPConn, _ int) { request(bufio.NewReader(c)); c.SetLinger(0); c.Close() },
			Download{Outcome: Reset, Stage: Asking, Errno: "ECONNRESET"},
		},
		{
			"closed in the body", func(c *net.TCPConn, _ int) { half(c); c.Close() },
			Download{Outcome: Closed, Stage: Body, Bytes: 200},
		},
		{
			"closed before an answer", func(c *net.TCPConn, _ int) { request(bufio.NewReader(c)); c.Close() },
			Download{Outcome: Closed, Stage: Asking},
		},
		{
			"silence in the body", func(c *net.TCPConn, _ int) { half(c) },
			Download{Outcome: Stall, Stage: Body, Bytes: 200},
		},
		{"no answer", func(*net.TCPConn, int) {}, Download{Outcome: Timeout, Stage: Asking}},
		{"no answer at the end", slow(body), Download{Outcome: Stall, Stage: End, Bytes: 400}},
		{"trickle without end", func(c *net.TCPConn, _ int) {
			half(c)
			for range 40 {
				time.Sleep(100 * time.Millisecond)
				if _, err := c.Write([]byte("x")); err != nil {
					return
				}
			}
		}, Download{Outcome: Timeout, Stage: Body}},
		{
			"captive portal", answer("HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n" + body),
			Download{Outcome: WrongObject, Stage: Asking},
		},
		{
			"not found", answer("HTTP/1.1 404 Not Found\r\nX-PoP: iad\r\nContent-Length: 0\r\n\r\n"),
			Download{Outcome: WrongObject, Stage: Asking, Status: 404},
		},
		{"another length", answer(header("iad", 399) + body), Download{Outcome: WrongObject, Stage: Asking}},
		{
			"chunks", answer("HTTP/1.1 200 OK\r\nX-PoP: iad\r\nTransfer-Encoding: chunked\r\n\r\n"),
			Download{Outcome: WrongObject, Stage: Asking},
		},
		{"not HTTP", answer("SSH-2.0-example\r\n\r\n"), Download{Outcome: WrongObject, Stage: Asking}},
		{
			"endless header", answer("HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Y: z\r\n", 4000)),
			Download{Outcome: WrongObject, Stage: Asking},
		},
		{"bytes after the end", slow(body + "x"), Download{Outcome: WrongObject, Stage: End, Bytes: 400}},
		{
			"too busy", answer("HTTP/1.1 503 Service Unavailable\r\nX-PoP: iad\r\nContent-Length: 0\r\n\r\n"),
			Download{Outcome: Busy, Stage: Asking, Status: 503},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := slowAt(t, serve(t, c.serve), HTTP)
			got := Download{Outcome: d.Outcome, Stage: d.Stage, Errno: d.Errno, Status: d.Status, Bytes: d.Bytes}
			if c.name == "trickle without end" {
				got.Bytes = 0
				if d.Bytes < 210 {
					t.Errorf("%d bytes", d.Bytes)
				}
			}
			if c.want.Outcome == Stall && c.want.Stage == Body && d.Gap < 600 {
				t.Errorf("silence of %v ms", d.Gap)
			}
			if d := cmp.Diff(c.want, got, prefixes); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

// An answer that says it is the last ends the connection in order.
func TestLastAnswer(t *testing.T) {
	port := serve(t, func(c *net.TCPConn, _ int) {
		request(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nX-PoP: iad\r\nConnection: close\r\nContent-Length: 400\r\n\r\n"+strings.Repeat("x", 400))
		c.Close()
	})
	if d := slowAt(t, port, HTTP); d.Outcome != OK || d.PoPEnd != "iad" {
		t.Errorf("%+v", d)
	}
}

func TestRefused(t *testing.T) {
	if d := slowAt(t, freePort(t), HTTP); d.Outcome != Refused || d.Errno != "ECONNREFUSED" {
		t.Errorf("%+v", d)
	}
}

// TLS: names and authorities that do not match, another protocol, silence.
func TestTLSFailures(t *testing.T) {
	cert, _ := certificate(t, "*.probe.edge.example")
	handshake := func(c *net.TCPConn, _ int) {
		tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*cert}}).Handshake()
	}
	alert := func(c *net.TCPConn, _ int) {
		tls.Server(c, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, io.EOF }}).Handshake()
	}
	for _, c := range []struct {
		name    string
		serve   func(*net.TCPConn, int)
		outcome Outcome
		text    string
	}{
		{"unknown authority", handshake, TLS, "unknown authority"},
		{"alert", alert, TLS, "internal error"},
		{"not TLS", func(c *net.TCPConn, _ int) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, TLS, "does not look like a TLS handshake"},
		{"silence", func(*net.TCPConn, int) {}, Timeout, "silent"},
		{"reset", func(c *net.TCPConn, _ int) { c.Read(make([]byte, 1)); c.SetLinger(0); c.Close() }, Reset, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := slowAt(t, serve(t, c.serve), HTTPS)
			if d.Outcome != c.outcome || d.Stage != Handshake || !strings.Contains(d.Error, c.text) {
				t.Errorf("%s at %s: %q, want %s: %q", d.Outcome, d.Stage, d.Error, c.outcome, c.text)
			}
		})
	}
}

// HTTP/2: what the socket said is what counts, not what the client made of it.
func TestHTTP2Reset(t *testing.T) {
	t.Parallel()
	cert, pool := certificate(t, "www.edge.example")
	sockets := make(chan net.Conn, 1)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*cert}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{
		ConnState: func(c net.Conn, state http.ConnState) {
			if state == http.StateNew {
				sockets <- c.(*tls.Conn).NetConn()
			}
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-PoP", "iad")
			w.Header().Set("Content-Length", "400")
			w.Write(make([]byte, 200))
			w.(http.Flusher).Flush()
			time.Sleep(100 * time.Millisecond) // until it has arrived
			c := (<-sockets).(*net.TCPConn)
			c.SetLinger(0)
			c.Close()
		}),
	}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	a, out, _ := newAgent(t, Config{TLSPort: port, RootCAs: pool})
	a.slow(t.Context(), routeTo(t, a, "pop:iad", "127.0.0.1", HTTP2), time.Second)
	if d := out.one(t, Slow); d.Outcome != Reset || d.Stage != Body || d.Bytes != 200 || d.Spoke != "h2" {
		t.Errorf("%+v", d)
	}
}

// Flips between connections, and one that fails.
func TestLook(t *testing.T) {
	pops := []string{"iad", "lax", "", "lax", "iad"}
	port := serve(t, func(c *net.TCPConn, n int) {
		request(bufio.NewReader(c))
		if pops[n] == "" {
			c.SetLinger(0)
			c.Close()
			return
		}
		io.WriteString(c, header(pops[n], 2)+"ok")
	})
	a, out, _ := newAgent(t, Config{Port: port})
	a.look(t.Context(), routeTo(t, a, "vip:global", "127.0.0.1", HTTP))
	d := out.one(t, Look)
	if diff := cmp.Diff([]edge.PoPID{"iad", "lax", edge.Failed, "lax", "iad"}, d.Served); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if d.Flips != 2 || d.Outcome != Reset || d.Errno != "ECONNRESET" || d.PoP != "iad" || d.PoPEnd != "iad" {
		t.Errorf("%+v", d)
	}
	if n := testutil.ToFloat64(a.metrics.flips.WithLabelValues("vip:global", "4")); n != 2 {
		t.Errorf("%v flips counted", n)
	}
}

// A path that swallows large packets: the tiny object arrives, the big one does
// not.
func TestBlackHole(t *testing.T) {
	t.Parallel()
	port := serve(t, func(c *net.TCPConn, _ int) {
		r := bufio.NewReader(c)
		if request(r) == "/o" {
			io.WriteString(c, header("iad", 2)+"ok")
		}
		request(r)
	})
	a, out, _ := newAgent(t, Config{Port: port})
	a.big(t.Context(), routeTo(t, a, "vip:global", "127.0.0.1", HTTP))
	if d := out.one(t, Big); d.Outcome != Stall || d.Stage != Body || d.Bytes != 0 || d.PoP != "iad" || d.Gap < 1000 {
		t.Errorf("%+v", d)
	}
}

// What the agent's own machine cannot do is no record.
func TestSkipped(t *testing.T) {
	for reason, errs := range map[string][2]error{
		"no_route": {syscall.ENETUNREACH, syscall.ENETUNREACH}, // TCP, UDP
		"local":    {syscall.EMFILE, nil},
		"":         {syscall.ENETUNREACH, nil}, // from the network
	} {
		a, out, _ := newAgent(t, Config{Dial: dialer(errs)})
		a.slow(t.Context(), routeTo(t, a, "vip:global", "198.51.100.1", HTTP), time.Second)
		if reason == "" {
			if d := out.one(t, Slow); d.Outcome != Unreachable || d.Errno != "ENETUNREACH" {
				t.Errorf("%+v", d)
			}
			continue
		}
		if n := testutil.ToFloat64(a.metrics.skipped.WithLabelValues(reason)); n != 1 || len(out.all) > 0 {
			t.Errorf("%s: %v skipped, %d records", reason, n, len(out.all))
		}
	}
}
