package ramp

import "math"

// mixture returns by how many standard errors an estimate may be off, to one
// side, at any time at all with probability 1 − alpha: Robbins' normal mixture
// in its one-sided closed form (Howard, Ramdas, McAuliffe, Sekhon, Annals of
// Statistics 2021, section 3.2). info is 1/SE², the intrinsic time; the bound
// is tightest about where info is tuned for.
func mixture(info, tuned, alpha float64) float64 {
	rho := tuned / (2*math.Log(1/(2*alpha)) + math.Log(1+2*math.Log(1/(2*alpha))))
	return math.Sqrt(2 * (1 + rho/info) * math.Log1p(math.Sqrt(1+info/rho)/(2*alpha)))
}

// target returns the information at which a mixture is tuned for a difference
// of delta, and that which gives the power to see it.
func target(delta, alpha float64) float64 {
	z := math.Sqrt(2*math.Log(1/(2*alpha))) + 1
	return z * z / (delta * delta)
}

// needed returns the information that tells a difference of delta from none
// with error alpha and the power given.
func needed(delta, alpha, power float64) float64 {
	z := normalQuantile(1-alpha) + normalQuantile(power)
	return z * z / (delta * delta)
}

// widen turns a normal bound into that of Student's t with df degrees of
// freedom at the same probability (Wallace, Annals of Mathematical Statistics
// 1959; the error is in TestWiden): variances come from few groups of units.
func widen(z, df float64) float64 {
	if df > 1e6 {
		return z
	}
	df = max(1, df)
	w := z * (8*df + 3) / (8*df + 1)
	return math.Sqrt(df * math.Expm1(w*w/df))
}

// normalQuantile is the inverse of the normal distribution function.
func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

// spend returns the part of alpha that the nth of endlessly many comparisons
// gets, n from 1: the parts add up to alpha.
func spend(alpha float64, n int) float64 { return alpha / (float64(n) * float64(n+1)) }

// ratio is what one arm's sums say: a rate, and by how much each group of
// units moves it.
type ratio struct {
	rate  float64
	size  float64             // denominator
	pull  [unitGroups]float64 // the sum of squares is the rate's variance
	units int                 // that it is worth at least
	df    float64
}

// sumsOf sets r, which is empty, to the ratio Σy/Σn over groups of units, with the linearized
// variance of docs/method.md, the groups being its clusters: random groups of
// independent units are independent, and need no more memory than there are
// groups.
func sumsOf(n, y []float64, r *ratio) {
	var sy, nn float64
	groups := 0
	for i, x := range n {
		if x > 0 {
			groups++
			r.size += x
			sy += y[i]
			nn += x * x
		}
	}
	if groups < 2 {
		r.units = groups
		return
	}
	r.rate = sy / r.size
	for i, x := range n {
		if x > 0 {
			r.pull[i] = (y[i] - r.rate*x) / (r.size * math.Sqrt(1-x/r.size))
		}
	}
	// As many groups of equal weight would say as much (Kish): a few heavy units
	// are worth no more than those few.
	r.df = r.size*r.size/nn - 1
	r.units = int(r.df + 1 + 1e-9)
}

// difference is how much worse the treatment arm is, with its standard error.
type difference struct {
	harm, se, df float64
	theta        float64 // part of the difference before that was taken off
	ok           bool
}

// differ compares two arms, by arm. What their units differed by before is
// taken off by the part theta of it that leaves the least variance (CUPED:
// Deng, Xu, Kohavi, Walker, WSDM 2013): it cannot be an effect of the ramp, so
// that whatever is taken off, the difference stays unbiased.
//
// Neither arm's variance counts for less than it is among independent events
// at the rate of both together: an arm that has seen no failure yet is not
// sure that there are none.
func differ(now, before *[2]ratio) (d difference) {
	c, t := &now[Control], &now[Treatment]
	if c.units < MinUnits || t.units < MinUnits {
		return d
	}
	var own, both, old [2]float64
	adjust := before[Control].units >= MinUnits && before[Treatment].units >= MinUnits
	for arm := range now {
		for i, e := range &now[arm].pull {
			b := before[arm].pull[i]
			own[arm] += e * e
			both[arm] += e * b
			old[arm] += b * b
		}
	}
	if x := old[Control] + old[Treatment]; adjust && x > 0 {
		d.theta = min(1, max(0, (both[Control]+both[Treatment])/x))
	}
	pooled := (c.rate*c.size + t.rate*t.size + 1) / (c.size + t.size + 1)
	floor := pooled * max(0.1, 1-pooled) // for rates above 1 as well
	var v [2]float64
	for arm := range v {
		v[arm] = max(own[arm]-2*d.theta*both[arm]+d.theta*d.theta*old[arm], floor/now[arm].size)
	}
	// Units are drawn from the same ones, so that each arm's variance can also be
	// told from the other's. A small arm without the rare bad units would not
	// know of them.
	v[Control], v[Treatment] = max(v[Control], v[Treatment]*t.size/c.size), max(v[Treatment], v[Control]*c.size/t.size)
	d.harm = t.rate - c.rate - d.theta*(before[Treatment].rate-before[Control].rate)
	d.se = math.Sqrt(v[Control] + v[Treatment])
	d.df = d.se * d.se * d.se * d.se / (v[Control]*v[Control]/c.df + v[Treatment]*v[Treatment]/t.df) // Satterthwaite
	d.ok = d.se > 0
	return d
}
