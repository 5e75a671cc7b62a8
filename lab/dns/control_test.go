package dns_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// plane is a control node and what its followers need.
type plane struct {
	*site
	flags []string // of serve
	files []string // of catchment dns, but for its token and data
}

const (
	serveAdmin    = "127.0.0.1:9100"
	operatorToken = "operator-operator-operator"
	second4       = "192.0.2.63" // the second name server
	toldSource    = `catchment_snapshot_source{source=%q}`
)

func newPlane(s *site) *plane {
	cert, key := s.certificate("control", control)
	tokens := s.write("tokens", []byte("dns ns1 ns1-ns1-ns1-ns1-ns1-ns1-ns1\ndns ns2 ns2-ns2-ns2-ns2-ns2-ns2-ns2\noperator alice "+operatorToken+"\n"))
	for _, id := range []string{"ns1", "ns2"} {
		s.write(id+".token", []byte(strings.Repeat(id+"-", 6)+id+"\n"))
	}
	return &plane{
		s,
		[]string{
			"serve", "--fleet", "testdata/fleet.yaml", "--places", "testdata/places.csv", "--data", filepath.Join(s.dir, "serve"),
			"--listen", control + ":8080", "--admin", serveAdmin, "--control", control + ":9443",
			"--control-cert", cert, "--control-key", key, "--tokens", tokens, "--min-free", "0",
		},
		[]string{"--zone", "testdata/edge.example.zone", "--places", "testdata/places.csv", "--follow", "https://" + control + ":9443", "--ca", cert},
	}
}

func (p *plane) serve() *process { return p.start("msg=listening", catchment(p.t), p.flags...) }

// nameServer starts catchment dns and returns when it has logged the text.
func (p *plane) nameServer(id, addr, until string) *process {
	p.t.Helper()
	return p.start(until, catchment(p.t), append([]string{
		"dns", "--id", id, "--listen", addr + ":53", "--admin", addr + ":9102",
		"--token-file", filepath.Join(p.dir, id+".token"), "--data", filepath.Join(p.dir, id),
	}, p.files...)...)
}

// call is a request to the operators' API.
func (p *plane) call(method, path, body string) {
	p.t.Helper()
	req, err := http.NewRequest(method, "http://"+serveAdmin+"/api/v1/"+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+operatorToken)
	resp, err := p.http.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := statusError(resp); err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
}

// steered waits until the name servers send the client in Frankfurt to an
// address.
func (p *plane) steered(to string, servers ...string) time.Duration {
	p.t.Helper()
	start := time.Now()
	for _, addr := range servers {
		c := p.dial("198.51.100.7", addr)
		p.until("answer "+to+" of "+addr, func() error {
			if a := p.askAll(c, []lookup{frankfurt})[0]; a.addrs != to {
				return fmt.Errorf("it is %+v", a)
			}
			return nil
		})
	}
	return time.Since(start)
}

var frankfurt = lookup{name: "www.edge.example", qtype: dns.TypeA, subnet: netip.MustParsePrefix("203.0.113.192/26")}

const (
	fra = "192.0.2.30" // Frankfurt's own PoP
	iad = "192.0.2.10" // the next best
)

// TestControl kills the control node: name servers go on, and start again, by
// the last snapshot they had, and follow once it is back.
func TestControl(t *testing.T) {
	p := newPlane(newSite(t))
	serve := p.serve()
	ns1 := p.nameServer("ns1", server4, "msg=listening")
	ns2 := p.nameServer("ns2", second4, "msg=listening")
	both := []string{server4, second4}
	p.steered(fra, both...)
	watch := p.watch(server4)

	p.call(http.MethodPut, "drains/fra", `{"why":"test"}`)
	took := p.steered(iad, both...)
	t.Logf("figures: a drain reaches two name servers in %v", took.Round(time.Millisecond))
	if took > 5*time.Second {
		t.Error("that is too late")
	}

	// Without a control node everything stays as it is.
	serve.kill()
	for _, addr := range both {
		p.waitMetric(addr+":9102", `catchment_snapshot_polls_total{result="failed"}`, 2, ns1, ns2)
	}
	p.steered(iad, both...)
	watch.end()

	// Also over a restart, which metrics tell.
	ns1.stop()
	ns1 = p.nameServer("ns1", server4, "msg=listening")
	watch = p.watch(server4)
	p.steered(iad, server4)
	m := p.mustScrape(admin)
	if m[fmt.Sprintf(toldSource, "disk")] != 1 || m[fmt.Sprintf(toldSource, "control")] != 0 {
		t.Errorf("the snapshot is not told to be from disk: %v", m)
	}
	age := m["catchment_snapshot_age_seconds"]
	if age <= 0 || age > patience.Seconds() {
		t.Errorf("it is told to be %v s old", age)
	}
	p.waitMetric(admin, "catchment_snapshot_age_seconds", age+0.5, ns1)

	// A broken one on disk is not believed, whatever is broken.
	ns2.stop()
	file := filepath.Join(p.dir, "ns2", "snapshot.json")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"half of it":   string(good[:len(good)/2]),
		"no fleet":     `{"version":9}`,
		"unknown PoP":  strings.Replace(string(good), `"drains":[{"pop":"fra"`, `"drains":[{"pop":"nrt"`, 1),
		"another zone": strings.Replace(string(good), `"Name":"www.edge.example"`, `"Name":"www.core.example"`, 1),
	} {
		if bad == string(good) {
			t.Fatalf("%s: not broken", name)
		}
		p.refused(file, name, bad).kill()
	}
	ns2 = p.refused(file, "zeros", string(make([]byte, len(good))))

	// It comes back with what it knew, and everyone follows.
	p.serve()
	ns2.waitLog("msg=listening")
	p.steered(iad, both...)
	p.call(http.MethodDelete, "drains/fra?why=over", "")
	p.steered(fra, both...)
	for _, addr := range both {
		p.waitMetric(addr+":9102", fmt.Sprintf(toldSource, "control"), 1, ns1, ns2)
	}
	watch.end()
}

// refused starts the second name server with a broken snapshot on disk.
func (p *plane) refused(file, name, bad string) *process {
	p.t.Helper()
	if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
		p.t.Fatal(err)
	}
	ns2 := p.nameServer("ns2", second4, "snapshot on disk refused")
	if strings.Contains(ns2.logged(), "msg=listening") {
		p.t.Errorf("%s: it listens:\n%s", name, ns2.logged())
	}
	return ns2
}

// watch asks a name server for as long as it is watched; it must always
// answer, with one of the two.
func (p *plane) watch(addr string) *watcher {
	c, query := p.dial("198.51.100.8", addr), frankfurt.pack(p.t)
	w := &watcher{t: p.t}
	w.running.Go(func() {
		for !w.stop.Load() {
			w.err = errors.Join(w.err, ask(c, 1, 50, func(int) []byte { return query }, func(_ int, reply []byte) error {
				a, err := parse(query, reply)
				if err == nil && a.addrs != fra && a.addrs != iad {
					err = fmt.Errorf("answer %+v", a)
				}
				w.answers++
				return err
			}))
			if w.err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	return w
}

type watcher struct {
	t       *testing.T
	running sync.WaitGroup
	stop    atomic.Bool
	answers int
	err     error
}

func (w *watcher) end() {
	w.t.Helper()
	w.stop.Store(true)
	w.running.Wait()
	if w.err != nil || w.answers < 100 {
		w.t.Errorf("after %d answers: %v", w.answers, w.err)
	}
}
