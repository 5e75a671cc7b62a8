package pop

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"testing"
	"time"
)

// TestDraining: while a PoP drains each connection ends with the answer on it,
// over HTTP/1.1 by a header and over HTTP/2 by a GOAWAY, and no answer is lost.
func TestDraining(t *testing.T) {
	cert, pool := selfSigned(t, "www.edge.example")
	s := start(t, Config{Certificates: []tls.Certificate{cert}, Listeners: []Listener{{Addr: "127.0.0.1:0"}, {Addr: "127.0.0.1:0", TLS: true}}})
	for i, version := range []int{1, 2} {
		client := newClient(t, &tls.Config{ServerName: "www.edge.example", RootCAs: pool})
		ask := func() (reused bool) {
			t.Helper()
			trace := &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { reused = c.Reused }}
			req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, s.url(i, "/o"), nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = "www.edge.example"
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK || resp.ProtoMajor != version {
				t.Errorf("%s: %s", resp.Proto, resp.Status)
			}
			var body [2]byte
			if _, err := resp.Body.Read(body[:]); string(body[:]) != "ok" {
				t.Errorf("%q, %v", body, err)
			}
			return reused
		}
		s.SetDraining(false)
		ask()
		if !ask() {
			t.Errorf("HTTP/%d: in service, the connection was not used again", version)
		}
		s.SetDraining(true)
		ask()
		for range 3 {
			if ask() && version == 1 {
				t.Error("HTTP/1.1: a connection was used again")
			}
		}
		if version == 2 { // a GOAWAY lets requests go on that are under way: at the latest the next one but one is elsewhere
			again := 0
			for range 10 {
				if ask() {
					again++
				}
			}
			if again > 5 {
				t.Errorf("HTTP/2: %d of 10 requests on a connection that was to end", again)
			}
		}
	}
}

// TestIdle: a connection that is idle for long enough is closed, one that is
// not goes on.
func TestIdle(t *testing.T) {
	i := idling{since: map[net.Conn]time.Time{}}
	long, short, busy := fakeConn{new(bool)}, fakeConn{new(bool)}, fakeConn{new(bool)}
	began := time.Now()
	for _, c := range []fakeConn{long, short, busy} {
		i.state(c, http.StateNew)
		i.state(c, http.StateIdle)
	}
	i.state(busy, http.StateActive)
	i.since[short] = began.Add(3 * time.Second)
	i.close(5*time.Second, began.Add(6*time.Second))
	if !*long.closed || *short.closed || *busy.closed {
		t.Errorf("closed: long %t, short %t, busy %t", *long.closed, *short.closed, *busy.closed)
	}
}

type fakeConn struct{ closed *bool }

func (c fakeConn) Close() error                   { *c.closed = true; return nil }
func (fakeConn) Read([]byte) (int, error)         { return 0, nil }
func (fakeConn) Write([]byte) (int, error)        { return 0, nil }
func (fakeConn) LocalAddr() net.Addr              { return nil }
func (fakeConn) RemoteAddr() net.Addr             { return nil }
func (fakeConn) SetDeadline(time.Time) error      { return nil }
func (fakeConn) SetReadDeadline(time.Time) error  { return nil }
func (fakeConn) SetWriteDeadline(time.Time) error { return nil }
