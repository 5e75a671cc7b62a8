package ramp

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Quantiles of Student's t from tables (one-sided), against those by widen.
func TestWiden(t *testing.T) {
	f := func(df, p, want, within float64) {
		t.Helper()
		if got := widen(normalQuantile(1-p), df); math.Abs(got/want-1) > within {
			t.Errorf("t(%g) at %g is %.4f, want %.4f", df, p, got, want)
		}
	}
	f(10, 0.025, 2.2281, 0.005)
	f(20, 0.025, 2.0860, 0.002)
	f(20, 0.0005, 3.8495, 0.002)
	f(60, 0.0005, 3.4602, 0.001)
	f(120, 0.005, 2.6174, 0.001)
	if got := widen(3, 1e9); got != 3 {
		t.Errorf("without end it is %v", got)
	}
}

// The bound on a random walk is crossed, at any of 3,000 looks, as seldom as
// promised, wherever it is tuned for; a fixed bound would not be.
func TestMixture(t *testing.T) {
	const walks, looks = 2000, 3000
	for _, alpha := range []float64{0.05, 0.01} {
		for _, tuned := range []float64{10, 300, 10_000} {
			bounds := make([]float64, looks)
			for i := range bounds {
				info := float64(i + 1)
				bounds[i] = mixture(info, tuned, alpha) * math.Sqrt(info)
			}
			rng := rand.New(rand.NewPCG(1, uint64(tuned)))
			crossed, naive := 0, 0
			for range walks {
				sum, over, overNaive := 0.0, false, false
				for i := range looks {
					sum += rng.NormFloat64()
					over = over || sum > bounds[i]
					overNaive = overNaive || i > 20 && sum > normalQuantile(1-alpha)*math.Sqrt(float64(i+1))
				}
				if over {
					crossed++
				}
				if overNaive {
					naive++
				}
			}
			share := float64(crossed) / walks
			if limit := alpha + 3*math.Sqrt(alpha/walks); share > limit {
				t.Errorf("alpha %g tuned at %g: crossed in %.4f of walks", alpha, tuned, share)
			}
			if crossed == 0 && tuned < 10_000 {
				t.Errorf("alpha %g tuned at %g: never crossed, which is too wide", alpha, tuned)
			}
			if float64(naive)/walks < 3*alpha {
				t.Errorf("a fixed bound was crossed in %d of %d walks only", naive, walks)
			}
		}
	}
}

// All chances of a false alarm that a plan hands out, over all geographies,
// networks, guardrails, directions and comparisons that ever follow, add up to
// no more than its guardrails' confidence leaves.
func TestAlphas(t *testing.T) {
	p := DefaultPlan()
	p.Geographies = []Geography{{ID: "a"}, {ID: "b", Networks: []uint32{1, 2, 3}}, {ID: "c", Networks: []uint32{4}}}
	sum := 0.0
	for i := range p.Geographies {
		tally := newTally(&p, &p.Geographies[i])
		for cell := range tally.Cells {
			for k := range p.Guardrails {
				if p.Guardrails[k].Metric == Load {
					continue
				}
				for life := 1; life <= 10_000; life++ {
					tally.Cells[cell].Streams[k].Life, tally.Cells[cell].Streams[k].Round = life, 1
					sum += 2 * p.alphas(&tally, cell, k).worse
				}
			}
		}
	}
	if sum > 0.05 || sum < 0.0499 {
		t.Errorf("they add up to %v", sum)
	}
}

// What units differed by before is taken off, and an arm without bad events is
// not sure that there are none.
func TestDiffer(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	arm := func(own []float64, views float64) (r ratio) {
		n, y := make([]float64, unitGroups), make([]float64, unitGroups)
		for i := range n {
			n[i] = views
			y[i] = math.Round(max(0, min(views, views*own[i]+math.Sqrt(views*0.1)*rng.NormFloat64())))
		}
		sumsOf(n, y, &r)
		return r
	}
	own := func() []float64 {
		x := make([]float64, unitGroups)
		for i := range x {
			x[i] = 0.2 + 0.1*rng.NormFloat64()
		}
		return x
	}
	a, b := own(), own()
	now, before := [2]ratio{arm(a, 1000), arm(b, 1000)}, [2]ratio{arm(a, 1000), arm(b, 1000)}
	adjusted, plain := differ(&now, &before), differ(&now, &[2]ratio{})
	if adjusted.theta < 0.9 || adjusted.se > plain.se/4 {
		t.Errorf("adjusted: %+v, plain: %+v", adjusted, plain)
	}
	if math.Abs(adjusted.harm) > 4*adjusted.se {
		t.Errorf("alike, and they differ: %+v", adjusted)
	}
	var none [2]ratio
	zero := make([]float64, unitGroups)
	full := make([]float64, unitGroups)
	for i := range full {
		full[i] = 10
	}
	sumsOf(full, zero, &none[Control])
	sumsOf(full, zero, &none[Treatment])
	if d := differ(&none, &[2]ratio{}); !d.ok || d.se < 1.0/1280/3 {
		t.Errorf("no failure in 1280 and 1280: %+v", d)
	}
}

func TestHist(t *testing.T) {
	var h Hist
	for i := range 1000 {
		h.add(binOf(10+float64(i)/10), 1) // 10 to 110 ms, evenly
	}
	for q, want := range map[float64]float64{0.1: 20, 0.5: 60, 0.9: 100} {
		if got := h.quantile(q); math.Abs(got/want-1) > 0.02 {
			t.Errorf("quantile %g is %.1f, want %g", q, got, want)
		}
		if got := h.below(want); math.Abs(got-q) > 0.01 {
			t.Errorf("%.3f are below %g, want %g", got, want, q)
		}
	}
	if (&Hist{}).quantile(0.5) != 0 || (&Hist{}).below(5) != 0 {
		t.Error("of nothing there is something")
	}
}

// A unit that floods a stretch counts as one twentieth of the smaller arm.
func TestHeaviest(t *testing.T) {
	p := DefaultPlan()
	p.Geographies = []Geography{{ID: "a"}}
	s := Begin(&p, testStart)
	tally := &s.Geographies[0].Tally
	views := GeographyViews{ID: "a", Share: 0.5}
	for u := range 100 {
		views.Rows = append(views.Rows, Row{Unit: uint64(u), Bucket: uint16(u * 100), Views: 10, Judged: 10, Optimal: 10})
	}
	views.Rows[0].Judged, views.Rows[0].Optimal, views.Rows[0].Views = 100_000, 0, 100_000
	tally.absorb(&p, &views, testStart)
	var r ratio
	u := &tally.Cells[0].Streams[0].Arms[Treatment]
	sumsOf(u.N, u.Y, &r)
	if got, want := r.rate*r.size, (100_000.0+990)/2/20; math.Abs(got-want) > 1 {
		t.Errorf("it counts for %v of %v, want %v", got, r.size, want)
	}
}
