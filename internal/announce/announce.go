// Package announce decides what a PoP announces, given what its checks say,
// what the control node permits and what operators order. It is pure: time is
// an argument, and what it decides is a function of the inputs so far.
//
// An [Agent] is one PoP's. A [Guard] is the control node's: it grants and
// refuses the permission to withdraw that agents ask for.
package announce

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"catchment/internal/edge"
)

// Input is what happened since the step before. The zero Input is that time
// passed.
type Input struct {
	Results []Result // of checks, the oldest first
	Answers []Answer // of the control node
	Control Reach    // empty: as it was
	Seen    *Seen    // nil: as it was
	Order   *Order   // of an operator
}

// Result is that of one check.
type Result struct {
	Check string // Check.Name; results of others are disregarded
	OK    bool
	Why   string // of a failure
}

// Reach is whether the control node can be asked. It only makes a PoP not wait
// for answers that cannot come; without it Guarding.Wait decides.
type Reach string

// The values of Reach.
const (
	Reachable   Reach = "reachable"
	Unreachable Reach = "unreachable"
)

// Wanted is what is to become of a prefix.
type Wanted struct {
	Prefix    netip.Prefix `json:"prefix"`
	VIP       edge.VIPID   `json:"vip,omitempty"` // empty: the PoP's own
	Announced bool         `json:"announced"`
	Degraded               // zero unless announced as a last resort, for all neighbors
	Reason    string       `json:"reason"` // in words, for people
}

// Event is a change, for the log.
type Event struct {
	At   time.Time  `json:"at"`
	VIP  edge.VIPID `json:"vip,omitempty"`  // empty: the PoP's
	Loud bool       `json:"loud,omitempty"` // somebody should look now
	Text string     `json:"text"`
}

// Output is what there is to do after a step.
type Output struct {
	Wanted  []Wanted  // all prefixes of the config, in its order
	Version uint64    // changes with what is announced and how, not with reasons
	Report  Report    // for the control node: at once if Ask, else every few seconds
	Ask     bool      // Report asks, gives up, or tells of a change
	Events  []Event   // what changed, in order
	Refused string    // why Input.Order was not followed; empty: it was
	Drain   *Progress // nil: none under way
	Closing bool      // the application should end connections as it answers
	Save    bool      // Agent.State is to be on disk before Wanted is acted upon; also now and then, as a sign of life
	Due     time.Time // when a step is due even if nothing happens; zero: never
}

// Agent is the state of one PoP. It is not safe for concurrent use.
type Agent struct {
	cfg Config
	st  state
	run running
}

// running is what a restart may forget.
type running struct {
	now     time.Time
	reach   Reach
	seen    Seen
	asks    map[edge.VIPID]*asking
	entered bool // a phase of the drain, in this step
	due     time.Time
	events  []Event
	refused string
	save    bool
	ask     bool
}

// New returns the agent of a PoP. Saved is what Agent.State returned in an
// earlier life, or empty. After a rest of up to Config.Resume what was
// announced is announced at once; after a longer one checks come first. Drains
// and the record of withdrawals are kept for as long as it takes.
//
// Errors are of the config, naming the field, and of a saved state that cannot
// be read or is another PoP's.
func New(cfg Config, saved []byte, now time.Time) (*Agent, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	a := &Agent{cfg: cfg, run: running{now: now, asks: map[edge.VIPID]*asking{}}}
	if err := a.load(saved, now); err != nil {
		return nil, err
	}
	for _, v := range cfg.VIPs {
		a.run.asks[v.ID] = &asking{gaveUp: a.st.Sent}
	}
	return a, nil
}

// SetConfig replaces the config while the agent lives on: what is announced and
// stays so is not touched, permissions and what was seen still count. On an
// error, which is as New's, nothing has changed.
func (a *Agent) SetConfig(cfg Config) error {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return err
	}
	next := &Agent{cfg: cfg, run: a.run}
	if err := next.restore(a.State(), a.run.now, true); err != nil {
		return err
	}
	next.st.Sent, next.run.asks = a.st.Sent, map[edge.VIPID]*asking{}
	for _, v := range cfg.VIPs {
		if next.run.asks[v.ID] = a.run.asks[v.ID]; next.run.asks[v.ID] == nil {
			next.run.asks[v.ID] = &asking{gaveUp: a.st.Sent}
		}
	}
	*a = *next
	return nil
}

// Step takes what happened up to now and returns what there is to do. A now
// before that of the last step counts as that one.
func (a *Agent) Step(now time.Time, in Input) Output {
	if now.Before(a.run.now) {
		now = a.run.now
	}
	a.run.now, a.run.due, a.run.events, a.run.save, a.run.ask, a.run.entered, a.run.refused = now, time.Time{}, nil, false, false, false, ""
	if in.Control != "" {
		a.run.reach = in.Control
	}
	if in.Seen != nil {
		a.run.seen = *in.Seen
	}
	a.noteResults(in.Results)
	for _, ans := range in.Answers {
		a.noteAnswer(ans)
	}
	if in.Order != nil {
		a.order(*in.Order)
	}
	a.advance()
	for i := range a.cfg.VIPs {
		a.decide(&a.cfg.VIPs[i])
	}
	out := Output{Wanted: a.wanted()}
	if sum := fingerprint(out.Wanted); sum != a.st.Sum {
		a.st.Sum = sum
		a.st.Version++
		a.run.save, a.run.ask = true, true
	}
	// New tells a restart from a rest by when the state was saved.
	if alive := a.st.At.Add(a.cfg.Resume / 4); a.cfg.Resume > 0 {
		a.run.save = a.run.save || !now.Before(alive)
		a.wake(alive)
	}
	out.Report = a.report()
	out.Version, out.Ask, out.Save = a.st.Version, a.run.ask, a.run.save
	out.Events, out.Refused, out.Due = a.run.events, a.run.refused, a.run.due
	out.Drain, out.Closing = a.progress(), a.st.Drain.closing()
	return out
}

func (a *Agent) wanted() []Wanted {
	var all []Wanted
	for _, p := range a.cfg.Always {
		all = append(all, Wanted{Prefix: p, Announced: true, Reason: "the PoP's own: always announced"})
	}
	for _, v := range a.cfg.VIPs {
		s := a.st.VIPs[v.ID]
		for _, p := range v.Prefixes {
			w := Wanted{Prefix: p, VIP: v.ID, Announced: s.Announced, Reason: s.Why}
			if s.Announced && s.Degraded {
				w.Degraded = a.cfg.Degraded
				w.Communities = slices.Clone(w.Communities)
			}
			all = append(all, w)
		}
	}
	return all
}

// fingerprint is of what neighbors hear.
func fingerprint(all []Wanted) string {
	var b []byte
	for _, w := range all {
		if w.Announced {
			b = fmt.Appendf(b, "%v %t %d %v;", w.Prefix, w.GracefulShutdown, w.Prepend, w.Communities)
		}
	}
	return fmt.Sprintf("%016x", hash(0, string(b)))
}

// wake makes a step due at t.
func (a *Agent) wake(t time.Time) {
	if t.After(a.run.now) && (a.run.due.IsZero() || t.Before(a.run.due)) {
		a.run.due = t
	}
}

func (a *Agent) tell(vip edge.VIPID, loud bool, format string, args ...any) {
	a.run.events = append(a.run.events, Event{At: a.run.now, VIP: vip, Loud: loud, Text: fmt.Sprintf(format, args...)})
	a.run.save = true
}

// hash is FNV-1a with the finalizer of SplitMix64, whose low bits are as good
// as its high ones.
func hash(seed uint64, s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	h += seed * 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
