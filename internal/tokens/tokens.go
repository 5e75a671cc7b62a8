// Package tokens says who a request comes from: bearer tokens (RFC 6750), each
// bound to a role and an id.
package tokens

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
)

// Role is what the holder of a token may do.
type Role string

// The roles.
const (
	Relay    Role = "relay"    // hands in beacons for others
	DNS      Role = "dns"      // a name server: reads snapshots, hands in nonces and probes
	PoP      Role = "pop"      // a PoP, by its id: reads snapshots, reports on itself
	Synth    Role = "synth"    // a synthetic agent: reads snapshots, hands in downloads
	Operator Role = "operator" // reads and changes everything of /api/v1
	Viewer   Role = "viewer"   // reads /api/v1
)

var roles = []Role{Relay, DNS, PoP, Synth, Operator, Viewer}

// least is the least length of a token: 128 bits in base64 have 22 characters.
const least = 22

// Tokens are the known ones. Only their hashes are kept. Immutable and safe
// for concurrent use; nil knows none.
type Tokens struct{ all []entry }

type entry struct {
	role Role
	id   string
	hash [sha256.Size]byte
}

// Load reads a token file: one "ROLE ID TOKEN" a line; lines that start with #
// are comments. An id may have several tokens, to rotate them. Errors never
// show a token.
func Load(file string) (*Tokens, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	defer f.Close()
	t, line, err := Parse(f)
	if err != nil {
		return nil, fmt.Errorf("tokens: %s:%d: %w", file, line, err)
	}
	return t, nil
}

// Parse reads what a token file holds. Line is that of the error.
func Parse(r io.Reader) (t *Tokens, line int, err error) {
	t = &Tokens{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line++
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		words := strings.Fields(text)
		if len(words) != 3 {
			return nil, line, fmt.Errorf("%d words (want a role, an id and a token)", len(words))
		}
		role, id, token := Role(words[0]), words[1], words[2]
		if !slices.Contains(roles, role) {
			return nil, line, fmt.Errorf("role %q (want one of %v)", role, roles)
		}
		if len(token) < least {
			return nil, line, fmt.Errorf("the token of %s %s has %d characters (want at least %d)", role, id, len(token), least)
		}
		e := entry{role, id, sha256.Sum256([]byte(token))}
		if slices.ContainsFunc(t.all, func(o entry) bool { return o.hash == e.hash }) {
			return nil, line, fmt.Errorf("the token of %s %s is another's too", role, id)
		}
		t.all = append(t.all, e)
	}
	return t, line, lines.Err()
}

// Identify returns whose token the request bears, or whom As says that it is
// from.
func (t *Tokens) Identify(r *http.Request) (role Role, id string, ok bool) {
	if role, id, ok = identified(r); ok {
		return role, id, true
	}
	kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(kind, "Bearer") {
		return "", "", false
	}
	return t.Holder(strings.TrimSpace(token))
}

// Holder returns whose a token is. How long it takes does not depend on the
// token.
func (t *Tokens) Holder(token string) (role Role, id string, ok bool) {
	if t == nil {
		return "", "", false
	}
	hash := sha256.Sum256([]byte(token))
	for i := range t.all {
		if e := &t.all[i]; subtle.ConstantTimeCompare(hash[:], e.hash[:]) == 1 {
			role, id, ok = e.role, e.id, true
		}
	}
	return role, id, ok
}

// IDs returns who has tokens of a role, each once, sorted.
func (t *Tokens) IDs(role Role) []string {
	if t == nil {
		return nil
	}
	var ids []string
	for i := range t.all {
		if t.all[i].role == role {
			ids = append(ids, t.all[i].id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Allow returns the id of the request's token if its role is one of some, and
// otherwise answers: 401 without a known token, 403 with one of another role.
func (t *Tokens) Allow(w http.ResponseWriter, r *http.Request, some ...Role) (id string, ok bool) {
	role, id, ok := t.Identify(r)
	switch {
	case !ok:
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "want a bearer token of role "+join(some), http.StatusUnauthorized)
	case !slices.Contains(some, role):
		http.Error(w, fmt.Sprintf("the token is of role %s (want %s)", role, join(some)), http.StatusForbidden)
		ok = false
	}
	return id, ok
}

func join(some []Role) string {
	var words []string
	for _, r := range some {
		words = append(words, string(r))
	}
	return strings.Join(words, " or ")
}

// Read reads the one token in a file, as its holder has it.
func Read(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("tokens: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < least || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("tokens: %s: want one token of at least %d characters, and nothing else", file, least)
	}
	return token, nil
}
