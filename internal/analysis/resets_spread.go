package analysis

import (
	"net/netip"
	"time"

	"catchment/internal/edge"
)

// A network that spreads the packets of one connection over several ways has
// its connections reset at several PoPs at a time, or by turns. One whose route
// moved has them reset at one PoP, after the move; or at several, if it chooses
// among them by connection, and then they are all known to come from one that
// is none of those. (A route that goes to and fro makes two turns.)
const (
	spreadWithin = time.Minute // between resets at two PoPs
	spreadAtOnce = time.Second // as good as at once: watchers look at what happened ten times a second
	spreadTurns  = 3
)

// track is what is looked at together.
type track struct {
	client netip.Prefix
	vip    edge.VIPID
}

// trail is where its connections were reset of late.
type trail struct {
	pop         edge.PoPID
	first, last time.Time // of the resets there
	many        bool      // more than one
	turns       int
}

// spread takes up resets of connections that came from a PoP ("": not known)
// and reports whether packets seem to be spread. It goes by what it was told
// until then.
func (r *Resets) spread(x *edge.ResetRecord, from edge.PoPID) bool {
	v := x.Reset
	k := track{v.Client, v.VIP}
	t := r.tracks[k]
	switch {
	case t == nil || v.First.Sub(t.last) > spreadWithin:
		r.tracks[k] = &trail{x.PoP, v.First, v.Last, v.Count > 1, 0}
		return false
	case t.pop == x.PoP:
		t.last, t.many = v.Last, t.many || v.Count > 1
		return t.turns >= spreadTurns
	case from != "" && from != t.pop:
		return t.turns >= spreadTurns
	}
	if t.turns++; t.many && v.Count > 1 && v.First.Sub(t.last) < spreadAtOnce && t.first.Sub(v.Last) < spreadAtOnce {
		t.turns = spreadTurns
	}
	t.pop, t.first, t.last, t.many = x.PoP, v.First, v.Last, v.Count > 1
	return t.turns >= spreadTurns
}
