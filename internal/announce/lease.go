package announce

import (
	"fmt"
	"time"

	"catchment/internal/edge"
)

// maxLease bounds how long an answer may count.
const maxLease = time.Hour

// Report is what a PoP tells the control node: every few seconds, and at once
// if Output.Ask. It is whole each time, so that a lost one does no harm.
//
// All times are the PoP's clock, which need not be right.
type Report struct {
	PoP   edge.PoPID  `json:"pop"`
	Sent  time.Time   `json:"sent"`  // later in each report than in the one before
	Began time.Time   `json:"began"` // when the PoP's memory began
	VIPs  []VIPReport `json:"vips"`
}

// VIPReport is a VIP at a PoP.
type VIPReport struct {
	VIP       edge.VIPID `json:"vip"`
	Announced bool       `json:"announced"`
	Degraded  bool       `json:"degraded,omitempty"`
	Drained   bool       `json:"drained,omitempty"`     // by an operator, or about to be
	Asks      bool       `json:"asks,omitempty"`        // for permission to withdraw
	Out       bool       `json:"out,omitempty"`         // automation has withdrawn it
	Withdrawn time.Time  `json:"withdrawn_at,omitzero"` // by automation, the last time
	Why       string     `json:"why,omitempty"`         // it asks, is degraded or out
}

// Answer is the control node's to one VIP that asks. The time it counts for is
// reckoned from when the report was sent, by the PoP's clock, which is before
// the control node's count began: no clocks need agree.
type Answer struct {
	VIP   edge.VIPID    `json:"vip"`
	Asked time.Time     `json:"asked"` // Report.Sent
	OK    bool          `json:"ok"`
	For   time.Duration `json:"for"` // nanoseconds
	Why   string        `json:"why"`
}

// asking is for permission to withdraw a VIP. It is not kept over a restart:
// a permission is void then.
type asking struct {
	since    time.Time // zero: nothing is asked
	why      string
	gaveUp   time.Time // Report.Sent up to which answers are void
	answered time.Time // Report.Sent of the last answer
	ok       bool
	until    time.Time // it counts; zero: none
	words    string
}

// ask begins to ask, goes on, or gives up what was asked for and granted.
func (a *Agent) ask(id edge.VIPID, wants bool, why string) {
	q := a.run.asks[id]
	switch {
	case wants && q.since.IsZero():
		*q = asking{since: a.run.now, gaveUp: q.gaveUp}
		a.run.ask = true
	case !wants && !q.since.IsZero():
		*q = asking{gaveUp: a.st.Sent}
		a.run.ask = true // others may have it
	}
	if wants && why != "" {
		q.why = why
	}
}

func (a *Agent) noteAnswer(ans Answer) {
	q := a.run.asks[ans.VIP]
	if q == nil || q.since.IsZero() || !ans.Asked.After(q.gaveUp) || ans.Asked.Before(q.answered) || ans.Asked.After(a.st.Sent) || ans.For <= 0 {
		return
	}
	q.answered, q.ok, q.words = ans.Asked, ans.OK, cut(ans.Why)
	q.until = ans.Asked.Add(min(ans.For, maxLease))
}

// verdict is kindDown: withdraw; any other: stay announced, degraded.
type verdict struct {
	kind kind
	why  string
}

func (a *Agent) permission(id edge.VIPID) verdict {
	q, now := a.run.asks[id], a.run.now
	since := q.since
	if now.Before(q.until) {
		a.wake(q.until)
		if q.ok {
			return verdict{kindDown, "permitted: " + q.words}
		}
		return verdict{kindRefused, "the control node does not permit to withdraw: " + q.words}
	}
	if q.until.After(since) {
		since = q.until
	}
	if deadline := since.Add(a.cfg.Guard.Wait); a.run.reach != Unreachable && now.Before(deadline) {
		a.wake(deadline)
		return verdict{kindAsking, "waiting for the permission to withdraw"}
	}
	if a.cfg.Guard.Fallback == edge.FailOpenWithdraw {
		return verdict{kindDown, "without permission: the control node does not answer, and " + string(edge.FailOpenWithdraw) + " is configured"}
	}
	return verdict{kindUnasked, "the control node does not answer, and without it nothing is withdrawn"}
}

func (a *Agent) report() Report {
	sent := a.run.now
	if !sent.After(a.st.Sent) {
		sent = a.st.Sent.Add(1)
	}
	a.st.Sent = sent
	r := Report{PoP: a.cfg.PoP, Sent: sent, Began: a.st.Began}
	for _, v := range a.cfg.VIPs {
		s, q := a.st.VIPs[v.ID], a.run.asks[v.ID]
		vr := VIPReport{
			VIP: v.ID, Announced: s.Announced, Degraded: s.Degraded, Out: s.Out, Withdrawn: s.Last,
			Asks: !q.since.IsZero(), Drained: a.st.Drain.away(),
		}
		switch {
		case vr.Asks && s.Kind == kindHealthy:
			vr.Why = fmt.Sprintf("a check has failed (%s)", q.why)
		case s.Kind != kindHealthy:
			vr.Why = s.Why
		}
		r.VIPs = append(r.VIPs, vr)
	}
	return r
}
