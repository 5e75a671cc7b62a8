package analysis

import "math"

// gammaShare is the regularized lower incomplete gamma function P(a, x): the
// probability that a Poisson count of mean x is at least a. By its series below
// a+1, else by its continued fraction (Abramowitz and Stegun 6.5.29, 6.5.31).
func gammaShare(a, x float64) float64 {
	switch {
	case a <= 0:
		return 1
	case x <= 0:
		return 0
	}
	lg, _ := math.Lgamma(a)
	scale := math.Exp(a*math.Log(x) - x - lg)
	if x < a+1 {
		term, sum := 1/a, 1/a
		for n := a + 1; term > sum*1e-15; n++ {
			term *= x / n
			sum += term
		}
		return min(1, scale*sum)
	}
	return max(0, 1-scale*lentz(x+1-a, func(n float64) (num, den float64) { return -n * (n - a), x + 2*n + 1 - a }))
}

// lentz is 1/(b + a₁/(b₁ + a₂/(b₂ + …))) by the modified method of Lentz.
func lentz(b float64, next func(n float64) (num, den float64)) float64 {
	const tiny = 1e-300
	away := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	c, d := 1/tiny, 1/away(b)
	h := d
	for n := 1.0; n < 1e5; n++ {
		num, den := next(n)
		d = 1 / away(num*d+den)
		c = away(den + num/c)
		h *= d * c
		if math.Abs(d*c-1) < 1e-14 {
			break
		}
	}
	return h
}

// betaShare is the regularized incomplete beta function I(x; a, b): the
// probability of at least a successes in a+b−1 trials of probability x
// (Abramowitz and Stegun 26.5.8).
func betaShare(x, a, b float64) float64 {
	switch {
	case x <= 0 || b <= 0:
		return 0
	case x >= 1 || a <= 0:
		return 1
	case x > (a+1)/(a+b+2):
		return 1 - betaShare(1-x, b, a)
	}
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	front := math.Exp(lab-la-lb+a*math.Log(x)+b*math.Log1p(-x)) / a
	cf := lentz(1, func(n float64) (float64, float64) {
		m := math.Floor(n / 2)
		if math.Mod(n, 2) == 0 {
			return m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m)), 1
		}
		return -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1)), 1
	})
	return min(1, front*cf)
}

// gammaQuantile is the x at which gammaShare(a, x) is p, by bisection.
func gammaQuantile(p, a float64) float64 {
	high := a + 10*math.Sqrt(a) + 10
	for gammaShare(a, high) < p && high < 1e12 {
		high *= 2
	}
	return bisect(0, high, func(x float64) bool { return gammaShare(a, x) < p })
}

func bisect(low, high float64, under func(float64) bool) float64 {
	for range 100 {
		mid := (low + high) / 2
		if under(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return (low + high) / 2
}

// poissonInterval is the exact 95 % interval of the mean of a Poisson count
// (Garwood, Biometrika 28, 1936).
func poissonInterval(count float64) (low, high float64) {
	if count > 0 {
		low = gammaQuantile(0.025, count)
	}
	return low, gammaQuantile(0.975, count+1)
}

// ratioInterval is the exact 95 % interval of (k1/m1) / (k0/m0) for two
// Poisson counts: that of Clopper and Pearson of k1 among k1+k0. Its high end
// is +Inf without k0.
func ratioInterval(k1, m1, k0, m0 float64) (low, high float64) {
	odds := func(p float64) float64 { return p / (1 - p) * m0 / m1 }
	if k1 > 0 {
		low = odds(bisect(0, 1, func(p float64) bool { return betaShare(p, k1, k0+1) < 0.025 }))
	}
	high = math.Inf(1)
	if k0 > 0 {
		high = odds(bisect(0, 1, func(p float64) bool { return betaShare(p, k1+1, k0) < 0.975 }))
	}
	return low, high
}

// Rate is a rate of failures per minute of connection, with its 95 % interval.
// NaN where nothing was watched.
type Rate struct{ PerMinute, Low, High float64 }

// rateOf has the exact interval of the episodes, of which each is taken to have
// as many failures as they have on average: failures that come together are no
// independent witnesses.
func rateOf(failures, episodes, minutes float64) Rate {
	if minutes <= 0 {
		return Rate{math.NaN(), math.NaN(), math.NaN()}
	}
	low, high := poissonInterval(episodes)
	each := 1.0
	if episodes > 0 {
		each = failures / episodes
	}
	return Rate{failures / minutes, each * low / minutes, each * high / minutes}
}

// minus is the difference of two rates, with an interval recovered from theirs
// (Zou and Donner, Statistics in Medicine 27, 2008).
func (r Rate) minus(o Rate) Rate {
	d := r.PerMinute - o.PerMinute
	return Rate{
		d,
		d - math.Hypot(r.PerMinute-r.Low, o.High-o.PerMinute),
		d + math.Hypot(r.High-r.PerMinute, o.PerMinute-o.Low),
	}
}
