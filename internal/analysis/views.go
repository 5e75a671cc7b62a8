package analysis

import (
	"fmt"
	"iter"
	"math"
	"net/netip"

	"catchment/internal/edge"
)

// Places tells where an address is. Unknown addresses have an empty place.
type Places interface {
	Lookup(netip.Addr) edge.Place
}

// Setting is what views are looked at by, one by one, beside their latencies.
type Setting struct {
	Fleet  *edge.Fleet
	Places Places  // of resolvers, and of the networks that they ask for
	FarKm  float64 // from where on a resolver is far from its client
}

// DefaultFarKm is 5 ms in fiber and back: what the default tolerance of a PoP's
// latency is.
const DefaultFarKm = 500

// ViewWindow is a Window of single views.
type ViewWindow struct {
	Latencies iter.Seq2[*edge.Latencies, error]
	Views     iter.Seq2[*edge.PageView, error]
}

// ViewReport is what single views are added up in: a *Resolvers or a *Causes.
type ViewReport interface {
	hear(h *hearing)
}

// JudgeViews is Judge for reports that look at views one by one. The same
// views have the same outcomes.
func JudgeViews(c Criteria, s Setting, windows iter.Seq[ViewWindow], to ...ViewReport) error {
	t := newTable(c)
	stand := newStand(t, &s)
	for w := range windows {
		t.reset()
		clear(stand.seats)
		if err := t.read(w.Latencies, nil); err != nil {
			return err
		}
		for v, err := range w.Views {
			if err != nil {
				return fmt.Errorf("analysis: views: %w", err)
			}
			if !(v.Weight > 0) || math.IsInf(v.Weight, 0) {
				return fmt.Errorf("analysis: a view of %s: weight %v", cellName(&v.Cell), v.Weight)
			}
			h := stand.hear(v)
			for _, r := range to {
				r.hear(h)
			}
		}
	}
	return nil
}

// stand hears single views of one window.
type stand struct {
	table   *table
	setting *Setting
	pops    map[edge.PoPID]edge.Place
	seats   map[edge.Cell]*seat
	hearing
}

// seat is what views of one cell share.
type seat struct {
	standing *standing // nil: it could not be judged
	known    [len(edge.Schemes)][]outcome
	optimal  []edge.PoPID // PoPs that are, by their own names; the best one is among them
	region   *edge.Region // that serves the cell; nil: none
}

// hearing is one view and what is known of it. It is valid until the next one.
type hearing struct {
	*stand
	view     *edge.PageView
	seat     *seat
	outcomes [len(edge.Schemes)]outcome
	asker    asker
}

func newStand(t *table, s *Setting) *stand {
	st := &stand{table: t, setting: s, pops: map[edge.PoPID]edge.Place{}, seats: map[edge.Cell]*seat{}}
	for i := range s.Fleet.PoPs {
		st.pops[s.Fleet.PoPs[i].ID] = s.Fleet.PoPs[i].Place
	}
	st.hearing.stand = st
	return st
}

func (st *stand) hear(v *edge.PageView) *hearing {
	h := &st.hearing
	h.view, h.seat = v, st.seatOf(v)
	for k, pop := range v.Served {
		h.outcomes[k] = st.outcome(h.seat, pop, k)
	}
	h.asker = st.setting.askerOf(v)
	return h
}

func (st *stand) seatOf(v *edge.PageView) *seat {
	if s, ok := st.seats[v.Cell]; ok {
		return s
	}
	s := &seat{standing: st.table.standingOf(&v.Cell)}
	if s.standing != nil {
		s.optimal = st.table.optimalFrom(s.standing)
	}
	s.region, _ = st.setting.Fleet.RegionOf(v.Place)
	st.seats[v.Cell] = s
	return s
}

func (st *stand) outcome(s *seat, pop edge.PoPID, k int) outcome {
	if pop == "" {
		return outcome{}
	}
	for i := range s.known[k] {
		if o := &s.known[k][i]; o.pop == pop {
			return *o
		}
	}
	o := st.table.outcome(s.standing, pop, k)
	s.known[k] = append(s.known[k], o)
	return o
}

// optimalFrom lists the PoPs that are optimal from where s is, by their own
// names.
func (t *table) optimalFrom(s *standing) (all []edge.PoPID) {
	good := func(ms float64) bool { return t.criteria.Tolerance.within(ms, s.best.ms) }
	for _, x := range s.own {
		if good(x.ms) {
			all = append(all, t.pops.names[x.pop])
		}
	}
	for _, x := range s.place.ranked {
		if _, own := s.ownLatency(x.pop); !own && good(s.borrow(x.ms)) {
			all = append(all, t.pops.names[x.pop])
		}
	}
	return all
}
