package authdns

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/miekg/dns"
)

// node is a name in a snapshot: one that has records, or one that only has
// names beneath it (an empty non-terminal).
type node struct {
	name   name
	text   string
	zone   *zone
	sets   map[uint16]*set // static; never nil
	wild   *node           // the wildcard directly beneath
	cut    *node           // the delegation that it is at or beneath; nil: none
	parent *node           // of a child zone's top: the same name seen from the zone above
	above  bool            // is such a parent
	id     uint32          // tells nodes apart: equal in all snapshots
	probes map[string]int  // of the probe zone's top: label of the target → index of Names
	tailor int             // index of Names; −1: not tailored
	whoami bool

	union  int     // families of addresses that it has for any client, as in tailoredAnswer
	nsec   [4]*set // of names in the chain of a signed zone, by families
	anySet *set    // nil for empty non-terminals

	compiled
}

// set is an RRset with its signatures.
type set struct{ rrs, sigs []dns.RR }

// zone is a zone that the server answers for: that of the zone file, or a
// child of it.
type zone struct {
	top    *node
	soa    *set // with the TTL of negative answers (RFC 2308, section 5)
	signed bool
	chain  []*node // canonical order; of a signed zone
}

// tailored is a name of the Steering.
type tailored struct {
	Tailored
	owner   name // of a probe name: of the zone
	label   string
	answers []tailoredAnswer
	other   variant // of a probe name: for every type but A and AAAA
}

// tailoredAnswer is what one Answer comes to.
type tailoredAnswer struct {
	sets     [2]*set    // A, AAAA; nil: none
	packed   [2]variant // of A, AAAA: the addresses, or that there are none
	families int        // bit 0: A, bit 1: AAAA
	given    *counter   // goes on from snapshot to snapshot
}

// Families index what there is one of for A and AAAA each.
const (
	familyA = iota
	familyAAAA
)

// familyOf returns the family of a type of address records, −1 for others.
func familyOf(qtype uint16) int {
	switch qtype {
	case dns.TypeA:
		return familyA
	case dns.TypeAAAA:
		return familyAAAA
	}
	return -1
}

// covering returns the index in the chain of the last name that is not behind
// n: that whose NSEC record tells about n.
func covering[N ~string | ~[]byte](chain []*node, n N) int {
	i, found := slices.BinarySearchFunc(chain, n, func(x *node, n N) int { return compareNames(x.name, n) })
	if found {
		return i
	}
	return i - 1
}

// staticTypes returns the types of static records at a name, ascending.
func (n *node) staticTypes() []uint16 {
	all := make([]uint16, 0, len(n.sets))
	for t := range n.sets {
		all = append(all, t)
	}
	slices.SortFunc(all, cmp.Compare)
	return all
}

// isTop reports whether n is the top of a zone.
func (n *node) isTop() bool { return n.zone.top == n }

// matchKind is how a name is there.
type matchKind uint8

const (
	foreign   matchKind = iota // not in a zone of ours
	exact                      // node has the name
	wildcard                   // node is the wildcard that stands for it
	probe                      // a probe name; node is the probe zone's top
	missing                    // node is the closest encloser (RFC 4592, section 3.3.1)
	delegated                  // node is the delegation
)

// match is what a name comes to in a snapshot.
type match struct {
	kind   matchKind
	node   *node
	tailor int // index of Names; −1: not tailored
}

// find looks up a name in wire form and lower case. It does not allocate.
func (s *snapshot) find(n []byte, qtype uint16) match {
	if x, ok := s.nodes[string(n)]; ok {
		switch {
		case qtype == dns.TypeDS && x.parent != nil:
			x = x.parent // the zone above has it (RFC 4035, section 3.1.4.1)
			return match{exact, x, -1}
		case x.cut == nil, x.cut == x && qtype == dns.TypeDS:
			return match{exact, x, x.tailor}
		}
		return match{delegated, x.cut, -1}
	}
	rest := n
	for {
		if rest[0] == 0 {
			return match{kind: foreign, tailor: -1}
		}
		rest = rest[1+rest[0]:]
		x, ok := s.nodes[string(rest)]
		if !ok {
			continue
		}
		switch {
		case x.cut != nil:
			return match{delegated, x.cut, -1}
		case x.probes != nil && len(n) == len(rest)+1+int(n[0]):
			if i, ok := x.probe(n[1 : 1+n[0]]); ok {
				return match{probe, x, i}
			}
		}
		if x.wild != nil {
			return match{wildcard, x.wild, -1}
		}
		return match{missing, x, -1}
	}
}

// probe finds the probe name that a label is: what stands before its last
// hyphen names the target, what stands behind it is the nonce.
func (n *node) probe(label []byte) (tailor int, ok bool) {
	i := bytes.LastIndexByte(label, '-')
	if i < 1 || i == len(label)-1 {
		return -1, false
	}
	tailor, ok = n.probes[string(label[:i])]
	return tailor, ok
}
