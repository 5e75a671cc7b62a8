package authdns

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func frameFrom(r io.Reader) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	packet := make([]byte, binary.BigEndian.Uint16(head[:]))
	_, err := io.ReadFull(r, packet)
	return packet, err
}

// numbered returns the i-th of a row of queries: fast, slow, big, malformed.
func numbered(i int) (packet []byte, rcode byte) {
	p := []*packetOf{
		ask("www.example.net", dns.TypeA).edns(ecs("192.0.2.0/24")),
		ask("whoami.example.net", dns.TypeTXT),
		ask("large.example.net", dns.TypeTXT).signed(),
		aOnly().raw([]byte{0}),
		ask("nope.example.net", dns.TypeA),
	}[i%5]
	packet = p.pack()
	binary.BigEndian.PutUint16(packet, uint16(i))
	return packet, []byte{0, 0, 0, dns.RcodeFormatError, dns.RcodeNameError}[i%5]
}

func wantNumbered(t *testing.T, conn io.Reader, i int) {
	t.Helper()
	got, err := frameFrom(conn)
	if err != nil {
		t.Fatalf("answer %d: %v", i, err)
	}
	if _, rcode := numbered(i); binary.BigEndian.Uint16(got) != uint16(i) || got[3]&0x0F != rcode || got[2]&flagTC != 0 {
		t.Fatalf("answer %d: %x", i, got[:headerLen])
	}
}

// wantClosed waits for the other end to close a connection.
func wantClosed(t *testing.T, conn io.Reader) {
	t.Helper()
	if b, err := io.ReadAll(conn); len(b) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%d bytes, %v; want the connection closed", len(b), err)
	}
}

// TestStreams: however queries are cut into segments, they are answered in
// order (RFC 7766, sections 6.2.1.1 and 8).
func TestStreams(t *testing.T) {
	s := start(t, overTLSToo(t), func(c *Config) { c.Limits.QueryTimeout = time.Minute })
	const count = 50
	var all []byte
	for i := range count {
		packet, _ := numbered(i)
		all = append(all, frame(packet)...)
	}
	for _, network := range []string{"tcp", "tls"} {
		t.Run(network, func(t *testing.T) {
			for _, size := range []int{len(all), 1, 2, 3, 17, 100, 1000, 5000} {
				t.Run(fmt.Sprint("segments of ", size, " bytes"), func(t *testing.T) {
					conn := dialStream(t, s, network)
					done := make(chan error, 1)
					go func() {
						for at := 0; at < len(all); at += size {
							if _, err := conn.Write(all[at:min(at+size, len(all))]); err != nil {
								done <- err
								return
							}
						}
						done <- nil
					}()
					for i := range count {
						wantNumbered(t, conn, i)
					}
					if err := <-done; err != nil {
						t.Error(err)
					}
				})
			}
			t.Run("one after the other", func(t *testing.T) {
				conn := dialStream(t, s, network)
				for i := range count {
					packet, _ := numbered(i)
					writeFrame(t, conn, packet)
					wantNumbered(t, conn, i)
				}
			})
			t.Run("its end behind the last query", func(t *testing.T) {
				conn := dialStream(t, s, network)
				if _, err := conn.Write(all); err != nil {
					t.Fatal(err)
				}
				if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
					t.Fatal(err)
				}
				for i := range count {
					wantNumbered(t, conn, i)
				}
				wantClosed(t, conn)
			})
		})
	}
}

func dialStream(t *testing.T, s *Server, network string) net.Conn {
	t.Helper()
	if network == "tcp" {
		return dial(t, s, "tcp", 0)
	}
	conn := tls.Client(dial(t, s, "tcp", 1), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"dot"}})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestFrames: what is not a query within a stream.
func TestFrames(t *testing.T) {
	s := start(t)
	good, _ := numbered(0)
	response := aOnly().flag(0x8000).pack()
	long := func(n int) []byte { // a well-formed query of n bytes
		p := aOnly().pack()
		pad := n - len(p) - 11 - 4
		return aOnly().edns(append(binary.BigEndian.AppendUint16([]byte{0xFD, 0xE9}, uint16(pad)), make([]byte, pad)...)).pack()
	}
	for _, c := range []struct {
		name   string
		sent   []byte
		rcodes []byte // of the answers
		closed bool   // then
	}{
		{"a length of zero", append(frame(nil), frame(good)...), nil, true},
		{"shorter than a header", append(frame(good[:11]), frame(good)...), nil, true},
		{"a response", append(frame(response), frame(good)...), nil, true},
		{"answers before what closes", append(frame(good), frame(response)...), []byte{0}, true},
		{"a header alone", append(frame(good[:12]), frame(good)...), []byte{1, 0}, false},
		{"as long as is looked at", append(frame(long(maxQueryTCP)), frame(good)...), []byte{0, 0}, false},
		{"longer than is looked at", append(frame(long(maxQueryTCP+1)), frame(good)...), []byte{1, 0}, false},
		{"65,535 bytes", append(frame(long(65535)), frame(good)...), []byte{1, 0}, false},
		{"65,535 bytes twice, and between others", bytes.Join([][]byte{frame(good), frame(long(65535)), frame(good), frame(long(65535)), frame(good)}, nil), []byte{0, 1, 0, 1, 0}, false},
		{"65,535 bytes of a response", append(frame(append(response, make([]byte, 65535-len(response))...)), frame(good)...), nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := dial(t, s, "tcp", 0)
			go func() { _, _ = conn.Write(c.sent) }()
			for i, want := range c.rcodes {
				if got := readFrame(t, conn); got[3]&0x0F != want {
					t.Fatalf("answer %d: %x, want RCODE %d", i, got[:headerLen], want)
				}
			}
			if c.closed {
				wantClosed(t, conn)
				return
			}
			writeFrame(t, conn, good)
			readFrame(t, conn)
		})
	}
}

// TestSlowClients: who sends or takes too slowly, or nothing, is cut off, and
// holds up nobody else.
func TestSlowClients(t *testing.T) {
	s := start(t, overTLSToo(t), func(c *Config) {
		c.Limits.QueryTimeout, c.Limits.IdleTimeout, c.Limits.Queries = 100*time.Millisecond, 300*time.Millisecond, 100_000
	})
	good, _ := numbered(0)
	for _, c := range []struct {
		name     string
		listener int
		sent     []byte
		answers  int
	}{
		{"says nothing", 0, nil, 0},
		{"half a length", 0, []byte{0}, 0},
		{"half a query", 0, frame(good)[:20], 0},
		{"a query and a half", 0, append(frame(good), frame(good)[:20]...), 1},
		{"half a query that is too long", 0, append([]byte{0xFF, 0xFF}, good...), 0},
		{"no handshake", 1, nil, 0},
		{"half a handshake", 1, []byte{22, 3, 1, 2, 0, 1}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, s, "tcp", c.listener)
			if _, err := conn.Write(c.sent); err != nil {
				t.Fatal(err)
			}
			for range c.answers {
				readFrame(t, conn)
			}
			wantClosed(t, conn)
		})
	}
	t.Run("no handshake but a query in the clear", func(t *testing.T) {
		t.Parallel()
		conn := dial(t, s, "tcp", 1)
		writeFrame(t, conn, good)
		if b, _ := io.ReadAll(conn); bytes.Contains(b, []byte("example")) {
			t.Errorf("answered in the clear: %x", b)
		}
	})
	t.Run("a byte at a time, for ever", func(t *testing.T) {
		t.Parallel()
		conn := dial(t, s, "tcp", 0)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		query := frame(ask(strings.Repeat("a.", 100)+"example.net", dns.TypeA).pack())
		for i := range query {
			<-tick.C
			if _, err := conn.Write(query[i : i+1]); err != nil {
				return // cut off
			}
		}
		t.Error("a query that took two seconds was let in")
	})
	t.Run("takes no answers", func(t *testing.T) {
		t.Parallel()
		conn := dial(t, s, "tcp", 0)
		_ = conn.(*net.TCPConn).SetReadBuffer(4096)
		query := bytes.Repeat(frame(ask("large.example.net", dns.TypeTXT).pack()), 100)
		for range 10_000 {
			if _, err := conn.Write(query); err != nil {
				if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
					return
				}
				t.Fatal(err)
			}
		}
		t.Error("never cut off")
	})
}

func TestConnectionLimits(t *testing.T) {
	good, _ := numbered(0)
	answered := func(t *testing.T, conn net.Conn) {
		t.Helper()
		writeFrame(t, conn, good)
		readFrame(t, conn)
	}
	t.Run("in all", func(t *testing.T) {
		s := start(t, func(c *Config) { c.Limits.Connections = 3 })
		var open []net.Conn
		for range 3 {
			conn := dial(t, s, "tcp", 0)
			answered(t, conn)
			open = append(open, conn)
		}
		wantClosed(t, dial(t, s, "tcp", 0))
		// One that ends makes room for another.
		if err := open[0].(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		wantClosed(t, open[0])
		waitFor(t, func() bool { return s.gate.open() == 2 })
		answered(t, dial(t, s, "tcp", 0))
		if got := s.stats.connectionsRefused.Load(); got != 1 {
			t.Errorf("%d refused", got)
		}
		if got := describe(t, askUDP(t, s, aOnly().pack())); !strings.HasPrefix(got, "NOERROR") {
			t.Error(got)
		}
	})
	t.Run("of a prefix", func(t *testing.T) {
		s := start(t, func(c *Config) { c.Limits.ConnectionsPerPrefix = 2 })
		from := func(source string) net.Conn {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
			conn, err := d.Dial("tcp", s.Addrs()[0].String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			_ = conn.SetDeadline(time.Now().Add(patience))
			return conn
		}
		answered(t, from("127.0.0.1"))
		answered(t, from("127.0.0.2"))
		wantClosed(t, from("127.0.0.3"))
		answered(t, from("127.0.1.1"))
	})
	t.Run("of queries", func(t *testing.T) {
		s := start(t, func(c *Config) { c.Limits.Queries = 3 })
		conn := dial(t, s, "tcp", 0)
		if _, err := conn.Write(bytes.Repeat(frame(good), 4)); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			readFrame(t, conn)
		}
		wantClosed(t, conn)
	})
	t.Run("nobody counts twice", func(t *testing.T) {
		g := newGate(3, 2)
		a, b := gatePrefix(netip.MustParseAddr("192.0.2.1")), gatePrefix(netip.MustParseAddr("2001:db8:1:2::1"))
		if a.String() != "192.0.2.0/24" || b.String() != "2001:db8:1::/48" {
			t.Error(a, b)
		}
		for i, want := range []bool{true, true, false} {
			if g.enter(a) != want {
				t.Errorf("connection %d of one prefix is let in: %v", i+1, !want)
			}
		}
		for i, want := range []bool{true, false} { // the fourth of all is one too many
			if g.enter(b) != want {
				t.Errorf("connection %d of another prefix is let in: %v", i+1, !want)
			}
		}
		if g.open() != 3 {
			t.Error(g.active)
		}
		g.leave(a)
		g.leave(a)
		g.leave(b)
		if len(g.active) != 0 || g.open() != 0 {
			t.Error("what is closed is not forgotten", g.active)
		}
	})
}

// waitFor waits until something that is under way has happened.
func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
	}
}

// TestTLS: DNS over TLS (RFC 7858), and its padding (RFC 8467).
func TestTLS(t *testing.T) {
	s := start(t, overTLSToo(t))
	for _, c := range []struct {
		name   string
		protos []string
		max    uint16
		ok     bool
	}{
		{"dot", []string{"dot"}, 0, true},
		{"dot among others", []string{"h2", "dot"}, 0, true},
		{"none", nil, 0, true},
		{"another", []string{"h2"}, 0, false},
		{"TLS 1.2", []string{"dot"}, tls.VersionTLS12, true},
		{"TLS 1.1", []string{"dot"}, tls.VersionTLS11, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := tls.Client(dial(t, s, "tcp", 1), &tls.Config{InsecureSkipVerify: true, NextProtos: c.protos, MaxVersion: c.max, MinVersion: tls.VersionTLS10})
			err := conn.Handshake()
			if (err == nil) != c.ok {
				t.Fatalf("handshake: %v", err)
			}
			if !c.ok {
				return
			}
			writeFrame(t, conn, aOnly().pack())
			want := "NOERROR qr aa | a-only.example.net. IN A | an: a-only.example.net. 3600 A 203.0.113.3"
			if got := describe(t, readFrame(t, conn)); got != want {
				t.Error(got)
			}
		})
	}
	t.Run("padding", func(t *testing.T) {
		conn := dialStream(t, s, "tls")
		for _, qname := range []string{"a-only.example.net", "medium.example.net", "large.example.net", "nope.example.net", "whoami.example.net", "www.example.org"} {
			for _, qtype := range []uint16{dns.TypeTXT, dns.TypeA} {
				for _, option := range [][]byte{option(optPadding, ""), option(optPadding, "0000000000")} {
					writeFrame(t, conn, ask(qname, qtype).signed(option, ecs("192.0.2.0/24")).pack())
					if reply := readFrame(t, conn); len(reply)%padBlock != 0 || len(reply) > 4*padBlock*2 {
						t.Errorf("%s: %d bytes", qname, len(reply))
					} else {
						describe(t, reply)
					}
				}
			}
		}
		writeFrame(t, conn, aOnly().edns().pack())
		if reply := readFrame(t, conn); len(optionsOf(t, reply)) != 0 {
			t.Errorf("padding that nobody asked for: %d bytes", len(reply))
		}
		// Every length, to the block's edge.
		for n := range 2 * padBlock {
			if got := n + len(pad(make([]byte, 11), n)); got%padBlock != 0 {
				t.Fatalf("%d bytes are padded to %d", n, got)
			}
		}
	})
	t.Run("no UDP", func(t *testing.T) {
		conn, err := net.ListenPacket("udp", s.Addrs()[1].String())
		if err != nil {
			t.Errorf("the UDP port of TLS is taken: %v", err)
			return
		}
		_ = conn.Close()
	})
}

// TestIdleConnections: ten thousand clients that say nothing keep nobody from
// being answered, and cost little.
func TestIdleConnections(t *testing.T) {
	count := 10_000
	if raceEnabled {
		count = 2_000
	}
	limit := raiseFileLimit(t, uint64(2*count+500))
	count = min(count, int(limit-500)/2)
	s := start(t, func(c *Config) {
		c.Limits.Connections, c.Limits.ConnectionsPerPrefix, c.Limits.IdleTimeout = 4*count, 4*count, 5*time.Minute
	})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	all := make([]net.Conn, 0, count)
	t.Cleanup(func() {
		for _, conn := range all {
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	})
	for range count {
		conn, err := net.Dial("tcp", s.Addrs()[0].String())
		if err != nil {
			t.Fatalf("after %d connections: %v", len(all), err)
		}
		all = append(all, conn)
	}
	waitFor(t, func() bool { return s.gate.open() == count })
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (int64(after.HeapInuse+after.StackInuse) - int64(before.HeapInuse+before.StackInuse)) / int64(count)
	t.Logf("%d connections, %d bytes each, with the client's end", count, each)
	if each > 16<<10 {
		t.Errorf("an idle connection takes %d bytes", each)
	}
	want := "NOERROR qr aa | a-only.example.net. IN A | an: a-only.example.net. 3600 A 203.0.113.3"
	if got := describe(t, askUDP(t, s, aOnly().pack())); got != want {
		t.Errorf("over UDP: %s", got)
	}
	if got := describe(t, askTCP(t, s, aOnly().pack())); got != want {
		t.Errorf("over TCP: %s", got)
	}
	for i := 0; i < count; i += count / 100 { // those who waited are answered too
		_ = all[i].SetDeadline(time.Now().Add(patience))
		writeFrame(t, all[i], aOnly().pack())
		if got := describe(t, readFrame(t, all[i])); got != want {
			t.Errorf("connection %d: %s", i, got)
		}
	}
}

// raiseFileLimit raises the limit of open files, as far as it goes, and
// returns it.
func raiseFileLimit(t *testing.T, want uint64) uint64 {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		t.Fatal(err)
	}
	if r.Cur < want {
		raised := syscall.Rlimit{Cur: want, Max: max(r.Max, want)}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) != nil {
			raised = syscall.Rlimit{Cur: r.Max, Max: r.Max}
			_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised)
		}
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
			t.Fatal(err)
		}
	}
	return r.Cur
}
