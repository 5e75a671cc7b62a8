package synth

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
)

// http2 is a client over one connection that has negotiated h2: the standard
// library's, which is given that connection and never another.
type http2 struct {
	ctx  context.Context // of the one download that it is for
	conn *tls.Conn
	rt   *http.Transport
	host string
	body io.ReadCloser
	left int64
	buf  []byte
}

var errOneConnection = errors.New("synth: the connection cannot be used any more")

func newHTTP2(ctx context.Context, conn *tls.Conn, host string) *http2 {
	var used atomic.Bool
	rt := &http.Transport{
		Protocols:              new(http.Protocols),
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
			if used.Swap(true) {
				return nil, errOneConnection
			}
			return conn, nil
		},
	}
	rt.Protocols.SetHTTP2(true)
	return &http2{ctx: ctx, conn: conn, rt: rt, host: host, buf: make([]byte, 4<<10)}
}

func (h *http2) close() {
	if h.body != nil {
		_ = h.body.Close()
	}
	h.rt.CloseIdleConnections()
	_ = h.conn.Close()
}

func (h *http2) get(path string) (answer, error) {
	if h.body != nil {
		if h.left > 0 {
			return answer{}, errMisuse
		}
		_ = h.body.Close()
	}
	req, err := http.NewRequestWithContext(h.ctx, http.MethodGet, "https://"+h.host+path, nil)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("User-Agent", userAgent)
	resp, err := h.rt.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	h.body = resp.Body
	a := answer{status: resp.StatusCode, length: resp.ContentLength, last: resp.Close}
	if a.length < 0 {
		return answer{}, wrongError("no Content-Length")
	}
	h.left = a.length
	a.name(headerOf(resp.Header, "X-PoP"), headerOf(resp.Header, "Server-Timing"))
	return a, nil
}

func (h *http2) more() (int, error) {
	if h.left == 0 {
		return 0, io.EOF
	}
	n, err := h.body.Read(h.buf)
	h.left -= int64(n)
	switch {
	case n > 0:
		return n, nil
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return 0, err
}

// headerOf joins the values of a field; the standard library has spelled its
// name canonically.
func headerOf(h http.Header, name string) string {
	values := h.Values(name)
	if len(values) == 0 {
		return ""
	}
	var joined strings.Builder
	joined.WriteString(values[0])
	for _, v := range values[1:] {
		joined.WriteString("," + v)
	}
	return joined.String()
}
