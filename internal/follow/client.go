// Package follow keeps a process supplied with snapshots by the control node,
// and with the last good one while there is no control node.
package follow

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"catchment/internal/tokens"
)

// Client talks to a control node, over TLS and with a bearer token. Safe for
// concurrent use.
type Client struct {
	base  string // without the trailing slash
	token string
	http  *http.Client
}

// Hold is how long the control node keeps a request open that waits for the
// next snapshot.
const Hold = 30 * time.Second

// NewClient returns a client of the control listener at rawURL, an https URL
// without a path. The token is read from tokenFile; caFile, if not empty,
// holds the only certificate authorities that are believed, PEM. No error
// shows the token.
func NewClient(rawURL, tokenFile, caFile string) (*Client, error) {
	return newClient(rawURL, tokenFile, caFile, func(u *url.URL) bool { return u.Scheme == "https" },
		"want an https URL such as https://control.example:9443")
}

// NewAPIClient returns a client of /api/v1 on the admin listener. It is like
// NewClient's, but takes plain HTTP to the same machine, too: a token must not
// cross a network in the clear.
func NewAPIClient(rawURL, tokenFile, caFile string) (*Client, error) {
	return newClient(rawURL, tokenFile, caFile, func(u *url.URL) bool {
		a, err := netip.ParseAddr(u.Hostname())
		local := u.Hostname() == "localhost" || err == nil && a.IsLoopback()
		return u.Scheme == "https" || u.Scheme == "http" && local
	}, "want https, or http to a loopback address such as http://127.0.0.1:9100")
}

func newClient(rawURL, tokenFile, caFile string, good func(*url.URL) bool, want string) (*Client, error) {
	u, err := url.Parse(rawURL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("follow: %w", err)
	case u.User != nil || u.RawQuery != "" || strings.Trim(u.Path, "/") != "":
		return nil, fmt.Errorf("follow: %q: want scheme, host and port only", u.Redacted())
	case u.Host == "" || !good(u):
		return nil, fmt.Errorf("follow: %q: %s", rawURL, want)
	}
	token, err := tokens.Read(tokenFile)
	if err != nil {
		return nil, fmt.Errorf("follow: %w", err)
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("follow: %w", err)
		}
		if cfg.RootCAs = x509.NewCertPool(); !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("follow: %s holds no certificate (want PEM)", caFile)
		}
	}
	return &Client{u.Scheme + "://" + u.Host, token, &http.Client{
		Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
			TLSClientConfig:       cfg,
			TLSHandshakeTimeout:   5 * time.Second,
			ResponseHeaderTimeout: Hold + 15*time.Second,
			IdleConnTimeout:       2 * time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("redirects are not followed: the token is for one host")
		},
	}}, nil
}

// postTimeout is for a report: the next one comes soon.
const postTimeout = 5 * time.Second

// maxAnswer bounds the answer to a Call.
const maxAnswer = 1 << 20

// Post sends body as JSON. Any answer other than 2xx is an error, a
// *StatusError.
func (c *Client) Post(ctx context.Context, path string, body any) error {
	return c.Call(ctx, http.MethodPost, path, body, nil)
}

// Call sends body as JSON, nothing if it is nil, and decodes the answer into
// answer, unless that is nil or there is none. Any answer other than 2xx is an
// error, a *StatusError.
func (c *Client) Call(ctx context.Context, method, path string, body, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	var r io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("follow: %s: %w", path, err)
		}
		r = bytes.NewReader(text)
	}
	resp, err := c.do(ctx, method, path, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if answer == nil {
		return nil
	}
	text, err := readAll(resp.Body, maxAnswer)
	if err != nil || len(text) == 0 {
		return err
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("follow: %s: the answer: %w", path, err)
	}
	return nil
}

// StatusError is an answer other than 2xx.
type StatusError struct {
	Path string
	Code int
	Text string // of the answer's body, at most 1,000 bytes
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("follow: %s: %d %s: %s", e.Path, e.Code, http.StatusText(e.Code), e.Text)
}

// Get returns the body of the answer, at most limit bytes of it.
func (c *Client) Get(ctx context.Context, path string, limit int64) ([]byte, error) {
	resp, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return readAll(resp.Body, limit)
}

// Download writes the body of the answer to w, however long it is. One that
// breaks off is an error.
func (c *Client) Download(ctx context.Context, path string, w io.Writer) (int64, error) {
	resp, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(w, resp.Body)
	if err != nil {
		return n, fmt.Errorf("follow: %s: %w", path, err)
	}
	return n, nil
}

// do sends a request, its body JSON, and returns an answer that is 2xx or 304.
func (c *Client) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	h := http.Header{}
	if body != nil {
		h.Set("Content-Type", "application/json")
	}
	return c.send(ctx, method, path, h, body)
}

func (c *Client) send(ctx context.Context, method, path string, h http.Header, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("follow: %w", err)
	}
	req.Header = h
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("follow: %w", err)
	}
	if resp.StatusCode/100 == 2 || resp.StatusCode == http.StatusNotModified {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
	return nil, &StatusError{path, resp.StatusCode, strings.TrimSpace(string(text))}
}

// readAll reads what must not be longer than limit, which bounds what a
// compressed body unfolds to.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("follow: %w", err)
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("follow: more than %d bytes", limit)
	}
	return data, nil
}
