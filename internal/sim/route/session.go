// Package route computes who reaches which PoP: the routes that every AS of a
// topology chooses for a prefix that the fleet announces (Gao and Rexford,
// 2001), and the path that packets then take from metro to metro.
//
// The control plane knows one thing per AS: the class and length of its best
// routes. The data plane walks: in each AS, traffic leaves at the nearest
// hand-over among all equally good neighbors (hot potato), and an AS beside
// the fleet delivers to the nearest PoP.
package route

import (
	"slices"

	"catchment/internal/sim/topology"
)

// Class is how an AS came by a route; a higher one is preferred, whatever the
// lengths.
type Class uint8

// The classes, as seen by the AS that holds the route.
const (
	NoRoute      Class = iota
	FromProvider       // passed on to customers only
	FromPeer           // passed on to customers only
	FromCustomer       // passed on to everyone
)

// String returns the class as reports name it.
func (c Class) String() string {
	return [...]string{"no", "provider", "peer", "customer"}[c&3]
}

// Session is one BGP session of a PoP over which the prefix is announced, with
// its policy. Every change of an announcement is an edit of the list of
// sessions.
type Session struct {
	PoP      int            // index of the PoP, stable between the lists that are compared
	Metro    topology.Metro // where the PoP is
	Neighbor topology.AS
	Class    Class // how the neighbor ranks us: FromCustomer where it sells us transit
	Prepend  int   // how often our ASN is repeated, 0 to MaxPrepend

	// NoExport are ASes that the neighbor does not pass the route on to,
	// ascending (carriers sell communities for it).
	NoExport []topology.AS

	// Scope, unless nil, are the metros where the neighbor passes the route on
	// at all (regional communities). It uses the route itself everywhere.
	Scope *topology.Metros
}

// MaxPrepend bounds Session.Prepend. More than three hardly move anything.
const MaxPrepend = 32

// restricted reports whether the neighbor passes the route on to some only.
func (s *Session) restricted() bool { return len(s.NoExport) > 0 || s.Scope != nil }

// key is what hashes know a session by. It tells apart those of one neighbor.
func (s *Session) key() uint64 { return 1<<40 | uint64(s.Metro)<<20 | uint64(s.PoP) }

func (s *Session) equal(o *Session) bool {
	return s.PoP == o.PoP && s.Metro == o.Metro && s.Neighbor == o.Neighbor && s.Class == o.Class &&
		s.Prepend == o.Prepend && slices.Equal(s.NoExport, o.NoExport) &&
		(s.Scope == nil) == (o.Scope == nil) && (s.Scope == nil || *s.Scope == *o.Scope)
}

// exports reports whether the neighbor passes the route on to an AS that it
// meets in the given metros.
func (s *Session) exports(to topology.AS, meet *topology.Metros) bool {
	if _, listed := slices.BinarySearch(s.NoExport, to); listed {
		return false
	}
	if s.Scope == nil {
		return true
	}
	both := s.Scope.And(meet)
	return !both.Empty()
}
