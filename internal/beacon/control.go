package beacon

import (
	"errors"
	"io"
	"net/http"

	"github.com/klauspost/compress/gzip"

	"catchment/internal/tokens"
)

// ControlHandler serves what other machines of the operator hand in, on the
// control listener and with bearer tokens:
//
//	POST /v1/relay   beacons, by relays
//	POST /v1/nonces  queries for probe names, by name servers
func (c *Collector) ControlHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var serve http.HandlerFunc
		switch r.URL.Path {
		case "/v1/relay":
			serve = c.serveRelay
		case "/v1/nonces":
			serve = c.serveNonces
		default:
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "want POST", http.StatusMethodNotAllowed)
			return
		}
		serve(w, r)
	})
}

// allow reports whether r bears a token of a role, and otherwise answers 401.
func (c *Collector) allow(w http.ResponseWriter, r *http.Request, want tokens.Role) bool {
	if role, _, ok := c.cfg.Tokens.Identify(r); ok && role == want {
		return true
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	refuse(http.StatusUnauthorized, ReasonAuth, "want a bearer token of role "+string(want)).write(w)
	return false
}

// unpacked returns the body of r, which may be gzip, as a reader that fails
// with errTooMuch beyond so many bytes as sent, or once unpacked.
func unpacked(r *http.Request, wire, plain int64) (io.Reader, *refusal) {
	body := io.Reader(&bounded{r: r.Body, left: wire})
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip":
		unzip, err := gzip.NewReader(body)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, ReasonRead, "the body is not gzip")
		}
		body = unzip
	default:
		return nil, refuse(http.StatusUnsupportedMediaType, ReasonMedia, "want Content-Encoding gzip, or none")
	}
	return &bounded{r: body, left: plain}, nil
}

// bounded is a reader that fails beyond a number of bytes, unlike
// io.LimitedReader, which ends.
type bounded struct {
	r    io.Reader
	left int64
}

var errTooMuch = errors.New("beacon: over the limit")

func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errTooMuch
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left+1)])
	b.left -= int64(n)
	if b.left < 0 {
		return n - 1, errTooMuch
	}
	return n, err
}
