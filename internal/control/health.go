package control

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"catchment/internal/edge"
)

// tracker knows how PoPs are, by their own reports and, where those stay away,
// by what name servers can reach. It has no clock.
type tracker struct {
	stale      time.Duration
	rise, fall int
	began      time.Time
	pops       map[edge.PoPID]*popHealth
}

// popHealth is what is known of one PoP.
type popHealth struct {
	edge.Health
	byProbes bool // State was settled by probes

	report   edge.HealthReport
	reported time.Time // zero: never
	silent   bool      // told: neither reports nor probes
	probes   map[string]*probe
}

// probe is what one name server finds.
type probe struct {
	state edge.HealthState // once it found the same often enough
	ok    bool
	n     int // times in a row
	at    time.Time
	why   string
}

func newTracker(stale time.Duration, rise, fall int, before []edge.Health, byProbes []edge.PoPID) *tracker {
	t := &tracker{stale: stale, rise: rise, fall: fall, pops: map[edge.PoPID]*popHealth{}}
	for _, h := range before {
		t.of(h.PoP).Health = h
	}
	for _, id := range byProbes {
		t.of(id).byProbes = true
	}
	return t
}

// start says from when on reports can be missed.
func (t *tracker) start(now time.Time) { t.began = now }

func (t *tracker) of(id edge.PoPID) *popHealth {
	p := t.pops[id]
	if p == nil {
		p = &popHealth{Health: edge.Health{PoP: id, State: edge.Unknown}, probes: map[string]*probe{}}
		t.pops[id] = p
	}
	return p
}

// report takes what a PoP says of itself.
func (t *tracker) report(id edge.PoPID, r edge.HealthReport, now time.Time) {
	p := t.of(id)
	p.report, p.reported = r, now
}

// probed takes what a name server found: a PoP can be reached if any of its
// addresses can, since a name server may itself lack a family.
func (t *tracker) probed(by string, found []edge.Reachable, now time.Time) {
	reached, why := map[edge.PoPID]bool{}, map[edge.PoPID]string{}
	for _, r := range found {
		reached[r.PoP] = reached[r.PoP] || r.OK
		if !r.OK {
			why[r.PoP] = r.Address + ": " + r.Why
		}
	}
	for id, ok := range reached {
		p := t.of(id)
		x := p.probes[by]
		if x == nil || now.Sub(x.at) > t.stale {
			x = &probe{state: edge.Unknown}
			p.probes[by] = x
		}
		x.note(ok, t.rise, t.fall)
		x.at, x.why = now, why[id]
	}
}

func (x *probe) note(ok bool, rise, fall int) {
	if ok != x.ok {
		x.ok, x.n = ok, 0
	}
	x.n++
	switch {
	case ok && x.n >= rise:
		x.state = edge.Up
	case !ok && x.n >= fall:
		x.state = edge.Down
	}
}

// event is what settle found out.
type event struct {
	pop     edge.PoPID
	state   edge.HealthState
	why     string
	changed bool // the health in snapshots
	silent  bool // nothing is heard any more
}

// settle judges all PoPs of a fleet, and forgets others.
func (t *tracker) settle(f *edge.Fleet, now time.Time) (events []event) {
	for id := range t.pops {
		if _, ok := f.PoP(id); !ok {
			delete(t.pops, id)
		}
	}
	for i := range f.PoPs {
		p := t.of(f.PoPs[i].ID)
		before, wasSilent := p.Health, p.silent
		t.judge(p, now)
		changed := p.State != before.State || p.Share != before.Share
		if p.State != before.State {
			p.Since = now.UTC().Round(0)
		} else if !changed {
			p.Health = before // a new reason alone makes no snapshot
		}
		if changed || p.silent != wasSilent {
			events = append(events, event{p.PoP, p.State, p.Why, changed, p.silent})
		}
	}
	return events
}

// judge sets the state of p: its own report as long as it is fresh; else what
// most name servers find; else what it was.
func (t *tracker) judge(p *popHealth, now time.Time) {
	if t.fresh(p.reported, now) {
		p.State, p.Why, p.byProbes, p.silent = p.report.State, p.report.Why, false, false
		p.Share = share(p.report)
		return
	}
	up, down, by, why := t.count(p, now)
	heard := max(p.reported.UnixNano(), t.began.UnixNano())
	if now.UnixNano()-heard <= int64(t.stale) {
		return // it may still come
	}
	p.silent = by == 0
	switch {
	case 2*down > by:
		p.State, p.Share, p.byProbes = edge.Down, 0, true
		p.Why = fmt.Sprintf("no report, and %d of %d name servers cannot reach it: %s", down, by, why)
	case 2*up > by && (p.byProbes || p.State == edge.Unknown):
		p.State, p.byProbes = edge.Up, true
		p.Why = fmt.Sprintf("no report, but %d of %d name servers reach it", up, by)
	}
}

// share is in whole percents, since noise makes no snapshot. 0 stays for what
// was not told.
func share(r edge.HealthReport) float64 {
	if r.State == edge.Down || r.Share == 0 {
		return 0
	}
	return max(1, math.Round(r.Share*100)) / 100
}

func (t *tracker) fresh(at, now time.Time) bool {
	return !at.IsZero() && now.Sub(at) <= t.stale
}

// count returns how many name servers have found p up and down, of how many
// with fresh probes, and why down.
func (t *tracker) count(p *popHealth, now time.Time) (up, down, by int, why string) {
	for name, x := range p.probes {
		if !t.fresh(x.at, now) {
			delete(p.probes, name)
			continue
		}
		by++
		switch x.state {
		case edge.Up:
			up++
		case edge.Down:
			down++
			if why == "" || x.why < why {
				why = x.why
			}
		}
	}
	return up, down, by, why
}

// load returns a PoP's load if it is known and fresh.
func (t *tracker) load(id edge.PoPID, now time.Time) (float64, bool) {
	p := t.pops[id]
	if p == nil || p.report.Load == nil || !t.fresh(p.reported, now) {
		return math.NaN(), false
	}
	return *p.report.Load, true
}

// list returns the health of all PoPs that something is known of, by id.
func (t *tracker) list() []edge.Health {
	var list []edge.Health
	for _, p := range t.pops {
		if p.State != edge.Unknown {
			list = append(list, p.Health)
		}
	}
	slices.SortFunc(list, func(a, b edge.Health) int { return strings.Compare(string(a.PoP), string(b.PoP)) })
	return list
}

// listByProbes returns the PoPs whose state probes settled.
func (t *tracker) listByProbes() []edge.PoPID {
	var list []edge.PoPID
	for id, p := range t.pops {
		if p.byProbes {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return list
}
