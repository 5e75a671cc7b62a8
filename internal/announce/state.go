package announce

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"catchment/internal/edge"
)

const (
	stateFormat = 1
	maxState    = 1 << 20 // bytes; 64 VIPs with 100 withdrawals each are some 300 KB
)

// state is what survives a restart.
type state struct {
	Format  int                      `json:"format"`
	PoP     edge.PoPID               `json:"pop"`
	Began   time.Time                `json:"began"` // memory
	At      time.Time                `json:"at"`    // last step
	Sent    time.Time                `json:"-"`     // Report.Sent of the last one; a later life starts from its own time
	Version uint64                   `json:"version"`
	Sum     string                   `json:"sum"` // of what Version is of
	Checks  map[string]*checkState   `json:"checks"`
	VIPs    map[edge.VIPID]*vipState `json:"vips"`
	Drain   drainState               `json:"drain,omitzero"`
}

// State is what New takes in a later life: JSON.
func (a *Agent) State() []byte {
	a.st.At = a.run.now
	b, err := json.Marshal(&a.st)
	if err != nil { // times beyond the year 9999 only, which New refuses
		return nil
	}
	return b
}

func (a *Agent) load(saved []byte, now time.Time) error {
	a.run.seen = Seen{Connections: -1, Traffic: -1}
	return a.restore(saved, now, false)
}

// restore takes a saved state, as far as it goes with the config: what that
// does not have is forgotten, what it has newly begins anew. It is alive if it
// is of this moment.
func (a *Agent) restore(saved []byte, now time.Time, alive bool) error {
	var old state
	if len(saved) > 0 {
		if err := old.read(saved, a.cfg.PoP); err != nil {
			return fmt.Errorf("announce: saved state: %w", err)
		}
	} else {
		old.Began = now
	}
	a.st = state{
		Format: stateFormat, PoP: a.cfg.PoP, Began: past(old.Began, now), At: now, Sent: now, Version: old.Version, Sum: old.Sum,
		Checks: map[string]*checkState{}, VIPs: map[edge.VIPID]*vipState{}, Drain: old.Drain,
	}
	// Sent is now, not what was saved: reports may have been sent since, and an
	// answer to one of them must not count in this life.
	a.st.Drain.Since, a.st.Drain.Quiet = past(old.Drain.Since, now), past(old.Drain.Quiet, now)
	resumed := alive || len(saved) > 0 && !now.After(past(old.At, now).Add(a.cfg.Resume))
	for _, k := range a.cfg.Checks {
		s := &checkState{State: edge.Unknown}
		if o := old.Checks[k.Name]; o != nil && resumed {
			s.State, s.Why = o.State, cut(o.Why)
			switch {
			case alive:
				*s = *o
			case s.State != edge.Unknown:
				s.Heard = now
			}
		}
		a.st.Checks[k.Name] = s
	}
	for _, v := range a.cfg.VIPs {
		s := &vipState{Since: now, Kind: kindStarting}
		if o := old.VIPs[v.ID]; o != nil {
			s = o
			s.load(now, resumed, a.cfg.Flaps)
		}
		a.st.VIPs[v.ID] = s
	}
	return nil
}

func (s *vipState) load(now time.Time, resumed bool, flaps int) {
	s.Since, s.Last, s.Healthy = past(s.Since, now), past(s.Last, now), past(s.Healthy, now)
	for i := range s.Withdrawals {
		s.Withdrawals[i] = past(s.Withdrawals[i], now)
	}
	slices.SortFunc(s.Withdrawals, time.Time.Compare)
	if n := len(s.Withdrawals); n > flaps {
		s.Withdrawals = s.Withdrawals[n-flaps:]
	}
	if !s.Announced {
		s.Degraded = false
	}
	if s.Announced {
		s.Out = false
	}
	if resumed {
		return
	}
	s.Healthy = time.Time{}
	if s.Announced {
		s.Announced, s.Degraded, s.Since, s.Kind = false, false, now, kindStarting
	}
}

// past keeps a clock that was set back from putting what has been into the
// future, where it would hold things up.
func past(t, now time.Time) time.Time {
	if t.After(now) {
		return now
	}
	return t
}

func (st *state) read(saved []byte, pop edge.PoPID) error {
	if len(saved) > maxState {
		return fmt.Errorf("has %d bytes, want up to %d", len(saved), maxState)
	}
	if err := json.Unmarshal(saved, st); err != nil {
		return err
	}
	switch {
	case st.Format != stateFormat:
		return fmt.Errorf("format: %d, want %d", st.Format, stateFormat)
	case st.PoP != pop:
		return fmt.Errorf("pop: is %q, want %q", cut(string(st.PoP)), pop)
	case !st.Drain.Phase.known():
		return fmt.Errorf("drain.phase: there is no %q", cut(string(st.Drain.Phase)))
	case st.Version == 0 || st.Version > 1<<53:
		return errors.New("version: out of range")
	}
	st.Drain.Why = cut(st.Drain.Why)
	for name, s := range st.Checks {
		if s != nil && s.State != edge.Up && s.State != edge.Down && s.State != edge.Unknown {
			return fmt.Errorf("checks.%s.state: there is no %q", cut(name), cut(string(s.State)))
		}
	}
	for _, s := range st.VIPs {
		if s != nil {
			s.Why, s.Kind = cut(s.Why), kind(cut(string(s.Kind)))
		}
	}
	return nil
}

func (st *state) firstWhy(vips []VIP) string {
	for _, v := range vips {
		if s := st.VIPs[v.ID]; !s.Announced {
			return string(v.ID) + " is " + s.Why
		}
	}
	return ""
}
