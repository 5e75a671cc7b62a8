package control

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"catchment/internal/edge"
	"catchment/internal/steer"
)

// candidate is what a snapshot would say, but for its version and what was
// measured. Objects that have ended, and those about what is not in the fleet
// (any more), are left out. The caller holds mu.
func (c *Control) candidate(f *edge.Fleet, s *state, now time.Time) *edge.Snapshot {
	snap := &edge.Snapshot{Made: now.UTC().Round(0), Places: c.cfg.Places.Version(), Fleet: f, Health: c.health.list()}
	pop := func(id edge.PoPID) bool { _, ok := f.PoP(id); return ok }
	service := func(name string) bool {
		return slices.ContainsFunc(f.Services, func(s edge.Service) bool { return s.Name == name })
	}
	ended := func(until time.Time) bool { return !until.IsZero() && !now.Before(until) }

	for _, p := range all[edge.Policy](s, policies) {
		snap.Policy = p
	}
	snap.Drains = keep(all[edge.Drain](s, drains), func(d edge.Drain) bool { return pop(d.PoP) && !ended(d.Until) })
	snap.Drains = append(snap.Drains, c.guardian.returning(now, c.cfg.Stale, snap.Drains)...)
	snap.Sheds = keep(all[edge.Shed](s, sheds), func(d edge.Shed) bool { return pop(d.PoP) })
	for _, auto := range all[edge.Shed](s, autoSheds) {
		byHand := slices.ContainsFunc(snap.Sheds, func(d edge.Shed) bool { return d.PoP == auto.PoP })
		if pop(auto.PoP) && !byHand {
			snap.Sheds = append(snap.Sheds, auto)
		}
	}
	snap.Ramps = keep(all[edge.Ramp](s, ramps), func(r edge.Ramp) bool { return service(r.Service) })
	snap.Pins = keep(all[edge.Pin](s, pins), func(p edge.Pin) bool {
		return !ended(p.Until) && (p.Service == "" || service(p.Service)) && (p.PoP == "" || pop(p.PoP))
	})
	snap.Weights = keep(all[edge.Weight](s, weights), func(w edge.Weight) bool { return service(w.Service) && pop(w.PoP) })
	snap.Announcements = exceptions(f, all[edge.Announcement](s, announcements))
	snap.Challenges = keep(all[edge.Challenge](s, challenges), func(x edge.Challenge) bool {
		return !ended(x.Until) && under(x.Name, f.Zone)
	})
	return snap
}

// removeEnded removes the objects whose end has come from the state, with an
// entry in the audit trail. The caller holds mu.
func (c *Control) removeEnded(now time.Time) {
	before := c.state
	for _, k := range []kind{drains, pins, challenges} {
		for _, o := range before.objects[k] {
			var x struct {
				Until time.Time `json:"until"`
			}
			if err := json.Unmarshal(o.Value, &x); err != nil || x.Until.IsZero() || now.Before(x.Until) {
				continue
			}
			next, err := c.db.apply(c.state, change{kind: k, id: o.ID, who: "control", why: "its end has come"}, now)
			if err != nil {
				c.log.Error("what has ended stays in the state", "kind", string(k), "id", o.ID, "error", err)
				return // it is left out of the snapshot all the same
			}
			c.state = next
			c.log.Info("ended", "kind", string(k), "id", o.ID)
		}
	}
	c.metrics.audit.Set(float64(c.state.audited))
}

func keep[T any](list []T, good func(T) bool) []T {
	list = slices.DeleteFunc(list, func(v T) bool { return !good(v) })
	if len(list) == 0 {
		return nil
	}
	return list
}

// under reports whether name is zone or below it.
func under(name, zone string) bool { return name == zone || strings.HasSuffix(name, "."+zone) }

// settling returns the PoPs whose answers are kept short since their health
// has just changed, as package steer has it, and when the first of them has
// settled.
func settling(s *edge.Snapshot) (names []string, until time.Time) {
	settle := cmp.Or(s.Policy.Settle, steer.DefaultSettle)
	for _, h := range s.Health {
		if end := h.Since.Add(settle); !h.Since.IsZero() && s.Made.Before(end) {
			names = append(names, string(h.PoP))
			until = earlier(until, end)
		}
	}
	return names, until
}

// dueAfter returns when time alone makes a snapshot say something else.
func dueAfter(s *edge.Snapshot) time.Time {
	_, due := settling(s)
	for _, d := range s.Drains {
		due = earlier(due, d.Until)
	}
	for _, p := range s.Pins {
		due = earlier(due, p.Until)
	}
	for _, x := range s.Challenges {
		due = earlier(due, x.Until)
	}
	return due
}

// earlier returns the earlier of two times, of which a zero one is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
