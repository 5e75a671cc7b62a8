package analysis

import (
	"math"
	"testing"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestTQuantile compares with the distribution function, integrated: the
// probability beyond the quantile must be 5 %.
func TestTQuantile(t *testing.T) {
	for _, c := range []struct{ df, want float64 }{
		{1, 12.7062}, {2, 4.3027}, {3, 3.1824}, {4, 2.7764}, {5, 2.5706}, {10, 2.2281}, {30, 2.0423}, {1e6, 1.9600}, {math.Inf(1), 1.9600},
	} {
		near(t, "t quantile", tQuantile(c.df), c.want, 0.0006*c.want)
	}
	for _, df := range []float64{1.1, 1.5, 1.9, 2.5, 3.7, 7.3, 22.5, 111.1} {
		// P(|T| > q) with T = √df·tan θ, whose density is proportional to cos(θ)^(df−1).
		q := math.Atan(tQuantile(df) / math.Sqrt(df))
		integral := func(from, to float64) (sum float64) {
			const steps = 200000
			for i := range steps {
				sum += math.Pow(math.Cos(from+(to-from)*(float64(i)+0.5)/steps), df-1)
			}
			return sum * (to - from) / steps
		}
		beyond := integral(q, math.Pi/2) / integral(0, math.Pi/2)
		if beyond < 0.045 || beyond > 0.0501 { // Hill's errs to the wide side between 1 and 2
			t.Errorf("%v degrees of freedom: %v lies beyond", df, beyond)
		}
	}
}

func clustersOf(w, y []float64) *clusters {
	var c clusters
	for i := range w {
		c.add(w[i], y[i])
	}
	for i := range w {
		rarer := y[i]
		if c.ratio() >= 0.5 {
			rarer = w[i] - y[i]
		}
		c.spread(w[i], y[i], rarer > 0)
	}
	return &c
}

// TestEqualClusters: for clusters of equal weight the variance is the textbook
// one of a mean, G/(G−1)·Σ(p−p̄)²/G².
func TestEqualClusters(t *testing.T) {
	c := clustersOf([]float64{10, 10, 10, 10}, []float64{2, 4, 7, 9})
	p := []float64{0.2, 0.4, 0.7, 0.9}
	mean, sum := 0.55, 0.0
	for _, v := range p {
		sum += (v - mean) * (v - mean)
	}
	near(t, "ratio", c.ratio(), mean, 1e-12)
	near(t, "variance", c.variance(), 4.0/3*sum/16, 1e-12)
	near(t, "effective", c.effective(), 4, 1e-12)
}

func TestShareNearTheEnds(t *testing.T) {
	repeat := func(n int, v float64) []float64 {
		s := make([]float64, n)
		for i := range s {
			s[i] = v
		}
		return s
	}
	// 300 prefixes of 100 views each, without a miss: the bound is that of 300
	// views, since a missing prefix may be wholly wrong.
	all := clustersOf(repeat(300, 100), repeat(300, 100))
	low, high := all.share(30000)
	near(t, "high", high, 1, 0)
	near(t, "low", low, 300/(300+all.quantile()*all.quantile()), 1e-9)

	// None optimal is the mirror image.
	low2, high2 := clustersOf(repeat(300, 100), repeat(300, 0)).share(30000)
	near(t, "low", low2, 0, 0)
	near(t, "high", high2, 1-low, 1e-9)

	// A miss in each of ten prefixes, and the clusters are believed: much
	// narrower, and the truth of views at random is inside.
	y := repeat(300, 100)
	for i := range 10 {
		y[i*30]--
	}
	low3, high3 := clustersOf(repeat(300, 100), y).share(30000)
	if !(low < low3 && low3 < 1-10.0/30000 && 1-10.0/30000 < high3 && high3 < 1 && high3-low3 < 0.002) {
		t.Errorf("ten misses: %v to %v", low3, high3)
	}

	// One prefix says next to nothing.
	low, high = clustersOf([]float64{1e6}, []float64{1e6}).share(1e6)
	if low > 0.1 || high != 1 {
		t.Errorf("one prefix: %v to %v", low, high)
	}
}

func TestVerdict(t *testing.T) {
	f := func(delta, half float64, want Verdict) {
		t.Helper()
		d := Difference{Views: 1, Delta: delta, Low: delta - half, High: delta + half, half: half, probed: true}
		if got := d.Verdict(0.05); got != want {
			t.Errorf("%+v ± %v: %q, want %q", delta, half, got, want)
		}
	}
	f(0.20, 0.01, UseAnycast)
	f(0.20, 0.14, UseAnycast) // vague, but all of it is beyond the margin
	f(0.20, 0.16, TooFew)
	f(0.06, 0.02, NoChange) // not clear of the margin
	f(-0.03, 0.02, NoChange)
	f(-0.21, 0.02, UseDNS)
	f(0, 0.051, TooFew)
	f(math.NaN(), math.NaN(), TooFew)
	if got := (Difference{}).Verdict(0.05); got != None {
		t.Errorf("not probed: %q", got)
	}
}
