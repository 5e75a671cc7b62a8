package pop

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"catchment/internal/certs"
)

func TestProtocols(t *testing.T) {
	cert, pool := selfSigned(t, "*.probe.edge.example", "www.edge.example", "127.0.0.1")
	s := start(t, Config{Certificates: []tls.Certificate{cert}, Listeners: []Listener{{Addr: "127.0.0.1:0", TLS: true}}})
	f := func(name, want string, offered ...string) {
		t.Helper()
		c, err := tls.Dial("tcp", s.Addrs()[0].String(), &tls.Config{ServerName: name, RootCAs: pool, NextProtos: offered})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		defer c.Close()
		if got := c.ConnectionState().NegotiatedProtocol; got != want {
			t.Errorf("%s negotiated %q, want %q", name, got, want)
		}
	}
	f("global-1.probe.edge.example", "http/1.1", "h2", "http/1.1")
	f("GLOBAL-1.Probe.Edge.Example", "http/1.1", "h2", "http/1.1")
	f("www.edge.example", "h2", "h2", "http/1.1")
	f("www.edge.example", "http/1.1", "http/1.1")
	f("global-1.probe.edge.example", "")

	// A resumed session must not bring the other protocol back.
	session := &tls.Config{ServerName: "global-1.probe.edge.example", RootCAs: pool, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	for i := range 2 {
		client := newClient(t, session.Clone())
		resp, _ := do(t, client, "GET", s.url(0, "/o"))
		if resp.ProtoMajor != 1 {
			t.Errorf("connection %d speaks %s", i, resp.Proto)
		}
		if resumed := resp.TLS.DidResume; resumed != (i == 1) {
			t.Errorf("connection %d resumed: %v", i, resumed)
		}
	}
}

// TestCoalescing asks for a probe name on an HTTP/2 connection that was opened
// for another name, as browsers do where certificate and address allow it.
func TestCoalescing(t *testing.T) {
	cert, pool := selfSigned(t, "*.probe.edge.example", "www.edge.example")
	s := start(t, Config{Certificates: []tls.Certificate{cert}, Listeners: []Listener{{Addr: "127.0.0.1:0", TLS: true}}})
	client := newClient(t, &tls.Config{ServerName: "www.edge.example", RootCAs: pool})
	for host, want := range map[string]int{
		"www.edge.example":                200,
		"global-1.probe.edge.example":     421,
		"GLOBAL-1.probe.edge.example.":    421,
		"global-1.probe.edge.example:443": 421,
		"probe.edge.example":              421,
		"noprobe.edge.example":            200,
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", s.url(0, "/o"), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.ProtoMajor != 2 || resp.StatusCode != want || resp.Header.Get("X-PoP") != "iad" {
			t.Errorf("%s: %s, status %d, want %d over HTTP/2", host, resp.Proto, resp.StatusCode, want)
		}
	}
}

// pairFiles writes a new certificate for name and returns its files and serial
// number.
func pairFiles(t *testing.T, dir, name string) (certs.Pair, string) {
	t.Helper()
	cert, _ := selfSigned(t, name)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	p := certs.Pair{Cert: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key")}
	for file, block := range map[string]*pem.Block{
		p.Cert: {Type: "CERTIFICATE", Bytes: cert.Certificate[0]},
		p.Key:  {Type: "PRIVATE KEY", Bytes: key},
	} {
		// Renamed into place, as certificate tools do: also a new file, where
		// the clock of the file system is too coarse to tell.
		if err := os.WriteFile(file+".new", pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	return p, cert.Leaf.SerialNumber.String()
}

// TestReload renews a certificate under a running server: what Listen read is
// what new connections see until the files change and are good.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		pair, serial := pairFiles(t, dir, "a.example")
		_, l := pipeServer(t, Config{KeyPairs: []certs.Pair{pair}})
		shows := func(serial string) {
			t.Helper()
			c := tls.Client(l.dialFrom("192.0.2.1:1"), &tls.Config{ServerName: "a.example", InsecureSkipVerify: true})
			defer c.Close()
			if err := c.Handshake(); err != nil {
				t.Fatal(err)
			}
			if got := c.ConnectionState().PeerCertificates[0].SerialNumber.String(); got != serial {
				t.Errorf("certificate %s is shown, want %s", got, serial)
			}
		}
		shows(serial)
		_, renewed := pairFiles(t, dir, "a.example")
		shows(serial)
		time.Sleep(time.Minute)
		shows(renewed)
		if err := os.WriteFile(pair.Key, []byte("not a key"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		shows(renewed)
	})
}

func TestSelfSigned(t *testing.T) {
	cert, pool := selfSigned(t, "*.probe.edge.example", "192.0.2.1", "2001:db8::1")
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{DNSName: "x.probe.edge.example", Roots: pool}); err != nil {
		t.Error(err)
	}
	if got := cert.Leaf.IPAddresses; !slices.ContainsFunc(got, net.ParseIP("2001:db8::1").Equal) || len(got) != 2 {
		t.Errorf("addresses %v", got)
	}
	if _, err := newCertificate(); err == nil || !strings.Contains(err.Error(), "needs a name") {
		t.Errorf("without names: %v", err)
	}
}
