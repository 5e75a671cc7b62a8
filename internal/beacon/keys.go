package beacon

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

const (
	keyBytes = 32 // as many as SHA-256 gives: a longer key adds nothing (RFC 2104, section 3)
	maxKeys  = 8
)

// Keys sign plans and the nonces of probe names. The first one signs, all of
// them verify: to rotate, put a new one in front, and drop the last a day
// later. Immutable and safe for concurrent use.
type Keys struct {
	macs []*macPool
}

// NewKeys returns the keys of 1 to 8 secrets of 32 bytes.
func NewKeys(secrets ...[]byte) (*Keys, error) {
	if len(secrets) == 0 || len(secrets) > maxKeys {
		return nil, fmt.Errorf("beacon: %d plan keys (want 1 to %d)", len(secrets), maxKeys)
	}
	k := &Keys{}
	for i, secret := range secrets {
		if len(secret) != keyBytes {
			return nil, fmt.Errorf("beacon: plan key %d has %d bytes (want %d)", i+1, len(secret), keyBytes)
		}
		k.macs = append(k.macs, newMACPool(bytes.Clone(secret)))
	}
	return k, nil
}

// RandomKeys returns one key that dies with the process.
func RandomKeys() (*Keys, error) {
	secret := make([]byte, keyBytes)
	rand.Read(secret) // never fails
	return NewKeys(secret)
}

// LoadKeys reads a key file: one secret a line, 64 hexadecimal digits; lines
// that start with # are comments. A file that does not exist is made, mode
// 0600, with one random secret. Errors never show what is in the file.
func LoadKeys(file string) (*Keys, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = createKeys(file)
	}
	if err != nil {
		return nil, fmt.Errorf("beacon: plan keys: %w", err)
	}
	var secrets [][]byte
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		secret, err := hex.DecodeString(line)
		if err != nil || len(secret) != keyBytes {
			return nil, fmt.Errorf("beacon: %s:%d: want %d hexadecimal digits", file, n, 2*keyBytes)
		}
		secrets = append(secrets, secret)
	}
	k, err := NewKeys(secrets...)
	if err != nil {
		return nil, fmt.Errorf("%w in %s", err, file)
	}
	return k, nil
}

// createKeys makes a key file that is complete from the moment it appears.
func createKeys(file string) ([]byte, error) {
	secret := make([]byte, keyBytes)
	rand.Read(secret)
	text := fmt.Appendf(nil, "# signs plans and probe names; the first line signs, all verify\n%x\n", secret)
	tmp, err := os.CreateTemp(filepath.Dir(file), ".keys-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return nil, err
	}
	// Link, unlike rename, does not replace the file of another process that
	// starts at the same time.
	if err := os.Link(tmp.Name(), file); errors.Is(err, fs.ErrExist) {
		return os.ReadFile(file)
	} else if err != nil {
		return nil, err
	}
	return text, nil
}

// macBytes is how much of an HMAC is kept. 64 bits cannot be guessed within
// the hour that a plan lives, at any rate that a server answers.
const macBytes = 8

// macPool computes HMAC-SHA-256 with one key. Setting a key up costs two
// blocks of hashing, so that states are used again.
type macPool struct{ pool sync.Pool }

func newMACPool(secret []byte) *macPool {
	return &macPool{sync.Pool{New: func() any { return hmac.New(sha256.New, secret) }}}
}

// sum returns the truncated HMAC of the parts. The first one tells apart what
// is signed; the others have fixed lengths, but for the last.
func (m *macPool) sum(domain string, parts ...[]byte) (mac [macBytes]byte) {
	h := m.pool.Get().(hash.Hash)
	defer m.pool.Put(h)
	h.Reset()
	var buf [sha256.Size]byte
	h.Write(append(buf[:0], domain...))
	for _, p := range parts {
		h.Write(p)
	}
	copy(mac[:], h.Sum(buf[:0]))
	return mac
}
