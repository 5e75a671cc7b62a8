package sockets

import (
	"net"
	"net/netip"
	"testing"
)

// TestList: a listener, and a connection from both of its ends.
func TestList(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	here, there := addr(c.LocalAddr()), addr(l.Addr())
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	count := func(states uint32, local, remote netip.AddrPort) (n int) {
		if err := s.List(states, func(x Socket) {
			if x.Local == local && (x.Remote == remote || !remote.IsValid()) {
				n++
			}
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(Listening, there, netip.AddrPort{}); n != 1 {
		t.Errorf("%d listeners", n)
	}
	if n, m := count(Open, here, there), count(Open, there, here); n != 1 || m != 1 {
		t.Errorf("%d connections from one end, %d from the other", n, m)
	}
	if n := count(Listening, here, there); n != 0 {
		t.Errorf("%d connections listen", n)
	}
}

func addr(a net.Addr) netip.AddrPort { return a.(*net.TCPAddr).AddrPort() }

func FuzzAnswer(f *testing.F) {
	f.Add([]byte{16, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{17, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = (&Lister{}).answer(b, func(Socket) {})
	})
}
