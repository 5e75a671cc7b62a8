// Package certs holds the certificates that TLS listeners show, read from
// files and read again when they change: all or nothing.
package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// reloadInterval is how often certificate files are looked at. Polling, unlike
// inotify, also sees through the symbolic links and network file systems by
// which renewed certificates arrive.
const reloadInterval = 10 * time.Second

// Pair is a certificate chain and its private key, PEM files.
type Pair struct{ Cert, Key string }

// Certificates are those that a listener shows. Get is safe for concurrent
// use.
type Certificates struct {
	pairs   []Pair
	fixed   []tls.Certificate
	log     *slog.Logger
	metrics *metrics

	current atomic.Pointer[[]tls.Certificate]

	// Of Open and Run alone, which never run together:
	seen      []os.FileInfo // as of the last good load, two per pair
	lastError string
}

// Open reads the files of pairs, in order of preference; fixed certificates
// come after them and are never read again. Metrics carry the listener's name.
func Open(listener string, pairs []Pair, fixed []tls.Certificate, log *slog.Logger, reg prometheus.Registerer) (*Certificates, error) {
	m, err := newMetrics(prometheus.WrapRegistererWith(prometheus.Labels{"listener": listener}, reg))
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	c := &Certificates{pairs: pairs, fixed: fixed, log: log, metrics: m}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	return c, nil
}

// Get is tls.Config.GetCertificate: the first certificate that the client can
// use, or the first of all, since a wrong certificate tells the client more
// than a broken handshake.
func (c *Certificates) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	all := *c.current.Load()
	if len(all) == 0 {
		return nil, errors.New("certs: no certificate")
	}
	for i := range all {
		if hello.SupportsCertificate(&all[i]) == nil {
			return &all[i], nil
		}
	}
	return &all[0], nil
}

// Run reads the files again when they change, until ctx is done. When any of
// them is bad, the former certificates stay.
func (c *Certificates) Run(ctx context.Context) error {
	ticker := time.NewTicker(reloadInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if len(c.pairs) > 0 {
				c.refresh()
			}
		}
	}
}

// load reads every file. On an error the former certificates stay.
func (c *Certificates) load() error {
	// Before they are read, so that a change in between is seen next time.
	seen, err := c.stat()
	if err != nil {
		return err
	}
	var all []tls.Certificate
	for _, p := range c.pairs {
		pair, pairErr := tls.LoadX509KeyPair(p.Cert, p.Key)
		if pairErr != nil {
			err = errors.Join(err, fmt.Errorf("certificate %s with key %s: %w", p.Cert, p.Key, pairErr))
			continue
		}
		all = append(all, pair)
	}
	if err != nil {
		return err
	}
	for i, p := range c.pairs {
		c.metrics.notAfter.WithLabelValues(p.Cert).Set(float64(all[i].Leaf.NotAfter.Unix()))
	}
	all = append(all, c.fixed...)
	c.current.Store(&all)
	c.seen = seen
	c.metrics.reloaded.Set(1)
	return nil
}

func (c *Certificates) stat() ([]os.FileInfo, error) {
	var infos []os.FileInfo
	var errs []error
	for _, p := range c.pairs {
		for _, file := range []string{p.Cert, p.Key} {
			info, err := os.Stat(file)
			infos, errs = append(infos, info), append(errs, err)
		}
	}
	return infos, errors.Join(errs...)
}

// refresh loads the files if they changed since they were last good. An error
// is logged when it is a new one: a certificate is often written a moment
// before its key.
func (c *Certificates) refresh() {
	now, err := c.stat()
	if err == nil {
		if unchanged(c.seen, now) {
			// Also when a bad file was put back as it was.
			c.lastError = ""
			c.metrics.reloaded.Set(1)
			return
		}
		err = c.load()
	}
	switch {
	case err == nil:
		c.lastError = ""
		c.log.Info("certificates reloaded")
	case err.Error() != c.lastError:
		c.lastError = err.Error()
		c.log.Error("certificates not reloaded, the former ones stay", "error", err)
		fallthrough
	default:
		c.metrics.reloaded.Set(0)
	}
}

func unchanged(before, now []os.FileInfo) bool {
	for i, a := range before {
		b := now[i]
		if !os.SameFile(a, b) || a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime()) {
			return false
		}
	}
	return true
}

type metrics struct {
	notAfter *prometheus.GaugeVec // file
	reloaded prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		notAfter: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catchment_tls_certificate_not_after_timestamp_seconds",
			Help: "When the certificate in a file expires, in Unix time.",
		}, []string{"file"}),
		reloaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "catchment_tls_certificates_last_reload_successful",
			Help: "Whether the last attempt to read the certificate files succeeded; if not, the former ones are still used.",
		}),
	}
	return m, errors.Join(reg.Register(m.notAfter), reg.Register(m.reloaded))
}
