package announce

import (
	"fmt"
	"time"

	"catchment/internal/edge"
)

// vipState is what is known of a VIP at this PoP.
type vipState struct {
	Announced bool      `json:"announced"`
	Since     time.Time `json:"since"` // it is announced, or is not

	// Out: automation has withdrawn it, and it has not been announced since.
	Out bool `json:"out,omitempty"`
	// Withdrawals by automation within flapWindow, the oldest first.
	Withdrawals []time.Time `json:"withdrawals,omitempty"`
	Total       uint64      `json:"total,omitempty"` // of them, ever: what jitter is drawn by
	Last        time.Time   `json:"last,omitzero"`   // of them, ever

	Healthy  time.Time `json:"healthy,omitzero"` // since when, without a break; zero: it is not
	Degraded bool      `json:"degraded,omitempty"`
	Kind     kind      `json:"kind"`
	Why      string    `json:"why"`
}

// kind is what a reason is about: an event is told when it changes.
type kind string

const (
	kindStarting  kind = "starting"
	kindHealthy   kind = "healthy"
	kindDown      kind = "down"
	kindHeld      kind = "held"     // down for less than MinAnnounce
	kindAsking    kind = "asking"   // for permission
	kindRefused   kind = "refused"  // by the control node
	kindUnasked   kind = "unasked"  // it cannot be asked
	kindHoldDown  kind = "holddown" // healthy again
	kindBudget    kind = "budget"
	kindDraining  kind = "draining"
	kindDrained   kind = "drained"
	kindRestoring kind = "restoring"
)

// decide is for one VIP, after all inputs.
func (a *Agent) decide(v *VIP) {
	s, now := a.st.VIPs[v.ID], a.run.now
	state, doubt, why := a.health(v)
	switch {
	case state != edge.Up:
		s.Healthy = time.Time{}
	case s.Healthy.IsZero():
		s.Healthy = now
	}
	for len(s.Withdrawals) > 0 && !now.Before(s.Withdrawals[0].Add(flapWindow)) {
		s.Withdrawals = s.Withdrawals[1:]
	}
	stance := a.st.Drain.stance()
	a.ask(v.ID, s.Announced && doubt && stance == plain, why)
	switch stance {
	case plain:
		if s.Announced {
			a.keep(v.ID, s, state, why)
		} else {
			a.await(v.ID, s, state, why)
		}
	case shunned:
		a.shun(v.ID, s, state, why)
	case absent:
		if s.Announced {
			a.set(v.ID, s, false, false)
		}
		a.reason(v.ID, s, kindDrained, false, "withdrawn: drained (%s)", a.st.Drain.Why)
	}
	// Asking ends with the withdrawal; what was granted is then used up.
	if !s.Announced {
		a.ask(v.ID, false, "")
	}
}

// keep is for a VIP that is announced.
func (a *Agent) keep(id edge.VIPID, s *vipState, state edge.HealthState, why string) {
	if state != edge.Down {
		a.set(id, s, true, false)
		if state == edge.Unknown {
			a.reason(id, s, kindStarting, false, "announced, as before: %s", why)
			return
		}
		a.reason(id, s, kindHealthy, false, "announced: healthy")
		return
	}
	if until := s.Since.Add(a.cfg.MinAnnounce); a.run.now.Before(until) {
		a.set(id, s, true, true)
		a.reason(id, s, kindHeld, true, "announced, degraded, until %s: it stays for %v at least (%s)", clock(until), a.cfg.MinAnnounce, why)
		a.wake(until)
		return
	}
	switch p := a.permission(id); p.kind {
	case kindDown:
		a.withdraw(id, s, p.why, why)
	default:
		a.set(id, s, true, true)
		a.reason(id, s, p.kind, p.kind != kindAsking, "announced, degraded: %s (%s)", p.why, why)
	}
}

// withdraw is automation's.
func (a *Agent) withdraw(id edge.VIPID, s *vipState, permission, why string) {
	a.set(id, s, false, false)
	s.Out = true
	s.Total++
	s.Last = a.run.now
	s.Withdrawals = append(s.Withdrawals, a.run.now)
	a.reason(id, s, kindDown, true, "withdrawn: %s (%s)", why, permission)
}

// await is for a VIP that is not announced and may be one day.
func (a *Agent) await(id edge.VIPID, s *vipState, state edge.HealthState, why string) {
	switch {
	case (state == edge.Unknown && s.Out || state == edge.Down) && s.Kind == kindDown:
		return // why it was withdrawn stays what is told
	case state == edge.Unknown && s.Out, state == edge.Down:
		a.reason(id, s, kindDown, false, "withdrawn: %s", why)
		return
	case state == edge.Unknown:
		a.reason(id, s, kindStarting, false, "not announced yet: %s", why)
		return
	}
	if at := a.budget(s); a.run.now.Before(at) {
		a.reason(id, s, kindBudget, true, "withdrawn until %s, though healthy: withdrawn %d times within the hour, %d are allowed",
			clock(at), len(s.Withdrawals), a.cfg.Flaps)
		a.wake(at)
		return
	}
	if s.Out {
		at := s.Healthy.Add(a.cfg.HoldDown + a.jitter(id, s))
		if a.run.now.Before(at) {
			a.reason(id, s, kindHoldDown, false, "withdrawn until %s, though healthy: held down", clock(at))
			a.wake(at)
			return
		}
	}
	a.set(id, s, true, false)
	a.reason(id, s, kindHealthy, false, "announced: healthy")
}

// shun is for a VIP while a drain has other PoPs preferred.
func (a *Agent) shun(id edge.VIPID, s *vipState, state edge.HealthState, why string) {
	restoring := a.st.Drain.Phase.restoring()
	switch {
	case !s.Announced && !restoring:
		a.reason(id, s, kindDrained, false, "withdrawn: being drained (%s)", a.st.Drain.Why)
	case s.Announced && state == edge.Down && !restoring:
		a.set(id, s, false, false)
		a.reason(id, s, kindDrained, true, "withdrawn: being drained, and down (%s)", why)
	case s.Announced && !restoring:
		a.set(id, s, true, true)
		a.reason(id, s, kindDraining, false, "announced, degraded: being drained (%s)", a.st.Drain.Why)
	case s.Announced || restoring && state == edge.Up && !a.run.now.Before(a.budget(s)):
		a.set(id, s, true, true)
		a.reason(id, s, kindRestoring, false, "announced, degraded: being restored (%s)", a.st.Drain.Why)
	case state != edge.Up:
		a.reason(id, s, kindDown, false, "withdrawn: %s", why)
	default:
		at := a.budget(s)
		a.wake(at)
		a.reason(id, s, kindBudget, false, "withdrawn until %s: no withdrawal is left of %d an hour", clock(at), a.cfg.Flaps)
	}
}

// budget is when a withdrawal would be within it again; zero: it is.
func (a *Agent) budget(s *vipState) time.Time {
	if n := len(s.Withdrawals); n >= a.cfg.Flaps {
		return s.Withdrawals[n-a.cfg.Flaps].Add(flapWindow)
	}
	return time.Time{}
}

func (a *Agent) jitter(id edge.VIPID, s *vipState) time.Duration {
	if a.cfg.Jitter == 0 {
		return 0
	}
	return time.Duration(hash(a.cfg.Seed, fmt.Sprintf("%s %s %d", a.cfg.PoP, id, s.Total)) % uint64(a.cfg.Jitter))
}

func (a *Agent) set(id edge.VIPID, s *vipState, announced, degraded bool) {
	if s.Announced != announced {
		s.Announced, s.Since, a.run.save = announced, a.run.now, true
		if announced {
			s.Out = false
		}
	}
	if s.Degraded != degraded {
		s.Degraded, a.run.save = degraded, true
	}
}

func (a *Agent) reason(id edge.VIPID, s *vipState, k kind, loud bool, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if s.Kind != k {
		s.Kind = k
		a.tell(id, loud, "%s", text)
	}
	s.Why = text
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05Z") }
