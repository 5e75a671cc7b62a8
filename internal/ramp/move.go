package ramp

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// move advances what may, says why the others do not, and starts the next
// geography where there is room.
func (r *run) move() {
	s := &r.state
	blackout := ""
	if b := r.plan.blackout(r.now); b != nil {
		blackout = "blackout: " + b.String()
	}
	for i := range s.Geographies {
		g, f := &s.Geographies[i], &r.findings[i]
		if g.Phase != Running || r.acted[i] {
			continue
		}
		share := r.plan.share(g.Step)
		switch {
		case f.hold != "":
			r.decide(i, Holds, share, f.hold)
		case f.wait != "":
			r.decide(i, Waits, share, f.wait)
		case s.Paused != "":
			r.decide(i, Holds, share, "paused: "+s.Paused)
		case r.now.Before(g.NotBefore):
			r.decide(i, Waits, share, fmt.Sprintf("after a step back, the next step is not before %s", clock(g.NotBefore)))
		case g.Step+1 == len(r.plan.Steps): // no share is raised, so that a blackout does not matter
			g.Phase = Done
			r.decide(i, Finish, share, "all guardrails hold at the last step")
		case blackout != "":
			r.decide(i, Waits, share, blackout)
		default:
			r.set(g, g.Step+1)
			r.decide(i, Advance, share, "all guardrails hold")
		}
	}
	if s.Paused == "" && blackout == "" && len(s.Overloads) == 0 {
		r.start()
	}
}

// start begins with the least busy of the geographies that are waiting, as
// long as fewer than AtOnce are under way. The busiest of all goes alone. Those
// that are held, or wait beyond their patience, are not under way.
func (r *run) start() {
	s, p := &r.state, r.plan
	stale := time.Duration(p.Stale)
	if r.now.Sub(s.Seen) > stale || p.limit() != nil && r.now.Sub(s.LoadsSeen) > stale {
		return
	}
	for {
		under, pending, next := 0, 0, -1
		for i := range s.Geographies {
			g := &s.Geographies[i]
			switch g.Phase {
			case Running:
				if !r.stuck(g) {
					under++
				}
			case Pending:
				pending++
				if g.Covered < p.Observe || g.Tally.Views == [2]float64{} || r.now.Before(g.NotBefore) {
					continue
				}
				if next < 0 || g.busy() < s.Geographies[next].busy() {
					next = i
				}
			}
		}
		if next < 0 || under >= p.AtOnce || pending == 1 && under > 0 {
			return
		}
		g := &s.Geographies[next]
		r.set(g, 0)
		g.Phase = Running
		why := "it has the fewest views of those that are left"
		if pending == 1 {
			why = "the others are through"
		}
		r.decide(next, Start, 0, why)
	}
}

// stuck reports whether a geography waits beyond its patience: as one that is
// held it does not move, and does not keep others from moving.
func (r *run) stuck(g *Progress) bool {
	return r.state.Seen.Sub(g.Since) > time.Duration(r.plan.Patience)
}

// busy is a pending geography's views a second.
func (g *Progress) busy() float64 {
	return (g.Tally.Views[Control] + g.Tally.Views[Treatment]) / time.Duration(g.Covered).Seconds()
}

// obey carries out a command.
func (r *run) obey(c Command) {
	why := c.Why
	if c.By != "" {
		why = fmt.Sprintf("%s, by %s", why, c.By)
	}
	found := false
	for i := range r.state.Geographies {
		g := &r.state.Geographies[i]
		if c.Geography != "" && g.ID != c.Geography {
			continue
		}
		found = true
		share := r.plan.share(g.Step)
		switch {
		case c.Do == Abort && g.Phase != RolledBack && (g.Step >= 0 || c.Geography != "" || g.Phase == Pending):
			r.rollBack(i, why)
		case c.Do == Pause && c.Geography != "" && g.Phase == Running:
			g.Phase, g.Why = Held, why
			r.decide(i, Holds, share, why)
		case c.Do == Resume && g.Phase == Held:
			g.Phase, g.Why, g.NotBefore, g.Back = Running, "", time.Time{}, 0
			r.set(g, g.Step)
			r.decide(i, Resumed, share, why)
		case c.Do == Resume && c.Geography != "" && g.Phase == RolledBack:
			g.Phase, g.Why, g.NotBefore, g.Back = Pending, "", time.Time{}, 0
			r.set(g, -1)
			r.decide(i, Resumed, 0, why)
		case c.Do == Set && c.Geography != "":
			r.put(i, c.Share, why)
		case c.Geography != "":
			r.decide(i, Refused, share, fmt.Sprintf("cannot %s what is %s", c.Do, g.Phase))
		}
	}
	switch {
	case !found:
		r.decide(-1, Refused, 0, fmt.Sprintf("there is no geography %q", c.Geography))
	case c.Geography != "":
	case c.Do == Pause:
		r.state.Paused = why
		r.decide(-1, Paused, 0, why)
	case c.Do == Resume && r.state.Paused != "":
		r.state.Paused = ""
		r.decide(-1, Resumed, 0, why)
	case c.Do == Set:
		r.decide(-1, Refused, 0, "set wants a geography")
	case c.Do != Pause && c.Do != Resume && c.Do != Abort:
		r.decide(-1, Refused, 0, fmt.Sprintf("there is no order %q", c.Do))
	}
}

// put puts a geography at the step with a share, as the operator wants.
func (r *run) put(i int, share float64, why string) {
	g := &r.state.Geographies[i]
	from, step := r.plan.share(g.Step), -1
	if share != 0 {
		step = slices.IndexFunc(r.plan.Steps, func(s float64) bool { return math.Abs(s-share) < 1e-9 })
	}
	if share != 0 && step < 0 {
		r.decide(i, Refused, from, fmt.Sprintf("%s is not a step of the ramp", percent(share)))
		return
	}
	g.Phase, g.Why, g.NotBefore, g.Back = Running, "", time.Time{}, 0
	if step < 0 {
		g.Phase = Pending
	}
	r.set(g, step)
	r.decide(i, Put, from, why)
}
