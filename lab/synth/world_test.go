package synth_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"catchment/lab/delay"
)

// The VIPs: one at iad, and at lax for whom the router sends there; one at gru.
const (
	global = "198.51.100.1"
	second = "198.51.100.2"
	// control is the control node's address, at the router.
	control = "192.0.2.254"
)

const fleetFile = `zone: edge.example
probe: probe.edge.example
pops:
  - {id: iad, place: {country: US, lat: 38.95, lon: -77.45}, unicast: [192.0.2.2]}
  - {id: lax, place: {country: US, lat: 33.94, lon: -118.41}, unicast: [192.0.2.6]}
  - {id: gru, place: {country: BR, lat: -23.43, lon: -46.47}, unicast: [192.0.2.10]}
vips:
  - {id: global, addresses: [198.51.100.1], prefixes: [198.51.100.1/32]}
  - {id: second, addresses: [198.51.100.2], prefixes: [198.51.100.2/32]}
services:
  - {name: www.edge.example, scheme: global}
`

// world is a router between three PoPs and the agents' networks, all of them
// processes:
//
//	agents 203.0.113.2, .18, … ── r 192.0.2.1, .5, .9 ── 192.0.2.2, .6, .10 iad, lax, gru
type world struct {
	dir, binary string
	router      *delay.Namespace
	running     map[string]*exec.Cmd
	logs        map[string]*log
}

// log is what a process writes to stderr.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func namespace(t *testing.T) *delay.Namespace {
	t.Helper()
	ns, err := delay.NewNamespace()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root: ", err)
		}
		t.Skip("needs root: ", err)
	}
	t.Cleanup(ns.Close)
	return ns
}

// run runs a program to its end.
func run(t *testing.T, ns *delay.Namespace, name string, args ...string) {
	t.Helper()
	cmd, out := exec.Command(name, args...), &log{}
	cmd.Stdout, cmd.Stderr = out, out
	err := ns.Start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func ip(t *testing.T, ns *delay.Namespace, commands ...string) {
	t.Helper()
	for _, c := range commands {
		run(t, ns, "ip", strings.Fields(c)...)
	}
}

// link connects a new namespace to the router.
func (w *world) link(t *testing.T, name, here, there string) *delay.Namespace {
	t.Helper()
	ns := namespace(t)
	var tid int
	if err := ns.Do(func() error { tid = unix.Gettid(); return nil }); err != nil {
		t.Fatal(err)
	}
	ip(t, w.router, fmt.Sprintf("link add %s type veth peer name wire netns %d", name, tid), "link set "+name+" up", fmt.Sprintf("addr add %s dev %s", here, name))
	ip(t, ns, "link set wire up", fmt.Sprintf("addr add %s dev wire", there), "route add default via "+netip.MustParsePrefix(here).Addr().String())
	return ns
}

// start runs the program until the test ends.
func (w *world) start(t *testing.T, ns *delay.Namespace, name string, args ...string) {
	t.Helper()
	cmd, out := exec.Command(w.binary, args...), &log{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	w.running[name], w.logs[name] = cmd, out
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if w.running[name] != nil {
			_ = cmd.Process.Signal(syscall.SIGTERM)
		}
		select {
		case err := <-ended:
			if err != nil && w.running[name] != nil {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(15 * time.Second):
			_ = cmd.Process.Kill()
			t.Errorf("%s does not stop", name)
			<-ended
		}
		if t.Failed() {
			t.Logf("%s:\n%s", name, out)
		}
	})
}

// kill ends a process as a crash would.
func (w *world) kill(name string) {
	cmd := w.running[name]
	delete(w.running, name)
	_ = cmd.Process.Kill()
}

// newWorld runs the control node and the PoPs, for agents of so many networks.
func newWorld(t *testing.T, networks int) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), router: namespace(t), running: map[string]*exec.Cmd{}, logs: map[string]*log{}}
	var err error
	if w.binary, err = binary(); err != nil {
		t.Fatal(err)
	}
	tokens, places := "", "prefix,continent,country,subdivision,city,asn,as_name,lat,lon\n"
	for i := range networks {
		tokens += fmt.Sprintf("synth n%d %s\n", i, token(i))
		places += fmt.Sprintf("100.64.%d.0/28,NA,US,,,%d,Example %d,,\n", i, 64496+i, i)
		w.write(t, fmt.Sprintf("token%d", i), token(i))
	}
	w.write(t, "tokens", tokens)
	w.write(t, "places.csv", places)
	w.write(t, "fleet.yaml", fleetFile)
	w.certificate(t)
	ip(t, w.router, "addr add "+control+"/32 dev lo")
	run(t, w.router, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
	for i, pop := range []string{"iad", "lax", "gru"} {
		ns := w.link(t, pop, fmt.Sprintf("192.0.2.%d/30", 4*i+1), fmt.Sprintf("192.0.2.%d/30", 4*i+2))
		ip(t, ns, "addr add "+global+"/32 dev lo", "addr add "+second+"/32 dev lo")
		w.start(t, ns, pop, "pop", "--pop", pop, "--fleet", w.path("fleet.yaml"), "--listen", ":80", "--admin", "127.0.0.1:0")
	}
	ip(t, w.router, "route add "+global+" via 192.0.2.2", "route add "+second+" via 192.0.2.10", "route add "+global+" via 192.0.2.6 table 102", "rule add fwmark 2 table 102")
	run(t, w.router, "nft", "add table ip lab; add chain ip lab in { type filter hook prerouting priority -150; }")
	w.start(t, w.router, "serve", "serve", "--fleet", w.path("fleet.yaml"), "--data", w.path("data"), "--places", w.path("places.csv"), "--listen", "127.0.0.1:8080", "--admin", "127.0.0.1:0",
		"--control", control+":9443", "--control-cert", w.path("cert.pem"), "--control-key", w.path("key.pem"), "--tokens", w.path("tokens"), "--min-free", "0")
	return w
}

// agentAddr is in a /24 of its own, as PoPs limit the downloads of one.
func agentAddr(i int) string { return fmt.Sprintf("100.64.%d.2", i) }

// agent runs an agent in the network of that number: so many downloads of a
// length at a time.
func (w *world) agent(t *testing.T, i, concurrent int, length string) {
	t.Helper()
	ns := w.link(t, fmt.Sprintf("n%d", i), fmt.Sprintf("100.64.%d.1/28", i), agentAddr(i)+"/28")
	w.start(t, ns, fmt.Sprintf("agent %d", i), "synth", "--follow", "https://"+control+":9443", "--ca", w.path("cert.pem"), "--token-file", w.path(fmt.Sprintf("token%d", i)),
		"--data", w.path(fmt.Sprintf("spool%d", i)), "--admin", "127.0.0.1:0", "--agent", fmt.Sprintf("n%d", i), "--protocols", "http", "--families", "4",
		"--length", length, "--ladder", length, "--pause", "10ms", "--concurrent", strconv.Itoa(concurrent), "--stall", "2s", "--timeout", "2s")
}

// filter has the router look at packets from, or to, an agent.
func (w *world) filter(t *testing.T, rule string) {
	t.Helper()
	run(t, w.router, "nft", "add rule ip lab in "+rule)
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func token(i int) string { return fmt.Sprintf("%d-0123456789abcdefghijkl", i) }

func (w *world) certificate(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.ParseIP(control)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	w.write(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

// binary is the program under test: $LAB_BINARY, else this tree's.
var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("LAB_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	path, err := filepath.Abs("../../bin/catchment")
	if err != nil {
		return "", err
	}
	if out, err := exec.Command("go", "build", "-o", path, "../../cmd/catchment").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})
