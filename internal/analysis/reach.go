package analysis

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"catchment/internal/edge"
)

// Reach is the report on who reaches which PoP under one scheme, down to
// networks in places. Failed probes reach none and are not in it. What is asked
// of it can also be asked of several together (Reaches), so that a part that
// does not change is made once.
type Reach struct {
	scheme int
	sums   map[reachKey]*reachSums
	all    float64 // weight
	views  uint64
}

type reachKey struct {
	country, subdivision string
	asn                  uint32
	pop                  edge.PoPID
}

type reachSums struct {
	views, weight float64
	astray        []astraySums
	lost          float64    // weight × ms, of a sum of astray ones
	bins          []binCount // RTTs of the scheme's probes, in any order
}

type astraySums struct {
	best                edge.PoPID
	views, weight, lost float64 // lost: weight × ms
}

type binCount struct {
	bin   uint16
	count uint32
}

// NewReach returns an empty report.
func NewReach(scheme edge.Scheme) *Reach {
	return &Reach{scheme: scheme.Index(), sums: map[reachKey]*reachSums{}}
}

// Views returns the page views in which the scheme was answered.
func (r *Reach) Views() uint64 { return r.views }

// Compact gives back memory, before a report is kept.
func (r *Reach) Compact() {
	for _, s := range r.sums {
		slices.SortFunc(s.bins, func(a, b binCount) int { return cmp.Compare(a.bin, b.bin) })
		merged := s.bins[:0]
		for _, b := range s.bins {
			if n := len(merged); n > 0 && merged[n-1].bin == b.bin {
				merged[n-1].count += b.count
			} else {
				merged = append(merged, b)
			}
		}
		s.bins, s.astray = fit(merged), fit(s.astray)
	}
}

// Reaches are reports on the same scheme about different views.
type Reaches []*Reach

func (r *Reach) of(c *edge.Cell, pop edge.PoPID) *reachSums {
	k := reachKey{c.Country, c.Subdivision, c.ASN, pop}
	s := r.sums[k]
	if s == nil {
		s = &reachSums{}
		k.country, k.subdivision, k.pop = strings.Clone(k.country), strings.Clone(k.subdivision), edge.PoPID(strings.Clone(string(k.pop)))
		r.sums[k] = s
	}
	return s
}

func (r *Reach) addLatencies(l *edge.Latencies) {
	if l.Scheme.Index() != r.scheme {
		return
	}
	s := r.of(&l.Cell, l.PoP)
	for i, x := range l.Samples {
		s.bins = append(s.bins, binCount{uint16(x.Bin()), l.Counts[i]})
	}
}

func (r *Reach) add(j *judgement) {
	o := &j.outcomes[r.scheme]
	if !o.probed() || o.failed || j.views == 0 {
		return
	}
	s := r.of(&j.at.Cell, o.pop)
	s.views += float64(j.views)
	s.weight += j.weight
	r.all += j.weight
	r.views += j.views
	if !o.judged {
		return
	}
	if o.optimal {
		return
	}
	i := slices.IndexFunc(s.astray, func(a astraySums) bool { return a.best == j.best })
	if i < 0 {
		i = len(s.astray)
		s.astray = append(s.astray, astraySums{best: edge.PoPID(strings.Clone(string(j.best)))})
	}
	a := &s.astray[i]
	a.views += float64(j.views)
	a.weight += j.weight
	a.lost += j.weight * o.penalty
}

// ReachedPlace is a place with the PoPs that its page views reach.
type ReachedPlace struct {
	Country, Subdivision string // without subdivision: the country in all
	Views                uint64
	PoPs                 []PoPShare // the largest first
}

// PoPShare is a PoP's share of the weight.
type PoPShare struct {
	PoP   edge.PoPID
	Share float64
}

// Places returns all countries, and the subdivisions of those that have some,
// most views first. Views from nobody knows where are left out.
func (all Reaches) Places() []ReachedPlace {
	type sums struct {
		views, weight float64
		pops          map[edge.PoPID]float64
	}
	sumsOf := map[[2]string]*sums{}
	each := func(k reachKey, s *reachSums) {
		if k.country == "" || s.weight == 0 {
			return
		}
		add := func(place [2]string) {
			p := sumsOf[place]
			if p == nil {
				p = &sums{pops: map[edge.PoPID]float64{}}
				sumsOf[place] = p
			}
			p.views += s.views
			p.weight += s.weight
			p.pops[k.pop] += s.weight
		}
		add([2]string{k.country, ""})
		if k.subdivision != "" {
			add([2]string{k.country, k.subdivision})
		}
	}
	for _, r := range all {
		for k, s := range r.sums {
			each(k, s)
		}
	}
	places := make([]ReachedPlace, 0, len(sumsOf))
	for place, s := range sumsOf {
		p := ReachedPlace{Country: place[0], Subdivision: place[1], Views: uint64(s.views)}
		for pop, w := range s.pops {
			p.PoPs = append(p.PoPs, PoPShare{pop, w / s.weight})
		}
		slices.SortFunc(p.PoPs, func(a, b PoPShare) int {
			return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.PoP, b.PoP))
		})
		places = append(places, p)
	}
	slices.SortFunc(places, func(a, b ReachedPlace) int {
		return cmp.Or(cmp.Compare(b.Views, a.Views), cmp.Compare(a.Country, b.Country), cmp.Compare(a.Subdivision, b.Subdivision))
	})
	return places
}

// Arrival is a part of what reaches a PoP: a place, a network, or views of a
// network in a place that have a better PoP.
type Arrival struct {
	Country, Subdivision string
	ASN                  uint32
	Best                 edge.PoPID // of those that belong elsewhere
	Views                uint64
	Share                float64 // of the weight that reaches the PoP
	P50                  float64 // RTT, ms; NaN: not measured
	Penalty              float64 // ms, mean; of those that belong elsewhere, else 0
	lost                 float64
}

// At is what reaches one PoP. Lists have the largest first.
type At struct {
	Views     uint64
	Share     float64 // of the weight of all that the scheme was answered for
	Places    []Arrival
	Networks  []Arrival
	Elsewhere []Arrival             // not optimal there, most users × ms first
	RTT       [edge.NumBins]float64 // probes by latency bin
}

// At returns what reaches a PoP.
func (all Reaches) At(pop edge.PoPID) *At {
	out := &At{Share: math.NaN()}
	places, networks, whole := map[reachKey]*reachSums{}, map[reachKey]*reachSums{}, map[reachKey]*reachSums{}
	weight, total := 0.0, 0.0
	for _, r := range all {
		total += r.all
		for k, s := range r.sums {
			if k.pop != pop {
				continue
			}
			out.Views += uint64(s.views)
			weight += s.weight
			for _, b := range s.bins {
				out.RTT[min(int(b.bin), edge.NumBins-1)] += float64(b.count)
			}
			join(places, reachKey{country: k.country, subdivision: k.subdivision}, s)
			join(networks, reachKey{asn: k.asn}, s)
			for _, a := range s.astray {
				join(whole, reachKey{k.country, k.subdivision, k.asn, a.best}, &reachSums{views: a.views, weight: a.weight, lost: a.lost})
			}
		}
	}
	if total > 0 {
		out.Share = weight / total
	}
	out.Places, out.Networks, out.Elsewhere = arrivals(places, weight), arrivals(networks, weight), arrivals(whole, weight)
	slices.SortFunc(out.Elsewhere, func(a, b Arrival) int {
		return cmp.Or(cmp.Compare(b.lost, a.lost), compareArrivals(a, b))
	})
	return out
}

func join(to map[reachKey]*reachSums, k reachKey, s *reachSums) {
	x := to[k]
	if x == nil {
		x = &reachSums{}
		to[k] = x
	}
	x.views += s.views
	x.weight += s.weight
	x.lost += s.lost
	x.bins = append(x.bins, s.bins...)
}

func arrivals(sums map[reachKey]*reachSums, weight float64) []Arrival {
	list := make([]Arrival, 0, len(sums))
	for k, s := range sums {
		if s.weight > 0 {
			list = append(list, Arrival{
				Country: k.country, Subdivision: k.subdivision, ASN: k.asn, Best: k.pop,
				Views: uint64(s.views), Share: s.weight / weight, P50: s.median(), Penalty: s.lost / s.weight, lost: s.lost,
			})
		}
	}
	slices.SortFunc(list, func(a, b Arrival) int {
		return cmp.Or(cmp.Compare(b.Views, a.Views), compareArrivals(a, b))
	})
	return list
}

func compareArrivals(a, b Arrival) int {
	return cmp.Or(cmp.Compare(a.Country, b.Country), cmp.Compare(a.Subdivision, b.Subdivision), cmp.Compare(a.ASN, b.ASN), cmp.Compare(a.Best, b.Best))
}

// median is that of the RTTs, NaN without any.
func (s *reachSums) median() float64 {
	slices.SortFunc(s.bins, func(a, b binCount) int { return cmp.Compare(a.bin, b.bin) })
	total := 0.0
	for _, b := range s.bins {
		total += float64(b.count)
	}
	sum := 0.0
	for _, b := range s.bins {
		if sum += float64(b.count); 2*sum >= total {
			return edge.BinMs(int(b.bin))
		}
	}
	return math.NaN()
}

// Move is a network in a place that reaches another PoP than before.
type Move struct {
	Country, Subdivision string
	ASN                  uint32
	From, To             edge.PoPID
	Views                uint64  // after
	Before, After        float64 // median RTT to From before and to To after, ms; NaN: not measured
	weight               float64
}

// Moves compares where networks in places went before and after: each counts
// with the PoP that most of its weight reached, if it had at least so many
// views both times. Moved is the share of the compared weight, after, that
// belongs to networks that went elsewhere; NaN if none could be compared.
func Moves(before, after *Reach, least uint64) (moves []Move, compared uint64, moved float64) {
	was, is := before.mains(), after.mains()
	var all, gone float64
	for k, to := range is {
		from, ok := was[k]
		if !ok || k.country == "" || from.views < float64(least) || to.views < float64(least) {
			continue
		}
		compared += uint64(to.views)
		all += to.weight
		if from.pop == to.pop {
			continue
		}
		gone += to.weight
		moves = append(moves, Move{
			Country: k.country, Subdivision: k.subdivision, ASN: k.asn, From: from.pop, To: to.pop,
			Views: uint64(to.views), Before: from.sums.median(), After: to.sums.median(), weight: to.weight,
		})
	}
	slices.SortFunc(moves, func(a, b Move) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.Country, b.Country), cmp.Compare(a.Subdivision, b.Subdivision), cmp.Compare(a.ASN, b.ASN))
	})
	return moves, compared, ratio(gone, all)
}

// mainPoP is where most of a network in a place goes.
type mainPoP struct {
	pop           edge.PoPID
	sums          *reachSums // there
	views, weight float64    // of all PoPs
}

func (r *Reach) mains() map[reachKey]*mainPoP {
	all := map[reachKey]*mainPoP{}
	for k, s := range r.sums {
		pop := k.pop
		k.pop = ""
		m := all[k]
		if m == nil {
			m = &mainPoP{pop: pop, sums: s}
			all[k] = m
		}
		m.views += s.views
		m.weight += s.weight
		if s.weight > m.sums.weight || s.weight == m.sums.weight && pop < m.pop {
			m.pop, m.sums = pop, s
		}
	}
	return all
}
