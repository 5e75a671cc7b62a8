package ramp

import (
	"math"
	"time"
)

// Check is one comparison of the treatment arm with its control.
type Check struct {
	Metric  Metric `json:"metric"`
	Network uint32 `json:"network,omitempty"`
	Others  bool   `json:"others,omitempty"` // the networks that are not judged by themselves

	Units     [2]int     `json:"units"`     // by arm: seen at least, in equally heavy ones
	Size      [2]float64 `json:"size"`      // of what was counted, by arm
	Control   float64    `json:"control"`   // in the metric's unit
	Treatment float64    `json:"treatment"` // in the metric's unit
	Margin    float64    `json:"margin"`    // in the metric's unit

	// Harm is by how much the treatment arm is worse, with an interval that
	// holds at all times and over all comparisons of the ramp: for latencies the
	// share of them above the control arm's quantile, else in the metric's unit.
	Harm float64 `json:"harm"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`

	// Adjusted is the part of how the same units differed before, which was
	// taken off Harm; 0 where too little is known of that.
	Adjusted float64 `json:"adjusted,omitempty"`

	Verdict Verdict `json:"verdict"`
	Worse   bool    `json:"worse,omitempty"`  // Low > 0, however little
	Better  bool    `json:"better,omitempty"` // High < 0

	looksBad bool // the estimate is at the margin or beyond

	missing float64       // treatment's, in what Size counts, until Harmless if all goes well; +Inf: not foreseeable
	rate    float64       // of Size a second
	since   time.Duration // evidence in it
}

// foreseeable is how many times the views so far a forecast may want: beyond
// that it is rather units that are missing.
const foreseeable = 50

// Verdict is what a comparison has come to.
type Verdict string

// The verdicts.
const (
	TooFew   Verdict = "too_few"  // units
	Open     Verdict = "open"     // not known yet
	NoSign   Verdict = "no_sign"  // not known, but a standard error or more within the margin
	Harmless Verdict = "harmless" // not worse by the margin
	Breach   Verdict = "breach"   // worse, and by more than the margin as far as one can tell
)

// alphas are the chances of error that a comparison has: of calling the arm
// worse, or better, when it is not, and of calling it harmless when it is
// worse by the margin.
type alphas struct{ worse, harmless float64 }

// alphas divides what a guardrail's confidence leaves: among guardrails,
// geographies, both directions, the whole and its networks, and the
// comparisons that follow each other. The sum over all of them is at most
// 1 − Confidence, whatever depends on what (Bonferroni). Harmlessness is not
// divided: all comparisons must be harmless at once, and the chance that all
// err is no more than that of one (Berger, Technometrics 1982).
func (p *Plan) alphas(t *Tally, cell, rail int) alphas {
	g := &p.Guardrails[rail]
	s := &t.Cells[cell].Streams[rail]
	compared := 0
	for i := range p.Guardrails {
		if p.Guardrails[i].Metric != Load {
			compared++
		}
	}
	a := (1 - g.Confidence) / 2 / float64(compared) / float64(len(p.Geographies))
	switch {
	case len(t.Cells) > 1 && cell == 0:
		a /= 2
	case len(t.Cells) > 1:
		a /= 2 * float64(len(t.Cells)-1)
	}
	return alphas{spend(a, s.Life), spend(1-g.Confidence, s.Round)}
}

// judge compares the arms in one cell by one guardrail. It settles the
// stream's margin when both arms have the units, and notes how information
// grows.
func (p *Plan) judge(t *Tally, step, cell, rail int, seen time.Time) Check {
	g, s, of := &p.Guardrails[rail], &t.Cells[cell].Streams[rail], &t.Cells[cell]
	quantile := g.Metric.quantile()
	c := Check{Metric: g.Metric, Network: of.Network, Others: cell > 0 && of.Network == 0, Verdict: TooFew}
	var now, before [2]ratio
	for arm := range now {
		sumsOf(s.Arms[arm].N, s.Arms[arm].Y, &now[arm])
	}
	control, treatment := &now[Control], &now[Treatment]
	c.Units = [2]int{control.units, treatment.units}
	c.Size = [2]float64{control.size, treatment.size}
	c.Control, c.Treatment = control.rate, treatment.rate
	switch {
	case quantile > 0:
		c.Control, c.Treatment = of.Latencies[Control].quantile(quantile), of.Latencies[Treatment].quantile(quantile)
	case g.Metric == Optimal:
		c.Control, c.Treatment = 1-control.rate, 1-treatment.rate
	}
	c.since = seen.Sub(s.From)
	c.rate = treatment.size / max(1, c.since.Seconds())
	if c.missing = math.Inf(1); treatment.units > 0 {
		c.missing = treatment.size * max(0, float64(MinUnits-treatment.units)) / float64(treatment.units)
	}
	for arm := range before {
		var n, y [unitGroups]float64
		of.Before[rail].arm(Arm(arm), step, &n, &y)
		sumsOf(n[:], y[:], &before[arm])
	}
	d := differ(&now, &before)
	if !d.ok {
		return c
	}
	if s.Delta == 0 {
		s.Margin = p.allowance(cell) * max(g.Margin, g.Relative*control.rate)
		s.Delta = s.Margin
	}
	c.Margin = s.Margin
	beyond := difference{harm: d.harm - s.Margin, se: d.se, df: d.df} // how far the margin is exceeded
	if quantile > 0 {
		now[Treatment] = ratio{}
		sumsOf(s.Arms[Treatment].N, s.Arms[Treatment].Z, &now[Treatment])
		beyond = differ(&now, &before)
	}
	a := p.alphas(t, cell, rail)
	info := 1 / (d.se * d.se)
	half := d.se * widen(mixture(info, target(s.Delta, a.worse), a.worse), d.df)
	c.Harm, c.Low, c.High, c.Adjusted = d.harm, d.harm-half, d.harm+half, d.theta
	c.Worse, c.Better = c.Low > 0, c.High < 0

	info = 1 / (beyond.se * beyond.se)
	s.note(treatment.size, info)
	bound := widen(mixture(info, target(s.Delta, a.harmless), a.harmless), beyond.df)
	power := needed(s.Delta, a.harmless, p.Power)
	switch {
	case c.Worse && beyond.harm > 0:
		c.Verdict = Breach
	case beyond.harm+bound*beyond.se < 0 && info >= power:
		c.Verdict, c.missing = Harmless, 0
	default:
		c.Verdict, c.missing = Open, math.Inf(1)
		if beyond.harm+widen(1, beyond.df)*beyond.se < 0 {
			c.Verdict = NoSign
		}
		c.looksBad = beyond.harm > -s.Delta/10
		if !c.looksBad {
			want := max(power, bound*bound/(beyond.harm*beyond.harm)) / info
			if times := math.Pow(max(1, want), 1/s.growth()); times < foreseeable {
				c.missing = treatment.size * (times - 1)
			}
		}
	}
	return c
}

// note remembers size and information whenever size has doubled.
func (s *Stream) note(size, info float64) {
	if size >= 2*s.DoubledAt {
		s.HalfViews, s.HalfInfo = s.DoubledAt, s.Doubled
		s.DoubledAt, s.Doubled = size, info
	}
}

// growth is the power of size by which information grows: 1 when views are as
// good as independent, less when the same units come again.
func (s *Stream) growth() float64 {
	if s.HalfViews == 0 || s.HalfInfo <= 0 || s.Doubled <= 0 {
		return 1
	}
	return min(1, max(0.25, math.Log(s.Doubled/s.HalfInfo)/math.Log(s.DoubledAt/s.HalfViews)))
}

// judgeAll makes all comparisons of a geography.
func (p *Plan) judgeAll(g *Progress, seen time.Time) []Check {
	if share := p.share(g.Step); share <= 0 || share >= 1 {
		return nil
	}
	var all []Check
	for cell := range g.Tally.Cells {
		for rail := range p.Guardrails {
			if p.Guardrails[rail].Metric != Load {
				all = append(all, p.judge(&g.Tally, g.Step, cell, rail, seen))
			}
		}
	}
	return all
}
