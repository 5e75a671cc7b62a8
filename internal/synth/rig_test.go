package synth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
	"catchment/internal/pop"
)

var quiet = slog.New(slog.DiscardHandler)

// records is a Sink that keeps what it gets.
type records struct {
	mu  sync.Mutex
	all []Download
	err error
}

func (r *records) Append(line []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var d Download
	if err := json.Unmarshal(line, &d); err != nil {
		r.err = err
		return err
	}
	r.all = append(r.all, d)
	return nil
}

// one returns the only record of a kind.
func (r *records) one(t *testing.T, k Kind) Download {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []Download
	for _, d := range r.all {
		if d.Kind == k {
			found = append(found, d)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d records of kind %s, want one: %+v", len(found), k, found)
	}
	return found[0]
}

// newAgent returns an agent with short limits.
func newAgent(t testing.TB, cfg Config) (*Agent, *records, *prometheus.Registry) {
	t.Helper()
	if cfg.Agent == "" {
		cfg.Agent = "test"
	}
	if cfg.Limits == (Limits{}) {
		cfg.Limits = Limits{Connect: time.Second, Answer: time.Second, Stall: time.Second}
	}
	out, reg := &records{}, prometheus.NewPedanticRegistry()
	a, err := New(cfg, out, quiet, reg)
	if err != nil {
		t.Fatal(err)
	}
	return a, out, reg
}

// world is a fleet of one PoP and one VIP, all on loopback.
func world() *edge.Fleet {
	addrs := func(list ...string) (all []netip.Addr) {
		for _, s := range list {
			all = append(all, netip.MustParseAddr(s))
		}
		return all
	}
	return &edge.Fleet{
		Zone: "edge.example", Probe: "probe.edge.example",
		PoPs:     []edge.PoP{{ID: "iad", Unicast: addrs("127.0.0.1", "::1")}},
		VIPs:     []edge.VIP{{ID: "global", Addresses: addrs("127.0.0.2")}},
		Services: []edge.Service{{Name: "www.edge.example", Scheme: edge.Global}},
	}
}

// servePoP runs IAD on loopback and returns its ports, its metrics and how to
// stop it.
func servePoP(t testing.TB, cert *tls.Certificate) (port, tlsPort uint16, reg *prometheus.Registry, stop func()) {
	t.Helper()
	port = freePort(t)
	cfg := pop.Config{
		PoP: "iad", Fleet: world(),
		Limits: pop.Limits{DownloadsPerPrefix: 4096, BytesPerMinute: 1 << 30, SlowTime: 2 * time.Second},
	}
	hosts := []string{"127.0.0.1", "127.0.0.2", "::1"}
	for _, h := range hosts {
		cfg.Listeners = append(cfg.Listeners, pop.Listener{Addr: netip.AddrPortFrom(netip.MustParseAddr(h), port).String()})
	}
	if cert != nil {
		tlsPort = freePort(t)
		cfg.Certificates = []tls.Certificate{*cert}
		for _, h := range hosts {
			cfg.Listeners = append(cfg.Listeners, pop.Listener{Addr: netip.AddrPortFrom(netip.MustParseAddr(h), tlsPort).String(), TLS: true})
		}
	}
	reg = prometheus.NewRegistry()
	s, err := pop.New(cfg, quiet, reg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return port, tlsPort, reg, stop
}

// freePort returns a port that nobody listens on.
func freePort(t testing.TB) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

// certificate is for the names, with a pool that believes it.
func certificate(t testing.TB, names ...string) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: names, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// pemOf returns a certificate and its key.
func pemOf(c *tls.Certificate) (string, error) {
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})), nil
}

// routeTo returns the way of a to an address over a protocol.
func routeTo(t testing.TB, a *Agent, target Target, addr string, p Protocol) Route {
	t.Helper()
	r, ok := a.cfg.route(world(), target, netip.MustParseAddr(addr), p)
	if !ok {
		t.Fatal("no route")
	}
	return r
}
