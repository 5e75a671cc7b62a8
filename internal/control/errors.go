package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"catchment/internal/tokens"
)

// errNone says that nothing was published yet.
var errNone = errors.New("control: there is no snapshot yet")

// apiError is an answer other than 2xx: {"error": …, "field": …}.
type apiError struct {
	status  int
	Message string `json:"error"`
	Field   string `json:"field,omitempty"` // of the request that is to blame
}

func refuse(status int, field, format string, args ...any) *apiError {
	return &apiError{status, fmt.Sprintf(format, args...), field}
}

func (e *apiError) write(w http.ResponseWriter) {
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeJSON(w, e.status, e)
}

// writeJSON answers with v and a line feed, not to be cached.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // no value of ours has a NaN or a cycle
		status, body = http.StatusInternalServerError, []byte(`{"error":"internal"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// allow returns who asks if their role is one of some, and else answers.
func (c *Control) allow(w http.ResponseWriter, r *http.Request, some ...tokens.Role) (follower, bool) {
	role, id, ok := c.cfg.Tokens.Identify(r)
	var words []string
	for _, s := range some {
		words = append(words, string(s))
	}
	want := strings.Join(words, " or ")
	switch {
	case !ok:
		refuse(http.StatusUnauthorized, "", "want a bearer token of role %s", want).write(w)
	case !slices.Contains(some, role):
		refuse(http.StatusForbidden, "", "the token is of role %s (want %s)", role, want).write(w)
		ok = false
	}
	return follower{role, id}, ok
}
