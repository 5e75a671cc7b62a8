package propose

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"catchment/internal/edge"
)

// Region is PoPs that should share a VIP, and whom it should serve.
type Region struct {
	ID         string       `json:"id"`
	PoPs       []edge.PoPID `json:"pops"`
	Continents []string     `json:"continents"`          // most of whose countries are its
	Countries  []string     `json:"countries,omitempty"` // others that are, too
}

// Score is what regions are worth, as far as can be told: of page views, what
// reaches an optimal PoP, and the ms lost on the best one.
type Score struct {
	Optimal float64 `json:"optimal"`
	Lost    float64 `json:"lost_ms"`
}

// Regions are a proposal.
type Regions struct {
	Regions []Region `json:"regions"`
	Same    bool     `json:"same,omitempty"` // they are those of the fleet file: nothing better was found that holds on other days
	Days    int      `json:"days"`

	// On days that each proposal was not made from, the mean of all folds.
	Default  Score `json:"default"` // the fleet file's regions
	Proposed Score `json:"proposed"`
	// Guessed is the share of page views whose PoP follows from nothing that was
	// observed, under the proposal.
	Guessed float64 `json:"guessed"`
}

// leastMove is by how many ms in the mean a change of regions must be better to
// be worth it: each is something to explain and to announce.
const leastMove = 0.05

// worldwide is which PoPs announce each region's VIP, and the region of each
// country.
type layout struct {
	pops [][2]uint64 // bits
	of   map[string]int
}

func (l *layout) clone() *layout {
	c := &layout{pops: slices.Clone(l.pops), of: make(map[string]int, len(l.of))}
	maps.Copy(c.of, l.of)
	return c
}

func has(s [2]uint64, i int) bool { return s[i/64]>>(i%64)&1 != 0 }

func with(s [2]uint64, i int) [2]uint64 { s[i/64] |= 1 << (i % 64); return s }

func without(s [2]uint64, i int) [2]uint64 { s[i/64] &^= 1 << (i % 64); return s }

// Regions proposes regions, at most extra more than the fleet has. The error
// says what is missing for it.
func (d *Data) Regions(extra int) (*Regions, error) {
	switch {
	case len(d.fleet.Regions) == 0:
		return nil, errors.New("propose: the fleet has no regions to begin with")
	case len(d.fleet.PoPs) > 128:
		return nil, fmt.Errorf("propose: %d PoPs are more than 128", len(d.fleet.PoPs))
	case len(d.days) < 2:
		return nil, fmt.Errorf("propose: there are beacons of %d day (want 2 or more, to judge regions by days that they were not made from)", len(d.days))
	}
	base := d.continents()
	most := len(d.fleet.Regions) + extra
	r := &Regions{Days: len(d.days)}
	better := 0.0
	folds := min(Folds, len(d.days))
	for f := range folds {
		train := newJudge(d.part(d.rest[f], func(x int) bool { return x != f }), base)
		held := newJudge(d.part(d.fold[f], func(x int) bool { return x == f }), base)
		made := train.search(base, most)
		a, b := held.score(base), held.score(made)
		r.Default, r.Proposed = r.Default.plus(a, folds), r.Proposed.plus(b, folds)
		better += (a.Lost - b.Lost) / float64(folds)
	}
	whole := newJudge(d.part(d.whole, func(int) bool { return true }), base)
	made := whole.search(base, most)
	if better <= 0 || r.Proposed.Optimal < r.Default.Optimal-0.002 {
		made, r.Proposed = base, r.Default
	}
	r.Same = same(base, made)
	if r.Same {
		r.Proposed = r.Default
	}
	r.Guessed = whole.guessed(made)
	r.Regions = d.describe(made)
	return r, nil
}

func (s Score) plus(x Score, folds int) Score {
	return Score{s.Optimal + x.Optimal/float64(folds), s.Lost + x.Lost/float64(folds)}
}

func same(a, b *layout) bool {
	if !slices.Equal(a.pops, b.pops) {
		return false
	}
	for c, i := range a.of {
		if b.of[c] != i {
			return false
		}
	}
	return true
}

// continents is what the fleet file has.
func (d *Data) continents() *layout {
	l := &layout{of: map[string]int{}}
	for i := range d.fleet.Regions {
		var pops [2]uint64
		for _, id := range d.fleet.Regions[i].PoPs {
			pops = with(pops, d.pop(id))
		}
		l.pops = append(l.pops, pops)
	}
	for country, continent := range d.where {
		if r, ok := d.fleet.RegionOf(edge.Place{Country: country, Continent: continent}); ok {
			l.of[country] = slices.IndexFunc(d.fleet.Regions, func(x edge.Region) bool { return x.ID == r.ID })
		}
	}
	return l
}

func (d *Data) pop(id edge.PoPID) int {
	return slices.IndexFunc(d.fleet.PoPs, func(p edge.PoP) bool { return p.ID == id })
}

// judge scores layouts over some of the days.
type judge struct {
	base      *layout
	countries map[string][]flow
	names     []string
	weight    float64
	cache     map[cacheKey]sums
}

// flow is page views of one country that are alike.
type flow struct {
	weight           float64
	ms               []float64 // by PoP, by its own name; NaN: not known
	best             float64
	tolerated        float64 // ms that is still optimal
	global, regional int     // PoP reached; −1: none or not known
	globalMs         float64
	regionalMs       float64
}

type cacheKey struct {
	country string
	pops    [2]uint64
}

type sums struct{ weight, optimal, lost, guessed float64 }

func newJudge(p *part, base *layout) *judge {
	j := &judge{base: base, countries: map[string][]flow{}, cache: map[cacheKey]sums{}}
	fleet := p.data.fleet
	for k, v := range p.data.views {
		w := p.weight(v)
		order := p.order(k.cell)
		if _, served := base.of[k.cell.Country]; w == 0 || len(order) < 2 || !served {
			continue
		}
		f := flow{weight: w, ms: make([]float64, len(fleet.PoPs)), best: math.Inf(1), global: -1, regional: -1}
		for i := range fleet.PoPs {
			f.ms[i] = p.measured(k.cell, order, fleet.PoPs[i].ID)
			if f.ms[i] < f.best {
				f.best = f.ms[i]
			}
		}
		if math.IsInf(f.best, 1) {
			continue
		}
		f.tolerated = f.best + max(p.data.tol.Ms, p.data.tol.Share*f.best)
		f.global = p.data.pop(k.served[edge.Global.Index()])
		f.regional = p.data.pop(k.served[edge.Regional.Index()])
		if f.global >= 0 {
			f.globalMs = p.ms(k.cell, order, fleet.PoPs[f.global].ID)
		}
		if f.regional >= 0 {
			f.regionalMs = p.ms(k.cell, order, fleet.PoPs[f.regional].ID)
		}
		j.countries[k.cell.Country] = append(j.countries[k.cell.Country], f)
		j.weight += w
	}
	for c, flows := range j.countries {
		j.names = append(j.names, c)
		// Sums must not depend on the order of a map.
		slices.SortFunc(flows, func(a, b flow) int {
			return cmp.Or(cmp.Compare(a.weight, b.weight), cmp.Compare(a.best, b.best), cmp.Compare(a.global, b.global), cmp.Compare(a.regional, b.regional))
		})
	}
	slices.Sort(j.names)
	return j
}

// farthest returns the PoP that is farthest among some, of those whose distance
// is known; and how many there are.
func (f *flow) farthest(pops [2]uint64) (worst, n int) {
	worst = -1
	for i, ms := range f.ms {
		if has(pops, i) {
			n++
			if !math.IsNaN(ms) && (worst < 0 || ms > f.ms[worst]) {
				worst = i
			}
		}
	}
	return worst, n
}

// reach predicts the ms of a flow where some PoPs announce its VIP. Networks
// choose among the routes that there are: who prefers a PoP when all announce,
// or when its region does, prefers it among fewer, too (independence of
// irrelevant alternatives, which holds for best-path selection as far as
// withdrawing others opens no new path to it). Who has none of these left goes
// to the farthest, as far as anybody knows: whatever else one guessed, a search
// would find the layout for which the guess is too kind. Where there is only
// one PoP, that is no guess.
func (f *flow) reach(pops, current [2]uint64) (ms float64, guessed bool) {
	switch {
	case pops == current && f.regional >= 0:
		return f.regionalMs, false
	case f.global >= 0 && has(pops, f.global):
		return f.globalMs, false
	case f.regional >= 0 && has(pops, f.regional):
		return f.regionalMs, false
	}
	worst, n := f.farthest(pops)
	if worst < 0 {
		return math.NaN(), n > 1
	}
	return f.ms[worst], n > 1
}

func (j *judge) of(country string, pops [2]uint64) sums {
	k := cacheKey{country, pops}
	if s, ok := j.cache[k]; ok {
		return s
	}
	var s sums
	current := j.base.pops[j.base.of[country]]
	flows := j.countries[country]
	for i := range flows {
		f := &flows[i]
		ms, guessed := f.reach(pops, current)
		s.weight += f.weight
		if guessed {
			s.guessed += f.weight
		}
		if math.IsNaN(ms) { // nobody would go there gladly
			const unknown = 300 // ms
			ms = f.best + unknown
		}
		s.lost += f.weight * max(0, ms-f.best)
		if ms <= f.tolerated {
			s.optimal += f.weight
		}
	}
	j.cache[k] = s
	return s
}

func (j *judge) total(l *layout) (t sums) {
	for _, c := range j.names {
		s := j.of(c, l.pops[l.of[c]])
		t.weight += s.weight
		t.optimal += s.optimal
		t.lost += s.lost
		t.guessed += s.guessed
	}
	return t
}

func (j *judge) score(l *layout) Score {
	t := j.total(l)
	return Score{t.optimal / max(1e-9, t.weight), t.lost / max(1e-9, t.weight)}
}

func (j *judge) guessed(l *layout) float64 {
	t := j.total(l)
	return t.guessed / max(1e-9, t.weight)
}

// search makes the best change until none is worth it.
func (j *judge) search(from *layout, most int) *layout {
	now := from.clone()
	lost := j.total(now).lost
	const rounds = 200 // each gains leastMove at least
	for range rounds {
		var best *layout
		least := lost - leastMove*j.weight
		for _, next := range j.moves(now, most) {
			if x := j.total(next).lost; x < least {
				best, least = next, x
			}
		}
		if best == nil {
			break
		}
		now, lost = best, least
	}
	return now
}

// moves are all single changes: a country to another region, a PoP into or out
// of one, a PoP with the countries nearest to it into a region of its own.
func (j *judge) moves(l *layout, most int) (all []*layout) {
	pops := len(j.anyFlow().ms)
	for _, c := range j.names {
		for r := range l.pops {
			if r != l.of[c] {
				next := l.clone()
				next.of[c] = r
				all = append(all, next)
			}
		}
	}
	for r := range l.pops {
		for i := range pops {
			next := l.clone()
			if has(l.pops[r], i) {
				next.pops[r] = without(l.pops[r], i)
			} else {
				next.pops[r] = with(l.pops[r], i)
			}
			if next.pops[r] != [2]uint64{} {
				all = append(all, next)
			}
		}
	}
	if len(l.pops) < most {
		for i := range pops {
			next := l.clone()
			next.pops = append(next.pops, with([2]uint64{}, i))
			moved := false
			for _, c := range j.names {
				if j.home(c) == i {
					next.of[c], moved = len(next.pops)-1, true
				}
			}
			if moved {
				all = append(all, next)
			}
		}
	}
	return all
}

func (j *judge) anyFlow() *flow {
	for _, c := range j.names {
		return &j.countries[c][0]
	}
	return &flow{}
}

// home is the PoP that is best for most of a country.
func (j *judge) home(country string) int {
	weights := map[int]float64{}
	best := -1
	for i := range j.countries[country] {
		f := &j.countries[country][i]
		for p, ms := range f.ms {
			if ms == f.best {
				weights[p] += f.weight
				if best < 0 || weights[p] > weights[best] || weights[p] == weights[best] && p < best {
					best = p
				}
				break
			}
		}
	}
	return best
}

// describe writes a layout as a fleet file would.
func (d *Data) describe(l *layout) []Region {
	all := make([]Region, len(l.pops))
	for i := range l.pops {
		r := &all[i]
		if i < len(d.fleet.Regions) {
			r.ID = string(d.fleet.Regions[i].ID)
		}
		for p := range d.fleet.PoPs {
			if has(l.pops[i], p) {
				r.PoPs = append(r.PoPs, d.fleet.PoPs[p].ID)
			}
		}
		if r.ID == "" {
			r.ID = "r-" + string(r.PoPs[0])
		}
	}
	votes := map[string]map[int]int{}
	for c, i := range l.of {
		at := d.where[c]
		if votes[at] == nil {
			votes[at] = map[int]int{}
		}
		votes[at][i]++
	}
	home := map[string]int{}
	for continent, v := range votes {
		best := -1
		for i := range all {
			if v[i] > 0 && (best < 0 || v[i] > v[best]) {
				best = i
			}
		}
		home[continent] = best
		if continent != "" && best >= 0 {
			all[best].Continents = append(all[best].Continents, continent)
		}
	}
	for c, i := range l.of {
		if home[d.where[c]] != i || d.where[c] == "" {
			all[i].Countries = append(all[i].Countries, c)
		}
	}
	for i := range all {
		slices.Sort(all[i].Continents)
		slices.Sort(all[i].Countries)
	}
	return slices.DeleteFunc(all, func(r Region) bool { return len(r.Continents)+len(r.Countries) == 0 })
}

// String writes a region on a line.
func (r *Region) String() string {
	var pops []string
	for _, p := range r.PoPs {
		pops = append(pops, string(p))
	}
	s := fmt.Sprintf("{id: %s, vip: %s, continents: [%s], ", r.ID, r.ID, strings.Join(r.Continents, ", "))
	if len(r.Countries) > 0 {
		s += fmt.Sprintf("countries: [%s], ", strings.Join(r.Countries, ", "))
	}
	return s + fmt.Sprintf("pops: [%s]}", strings.Join(pops, ", "))
}
