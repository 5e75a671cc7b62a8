package beacon

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// minToken is the least length of a token: 128 bits in base64 have 22 characters.
const minToken = 22

// Tokens says which relay a bearer token is of (RFC 6750). Only their hashes
// are kept. Immutable and safe for concurrent use.
type Tokens struct {
	ids    []string
	hashes [][sha256.Size]byte
}

// LoadTokens reads a token file: one "ID TOKEN" a line; lines that start with
// # are comments. An id may have several tokens, to rotate them. Errors never
// show a token.
func LoadTokens(file string) (*Tokens, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("beacon: tokens: %w", err)
	}
	defer f.Close()
	t, line, err := parseTokens(f)
	if err != nil {
		return nil, fmt.Errorf("beacon: %s:%d: %w", file, line, err)
	}
	return t, nil
}

func parseTokens(r io.Reader) (*Tokens, int, error) {
	t := &Tokens{}
	n := 0
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		n++
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		words := strings.Fields(line)
		if len(words) != 2 {
			return nil, n, fmt.Errorf("%d words (want an id and a token)", len(words))
		}
		if len(words[1]) < minToken {
			return nil, n, fmt.Errorf("the token of %s has %d characters (want at least %d)", words[0], len(words[1]), minToken)
		}
		t.ids = append(t.ids, words[0])
		t.hashes = append(t.hashes, sha256.Sum256([]byte(words[1])))
	}
	return t, n, lines.Err()
}

// Identify returns the id that the request's token belongs to. How long it
// takes does not depend on the token.
func (t *Tokens) Identify(r *http.Request) (id string, ok bool) {
	if t == nil {
		return "", false
	}
	kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(kind, "Bearer") {
		return "", false
	}
	hash := sha256.Sum256([]byte(strings.TrimSpace(token)))
	for i := range t.hashes {
		if subtle.ConstantTimeCompare(hash[:], t.hashes[i][:]) == 1 {
			id, ok = t.ids[i], true
		}
	}
	return id, ok
}
