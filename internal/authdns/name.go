package authdns

import (
	"fmt"

	"github.com/miekg/dns"
)

// maxName is the length of a domain name in wire form (RFC 1035, section
// 3.1), the root label included.
const maxName = 255

// name is a domain name in wire form, in lower case, with the root label: what
// names are looked up and ordered by.
type name string

// newName reads a name from its presentation form; the trailing dot may be
// left out.
func newName(text string) (name, error) {
	var buf [maxName]byte
	n, err := dns.PackDomainName(dns.Fqdn(text), buf[:], 0, nil, false)
	if err != nil {
		return "", fmt.Errorf("%q is not a domain name: %w", text, err)
	}
	lower(buf[:n])
	return name(buf[:n]), nil
}

// lower turns a name in wire form to lower case. The lengths of labels, 63 at
// most, are no letters.
func lower(wire []byte) {
	for i, c := range wire {
		if 'A' <= c && c <= 'Z' {
			wire[i] = c + ('a' - 'A')
		}
	}
}

// text returns the presentation form, with the trailing dot.
func (n name) text() string {
	s, _, err := dns.UnpackDomainName([]byte(n), 0)
	if err != nil {
		return "." // a name is always well-formed
	}
	return s
}

// parent returns the name without its first label, and the root's parent is
// the root.
func (n name) parent() name {
	if n[0] == 0 {
		return n
	}
	return n[1+n[0]:]
}

// child returns label.n; a label that is too long is cut.
func (n name) child(label string) name {
	label = label[:min(len(label), 63)]
	return name([]byte{byte(len(label))}) + name(label) + n
}

// under reports whether n is zone or a name beneath it.
func (n name) under(zone name) bool {
	for len(n) > len(zone) {
		n = n.parent()
	}
	return n == zone
}

// first returns the first label.
func (n name) first() string { return string(n[1 : 1+n[0]]) }

// compareNames orders names canonically (RFC 4034, section 6.1): by their
// labels from the right.
func compareNames[A, B ~string | ~[]byte](a A, b B) int {
	var ofA, ofB [maxName / 2]uint8
	na, nb := labelStarts(a, &ofA), labelStarts(b, &ofB)
	for i := 1; i <= min(na, nb); i++ {
		x, y := int(ofA[na-i]), int(ofB[nb-i])
		la, lb := int(a[x]), int(b[y])
		for j := 1; j <= min(la, lb); j++ {
			if d := int(a[x+j]) - int(b[y+j]); d != 0 {
				return d
			}
		}
		if la != lb {
			return la - lb
		}
	}
	return na - nb
}

// labelStarts notes where each label of a name begins.
func labelStarts[A ~string | ~[]byte](n A, starts *[maxName / 2]uint8) (count int) {
	for i := 0; n[i] != 0; i += 1 + int(n[i]) {
		starts[count] = uint8(i)
		count++
	}
	return count
}

// hash is FNV-1a of n: the same in every snapshot.
func (n name) hash() uint32 {
	h := uint32(2166136261)
	for i := range len(n) {
		h = (h ^ uint32(n[i])) * 16777619
	}
	return h
}
