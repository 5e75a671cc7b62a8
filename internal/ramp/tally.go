package ramp

import (
	"slices"
	"time"

	"catchment/internal/edge"
)

const (
	// MinUnits is the least number of units in each arm. Units are held in
	// groups, so that a little more are needed to see that many.
	MinUnits = 20

	// unitGroups is how many random groups the units of an arm are held in:
	// enough that variances are known to 6 % of the standard error, few enough
	// that a state is some hundred kilobytes.
	unitGroups = 128

	// heaviest is the share of the smaller arm's views above which a unit
	// counts no more in one stretch of evidence. The bound is the same for both
	// arms, so that it favors neither.
	heaviest = 1.0 / MinUnits

	// leastReference is how many latencies of the control arm its quantiles
	// are taken from.
	leastReference = 200
)

// groupOf returns the group of a unit: SplitMix64's finalizer, which has
// nothing in common with how arms are drawn but the unit, and no salt's place.
func groupOf(unit uint64) int {
	h := unit + 0x9e3779b97f4a7c15
	h ^= h >> 30
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 27
	h *= 0x94d049bb133111eb
	h ^= h >> 31
	return int(h >> (64 - 7))
}

// Tally is what was seen of one geography in its present step: of the whole
// first, then of each network that is judged by itself, then of all others.
type Tally struct {
	Views        [2]float64 `json:"views"` // by arm, since the step's evidence began
	Contaminated [2]float64 `json:"contaminated"`
	Cells        []Group    `json:"cells"`
	PoPs         []PoPViews `json:"pops,omitempty"`
}

// Group is the evidence of a geography or of networks in it.
type Group struct {
	Network   uint32     `json:"network,omitempty"` // 0: the whole, or all others
	Views     [2]float64 `json:"views"`
	Latencies [2]Hist    `json:"latencies"` // for reports; the control arm's also sets the next cuts
	Streams   []Stream   `json:"streams"`   // by guardrail; unused for Load
	Before    []Before   `json:"before"`    // by guardrail
}

// Stream is one comparison: the evidence of one metric since From.
type Stream struct {
	From  time.Time `json:"from"`
	Life  int       `json:"life"`  // which comparison of the ramp's life this is, from 1
	Round int       `json:"round"` // which of its step, from 1

	// Latencies are compared by the share above a cut, the control arm's
	// quantile, and the treatment arm's also by that above Shifted, which is
	// the margin higher: whether it exceeds the first is whether the quantile
	// has risen by the margin. Bins of edge; 0 while too little is known.
	Cut     int `json:"cut,omitempty"`
	Shifted int `json:"shifted,omitempty"`

	// Margin, in the metric's unit, and Delta, in shares of latencies where
	// there is a cut, are settled when both arms have MinUnits: a bound must
	// not be tuned by what it then judges.
	Margin float64 `json:"margin,omitempty"`
	Delta  float64 `json:"delta,omitempty"`

	Arms [2]Units `json:"arms"`

	// What was known when views last doubled, to tell how fast more views
	// bring more information.
	HalfViews float64 `json:"half_views,omitempty"`
	HalfInfo  float64 `json:"half_info,omitempty"`
	Doubled   float64 `json:"doubled,omitempty"` // information at DoubledAt views
	DoubledAt float64 `json:"doubled_at,omitempty"`
}

// Units are sums by group of units.
type Units struct {
	N []float64 `json:"n,omitempty"` // of what is counted
	Y []float64 `json:"y,omitempty"` // of that, what is bad
	Z []float64 `json:"z,omitempty"` // treatment and latencies only: above Shifted
}

func (u *Units) add(group int, n, y, z float64, shifted bool) {
	if u.N == nil {
		u.N, u.Y = make([]float64, unitGroups), make([]float64, unitGroups)
		if shifted {
			u.Z = make([]float64, unitGroups)
		}
	}
	u.N[group] += n
	u.Y[group] += y
	if shifted {
		u.Z[group] += z
	}
}

func newTally(p *Plan, g *Geography) Tally {
	t := Tally{Cells: make([]Group, 1, 2+len(g.Networks))}
	if len(g.Networks) > 0 {
		for _, asn := range g.Networks {
			t.Cells = append(t.Cells, Group{Network: asn})
		}
		t.Cells = append(t.Cells, Group{})
	}
	for i := range t.Cells {
		t.Cells[i].Streams = make([]Stream, len(p.Guardrails))
		t.Cells[i].Before = make([]Before, len(p.Guardrails))
	}
	return t
}

// begin starts all comparisons of a step.
func (t *Tally) begin(p *Plan, at time.Time) {
	t.Views, t.Contaminated, t.PoPs = [2]float64{}, [2]float64{}, nil
	for i := range t.Cells {
		g := &t.Cells[i]
		for k := range g.Streams {
			t.restart(p, i, k, at, 1)
		}
		g.Views = [2]float64{}
		if g.Latencies[Control].Total >= leastReference {
			g.Latencies = [2]Hist{}
		}
	}
}

// allowance is how many margins a cell has: the whole geography one.
func (p *Plan) allowance(cell int) float64 {
	if cell == 0 {
		return 1
	}
	return p.NetworkMargin
}

// restart begins the next comparison of a guardrail in a cell.
func (t *Tally) restart(p *Plan, cell, k int, at time.Time, round int) {
	s := &t.Cells[cell].Streams[k]
	life := max(1, s.Life)
	if s.Arms[Treatment].N != nil { // what nothing was compared in costs nothing
		life++
	}
	*s = Stream{From: at, Life: life, Round: round}
	t.Cells[cell].cut(p, k, p.allowance(cell))
}

// cut sets the cuts of a quantile's stream by what the control arm has shown.
func (g *Group) cut(p *Plan, k int, allowance float64) {
	rail, s, h := &p.Guardrails[k], &g.Streams[k], &g.Latencies[Control]
	q := rail.Metric.quantile()
	if q == 0 || h.Total < leastReference {
		return
	}
	ms := h.quantile(q)
	margin := allowance * max(rail.Margin, rail.Relative*ms)
	s.Cut = edge.Bin(ms)
	s.Shifted = max(s.Cut+1, edge.Bin(ms+margin))
	s.Margin = edge.BinMs(s.Shifted) - edge.BinMs(s.Cut)
	s.Delta = max(0.005, h.below(edge.BinMs(s.Shifted))-h.below(edge.BinMs(s.Cut)))
}

// absorb adds the page views of one stretch: to what was before, while there
// is no share; at a share of 1 nothing can be compared and only latencies are
// kept.
func (t *Tally) absorb(p *Plan, e *GeographyViews, from time.Time) {
	a := absorbing{plan: p, from: from, share: e.Share}
	if a.caps = capsOf(e, e.Share); e.Share == 0 {
		a.caps = capsOf(e, p.Steps[0])
	}
	for i := range e.Rows {
		r := &e.Rows[i]
		arm := r.arm(e.Share)
		t.Views[arm] += r.Views
		t.Contaminated[arm] += r.Contaminated
		group := groupOf(r.Unit)
		t.Cells[0].absorb(&a, r, arm, group)
		if len(t.Cells) > 1 {
			t.Cells[t.cell(r.Network)].absorb(&a, r, arm, group)
		}
	}
	for _, v := range e.PoPs {
		i := slices.IndexFunc(t.PoPs, func(o PoPViews) bool { return o.PoP == v.PoP })
		switch {
		case i >= 0:
			t.PoPs[i].Control += v.Control
			t.PoPs[i].Treatment += v.Treatment
		case len(t.PoPs) < maxPoPs:
			t.PoPs = append(t.PoPs, v)
		}
	}
	for i := range t.Cells {
		g := &t.Cells[i]
		for k := range g.Streams {
			if p.Guardrails[k].Metric.quantile() > 0 && g.Streams[k].Cut == 0 {
				g.cut(p, k, p.allowance(i))
			}
		}
	}
}

// maxPoPs bounds what a tally remembers; package steer has the same bound.
const maxPoPs = 4096

// cell returns the index of the cell that a network is judged in.
func (t *Tally) cell(network uint32) int {
	for i := 1; i < len(t.Cells)-1; i++ {
		if t.Cells[i].Network == network {
			return i
		}
	}
	return len(t.Cells) - 1
}

// absorbing is what is the same for all rows of one stretch.
type absorbing struct {
	plan  *Plan
	from  time.Time
	share float64
	caps  caps
}

func (g *Group) absorb(a *absorbing, r *Row, arm Arm, group int) {
	g.Views[arm] += r.Views
	for _, b := range r.Latency {
		g.Latencies[arm].add(int(b.Bin), b.Count)
	}
	if a.share == 1 {
		return
	}
	for k := range g.Streams {
		m, s := a.plan.Guardrails[k].Metric, &g.Streams[k]
		if m == Load || a.from.Before(s.From) || m.quantile() > 0 && s.Cut == 0 {
			continue
		}
		n, y, z := r.counts(m, s)
		if n == 0 && y == 0 {
			continue
		}
		f := min(1, a.caps.of(m)/max(n, 1e-9))
		if a.share == 0 {
			g.Before[k].Cut = s.Cut
			g.Before[k].add(a.plan, r, group, n*f, y*f)
			continue
		}
		s.Arms[arm].add(group, n*f, y*f, z*f, m.quantile() > 0 && arm == Treatment)
	}
}

// counts returns what a metric counts in r, how much of it is bad, and how
// much of it is above the shifted cut.
func (r *Row) counts(m Metric, s *Stream) (n, y, z float64) {
	switch m {
	case Optimal:
		return r.Judged, r.Judged - r.Optimal, 0
	case ProbeFailures:
		return r.Probes, r.Failed, 0
	case PageFailures:
		return r.Loads, r.Broken, 0
	case Resets:
		return r.Connected, r.Resets, 0
	case P50, P90:
		for _, b := range r.Latency {
			n += b.Count
			if int(b.Bin) > s.Cut {
				y += b.Count
			}
			if int(b.Bin) > s.Shifted {
				z += b.Count
			}
		}
	}
	return n, y, z
}

// caps are how much of each kind one unit can count for in one stretch.
type caps struct{ judged, latencies, probes, loads, connected float64 }

func capsOf(e *GeographyViews, share float64) (c caps) {
	for i := range e.Rows {
		r := &e.Rows[i]
		c.judged += r.Judged
		c.probes += r.Probes
		c.loads += r.Loads
		c.connected += r.Connected
		for _, b := range r.Latency {
			c.latencies += b.Count
		}
	}
	f := heaviest * min(share, 1-share)
	for _, x := range []*float64{&c.judged, &c.latencies, &c.probes} {
		*x = max(1, *x*f)
	}
	// A unit counts for one observation at least, whatever that stands for: were
	// it cut, what is observed whole (a failure, a reset) would outweigh what is
	// sampled.
	c.loads, c.connected = max(1, e.Requests, c.loads*f), max(1, e.Minutes, c.connected*f)
	return c
}

func (c *caps) of(m Metric) float64 {
	switch m {
	case Optimal:
		return c.judged
	case P50, P90:
		return c.latencies
	case ProbeFailures:
		return c.probes
	case PageFailures:
		return c.loads
	}
	return c.connected
}
