package pop

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"

	"github.com/pires/go-proxyproto"

	"catchment/internal/edge"
)

// acceptor hands accepted connections to the HTTP server as *conn. It never
// reads from them: a client that sends nothing holds up nobody.
type acceptor struct {
	net.Listener
	server *Server
	vip    edge.VIPID
}

// Accept returns the next connection that is within the limits; those beyond
// them are closed at once.
func (a *acceptor) Accept() (net.Conn, error) {
	for {
		socket, err := a.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := a.server.admit(socket, a.vip); c != nil {
			return c, nil
		}
		_ = socket.Close()
	}
}

// admit counts a connection and wraps it, or returns nil when there are too
// many.
func (s *Server) admit(socket net.Conn, vip edge.VIPID) *conn {
	prefix := prefixOf(addrOf(socket.RemoteAddr()))
	if reason := s.conns.enter(prefix); reason != "" {
		s.metrics.refused.WithLabelValues(reason).Inc()
		return nil
	}
	s.metrics.connections.Inc()
	return s.newConn(socket, vip, func() {
		s.conns.leave(prefix)
		s.metrics.connections.Dec()
	})
}

// newConn wraps socket and reads nothing from it yet.
func (s *Server) newConn(socket net.Conn, vip edge.VIPID, closed func()) *conn {
	c := &conn{Conn: socket, vip: vip, closed: sync.OnceFunc(closed)}
	if !s.trusts(addrOf(socket.RemoteAddr())) {
		if s.cfg.Delay == 0 {
			c.socket = socket
		}
		return c
	}
	// The specification has the receiver know beforehand whether the header
	// comes, and never guess (PROXY protocol, section 2): whom we trust must
	// send it, and the kernel's RTT is then the way to the proxy, not to the
	// client, so c.socket stays nil.
	header := proxyproto.NewConn(socket,
		proxyproto.WithPolicy(proxyproto.REQUIRE),
		proxyproto.SetReadHeaderTimeout(headerTimeout),
		proxyproto.ValidateHeader(validHeader))
	c.Conn = header
	c.header = sync.OnceFunc(func() {
		result := "accepted"
		if header.ProxyHeader() == nil {
			result = "refused"
		}
		s.metrics.proxyHeaders.WithLabelValues(result).Inc()
	})
	return c
}

func (s *Server) trusts(a netip.Addr) bool {
	for _, p := range s.cfg.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// validHeader refuses what cannot be a client of ours: datagrams, and sockets
// without addresses. A LOCAL command, with which a proxy checks our health, has
// none, and the real endpoints count.
func validHeader(h *proxyproto.Header) error {
	if h.Command.IsLocal() {
		return nil
	}
	if _, _, ok := h.TCPAddrs(); !ok {
		return errors.New("pop: the PROXY header is not about a TCP connection")
	}
	return nil
}

// conn is an accepted connection. LocalAddr and RemoteAddr are what the PROXY
// header says where there is one; they wait for it, for up to headerTimeout.
type conn struct {
	net.Conn
	socket net.Conn   // for the kernel's RTT; nil by way of a proxy, or with a Delay
	vip    edge.VIPID // of the listener; empty: by the local address
	header func()     // counts the PROXY header, once; nil: none is expected
	closed func()
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.header != nil {
		c.header()
	}
	return n, err
}

func (c *conn) Close() error {
	err := c.Conn.Close()
	c.closed()
	return err
}

// local returns the address that the client connected to, client the client's.
func (c *conn) local() netip.Addr  { return addrOf(c.LocalAddr()) }
func (c *conn) client() netip.Addr { return addrOf(c.RemoteAddr()) }

// addrOf returns the IP address in a, without zone and never IPv4 mapped into
// IPv6; the zero Addr if there is none.
func addrOf(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}

type connKey struct{}

// withConn keeps the connection for the handlers. It runs in the accept loop,
// so it must not read: no addresses here.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	return context.WithValue(ctx, connKey{}, c)
}

func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}
