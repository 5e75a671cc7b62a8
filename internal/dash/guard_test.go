package dash

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"catchment/internal/tokens"
)

// changes are all requests of the contract that change something, but for the
// login.
func changes(c *contract) (all []string) {
	for _, op := range c.operations() {
		if !strings.HasPrefix(op, "GET ") && op != "POST /api/v1/session" {
			all = append(all, strings.NewReplacer("{id}", "lax", "{service}", "www.edge.example", "{order}", "pause").Replace(op))
		}
	}
	return all
}

func anonymous(r *http.Request) { r.Header.Del("Authorization") }

// login logs in by a token and returns what makes requests of that session.
func (r *rig) login(token string, change ...func(*http.Request)) (cookie *http.Cookie, csrf string) {
	r.t.Helper()
	w := r.ask("POST", "/api/v1/session", `{"token":"`+token+`"}`, append(change, anonymous)...)
	if w.Code != 200 {
		r.t.Fatalf("login: %d %s", w.Code, w.Body)
	}
	cookies := w.Result().Cookies()
	if len(cookies) != 1 {
		r.t.Fatalf("login: %d cookies", len(cookies))
	}
	_, rest, _ := strings.Cut(w.Body.String(), `"csrf":"`)
	csrf, _, _ = strings.Cut(rest, `"`)
	return cookies[0], csrf
}

func withCookie(c *http.Cookie) func(*http.Request) {
	return func(r *http.Request) { r.AddCookie(c) }
}

func withHeader(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// TestForgery: every action, one by one, is refused to whoever is not logged in,
// to viewers, from another site, and without the session's token; and none of
// them leaves a trace.
func TestForgery(t *testing.T) {
	c, r := loadContract(t), newRig(t, t.TempDir())
	cookie, csrf := r.login(alice)
	viewer, viewerCSRF := r.login(victor)
	all := changes(c)
	if len(all) < 20 {
		t.Fatalf("only %d actions", len(all))
	}
	const body = `{"why":"forged","share":0.1,"for":"1h"}`
	for _, op := range all {
		method, path, _ := strings.Cut(op, " ")
		f := func(what string, status int, change ...func(*http.Request)) {
			t.Helper()
			w := r.ask(method, path+"?why=forged", body, change...)
			if w.Code != status || !strings.Contains(w.Body.String(), `"error"`) {
				t.Errorf("%s, %s: %d %s, want %d", op, what, w.Code, w.Body, status)
			}
		}
		f("without anything", 401, anonymous)
		f("with an unknown token", 401, withHeader("Authorization", "Bearer no-such-token-0123456789"))
		f("with a token in another scheme", 401, withHeader("Authorization", "Basic "+alice))
		f("with a name server's token", 403, withHeader("Authorization", "Bearer "+ns1))
		f("with an unknown cookie", 401, anonymous, withCookie(&http.Cookie{Name: cookie.Name, Value: secret()}))
		f("with a cookie alone", 403, anonymous, withCookie(cookie))
		f("with a wrong token against forgery", 403, anonymous, withCookie(cookie), withHeader("X-CSRF-Token", viewerCSRF))
		f("from another site", 403, anonymous, withCookie(cookie), withHeader("X-CSRF-Token", csrf), withHeader("Sec-Fetch-Site", "cross-site"))
		f("from a sibling domain", 403, anonymous, withCookie(cookie), withHeader("X-CSRF-Token", csrf), withHeader("Sec-Fetch-Site", "same-site"))
		f("from another origin, of an old browser", 403, anonymous, withCookie(cookie), withHeader("X-CSRF-Token", csrf), withHeader("Origin", "https://evil.example"))
		f("through a proxy that nobody trusts", 401, anonymous, withHeader("X-Forwarded-User", "alice"))
		if op == "DELETE /api/v1/session" {
			continue // viewers may log out
		}
		f("as a viewer", 403, withHeader("Authorization", "Bearer "+victor))
		f("as a viewer with a session", 403, anonymous, withCookie(viewer), withHeader("X-CSRF-Token", viewerCSRF), withHeader("Sec-Fetch-Site", "same-origin"))
	}
	if trail := r.ask("GET", "/api/v1/audit", ""); strings.Contains(trail.Body.String(), "forged") {
		t.Errorf("the audit trail: %s", trail.Body)
	}
}

// TestReads: no figure is open to whoever is not logged in; pages are, as they
// have none.
func TestReads(t *testing.T) {
	c, r := loadContract(t), newRig(t, t.TempDir())
	open := []string{"GET /api/v1/openapi.json"}
	for _, op := range c.operations() {
		method, path, _ := strings.Cut(op, " ")
		if method != "GET" {
			continue
		}
		want := 401
		if op == open[0] {
			want = 200
		}
		if w := r.ask(method, path, "", anonymous); w.Code != want {
			t.Errorf("%s: %d, want %d", op, w.Code, want)
		}
	}
	for path, want := range map[string]int{"/": 200, "/compare": 200, "/ramps/us-global": 200, "/assets/dash.js": 200, "/nothing.js": 404, "/assets/nothing.js": 404, "/api/": 404, "/login": 200} {
		if w := r.ask("GET", path, "", anonymous); w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
	if w := r.ask("POST", "/compare", "", anonymous); w.Code != 405 {
		t.Errorf("POST to a page: %d", w.Code)
	}
}

// TestSession: a cookie lets in and out, and its actions are in the audit trail
// under the name of the token that it was given for.
func TestSession(t *testing.T) {
	now := testNow
	r := newRig(t, t.TempDir(), func(cfg *Config) { cfg.Now = func() time.Time { return now } })
	cookie, csrf := r.login(alice)
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Secure || cookie.Path != "/" {
		t.Errorf("the cookie: %+v", cookie)
	}
	mine := []func(*http.Request){anonymous, withCookie(cookie), withHeader("X-CSRF-Token", csrf), withHeader("Sec-Fetch-Site", "same-origin")}
	if w := r.ask("PUT", "/api/v1/drains/lax", `{"why":"new disks","for":"1h"}`, mine...); w.Code != 200 {
		t.Fatalf("drain: %d %s", w.Code, w.Body)
	}
	if trail := r.ask("GET", "/api/v1/audit", "", mine...).Body.String(); !strings.Contains(trail, `"who":"alice"`) || !strings.Contains(trail, "new disks") {
		t.Errorf("the audit trail: %s", trail)
	}
	if w := r.ask("DELETE", "/api/v1/session", "", mine...); w.Code != 204 {
		t.Errorf("logout: %d", w.Code)
	}
	if w := r.ask("GET", "/api/v1/session", "", mine...); w.Code != 401 {
		t.Errorf("after the logout: %d", w.Code)
	}

	cookie, _ = r.login(alice)
	alive := func(want int) {
		t.Helper()
		if w := r.ask("GET", "/api/v1/session", "", anonymous, withCookie(cookie)); w.Code != want {
			t.Errorf("at %v: %d, want %d", now, w.Code, want)
		}
	}
	for range 60 {
		now = now.Add(idle - time.Minute)
		if now.Sub(testNow) < longest {
			alive(200)
		}
	}
	now = testNow.Add(longest + time.Minute)
	alive(401)
	cookie, _ = r.login(alice)
	now = now.Add(idle + time.Minute)
	alive(401)
}

// TestLogin: what a login may be.
func TestLogin(t *testing.T) {
	r := newRig(t, t.TempDir())
	f := func(what, body string, status int, change ...func(*http.Request)) {
		t.Helper()
		w := r.ask("POST", "/api/v1/session", body, append([]func(*http.Request){anonymous}, change...)...)
		if w.Code != status || len(w.Result().Cookies()) != 0 {
			t.Errorf("%s: %d %s", what, w.Code, w.Body)
		}
	}
	f("unknown", `{"token":"no-such-token-0123456789"}`, 401)
	f("a name server's", `{"token":"`+ns1+`"}`, 401)
	f("empty", `{"token":""}`, 400)
	f("no JSON", `token=x`, 400)
	f("more than a token", `{"token":"`+alice+`","role":"operator"}`, 400)
	f("large", `{"token":"`+strings.Repeat("x", maxLogin)+`"}`, 400)
	f("a form", `{"token":"`+alice+`"}`, 415, withHeader("Content-Type", "text/plain"))
	f("from another site", `{"token":"`+alice+`"}`, 403, withHeader("Sec-Fetch-Site", "cross-site"))

	cookie, _ := r.login(alice, func(r *http.Request) { r.TLS = &tls.ConnectionState{} })
	if !cookie.Secure || cookie.Name != "__Host-catchment" {
		t.Errorf("under TLS: %+v", cookie)
	}
}

// TestProxy: a trusted proxy names the user; its changes need the token against
// forgery, and are theirs.
func TestProxy(t *testing.T) {
	r := newRig(t, t.TempDir(), func(cfg *Config) {
		cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		cfg.UserHeader, cfg.Operators = "X-Forwarded-User", []string{"carol@example.net"}
	})
	user := func(id string) func(*http.Request) { return withHeader("X-Forwarded-User", id) }
	elsewhere := func(r *http.Request) { r.RemoteAddr = "198.51.100.7:1234" }
	f := func(what string, want int, change ...func(*http.Request)) string {
		t.Helper()
		w := r.ask("GET", "/api/v1/session", "", append([]func(*http.Request){anonymous}, change...)...)
		if w.Code != want {
			t.Errorf("%s: %d %s", what, w.Code, w.Body)
		}
		return w.Body.String()
	}
	// httptest's requests come from 192.0.2.1.
	said := f("an operator", 200, user("carol@example.net"))
	if !strings.Contains(said, `"role":"operator","by":"proxy"`) {
		t.Error(said)
	}
	if got := f("anybody else", 200, user("dave@example.net")); !strings.Contains(got, `"role":"viewer"`) {
		t.Error(got)
	}
	f("nobody", 401)
	f("an empty name", 401, user(""))
	f("control characters", 401, user("a\tb"))
	f("two names", 401, user("dave"), func(r *http.Request) { r.Header.Add("X-Forwarded-User", "carol@example.net") })
	f("from elsewhere", 401, user("carol@example.net"), elsewhere)
	_, rest, _ := strings.Cut(said, `"csrf":"`)
	csrf, _, _ := strings.Cut(rest, `"`)
	drain := func(want int, change ...func(*http.Request)) {
		t.Helper()
		w := r.ask("PUT", "/api/v1/drains/lax", `{"why":"by proxy","for":"1h"}`, append([]func(*http.Request){anonymous, user("carol@example.net")}, change...)...)
		if w.Code != want {
			t.Errorf("%d %s, want %d", w.Code, w.Body, want)
		}
	}
	drain(403)
	drain(403, withHeader("X-CSRF-Token", csrf), withHeader("Sec-Fetch-Site", "cross-site"))
	drain(403, withHeader("X-CSRF-Token", csrf), user("dave@example.net"))
	drain(200, withHeader("X-CSRF-Token", csrf), withHeader("Sec-Fetch-Site", "same-origin"))
	if trail := r.ask("GET", "/api/v1/audit", "").Body.String(); !strings.Contains(trail, `"who":"carol@example.net"`) {
		t.Errorf("the audit trail: %s", trail)
	}
}

// TestInvitation: the link logs in once.
func TestInvitation(t *testing.T) {
	link := Invite(tokens.Operator, "demo")
	r := newRig(t, t.TempDir(), func(cfg *Config) { cfg.Login = link })
	path := link.Path()
	if w := r.ask("GET", "/login?code=wrong", "", anonymous); len(w.Result().Cookies()) != 0 {
		t.Error("a wrong code lets in")
	}
	w := r.ask("GET", path, "", anonymous)
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" || len(w.Result().Cookies()) != 1 {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	if got := r.ask("GET", "/api/v1/session", "", anonymous, withCookie(w.Result().Cookies()[0])); !strings.Contains(got.Body.String(), `"id":"demo","role":"operator"`) {
		t.Error(got.Body)
	}
	if w := r.ask("GET", path, "", anonymous); len(w.Result().Cookies()) != 0 {
		t.Error("the link lets in twice")
	}
}
