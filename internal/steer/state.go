package steer

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"catchment/internal/edge"
)

// What Policy stands for where it is zero.
const (
	DefaultMinSamples = 20 // probes, as reports have it
	DefaultMinTTL     = 5 * time.Second
	DefaultSettle     = 5 * time.Minute
)

// fleetState is who can serve.
type fleetState struct {
	pops    []popState // largest capacity first, then by id: what decides between equals
	byID    map[edge.PoPID]int
	regions []regionState // by id

	opened      string // why health or drains are disregarded; empty: they are not
	changing    string // PoPs whose health has just changed; empty: none
	anyUnicast  bool   // some PoP has an address of its own
	openUnicast bool   // those that have are all out, so that all of them count
}

type popState struct {
	edge.PoP
	health  edge.Health
	drain   *edge.Drain // in effect
	shed    *edge.Shed  // nil: none
	down    bool        // in effect
	regions []int       // that it is in
}

func (p *popState) out() bool { return p.drain != nil || p.down }

type regionState struct {
	*edge.Region
	vip   *edge.VIP
	alive bool // some PoP of it can serve
}

func newFleetState(s *edge.Snapshot) *fleetState {
	f := &fleetState{byID: map[edge.PoPID]int{}}
	for _, p := range s.Fleet.PoPs {
		f.pops = append(f.pops, popState{PoP: p, health: edge.Health{PoP: p.ID, State: edge.Unknown}})
	}
	slices.SortFunc(f.pops, func(a, b popState) int {
		return cmp.Or(cmp.Compare(b.Capacity, a.Capacity), strings.Compare(string(a.ID), string(b.ID)))
	})
	for i := range f.pops {
		f.byID[f.pops[i].ID] = i
		f.anyUnicast = f.anyUnicast || len(f.pops[i].Unicast) > 0
	}
	for i := range s.Drains {
		f.pops[f.byID[s.Drains[i].PoP]].drain = &s.Drains[i]
	}
	for i := range s.Sheds {
		if mark(s.Sheds[i].Share) > 0 {
			f.pops[f.byID[s.Sheds[i].PoP]].shed = &s.Sheds[i]
		}
	}
	for _, h := range s.Health {
		if i, ok := f.byID[h.PoP]; ok {
			f.pops[i].health = h
			f.pops[i].down = h.State == edge.Down
		}
	}
	f.findChanging(s)
	f.failOpen(s.Policy.HealthyFloor)
	f.addRegions(s.Fleet)
	f.openUnicast = !slices.ContainsFunc(f.pops, func(p popState) bool { return len(p.Unicast) > 0 && !p.out() })
	return f
}

// LeavesOut reports whether answers leave a drained PoP out, as they do unless
// there would be nobody left. The snapshot is one that compiles.
func LeavesOut(s *edge.Snapshot, pop edge.PoPID) bool {
	f := newFleetState(s)
	i, ok := f.byID[pop]
	return ok && f.pops[i].drain != nil && !(f.openUnicast && len(f.pops[i].Unicast) > 0)
}

// failOpen disregards drains when they would leave nobody, and health when too
// few of the others are well: then it is rather the checks that are broken,
// and a possibly bad answer beats none. The share is of capacity where all
// have one, else of PoPs.
func (f *fleetState) failOpen(floor float64) {
	drained := func(p popState) bool { return p.drain != nil }
	if !slices.ContainsFunc(f.pops, func(p popState) bool { return !drained(p) }) {
		f.opened = "every PoP is drained: answering as if none were"
		for i := range f.pops {
			f.pops[i].drain = nil
		}
	}
	weigh := func(p *popState) float64 { return p.Capacity }
	if slices.ContainsFunc(f.pops, func(p popState) bool { return !drained(p) && p.Capacity <= 0 }) {
		weigh = func(*popState) float64 { return 1 }
	}
	var all, well float64
	up := 0
	for i := range f.pops {
		p := &f.pops[i]
		if p.drain != nil {
			continue
		}
		all += weigh(p)
		if p.down {
			continue
		}
		up++
		share := 1.0
		if p.health.State == edge.Up && p.health.Share > 0 {
			share = min(1, p.health.Share)
		}
		well += share * weigh(p)
	}
	why := ""
	switch {
	case up == 0:
		why = "every PoP is down: answering as if all were up"
	case well < floor*all:
		why = "fewer PoPs are healthy than the floor: answering as if all were up"
	default:
		return
	}
	for i := range f.pops {
		f.pops[i].down = false
	}
	if f.opened != "" {
		f.opened += "; "
	}
	f.opened += why
}

func (f *fleetState) findChanging(s *edge.Snapshot) {
	settle := cmp.Or(s.Policy.Settle, DefaultSettle)
	var names []string
	for i := range f.pops {
		p := &f.pops[i]
		if p.drain == nil && p.health.State != edge.Unknown && !p.health.Since.IsZero() && s.Made.Sub(p.health.Since) < settle {
			names = append(names, string(p.ID))
		}
	}
	f.changing = strings.Join(names, ", ")
}

func (f *fleetState) addRegions(fleet *edge.Fleet) {
	for i := range fleet.Regions {
		f.regions = append(f.regions, regionState{Region: &fleet.Regions[i], vip: vipOf(fleet, fleet.Regions[i].VIP)})
	}
	slices.SortFunc(f.regions, func(a, b regionState) int { return strings.Compare(string(a.ID), string(b.ID)) })
	for i := range f.regions {
		r := &f.regions[i]
		for _, id := range r.PoPs {
			p := &f.pops[f.byID[id]]
			p.regions = append(p.regions, i)
			r.alive = r.alive || !p.out()
		}
	}
}

func vipOf(fleet *edge.Fleet, id edge.VIPID) *edge.VIP {
	for i := range fleet.VIPs {
		if fleet.VIPs[i].ID == id {
			return &fleet.VIPs[i]
		}
	}
	return nil
}

// unicast reports whether clients may be sent to the PoP's own address.
func (f *fleetState) unicast(pop int) bool {
	p := &f.pops[pop]
	return len(p.Unicast) > 0 && (f.openUnicast || !p.out())
}
