package pop

import (
	"net/http"
	"strconv"
	"time"
)

// answer is one request being answered.
type answer struct {
	w      http.ResponseWriter
	r      *http.Request
	conn   *conn
	begin  time.Time
	object string // for metrics: a fixed set
}

// serve answers a request. There is no ServeMux, since that redirects, and an
// answer that comes from elsewhere measures nothing.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Delay > 0 {
		select {
		case <-time.After(s.cfg.Delay):
		case <-r.Context().Done():
			return
		}
	}
	if s.draining.Load() {
		w.Header().Set("Connection", "close") // over HTTP/2 the server makes a GOAWAY of it
	}
	a := &answer{w: w, r: r, conn: connOf(r.Context()), begin: time.Now(), object: "other"}
	handle := func(a *answer) {
		s.text(a, http.StatusNotFound, "no such object: there are /o, /slow, /big and /healthz\n")
	}
	switch r.URL.Path {
	case "/o":
		a.object, handle = "o", func(a *answer) { s.text(a, http.StatusOK, "ok") }
	case "/slow":
		a.object, handle = "slow", s.slow
	case "/big":
		a.object, handle = "big", s.big
	case "/healthz":
		a.object, handle = "healthz", s.healthz
	}
	switch {
	case r.ProtoMajor >= 2 && s.names.Load().isProbe(r.Host):
		// The client negotiated HTTP/2 under another name, saw that our
		// certificate and address also suit the probe name, and reused the
		// connection. It would measure where that one leads. This status makes
		// it open a connection of its own (RFC 9113, section 9.1.2).
		s.text(a, http.StatusMisdirectedRequest, "probe names are served over HTTP/1.1, each on its own connection\n")
	case r.Method == http.MethodOptions:
		s.options(a)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", allowed)
		s.text(a, http.StatusMethodNotAllowed, "want GET, HEAD or OPTIONS\n")
	default:
		handle(a)
	}
}

const allowed = "GET, HEAD, OPTIONS"

// options answers a preflight, for scripts other than ours: ours needs none.
func (s *Server) options(a *answer) {
	h := a.w.Header()
	h.Set("Allow", allowed)
	h.Set("Access-Control-Allow-Methods", allowed)
	h.Set("Access-Control-Allow-Headers", "*")
	h.Set("Access-Control-Max-Age", "86400") // seconds
	s.head(a, http.StatusNoContent)
}

func (s *Server) healthz(a *answer) {
	select {
	case <-s.stopping:
		s.text(a, http.StatusServiceUnavailable, "stopping\n")
	default:
		s.text(a, http.StatusOK, "ok\n")
	}
}

// text answers with a short body.
func (s *Server) text(a *answer, code int, body string) {
	h := a.w.Header()
	h["Content-Type"] = plainText
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	s.head(a, code)
	if a.r.Method != http.MethodHead {
		// An error is the client's, which is gone then.
		_, _ = a.w.Write([]byte(body))
	}
}

// head writes the status and the headers, those that name the PoP last.
func (s *Server) head(a *answer, code int) {
	names := s.names.Load()
	names.write(a.w.Header(), a.conn, a.begin)
	a.w.WriteHeader(code)
	s.metrics.requests.WithLabelValues(a.object, strconv.Itoa(code), string(names.vip(a.conn))).Inc()
}
