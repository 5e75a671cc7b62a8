package dash

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"catchment/internal/tokens"
)

const (
	// idle is how long a session lasts that nobody uses; a page in sight asks
	// every half minute.
	idle = 12 * time.Hour
	// longest is how long one lasts at all.
	longest = 30 * 24 * time.Hour

	maxSessions = 10_000
	maxLogin    = 4 << 10 // bytes of a request
)

// sessions are those who gave a token for a cookie. Only hashes of cookies are
// kept, in memory: a restart ends all.
type sessions struct {
	now func() time.Time
	key [32]byte // of the tokens of those whom a proxy names

	mu  sync.Mutex
	all map[[sha256.Size]byte]*session
}

type session struct {
	role        tokens.Role
	id          string
	csrf        string
	began, used time.Time
}

func newSessions(now func() time.Time) *sessions {
	s := &sessions{now: now, all: map[[sha256.Size]byte]*session{}}
	_, _ = rand.Read(s.key[:]) // never fails
	return s
}

// secret returns 256 bits at random, as text.
func secret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// open begins a session and returns its cookie's value.
func (s *sessions) open(role tokens.Role, id string) (value string, x session) {
	value = secret()
	now := s.now()
	x = session{role: role, id: id, csrf: secret(), began: now, used: now}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= maxSessions {
		s.drop(now)
	}
	kept := x
	s.all[sha256.Sum256([]byte(value))] = &kept
	return value, x
}

// drop forgets those that have ended, and the one that was not used for longest
// if there are none. The caller holds mu.
func (s *sessions) drop(now time.Time) {
	var oldest [sha256.Size]byte
	at := now.Add(time.Hour)
	for key, x := range s.all {
		if x.ended(now) {
			delete(s.all, key)
		} else if x.used.Before(at) {
			oldest, at = key, x.used
		}
	}
	if len(s.all) >= maxSessions {
		delete(s.all, oldest)
	}
}

func (x *session) ended(now time.Time) bool { return now.After(x.until()) }

func (x *session) until() time.Time {
	until := x.used.Add(idle)
	if last := x.began.Add(longest); last.Before(until) {
		return last
	}
	return until
}

// find returns the session of a cookie, which is used thereby.
func (s *sessions) find(value string) (x session, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, now := sha256.Sum256([]byte(value)), s.now()
	kept := s.all[key]
	if kept == nil {
		return session{}, false
	}
	if kept.ended(now) {
		delete(s.all, key)
		return session{}, false
	}
	kept.used = now
	return *kept, true
}

func (s *sessions) close(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, sha256.Sum256([]byte(value)))
}

// secure reports whether the browser reached us over TLS.
func (d *Dash) secure(r *http.Request) bool {
	return r.TLS != nil || d.fromProxy(r) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// cookieName is another one for each port under plain HTTP, as browsers do not
// tell ports apart.
func (d *Dash) cookieName(r *http.Request) string {
	if d.secure(r) {
		return "__Host-catchment"
	}
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		return "catchment-" + port
	}
	return "catchment"
}

func (d *Dash) setCookie(w http.ResponseWriter, r *http.Request, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: d.cookieName(r), Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: d.secure(r),
	})
}

// fromProxy reports whether a trusted proxy made the connection.
func (d *Dash) fromProxy(r *http.Request) bool {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	for _, p := range d.cfg.TrustedProxies {
		if p.Contains(at.Addr().Unmap()) {
			return true
		}
	}
	return false
}

type sessionAnswer struct {
	ID    string      `json:"id"`
	Role  tokens.Role `json:"role"`
	By    string      `json:"by"`
	CSRF  string      `json:"csrf,omitempty"`
	Until time.Time   `json:"until,omitzero"`
}

func (d *Dash) getSession(w http.ResponseWriter, r *http.Request) {
	who := whoOf(r)
	writeJSON(w, http.StatusOK, sessionAnswer{who.id, who.role, who.by, who.csrf, who.until})
}

// postSession gives a cookie for a token.
func (d *Dash) postSession(w http.ResponseWriter, r *http.Request) {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		d.forged(w, "the request comes from another site")
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		refuse(http.StatusUnsupportedMediaType, "", "want application/json").write(w)
		return
	}
	var body struct {
		Token string `json:"token"`
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLogin))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&body); err != nil || body.Token == "" {
		refuse(http.StatusBadRequest, "token", "want {\"token\": …} and nothing else").write(w)
		return
	}
	role, id, known := d.cfg.Tokens.Holder(strings.TrimSpace(body.Token))
	if !known || role != tokens.Operator && role != tokens.Viewer {
		d.metrics.refused.WithLabelValues("login").Inc()
		no := refuse(http.StatusUnauthorized, "token", "nobody who may look at the dashboard has this token")
		no.Hint = "Tokens of the roles `operator` and `viewer` are in the file that `catchment serve --tokens` names."
		no.write(w)
		return
	}
	d.enter(w, r, role, id)
}

// enter begins a session and says so.
func (d *Dash) enter(w http.ResponseWriter, r *http.Request, role tokens.Role, id string) {
	value, x := d.sessions.open(role, id)
	d.setCookie(w, r, value, int(longest.Seconds()))
	d.log.Info("dashboard session begun", "id", id, "role", string(role))
	writeJSON(w, http.StatusOK, sessionAnswer{id, role, "cookie", x.csrf, x.until().UTC().Truncate(time.Second)})
}

func (d *Dash) deleteSession(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(d.cookieName(r)); err == nil {
		d.sessions.close(c.Value)
	}
	d.setCookie(w, r, "", -1)
	w.WriteHeader(http.StatusNoContent)
}

// Invitation is a link that logs in, once.
type Invitation struct {
	role tokens.Role
	id   string

	mu   sync.Mutex
	code string // empty: it was used
}

// Invite returns an invitation for somebody.
func Invite(role tokens.Role, id string) *Invitation {
	return &Invitation{role: role, id: id, code: secret()}
}

// Path is where the link leads.
func (i *Invitation) Path() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return "/login?code=" + i.code
}

func (i *Invitation) take(code string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.code == "" || subtle.ConstantTimeCompare([]byte(code), []byte(i.code)) != 1 {
		return false
	}
	i.code = ""
	return true
}

// getLogin follows an invitation. Whoever is logged in already goes on, so that
// the link can be followed again.
func (d *Dash) getLogin(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	if i := d.cfg.Login; i.take(r.URL.Query().Get("code")) {
		value, _ := d.sessions.open(i.role, i.id)
		d.setCookie(w, r, value, int(longest.Seconds()))
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
