package observe

import (
	"cmp"
	"slices"

	"catchment/internal/analysis"
	"catchment/internal/edge"
	"catchment/internal/ramp"
)

// Sight is what a page load is judged by: the fleet, and how far its PoPs are
// from each cell, as measured. It is immutable.
type Sight struct {
	fleet     *edge.Fleet
	tolerance analysis.Tolerance
	best      map[edge.CellKey][]edge.Latency
	scheme    map[edge.VIPID]edge.Scheme
}

// NewSight returns that of a snapshot.
func NewSight(s *edge.Snapshot, t analysis.Tolerance) *Sight {
	v := &Sight{fleet: s.Fleet, tolerance: t, best: make(map[edge.CellKey][]edge.Latency, len(s.Orders)), scheme: map[edge.VIPID]edge.Scheme{}}
	for i := range s.Orders {
		v.best[s.Orders[i].CellKey] = s.Orders[i].PoPs
	}
	for _, x := range s.Fleet.VIPs {
		v.scheme[x.ID] = edge.Global
	}
	for _, r := range s.Fleet.Regions {
		v.scheme[r.VIP] = edge.Regional
	}
	return v
}

// count adds a page load that is in the arm of a scheme to r, and returns the
// PoP that was reached.
//
// What is judged is where the page itself came from, if it says so, and else
// where the probe of the arm's scheme got to.
func (v *Sight) count(r *ramp.Row, l *edge.PageLoad, scheme edge.Scheme) edge.PoPID {
	k := scheme.Index()
	r.Views++
	pop, probed := l.PoP, l.Served[k]
	if pop != "" {
		if by, ok := v.servedBy(l); ok && by != scheme {
			r.Contaminated++
		}
	} else {
		pop = probed
	}
	if probed != "" {
		r.Probes++
		if probed == edge.Failed {
			r.Failed++
		}
	}
	if pop != "" {
		if optimal, ok := v.judge(l, pop); ok {
			r.Judged++
			if optimal {
				r.Optimal++
			}
		}
	}
	if l.Connect > 0 && !l.Coarse {
		bin := uint16(edge.Bin(l.Connect))
		if i := slices.IndexFunc(r.Latency, func(b ramp.BinCount) bool { return b.Bin == bin }); i >= 0 {
			r.Latency[i].Count++
		} else {
			r.Latency = append(r.Latency, ramp.BinCount{Bin: bin, Count: 1})
		}
	}
	return pop
}

// servedBy returns the scheme by which the page came.
func (v *Sight) servedBy(l *edge.PageLoad) (edge.Scheme, bool) {
	if l.VIP == "" {
		return edge.Unicast, true
	}
	s, ok := v.scheme[l.VIP]
	return s, ok
}

// judge reports whether a PoP is optimal for the view's cell, and whether that
// can be told: by the network's own latencies, else by the place's. A PoP that
// nobody there has measured by its own name, as one that is far away, counts
// by what this view itself saw of it.
func (v *Sight) judge(l *edge.PageLoad, pop edge.PoPID) (optimal, ok bool) {
	order := v.order(&l.Cell)
	if len(order) < 2 {
		return false, false
	}
	if pop == edge.Failed {
		return false, true
	}
	best := slices.MinFunc(order, func(a, b edge.Latency) int { return cmp.Compare(a.RTT, b.RTT) }).RTT
	at := slices.IndexFunc(order, func(x edge.Latency) bool { return x.PoP == pop })
	if at >= 0 {
		return v.within(order[at].RTT, best), true
	}
	for k, served := range l.Served {
		if served == pop && l.RTT[k] > 0 {
			return v.within(l.RTT[k], best), true
		}
	}
	return false, false
}

func (v *Sight) within(ms, best float64) bool {
	return ms <= best+max(v.tolerance.Ms, v.tolerance.Share*best)
}

func (v *Sight) order(c *edge.Cell) []edge.Latency {
	key := edge.CellKey{Country: c.Country, Subdivision: c.Subdivision, ASN: c.ASN, Family: c.Family}
	if order := v.best[key]; len(order) > 0 && key.ASN != 0 {
		return order
	}
	key.ASN = 0
	if order := v.best[key]; len(order) > 0 {
		return order
	}
	key.Family = 0
	return v.best[key]
}

func compare[T cmp.Ordered](a, b T) int { return cmp.Compare(a, b) }
