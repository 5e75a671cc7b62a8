package beacon

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// duration reads 0 to MaxMs milliseconds.
func (d *Decoder) duration() float64 {
	ms := d.number()
	if !(ms >= 0 && ms <= MaxMs) {
		d.fail(ReasonRange, "want 0 to "+strconv.Itoa(MaxMs)+" ms")
		return 0
	}
	return ms
}

func (d *Decoder) durations(limit int) []float64 {
	first := len(d.floats)
	var a array
	for d.element(&a, limit) {
		d.floats = append(d.floats, d.duration())
	}
	return d.floats[first:len(d.floats):len(d.floats)]
}

// token reads 1 to limit of [0-9A-Za-z_-].
func (d *Decoder) token(limit int) string {
	b := d.str()
	ok := len(b) > 0 && len(b) <= limit
	for _, c := range b {
		ok = ok && tokenByte[c]
	}
	if !ok {
		d.fail(ReasonValue, "want 1 to "+strconv.Itoa(limit)+" of 0-9, A-Z, a-z, _ and -")
		return ""
	}
	return string(b)
}

var tokenByte = func() (t [256]bool) {
	for _, c := range "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-" {
		t[c] = true
	}
	return t
}()

// word reads one of a closed set of strings.
func (d *Decoder) word(allowed []string) string {
	s, ok := words(allowed).find(d.str())
	if !ok {
		d.fail(ReasonValue, "want one of "+strings.Join(allowed, ", "))
	}
	return s
}

// flagList reads an array of different words.
func (d *Decoder) flagList(allowed []string) []string {
	first := len(d.flags)
	var a array
	for d.element(&a, len(allowed)) {
		w := d.word(allowed)
		if slices.Contains(d.flags[first:], w) {
			d.fail(ReasonDuplicate, "is there twice")
		}
		d.flags = append(d.flags, w)
	}
	return d.flags[first:len(d.flags):len(d.flags)]
}

// textOf reads a name for people: at most limit bytes, all printable.
func (d *Decoder) textOf(limit int) string {
	b := d.str()
	if len(b) > limit {
		d.fail(ReasonValue, "want at most "+strconv.Itoa(limit)+" bytes")
		return ""
	}
	if s, ok := d.interned[string(b)]; ok {
		return s
	}
	for _, r := range string(b) {
		if !unicode.IsPrint(r) {
			d.fail(ReasonValue, "a character that cannot be printed")
			return ""
		}
	}
	return d.intern(b)
}

// maxInterned bounds the memory of one decoder for names that it has seen:
// with the longest ones, 512 KiB.
const maxInterned = 4096

// intern returns b as a string: the same one each time for names that repeat,
// as those of places do in a file.
func (d *Decoder) intern(b []byte) string {
	if s, ok := d.interned[string(b)]; ok {
		return s
	}
	if d.interned == nil || len(d.interned) == maxInterned {
		d.interned = make(map[string]string)
	}
	s := string(b)
	d.interned[s] = s
	return s
}

// code reads an upper-case code of exactly n letters: a country or continent.
func (d *Decoder) code(n int) string {
	b := d.str()
	ok := len(b) == n || len(b) == 0
	for _, c := range b {
		ok = ok && c >= 'A' && c <= 'Z'
	}
	if !ok {
		d.fail(ReasonValue, "want "+strconv.Itoa(n)+" capital letters")
		return ""
	}
	return d.intern(b)
}
