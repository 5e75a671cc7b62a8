package authdns

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// maxQueryTCP is the longest query that is looked at; of a longer one only the
// header is, and it is answered with FORMERR. It bounds what a connection can
// hold.
const maxQueryTCP = 4096

// maxPending is how many bytes of answers are gathered before they are
// written.
const maxPending = 32 << 10

type tcpListener struct {
	net.Listener
	tls bool
}

// accept accepts connections until ctx is done.
func (s *Server) accept(ctx context.Context, l *tcpListener) error {
	var conns sync.WaitGroup
	defer conns.Wait()
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	var config *tls.Config
	if l.tls {
		config = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.certs.Get, NextProtos: []string{"dot"}}
	}
	for pause := time.Duration(0); ; {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			// No descriptors, mostly. What is open goes on.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.log.Error("connections are not accepted", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			continue
		}
		pause = 0
		peer := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap().WithZone("")
		prefix := gatePrefix(peer)
		if !s.gate.enter(prefix) {
			s.stats.connectionsRefused.Add(1)
			_ = conn.Close()
			continue
		}
		s.stats.connections.Add(1)
		conns.Go(func() {
			defer s.gate.leave(prefix)
			s.serveConn(ctx, conn, peer, config)
		})
	}
}

// serveConn answers one connection, in order (RFC 7766, section 6.2.1.1),
// until it is closed, idle for too long, or ctx is done.
func (s *Server) serveConn(ctx context.Context, conn net.Conn, peer netip.Addr, config *tls.Config) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })()
	c := &tcpConn{Server: s, Conn: conn, ctx: ctx, peer: peer, via: overTCP, left: s.cfg.Limits.Queries}
	if config != nil {
		secure := tls.Server(conn, config)
		_ = conn.SetDeadline(time.Now().Add(s.cfg.Limits.QueryTimeout))
		if secure.Handshake() != nil {
			s.stats.connectionsCut.Add(1)
			return
		}
		c.Conn, c.via = secure, overTLS
		_ = conn.SetDeadline(time.Time{})
	}
	for c.left > 0 && c.wait() {
	}
}

// tcpConn is one connection. While it is idle it holds no buffers.
type tcpConn struct {
	*Server
	net.Conn
	ctx  context.Context
	peer netip.Addr
	via  transport
	left int // queries until it is closed
	head [2]byte
}

// exchange is what a connection needs while there is something to answer.
type exchange struct {
	answerer
	in       [2 + maxQueryTCP]byte
	from, to int // of in: what has been read and not answered
	out      []byte
}

var exchanges = sync.Pool{New: func() any { return &exchange{out: make([]byte, 0, 4096)} }}

// wait waits for queries and answers them. It reports whether the connection
// is to be kept.
func (c *tcpConn) wait() bool {
	idle := c.cfg.Limits.IdleTimeout
	if c.gate.open() > c.cfg.Limits.Connections/2 {
		idle /= 5
	}
	if !c.deadline(idle) {
		return false
	}
	n, err := c.Read(c.head[:])
	if n == 0 || err != nil && n < len(c.head) {
		return false
	}
	x := exchanges.Get().(*exchange)
	x.answerer = answerer{Server: c.Server, via: c.via, stats: c.Server.stats, peer: c.peer}
	x.from, x.to = 0, copy(x.in[:], c.head[:n])
	x.out = x.out[:0]
	keep := c.burst(x)
	keep = c.flush(x) && keep // also what was answered before a reason to close
	x.answerer = answerer{}
	if cap(x.out) <= 2*maxPending {
		exchanges.Put(x)
	}
	return keep
}

// deadline bounds reads by d, and reports whether the server still runs: the
// deadline that its end sets must not be overwritten.
func (c *tcpConn) deadline(d time.Duration) bool {
	_ = c.SetReadDeadline(time.Now().Add(d))
	return c.ctx.Err() == nil
}

// burst answers queries until there is no part of one left over.
func (c *tcpConn) burst(x *exchange) bool {
	if !c.deadline(c.cfg.Limits.QueryTimeout) {
		return false
	}
	for {
		answered := false
		for x.to-x.from >= 2 {
			length := int(binary.BigEndian.Uint16(x.in[x.from:]))
			have := x.to - x.from - 2
			if length < headerLen {
				return false // nothing to answer, and no way to go on (RFC 7766, section 8)
			}
			if length > maxQueryTCP {
				if have < headerLen {
					break
				}
				if !c.skip(x, length) {
					return false
				}
				answered = true
				continue
			}
			if have < length {
				break
			}
			x.from += 2 + length
			if !c.one(x, x.in[x.from-length:x.from]) {
				return false
			}
			answered = true
			if len(x.out) > maxPending && !c.flush(x) {
				return false
			}
		}
		if x.from == x.to {
			return true
		}
		if answered && (!c.flush(x) || !c.deadline(c.cfg.Limits.QueryTimeout)) {
			return false
		}
		x.to = copy(x.in[:], x.in[x.from:x.to])
		x.from = 0
		n, err := c.Read(x.in[x.to:])
		if x.to += n; n == 0 && err != nil {
			c.stats.connectionsCut.Add(1)
			return false
		}
	}
}

// skip passes over a query that is too long and answers its header.
func (c *tcpConn) skip(x *exchange, length int) bool {
	header := [headerLen]byte(x.in[x.from+2:])
	have := min(x.to-x.from-2, length)
	x.from += 2 + have
	if _, err := io.CopyN(io.Discard, c.Conn, int64(length-have)); err != nil {
		c.stats.connectionsCut.Add(1)
		return false
	}
	return c.one(x, header[:])
}

// one answers one query.
func (c *tcpConn) one(x *exchange, raw []byte) bool {
	if c.left--; c.left < 0 {
		return false
	}
	x.now, x.snap = time.Now(), c.current.Load()
	v := x.parse(raw)
	if v == unanswerable {
		c.stats.unanswered.Add(1)
		return false
	}
	start := len(x.out)
	x.out = append(x.out, 0, 0)
	done := false
	if v == wellFormed {
		if (x.qtype == dns.TypeAXFR || x.qtype == dns.TypeIXFR) && x.class == classIN && c.mayTransfer() {
			x.out = x.out[:start]
			return c.transfer(x)
		}
		x.out, done = x.fast(x.out)
	}
	if !done {
		c.stats.slow.Add(1)
		x.out = x.slow(x.out, v)
	}
	binary.BigEndian.PutUint16(x.out[start:], uint16(len(x.out)-start-2))
	return true
}

// flush writes the answers. Who does not take them in time is cut off.
func (c *tcpConn) flush(x *exchange) bool {
	if len(x.out) == 0 {
		return true
	}
	_ = c.SetWriteDeadline(time.Now().Add(c.cfg.Limits.QueryTimeout))
	_, err := c.Write(x.out)
	x.out = x.out[:0]
	if err != nil {
		c.stats.connectionsCut.Add(1)
	}
	return err == nil
}

// gate bounds the connections that are open, in all and of each client prefix.
type gate struct {
	total, perPrefix int

	mu     sync.Mutex
	n      int
	active map[netip.Prefix]int
}

func newGate(total, perPrefix int) *gate {
	return &gate{total: total, perPrefix: perPrefix, active: map[netip.Prefix]int{}}
}

func gatePrefix(a netip.Addr) netip.Prefix {
	b, is6 := cutAddr(a)
	return prefixOf(b, is6, keptBits(is6))
}

func (g *gate) enter(p netip.Prefix) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n >= g.total || g.active[p] >= g.perPrefix {
		return false
	}
	g.n++
	g.active[p]++
	return true
}

func (g *gate) leave(p netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	if g.active[p]--; g.active[p] == 0 {
		delete(g.active, p)
	}
}

func (g *gate) open() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}
