package certs

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// write puts a self-signed certificate for name into the files of p.
func write(t *testing.T, p Pair, name string, notAfter time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: notAfter.Add(-240 * time.Hour), NotAfter: notAfter,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		p.Cert: {Type: "CERTIFICATE", Bytes: cert},
		p.Key:  {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func shown(t *testing.T, c *Certificates, ask string) string {
	t.Helper()
	got, err := c.Get(&tls.ClientHelloInfo{
		ServerName: ask, SupportedVersions: []uint16{tls.VersionTLS13},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
		CipherSuites:     []uint16{tls.TLS_AES_128_GCM_SHA256},
	})
	if err != nil {
		t.Fatal(err)
	}
	return got.Leaf.Subject.CommonName
}

func TestChoice(t *testing.T) {
	dir := t.TempDir()
	a, b := Pair{dir + "/a.crt", dir + "/a.key"}, Pair{dir + "/b.crt", dir + "/b.key"}
	later := time.Now().Add(time.Hour)
	write(t, a, "a.example", later)
	write(t, b, "b.example", later)
	c, err := Open("public", []Pair{a, b}, nil, quiet, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for ask, want := range map[string]string{"a.example": "a.example", "b.example": "b.example", "c.example": "a.example"} {
		if got := shown(t, c, ask); got != want {
			t.Errorf("asked for %s, showed %s, want %s", ask, got, want)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	p := Pair{dir + "/x.crt", dir + "/x.key"}
	if _, err := Open("public", []Pair{p}, nil, quiet, prometheus.NewRegistry()); err == nil || !strings.Contains(err.Error(), "x.crt") {
		t.Errorf("missing files: %v", err)
	}
	write(t, p, "x.example", time.Now().Add(time.Hour))
	if err := os.WriteFile(p.Key, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open("public", []Pair{p}, nil, quiet, prometheus.NewRegistry())
	if err == nil || !strings.Contains(err.Error(), "x.key") || strings.Contains(err.Error(), "not a key") {
		t.Errorf("broken key: %v", err)
	}
}

// TestReload renews a certificate under a running server: broken halfway, then
// whole.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	p := Pair{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	write(t, p, "old.example", expires)
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		c, err := Open("public", []Pair{p}, nil, quiet, reg)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		ctx, stop := context.WithCancel(t.Context())
		go func() {
			defer close(done)
			if err := c.Run(ctx); err != nil {
				t.Error(err)
			}
		}()
		check := func(when, want string, good float64) {
			t.Helper()
			time.Sleep(reloadInterval + time.Second) // synctest's clock
			synctest.Wait()
			if got := shown(t, c, want); got != want {
				t.Errorf("%s: shows %s, want %s", when, got, want)
			}
			if got := testutil.ToFloat64(c.metrics.reloaded); got != good {
				t.Errorf("%s: last reload successful: %v, want %v", when, got, good)
			}
		}
		check("unchanged", "old.example", 1)
		if err := os.WriteFile(p.Cert, []byte("half a certificate"), 0o600); err != nil {
			t.Fatal(err)
		}
		check("broken", "old.example", 0)
		renewed := expires.Add(time.Hour)
		write(t, p, "new.example", renewed)
		check("renewed", "new.example", 1)
		if got := testutil.ToFloat64(c.metrics.notAfter.WithLabelValues(p.Cert)); got != float64(renewed.Unix()) {
			t.Errorf("expires at %v, want %v", got, renewed.Unix())
		}
		stop()
		<-done
	})
}
