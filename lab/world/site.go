package world

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"catchment/lab/delay"
)

// Fleet of processes: a control node, name servers and PoPs, as an operator
// would run them, in a world.
type Fleet struct {
	*World
	Binary  string // catchment
	Dir     string
	Log     func(name string) io.Writer
	tokens  strings.Builder
	Control string // URL of the control listener
}

// Process is one that runs.
type Process struct {
	Name string
	cmd  *exec.Cmd
	done chan struct{}
	err  error // once done is closed
}

// Prepare writes what the processes share: certificate, tokens, fleet, places.
func (f *Fleet) Prepare(fleet string) error {
	at := f.Hosts["control"]
	f.Control = "https://" + netip.AddrPortFrom(at.Four, 9443).String()
	if err := f.certificate("control", at.Four, at.Six); err != nil {
		return err
	}
	token := func(role, id string) error {
		secret := rand.Text()
		fmt.Fprintf(&f.tokens, "%s %s %s\n", role, id, secret)
		return f.Write(id+".token", secret)
	}
	zone := fmt.Sprintf("$ORIGIN edge.example.\n$TTL 60\n@ SOA ns1 hostmaster 1 3600 600 86400 60\n@ NS ns1\n@ NS ns2\nns1 A %v\nns2 A %v\n", f.Hosts["ns1"].Four, f.Hosts["ns2"].Four)
	errs := []error{token("operator", "operator"), f.WriteFleet(fleet), f.Write("places.csv", f.Places()), f.Write("zone", zone)}
	for _, p := range f.Topology.PoPs {
		errs = append(errs, token("pop", p.ID))
	}
	for _, id := range []string{"ns1", "ns2"} {
		errs = append(errs, token("dns", id))
	}
	return errors.Join(append(errs, f.Write("tokens", f.tokens.String()))...)
}

// WriteFleet replaces the fleet file.
func (f *Fleet) WriteFleet(text string) error { return f.Write("fleet.yaml", text) }

// Write makes or replaces a file.
func (f *Fleet) Write(name, text string) error {
	path := f.Path(name)
	return errors.Join(os.WriteFile(path+".new", []byte(text), 0o600), os.Rename(path+".new", path))
}

// Path is that of a file in the directory.
func (f *Fleet) Path(name string) string { return filepath.Join(f.Dir, name) }

func (f *Fleet) certificate(name string, addrs ...netip.Addr) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	for _, a := range addrs {
		c.IPAddresses = append(c.IPAddresses, net.IP(a.AsSlice()))
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		return err
	}
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		f.Write(name+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		f.Write(name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}))))
}

// StartControl starts the control node.
func (f *Fleet) StartControl(flags ...string) (*Process, error) {
	return f.start("control", f.Hosts["control"].NS, append([]string{
		"serve", "--fleet", f.Path("fleet.yaml"), "--places", f.Path("places.csv"), "--data", f.Path("control"),
		"--listen", ":80", "--control", ":9443", "--control-cert", f.Path("control.pem"), "--control-key", f.Path("control.key"), "--tokens", f.Path("tokens"),
	}, flags...)...)
}

// StartDNS starts the name server ns1 or ns2.
func (f *Fleet) StartDNS(id string, flags ...string) (*Process, error) {
	s := f.Hosts[id]
	return f.start(id, s.NS, append([]string{
		"dns", "--listen", netip.AddrPortFrom(s.Four, 53).String(), "--zone", f.Path("zone"), "--places", f.Path("places.csv"),
	}, f.following(id, flags)...)...)
}

// StartPoP starts a PoP.
func (f *Fleet) StartPoP(id string, flags ...string) (*Process, error) {
	return f.start(id, f.PoPs[id].NS, append([]string{"pop", "--pop", id, "--listen", ":80"}, f.following(id, flags)...)...)
}

func (f *Fleet) following(id string, flags []string) []string {
	return append([]string{"--follow", f.Control, "--token-file", f.Path(id + ".token"), "--ca", f.Path("control.pem"), "--data", f.Path(id)}, flags...)
}

// Operator runs a command of the operator's, at the control node.
func (f *Fleet) Operator(args ...string) (string, error) {
	flags := []string{"--control", "http://127.0.0.1:9100", "--token-file", f.Path("operator.token")}
	return Run(f.Hosts["control"].NS, "", f.Binary, append(args, flags...)...)
}

func (f *Fleet) start(name string, ns *delay.Namespace, args ...string) (*Process, error) {
	p := &Process{Name: name, cmd: exec.Command(f.Binary, args...), done: make(chan struct{})}
	p.cmd.Stderr = f.Log(name)
	if err := ns.Start(p.cmd); err != nil {
		return nil, fmt.Errorf("world: %s: %w", name, err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	return p, nil
}

// Pid is the process's.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Signal sends a signal.
func (p *Process) Signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// Kill ends the process at once.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Stop ends the process in order, in time or not at all.
func (p *Process) Stop() error {
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return p.err
	case <-time.After(Patience):
		p.Kill()
		return fmt.Errorf("world: %s did not end in time", p.Name)
	}
}

// Ended reports whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}
