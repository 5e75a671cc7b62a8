package analysis

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"catchment/internal/edge"
)

// PoPs is the report on whom every PoP serves under every scheme: its
// catchment, seen from the PoP.
type PoPs struct {
	served map[servedKey]*servedSums
	rtts   map[rttKey]*counts
	probed [len(edge.Schemes)]float64 // weight of the views a scheme brought an answer to
	totals Totals
}

type servedKey struct {
	pop    edge.PoPID
	scheme int8
}

type servedSums struct {
	views           uint64
	weight          float64
	judged, optimal float64
	continents      map[string]float64
	places          map[[2]string]float64 // country, subdivision
}

// rttKey selects RTTs: those of one scheme's probes that the PoP answered, or,
// to tell where the PoP is, those from one continent by the PoP's own name.
type rttKey struct {
	pop       edge.PoPID
	scheme    edge.Scheme
	continent string
}

// counts are probes per latency bin; no prefix is capped.
type counts struct {
	bins [edge.NumBins]float64
	n    float64
}

// NewPoPs returns an empty report.
func NewPoPs() *PoPs {
	return &PoPs{served: map[servedKey]*servedSums{}, rtts: map[rttKey]*counts{}, totals: newTotals()}
}

// Totals returns what is known about all views.
func (r *PoPs) Totals() Totals { return r.totals }

func (r *PoPs) addLatencies(l *edge.Latencies) {
	k := rttKey{pop: l.PoP, scheme: l.Scheme}
	if l.Scheme == "" {
		if k.continent = l.Continent; k.continent == "" {
			return
		}
	}
	c := r.rtts[k]
	if c == nil {
		k.pop = edge.PoPID(strings.Clone(string(k.pop)))
		k.scheme, k.continent = edge.Scheme(strings.Clone(string(k.scheme))), strings.Clone(k.continent)
		c = &counts{}
		r.rtts[k] = c
	}
	c.add(l)
}

func (c *counts) add(l *edge.Latencies) {
	for i, s := range l.Samples {
		n := float64(l.Counts[i])
		c.bins[min(s.Bin(), edge.NumBins-1)] += n
		c.n += n
	}
}

// quantile returns the RTT in ms below which a share q of the probes lies, NaN
// if there are none.
func (c *counts) quantile(q float64) float64 {
	if c == nil || c.n == 0 {
		return math.NaN()
	}
	return edge.BinEdgeMs(quantile(c.bins[:], 0, c.n, q))
}

func (r *PoPs) add(j *judgement) {
	r.totals.add(j)
	for k := range j.outcomes {
		o := &j.outcomes[k]
		if !o.probed() || o.failed {
			continue
		}
		r.probed[k] += j.weight
		s := r.served[servedKey{o.pop, int8(k)}]
		if s == nil {
			s = &servedSums{continents: map[string]float64{}, places: map[[2]string]float64{}}
			r.served[servedKey{edge.PoPID(strings.Clone(string(o.pop))), int8(k)}] = s
		}
		s.views += j.views
		s.weight += j.weight
		if o.judged {
			s.judged += j.weight
			if o.optimal {
				s.optimal += j.weight
			}
		}
		addTo(s.continents, j.at.Continent, j.weight, strings.Clone)
		addTo(s.places, [2]string{j.at.Country, j.at.Subdivision}, j.weight, func(p [2]string) [2]string {
			return [2]string{strings.Clone(p[0]), strings.Clone(p[1])}
		})
	}
}

// Join adds what another report is about.
func (r *PoPs) Join(o *PoPs) {
	r.totals.join(&o.totals)
	for k, w := range o.probed {
		r.probed[k] += w
	}
	for k, c := range o.rtts {
		sum := r.rtts[k]
		if sum == nil {
			sum = &counts{}
			r.rtts[k] = sum
		}
		for bin, n := range c.bins {
			sum.bins[bin] += n
		}
		sum.n += c.n
	}
	for k, s := range o.served {
		sum := r.served[k]
		if sum == nil {
			sum = &servedSums{continents: map[string]float64{}, places: map[[2]string]float64{}}
			r.served[k] = sum
		}
		sum.views += s.views
		sum.weight += s.weight
		sum.judged += s.judged
		sum.optimal += s.optimal
		for continent, w := range s.continents {
			sum.continents[continent] += w
		}
		for place, w := range s.places {
			sum.places[place] += w
		}
	}
}

// addTo adds w to m[k], cloning k if it is new.
func addTo[K comparable](m map[K]float64, k K, w float64, clone func(K) K) {
	if old, ok := m[k]; ok {
		m[k] = old + w
		return
	}
	m[clone(k)] = w
}

// Served is what one PoP serves under one scheme. Floats are NaN where nothing
// is known.
type Served struct {
	PoP        edge.PoPID
	Scheme     edge.Scheme
	Views      uint64
	Share      float64      // of the weight of all views that the scheme brought an answer to
	Places     []PlaceShare // where they come from, most first
	P50, P90   float64      // RTT of the scheme's probes that this PoP answered, ms
	NotOptimal float64      // share of the judged weight
	Home       string       // continent the PoP is nearest to, see home
	Foreign    float64      // share of the weight that comes from another continent than Home
}

// PlaceShare is a place's share of the weight.
type PlaceShare struct {
	Country, Subdivision string
	Share                float64
}

// Place is the ISO 3166-2 code of the place, or its country's.
func (p *PlaceShare) Place() string { return placeName(p.Country, p.Subdivision) }

// maxPlaces is how many places a Served names.
const maxPlaces = 5

// Rows returns PoPs in the order of their names, schemes in the order of
// edge.Schemes.
func (r *PoPs) Rows() []Served {
	homes := r.homes()
	rows := make([]Served, 0, len(r.served))
	for k, s := range r.served {
		scheme := edge.Schemes[k.scheme]
		rtt := r.rtts[rttKey{pop: k.pop, scheme: scheme}]
		row := Served{
			PoP: k.pop, Scheme: scheme, Views: s.views,
			Share: ratio(s.weight, r.probed[k.scheme]), Places: s.top(),
			P50: rtt.quantile(0.5), P90: rtt.quantile(0.9),
			NotOptimal: ratio(s.judged-s.optimal, s.judged), Home: homes[k.pop], Foreign: math.NaN(),
		}
		if row.Home != "" {
			known := s.weight - s.continents[""]
			row.Foreign = ratio(known-s.continents[row.Home], known)
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b Served) int {
		return cmp.Or(cmp.Compare(a.PoP, b.PoP), cmp.Compare(a.Scheme.Index(), b.Scheme.Index()))
	})
	return rows
}

// ratio is a/b within [0, 1], NaN if b is 0.
func ratio(a, b float64) float64 {
	if b <= 0 {
		return math.NaN()
	}
	return min(1, max(0, a/b))
}

func (s *servedSums) top() []PlaceShare {
	all := make([]PlaceShare, 0, len(s.places))
	for p, w := range s.places {
		all = append(all, PlaceShare{p[0], p[1], ratio(w, s.weight)})
	}
	slices.SortFunc(all, func(a, b PlaceShare) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.Place(), b.Place()))
	})
	return all[:min(len(all), maxPlaces)]
}

// homes says on which continent each PoP is: the one from which its own name
// is reached with the least median RTT, over at least 20 probes. Measured, so
// that the report needs no fleet file, and the report prints it.
func (r *PoPs) homes() map[edge.PoPID]string {
	type near struct {
		continent string
		ms        float64
	}
	nearest := map[edge.PoPID]near{}
	for k, c := range r.rtts {
		if k.scheme != "" || c.n < 20 {
			continue
		}
		ms := c.quantile(0.5)
		if at, ok := nearest[k.pop]; !ok || ms < at.ms || ms == at.ms && k.continent < at.continent {
			nearest[k.pop] = near{k.continent, ms}
		}
	}
	homes := make(map[edge.PoPID]string, len(nearest))
	for pop, at := range nearest {
		homes[pop] = at.continent
	}
	return homes
}
