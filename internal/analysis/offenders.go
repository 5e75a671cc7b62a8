package analysis

import (
	"cmp"
	"slices"
	"strings"

	"catchment/internal/edge"
)

// Offenders is the report on which networks lose the most time where, and to
// which PoP: users × ms lost by assignments that were not optimal. Failed
// probes have no latency and are not in it.
type Offenders struct {
	index  map[offenderKey]int32
	sums   []offenderSums
	lost   [len(edge.Schemes)]float64 // weight × ms
	pops   pops
	totals Totals
}

type offenderKey struct {
	country, subdivision string
	asn                  uint32
	scheme               int8
	pop                  popID
}

type offenderSums struct {
	offenderKey
	views        uint64
	weight, lost float64
	best         popTally
	from, to     edge.Day
}

// NewOffenders returns an empty report.
func NewOffenders() *Offenders {
	return &Offenders{index: map[offenderKey]int32{}, pops: newPops(), totals: newTotals()}
}

// Totals returns what is known about all views.
func (r *Offenders) Totals() Totals { return r.totals }

func (r *Offenders) add(j *judgement) {
	r.totals.add(j)
	for k := range j.outcomes {
		o := &j.outcomes[k]
		if !o.judged || o.failed || o.optimal || j.views == 0 {
			continue
		}
		key := offenderKey{j.at.Country, j.at.Subdivision, j.at.ASN, int8(k), r.pops.number(o.pop)}
		i, ok := r.index[key]
		if !ok {
			key.country, key.subdivision = strings.Clone(key.country), strings.Clone(key.subdivision)
			i = int32(len(r.sums))
			r.index[key] = i
			r.sums = append(r.sums, offenderSums{offenderKey: key, from: j.at.Day, to: j.at.Day})
		}
		s := &r.sums[i]
		s.views += j.views
		s.weight += j.weight
		s.lost += j.weight * o.penalty
		r.lost[k] += j.weight * o.penalty
		s.best.add(r.pops.number(j.best), j.weight)
		s.from, s.to = min(s.from, j.at.Day), max(s.to, j.at.Day)
	}
}

// Offender is one network in one place that a scheme leads to one PoP, where
// another is better.
type Offender struct {
	ASN                  uint32
	Country, Subdivision string
	Scheme               edge.Scheme
	PoP                  edge.PoPID // the one reached
	Best                 edge.PoPID // for most of the weight
	Views                uint64
	Penalty              float64  // ms, mean over the views
	Lost                 float64  // users × ms: Σ over views of penalty/rate
	LostShare            float64  // of all that the scheme loses to PoPs that are not optimal, 0 to 1
	First, Last          edge.Day // days on which it was seen
}

// Place is the ISO 3166-2 code of the place, or its country's.
func (o *Offender) Place() string { return placeName(o.Country, o.Subdivision) }

// Rows returns all offenders, most users × ms first.
func (r *Offenders) Rows() []Offender {
	rows := make([]Offender, 0, len(r.sums))
	for i := range r.sums {
		s := &r.sums[i]
		best, _ := s.best.top(&r.pops)
		o := Offender{
			ASN: s.asn, Country: s.country, Subdivision: s.subdivision, Scheme: edge.Schemes[s.scheme],
			PoP: r.pops.names[s.pop], Best: best, Views: s.views, Lost: s.lost, First: s.from, Last: s.to,
		}
		if s.lost > 0 {
			o.Penalty, o.LostShare = s.lost/s.weight, s.lost/r.lost[s.scheme]
		}
		rows = append(rows, o)
	}
	slices.SortFunc(rows, func(a, b Offender) int {
		return cmp.Or(
			cmp.Compare(b.Lost, a.Lost), cmp.Compare(a.Place(), b.Place()), cmp.Compare(a.ASN, b.ASN),
			cmp.Compare(a.Scheme.Index(), b.Scheme.Index()), cmp.Compare(a.PoP, b.PoP))
	})
	return rows
}
