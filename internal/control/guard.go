package control

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"catchment/internal/announce"
	"catchment/internal/edge"
)

// guardian is what the control node knows of what PoPs announce, and who of
// them may withdraw. Its lock is never held over I/O, so that a PoP that asks
// does not wait for the disk.
type guardian struct {
	log     *slog.Logger
	metrics *metrics

	mu    sync.Mutex
	fleet *edge.Fleet                    // guarded by mu; immutable
	guard *announce.Guard                // guarded by mu
	pops  map[edge.PoPID]*told           // guarded by mu; those of the fleet
	steer map[edge.PoPID]steered         // guarded by mu: what the snapshot says
	skips map[edge.PoPID]announce.Skip   // guarded by mu: until the PoP is in another phase
	said  map[edge.PoPID]map[string]bool // guarded by mu: what was answered last, by VIP, while it asks
}

// told is what a PoP said last.
type told struct {
	announce.Status
	at time.Time
}

// newGuardian returns one whose guard has heard nothing yet.
func newGuardian(f *edge.Fleet, log *slog.Logger, m *metrics, now time.Time) (*guardian, error) {
	guard, err := announce.NewGuard(policyOf(f), f.Announcers(), now)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	return &guardian{
		log: log, metrics: m, fleet: f, guard: guard, pops: map[edge.PoPID]*told{}, steer: map[edge.PoPID]steered{},
		skips: map[edge.PoPID]announce.Skip{}, said: map[edge.PoPID]map[string]bool{},
	}, nil
}

// setFleet replaces the fleet; what was reported stays.
func (g *guardian) setFleet(f *edge.Fleet) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.guard.SetPolicy(policyOf(f)); err != nil {
		return fmt.Errorf("control: %w", err)
	}
	g.guard.SetMembers(f.Announcers())
	g.fleet = f
	for id := range g.pops {
		if _, ok := f.PoP(id); !ok {
			delete(g.pops, id)
			delete(g.skips, id)
			delete(g.said, id)
		}
	}
	return nil
}

// policyOf is the guard's policy as the fleet file has it.
func policyOf(f *edge.Fleet) announce.Policy {
	x := &f.Announce.Guard
	p := announce.Policy{Share: x.Share, Count: x.Count, Window: x.Window}
	if x.Window == edge.NoTime {
		p.Window = 1 // of nanoseconds: 0 stands for the default
	}
	if x.Keep != nil {
		if p.Keep = *x.Keep; p.Keep == 0 {
			p.Keep = -1
		}
	}
	return p
}

// take notes a PoP's status, and returns the guard's answers and what is to be
// skipped. Snap is what was published last: where an operator wants a VIP to
// be gone, the PoP is none that users can be left to, even if it does not know
// yet. ok is false if the PoP is not in the fleet.
func (g *guardian) take(s *announce.Status, snap *edge.Snapshot, now time.Time) (reply announce.Reply, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	id := s.Report.PoP
	if _, ok := g.fleet.PoP(id); !ok {
		return reply, false
	}
	report := s.Report
	report.VIPs = slices.Clone(report.VIPs)
	for i := range report.VIPs {
		v := &report.VIPs[i]
		v.Drained = v.Drained || unwanted(snap, id, v.VIP)
	}
	reply.Answers = g.guard.Report(now, report)
	g.pops[id] = &told{*s, now}
	g.note(id, &report, reply.Answers)
	if skip, ok := g.skips[id]; ok {
		if phaseOf(s) == skip.Phase {
			reply.Skip = &skip
		} else {
			delete(g.skips, id)
		}
	}
	return reply, true
}

// unwanted reports whether an operator wants a VIP to be gone from a PoP.
func unwanted(s *edge.Snapshot, pop edge.PoPID, vip edge.VIPID) bool {
	return s != nil &&
		(slices.ContainsFunc(s.Drains, func(d edge.Drain) bool { return d.PoP == pop }) ||
			slices.ContainsFunc(s.Announcements, func(a edge.Announcement) bool {
				return a.PoP == pop && slices.Contains(a.Withdraw, vip)
			}))
}

func phaseOf(s *announce.Status) announce.Phase {
	if s.Drain == nil {
		return ""
	}
	return s.Drain.Phase
}

// note counts answers, and logs those that differ from the one before. The
// caller holds mu.
func (g *guardian) note(id edge.PoPID, r *announce.Report, answers []announce.Answer) {
	said := g.said[id]
	now := map[string]bool{}
	for _, a := range answers {
		vip := string(a.VIP)
		now[vip] = a.OK
		g.metrics.answers.WithLabelValues(vip, answerText(a.OK)).Inc()
		if before, asked := said[vip]; asked && before == a.OK {
			continue
		}
		if a.OK {
			g.log.Warn("a PoP may withdraw a VIP", "pop", string(id), "vip", vip, "why", a.Why)
		} else {
			g.log.Error("a PoP may not withdraw a VIP", "pop", string(id), "vip", vip, "why", a.Why)
		}
	}
	if len(answers) == 0 && asks(r) {
		return // a repeated report
	}
	g.said[id] = now
}

func asks(r *announce.Report) bool {
	return slices.ContainsFunc(r.VIPs, func(v announce.VIPReport) bool { return v.Asks })
}

func answerText(ok bool) string {
	if ok {
		return "granted"
	}
	return "refused"
}

// of returns what a PoP said last, nil if nothing.
func (g *guardian) of(id edge.PoPID) *told {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pops[id] // replaced whole, never changed
}

// standings returns how PoPs count for each VIP, and how many may be out.
func (g *guardian) standings(vip edge.VIPID, now time.Time) (all []announce.Standing, limit int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.guard.Standings(now, vip), g.guard.Limit(vip)
}
