package authdns

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"

	"github.com/dchest/siphash"
)

// Times of server cookies (RFC 9018, section 4.3), seconds.
const (
	cookieLife  = 3600 // how old one may be
	cookieAhead = 300  // how far in the future: another server's clock
	cookieRenew = 1800 // from what age on a new one is handed out
)

const (
	clientCookieLen = 8
	serverCookieLen = 16
)

// CookieSecrets make and check DNS cookies (RFC 7873) in the way that servers
// of different make share (RFC 9018): the servers of one anycast address need
// the same secrets. The first makes cookies, all of them check, so that a new
// one can be added behind, moved to the front, and the old one removed.
type CookieSecrets struct{ keys [][2]uint64 }

// maxSecrets bounds what one query can cost; a rollover needs two.
const maxSecrets = 8

// ParseCookieSecrets reads a file of secrets: 32 hexadecimal digits a line.
// Blank lines and those that begin with # are passed over.
func ParseCookieSecrets(file []byte) (*CookieSecrets, error) {
	c := &CookieSecrets{}
	lines := bufio.NewScanner(bytes.NewReader(file))
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		// The text is a secret, and stays out of the error.
		b, err := hex.DecodeString(text)
		if err != nil || len(b) != 16 {
			return nil, fmt.Errorf("authdns: cookie secrets, line %d: want 32 hexadecimal digits", n)
		}
		c.add(b)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("authdns: cookie secrets: %w", err)
	}
	if len(c.keys) == 0 || len(c.keys) > maxSecrets {
		return nil, fmt.Errorf("authdns: cookie secrets: %d of them (want 1 to %d)", len(c.keys), maxSecrets)
	}
	return c, nil
}

// RandomCookieSecrets returns a secret of this process alone.
func RandomCookieSecrets() *CookieSecrets {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	c := &CookieSecrets{}
	c.add(b[:])
	return c
}

func (c *CookieSecrets) add(b []byte) {
	c.keys = append(c.keys, [2]uint64{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])})
}

// check reports whether a COOKIE option's data has a server cookie that one of
// the secrets made for this client, and whether it is fit to be sent again.
func (c *CookieSecrets) check(data []byte, client netip.Addr, now uint32) (valid, fresh bool) {
	if len(data) != clientCookieLen+serverCookieLen || data[8] != 1 {
		return false, false
	}
	made := binary.BigEndian.Uint32(data[12:])
	age := int32(now - made) // serial number arithmetic (RFC 1982)
	if age > cookieLife || age < -cookieAhead {
		return false, false
	}
	for i, k := range c.keys {
		var want [8]byte
		binary.LittleEndian.PutUint64(want[:], cookieHash(k, data[:16], client))
		if subtle.ConstantTimeCompare(want[:], data[16:24]) == 1 {
			return true, i == 0 && age < cookieRenew
		}
	}
	return false, false
}

// append adds a client's cookie and a new server cookie for it to dst.
func (c *CookieSecrets) append(dst, clientCookie []byte, client netip.Addr, now uint32) []byte {
	at := len(dst)
	dst = append(dst, clientCookie[:clientCookieLen]...)
	dst = append(dst, 1, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, now)
	return binary.LittleEndian.AppendUint64(dst, cookieHash(c.keys[0], dst[at:at+16], client))
}

// cookieHash is SipHash-2-4 of the client cookie, version, reserved bytes,
// time and client address (RFC 9018, section 4.4).
func cookieHash(k [2]uint64, head []byte, client netip.Addr) uint64 {
	var in [32]byte
	n := copy(in[:], head[:16])
	if client.Is4() {
		b := client.As4()
		n += copy(in[n:], b[:])
	} else {
		b := client.As16()
		n += copy(in[n:], b[:])
	}
	return siphash.Hash(k[0], k[1], in[:n])
}
