package bgp

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// State is a session's state (RFC 4271, section 8.2.2).
type State int

// The states. A session in Connect is told as Active.
const (
	Idle State = iota
	Connect
	Active
	OpenSent
	OpenConfirm
	Established
)

var stateNames = [...]string{"idle", "connect", "active", "opensent", "openconfirm", "established"}

func (s State) String() string { return stateNames[s] }

// NeighborState is how a session is.
type NeighborState struct {
	Address   netip.Addr
	ASN       uint32
	State     State
	Since     time.Time // when it entered State; zero before Run
	LastError string    // in words: why there is no session, or why the one before ended; empty if nothing ever went wrong
	ErrorAt   time.Time // when that was
	Losses    uint64    // sessions that ended
	Updates   uint64    // UPDATE messages sent
	Failures  uint64    // attempts to get a session that failed
	Limited   uint64    // sessions ended because the neighbor sent too many routes
	Received  int       // routes the neighbor sends, all of them dropped; counted each second

	// Wanted is what the neighbor is to hear, Sent what was written to this
	// session's connection and not taken back since; both sorted by prefix.
	Wanted, Sent []Announcement
}

// Uptime is how long the session has been established at now; 0: it is not.
func (n NeighborState) Uptime(now time.Time) time.Duration {
	if n.State != Established {
		return 0
	}
	return now.Sub(n.Since)
}

// InSync reports whether the session is established and the neighbor was told
// exactly what is wanted. What it makes of that is its own policy's business.
func (n NeighborState) InSync() bool {
	return n.State == Established && len(n.Diff()) == 0
}

// Diff returns the prefixes whose Wanted and Sent differ, sorted.
func (n NeighborState) Diff() []netip.Prefix {
	sent := make(map[netip.Prefix]Announcement, len(n.Sent))
	for _, a := range n.Sent {
		sent[a.Prefix] = a
	}
	var diff []netip.Prefix
	for _, a := range n.Wanted {
		if b, ok := sent[a.Prefix]; !ok || !a.said(b) {
			diff = append(diff, a.Prefix)
		}
		delete(sent, a.Prefix)
	}
	diff = slices.AppendSeq(diff, maps.Keys(sent))
	slices.SortFunc(diff, netip.Prefix.Compare)
	return diff
}

func sorted(m map[netip.Prefix]Announcement) []Announcement {
	return slices.SortedFunc(maps.Values(m), func(a, b Announcement) int { return a.Prefix.Compare(b.Prefix) })
}
