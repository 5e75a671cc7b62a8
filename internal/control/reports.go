package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"catchment/internal/edge"
	"catchment/internal/tokens"
)

// Limits of a report.
const (
	maxReport  = 4 << 10
	maxProbes  = 1 << 20 // of all addresses of a fleet
	maxWhyText = 200
)

// Handler serves the control listener:
//
//	GET  /v1/snapshot  roles dns, pop: see serveSnapshot
//	POST /v1/health    role pop: edge.HealthReport, of the PoP that the token names
//	POST /v1/probes    role dns: a list of edge.Reachable
//	POST /v1/announce  role pop: announce.Status; the answer is announce.Reply
func (c *Control) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/snapshot", c.serveSnapshot)
	mux.HandleFunc("POST /v1/health", c.serveReport)
	mux.HandleFunc("POST /v1/probes", c.serveProbes)
	mux.HandleFunc("POST /v1/announce", c.serveAnnounce)
	return mux
}

func (c *Control) serveReport(w http.ResponseWriter, r *http.Request) {
	who, ok := c.allow(w, r, tokens.PoP)
	if !ok {
		return
	}
	var report edge.HealthReport
	if err := readBody(w, r, maxReport, &report); err != nil {
		err.write(w)
		return
	}
	if err := checkReport(&report); err != nil {
		err.write(w)
		return
	}
	id, now := edge.PoPID(who.id), time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.fleet.PoP(id); !ok {
		refuse(http.StatusForbidden, "", "the token's id %q is no PoP of the fleet", who.id).write(w)
		return
	}
	c.health.report(id, report, now)
	if c.settleHealth(now) {
		c.wake()
	}
	w.WriteHeader(http.StatusNoContent)
}

func checkReport(r *edge.HealthReport) *apiError {
	switch {
	case r.State != edge.Up && r.State != edge.Down:
		return refuse(http.StatusBadRequest, "state", "%q is not up or down", r.State)
	case !(r.Share >= 0 && r.Share <= 1):
		return refuse(http.StatusBadRequest, "share", "%v is not in 0 to 1", r.Share)
	case r.Load != nil && !(*r.Load >= 0 && !math.IsInf(*r.Load, 0)):
		return refuse(http.StatusBadRequest, "load", "%v is not a number of requests/s", *r.Load)
	case len(r.Why) > maxWhyText:
		return refuse(http.StatusBadRequest, "why", "has %d bytes (want at most %d)", len(r.Why), maxWhyText)
	}
	return nil
}

func (c *Control) serveProbes(w http.ResponseWriter, r *http.Request) {
	who, ok := c.allow(w, r, tokens.DNS)
	if !ok {
		return
	}
	var found []edge.Reachable
	if err := readBody(w, r, maxProbes, &found); err != nil {
		err.write(w)
		return
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	known := found[:0]
	for _, f := range found {
		if len(f.Why) > maxWhyText || len(f.Address) > maxWhyText {
			refuse(http.StatusBadRequest, "why", "an address or a reason has more than %d bytes", maxWhyText).write(w)
			return
		}
		if _, ok := c.fleet.PoP(f.PoP); ok { // the name server may have another fleet for a moment
			known = append(known, f)
		}
	}
	c.health.probed(who.id, known, now)
	if c.settleHealth(now) {
		c.wake()
	}
	w.WriteHeader(http.StatusNoContent)
}

// readBody reads one JSON value of at most limit bytes into v. Unknown keys
// are errors.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, v any) *apiError {
	text, err := readText(w, r, limit)
	if err != nil {
		return err
	}
	return decode(text, v)
}

func readText(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, *apiError) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, refuse(http.StatusRequestEntityTooLarge, "", "the body is larger than %d bytes", limit)
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "", "the body could not be read")
	}
	return text, nil
}

func decode(text []byte, v any) *apiError {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	var mistyped *json.UnmarshalTypeError
	switch {
	case errors.As(err, &mistyped):
		field := strings.TrimPrefix(strings.TrimPrefix(mistyped.Field, "common."), "ending.") // what bodies embed
		return refuse(http.StatusBadRequest, field, "a JSON %s (want %s)", mistyped.Value, mistyped.Type)
	case errors.Is(err, io.EOF):
		return refuse(http.StatusBadRequest, "", "the body is empty (want JSON)")
	case err != nil:
		return refuse(http.StatusBadRequest, unknownField(err), "%v", err)
	case dec.More():
		return refuse(http.StatusBadRequest, "", "more than one JSON value")
	}
	return nil
}

// unknownField returns the key that encoding/json did not know, from its
// error's text: there is no type for it.
func unknownField(err error) string {
	const prefix = `json: unknown field "`
	if text := err.Error(); len(text) > len(prefix)+1 && text[:len(prefix)] == prefix {
		return text[len(prefix) : len(text)-1]
	}
	return ""
}
