package beacon

import (
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"time"

	"catchment/internal/edge"
)

// How long a plan is good for, counted from its issue.
const (
	planLife = time.Hour   // until its beacons are refused: pages are left open and come back
	planSkew = time.Minute // by which the clocks of two collectors may differ
)

// A plan's id is 20 bytes: the time of issue in seconds (4), random bits (8),
// and the HMAC of both (8). A nonce is 21: time and random bits of its plan,
// its index (1), and the HMAC of these and of the target's label. Both are
// written in base32hex without padding (RFC 4648, section 7) in lower case, 32
// and 34 characters, which survives DNS resolvers that play with letter case.
const (
	seedBytes  = 4 + 8
	idBytes    = seedBytes + macBytes
	nonceBytes = seedBytes + 1 + macBytes
)

var base32hex = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// seed is what a plan's id and its nonces share.
type seed [seedBytes]byte

func newSeed(now time.Time, random uint64) (s seed) {
	binary.BigEndian.PutUint32(s[:], uint32(now.Unix()))
	binary.BigEndian.PutUint64(s[4:], random)
	return s
}

// fresh reports whether a plan of this seed may still be used.
func (s seed) fresh(now time.Time) bool {
	age := now.Sub(s.issued())
	return age >= -planSkew && age <= planLife
}

func (s seed) issued() time.Time { return time.Unix(int64(binary.BigEndian.Uint32(s[:])), 0) }

// planID returns the id of the plan of a seed, signed by the i-th key.
func (k *Keys) planID(i int, s seed) string {
	mac := k.macs[i].sum("plan", s[:])
	return encode(append(s[:], mac[:]...))
}

// nonce returns the nonce of the index-th probe, which asks for label.
func (k *Keys) nonce(s seed, index int, label string) string {
	body := append(s[:], byte(index))
	mac := k.macs[0].sum("nonce", body, []byte(label))
	return encode(append(body, mac[:]...))
}

func encode(b []byte) string { return base32hex.EncodeToString(b) }

// decode reads base32hex of exactly len(dst) bytes, in either letter case.
// Spare bits must be zero: there is one spelling.
func decode(dst []byte, s string) bool {
	if len(s) != base32hex.EncodedLen(len(dst)) {
		return false
	}
	var acc, bits uint
	n := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'v':
			c -= 'a' - 10
		case c >= 'A' && c <= 'V':
			c -= 'A' - 10
		default:
			return false
		}
		acc, bits = acc<<5|uint(c), bits+5
		if bits >= 8 {
			bits -= 8
			dst[n] = byte(acc >> bits)
			n++
		}
	}
	return acc&(1<<bits-1) == 0
}

// VerifyPlan reports whether id is that of a plan that these keys signed and
// that was issued within the last hour. Only the spelling that was issued is
// valid: ids are joined on.
func (k *Keys) VerifyPlan(id string, now time.Time) bool {
	_, ok := k.planSeed(id, now)
	return ok
}

// planSeed is VerifyPlan, and returns the plan's seed.
func (k *Keys) planSeed(id string, now time.Time) (s seed, ok bool) {
	var b [idBytes]byte
	if !decode(b[:], id) || strings.ToLower(id) != id {
		return s, false
	}
	s = seed(b[:seedBytes])
	if !s.fresh(now) {
		return s, false
	}
	for _, m := range k.macs {
		mac := m.sum("plan", s[:])
		if subtle.ConstantTimeCompare(mac[:], b[seedBytes:]) == 1 {
			return s, true
		}
	}
	return s, false
}

// Nonce is what the leftmost label of a probe name says.
type Nonce struct {
	Plan   string // id of the plan that the name is of: the key to join with beacons
	Target string // the label in front of the nonce: "global", "pop-iad"
	Index  int    // position in the plan
	Issued time.Time
}

// VerifyNonce reads the leftmost label of a probe name, such as
// "pop-iad-" and a nonce, in any letter case. It is false if these keys did
// not sign the nonce for this target, or over an hour ago.
func (k *Keys) VerifyNonce(label string, now time.Time) (Nonce, bool) {
	cut := strings.LastIndexByte(label, '-')
	if cut < 0 || len(label) > maxDNSLabel {
		return Nonce{}, false
	}
	n, ok := decodeNonce(label[cut+1:], now)
	if !ok {
		return Nonce{}, false
	}
	target := strings.ToLower(label[:cut])
	i := k.signed(&n, target)
	if i < 0 {
		return Nonce{}, false
	}
	s := n.seed()
	return Nonce{Plan: k.planID(i, s), Target: target, Index: int(n[seedBytes]), Issued: s.issued()}, true
}

// rawNonce is a nonce as bytes.
type rawNonce [nonceBytes]byte

func (n *rawNonce) seed() seed { return seed(n[:seedBytes]) }

// decodeNonce reads a nonce, in any letter case, of a plan that may still be
// used. Who signed it is not looked at.
func decodeNonce(text string, now time.Time) (n rawNonce, ok bool) {
	ok = decode(n[:], text) && n.seed().fresh(now)
	return n, ok
}

// signed returns the index of the key that signed the nonce for a target's
// label, or -1.
func (k *Keys) signed(n *rawNonce, target string) int {
	for i, m := range k.macs {
		mac := m.sum("nonce", n[:seedBytes+1], []byte(target))
		if subtle.ConstantTimeCompare(mac[:], n[seedBytes+1:]) == 1 {
			return i
		}
	}
	return -1
}

// Label returns the DNS label by which a target is probed, without nonce:
// "global", "pop-iad".
func Label(t edge.Target) string {
	return strings.Replace(string(t), ":", "-", 1)
}
