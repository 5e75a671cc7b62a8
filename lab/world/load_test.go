package world

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// load is what a client does: short requests at a rate over connections that
// are kept, and slow downloads, to what DNS says the service is. It runs in a
// process of its own, in a host's namespace, until its standard input ends.
type load struct {
	NameServer string
	PerSecond  int
	Slow       int // downloads at a time
	Seconds    int // that each takes
}

// outcome is what became of it.
type outcome struct {
	Short, ShortFailed int
	Slow, SlowFailed   int
	PoPs               map[string]int // short requests, by who answered
	Errors             []string       // the first of them
}

func TestMain(m *testing.M) {
	text := os.Getenv("WORLD_LOAD")
	if text == "" {
		os.Exit(m.Run())
	}
	var l load
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(l.run()); err != nil {
		os.Exit(1)
	}
}

// start starts a load at a host; end ends it and returns what became of it.
func (r *rig) load(at string, l load) (end func() outcome) {
	r.t.Helper()
	text, err := json.Marshal(l)
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "WORLD_LOAD="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.f.Hosts[at].NS.Start(cmd); err != nil {
		r.t.Fatal(err)
	}
	return func() (o outcome) {
		r.t.Helper()
		in.Close()
		if err := json.NewDecoder(out).Decode(&o); err != nil {
			r.t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			r.t.Fatal(err)
		}
		return o
	}
}

func (l load) run() outcome {
	ctx, stop := context.WithCancel(context.Background())
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); stop() }()
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, network, l.NameServer)
	}}
	var mu sync.Mutex
	o := outcome{PoPs: map[string]int{}}
	fail := func(n *int, err error) {
		*n++
		if len(o.Errors) < 10 {
			o.Errors = append(o.Errors, time.Now().Format("15:04:05.000 ")+err.Error())
		}
	}
	// A resolver's cache: what it is told counts for a second.
	var at netip.Addr
	resolve := func() error {
		addrs, err := r.LookupNetIP(context.Background(), "ip4", Service)
		if err != nil {
			return err
		}
		mu.Lock()
		at = addrs[0]
		mu.Unlock()
		return nil
	}
	for resolve() != nil {
		if ctx.Err() != nil {
			return o
		}
		time.Sleep(100 * time.Millisecond)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for every := time.NewTicker(time.Second); ; {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
			}
			if err := resolve(); err != nil {
				mu.Lock()
				fail(&o.ShortFailed, err)
				mu.Unlock()
			}
		}
	})
	url := func(path string) string {
		mu.Lock()
		defer mu.Unlock()
		return "http://" + netip.AddrPortFrom(at, 80).String() + path
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second}}
	all.Go(func() {
		var requests sync.WaitGroup
		defer requests.Wait()
		for every := time.NewTicker(time.Second / time.Duration(max(1, l.PerSecond))); ; {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
			}
			requests.Go(func() {
				pop, err := get(client, url("/o"))
				mu.Lock()
				defer mu.Unlock()
				o.Short++
				o.PoPs[pop]++
				if err != nil {
					fail(&o.ShortFailed, err)
				}
			})
		}
	})
	for range l.Slow {
		all.Go(func() {
			slow := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for ctx.Err() == nil {
				_, err := get(slow, url(fmt.Sprintf("/slow?seconds=%d", l.Seconds)))
				mu.Lock()
				o.Slow++
				if err != nil {
					fail(&o.SlowFailed, err)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return o
}

func get(c *http.Client, url string) (pop string, err error) {
	resp, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", errors.New(resp.Status)
	}
	return resp.Header.Get("X-PoP"), nil
}
