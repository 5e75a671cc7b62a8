package pop

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"catchment/internal/certs"
)

const (
	// idleTimeout leaves a page time to come back to a connection: a warm
	// download on a new one would measure the handshake too.
	idleTimeout = 75 * time.Second

	headerTimeout  = 5 * time.Second // for a request's header, and for a PROXY header
	requestTimeout = 10 * time.Second
	writeTimeout   = 15 * time.Second // for one write, not for a whole download
	maxHeaderBytes = 16 << 10

	// shutdownTimeout is how long downloads under way may take to end once the
	// server is asked to stop. Below node.StopTimeout, so that it is kept.
	shutdownTimeout = 30 * time.Second
)

// Listen reads the certificates and binds every address, so that a bad file
// and a busy port fail at start. On an error nothing stays bound.
func (s *Server) Listen() error {
	if err := s.openCerts(); err != nil {
		return err
	}
	// Multipath TCP, Go's default, would let a client move data to a second
	// path, which under anycast can lead to another PoP and has an RTT of its
	// own: neither could be told from the first path's.
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	for _, l := range s.cfg.Listeners {
		ln, err := lc.Listen(context.Background(), "tcp", l.Addr)
		if err != nil {
			s.close()
			return fmt.Errorf("pop: %w", err)
		}
		s.bound = append(s.bound, bound{&acceptor{Listener: ln, server: s, vip: l.VIP}, l.TLS})
	}
	return nil
}

// openCerts reads the certificates, if any.
func (s *Server) openCerts() (err error) {
	if len(s.cfg.KeyPairs)+len(s.cfg.Certificates) == 0 {
		return nil
	}
	s.certs, err = certs.Open("pop", s.cfg.KeyPairs, s.cfg.Certificates, s.log, s.reg)
	if err != nil {
		return fmt.Errorf("pop: %w", err)
	}
	s.http.TLSConfig = s.tlsConfig()
	return nil
}

// Addrs returns the bound addresses in the order of Config.Listeners; Listen
// must have returned nil.
func (s *Server) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(s.bound))
	for i, b := range s.bound {
		addrs[i] = b.Addr()
	}
	return addrs
}

func (s *Server) close() {
	for _, b := range s.bound {
		_ = b.Close()
	}
	s.bound = nil
}

// Run serves until ctx is done. It then stops accepting, sends what is left of
// every /slow at once, so that a planned stop does not look like a connection
// that broke, and gives other answers 30 s to be taken. The error is nil when
// it was asked to stop.
func (s *Server) Run(ctx context.Context) error {
	if len(s.bound) == 0 {
		return errors.New("pop: Run without Listen")
	}
	watch, stopWatch := context.WithCancel(ctx)
	var background sync.WaitGroup
	if s.certs != nil {
		background.Go(func() { _ = s.certs.Run(watch) }) // never fails
	}
	defer background.Wait()
	defer stopWatch()

	background.Go(func() { s.closeIdle(watch) })
	failed := make(chan error, len(s.bound))
	for _, b := range s.bound {
		s.log.Info("serving objects", "pop", s.cfg.PoP, "address", b.Addr().String(), "tls", b.tls)
		background.Go(func() {
			serve := s.http.Serve
			if b.tls {
				serve = func(l net.Listener) error { return s.http.ServeTLS(l, "", "") }
			}
			if err := serve(b); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("pop: serve %s: %w", b.Addr(), err)
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	close(s.stopping)
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if late := s.http.Shutdown(grace); errors.Is(late, context.DeadlineExceeded) {
		s.log.Warn("downloads were cut off at the end of the shutdown time")
		_ = s.http.Close()
	} else if late != nil {
		err = errors.Join(err, fmt.Errorf("pop: shut down: %w", late))
	}
	return err
}

// closeIdle ends idle connections while the PoP drains, until ctx is done.
func (s *Server) closeIdle(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if s.draining.Load() {
				s.idle.close(idleDraining, now)
			}
		}
	}
}

func (s *Server) newHTTP() *http.Server {
	return &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ConnContext:       withConn,
		ConnState:         s.idle.state,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		// OPTIONS * gets our headers too.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(errorLog{s}, "", 0),
	}
}

// errorLog takes what net/http says. Nearly all of it is about one client and
// names its address, which is never logged: a failed TLS handshake, bytes that
// are not HTTP. That is counted. What is about us is logged.
type errorLog struct{ s *Server }

func (l errorLog) Write(line []byte) (int, error) {
	text := string(line)
	if rest, ok := strings.CutPrefix(text, "http: panic serving "); ok {
		_, rest, _ = strings.Cut(rest, ": ") // after the address
		l.s.log.Error("a request handler panicked", "panic", rest)
	} else if strings.HasPrefix(text, "http: Accept error") {
		l.s.log.Error("connections are not accepted", "error", strings.TrimSpace(text))
	} else {
		l.s.metrics.clientErrors.Inc()
	}
	return len(line), nil
}
