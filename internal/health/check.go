// Package health finds out how PoPs are and tells the control node: a PoP
// about itself (Reporter), a name server about what it can reach (Prober).
package health

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
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
