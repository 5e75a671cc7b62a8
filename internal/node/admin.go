package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewRegistry returns a registry with the Go runtime's and the process's own
// metrics.
func NewRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
	)
	return reg
}

// HTTP is an HTTP listener as a service. Listen, then Run.
type HTTP struct {
	Addr   string
	Server *http.Server

	listener net.Listener
}

// Listen binds the address, so that a busy port fails at start.
func (h *HTTP) Listen() error {
	l, err := net.Listen("tcp", h.Addr)
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	h.listener = l
	return nil
}

// ListenAddr returns the bound address; Listen must have returned nil.
func (h *HTTP) ListenAddr() net.Addr { return h.listener.Addr() }

// Run serves until ctx is done, then lets open requests finish for up to 10 s.
func (h *HTTP) Run(ctx context.Context) error {
	serve := func() error { return h.Server.Serve(h.listener) }
	if h.Server.TLSConfig != nil {
		serve = func() error { return h.Server.ServeTLS(h.listener, "", "") }
	}
	done := make(chan error, 1)
	go func() { done <- serve() }()
	select {
	case err := <-done:
		return fmt.Errorf("node: serve %s: %w", h.Addr, err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := h.Server.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = h.Server.Close()
	}
	<-done
	return err
}

// NewAdmin returns the admin listener: /metrics, /healthz and /debug/pprof/.
// It has no authentication and belongs on loopback or a management network.
// Healthy says why the process cannot do its work; /healthz is then a 503.
// More handles whatever else the role shows there; it may be nil.
func NewAdmin(addr string, reg *prometheus.Registry, healthy func() error, more http.Handler) *HTTP {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if err := healthy(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	if more != nil {
		mux.Handle("/", more)
	}
	return &HTTP{Addr: addr, Server: &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}}
}
