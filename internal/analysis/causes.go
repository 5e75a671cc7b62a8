package analysis

import (
	"cmp"
	"slices"

	"catchment/internal/edge"
)

// Causes is the report on why views did not reach an optimal PoP: add windows
// to it with JudgeViews, then ask for Rows. Its memory grows with the number of
// (group, client prefix, scheme, cause), not with views or days.
type Causes struct {
	groups viewGroups
	sums   []causeSums
	ledger *ledger // an account for each group and scheme
	totals ViewTotals
}

type causeSums struct {
	views   uint64
	schemes [len(edge.Schemes)]struct{ views, judged, missed uint64 }
}

// Kinds of a view in the ledger. The causes follow.
const (
	kindJudged kind = iota
	kindKnown       // judged, and the resolver is known
	kindMissed      // judged and not optimal
	kindCause
)

// NewCauses returns an empty report by the keys given (ParseViewKeys).
func NewCauses(by []Key) *Causes {
	return &Causes{groups: newViewGroups(by), ledger: newLedger(), totals: newViewTotals()}
}

// Totals returns what is known about all views.
func (r *Causes) Totals() ViewTotals { return r.totals }

// Names returns the names of the networks of resolvers, by number.
func (r *Causes) Names() map[uint32]string { return r.groups.names }

func (r *Causes) hear(h *hearing) {
	r.totals.add(h)
	g := r.groups.of(h)
	if int(g) == len(r.sums) {
		r.sums = append(r.sums, causeSums{})
	}
	sums := &r.sums[g]
	sums.views++
	for k := range h.outcomes {
		o, s := &h.outcomes[k], &sums.schemes[k]
		if !o.probed() {
			continue
		}
		s.views++
		if !o.judged {
			continue
		}
		s.judged++
		of := kinds(1 << kindJudged)
		of.set(kindKnown, h.asker.known)
		if !o.optimal {
			s.missed++
			cause := slices.Index(CauseOrder[:], h.causeOf(k))
			of |= 1<<kindMissed | 1<<(kindCause+kind(cause))
		}
		r.ledger.add(g*int32(len(edge.Schemes))+int32(k), h.view.Prefix, h.view.Weight, of)
	}
}

// CauseRow is why views of one group missed under one scheme. All shares are of
// the judged weight, with 95 % intervals clustered by client prefix; those of
// the causes add up to Missed.
type CauseRow struct {
	Group          []Label
	Scheme         edge.Scheme
	Views, Judged  uint64 // page views in which it was probed; of those, judged
	MissedViews    uint64
	Missed         Estimate // not optimal
	Causes         [len(CauseOrder)]Estimate
	KnownResolvers Estimate // the resolver is known
}

// Rows returns a row for every group and scheme that was probed there: most
// views first, then by name, then by scheme.
func (r *Causes) Rows() []CauseRow {
	const schemes = len(edge.Schemes)
	accounts := r.ledger.accounts(schemes * len(r.sums))
	order := make([]int, len(r.sums))
	labels := make([][]Label, len(r.sums))
	for g := range order {
		order[g], labels[g] = g, r.groups.labels(g)
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(r.sums[b].views, r.sums[a].views), compareLabels(labels[a], labels[b]))
	})
	var rows []CauseRow
	for _, g := range order {
		for k, s := range r.sums[g].schemes {
			if s.views == 0 {
				continue
			}
			a := &accounts[g*schemes+k]
			row := CauseRow{
				Group: labels[g], Scheme: edge.Schemes[k], Views: s.views, Judged: s.judged, MissedViews: s.missed,
				Missed: a.share(kindMissed, kindJudged), KnownResolvers: a.share(kindKnown, kindJudged),
			}
			for i := range row.Causes {
				row.Causes[i] = a.share(kindCause+kind(i), kindJudged)
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// ViewTotals are about all views of a report on single views.
type ViewTotals struct {
	Totals
	Known   uint64 // views whose resolver is known
	Located uint64 // of those, where it is known where the resolver is
	Placed  uint64 // of those, where it is known where DNS saw the client
}

func newViewTotals() ViewTotals { return ViewTotals{Totals: newTotals()} }

func (t *ViewTotals) add(h *hearing) {
	v := h.view
	t.Views++
	if v.Country == "" {
		t.NoPlace++
	}
	for k := range h.outcomes {
		o := &h.outcomes[k]
		if !o.probed() {
			continue
		}
		t.Probed[k]++
		if !o.judged {
			t.Unjudged[k]++
		}
		if o.failed {
			t.Failed[k]++
		}
	}
	if h.asker.known {
		t.Known++
		if h.asker.resolver != (edge.Place{}) {
			t.Located++
		}
		if h.asker.seen != (edge.Place{}) {
			t.Placed++
		}
	}
	t.From, t.To = min(t.From, v.Day), max(t.To, v.Day)
}

// join adds the totals of other views.
func (t *ViewTotals) join(o *ViewTotals) {
	t.Totals.join(&o.Totals)
	t.Known += o.Known
	t.Located += o.Located
	t.Placed += o.Placed
}
