package dash

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"catchment/internal/tokens"
)

// who is somebody that was let in.
type who struct {
	role  tokens.Role
	id    string
	by    string // token, cookie or proxy
	csrf  string // that changes have to carry; empty: none
	until time.Time
}

type whoKey struct{}

// sessionPath is what viewers may delete, too: their own session.
const sessionPath = "/api/v1/session"

func whoOf(r *http.Request) who {
	w, _ := r.Context().Value(whoKey{}).(who)
	return w
}

// guard lets in who may read, and makes the request theirs. A token is sent on
// purpose; a cookie and what a proxy says come with every request of a browser,
// so that their changes must also come from our own pages: by what the browser
// says of the request's origin, and by a token that only our pages can read.
func (d *Dash) guard(next http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		is, no := d.identify(r)
		if no != nil {
			d.metrics.refused.WithLabelValues("unauthenticated").Inc()
			no.write(w)
			return
		}
		if !slices.Contains(readers, is.role) {
			d.metrics.refused.WithLabelValues("forbidden").Inc()
			refuse(http.StatusForbidden, "", "the token is of role %s (want operator or viewer)", is.role).write(w)
			return
		}
		safe := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
		if !safe && is.role != tokens.Operator && r.URL.Path != sessionPath {
			d.metrics.refused.WithLabelValues("forbidden").Inc()
			refuse(http.StatusForbidden, "", "%s may read, not change: that takes the role operator", is.id).write(w)
			return
		}
		if !safe && is.by != "token" {
			if err := origin.Check(r); err != nil {
				d.forged(w, "the request comes from another site")
				return
			}
			if subtle.ConstantTimeCompare([]byte(r.Header.Get("X-CSRF-Token")), []byte(is.csrf)) != 1 {
				d.forged(w, "the request has no token against forgery")
				return
			}
		}
		r = tokens.As(r, is.role, is.id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), whoKey{}, is)))
	})
}

func (d *Dash) forged(w http.ResponseWriter, why string) {
	d.metrics.refused.WithLabelValues("forged").Inc()
	no := refuse(http.StatusForbidden, "", "%s", why)
	no.Hint = "Changes by a cookie or through a proxy need the header `X-CSRF-Token` with what `GET /api/v1/session` says, from the same origin."
	no.write(w)
}

func (d *Dash) identify(r *http.Request) (is who, no *refusal) {
	if r.Header.Get("Authorization") != "" {
		role, id, ok := d.cfg.Tokens.Identify(r)
		if !ok {
			return is, refuse(http.StatusUnauthorized, "", "want a bearer token of role operator or viewer")
		}
		return who{role: role, id: id, by: "token"}, nil
	}
	if c, err := r.Cookie(d.cookieName(r)); err == nil {
		if x, ok := d.sessions.find(c.Value); ok {
			return who{x.role, x.id, "cookie", x.csrf, x.until().UTC().Truncate(time.Second)}, nil
		}
	}
	if d.cfg.UserHeader != "" && d.fromProxy(r) {
		if all := r.Header.Values(d.cfg.UserHeader); len(all) > 0 {
			return d.proxied(all)
		}
	}
	no = refuse(http.StatusUnauthorized, "", "nobody is logged in: want a bearer token of role operator or viewer, or a session")
	no.Hint = "`POST /api/v1/session` gives a session for a token."
	return is, no
}

// proxied is whom a proxy names.
func (d *Dash) proxied(all []string) (is who, no *refusal) {
	id := all[0]
	if len(all) > 1 || id == "" || len(id) > 200 || !utf8.ValidString(id) || !printableID(id) {
		return is, refuse(http.StatusUnauthorized, "", "the proxy's %s does not name one user", d.cfg.UserHeader)
	}
	is = who{role: tokens.Viewer, id: id, by: "proxy", csrf: d.sessions.csrfOf(id)}
	if slices.Contains(d.cfg.Operators, id) || slices.Contains(d.cfg.Operators, "*") {
		is.role = tokens.Operator
	}
	return is, nil
}

func printableID(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// csrfOf is the token of somebody without a session, the same until a restart.
func (s *sessions) csrfOf(id string) string {
	mac := hmac.New(sha256.New, s.key[:])
	mac.Write([]byte(id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
