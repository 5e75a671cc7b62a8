package control

import (
	"slices"
	"strings"
	"time"

	"catchment/internal/announce"
	"catchment/internal/edge"
)

// returning are the PoPs that are on their way back from a drain which
// operators want no more, as drains for name servers: users who come to a VIP
// before its routes are back would be torn away when they are. They end when
// the PoP says that it is for name servers to go on, or falls silent.
func (g *guardian) returning(now time.Time, stale time.Duration, wanted []edge.Drain) (all []edge.Drain) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, t := range g.pops {
		ordered := slices.ContainsFunc(wanted, func(d edge.Drain) bool { return d.PoP == id })
		if ordered || now.Sub(t.at) > stale || !away(t.Drain) {
			continue
		}
		all = append(all, edge.Drain{PoP: id, By: "control", Why: "on its way back", Ending: true})
	}
	slices.SortFunc(all, func(a, b edge.Drain) int { return strings.Compare(string(a.PoP), string(b.PoP)) })
	return all
}

// away reports whether name servers should leave a PoP out for the sake of a
// drain. Of one that was ordered at the PoP they know nothing.
func away(p *announce.Progress) bool {
	return p != nil && !p.Local && p.Phase != "" && p.Phase != announce.DNSIn
}

// isAway is away of the last status.
func (g *guardian) isAway(id edge.PoPID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.pops[id]
	return t != nil && away(t.Drain)
}

// silentOnTheWay reports whether a PoP that the snapshot has on its way back
// has not been heard of for too long.
func (c *Control) silentOnTheWay(s *edge.Snapshot, now time.Time) bool {
	back := c.guardian.returning(now, c.cfg.Stale, nil)
	return slices.ContainsFunc(s.Drains, func(d edge.Drain) bool {
		return d.Ending && !slices.ContainsFunc(back, func(b edge.Drain) bool { return b.PoP == d.PoP })
	})
}
