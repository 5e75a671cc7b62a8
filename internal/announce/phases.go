package announce

import (
	"fmt"
	"strings"
	"time"

	"catchment/internal/edge"
)

// advance goes through the phases that have ended.
func (a *Agent) advance() {
	for range len(forward) + len(back) {
		d := &a.st.Drain
		if d.Phase == Withdrawn {
			a.noteQuiet()
		}
		over, why := a.over()
		if !over {
			break
		}
		a.enter(d.Phase.next(), "phase %s over: %s", d.Phase, why)
	}
	until := a.until()
	if a.run.entered && !until.IsZero() && !until.After(a.run.now) {
		until = a.run.now.Add(time.Millisecond) // no phase ends in the step that entered it by its time
	}
	a.wake(until)
}

// noteQuiet counts the time without traffic from when neighbors know of the
// withdrawal. Traffic that is not known counts as none.
func (a *Agent) noteQuiet() {
	d := &a.st.Drain
	switch told := a.told() || a.passed(a.cfg.Drain.Verify); {
	case !told || a.run.seen.Traffic > 0:
		d.Quiet = time.Time{}
	case d.Quiet.IsZero():
		d.Quiet = a.run.now
	}
}

// over reports whether the present phase has ended, and why.
func (a *Agent) over() (over bool, why string) {
	d, cfg, seen := &a.st.Drain, &a.cfg.Drain, &a.run.seen
	switch d.Phase {
	case DNSOut, TTL:
		switch {
		case d.Local:
			return true, "skipped: ordered at the PoP, name servers were not told and go on handing it out"
		case d.Phase == DNSOut:
			return seen.DNS != nil && seen.DNS.Out && len(seen.DNS.Waiting) == 0, "all name servers leave the PoP out"
		}
		return a.passed(cfg.TTL), "answers of before have expired"
	case Connections:
		if seen.Connections == 0 {
			return true, "no connection is open"
		}
		return a.passed(a.grace()), "the time for connections to finish is over; " + connections(seen.Connections)
	case Shutdown, Prefer:
		if a.told() {
			return true, "all neighbors were told"
		}
		return a.passed(cfg.Verify), "not verified, and the time for that is over: " + a.waiting()
	case Reannounce:
		if a.ripe() && a.told() {
			return true, "all neighbors were told"
		}
		return a.anyAnnounced() && !a.run.entered && !a.run.now.Before(a.until()), "the time for that is over: " + a.waiting()
	case Settle, SettleBack:
		return a.passed(cfg.Settle), "the Internet has had its time"
	case Withdrawn:
		if seen.Traffic < 0 {
			why = "; traffic is not known"
		}
		return !d.Quiet.IsZero() && !a.run.now.Before(d.Quiet.Add(cfg.Quiet)), "no traffic for " + cfg.Quiet.String() + why
	case DNSIn:
		if d.Local {
			return true, "skipped: ordered at the PoP, name servers were not told"
		}
		return seen.DNS != nil && !seen.DNS.Out && len(seen.DNS.Waiting) == 0, "all name servers hand the PoP out"
	default:
		return false, ""
	}
}

// until is when the present phase ends by time.
func (a *Agent) until() time.Time {
	d, cfg := &a.st.Drain, &a.cfg.Drain
	switch d.Phase {
	case TTL:
		return d.Since.Add(cfg.TTL)
	case Connections:
		return d.Since.Add(a.grace())
	case Shutdown, Prefer:
		return d.Since.Add(cfg.Verify)
	case Reannounce:
		if a.anyAnnounced() { // from then on
			since := d.Since
			for _, s := range a.st.VIPs {
				if s.Announced && s.Since.After(since) {
					since = s.Since
				}
			}
			return since.Add(cfg.Verify)
		}
	case Settle, SettleBack:
		return d.Since.Add(cfg.Settle)
	case Withdrawn:
		if !d.Quiet.IsZero() {
			return d.Quiet.Add(cfg.Quiet)
		}
		return d.Since.Add(cfg.Verify)
	}
	return time.Time{}
}

// grace is how long connections may take to finish.
func (a *Agent) grace() time.Duration {
	if g := a.st.Drain.Grace; g > 0 {
		return g
	}
	return a.cfg.Drain.Grace
}

// passed is never true in the step that entered the phase: what the phase
// announces is not even handed over then.
func (a *Agent) passed(d time.Duration) bool {
	return !a.run.entered && !a.run.now.Before(a.st.Drain.Since.Add(d))
}

func (a *Agent) told() bool {
	return !a.run.entered && a.run.seen.Version == a.st.Version && len(a.run.seen.Unsynced) == 0
}

// ripe reports whether all VIPs that can be announced again are.
func (a *Agent) ripe() bool {
	for i := range a.cfg.VIPs {
		v := &a.cfg.VIPs[i]
		s := a.st.VIPs[v.ID]
		state, _, _ := a.health(v)
		if !s.Announced && state == edge.Up && !a.run.now.Before(a.budget(s)) {
			return false
		}
	}
	return a.anyAnnounced()
}

func (a *Agent) anyAnnounced() bool {
	for _, s := range a.st.VIPs {
		if s.Announced {
			return true
		}
	}
	return len(a.st.VIPs) == 0
}

// waiting is what the present phase waits for, in words.
func (a *Agent) waiting() string {
	seen := &a.run.seen
	switch a.st.Drain.Phase {
	case DNSOut:
		return dnsWaiting(seen.DNS, true, "leave the PoP out")
	case DNSIn:
		return dnsWaiting(seen.DNS, false, "hand the PoP out again")
	case TTL:
		return "answers that name the PoP expire"
	case Connections:
		return connections(seen.Connections)
	case Shutdown, Prefer, Withdrawn, Reannounce:
		switch {
		case a.st.Drain.Phase == Reannounce && !a.anyAnnounced():
			return "no VIP can be announced yet: " + a.st.firstWhy(a.cfg.VIPs)
		case seen.Version != a.st.Version:
			return "the routes are being handed to the neighbors"
		case len(seen.Unsynced) > 0:
			return "not told yet: " + strings.Join(seen.Unsynced, ", ")
		case seen.Traffic > 0:
			return fmt.Sprintf("%.3g requests/s still come", seen.Traffic)
		}
		return "quiet"
	case Settle, SettleBack:
		return "routes settle"
	case Drained:
		return "nothing: restore ends it"
	default:
		return ""
	}
}

func dnsWaiting(s *DNSSeen, out bool, what string) string {
	switch {
	case s == nil:
		return "what name servers do is not known"
	case s.Out != out:
		return "the control node has not published that name servers are to " + what
	}
	return fmt.Sprintf("name servers that do not %s yet: %s", what, strings.Join(s.Waiting, ", "))
}

func connections(n int) string {
	switch {
	case n < 0:
		return "how many connections are open is not known"
	case n == 1:
		return "1 connection is open"
	}
	return fmt.Sprintf("%d connections are open", n)
}

func (a *Agent) progress() *Progress {
	d := &a.st.Drain
	if d.Phase == "" {
		return nil
	}
	until := a.until()
	if !until.After(a.run.now) {
		until = time.Time{}
	}
	return &Progress{Phase: d.Phase, Since: d.Since, Next: d.Phase.next(), Until: until, Waiting: a.waiting(), Why: d.Why, Local: d.Local}
}
