package authdns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"time"

	"catchment/internal/certs"
)

// udpSocket is one of the sockets of a UDP address.
type udpSocket struct {
	conn     *net.UDPConn
	v6       bool
	wildcard bool // bound to all addresses: answers have to say where from
}

// Listen binds every address, so that a busy port fails at start, and reads
// the certificates. On an error nothing stays bound.
func (s *Server) Listen() error {
	if len(s.cfg.KeyPairs)+len(s.cfg.Certificates) > 0 {
		var err error
		if s.certs, err = certs.Open("dns", s.cfg.KeyPairs, s.cfg.Certificates, s.log, s.reg); err != nil {
			return fmt.Errorf("authdns: %w", err)
		}
	}
	for _, l := range s.cfg.Listeners {
		if err := s.listen(l); err != nil {
			s.close()
			return fmt.Errorf("authdns: %w", err)
		}
	}
	return nil
}

// listen binds one listener. A port of 0 is any that is free over UDP and TCP.
func (s *Server) listen(l Listener) error {
	host, port, err := net.SplitHostPort(l.Addr)
	if err != nil {
		return err
	}
	number, err := net.LookupPort("udp", port)
	if err != nil {
		return err
	}
	hosts := []string{host}
	if host == "" {
		hosts = []string{"0.0.0.0", "::"}
	}
	for _, h := range hosts {
		addr, err := netip.ParseAddr(h)
		if err != nil {
			return fmt.Errorf("listener %q: want an address, or none for all: %w", l.Addr, err)
		}
		at := netip.AddrPortFrom(addr.Unmap(), uint16(number))
		bound, err := s.bind(at, l.TLS)
		for tries := 0; err != nil && number == 0 && tries < 8; tries++ {
			bound, err = s.bind(at, l.TLS)
		}
		if err != nil {
			if host == "" && h == "::" && errors.Is(err, syscall.EAFNOSUPPORT) {
				continue // a machine without IPv6
			}
			return err
		}
		number = int(bound)
	}
	return nil
}

// bind binds an address: its TCP port and, for plain DNS, that of UDP as often
// as there are workers.
func (s *Server) bind(at netip.AddrPort, tls bool) (port uint16, err error) {
	family := "4"
	if at.Addr().Is6() {
		family = "6"
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(context.Background(), "tcp"+family, at.String())
	if err != nil {
		return 0, err
	}
	port = ln.Addr().(*net.TCPAddr).AddrPort().Port()
	var sockets []*udpSocket
	if !tls {
		if sockets, err = s.bindUDP("udp"+family, netip.AddrPortFrom(at.Addr(), port)); err != nil {
			return 0, errors.Join(err, ln.Close())
		}
	}
	s.sockets = append(s.sockets, sockets...)
	s.listeners = append(s.listeners, &tcpListener{ln, tls})
	return port, nil
}

func (s *Server) bindUDP(network string, at netip.AddrPort) (sockets []*udpSocket, err error) {
	wildcard := at.Addr().IsUnspecified()
	options := socketOptions(network, wildcard)
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = options(fd) })
		return errors.Join(err, failed)
	}}
	for range s.cfg.Workers {
		conn, err := lc.ListenPacket(context.Background(), network, at.String())
		if err != nil {
			for _, x := range sockets {
				_ = x.conn.Close()
			}
			return nil, err
		}
		sockets = append(sockets, &udpSocket{conn.(*net.UDPConn), network == "udp6", wildcard})
	}
	return sockets, nil
}

// Addrs returns the bound TCP addresses, each of which is that of UDP too if
// it is for plain DNS, in the order of Config.Listeners; one without a host is
// there twice. Listen must have returned nil.
func (s *Server) Addrs() []netip.AddrPort {
	var addrs []netip.AddrPort
	for _, l := range s.listeners {
		addrs = append(addrs, l.Addr().(*net.TCPAddr).AddrPort())
	}
	return addrs
}

func (s *Server) close() {
	for _, x := range s.sockets {
		_ = x.conn.Close()
	}
	for _, l := range s.listeners {
		_ = l.Close()
	}
	s.sockets, s.listeners = nil, nil
}

// Run answers until ctx is done. What has been received by then is answered.
// The error is nil when it was asked to stop.
func (s *Server) Run(ctx context.Context) error {
	if len(s.listeners) == 0 {
		return errors.New("authdns: Run without Listen")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	workers, err := s.workers()
	if err != nil {
		s.close()
		return fmt.Errorf("authdns: %w", err)
	}
	var background, udp, slow sync.WaitGroup
	failed := make(chan error, len(workers)+len(s.listeners))
	for range runtime.GOMAXPROCS(0) {
		slow.Go(s.slowWorker)
	}
	for _, w := range workers {
		udp.Go(func() {
			if err := w.run(); err != nil {
				failed <- fmt.Errorf("authdns: %s: %w", w.socket.conn.LocalAddr(), err)
			}
		})
	}
	for _, l := range s.listeners {
		s.log.Info("answering dns", "address", l.Addr().String(), "tls", l.tls, "udp_workers", s.cfg.Workers)
		background.Go(func() {
			if err := s.accept(ctx, l); err != nil {
				failed <- fmt.Errorf("authdns: %s: %w", l.Addr(), err)
			}
		})
	}
	if s.certs != nil {
		background.Go(func() { _ = s.certs.Run(ctx) }) // never fails
	}
	if s.signer != nil {
		background.Go(func() { s.renewSignatures(ctx) })
	}
	if s.queries != nil {
		background.Go(func() { s.logQueries(ctx) })
	}
	asking, asked := context.WithCancel(context.WithoutCancel(ctx)) // until the last query is answered
	defer asked()
	if s.nonces != nil {
		background.Go(func() { s.shipNonces(asking) })
	}

	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	cancel()
	s.stopping.Store(true) // for workers that never find their socket empty
	for _, x := range s.sockets {
		_ = x.conn.SetReadDeadline(time.Unix(1, 0))
	}
	udp.Wait()
	close(s.slowJobs)
	slow.Wait()
	asked()
	s.close()
	background.Wait()
	return err
}

func (s *Server) workers() (all []*worker, err error) {
	counted := []*stats{s.stats}
	for i, x := range s.sockets {
		st := &stats{}
		w, err := newWorker(s, x, st)
		if err != nil {
			return nil, err
		}
		w.shard = uint8(i % counterShards)
		all = append(all, w)
		counted = append(counted, st)
	}
	s.all.Store(&counted)
	return all, nil
}

// slowJob is a query over UDP for the slow path.
type slowJob struct {
	socket  *udpSocket
	peer    netip.AddrPort
	raw     [maxQueryUDP]byte
	n       int
	control [64]byte
	nc      int
}

// enqueueSlow hands a query to the slow path, unless that has too many.
func (s *Server) enqueueSlow(socket *udpSocket, raw []byte, peer netip.AddrPort, control []byte) bool {
	select {
	case j := <-s.slowFree:
		j.socket, j.peer = socket, peer
		j.n, j.nc = copy(j.raw[:], raw), copy(j.control[:], control)
		s.slowJobs <- j // has room for all jobs that there are
		return true
	default:
		return false
	}
}

func (s *Server) slowWorker() {
	a := &answerer{Server: s, via: overUDP, stats: s.stats}
	buf := make([]byte, 0, 2*maxUDP)
	for j := range s.slowJobs {
		a.now, a.snap, a.peer = time.Now(), s.current.Load(), j.peer.Addr()
		out := a.slow(buf, a.parse(j.raw[:j.n]))
		if len(out) > 0 {
			if _, _, err := j.socket.conn.WriteMsgUDPAddrPort(out, j.control[:j.nc], j.peer); err != nil {
				s.stats.unsent.Add(1)
			}
		}
		s.slowFree <- j
	}
}

// renewRetry is how long after a failure signatures are tried again; there is
// a week until the first of them expires.
const renewRetry = time.Hour

// renewSignatures builds the snapshot anew whenever the first of its
// signatures is due, until ctx is done.
func (s *Server) renewSignatures(ctx context.Context) {
	for {
		wait := max(time.Until(s.current.Load().renewAt), time.Second)
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(wait, renewRetry)):
		}
		s.update.Lock()
		if !time.Now().Before(s.current.Load().renewAt) {
			if err := s.replace(s.zone, s.state); err != nil {
				s.log.Error("signatures not renewed", "error", err)
			} else {
				s.log.Info("signatures renewed", "next", s.current.Load().renewAt.Format(time.RFC3339))
			}
		}
		s.update.Unlock()
	}
}
