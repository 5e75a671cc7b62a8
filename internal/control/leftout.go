package control

import (
	"fmt"
	"slices"
	"time"

	"catchment/internal/announce"
	"catchment/internal/edge"
	"catchment/internal/steer"
	"catchment/internal/tokens"
)

const (
	// quietAfter is for how long a name server may not have been heard of until
	// it counts as silent: it asks every 30 s, and tries again within 30 s.
	quietAfter = 90 * time.Second
	// goneAfter is how long a silent name server is waited for. It may go on
	// answering by an old snapshot, which never expires there; after a day it is
	// rather one that is no more.
	goneAfter = 24 * time.Hour
)

// steered is whether snapshots leave a PoP out, and since which version they
// say so.
type steered struct {
	out     bool
	version uint64
}

// noteDrains notes since which version PoPs are left out, or are not. After a
// leap nobody has it yet. Only publish calls it, before anybody sees the
// snapshot.
func (g *guardian) noteDrains(s *edge.Snapshot, leapt bool) {
	out := map[edge.PoPID]bool{}
	for _, d := range s.Drains {
		out[d.PoP] = steer.LeavesOut(s, d.PoP)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	next := map[edge.PoPID]steered{}
	for i := range s.Fleet.PoPs {
		id := s.Fleet.PoPs[i].ID
		now, known := g.steer[id]
		if !known || leapt || now.out != out[id] {
			now = steered{out[id], s.Version}
		}
		next[id] = now
	}
	g.steer = next
}

// dnsSeen returns whether snapshots leave a PoP out, and which name servers do
// not follow that yet; nil before the first snapshot.
func (c *Control) dnsSeen(id edge.PoPID, now time.Time) *announce.DNSSeen {
	g := c.guardian
	g.mu.Lock()
	s, ok := g.steer[id]
	g.mu.Unlock()
	if !ok {
		return nil
	}
	return &announce.DNSSeen{Out: s.out, Waiting: c.behind(s.version, now)}
}

// behind returns the name servers that may still answer by a snapshot before a
// version, sorted. Those that have never been heard of are among them until
// they had the time to ask.
func (c *Control) behind(version uint64, now time.Time) []string {
	var names []string
	heard := map[string]bool{}
	for who, s := range c.followers.list() {
		if who.role != tokens.DNS {
			continue
		}
		heard[who.id] = true
		switch silent := now.Sub(s.at); {
		case s.applied >= version || silent > goneAfter:
		case silent > quietAfter:
			names = append(names, fmt.Sprintf("%s (silent for %v)", who.id, silent.Truncate(time.Second)))
		default:
			names = append(names, who.id)
		}
	}
	if now.Sub(c.began) < quietAfter {
		for _, id := range c.cfg.Tokens.IDs(tokens.DNS) {
			if !heard[id] {
				names = append(names, id+" (not heard of since the control node has started)")
			}
		}
	}
	slices.Sort(names)
	return names
}
