package analysis

import (
	"cmp"
	"math"
	"slices"

	"catchment/internal/edge"
)

// Resolvers is the report on how far clients are from their resolvers, which
// of those send the client's network along, and how much of what unicast gets
// wrong that explains. Add windows to it with JudgeViews, then ask for Rows.
// Its memory grows with the number of (group, client prefix) pairs.
type Resolvers struct {
	groups viewGroups
	sums   []resolverSums
	ledger *ledger // an account for each group
	totals ViewTotals
}

type resolverSums struct {
	views, away, home uint64
	km                penaltyTally // of views whose resolver's distance is known
}

// Kinds of a view in the ledger.
const (
	kindView      kind = iota
	kindAsked          // the resolver is known
	kindECS            // and sends a network along
	kindForeign        // which is another one than the client's
	kindPlaced         // it is known whether the resolver is astray
	kindAstray         // it is
	kindAway           // judged under unicast; the resolver is astray and sends nothing along
	kindAwayWrong      // and the view missed
	kindHome           // judged under unicast; the resolver is near, or sends a network along
	kindHomeWrong
	kindCompared // either
)

// NewResolvers returns an empty report by the keys given (ParseViewKeys).
func NewResolvers(by []Key) *Resolvers {
	return &Resolvers{groups: newViewGroups(by), ledger: newLedger(), totals: newViewTotals()}
}

// Totals returns what is known about all views.
func (r *Resolvers) Totals() ViewTotals { return r.totals }

// Names returns the names of the networks of resolvers, by number.
func (r *Resolvers) Names() map[uint32]string { return r.groups.names }

func (r *Resolvers) hear(h *hearing) {
	r.totals.add(h)
	w := h.view.Weight
	r.add(r.groups.of(h), h.view.Prefix, 1, w, w*w, h.asked())
}

// asked is what the report has to know of a view and of who asked for it.
type asked struct {
	of kinds
	km outcome // the distance, as a penalty; of no bin where it is not known
}

// noDistance is the bin of an asked whose distance is not known.
const noDistance = -1

func (h *hearing) asked() asked {
	x := asked{of: 1 << kindView, km: outcome{bin: noDistance}}
	v, a := h.view, &h.asker
	if !a.known {
		return x
	}
	astray, placed := h.setting.astray(v.Place, a.resolver)
	if km := edge.DistanceKm(v.Place, a.resolver); !math.IsInf(km, 1) {
		x.km = outcome{penalty: km, bin: int32(edge.Bin(km))}
	}
	x.of.set(kindAsked, true)
	x.of.set(kindECS, a.ecs)
	x.of.set(kindForeign, a.foreign)
	x.of.set(kindPlaced, placed)
	x.of.set(kindAstray, astray)
	if o := &h.outcomes[edge.Unicast.Index()]; o.judged {
		away := astray && !a.ecs
		home := !away && (placed || a.ecs)
		x.of.set(kindAway, away)
		x.of.set(kindAwayWrong, away && !o.optimal)
		x.of.set(kindHome, home)
		x.of.set(kindHomeWrong, home && !o.optimal)
		x.of.set(kindCompared, away || home)
	}
	return x
}

// add adds n views that are alike to a group: the sums of their weights and
// squared weights.
func (r *Resolvers) add(g int32, prefix, n uint64, weight, weight2 float64, x asked) {
	if int(g) == len(r.sums) {
		r.sums = append(r.sums, resolverSums{})
	}
	sums := &r.sums[g]
	sums.views += n
	if x.km.bin != noDistance {
		sums.km.add(&x.km, weight)
	}
	if x.of&(1<<kindAway) != 0 {
		sums.away += n
	} else if x.of&(1<<kindHome) != 0 {
		sums.home += n
	}
	r.ledger.addSums(g, prefix, weight, weight2, x.of)
}

// ResolverRow is one group. Shares have 95 % intervals, clustered by client
// prefix; floats are NaN where nothing is known.
type ResolverRow struct {
	Group        []Label
	Views        uint64
	Known        Estimate // of the views: the resolver is known
	KmP50, KmP90 float64  // from client to resolver, where both places are known
	ECS          Estimate // of those known: the resolver sends a network along
	Foreign      Estimate // of those known: and that is not the client's
	Astray       Estimate // of those placed: far away, in another country or region

	// Unicast's wrong assignments, where the resolver is known and placed.
	AwayViews, HomeViews uint64
	Away                 Estimate // of views whose resolver is astray and sends nothing along
	Home                 Estimate // of the others
	// Explained is the share of all wrong assignments that there would not be
	// if views of the first kind missed as often as the others do.
	Explained Estimate
}

// Rows returns the groups, most views first, then by name.
func (r *Resolvers) Rows() []ResolverRow {
	accounts := r.ledger.accounts(len(r.sums))
	rows := make([]ResolverRow, len(r.sums))
	for g := range rows {
		s, a := &r.sums[g], &accounts[g]
		row := &rows[g]
		*row = ResolverRow{
			Group: r.groups.labels(g), Views: s.views,
			Known: a.share(kindAsked, kindView),
			KmP50: s.km.quantile(0.5), KmP90: s.km.quantile(0.9),
			ECS: a.share(kindECS, kindAsked), Foreign: a.share(kindForeign, kindAsked), Astray: a.share(kindAstray, kindPlaced),
			AwayViews: s.away, HomeViews: s.home,
			Away: a.share(kindAwayWrong, kindAway), Home: a.share(kindHomeWrong, kindHome),
		}
		row.Explained = explained(a.share(kindAway, kindCompared), row.Away, row.Home)
	}
	slices.SortFunc(rows, func(a, b ResolverRow) int {
		return cmp.Or(cmp.Compare(b.Views, a.Views), compareLabels(a.Group, b.Group))
	})
	return rows
}

// explained is the fraction of wrong assignments that is attributable to one
// group of views: share of the views are in it, of which away are wrong, and
// home of the others. It is negative where home is the larger.
//
// The interval puts those of the three together (MOVER of Zou and Donner, 2008):
// unlike a linearized variance it does not vanish where nobody missed.
func explained(share, away, home Estimate) Estimate {
	if math.IsNaN(home.Share) || math.IsNaN(away.Share) {
		return unknown()
	}
	of := func(share, away, home float64) float64 {
		return share * (away - home) / (share*away + (1-share)*home)
	}
	x := of(share.Share, away.Share, home.Share)
	if math.IsNaN(x) { // nobody missed
		return unknown()
	}
	var below, above float64
	reach := func(ends ...float64) {
		low, high := x, x
		for _, end := range ends {
			if !math.IsNaN(end) {
				low, high = min(low, end), max(high, end)
			}
		}
		below += (x - low) * (x - low)
		above += (high - x) * (high - x)
	}
	reach(of(share.Low, away.Share, home.Share), of(share.High, away.Share, home.Share))
	reach(of(share.Share, away.Low, home.Share), of(share.Share, away.High, home.Share))
	reach(of(share.Share, away.Share, home.Low), of(share.Share, away.Share, home.High))
	return Estimate{x, x - math.Sqrt(below), min(1, x+math.Sqrt(above))}
}
