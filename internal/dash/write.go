package dash

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// refusal is an answer other than 2xx.
type refusal struct {
	status int
	Error  string `json:"error"`
	Hint   string `json:"hint,omitempty"`
	Field  string `json:"field,omitempty"`
	State  state  `json:"state,omitempty"`
}

func refuse(status int, field, format string, args ...any) *refusal {
	return &refusal{status: status, Error: fmt.Sprintf(format, args...), Field: field}
}

func (r *refusal) write(w http.ResponseWriter) {
	if r.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeJSON(w, r.status, r)
}

func jsonHeader(h http.Header) {
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // floats are all share, millis or figure
		status, body = http.StatusInternalServerError, []byte(`{"error":"internal"}`)
	}
	jsonHeader(w.Header())
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the reader went away
}

// least is the size, bytes, from which gzip is worth it.
const leastGzip = 1400

// send writes a body, compressed if that is accepted and worth it.
func send(w http.ResponseWriter, r *http.Request, body []byte) {
	h := w.Header()
	h.Add("Vary", "Accept-Encoding")
	if len(body) < leastGzip || !acceptsGzip(r) {
		_, _ = w.Write(body)
		return
	}
	h.Set("Content-Encoding", "gzip")
	z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is valid
	_, _ = z.Write(body)
	_ = z.Close()
}

func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if (name == "gzip" || name == "*") && strings.ReplaceAll(q, " ", "") != "q=0" {
			return true
		}
	}
	return false
}

// body is the whole answer. made is when its figures were taken.
func (a *answer) body(made time.Time) []byte {
	s := &a.standing
	head := struct {
		State state     `json:"state"`
		Hint  string    `json:"hint,omitempty"`
		Made  time.Time `json:"made,omitzero"`
	}{s.state, s.hint, made.UTC().Truncate(time.Millisecond)}
	if made.IsZero() {
		head.Made = time.Time{}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(head) // nothing in it can fail
	b.Truncate(b.Len() - len("}\n"))
	if s.from <= s.to && s.days > 0 {
		fmt.Fprintf(&b, `,"from":"%s","to":"%s","covered":%d`, s.from, s.to, s.days)
	}
	b.Write(a.rest)
	b.WriteString("}\n")
	return b.Bytes()
}

// members marshals v, a struct, as members of an object, each with a comma
// before it.
func members(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil // floats are all share, millis or figure
	}
	text := bytes.TrimSpace(b.Bytes())
	text = text[1 : len(text)-1]
	if len(text) == 0 {
		return nil
	}
	return append([]byte{','}, text...)
}

// share and millis are figures of JSON as package report writes them: rounded
// to a ten-thousandth of a point and to a microsecond; NaN is null.
type (
	share  float64
	millis float64
)

func (v share) MarshalJSON() ([]byte, error)  { return rounded(float64(v), 6), nil }
func (v millis) MarshalJSON() ([]byte, error) { return rounded(float64(v), 3), nil }

func rounded(v float64, digits int) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return []byte("null")
	}
	scale := math.Pow10(digits)
	r := math.Round(v*scale) / scale
	if r == 0 {
		return []byte("0")
	}
	return strconv.AppendFloat(nil, r, 'f', -1, 64)
}
