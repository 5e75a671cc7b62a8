package ramp

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Input is what one look goes by.
type Input struct {
	Now      time.Time `json:"now"`
	Evidence *Evidence `json:"evidence,omitempty"` // nil: there is none
	Commands []Command `json:"commands,omitempty"`

	// OnlyCommands: nothing is judged; for commands between two looks.
	OnlyCommands bool `json:"only_commands,omitempty"`
}

// Command is what the operator wants.
type Command struct {
	Do        Order   `json:"do"`
	Geography string  `json:"geography,omitempty"` // empty: the whole ramp
	Share     float64 `json:"share,omitempty"`     // of Set: that of a step, or 0
	By        string  `json:"by,omitempty"`
	Why       string  `json:"why,omitempty"`
}

// Order is what a command orders.
type Order string

// The orders. Pause stops raising, not guarding. Resume ends a pause and what
// is held, whose step begins anew; on a geography that was rolled back it is
// the permission to begin again. Set puts one geography at a step, which
// begins anew; at share 0 it waits for its turn.
const (
	Pause  Order = "pause"
	Resume Order = "resume"
	Set    Order = "set"
	Abort  Order = "roll_back"
)

// Action is what was decided.
type Action string

// The actions. Start, Advance, Finish, Back and Rolled change a share or a
// phase; Holds and Waits leave all as it is.
const (
	Start   Action = "start"
	Advance Action = "advance"
	Finish  Action = "finish"
	Waits   Action = "wait"
	Holds   Action = "hold"
	Back    Action = "back"
	Rolled  Action = "roll_back"
	Resumed Action = "resume"
	Paused  Action = "pause"
	Put     Action = "set"
	Refused Action = "refuse" // a command or evidence that does not fit
)

// Decision is what was decided about a geography, and why.
type Decision struct {
	At        time.Time `json:"at"`
	Geography string    `json:"geography,omitempty"` // empty: the whole ramp
	Action    Action    `json:"action"`
	From      float64   `json:"from"` // share
	To        float64   `json:"to"`
	Reason    string    `json:"reason"`

	Achieved      float64 `json:"achieved"`      // the treatment arm's share of views in this step
	Contamination float64 `json:"contamination"` // share of views that were answered as the other arm
	Checks        []Check `json:"checks,omitempty"`
}

// Step looks once: it takes up the commands and the evidence, judges, and
// decides. It is pure, and s is left as it is: the same plan, state and input
// give the same result, so that a trail of inputs replays to the same
// decisions. There is a decision for each geography that is running, and for
// each other one that something happens to. Cost is proportional to the rows
// of evidence and to geographies × networks × guardrails.
//
// p must be valid and s of p (Begin, Restore); if it is not, nothing happens but
// a refusal.
func Step(p *Plan, s State, in Input) (State, []Decision) {
	now := in.Now.UTC().Round(0)
	if err := s.fits(p); err != nil {
		return s, []Decision{{At: now, Action: Refused, Reason: err.Error()}}
	}
	r := &run{plan: p, state: s.clone(), now: now}
	for _, c := range in.Commands {
		r.obey(c)
	}
	if in.OnlyCommands {
		return r.state, r.decisions
	}
	if in.Evidence != nil {
		r.takeUp(in.Evidence)
	}
	r.guard()
	r.move()
	return r.state, r.decisions
}

// Replay runs a trail of inputs from a state on and yields what was decided
// at each.
func Replay(p *Plan, s State, trail []Input) (State, [][]Decision) {
	all := make([][]Decision, len(trail))
	for i, in := range trail {
		s, all[i] = Step(p, s, in)
	}
	return s, all
}

// run is one look.
type run struct {
	plan      *Plan
	state     State
	now       time.Time
	decisions []Decision
	findings  []finding // by geography
	acted     map[int]bool
}

// finding is what the guardrails say of one geography.
type finding struct {
	checks                  []Check
	achieved, contamination float64 // of Decision

	breach *Check
	rail   int // of the breach
	hold   string
	wait   string
}

func (r *run) decide(i int, a Action, from float64, reason string) {
	d := Decision{At: r.now, Action: a, From: from, Reason: reason}
	if i >= 0 {
		g := &r.state.Geographies[i]
		d.Geography, d.To = g.ID, r.plan.share(g.Step)
		if i < len(r.findings) {
			f := &r.findings[i]
			d.Checks, d.Achieved, d.Contamination = f.checks, f.achieved, f.contamination
		}
	}
	r.decisions = append(r.decisions, d)
}

// achieved is the treatment arm's share of views.
func (t *Tally) achieved() float64 {
	return t.Views[Treatment] / max(1, t.Views[Control]+t.Views[Treatment])
}

// contamination is that of the arm that has more of it.
func (t *Tally) contamination() float64 {
	c := 0.0
	for arm, v := range t.Views {
		if v > 0 {
			c = max(c, t.Contaminated[arm]/v)
		}
	}
	return c
}

// takeUp adds evidence to what is known.
func (r *run) takeUp(e *Evidence) {
	s := &r.state
	from, until := e.From.UTC().Round(0), e.Until.UTC().Round(0)
	switch err := e.check(); {
	case err != nil:
		r.decide(-1, Refused, 0, "evidence is refused: "+err.Error())
		return
	case from.Before(s.Seen):
		r.decide(-1, Refused, 0, fmt.Sprintf("evidence is refused: it begins at %s, and what is until %s is known", clock(from), clock(s.Seen)))
		return
	case until.After(r.now):
		r.decide(-1, Refused, 0, fmt.Sprintf("evidence is refused: it ends at %s, which is yet to come", clock(until)))
		return
	}
	s.Seen = until
	for i := range s.Geographies {
		j := slices.IndexFunc(e.Geographies, func(v GeographyViews) bool { return v.ID == s.Geographies[i].ID })
		if j >= 0 {
			r.plan.takeUp(&s.Geographies[i], &e.Geographies[j], from, until)
		}
	}
	r.loads(e.Loads, until)
}

func (p *Plan) takeUp(g *Progress, v *GeographyViews, from, until time.Time) {
	share := p.share(g.Step)
	if math.Abs(v.Share-share) > 1e-9 || from.Before(g.Since.Add(time.Duration(p.Settle))) && g.Step >= 0 {
		return
	}
	g.Covered += Duration(until.Sub(from))
	before := g.Tally.Views
	g.Tally.absorb(p, v, from)
	got := [2]float64{g.Tally.Views[Control] - before[Control], g.Tally.Views[Treatment] - before[Treatment]}
	for arm, part := range [2]float64{1 - share, share} {
		switch {
		case got[arm] > 0:
			g.Last[arm], g.Expected[arm] = until, 0
		case part < 1:
			g.Expected[arm] += got[1-arm] * part / (1 - part)
		}
	}
	for i := range g.Tally.Cells {
		c := &g.Tally.Cells[i]
		for k := range c.Streams {
			if x := &c.Streams[k]; until.Sub(x.From) >= time.Duration(p.Guardrails[k].Window) {
				g.Tally.restart(p, i, k, until, x.Round+1)
			}
		}
	}
}

// loads notes which PoPs have more than they should.
func (r *run) loads(all []PoPLoad, until time.Time) {
	limit := r.plan.limit()
	if limit == nil {
		return
	}
	s := &r.state
	for _, l := range all {
		if l.Capacity <= 0 {
			continue
		}
		s.LoadsSeen = until
		at := slices.IndexFunc(s.Overloads, func(o Overload) bool { return o.PoP == l.PoP })
		switch load := l.Load / l.Capacity; {
		case load <= limit.Margin && at >= 0:
			s.Overloads = slices.Delete(s.Overloads, at, at+1)
		case load <= limit.Margin:
		case at >= 0:
			s.Overloads[at].Load = load
		case len(s.Overloads) < maxPoPs:
			s.Overloads = append(s.Overloads, Overload{l.PoP, until, load})
		}
	}
	slices.SortFunc(s.Overloads, func(a, b Overload) int { return cmpPath(string(a.PoP), string(b.PoP)) })
}

// Watches reports whether p has a guardrail for a metric.
func (p *Plan) Watches(m Metric) bool {
	return slices.ContainsFunc(p.Guardrails, func(g Guardrail) bool { return g.Metric == m })
}

// limit returns the guardrail for PoPs' load, if there is one.
func (p *Plan) limit() *Guardrail {
	for i := range p.Guardrails {
		if p.Guardrails[i].Metric == Load {
			return &p.Guardrails[i]
		}
	}
	return nil
}

// clock writes a time for people.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
