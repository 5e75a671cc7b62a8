// Package dns_test runs the real `catchment dns` against what it will meet in
// the field: the standard clients, resolvers that cache by client subnet, a
// control node that dies, snapshots that are swapped under load, and abuse.
//
// Every test has a network namespace of its own in which every address of the
// test's networks is local, so that servers have port 53 and clients have
// whatever address they like. Nothing leaves it, and it goes away with the
// test's processes.
package dns_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
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

// Who is where.
const (
	server4  = "192.0.2.53" // catchment dns
	server6  = "2001:db8:53::53"
	resolver = "192.0.2.54" // whatever caches
	control  = "192.0.2.55" // catchment serve
)

// local are the networks every address of which is the site's own.
var local = []string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "10.0.0.0/8", "2001:db8::/32"}

// patience is how long anything may take that takes milliseconds on a quiet
// machine.
const patience = 20 * time.Second

// site is a network namespace with a directory for its processes' files.
type site struct {
	*delay.Namespace
	t    *testing.T
	dir  string
	http *http.Client
}

// newSite makes a site. Without the right to, the test is skipped, and fails
// where CI=true.
func newSite(t *testing.T) *site {
	t.Helper()
	ns, err := delay.NewNamespace()
	if errors.Is(err, unix.EPERM) && os.Getenv("CI") != "true" {
		t.Skipf("needs root: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ns.Close)
	s := &site{Namespace: ns, t: t, dir: t.TempDir()}
	s.http = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DialContext: func(_ context.Context, network, addr string) (net.Conn, error) {
			return ns.Dial(&net.Dialer{Timeout: time.Second}, network, addr)
		},
	}}
	for _, prefix := range local {
		s.tool("ip", "route", "add", "local", prefix, "dev", "lo")
	}
	s.tool("ip", "addr", "add", server6+"/128", "dev", "lo", "nodad") // IPv6 binds to no others
	return s
}

// in returns the site for use in a subtest.
func (s *site) in(t *testing.T) *site {
	sub := *s
	sub.t = t
	return &sub
}

// write makes or replaces a file, whole, and returns its path.
func (s *site) write(name string, text []byte) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// tool runs a program to its end, which must be a good one, and returns its
// stdout.
func (s *site) tool(name string, args ...string) string {
	s.t.Helper()
	out, errs, err := s.run(name, args)
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, errs)
	}
	return out
}

// try is tool for programs that may fail; stderr is part of the output.
func (s *site) try(name string, args ...string) (string, error) {
	s.t.Helper()
	out, errs, err := s.run(name, args)
	return out + errs, err
}

func (s *site) run(name string, args []string) (stdout, stderr string, err error) {
	s.t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(peer(s.t, name), args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := s.Start(cmd); err != nil {
		s.t.Fatal(err)
	}
	stuck := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	err = cmd.Wait()
	if !stuck.Stop() {
		err = fmt.Errorf("still running after %v", patience)
	}
	return out.String(), errs.String(), err
}

// peer returns the path of a program that tools/setup installs; some are where
// only root looks.
func peer(t *testing.T, name string) string {
	t.Helper()
	if strings.Contains(name, "/") {
		return name
	}
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if errors.Is(err, exec.ErrNotFound) {
			if _, missing := os.Stat(dir + name); !errors.Is(missing, fs.ErrNotExist) {
				path, err = dir+name, nil
			}
		}
	}
	if err != nil {
		t.Fatalf("%v (tools/setup test installs it)", err)
	}
	return path
}

// process is something that runs at a site until the test's end.
type process struct {
	site *site
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and log is complete
	err  error
	over bool // its end is known and was wanted

	bySignal bool // it does not catch SIGTERM

	mu  sync.Mutex
	log bytes.Buffer // guarded by mu
}

// start starts a program and returns when it has logged the text.
func (s *site) start(until, name string, args ...string) *process {
	s.t.Helper()
	p := s.launch(name, args...)
	p.waitLog(until)
	return p
}

func (s *site) launch(name string, args ...string) *process {
	s.t.Helper()
	p := &process{site: s, cmd: exec.Command(peer(s.t, name), args...), done: make(chan struct{})}
	logged, err := p.cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.Start(p.cmd); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		for lines := bufio.NewReader(logged); ; {
			line, err := lines.ReadBytes('\n')
			p.mu.Lock()
			p.log.Write(line)
			p.mu.Unlock()
			if err != nil {
				break
			}
		}
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	s.t.Cleanup(p.stop)
	return p
}

func (p *process) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

func (p *process) name() string { return filepath.Base(p.cmd.Path) + " " + p.cmd.Args[1] }

func (p *process) waitLog(text string) {
	p.site.t.Helper()
	p.site.until(p.name()+" logs "+strconv.Quote(text), func() error {
		if !strings.Contains(p.logged(), text) {
			return errors.New("not yet:\n" + p.logged())
		}
		return nil
	}, p)
}

// until calls f until it returns no error. It fails the test when patience is
// at its end, or a process is.
func (s *site) until(what string, f func() error, alive ...*process) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := f()
		if err == nil {
			return
		}
		for _, p := range alive {
			if p.exited() {
				if err = f(); err == nil {
					return
				}
				p.over = true
				s.t.Fatalf("%s: %s has ended: %v: %v\n%s", what, p.name(), p.err, err, p.logged())
			}
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop asks the process to stop, which it must do in time and with status 0.
func (p *process) stop() {
	t := p.site.t
	t.Helper()
	if p.over {
		return
	}
	p.over = true
	if p.exited() {
		t.Errorf("%s has ended: %v\n%s", p.name(), p.err, p.logged())
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		if p.err != nil && !p.bySignal {
			t.Errorf("%s: %v\n%s", p.name(), p.err, p.logged())
		}
	case <-time.After(patience):
		t.Errorf("%s does not stop\n%s", p.name(), p.logged()) // the namespace's end kills it
	}
}

// kill ends the process at once.
func (p *process) kill() {
	p.over = true
	_ = p.cmd.Process.Kill()
	<-p.done
}

// hangup sends SIGHUP.
func (p *process) hangup() {
	p.site.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		p.site.t.Fatal(err)
	}
}

// metrics are values by name and labels, as they are written.
type metrics map[string]float64

// sum adds up what begins with the prefix.
func (m metrics) sum(prefix string) (total float64) {
	for name, v := range m {
		if strings.HasPrefix(name, prefix) {
			total += v
		}
	}
	return total
}

// scrape reads the metrics of the process whose admin listener is at addr.
func (s *site) scrape(addr string) (metrics, error) {
	resp, err := s.http.Get("http://" + addr + "/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	m := metrics{}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if at := strings.LastIndexByte(line, ' '); at > 0 && line[0] != '#' {
			m[line[:at]], _ = strconv.ParseFloat(line[at+1:], 64)
		}
	}
	if err := cmp.Or(lines.Err(), statusError(resp)); err != nil {
		return nil, err
	}
	return m, nil
}

func statusError(resp *http.Response) error {
	if resp.StatusCode/100 == 2 {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
	return fmt.Errorf("%s: %s", resp.Status, text)
}

func (s *site) mustScrape(addr string) metrics {
	s.t.Helper()
	m, err := s.scrape(addr)
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

// waitMetric waits for a metric to be at least a value.
func (s *site) waitMetric(addr, name string, least float64, alive ...*process) {
	s.t.Helper()
	s.until(fmt.Sprintf("%s at %s", name, addr), func() error {
		m, err := s.scrape(addr)
		if err == nil && m[name] < least {
			err = fmt.Errorf("is %v, want %v", m[name], least)
		}
		return err
	}, alive...)
}

// catchment returns the program under test: $LAB_BINARY, else this tree's, built
// once.
func catchment(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var build = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("LAB_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	path, err := filepath.Abs("../../bin/catchment")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", path, "../../cmd/catchment")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	return path, nil
})
