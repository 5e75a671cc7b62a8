package beacon

import (
	"encoding/json"
	"log"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Shared header values: setting a header to one of them does not allocate.
// Nothing writes to them.
var (
	anyone        = []string{"*"}
	noStore       = []string{"no-store"}
	contentJSON   = []string{"application/json"}
	contentText   = []string{"text/plain; charset=utf-8"}
	noSniff       = []string{"nosniff"}
	closeConn     = []string{"close"}
	preflightHead = []string{"Content-Type"}
	preflightAge  = []string{"86400"} // s; browsers cap it lower
)

// Server returns the settings of a public listener for h. Errors of net/http
// itself go to log at debug level without the client addresses in them, a
// panic in a handler at error level.
func Server(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second, // 16 KiB over a bad mobile link take less
		WriteTimeout:      30 * time.Second, // above the wait for the disk
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          quietLog(log),
	}
}

// hostPort matches an address with a port as net.Addr prints it.
var hostPort = regexp.MustCompile(`\[[0-9A-Fa-f:.]+(%[^\]]*)?\]:\d+|\d+\.\d+\.\d+\.\d+:\d+`)

type quietWriter struct{ log *slog.Logger }

func (w quietWriter) Write(line []byte) (int, error) {
	text := hostPort.ReplaceAllString(strings.TrimSpace(string(line)), "client")
	if strings.Contains(text, "panic serving") {
		w.log.Error("http handler failed", "error", text)
	} else {
		w.log.Debug("http connection failed", "error", text)
	}
	return len(line), nil
}

func quietLog(l *slog.Logger) *log.Logger { return log.New(quietWriter{l}, "", 0) }

// Handler serves the public endpoints:
//
//	POST /v1/beacons  204 once durable; 400, 413, 415, 429, 503 with {"reason","field","detail"}
//	POST /v1/nel      204 once durable: reports of Network Error Logging
//	GET  /v1/plan     {"id","ttl","probes":[{"target","url"}]}
//	GET  /v1/whoami   how the client's address is derived
//	GET  /healthz     200 or 503
//
// and Config.Assets. All but whoami may be used from any origin.
func (c *Collector) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Access-Control-Allow-Origin"] = anyone
		switch r.URL.Path {
		case "/v1/beacons":
			if methods(w, r, http.MethodPost) {
				c.serveBeacons(w, r)
			} else if r.Method != http.MethodOptions {
				c.metrics.rejected[ReasonMethod].Inc()
			}
		case "/v1/nel":
			switch {
			case c.cfg.Requests == nil:
				http.NotFound(w, r)
			case methods(w, r, http.MethodPost):
				c.serveReports(w, r)
			}
		case "/v1/plan":
			if methods(w, r, http.MethodGet) {
				c.servePlan(w, r)
			} else if r.Method != http.MethodOptions {
				c.metrics.planRefuse[ReasonMethod].Inc()
			}
		case "/v1/whoami":
			if methods(w, r, http.MethodGet, http.MethodHead) {
				c.serveWhoami(w, r)
			}
		case "/healthz":
			if methods(w, r, http.MethodGet, http.MethodHead) {
				c.serveHealth(w)
			}
		default:
			if asset, ok := c.cfg.Assets[r.URL.Path]; ok {
				asset.ServeHTTP(w, r)
				return
			}
			http.NotFound(w, r)
		}
	})
}

// methods reports whether r uses one of the allowed methods. If not it answers:
// 204 to OPTIONS, which asks for permission (CORS preflight), else 405.
func methods(w http.ResponseWriter, r *http.Request, allowed ...string) bool {
	if slices.Contains(allowed, r.Method) {
		return true
	}
	h := w.Header()
	allow := strings.Join(append(allowed, http.MethodOptions), ", ")
	h.Set("Allow", allow)
	if r.Method != http.MethodOptions {
		http.Error(w, "want "+allow, http.StatusMethodNotAllowed)
		return false
	}
	h.Set("Access-Control-Allow-Methods", allow)
	h["Access-Control-Allow-Headers"] = preflightHead
	h["Access-Control-Max-Age"] = preflightAge
	w.WriteHeader(http.StatusNoContent)
	return false
}

func (c *Collector) serveHealth(w http.ResponseWriter) {
	h := w.Header()
	h["Content-Type"], h["Cache-Control"] = contentText, noStore
	if c.cfg.Healthy != nil {
		if err := c.cfg.Healthy(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			w.Write([]byte("not healthy\n")) // why is for the admin listener
			return
		}
	}
	w.Write([]byte("ok\n"))
}

// refusal is an answer other than 2xx.
type refusal struct {
	status int
	retry  time.Duration // for Retry-After; 0: none
	Error
}

func refuse(status int, r Reason, detail string) *refusal {
	return &refusal{status: status, Error: Error{Reason: r, Detail: detail}}
}

// write answers with the refusal as JSON.
func (f *refusal) write(w http.ResponseWriter) { f.writeBody(w, &f.Error) }

// writeBody is write with a body that says more.
func (f *refusal) writeBody(w http.ResponseWriter, body any) {
	h := w.Header()
	if f.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int((f.retry+time.Second-1)/time.Second)))
	}
	if f.status == http.StatusRequestEntityTooLarge {
		h["Connection"] = closeConn // rather than read the rest
	}
	writeJSON(w, f.status, body)
}

// writeJSON answers with v and a line feed, not to be cached.
func writeJSON(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h["Content-Type"], h["Cache-Control"], h["X-Content-Type-Options"] = contentJSON, noStore, noSniff
	body, err := json.Marshal(v)
	if err != nil { // no value of ours has a NaN or a cycle
		status, body = http.StatusInternalServerError, []byte(`{"reason":"internal"}`)
	}
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}
