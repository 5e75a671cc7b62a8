package announce

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"catchment/internal/edge"
)

// Defaults of Policy.
const (
	DefaultShare  = 0.34 // of three PoPs, one
	DefaultWindow = 10 * time.Minute
	DefaultLease  = 30 * time.Second // ten reports
	DefaultFresh  = 15 * time.Second // five reports
)

// Policy is how many PoPs of a VIP automation may take out.
type Policy struct {
	// Share of a VIP's PoPs that may be out at a time, or have been withdrawn
	// within Window, above 0 up to 1; rounded down, but at least one PoP where
	// there are two. Count, if above 0, bounds the number, too.
	Share float64
	Count int

	// Keep is how many PoPs that announce the VIP and find nothing wrong there
	// must be left. 0 is one; -1 is none: then the last PoP may go.
	Keep int

	Window time.Duration
	Lease  time.Duration // how long an answer counts
	Fresh  time.Duration // a report older than that says no longer how a PoP is
}

func (p Policy) withDefaults() Policy {
	p.Share = cmp.Or(p.Share, DefaultShare)
	p.Keep = max(0, cmp.Or(p.Keep, 1))
	p.Window = cmp.Or(p.Window, DefaultWindow)
	p.Lease = cmp.Or(p.Lease, DefaultLease)
	p.Fresh = cmp.Or(p.Fresh, DefaultFresh)
	return p
}

func (p *Policy) check() error {
	switch {
	case !(p.Share > 0 && p.Share <= 1):
		return fmt.Errorf("announce: guard: share: %v is not above 0 and up to 1", p.Share)
	case p.Count < 0:
		return fmt.Errorf("announce: guard: count: %d is negative", p.Count)
	case p.Window < 0 || p.Window > maxDuration:
		return fmt.Errorf("announce: guard: window: %v is not 0 to %v", p.Window, maxDuration)
	case p.Lease <= 0 || p.Lease > maxLease:
		return fmt.Errorf("announce: guard: lease: %v is not up to %v", p.Lease, maxLease)
	case p.Fresh <= 0:
		return errors.New("announce: guard: fresh: is not above 0")
	}
	return nil
}

// Limit is how many of n PoPs may be out.
func (p Policy) Limit(n int) int {
	p = p.withDefaults()
	limit := int(p.Share*float64(n) + 1e-9)
	if p.Count > 0 {
		limit = min(limit, p.Count)
	}
	if n >= 2 {
		limit = max(limit, 1)
	}
	return limit
}

// Guard decides on the control node who may withdraw. It remembers reports
// only: a new one first listens for Policy.Lease, after which permissions of
// the one before have ended and what came of them is reported. It is not safe
// for concurrent use.
type Guard struct {
	policy  Policy
	members map[edge.VIPID][]edge.PoPID
	began   time.Time
	now     time.Time
	pops    map[edge.PoPID]*popReport
}

type popReport struct {
	sent, received time.Time // by the PoP's clock, and by ours
	vips           map[edge.VIPID]*seat
}

// seat is a PoP among those of a VIP.
type seat struct {
	last      VIPReport
	granted   time.Time // a permission that may be in use; zero: none
	withdrawn time.Time // the last time, at the latest, by our clock
}

// NewGuard returns a guard over the PoPs of each VIP. Errors name the field of
// the policy.
func NewGuard(p Policy, members map[edge.VIPID][]edge.PoPID, now time.Time) (*Guard, error) {
	p = p.withDefaults()
	if err := p.check(); err != nil {
		return nil, err
	}
	return &Guard{policy: p, members: cloneMembers(members), began: now, now: now, pops: map[edge.PoPID]*popReport{}}, nil
}

// SetPolicy replaces the policy; what was reported stays. Errors are as of
// NewGuard, and the former policy stays then.
func (g *Guard) SetPolicy(p Policy) error {
	p = p.withDefaults()
	if err := p.check(); err != nil {
		return err
	}
	g.policy = p
	return nil
}

// SetMembers replaces who has which VIP; what was reported stays.
func (g *Guard) SetMembers(members map[edge.VIPID][]edge.PoPID) { g.members = cloneMembers(members) }

func cloneMembers(m map[edge.VIPID][]edge.PoPID) map[edge.VIPID][]edge.PoPID {
	c := make(map[edge.VIPID][]edge.PoPID, len(m))
	for id, pops := range m {
		c[id] = slices.Compact(slices.Sorted(slices.Values(pops)))
	}
	return c
}

// Report takes a PoP's report and answers what it asks for. The sender must be
// known to be r.PoP; a PoP that has no VIP here, and a report older than one
// that was taken, are disregarded.
func (g *Guard) Report(now time.Time, r Report) []Answer {
	if now.Before(g.now) {
		now = g.now
	}
	g.now = now
	if !g.isMember(r.PoP) {
		return nil
	}
	p := g.pops[r.PoP]
	if p == nil {
		p = &popReport{vips: map[edge.VIPID]*seat{}}
		g.pops[r.PoP] = p
	} else if !r.Sent.After(p.sent) && now.Sub(p.received) < 2*g.policy.Lease {
		return nil // delayed or repeated; a clock that was set back is believed after a while
	}
	p.sent, p.received = r.Sent, now
	heard := map[edge.VIPID]bool{}
	for _, v := range r.VIPs {
		if slices.Contains(g.members[v.VIP], r.PoP) && !heard[v.VIP] {
			heard[v.VIP] = true
			g.note(p, &r, v)
		}
	}
	var answers []Answer
	for _, v := range r.VIPs {
		if !heard[v.VIP] || !v.Asks {
			continue
		}
		heard[v.VIP] = false
		ok, why := g.decide(v.VIP, r.PoP)
		if ok || g.listening() > 0 { // the guard before us may have said yes
			p.vips[v.VIP].granted = now
		}
		answers = append(answers, Answer{VIP: v.VIP, Asked: r.Sent, OK: ok, For: g.policy.Lease, Why: why})
	}
	return answers
}

func (g *Guard) isMember(pop edge.PoPID) bool {
	for _, pops := range g.members {
		if slices.Contains(pops, pop) {
			return true
		}
	}
	return false
}

func (g *Guard) note(p *popReport, r *Report, v VIPReport) {
	s := p.vips[v.VIP]
	if s == nil {
		s = &seat{}
		p.vips[v.VIP] = s
	}
	v.Why = cut(v.Why)
	s.last = v
	if !v.Withdrawn.IsZero() {
		// Received later than sent: the time is at the latest the true one.
		if at := g.now.Add(-max(0, r.Sent.Sub(v.Withdrawn))); at.After(s.withdrawn) {
			s.withdrawn = at
		}
	}
	if s.granted.IsZero() || v.Asks {
		return
	}
	if began := g.now.Add(-max(0, r.Sent.Sub(r.Began))); began.After(s.granted) {
		s.withdrawn = g.now // the PoP has lost its memory: it may have withdrawn
	}
	s.granted = time.Time{} // used, which it tells, or given up
}

// Standing is how a PoP counts for a VIP.
type Standing struct {
	PoP     edge.PoPID
	Counts  bool // against the limit
	Healthy bool // announces, and finds nothing wrong
	Why     string
}

// Limit returns how many of a VIP's PoPs may be out.
func (g *Guard) Limit(vip edge.VIPID) int { return g.policy.Limit(len(g.members[vip])) }

// Standings returns how the PoPs of a VIP count at now, sorted by PoP.
func (g *Guard) Standings(now time.Time, vip edge.VIPID) []Standing {
	var all []Standing
	for _, pop := range g.members[vip] {
		all = append(all, g.standing(now, vip, pop))
	}
	return all
}

func (g *Guard) standing(now time.Time, vip edge.VIPID, pop edge.PoPID) Standing {
	st := Standing{PoP: pop}
	p := g.pops[pop]
	if p == nil || p.vips[vip] == nil {
		st.Counts, st.Why = true, "not heard of"
		return st
	}
	s := p.vips[vip]
	fresh := now.Sub(p.received) <= g.policy.Fresh
	st.Healthy = fresh && s.last.Announced && !s.last.Degraded && !s.last.Asks && !s.last.Drained
	switch {
	case s.last.Out:
		st.Counts, st.Why = true, "withdrawn"
	case !s.granted.IsZero():
		st.Counts, st.Why = true, "may withdraw"
	case !s.withdrawn.IsZero() && now.Sub(s.withdrawn) < g.policy.Window:
		st.Counts, st.Why = true, fmt.Sprintf("withdrawn within the last %v", g.policy.Window)
	case !fresh:
		st.Why = "silent"
	case s.last.Drained:
		st.Why = "drained"
	case s.last.Asks, s.last.Degraded:
		st.Why = "failing"
	case !s.last.Announced:
		st.Why = "not announced"
	default:
		st.Why = "healthy"
	}
	return st
}

// listening is for how long the guard does not know enough yet.
func (g *Guard) listening() time.Duration { return g.began.Add(g.policy.Lease).Sub(g.now) }

func (g *Guard) decide(vip edge.VIPID, pop edge.PoPID) (ok bool, why string) {
	if wait := g.listening(); wait > 0 {
		return false, fmt.Sprintf("the control node has just started and listens for another %v", wait.Round(time.Second))
	}
	n := len(g.members[vip])
	limit := g.policy.Limit(n)
	var counted, failing []string
	var healthy, others int
	for _, st := range g.Standings(g.now, vip) {
		if st.Healthy {
			healthy++
		}
		if st.PoP == pop {
			continue
		}
		if st.Counts {
			others++
			counted = append(counted, fmt.Sprintf("%s (%s)", st.PoP, st.Why))
		}
		if p := g.pops[st.PoP]; p != nil && p.vips[vip] != nil && (p.vips[vip].last.Asks || p.vips[vip].last.Out) {
			failing = append(failing, string(st.PoP))
		}
	}
	shared := ""
	if 2*(len(failing)+1) > n && n > 1 {
		shared = fmt.Sprintf("; %d of %d PoPs fail at once, which looks like a shared cause", len(failing)+1, n)
	}
	switch {
	case healthy < g.policy.Keep:
		return false, fmt.Sprintf("%d of %d PoPs of %s are announced and healthy, %d must be left%s", healthy, n, vip, g.policy.Keep, shared)
	case others+1 > limit && len(counted) == 0:
		return false, fmt.Sprintf("%d of %d PoPs of %s may be out%s", limit, n, vip, shared)
	case others+1 > limit:
		return false, fmt.Sprintf("%d of %d PoPs of %s may be out, and there are already %s%s", limit, n, vip, strings.Join(counted, ", "), shared)
	}
	return true, fmt.Sprintf("%d of %d PoPs of %s may be out, this is number %d", limit, n, vip, others+1)
}

// Heard returns the PoPs that have reported since the guard began, sorted.
func (g *Guard) Heard() []edge.PoPID { return slices.Sorted(maps.Keys(g.pops)) }
