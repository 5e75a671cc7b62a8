// Package ramptest makes up the evidence of a geography under a ramp, for tests
// and for measuring how often package ramp errs.
//
// What makes such evidence hard is in it: a unit's page views are alike, some
// units have hundreds of times the views of others, latencies have heavy
// tails, networks differ, and nights are quiet.
package ramptest

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"catchment/internal/edge"
	"catchment/internal/ramp"
)

// Look is the length of one stretch of evidence.
const Look = 5 * time.Minute

// World is one geography's units and what happens to them. All fields may be
// changed before the first call of Next.
type World struct {
	ID    string
	Views float64 // a day
	Harm  Harm    // of the treatment arm
	From  float64 // share of the treatment arm from which on there is harm

	units []unit
	pick  alias
	rng   *rand.Rand
	rows  map[int]int // by unit: its row
}

// Harm is what the treatment arm suffers.
type Harm struct {
	Latency  float64 // ms, in Network
	Network  uint32
	Failures float64 // share of probes and page loads
	Resets   float64 // a connection-minute
	Optimal  float64 // share of page views that are no longer optimal
	Load     float64 // of PoP "lax", in shares of capacity
}

// Networks are the three that most units are in, with half, a quarter and a
// fifth of them; a twentieth is in others.
var Networks = []uint32{64500, 64501, 64502}

type unit struct {
	network uint32
	bucket  uint16
	log     float64 // of its median latency, ms
	optimal float64
	failing float64
	resets  float64
}

// New returns a world of n units.
func New(seed uint64, id string, n int, views float64) *World {
	rng := rand.New(rand.NewPCG(seed, 0x72616d70))
	w := &World{ID: id, Views: views, rng: rng, rows: map[int]int{}}
	weights := make([]float64, n)
	for i := range n {
		u := unit{bucket: uint16(rng.IntN(10000)), network: 64510, log: math.Log(80)}
		switch x := rng.Float64(); {
		case x < 0.5:
			u.network, u.log = Networks[0], math.Log(35)
		case x < 0.75:
			u.network, u.log = Networks[1], math.Log(50)
		case x < 0.95:
			u.network, u.log = Networks[2], math.Log(28)
		}
		u.log += 0.25 * rng.NormFloat64()
		u.optimal = 0.85
		if rng.Float64() < 0.08 { // units that routing treats badly, whatever the scheme
			u.optimal = 0.35
		}
		u.failing = 0.003 * math.Exp(0.8*rng.NormFloat64()-0.32)
		u.resets = 0.004 * math.Exp(rng.NormFloat64()-0.5)
		w.units = append(w.units, u)
		weights[i] = math.Exp(1.2 * rng.NormFloat64())
	}
	w.pick = newAlias(weights)
	return w
}

// rhythm is how busy an hour of the day is; the mean is about 1.
func rhythm(t time.Time) float64 {
	hour := t.Sub(t.Truncate(24*time.Hour)).Hours() - 20
	return 1 + 0.7*math.Cos(hour/24*2*math.Pi)
}

// Next returns the evidence of the stretch that ends at until, under a share.
func (w *World) Next(until time.Time, share float64) *ramp.Evidence {
	from := until.Add(-Look)
	g := ramp.GeographyViews{ID: w.ID, Share: share}
	clear(w.rows)
	harm := Harm{}
	if share >= w.From {
		harm = w.Harm
	}
	var pops [2][2]float64
	views := w.poisson(w.Views * rhythm(from) * Look.Hours() / 24)
	g.Rows = make([]ramp.Row, 0, views)
	first := make([]ramp.BinCount, views) // most units have one view
	for range views {
		n := w.pick.draw(w.rng)
		u := &w.units[n]
		at, ok := w.rows[n]
		if !ok {
			at = len(g.Rows)
			w.rows[n] = at
			g.Rows = append(g.Rows, ramp.Row{Unit: uint64(n), Network: u.network, Bucket: u.bucket, Latency: first[at : at : at+1]})
		}
		r := &g.Rows[at]
		h, arm := Harm{}, ramp.Control
		if float64(u.bucket) < share*10000 {
			h, arm = harm, ramp.Treatment
		}
		w.view(u, r, h)
		pop := 0
		if w.rng.Float64() < 0.3+0.3*float64(arm) {
			pop = 1
		}
		pops[pop][arm]++
	}
	g.PoPs = []ramp.PoPViews{
		{PoP: "iad", Control: pops[0][0], Treatment: pops[0][1]},
		{PoP: "lax", Control: pops[1][0], Treatment: pops[1][1]},
	}
	return &ramp.Evidence{
		From: from, Until: until, Geographies: []ramp.GeographyViews{g},
		Loads: []ramp.PoPLoad{
			{PoP: "iad", Load: 300 * rhythm(from), Capacity: 1000},
			{PoP: "lax", Load: 400*rhythm(from) + 1000*harm.Load, Capacity: 1000},
		},
	}
}

func (w *World) view(u *unit, r *ramp.Row, h Harm) {
	rng := w.rng
	r.Views++
	if rng.Float64() < 0.01 { // a cached answer from before
		r.Contaminated++
	}
	if rng.Float64() < 0.95 {
		r.Judged++
		if rng.Float64() < u.optimal-h.Optimal {
			r.Optimal++
		}
	}
	for range 3 {
		r.Probes++
		if rng.Float64() < u.failing+h.Failures {
			r.Failed++
		}
	}
	r.Loads++
	if rng.Float64() < u.failing+h.Failures {
		r.Broken++
	}
	minutes := 2 * rng.ExpFloat64()
	r.Connected += minutes
	r.Resets += float64(w.poisson(minutes * (u.resets + h.Resets)))
	ms := math.Exp(u.log + 0.45*rng.NormFloat64())
	if rng.Float64() < 0.03 { // a queue somewhere: Pareto of index 1.5
		ms += 50 * (math.Pow(1-rng.Float64(), -1/1.5) - 1)
	}
	if u.network == h.Network {
		ms += h.Latency
	}
	bin := uint16(edge.Bin(ms))
	if i := slices.IndexFunc(r.Latency, func(b ramp.BinCount) bool { return b.Bin == bin }); i >= 0 {
		r.Latency[i].Count++
	} else {
		r.Latency = append(r.Latency, ramp.BinCount{Bin: bin, Count: 1})
	}
}

// poisson draws a number with the given mean.
func (w *World) poisson(mean float64) int {
	if mean > 60 {
		return max(0, int(math.Round(mean+math.Sqrt(mean)*w.rng.NormFloat64())))
	}
	n, p := 0, w.rng.Float64()
	for least := math.Exp(-mean); p > least; n++ {
		p *= w.rng.Float64()
	}
	return n
}

// alias draws indices by weight in constant time (Vose 1991).
type alias struct {
	keep  []float64
	other []int
}

func newAlias(weights []float64) alias {
	sum := 0.0
	for _, x := range weights {
		sum += x
	}
	n := len(weights)
	a := alias{make([]float64, n), make([]int, n)}
	var small, large []int
	for i, x := range weights {
		if a.keep[i] = x / sum * float64(n); a.keep[i] < 1 {
			small = append(small, i)
		} else {
			large = append(large, i)
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		a.other[s] = l
		if a.keep[l] -= 1 - a.keep[s]; a.keep[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, i := range slices.Concat(small, large) {
		a.keep[i] = 1
	}
	return a
}

func (a *alias) draw(rng *rand.Rand) int {
	i := rng.IntN(len(a.keep))
	if rng.Float64() < a.keep[i] {
		return i
	}
	return a.other[i]
}
