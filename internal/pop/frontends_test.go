package pop

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The snippets of docs/front-ends.md are run as they stand there, but for
// ports, paths and addresses, by the programs they are for.
const frontEndsDoc = "../../docs/front-ends.md"

// snippet returns the fenced block of the page with that language, after
// replacing every pair; each must occur.
func snippet(t *testing.T, language string, pairs ...string) string {
	t.Helper()
	page, err := os.ReadFile(frontEndsDoc)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "\n```"+language+"\n")
	block, _, closed := strings.Cut(rest, "\n```\n")
	if !ok || !closed {
		t.Fatalf("%s has no block %s", frontEndsDoc, language)
	}
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(block, pairs[i]) {
			t.Fatalf("the block %s does not contain %q", language, pairs[i])
		}
		block = strings.ReplaceAll(block, pairs[i], pairs[i+1])
	}
	return block + "\n"
}

// program returns the path of a front end's binary; without it the test is
// skipped, and in CI fails.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} { // not in every PATH
			if path, err = exec.LookPath(filepath.Join(dir, name)); err == nil {
				break
			}
		}
	}
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is not installed, and in CI it must be", name)
	default:
		t.Skipf("%s is not installed", name)
	}
	return ""
}

// freePort returns a port that was free a moment ago on every loopback address
// that the tests use.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// output is what a child process wrote.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// launch runs a front end until the test ends, and waits for its port.
func launch(t *testing.T, addr string, command ...string) {
	t.Helper()
	var out output
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	t.Cleanup(func() {
		cancel()
		<-exited
		if t.Failed() {
			t.Logf("%s: %s", command[0], out.String())
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-exited:
			t.Fatalf("%s ended: %s", command[0], out.String())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v\n%s", command[0], err, out.String())
		}
	}
}

// docFleet is the fleet that the snippets are for, on loopback addresses.
func docFleet() CheckOptions {
	f := testFleet()
	f.Zone, f.Probe = "edge.example.net", "probe.edge.example.net"
	f.PoPs[0].Unicast = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	f.VIPs[0].Addresses = []netip.Addr{netip.MustParseAddr("127.0.0.4"), netip.MustParseAddr("::1")}
	return CheckOptions{Fleet: f}
}

const probeName = "global-1.probe.edge.example.net"

// probeFiles writes a certificate for the probe names, or for www, in the
// three forms that front ends want.
func probeFiles(t *testing.T, dir string) (roots *x509.CertPool) {
	t.Helper()
	roots = x509.NewCertPool()
	for base, name := range map[string]string{"probe": "*.probe.edge.example.net", "www": "www.edge.example.net"} {
		cert, _ := selfSigned(t, name)
		roots.AddCert(cert.Leaf)
		der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
		key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		write(t, dir, base+".crt", string(chain))
		write(t, dir, base+".key", string(key))
		write(t, dir, base+".pem", string(chain)+string(key))
	}
	return roots
}

func write(t *testing.T, dir, name, content string) (path string) {
	t.Helper()
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkFrontEnd checks a front end at each of the addresses that the snippets
// know, and what the check does not look at.
func checkFrontEnd(t *testing.T, port string, roots *x509.CertPool) {
	t.Helper()
	for _, c := range []struct{ addr, vip, af string }{
		{"127.0.0.1", "", "4"},
		{"127.0.0.2", "americas", "4"},
		{"127.0.0.4", "global", "4"},
		{"::1", "global", "6"},
	} {
		opt := docFleet()
		opt.RootCAs = roots
		opt.Dial = dialTo(net.JoinHostPort(c.addr, port))
		findings, err := CheckURL(t.Context(), "https://"+probeName+"/o", opt)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			t.Errorf("%s: %v", c.addr, f)
		}

		tr := &http.Transport{DialContext: opt.Dial, TLSClientConfig: &tls.Config{RootCAs: roots}}
		defer tr.CloseIdleConnections()
		for path, status := range map[string]int{"/o": 200, "/nothing": 404} {
			resp, body := do(t, &http.Client{Transport: tr}, "GET", "https://"+probeName+path)
			if resp.StatusCode != status || resp.Header.Get("X-PoP") != "iad" {
				t.Errorf("%s%s: status %d, X-PoP %q", c.addr, path, resp.StatusCode, resp.Header.Get("X-PoP"))
			}
			if path == "/o" && body != "ok" {
				t.Errorf("%s/o: body %q", c.addr, body)
			}
			timings := parseTimings(resp.Header.Values("Server-Timing"))
			vip, _ := timingOf(timings, "vip")
			af, _ := timingOf(timings, "af")
			if vip.desc != c.vip || af.desc != c.af {
				t.Errorf("%s%s: vip %q, af %q, want %q and %q", c.addr, path, vip.desc, af.desc, c.vip, c.af)
			}
			// On loopback a round trip is microseconds; a second is another unit.
			if rtt, n := timingOf(timings, "rtt"); n != 1 || rtt.badDur != "" || rtt.dur <= 0 || rtt.dur > 1000 {
				t.Errorf("%s%s: rtt %+v, %d times", c.addr, path, rtt, n)
			}
			if srv, n := timingOf(timings, "srv"); n != 1 || srv.badDur != "" || srv.dur < 0 || srv.dur > 1000 {
				t.Errorf("%s%s: srv %+v, %d times", c.addr, path, srv, n)
			}
		}
	}
}

func TestNginx(t *testing.T) {
	nginx := program(t, "nginx")
	dir, port := t.TempDir(), freePort(t)
	roots := probeFiles(t, dir)
	site := snippet(t, "nginx",
		"198.51.100.1 ", "127.0.0.4 ", "203.0.113.1 ", "127.0.0.2 ", "2001:db8:ff::1 ", "::1 ",
		"listen 443 ", "listen "+port+" ", "listen [::]:443 ", "listen [::]:"+port+" ",
		"/etc/nginx/", dir+"/")
	conf := write(t, dir, "nginx.conf", fmt.Sprintf(`
daemon off;
master_process off;
pid %[1]s/pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path %[1]s/body;
    proxy_temp_path %[1]s/proxy;
    fastcgi_temp_path %[1]s/fastcgi;
    uwsgi_temp_path %[1]s/uwsgi;
    scgi_temp_path %[1]s/scgi;
%[2]s}
`, dir, site))
	launch(t, "127.0.0.1:"+port, nginx, "-c", conf, "-p", dir, "-e", "stderr")
	checkFrontEnd(t, port, roots)
}

// TestNginxDurations gives the maps of the snippet every length of number.
func TestNginxDurations(t *testing.T) {
	nginx := program(t, "nginx")
	dir, port := t.TempDir(), freePort(t)
	maps, _, ok := strings.Cut(snippet(t, "nginx", "map $tcpinfo_rtt ", "map $arg_rtt ", "$tcpinfo_rtt", "$arg_rtt", "map $request_time ", "map $arg_time "), "\nserver {")
	if !ok {
		t.Fatal("the nginx block has no server")
	}
	conf := write(t, dir, "nginx.conf", fmt.Sprintf(`
daemon off;
master_process off;
pid %[1]s/pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path %[1]s/body;
    proxy_temp_path %[1]s/proxy;
    fastcgi_temp_path %[1]s/fastcgi;
    uwsgi_temp_path %[1]s/uwsgi;
    scgi_temp_path %[1]s/scgi;
%[2]s
    server {
        listen 127.0.0.1:%[3]s;
        location / { return 200 "$catchment_rtt|$catchment_srv"; }
    }
}
`, dir, maps, port))
	addr := "127.0.0.1:" + port
	launch(t, addr, nginx, "-c", conf, "-p", dir, "-e", "stderr")
	f := func(rtt, time, want string) {
		t.Helper()
		if _, got := do(t, newClient(t, nil), "GET", "http://"+addr+"/?rtt="+rtt+"&time="+time); got != want {
			t.Errorf("%s µs, %s s: %q, want %q", rtt, time, got, want)
		}
	}
	f("", "0.000", "|0")
	f("0", "0.001", "|1")
	f("7", "0.012", ", rtt;dur=0.007|12")
	f("48", "0.120", ", rtt;dur=0.048|120")
	f("900", "1.000", ", rtt;dur=0.900|1000")
	f("1000", "1.002", ", rtt;dur=1.000|1002")
	f("18604", "75.250", ", rtt;dur=18.604|75250")
	f("1200030", "0.100", ", rtt;dur=1200.030|100")
}

func TestHAProxy(t *testing.T) {
	haproxy := program(t, "haproxy")
	dir, port := t.TempDir(), freePort(t)
	roots := probeFiles(t, dir)
	write(t, dir, "crt-list", snippet(t, "crt-list", "/etc/haproxy/", dir+"/"))
	conf := write(t, dir, "haproxy.cfg", snippet(t, "haproxy",
		"198.51.100.1 2001:db8:ff::1", "127.0.0.4 ::1", "203.0.113.1", "127.0.0.2",
		"bind :443 ", "bind :"+port+" ", "bind [::]:443 ", "bind [::]:"+port+" ",
		"/etc/haproxy/", dir+"/"))
	launch(t, "127.0.0.1:"+port, haproxy, "-db", "-f", conf)
	checkFrontEnd(t, port, roots)

	// Other names keep HTTP/2, and a probe that comes over it is sent away.
	client := newClient(t, &tls.Config{RootCAs: roots, ServerName: "www.edge.example.net"})
	for host, want := range map[string]int{"www.edge.example.net": 200, probeName: 421, probeName + ":443": 421} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "https://127.0.0.1:"+port+"/o", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.ProtoMajor != 2 || resp.StatusCode != want {
			t.Errorf("%s: %s, status %d, want %d over HTTP/2", host, resp.Proto, resp.StatusCode, want)
		}
	}
}

// TestHAProxyPassthrough runs a real proxy before our own server.
func TestHAProxyPassthrough(t *testing.T) {
	haproxy := program(t, "haproxy")
	dir, port := t.TempDir(), freePort(t)
	opt := docFleet()
	cert, roots := selfSigned(t, "*.probe.edge.example.net")
	server, err := New(Config{
		PoP:            "iad",
		Fleet:          opt.Fleet,
		Certificates:   []tls.Certificate{cert},
		TrustedProxies: trustLoopback,
		Listeners:      []Listener{{Addr: "127.0.0.1:0", TLS: true}},
	}, quiet, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	run(t, server)
	conf := write(t, dir, "haproxy.cfg", snippet(t, "haproxy-passthrough",
		"bind :443", "bind :"+port, "bind [::]:443 ", "bind [::]:"+port+" ",
		"127.0.0.1:8443", server.Addrs()[0].String()))
	launch(t, "127.0.0.1:"+port, haproxy, "-db", "-f", conf)

	for addr, want := range map[string]string{
		"127.0.0.1": `pop;desc="iad", srv;dur=N, af;desc="4"`,
		"127.0.0.2": `pop;desc="iad", vip;desc="americas", srv;dur=N, af;desc="4"`,
		"::1":       `pop;desc="iad", vip;desc="global", srv;dur=N, af;desc="6"`,
	} {
		opt.RootCAs, opt.Dial = roots, dialTo(net.JoinHostPort(addr, port))
		findings, err := CheckURL(t.Context(), "https://"+probeName+"/o", opt)
		if err != nil || len(findings) > 0 {
			t.Errorf("%s: %v, %v", addr, findings, err)
		}
		tr := &http.Transport{DialContext: opt.Dial, TLSClientConfig: &tls.Config{RootCAs: roots}}
		defer tr.CloseIdleConnections()
		resp, _ := do(t, &http.Client{Transport: tr}, "GET", "https://"+probeName+"/big")
		if got := timingShape(resp.Header); resp.StatusCode != 200 || got != want {
			t.Errorf("%s: status %d\n got %s\nwant %s", addr, resp.StatusCode, got, want)
		}
	}
}
