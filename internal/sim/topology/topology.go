// Package topology holds an AS-level Internet: who is whose customer and who
// peers with whom, in which metros each network is present, and how many users
// it has there.
//
// A Topology is immutable once built, and everything in it is in the order of
// AS numbers, so that the same inputs give the same bytes.
package topology

import (
	"iter"
	"math/bits"
	"slices"

	"catchment/internal/edge"
)

// AS is the index of an autonomous system: its rank by number.
type AS int32

// Metro is the index of a metro area.
type Metro int16

// None is no AS and no metro.
const None = -1

// MaxMetros bounds the metros of a topology, so that a footprint is one cache
// line. The 512 largest metros hold most of the Internet's users, and any
// smaller town is served from one of them.
const MaxMetros = 512

// City is a metro area: where networks meet and users live.
type City struct {
	Name       string
	Place      edge.Place // continent, country, subdivision, city, lat, lon
	Population int        // people in the metro area; 0 is unknown
}

// Topology is an AS-level Internet.
type Topology struct {
	Cities []City
	ASNs   []uint32 // strictly ascending
	Names  []string // of the ASes; empty where unknown

	Providers Links // those an AS pays for transit
	Customers Links // those that pay it
	Peers     Links // settlement-free

	// Footprint is where an AS can hand traffic over. It includes the metros
	// of its customers, who must be reached somehow, and those of its siblings
	// (other ASes of the same organization). Never empty.
	Footprint []Metros

	// Groups are the users, by AS and metro.
	Groups []Group

	// Sources are the inputs, in the words of whoever built it: file names
	// with SHA-256, or the generator with its parameters.
	Sources []string
}

// Group is the users of one AS in one metro: the unit of everything that is
// computed. All of them are routed alike.
type Group struct {
	AS    AS
	Metro Metro
	Users float32 // people
}

// Links are the neighbors of one kind of every AS, in compressed sparse rows.
type Links struct {
	Start []uint32 // of length ASes + 1: AS a has To[Start[a]:Start[a+1]]
	To    []AS     // ascending within an AS
}

// Of returns the neighbors of a, ascending. They must not be changed.
func (l *Links) Of(a AS) []AS { return l.To[l.Start[a]:l.Start[a+1]] }

// Len returns how many ASes there are.
func (t *Topology) Len() int { return len(t.ASNs) }

// Find returns the AS with a number.
func (t *Topology) Find(asn uint32) (AS, bool) {
	i, ok := slices.BinarySearch(t.ASNs, asn)
	return AS(i), ok
}

// Users returns how many users there are in all.
func (t *Topology) Users() float64 {
	var sum float64
	for i := range t.Groups {
		sum += float64(t.Groups[i].Users)
	}
	return sum
}

// Metros is a set of metros.
type Metros [MaxMetros / 64]uint64

// Has reports whether m is in the set.
func (s *Metros) Has(m Metro) bool { return s[uint16(m)/64&7]>>(uint16(m)%64)&1 != 0 }

// Add puts m into the set.
func (s *Metros) Add(m Metro) { s[m/64] |= 1 << (m % 64) }

// Union puts all of o into the set.
func (s *Metros) Union(o *Metros) {
	for i := range s {
		s[i] |= o[i]
	}
}

// And returns the metros that are in both sets.
func (s *Metros) And(o *Metros) Metros {
	var both Metros
	for i := range s {
		both[i] = s[i] & o[i]
	}
	return both
}

// Empty reports whether the set has no metro.
func (s *Metros) Empty() bool { return *s == Metros{} }

// Len returns how many metros are in the set.
func (s *Metros) Len() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// All yields the metros of the set, ascending.
func (s *Metros) All() iter.Seq[Metro] {
	return func(yield func(Metro) bool) {
		for i, w := range s {
			for ; w != 0; w &= w - 1 {
				if !yield(Metro(64*i + bits.TrailingZeros64(w))) {
					return
				}
			}
		}
	}
}
