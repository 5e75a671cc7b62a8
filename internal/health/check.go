// Package health finds out how PoPs are and tells the control node: a PoP
// about itself (Reporter), a name server about what it can reach (Prober).
package health

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"catchment/internal/edge"
)

// Poster sends a body to the control node, as JSON.
type Poster interface {
	Post(ctx context.Context, path string, body any) error
}

// streak is a state that changes only after so many results in a row.
type streak struct {
	rise, fall int
	state      edge.HealthState
	ok         bool // of the last result
	n          int  // results like it in a row
}

// note adds a result and reports whether the state changed.
func (s *streak) note(ok bool) bool {
	if ok != s.ok {
		s.ok, s.n = ok, 0
	}
	s.n++
	before := s.state
	switch {
	case ok && s.n >= s.rise:
		s.state = edge.Up
	case !ok && s.n >= s.fall:
		s.state = edge.Down
	}
	return s.state != before
}

// checks are the health checks of one PoP, running.
type checks struct {
	log     *slog.Logger
	changed chan<- struct{}

	mu  sync.Mutex
	all []check // guarded by mu
}

type check struct {
	edge.HealthCheck
	streak streak
	why    string // of the last failure
}

func newChecks(of []edge.HealthCheck, log *slog.Logger, changed chan<- struct{}) *checks {
	c := &checks{log: log, changed: changed}
	for _, h := range of {
		c.all = append(c.all, check{HealthCheck: h, streak: streak{rise: h.Rise, fall: h.Fall, state: edge.Unknown}})
	}
	return c
}

// run checks until ctx is done.
func (c *checks) run(ctx context.Context) {
	var all sync.WaitGroup
	for i := range c.all {
		all.Go(func() { c.repeat(ctx, i) })
	}
	all.Wait()
}

func (c *checks) repeat(ctx context.Context, i int) {
	h := c.all[i].HealthCheck
	client := newHTTPClient(h.HTTP)
	tick := time.NewTicker(h.Every)
	defer tick.Stop()
	for {
		err := get(ctx, client, h.HTTP, h.Timeout)
		if ctx.Err() != nil {
			return
		}
		c.note(i, err)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (c *checks) note(i int, err error) {
	c.mu.Lock()
	x := &c.all[i]
	if err != nil {
		x.why = shorten(err)
	}
	changed, state := x.streak.note(err == nil), x.streak.state
	c.mu.Unlock()
	if !changed {
		return
	}
	if err != nil {
		c.log.Warn("health check changed", "check", x.HTTP, "state", string(state), "error", err)
	} else {
		c.log.Info("health check changed", "check", x.HTTP, "state", string(state))
	}
	select {
	case c.changed <- struct{}{}:
	default: // a report is due anyway
	}
}

// state is down if any check is, else unknown while any has not decided, else
// up. Without checks a PoP counts as up.
func (c *checks) state() (state edge.HealthState, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	state = edge.Up
	for i := range c.all {
		switch x := &c.all[i]; x.streak.state {
		case edge.Down:
			return edge.Down, x.HTTP + ": " + x.why
		case edge.Unknown:
			state, why = edge.Unknown, x.HTTP+" has not been checked often enough"
		}
	}
	return state, why
}

// newHTTPClient returns a client that connects anew for every request, as
// users do. On loopback no certificate can be right, and none is asked for.
func newHTTPClient(rawURL string) *http.Client {
	t := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	if u, err := url.Parse(rawURL); err == nil && onLoopback(u.Hostname()) {
		t.TLSClientConfig.InsecureSkipVerify = true
	}
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func onLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// get is nil for an answer of 200 to 299 within the time.
func get(ctx context.Context, client *http.Client, rawURL string, timeout time.Duration) error {
	_, err := read(ctx, client, rawURL, timeout)
	return err
}

// maxPage bounds what is read of a page: an exposition of some 100,000 series.
const maxPage = 16 << 20

func read(ctx context.Context, client *http.Client, rawURL string, timeout time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "catchment-health")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	switch {
	case resp.StatusCode/100 != 2:
		return nil, fmt.Errorf("answers %s", resp.Status)
	case err != nil:
		return nil, err
	}
	return body, nil
}

// connect is nil if a TCP connection comes about within the time.
func connect(ctx context.Context, addr string, timeout time.Duration) error {
	c, err := (&net.Dialer{Timeout: timeout}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}

// maxWhy bounds a reason that is reported, in bytes.
const maxWhy = 200

// shorten returns what an error says, short enough to be reported.
func shorten(err error) string { return cut(strings.ToValidUTF8(err.Error(), "?")) }

func cut(text string) string {
	if len(text) <= maxWhy {
		return text
	}
	return strings.ToValidUTF8(text[:maxWhy-len("…")], "") + "…"
}
