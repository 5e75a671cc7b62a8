package synth

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// session is one connection, from before it is open until after it is closed.
type session struct {
	route   Route
	cfg     *Config
	stage   Stage
	pulse   *pulse // nil: not connected
	client  client // nil: no handshake yet
	opened  time.Time
	connect time.Duration
	unwatch func() bool
}

// keepAlive asks a silent path every 15 s whether it is still there, as Go's
// and most other clients do: a client that only receives learns of a lost path
// in no other way, and of a new path's RST.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 4}

// skipError is a failure of the agent's own machine, which says nothing about
// the fleet.
type skipError struct {
	reason string
	err    error
}

func (e *skipError) Error() string { return "synth: " + e.reason + ": " + e.err.Error() }
func (e *skipError) Unwrap() error { return e.err }

// open connects, shakes hands and gets ready to ask. The session is closed by
// the caller, also after an error.
func (s *session) open(ctx context.Context) error {
	s.stage = Connecting
	d := &net.Dialer{Timeout: s.cfg.Limits.Connect, KeepAliveConfig: keepAlive}
	d.SetMultipathTCP(false) // a second path may lead to another PoP
	begin := time.Now()
	c, err := s.cfg.Dial(ctx, d, "tcp", s.route.Addr.String())
	if err != nil {
		switch {
		case ctx.Err() != nil:
			return errStopped
		case isTimeout(err):
			return errSilent
		}
		return s.blame(ctx, err)
	}
	s.opened = time.Now()
	s.connect = s.opened.Sub(begin)
	s.pulse = newPulse(c)
	s.unwatch = context.AfterFunc(ctx, s.pulse.stop)
	if s.route.Protocol == HTTP {
		s.client = newHTTP1(s.pulse, s.route.Host)
		return nil
	}
	return s.shakeHands(ctx)
}

// blame tells errors of this machine from those of the network.
func (s *session) blame(ctx context.Context, err error) error {
	for _, e := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
		syscall.EADDRNOTAVAIL, syscall.EPERM, syscall.EACCES, syscall.EAFNOSUPPORT,
	} {
		if errors.Is(err, e) {
			return &skipError{"local", err}
		}
	}
	if !errors.Is(err, syscall.ENETUNREACH) && !errors.Is(err, syscall.EHOSTUNREACH) {
		return err
	}
	// Connecting a UDP socket sends nothing, but asks the routing table.
	c, local := s.cfg.Dial(ctx, &net.Dialer{}, "udp", s.route.Addr.String())
	if local != nil {
		return &skipError{"no_route", local}
	}
	_ = c.Close()
	return err
}

func (s *session) shakeHands(ctx context.Context) error {
	s.stage = Handshake
	s.pulse.phase(s.cfg.Limits.Answer, time.Now().Add(2*s.cfg.Limits.Answer), false)
	protocols := []string{"http/1.1"}
	if s.route.Protocol == HTTP2 {
		protocols = []string{"h2", "http/1.1"}
	}
	c := tls.Client(s.pulse, &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: s.route.Name, RootCAs: s.cfg.RootCAs, NextProtos: protocols,
	})
	// On a goroutine of its own, whose stack, large by then, goes with it: this
	// one's is held for as long as the download lasts. Pulse watches ctx.
	done := make(chan error, 1)
	go func() { done <- c.HandshakeContext(context.WithoutCancel(ctx)) }()
	if err := <-done; err != nil {
		return err
	}
	if c.ConnectionState().NegotiatedProtocol == "h2" {
		s.client = newHTTP2(context.WithoutCancel(ctx), c, s.route.Host)
	} else {
		s.client = newHTTP1(c, s.route.Host)
	}
	return nil
}

// fetch asks for an object of that length (-1: a tiny one of any length) and
// reads all of it. Bytes counts them, if not nil; seen is told the answer's
// header when it has come.
func (s *session) fetch(path string, length int64, body phase, bytes *int64, seen func(answer)) (a answer, err error) {
	now := time.Now()
	s.pulse.phase(s.cfg.Limits.Answer, now.Add(2*s.cfg.Limits.Answer), s.stage == Body)
	a, err = s.client.get(path)
	if err != nil {
		return a, err
	}
	if seen != nil {
		seen(a)
	}
	if err := a.check(length); err != nil {
		return a, err
	}
	if body.stage != "" {
		s.stage = body.stage
	}
	s.pulse.phase(body.silence, time.Now().Add(body.total), body.due)
	for {
		n, err := s.client.more()
		if bytes != nil {
			*bytes += int64(n)
		}
		if err == io.EOF {
			return a, nil
		}
		if err != nil {
			return a, err
		}
	}
}

// phase is what is allowed while a body arrives.
type phase struct {
	stage   Stage // empty: as before
	silence time.Duration
	total   time.Duration
	due     bool // see pulse
}

// tiny fetches /o.
func (s *session) tiny(seen func(answer)) (answer, error) {
	return s.fetch("/o", -1, phase{silence: s.cfg.Limits.Answer, total: 2 * s.cfg.Limits.Answer}, nil, seen)
}

// close closes the connection and notes in d what there is to know about it.
func (s *session) close(d *Download) {
	if s.pulse == nil {
		return
	}
	s.unwatch()
	d.Duration = msOf(time.Since(s.opened))
	if d.Connect == 0 || msOf(s.connect) < d.Connect {
		d.Connect = msOf(s.connect)
	}
	d.TCP = tcpInfo(s.pulse.Conn)
	d.Local = localPrefix(s.pulse.LocalAddr())
	gap, stalls, _ := s.pulse.seen()
	d.Gap, d.Stalls = max(d.Gap, msOf(gap)), d.Stalls+stalls
	switch c := s.client.(type) {
	case *http1:
		d.Spoke = "http/1.1"
		if t, ok := c.conn.(*tls.Conn); ok {
			d.TLS = tls.VersionName(t.ConnectionState().Version)
		}
	case *http2:
		d.Spoke, d.TLS = "h2", tls.VersionName(c.conn.ConnectionState().Version)
	}
	if s.client != nil {
		s.client.close()
	}
	_ = s.pulse.Close()
}

// msOf returns d in milliseconds, to the microsecond.
func msOf(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// localPrefix cuts a local address to its /24 or /48.
func localPrefix(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	addr, bits := tcp.AddrPort().Addr().Unmap().WithZone(""), 48
	if addr.Is4() {
		bits = 24
	}
	p, _ := addr.Prefix(bits)
	return p
}
