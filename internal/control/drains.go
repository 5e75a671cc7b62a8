package control

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"catchment/internal/edge"
)

// maxGrace bounds how long connections may be given to finish, as the fleet
// file does.
const maxGrace = 168 * time.Hour

func makeDrain(q *request, former json.RawMessage) (any, *apiError) {
	var b struct {
		*common
		ending
		Grace duration `json:"grace"`
	}
	b.common = &q.common
	if err := q.body(&b); err != nil {
		return nil, err
	}
	if g := time.Duration(b.Grace); g < 0 || g > maxGrace {
		return nil, refuse(http.StatusBadRequest, "grace", "%v is not 0s to %v", g, maxGrace)
	}
	d := edge.Drain{Since: q.now}
	if former != nil {
		_ = json.Unmarshal(former, &d) // load has decoded it; for Since
	}
	d.PoP, d.By, d.Why, d.Grace = edge.PoPID(q.id), q.who, q.Why, time.Duration(b.Grace)
	var err *apiError
	d.Until, err = b.at(q.now)
	return d, err
}

// checkDrain refuses a drain after which nobody would be left to serve
// something that somebody serves now, or after which the others would have
// more to serve than they can.
func (c *Control) checkDrain(next *edge.Snapshot, q *request) *apiError {
	now := c.candidate(c.fleet, c.state, q.now)
	for _, group := range groups(c.fleet) {
		if can(now, group.pops) && !can(next, group.pops) {
			return refuse(http.StatusConflict, "pop", "%s would be left without a PoP that is up and not drained; say \"force\": true if that is meant", group.name)
		}
	}
	pop := edge.PoPID(q.id)
	if drained(now, pop) {
		return nil // what it left is no worse than before
	}
	for _, group := range groups(c.fleet) {
		if !slices.Contains(group.pops, pop) {
			continue
		}
		if why := c.lacks(group.pops, next, pop, q.now); why != "" {
			return refuse(http.StatusConflict, "pop", "%s would lack capacity: %s; say \"force\": true if that is meant", group.name, why)
		}
	}
	return nil
}

func drained(s *edge.Snapshot, pop edge.PoPID) bool {
	return slices.ContainsFunc(s.Drains, func(d edge.Drain) bool { return d.PoP == pop })
}

// lacks says by how much what is left of some PoPs is too small for all of
// their load once one is drained; empty if it is not, or if a capacity is not
// known. PoPs whose load is not known are taken to be as full as the others of
// the fleet; if nothing is known of any, the one to be drained is taken to be
// full and the others to be empty. Users of PoPs that are drained already may
// still be there.
func (c *Control) lacks(pops []edge.PoPID, next *edge.Snapshot, pop edge.PoPID, now time.Time) string {
	own, others := 1.0, 0.0 // how full PoPs are that do not tell
	if share, known := c.fullness(now); known {
		own, others = share, share
	}
	var leaving, staying, room float64
	var names, rest []string
	guessed := ""
	for _, id := range pops {
		p, ok := c.fleet.PoP(id)
		if !ok {
			continue
		}
		load, told := c.health.load(id, now)
		switch {
		case drained(next, id) && !told && (id != pop || c.health.of(id).State == edge.Down):
			// nobody there any more, as far as one knows
		case drained(next, id):
			if !told {
				if p.Capacity == 0 {
					return ""
				}
				load, guessed = p.Capacity*own, ", its own not being told"
			}
			leaving += load
			names = append(names, string(id))
		case c.health.of(id).State == edge.Down:
		case p.Capacity == 0:
			return ""
		default:
			if !told {
				load = p.Capacity * others
			}
			staying += load
			room += p.Capacity * cmp.Or(c.health.of(id).Share, 1)
			rest = append(rest, string(id))
		}
	}
	if len(rest) == 0 || leaving+staying <= room {
		return ""
	}
	return fmt.Sprintf("%.0f requests/s of %s%s, on top of the %.0f of %s, exceed their capacity of %.0f",
		leaving, strings.Join(names, ", "), guessed, staying, strings.Join(rest, ", "), room)
}

// fullness is the load of the PoPs that tell theirs, as a share of their
// capacity. The caller holds mu.
func (c *Control) fullness(now time.Time) (share float64, known bool) {
	var load, capacity float64
	for i := range c.fleet.PoPs {
		p := &c.fleet.PoPs[i]
		if l, ok := c.health.load(p.ID, now); ok && p.Capacity > 0 {
			load += l
			capacity += p.Capacity
		}
	}
	if capacity == 0 {
		return 0, false
	}
	return load / capacity, true
}
