package analysis

import "math"

// clusters are what the variance of a ratio is made of: one term per cluster
// (client prefix), since views from one prefix share a network and a route and
// are far from independent.
//
// The ratio is Σy/Σw, where w_p > 0 is the weight of a prefix's views and y_p
// what they add to the numerator. All terms are added first, then all of them
// are given to spread.
type clusters struct {
	n           int     // clusters
	w, y, ww    float64 // Σw, Σy, Σw²
	uu          float64 // Σu²/(1 − w_p/Σw) of the residuals u_p = y_p − ratio·w_p
	informative int     // clusters that show the rarer outcome
}

func (c *clusters) add(w, y float64) {
	c.n++
	c.w += w
	c.y += y
	c.ww += w * w
}

// spread adds a cluster's squared residual. A residual is too small by the
// cluster's own pull on the ratio, which the divisor makes up for (CR2 of Bell
// and McCaffrey, 2002). For clusters of equal weight it is the usual G/(G−1);
// with one prefix of a fifth of the weight that alone would be too little.
func (c *clusters) spread(w, y float64, informative bool) {
	if informative {
		c.informative++
	}
	if c.n > 1 {
		u := y - c.ratio()*w
		c.uu += u * u / (1 - w/c.w)
	}
}

func (c *clusters) ratio() float64 { return c.y / c.w }

// variance is the linearized, cluster-robust variance of the ratio; 0 for one
// cluster, which tells nothing.
func (c *clusters) variance() float64 { return c.uu / (c.w * c.w) }

// effective is the number of clusters of equal weight that would say as much
// (Kish): a few heavy prefixes are worth little more than those few.
func (c *clusters) effective() float64 { return c.w * c.w / c.ww }

// quantile is Student's t for a 95 % interval.
func (c *clusters) quantile() float64 { return tQuantile(max(1, c.effective()-1)) }

// trust is how far the variance between clusters is to be believed: not at all
// while no cluster shows the rarer outcome, 99 % from nine on.
func (c *clusters) trust() float64 {
	k := 1 + float64(c.informative)
	return 1 - 1/(k*k)
}

// share returns the 95 % interval of a share: Wilson's, with t for the normal
// quantile and an effective number of views, that is views over the design
// effect. views is Kish's (Σweight)²/Σweight² over single views. The design
// effect is measured between clusters, but at least 1, and pulled toward its
// worst, where all views of a cluster are alike, as long as hardly any cluster
// shows the rarer outcome: 300 prefixes without a miss say about as much as
// 300 views.
func (c *clusters) share(views float64) (low, high float64) {
	p := min(1, max(0, c.ratio()))
	worst := max(1, views/c.effective())
	effect := worst
	if p > 0 && p < 1 && c.n > 1 {
		measured := max(1, c.variance()/(p*(1-p))*views)
		effect = measured + max(0, worst-measured)*(1-c.trust())
	}
	return wilson(p, views/effect, c.quantile())
}

func wilson(p, n, z float64) (low, high float64) {
	z2 := z * z
	middle := (p + z2/(2*n)) / (1 + z2/n)
	half := z / (1 + z2/n) * math.Sqrt(p*(1-p)/n+z2/(4*n*n))
	return max(0, min(p, middle-half)), min(1, max(p, middle+half))
}

// difference returns the 95 % half-width of a difference of paired shares,
// where y adds +1, 0 or −1 per view. While hardly any cluster has views that
// differ, the variance between clusters is too small to be true; then that of
// Bonett and Price (one more pair each way), with clusters for pairs, is added.
func (c *clusters) difference() (half float64) {
	g := c.effective() + 2
	floor := 2 / (g * g) * (1 - c.trust())
	return c.quantile() * math.Sqrt(c.variance()+floor)
}

// z975 is the normal quantile that leaves 2.5 % above it.
const z975 = 1.959963984540054

// tQuantile returns the two-sided 95 % quantile of Student's t with df ≥ 1
// degrees of freedom, not necessarily whole (Hill, Algorithm 396, CACM 1970;
// exact at 1 and 2, TestTQuantile has the error elsewhere).
func tQuantile(df float64) float64 {
	const p = 0.05
	switch {
	case math.IsInf(df, 1):
		return z975
	case df <= 1:
		return 1 / math.Tan(p*math.Pi/2)
	case df == 2:
		return math.Sqrt(2/(p*(2-p)) - 2)
	}
	a := 1 / (df - 0.5)
	b := 48 / (a * a)
	c := ((20700*a/b-98)*a-16)*a + 96.36
	d := ((94.5/(b+c)-3)/b + 1) * math.Sqrt(a*math.Pi/2) * df
	y := math.Pow(d*p, 2/df)
	if y > 0.05+a {
		x := -z975
		y = x * x
		if df < 5 {
			c += 0.3 * (df - 4.5) * (x + 0.6)
		}
		c = (((0.05*d*x-5)*x-7)*x-2)*x + b + c
		y = (((((0.4*y+6.3)*y+36)*y+94.5)/c-y-3)/b + 1) * x
		y = math.Expm1(a * y * y)
	} else {
		y = ((1/(((df+6)/(df*y)-0.089*d-0.822)*(df+2)*3)+0.5/(df+4))*y-1)*(df+1)/(df+2) + 1/y
	}
	return math.Sqrt(df * y)
}
