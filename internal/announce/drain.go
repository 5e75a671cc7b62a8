package announce

import (
	"fmt"
	"time"
)

// Defaults of Draining.
const (
	DefaultTTL    = time.Minute
	DefaultGrace  = 5 * time.Minute
	DefaultVerify = time.Minute
	DefaultSettle = 30 * time.Second
	DefaultQuiet  = 30 * time.Second
)

// Draining is how long the phases of a drain take.
type Draining struct {
	TTL    time.Duration // of DNS answers, the longest, and what resolvers add to it
	Grace  time.Duration // for connections to finish, at most
	Verify time.Duration // for neighbors to be told, at most
	Settle time.Duration // for the Internet to find other routes
	Quiet  time.Duration // without traffic, until the PoP counts as empty
}

// Phase is where a drain is. The empty one: there is none.
type Phase string

// The phases, in order; then those of the way back.
const (
	DNSOut      Phase = "dns-out"           // name servers leave the PoP out
	TTL         Phase = "ttl"               // what they said before is forgotten
	Connections Phase = "connections"       // those that are open finish
	Shutdown    Phase = "graceful-shutdown" // announced so that others are preferred; each neighbor was told
	Settle      Phase = "settle"            // users move
	Withdrawn   Phase = "withdrawn"         // until no traffic comes
	Drained     Phase = "drained"           // for as long as operators like

	Reannounce Phase = "reannounce"  // as in Shutdown, once healthy; each neighbor was told
	SettleBack Phase = "settle-back" // paths exist again
	Prefer     Phase = "prefer"      // announced as ever; each neighbor was told
	DNSIn      Phase = "dns-in"      // name servers hand the PoP out again
)

var forward = []Phase{DNSOut, TTL, Connections, Shutdown, Settle, Withdrawn, Drained}

var back = []Phase{Reannounce, SettleBack, Prefer, DNSIn, ""}

func (p Phase) restoring() bool { return p != "" && indexOf(back, p) >= 0 }

func (p Phase) known() bool { return indexOf(forward, p) >= 0 || indexOf(back, p) >= 0 }

func indexOf(list []Phase, p Phase) int {
	for i, q := range list {
		if p == q {
			return i
		}
	}
	return -1
}

func (p Phase) next() Phase {
	if i := indexOf(forward, p); i >= 0 && i+1 < len(forward) {
		return forward[i+1]
	}
	if i := indexOf(back, p); i >= 0 && i+1 < len(back) {
		return back[i+1]
	}
	return p
}

// Order is an operator's. Abort and Restore undo, from whatever phase, only
// what has been done; Skip ends the present phase.
type Order struct {
	Do    Do
	Local bool          // given at the PoP, past the control node: name servers cannot be told
	Why   string        // in the operator's words
	Grace time.Duration // of a drain, instead of Draining.Grace; 0: that
}

// Do is what an operator orders.
type Do string

// The orders.
const (
	DoDrain   Do = "drain"
	DoRestore Do = "restore"
	DoAbort   Do = "abort"
	DoSkip    Do = "skip"
)

// Seen is what the caller observes around the PoP. While Output.Drain is there
// it should come every second.
type Seen struct {
	Version     uint64   // Output.Version that was handed to the speaker, and Unsynced is of
	Unsynced    []string // established neighbors that were not told exactly that
	Connections int      // open to VIPs; negative: not known
	Traffic     float64  // requests/s over VIPs; negative: not known
	DNS         *DNSSeen // nil: not known
}

// DNSSeen is what name servers follow.
type DNSSeen struct {
	Out     bool     `json:"out"`               // the newest snapshot leaves the PoP out
	Waiting []string `json:"waiting,omitempty"` // name servers that do not have it yet
}

// Progress is a drain, for people.
type Progress struct {
	Phase   Phase     `json:"phase"`
	Since   time.Time `json:"since"` // it was entered
	Next    Phase     `json:"next"`
	Until   time.Time `json:"until,omitzero"` // Next comes at this time at the latest; zero: not by time
	Waiting string    `json:"waiting"`        // what for, in words
	Why     string    `json:"why,omitempty"`  // of the order
	Local   bool      `json:"local,omitempty"`
}

// drainState is a drain as it survives a restart.
type drainState struct {
	Phase Phase         `json:"phase,omitempty"`
	Since time.Time     `json:"since,omitzero"`
	Quiet time.Time     `json:"quiet,omitzero"` // no traffic since; zero: some
	Local bool          `json:"local,omitempty"`
	Why   string        `json:"why,omitempty"`
	Grace time.Duration `json:"grace,omitempty"` // of the order; 0: the config's
}

// stance is how a drain has VIPs announced.
type stance int

const (
	plain   stance = iota // as their health says
	shunned               // degraded
	absent
)

func (d *drainState) stance() stance {
	switch d.Phase {
	case Shutdown, Settle, Reannounce, SettleBack:
		return shunned
	case Withdrawn, Drained:
		return absent
	default:
		return plain
	}
}

// away reports whether the PoP does not count as one that users can be left to.
func (d *drainState) away() bool { return d.Phase != "" && d.Phase != Prefer && d.Phase != DNSIn }

func (d *drainState) closing() bool {
	switch d.Phase {
	case Connections, Shutdown, Settle, Withdrawn:
		return true
	default:
		return false
	}
}

func (a *Agent) order(o Order) {
	d, why := &a.st.Drain, cut(o.Why)
	under := d.Phase != "" && !d.Phase.restoring()
	switch {
	case o.Do == DoDrain && under:
		a.run.refused = fmt.Sprintf("a drain is under way, in phase %s", d.Phase)
	case o.Do == DoDrain:
		to := DNSOut
		if d.Phase == Reannounce || d.Phase == SettleBack { // name servers still leave it out
			to = Shutdown
		}
		d.Local, d.Why, d.Grace = o.Local, why, max(0, min(o.Grace, maxDuration))
		defer func() { a.run.seen.DNS = nil }() // was seen before name servers were told of the order
		a.enter(to, "drain ordered (%s)", why)
	case (o.Do == DoRestore || o.Do == DoAbort) && under:
		to := Reannounce
		switch d.Phase {
		case DNSOut, TTL, Connections:
			to = DNSIn
		case Shutdown, Settle:
			to = Prefer
		}
		from := d.Phase
		d.Local, d.Why = o.Local, why
		defer func() { a.run.seen.DNS = nil }() // was seen before name servers were told of the order
		a.enter(to, "%s ordered in phase %s (%s)", o.Do, from, why)
	case o.Do == DoSkip && d.Phase != "" && d.Phase != Drained:
		from := d.Phase
		a.enter(from.next(), "phase %s skipped by order (%s); it waited: %s", from, why, a.waiting())
	default:
		do := cut(string(o.Do))
		a.run.refused = fmt.Sprintf("there is nothing to %s, the PoP is %s", do, phaseName(d.Phase))
	}
}

func (a *Agent) enter(p Phase, format string, args ...any) {
	d := &a.st.Drain
	a.tell("", false, "%s: now %s", fmt.Sprintf(format, args...), phaseName(p))
	d.Phase, d.Since, d.Quiet = p, a.run.now, time.Time{}
	a.run.entered = true
	if p == "" {
		*d = drainState{}
	}
}

func phaseName(p Phase) string {
	if p == "" {
		return "in service"
	}
	return string(p)
}
