package pop

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/textproto"
	"net/url"
	"sync"
	"time"

	"catchment/internal/edge"
)

// Finding is one thing that CheckURL noticed.
type Finding struct {
	Rule   string `json:"rule"`             // short and stable: "timing-allow-origin"
	Advice bool   `json:"advice,omitempty"` // it works without; otherwise measurements are wrong or missing
	What   string `json:"what"`             // what was seen
	Set    string `json:"set"`              // what to set
}

// String returns the finding as one line.
func (f Finding) String() string {
	kind := "wrong"
	if f.Advice {
		kind = "advice"
	}
	return fmt.Sprintf("%s: %s: %s; %s", kind, f.Rule, f.What, f.Set)
}

// CheckOptions say what CheckURL knows of the world. The zero value is useful.
type CheckOptions struct {
	Fleet   *edge.Fleet    // for the rules about PoPs, VIPs and probe names; nil skips them
	RootCAs *x509.CertPool // nil: the system's
	Timeout time.Duration  // for each of the two requests; 0: 10 s

	// Dial opens the connection; nil uses the system's resolver. With it a
	// name can be checked at an address that it does not resolve to yet.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// checkOrigin is the page that the requests pretend to come from.
const checkOrigin = "https://catchment-check.example"

// CheckURL asks for rawURL twice over one fresh connection, as the browser
// script would, and says what is missing or wrong about the answers. None
// means that the URL is fit to be probed from web pages. The URL should be one
// of a small object, /o for example.
//
// The error says why there was no answer to look at. A certificate that does
// not verify is a finding, not an error.
func CheckURL(ctx context.Context, rawURL string, opt CheckOptions) ([]Finding, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("pop: check: %w", err)
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, fmt.Errorf("pop: check %s: want an URL such as https://probe.example/o", rawURL)
	}
	if opt.Timeout <= 0 {
		opt.Timeout = 10 * time.Second
	}
	c := &checker{CheckOptions: opt, url: u}
	if opt.Fleet != nil {
		c.probe = underProbe(u.Hostname(), canonical(opt.Fleet.Probe))
	}
	transport := c.transport()
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	// Once on a new connection, once on the same: what is measured is the
	// second, what is new is seen in the first.
	if c.cold, err = c.get(ctx, client); err != nil {
		return nil, fmt.Errorf("pop: check: %w", err)
	}
	if c.warm, err = c.get(ctx, client); err != nil {
		return nil, fmt.Errorf("pop: check: second request: %w", err)
	}
	c.judge()
	return c.findings, nil
}

// checker is one run of CheckURL.
type checker struct {
	CheckOptions
	url        *url.URL
	probe      bool // the host is a probe name of the fleet
	cold, warm *seen
	findings   []Finding
}

// seen is one answer, as seen from outside.
type seen struct {
	*http.Response
	remote  netip.Addr
	reused  bool          // on the connection of the request before
	connect time.Duration // TCP handshake; 0 on a used connection
	ttfb    time.Duration // from before the request was written to the answer's first byte
	interim int           // status of a 1xx answer before it; 0: none
}

func (c *checker) wrong(rule, set, what string, args ...any) {
	c.findings = append(c.findings, Finding{Rule: rule, What: fmt.Sprintf(what, args...), Set: set})
}

func (c *checker) advise(rule, set, what string, args ...any) {
	c.findings = append(c.findings, Finding{Rule: rule, Advice: true, What: fmt.Sprintf(what, args...), Set: set})
}

func (c *checker) transport() *http.Transport {
	dial := c.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	return &http.Transport{
		DialContext:        dial,
		ForceAttemptHTTP2:  true,
		DisableCompression: true, // we ask for it ourselves, and want to see it
		// The certificate is judged later, so that everything is said at once.
		// Nothing confidential is sent.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}},
	}
}

func (c *checker) get(ctx context.Context, client *http.Client) (*seen, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	s := &seen{}
	var begin time.Time
	var connects handshakes
	trace := &httptrace.ClientTrace{
		ConnectStart: connects.start,
		ConnectDone:  connects.done,
		GotConn: func(info httptrace.GotConnInfo) {
			begin = time.Now()
			s.reused = info.Reused
			s.remote = addrOf(info.Conn.RemoteAddr())
			s.connect = connects.took(info.Conn.RemoteAddr().String())
		},
		GotFirstResponseByte: func() { s.ttfb = time.Since(begin) },
		Got1xxResponse:       func(code int, _ textproto.MIMEHeader) error { s.interim = code; return nil },
	}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodGet, c.url.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Origin", checkOrigin)
	req.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd")
	req.Header.Set("User-Agent", "catchment-check")
	if s.Response, err = client.Do(req); err != nil {
		return nil, err
	}
	defer s.Body.Close()
	// All of it, or the connection cannot be used again; but not a download.
	n, err := io.Copy(io.Discard, io.LimitReader(s.Body, maxCheckBody+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if n > maxCheckBody {
		return nil, errors.New("the answer is over 1 MiB: check an URL of a small object, such as /o")
	}
	return s, nil
}

const maxCheckBody = 1 << 20

// handshakes times TCP handshakes by address: a name with two address families
// has both tried at once.
type handshakes struct {
	mu      sync.Mutex
	started map[string]time.Time
	ended   map[string]time.Duration
}

func (h *handshakes) start(_, addr string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.started == nil {
		h.started, h.ended = map[string]time.Time{}, map[string]time.Duration{}
	}
	h.started[addr] = time.Now()
}

func (h *handshakes) done(_, addr string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.ended[addr] = time.Since(h.started[addr])
	}
}

// took returns how long connecting to addr took; 0 if it was not seen.
func (h *handshakes) took(addr string) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ended[addr]
}
