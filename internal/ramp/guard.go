package ramp

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// expected is how many views an arm must have missed before it counts as
// silent: units come in bursts.
const expected = 50

// guard judges every geography that has a share, and acts on breaches.
func (r *run) guard() {
	r.acted = map[int]bool{}
	r.findings = make([]finding, len(r.state.Geographies))
	var breached []int
	for i := range r.state.Geographies {
		g := &r.state.Geographies[i]
		if g.Phase != Running && g.Phase != Held || g.Step < 0 {
			continue
		}
		r.findings[i] = r.find(g)
		if f := &r.findings[i]; f.breach != nil && (g.Phase == Running || r.plan.Guardrails[f.rail].OnBreach != Hold) {
			breached = append(breached, i)
		}
	}
	for _, i := range breached {
		f := &r.findings[i]
		r.answer(&r.plan.Guardrails[f.rail], i, f.breach.breach())
	}
	r.guardLoads()
}

// find says what is to be said of a geography.
func (r *run) find(g *Progress) (f finding) {
	p, s := r.plan, &r.state
	f.checks = p.judgeAll(g, s.Seen)
	f.achieved, f.contamination = g.Tally.achieved(), g.Tally.contamination()
	comparedRails := 0
	for k := range p.Guardrails {
		if p.Guardrails[k].Metric != Load {
			comparedRails++
		}
	}
	for i := range f.checks {
		c := &f.checks[i]
		if c.Verdict != Breach {
			continue
		}
		rail := slices.IndexFunc(p.Guardrails, func(x Guardrail) bool { return x.Metric == c.Metric })
		if f.breach == nil || p.Guardrails[rail].severity() > p.Guardrails[f.rail].severity() {
			f.breach, f.rail = c, rail
		}
	}
	f.hold = r.doubt(g)
	if f.hold != "" {
		return f
	}
	f.wait = r.missing(g, f.checks, comparedRails)
	step := s.Seen.Sub(g.Since)
	if f.wait != "" && step > time.Duration(p.Patience) {
		f.hold = fmt.Sprintf("undecided after %s: %s", p.Patience, f.wait)
	}
	return f
}

// severity orders guardrails by what they do: of several that are breached,
// the one that does the most counts.
func (g *Guardrail) severity() int {
	n := slices.Index([]Response{Hold, StepBack, RollBack}, g.OnBreach)
	if g.Scope == Whole {
		n += 3
	}
	return n
}

// doubt returns why the evidence is not to be built on.
func (r *run) doubt(g *Progress) string {
	p, s := r.plan, &r.state
	stale := time.Duration(p.Stale)
	share := p.share(g.Step)
	settled := g.Since.Add(time.Duration(p.Settle))
	if r.now.Sub(s.Seen) > stale {
		return fmt.Sprintf("no evidence since %s", clock(s.Seen))
	}
	if p.limit() != nil && r.now.Sub(s.LoadsSeen) > stale {
		return fmt.Sprintf("no PoP has reported its load since %s", clock(s.LoadsSeen))
	}
	last := latest(settled, g.Last[Control], g.Last[Treatment])
	if r.now.Sub(last) > 6*stale {
		return fmt.Sprintf("no views by a share of %s since %s", percent(share), clock(last))
	}
	for arm, name := range [2]string{"control", "treatment"} {
		if g.Expected[arm] >= expected && s.Seen.Sub(latest(settled, g.Last[arm])) > stale {
			return fmt.Sprintf("the %s arm is silent: about %s views were due since %s", name, thousands(g.Expected[arm]), clock(latest(settled, g.Last[arm])))
		}
	}
	if c := g.Tally.contamination(); c > p.Contamination && g.Tally.Views[Treatment] >= expected && share < 1 {
		return fmt.Sprintf("%s of an arm's page views were answered as the other arm, more than %s: what is compared is not the schemes", percent(c), percent(p.Contamination))
	}
	return ""
}

func latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

// missing returns what has to be waited for, or "" if nothing has.
func (r *run) missing(g *Progress, checks []Check, rails int) string {
	p := r.plan
	worst := -1
	for i := range checks {
		c := &checks[i]
		// The whole must be harmless. Of a network it is enough that there is no
		// sign of harm, and with too few units it is for a later step: one that
		// can only be told apart by more units must not keep them from coming.
		if c.Verdict == Harmless || i >= rails && (c.Verdict == TooFew || c.Verdict == NoSign) {
			continue
		}
		if worst < 0 || later(c, &checks[worst]) {
			worst = i
		}
	}
	if worst >= 0 {
		return checks[worst].needs()
	}
	if left := time.Duration(p.Dwell.Time - g.Covered); left > 0 {
		return fmt.Sprintf("all guardrails hold; the step lasts for another %s", about(left))
	}
	if n := g.Tally.Views[Treatment]; n < float64(p.Dwell.Views) {
		return fmt.Sprintf("needs %s more views, as the step wants %s of the treatment arm", thousands(float64(p.Dwell.Views)-n), thousands(float64(p.Dwell.Views)))
	}
	return ""
}

// later reports whether a takes longer than b.
func later(a, b *Check) bool {
	if (a.Verdict == TooFew) != (b.Verdict == TooFew) {
		return a.Verdict == TooFew
	}
	return a.missing/max(a.rate, 1e-9) > b.missing/max(b.rate, 1e-9)
}

// answer does what a guardrail says, to geography i or the whole ramp: the
// geography itself first, then those that were raised last. The whole then
// waits for the operator.
func (r *run) answer(g *Guardrail, i int, reason string) {
	if g.Scope == OneGeography {
		r.respond(g.OnBreach, i, reason)
		return
	}
	why := fmt.Sprintf("%s: %s", r.state.Geographies[i].ID, reason)
	r.respond(g.OnBreach, i, reason)
	if r.state.Paused == "" { // or the next geography would begin where this one ended
		r.state.Paused = why
		r.decide(-1, Paused, 0, why)
	}
	for _, j := range r.latestFirst() {
		if j != i && g.OnBreach != Hold {
			r.respond(g.OnBreach, j, why)
		}
	}
}

// latestFirst returns the geographies that have a share and are not done,
// those that were raised last first; in a roll back of the whole also those
// that are done.
func (r *run) latestFirst() []int {
	var all []int
	for i := range r.state.Geographies {
		if r.state.Geographies[i].Step >= 0 {
			all = append(all, i)
		}
	}
	slices.SortStableFunc(all, func(a, b int) int {
		return r.state.Geographies[b].Since.Compare(r.state.Geographies[a].Since)
	})
	return all
}

// respond holds a geography or takes it back. It happens once a look.
func (r *run) respond(do Response, i int, reason string) {
	g := &r.state.Geographies[i]
	if r.acted[i] || g.Step < 0 || g.Phase == Done && do != RollBack {
		return
	}
	r.acted[i] = true
	from := r.plan.share(g.Step)
	switch {
	case do == Hold:
		g.Phase, g.Why = Held, reason
		r.decide(i, Holds, from, reason)
	case do == RollBack || g.Step == 0 && g.Back >= r.plan.Retries:
		r.rollBack(i, reason)
	default:
		g.Back++
		g.NotBefore = r.now.Add(time.Duration(r.plan.RetryAfter))
		r.set(g, g.Step-1)
		switch {
		case g.Step < 0:
			g.Phase = Pending
		case g.Back > r.plan.Retries:
			g.Phase, g.Why = Held, reason
		default:
			g.Phase = Running
		}
		r.decide(i, Back, from, reason)
	}
}

func (r *run) rollBack(i int, reason string) {
	g := &r.state.Geographies[i]
	from := r.plan.share(g.Step)
	r.set(g, -1)
	g.Phase, g.Why = RolledBack, reason
	r.decide(i, Rolled, from, reason)
}

// set moves a geography to a step, whose evidence begins now.
func (r *run) set(g *Progress, step int) {
	g.Step, g.Since, g.Covered = step, r.now, 0
	g.Last, g.Expected = [2]time.Time{r.now, r.now}, [2]float64{}
	if step < 0 { // what will have been before begins anew
		for i := range g.Tally.Cells {
			g.Tally.Cells[i].Before = make([]Before, len(r.plan.Guardrails)) // other states may share the old
		}
	}
	g.Tally.begin(r.plan, r.now)
}

// guardLoads takes back who fills a PoP that has been over the limit for the
// guardrail's window: of the geographies whose treatment arm goes there more
// than their control arm, the one that brings the most views; if nothing is
// known of where views go, the one that was raised last.
func (r *run) guardLoads() {
	limit := r.plan.limit()
	if limit == nil {
		return
	}
	s := &r.state
	for n := range s.Overloads {
		o := &s.Overloads[n]
		reason := fmt.Sprintf("%s is at %s of its capacity, more than %s", o.PoP, percent(o.Load), percent(limit.Margin))
		for i := range s.Geographies {
			if f := &r.findings[i]; f.hold == "" {
				f.hold = reason
			}
		}
		if s.Seen.Sub(o.Since) < time.Duration(limit.Window) || r.now.Sub(s.LoadsSeen) > time.Duration(r.plan.Stale) {
			continue
		}
		if i := r.blame(o); i >= 0 {
			o.Since = s.Seen // for another window before the next
			r.answer(limit, i, fmt.Sprintf("%s, since %s", reason, about(time.Duration(limit.Window))))
		}
	}
}

// blame returns the geography that fills a PoP, or -1.
func (r *run) blame(o *Overload) int {
	type suspect struct {
		at    int
		views float64 // a second, more than without the ramp
		since time.Time
	}
	var all []suspect
	known := false
	for i := range r.state.Geographies {
		g := &r.state.Geographies[i]
		if g.Phase != Running {
			continue
		}
		t := &g.Tally
		brings := 0.0
		for _, v := range t.PoPs {
			known = true
			if v.PoP == o.PoP && t.Views[Treatment] > 0 {
				more := v.Treatment/t.Views[Treatment] - v.Control/max(1, t.Views[Control])
				brings = more * t.Views[Treatment] / max(1, time.Duration(g.Covered).Seconds())
			}
		}
		all = append(all, suspect{i, brings, g.Since})
	}
	if known {
		all = slices.DeleteFunc(all, func(s suspect) bool { return s.views <= 0 })
	}
	if len(all) == 0 {
		return -1
	}
	return slices.MaxFunc(all, func(a, b suspect) int {
		return cmp.Or(cmp.Compare(a.views, b.views), a.since.Compare(b.since), strings.Compare(r.state.Geographies[b.at].ID, r.state.Geographies[a.at].ID))
	}).at
}
