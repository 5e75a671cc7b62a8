package sim

import (
	"cmp"
	"math"
	"slices"

	"catchment/internal/edge"
	"catchment/internal/sim/route"
	"catchment/internal/sim/topology"
)

// Engine names what predicted a figure.
type Engine string

// ByTopology is the walk over the AS graph, pinned to nothing that was
// measured.
const ByTopology Engine = "topology"

// Change is what edits do to the catchments of one VIP. RTTs are over the path
// to the VIP, ms, without the last mile.
type Change struct {
	VIP   edge.VIPID
	Edits []Edit

	Users float64 // of the VIP: all of them for the global one
	Moved float64 // of those, who change the PoP
	Lost  float64 // of the moved, who reach none any more

	Moves      []Move // most users first
	All        Shift
	MovedShift Shift
	PoPs       []PoPChange
	Places     []PlaceChange // countries, most users first
	Causes     []Cause       // who loses their PoP for none first, then by users × ms, lost or won
}

// Move is the users who go from one PoP to another; an empty id is no PoP.
type Move struct {
	From, To edge.PoPID
	Users    float64
	Shift    Shift
	Engine   Engine
}

// Shift is the RTT before and after, and quantiles of the difference per user,
// over users who reach a PoP before and after; NaN where there are none.
type Shift struct {
	BeforeP50, BeforeP90 float64
	AfterP50, AfterP90   float64
	P50, P90             float64
}

// NoShift returns the Shift of nobody.
func NoShift() Shift { return (&shifts{}).shift() }

// PoPChange is what the VIP brings to one PoP.
type PoPChange struct {
	PoP           edge.PoPID
	Before, After float64 // users
	Rate          float64 // requests/s after; NaN: not known
	Capacity      float64 // requests/s; 0: not known
}

// Over reports whether the load after is more than the PoP's capacity.
func (p *PoPChange) Over() bool { return p.Capacity > 0 && p.Rate > p.Capacity }

// PlaceChange is what becomes of the users of one country. From and To are the
// PoPs between which most of those who move do; an empty id is no PoP.
type PlaceChange struct {
	Country      string
	Users, Moved float64
	From, To     edge.PoPID
	Shift        float64 // ms, mean over those who move and reach a PoP before and after; NaN: nobody
}

// Cause is a network whose decision changed, and what came of it. Before and
// After are the AS paths of the part of its users with most at stake, who are
// in Metro.
type Cause struct {
	ASN           uint32
	Name          string
	From, To      edge.PoPID // the same: another way to the same PoP
	Users         float64
	Lost          float64 // users × ms; negative: won
	Metro         string
	Before, After []uint32 // AS paths, from the users' network to the fleet's neighbor
	Why           string
	Engine        Engine
}

// leastShift is the change of an RTT, in ms, that is told of users who stay.
const leastShift = 1

// WhatIf computes what edits do to a VIP. rate is the requests/s of one user,
// 0 when not known.
func (w *World) WhatIf(vip edge.VIPID, edits []Edit, rate float64) (*Change, error) {
	sessions, err := w.Sessions(vip)
	if err != nil {
		return nil, err
	}
	p, err := w.plan(vip, edits)
	if err != nil {
		return nil, err
	}
	before := w.Network.Announce(sessions)
	was := w.land(before)
	after := before.Change(p.sessions(), p.cuts...)
	is := p.w.land(after)

	d := &diff{plan: p, before: before, after: after, was: before.Sessions(), is: after.Sessions(), causes: map[causeKey]*tally{}}
	users := w.usersOf(vip)
	c := &Change{VIP: vip, Edits: edits}
	n := len(p.w.Fleet.PoPs) // also the index of no PoP
	at := func(pop int32) int {
		if pop < 0 {
			return n
		}
		return int(pop)
	}
	type pair struct{ from, to int }
	moves := map[pair]*shifts{}
	var all, moved shifts
	load := make([][2]float64, n+1)
	places := placeChanges{}
	for g, users := range users {
		if users == 0 {
			continue
		}
		from, to := at(was.pop[g]), at(is.pop[g])
		rtt, next := float64(was.rtt[g]), float64(is.rtt[g])
		c.Users += users
		load[from][0] += users
		load[to][1] += users
		all.add(rtt, next, users)
		places.add(w.Topology.Cities[w.Topology.Groups[g].Metro].Place.Country, from, to, rtt, next, users)
		if from != to {
			c.Moved += users
			if to == n {
				c.Lost += users
			}
			moved.add(rtt, next, users)
			if moves[pair{from, to}] == nil {
				moves[pair{from, to}] = &shifts{}
			}
			moves[pair{from, to}].add(rtt, next, users)
		}
		if from != to || math.Abs(next-rtt) >= leastShift {
			d.blame(g, from, to, users, next-rtt)
		}
	}
	c.All, c.MovedShift = all.shift(), moved.shift()
	id := func(pop int) edge.PoPID {
		if pop == n {
			return ""
		}
		return p.w.Fleet.PoPs[pop].ID
	}
	for from := range n + 1 {
		for to := range n + 1 {
			if m := moves[pair{from, to}]; m != nil {
				c.Moves = append(c.Moves, Move{id(from), id(to), m.users, m.shift(), ByTopology})
			}
		}
	}
	slices.SortStableFunc(c.Moves, func(a, b Move) int { return cmp.Compare(b.Users, a.Users) })
	for i := range n {
		pop := PoPChange{PoP: id(i), Before: load[i][0], After: load[i][1], Rate: math.NaN(), Capacity: p.w.Fleet.PoPs[i].Capacity}
		if rate > 0 {
			pop.Rate = rate * pop.After
		}
		c.PoPs = append(c.PoPs, pop)
	}
	c.Places = places.told(id)
	c.Causes = d.told(id)
	return c, nil
}

// usersOf returns how many users of each group DNS leads to a VIP: for a
// region's those who seem to be there, for any other all of them.
func (w *World) usersOf(vip edge.VIPID) []float64 {
	users := make([]float64, len(w.Topology.Groups))
	regional := vip != GlobalVIP && slices.ContainsFunc(w.Fleet.Regions, func(r edge.Region) bool { return r.VIP == vip })
	var askers []Located
	for g := range users {
		n := float64(w.Topology.Groups[g].Users)
		if !regional {
			users[g] = n
			continue
		}
		askers = w.People.Located(askers, g)
		for _, a := range askers {
			if w.steer(edge.Regional, a.At).VIP == vip {
				users[g] += n * a.Share
			}
		}
	}
	return users
}

// shifts add up a Shift.
type shifts struct {
	users                float64
	before, after, delta weighted
}

func (s *shifts) add(before, after, users float64) {
	s.users += users
	if math.IsInf(before, 1) || math.IsInf(after, 1) {
		return
	}
	s.before.add(before, users)
	s.after.add(after, users)
	s.delta.add(after-before, users)
}

func (s *shifts) shift() Shift {
	return Shift{
		s.before.quantile(0.5), s.before.quantile(0.9), s.after.quantile(0.5), s.after.quantile(0.9),
		s.delta.quantile(0.5), s.delta.quantile(0.9),
	}
}

// diff finds who is responsible for what changed.
type diff struct {
	*plan
	before, after *route.Catchment
	was, is       []route.Session
	causes        map[causeKey]*tally
}

// causeKey is one decision that changed: of which AS, and between which PoPs.
type causeKey struct {
	as       topology.AS
	from, to int
}

type tally struct {
	users, lost float64
	group       int     // with most at stake
	stake       float64 // users × ms there
}

// blame adds the users of a group to the AS whose decision is the first on
// their way that differs.
func (d *diff) blame(group, from, to int, users, ms float64) {
	g := &d.w.Topology.Groups[group]
	a, b := d.before.Walk(g.AS, g.Metro), d.after.Walk(g.AS, g.Metro)
	i := diverge(a, b, d.was, d.is)
	if i < 0 {
		return // rounding
	}
	k := causeKey{a[i].AS, from, to}
	t := d.causes[k]
	if t == nil {
		t = &tally{group: group, stake: -1}
		d.causes[k] = t
	}
	t.users += users
	stake := users
	if !math.IsInf(ms, 0) {
		t.lost += users * ms
		stake *= math.Abs(ms)
	}
	if stake > t.stake {
		t.group, t.stake = group, stake
	}
}

// diverge returns the first hop at which two walks from the same place differ,
// or -1. Each has its sessions.
func diverge(a, b []route.Hop, sa, sb []route.Session) int {
	for i := range min(len(a), len(b)) {
		x, y := &a[i], &b[i]
		if x.Next != y.Next || x.Out != y.Out || popOf(x.Session, sa) != popOf(y.Session, sb) {
			return i
		}
	}
	return -1
}

// popOf returns the PoP of a session, or -1.
func popOf(session int, of []route.Session) int {
	if session < 0 {
		return -1
	}
	return of[session].PoP
}

// told puts the causes into words, in order.
func (d *diff) told(id func(int) edge.PoPID) []Cause {
	t := d.w.Topology
	none := len(d.w.Fleet.PoPs)
	keys := make([]causeKey, 0, len(d.causes))
	for k := range d.causes {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b causeKey) int {
		x, y := d.causes[a], d.causes[b]
		strands := func(k causeKey, t *tally) float64 {
			if k.to == none {
				return t.users
			}
			return 0
		}
		return cmp.Or(
			cmp.Compare(strands(b, y), strands(a, x)), cmp.Compare(math.Abs(y.lost), math.Abs(x.lost)), cmp.Compare(y.users, x.users),
			cmp.Compare(a.as, b.as), cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	causes := make([]Cause, 0, len(keys))
	for _, k := range keys {
		x := d.causes[k]
		g := &t.Groups[x.group]
		a, b := d.before.Walk(g.AS, g.Metro), d.after.Walk(g.AS, g.Metro)
		i := diverge(a, b, d.was, d.is)
		causes = append(causes, Cause{
			ASN: t.ASNs[k.as], Name: t.Names[k.as], From: id(k.from), To: id(k.to), Users: x.users, Lost: x.lost,
			Metro: t.Cities[g.Metro].Name, Before: d.w.path(a), After: d.w.path(b), Why: d.why(a, b, i), Engine: ByTopology,
		})
	}
	return causes
}

// path returns the AS numbers of a walk; empty where there is no route.
func (w *World) path(hops []route.Hop) []uint32 {
	if hops[len(hops)-1].Session < 0 {
		return nil
	}
	path := make([]uint32, len(hops))
	for i, h := range hops {
		path[i] = w.Topology.ASNs[h.AS]
	}
	return path
}
