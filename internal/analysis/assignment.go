package analysis

import (
	"cmp"
	"math"
	"slices"

	"catchment/internal/edge"
)

// Assignment is the report on who reaches an optimal PoP: add windows to it
// with Judge, then ask for Rows. Its memory grows with the number of (group,
// client prefix) pairs, not with views or days.
type Assignment struct {
	by       []Key
	pops     pops
	groups   map[groupKey]int32
	sums     []groupSums
	clusters clusterSums
	totals   Totals
	last     struct { // the last element's: neighbors mostly share them
		key   groupKey
		group int32
		best  edge.PoPID
		pop   popID // best's
	}
}

// groupSums are a group's sums over all its views.
type groupSums struct {
	key     groupKey
	views   uint64
	best    popTally
	schemes [len(edge.Schemes)]schemeSums
}

type schemeSums struct {
	views, failed, judged, paired uint64
	weight2                       float64 // Σ 1/rate² of judged views
	wrong                         popTally
	penalties                     penaltyTally
}

// Totals are about all views of a report.
type Totals struct {
	Views    uint64
	NoPlace  uint64 // views from nobody knows which country: never judged
	Probed   [len(edge.Schemes)]uint64
	Unjudged [len(edge.Schemes)]uint64 // of those probed
	Failed   [len(edge.Schemes)]uint64 // of those probed
	From, To edge.Day                  // first and last day with views; From > To: none
}

func newTotals() Totals { return Totals{From: math.MaxInt32, To: math.MinInt32} }

// NewAssignment returns an empty report by the keys given; none is one group
// of everything.
func NewAssignment(by []Key) *Assignment {
	return &Assignment{
		by:     by,
		pops:   newPops(),
		groups: map[groupKey]int32{},
		totals: newTotals(),
	}
}

// Totals returns what is known about all views.
func (r *Assignment) Totals() Totals { return r.totals }

func (r *Assignment) add(j *judgement) { r.clusters.add(r.tally(j), j) }

// tally adds j to all but the clusters of its group, whose number it returns.
func (r *Assignment) tally(j *judgement) int32 {
	r.totals.add(j)
	g := r.groupOf(j.at)
	sums := &r.sums[g]
	sums.views += j.views
	if j.judged {
		if j.best != r.last.best {
			r.last.best, r.last.pop = j.best, r.pops.number(j.best)
		}
		sums.best.add(r.last.pop, j.weight)
	}
	unicast := &j.outcomes[edge.Unicast.Index()]
	for k := range j.outcomes {
		o, s := &j.outcomes[k], &sums.schemes[k]
		if !o.probed() {
			continue
		}
		s.views += j.views
		if o.failed {
			s.failed += j.views
		}
		if !o.judged {
			continue
		}
		s.judged += j.views
		s.weight2 += j.weight2
		if unicast.judged {
			s.paired += j.views
		}
		if !o.failed {
			s.penalties.add(o, j.weight)
			if !o.optimal {
				s.wrong.add(r.pops.number(o.pop), j.weight)
			}
		}
	}
	return g
}

// groupOf returns the number of a's group, a new one if it had none.
func (r *Assignment) groupOf(a *edge.Assignments) int32 {
	k := groupOf(r.by, a)
	if k == r.last.key && len(r.sums) > 0 {
		return r.last.group
	}
	g, ok := r.groups[k]
	if !ok {
		g = int32(len(r.sums))
		kept := k.clone()
		r.groups[kept] = g
		r.sums = append(r.sums, groupSums{key: kept})
	}
	r.last.key, r.last.group = k, g
	return g
}

func (t *Totals) add(j *judgement) {
	t.Views += j.views
	if j.at.Country == "" {
		t.NoPlace += j.views
	}
	for k := range j.outcomes {
		o := &j.outcomes[k]
		if !o.probed() {
			continue
		}
		t.Probed[k] += j.views
		if !o.judged {
			t.Unjudged[k] += j.views
		}
		if o.failed {
			t.Failed[k] += j.views
		}
	}
	if j.views > 0 {
		t.From, t.To = min(t.From, j.at.Day), max(t.To, j.at.Day)
	}
}

// join adds the totals of other views.
func (t *Totals) join(o *Totals) {
	t.Views += o.Views
	t.NoPlace += o.NoPlace
	for k := range t.Probed {
		t.Probed[k] += o.Probed[k]
		t.Unjudged[k] += o.Unjudged[k]
		t.Failed[k] += o.Failed[k]
	}
	t.From, t.To = min(t.From, o.From), max(t.To, o.To)
}

// join adds the sums of another group, but for its key; pops are the numbers
// that its PoPs have here.
func (s *groupSums) join(o *groupSums, pops []popID) {
	s.views += o.views
	s.best.join(o.best, pops)
	for k := range s.schemes {
		x, y := &s.schemes[k], &o.schemes[k]
		x.views += y.views
		x.failed += y.failed
		x.judged += y.judged
		x.paired += y.paired
		x.weight2 += y.weight2
		x.wrong.join(y.wrong, pops)
		x.penalties.join(&y.penalties)
	}
}

// Row is one group. All intervals are 95 %, clustered by client prefix.
type Row struct {
	Group   []Label
	Views   uint64     // page views, not weighted
	BestPoP edge.PoPID // for most of the weight; empty: none was judged
	Schemes [len(edge.Schemes)]Share
	Against [len(edge.Schemes)]Difference // scheme minus unicast; unicast's own is empty
}

// Share is how one scheme does in a group. Floats are NaN where nothing was
// judged, penalties also where every judged probe failed.
type Share struct {
	Views      uint64  // views in which it was probed
	Judged     uint64  // of those, views known to be optimal or not
	Failed     uint64  // probes that brought no answer
	Optimal    float64 // share of the judged weight, 0 to 1
	Low, High  float64
	PenaltyP50 float64 // ms over the best PoP, over judged views that were answered
	PenaltyP90 float64
	WrongPoP   edge.PoPID // the commonest PoP that was not optimal; empty: none
	WrongShare float64    // of the judged weight that went there
}

// Difference is a scheme's share of optimal views minus that of unicast, over
// the views where both were judged. Floats are NaN where there are none.
type Difference struct {
	Views     uint64
	Delta     float64 // −1 to 1
	Low, High float64
	half      float64
	probed    bool
}

// Rows returns the groups, most views first, then by name.
func (r *Assignment) Rows() []Row {
	rows := make([]Row, len(r.sums))
	stats := r.clusters.stats(len(r.sums))
	for g := range r.sums {
		s := &r.sums[g]
		row := Row{Group: s.key.labels(r.by), Views: s.views}
		row.BestPoP, _ = s.best.top(&r.pops)
		for k := range edge.Schemes {
			row.Schemes[k] = s.schemes[k].share(&stats[g].shares[k], &r.pops)
			if k != edge.Unicast.Index() {
				row.Against[k] = s.schemes[k].difference(&stats[g].differences[k])
			}
		}
		rows[g] = row
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Views, a.Views), compareLabels(a.Group, b.Group))
	})
	return rows
}

func (s *schemeSums) share(c *clusters, of *pops) Share {
	nan := math.NaN()
	out := Share{Views: s.views, Judged: s.judged, Failed: s.failed, Optimal: nan, Low: nan, High: nan, PenaltyP50: nan, PenaltyP90: nan, WrongShare: nan}
	if c.w > 0 {
		out.Optimal = min(1, c.ratio())
		out.Low, out.High = c.share(c.w * c.w / s.weight2)
		pop, weight := s.wrong.top(of)
		out.WrongPoP, out.WrongShare = pop, weight/c.w
		out.PenaltyP50, out.PenaltyP90 = s.penalties.quantile(0.5), s.penalties.quantile(0.9)
	}
	return out
}

func (s *schemeSums) difference(c *clusters) Difference {
	nan := math.NaN()
	d := Difference{Views: s.paired, Delta: nan, Low: nan, High: nan, half: nan, probed: s.views > 0}
	if c.w > 0 {
		d.Delta = c.ratio()
		d.half = c.difference()
		d.Low, d.High = max(-1, d.Delta-d.half), min(1, d.Delta+d.half)
	}
	return d
}
