package ramp

import "math"

// ArmRate is what one arm of a geography shows in its present step, with a
// 95 % interval for one look (Student's t over groups of units): for charts.
// What decides are Checks, whose intervals hold at all looks.
type ArmRate struct {
	Metric Metric  `json:"metric"`
	Units  int     `json:"units"` // worth, as Check.Units
	Size   float64 `json:"size"`  // of what is counted
	Rate   float64 `json:"rate"`  // share optimal, or of failures, or a rate a minute; for latencies the quantile, ms
	Low    float64 `json:"low,omitempty"`
	High   float64 `json:"high,omitempty"`
}

// ArmRates returns what is known of each arm of a geography, by arm. Latencies
// come without intervals.
func (p *Plan) ArmRates(g *Progress) (arms [2][]ArmRate) {
	whole := &g.Tally.Cells[0]
	for k := range p.Guardrails {
		m := p.Guardrails[k].Metric
		if m == Load {
			continue
		}
		for arm := range arms {
			u := &whole.Streams[k].Arms[arm]
			var r ratio
			sumsOf(u.N, u.Y, &r)
			a := ArmRate{Metric: m, Units: r.units, Size: r.size, Rate: r.rate}
			variance := 0.0
			for _, x := range r.pull {
				variance += x * x
			}
			half := widen(1.959964, r.df) * math.Sqrt(variance)
			a.Low, a.High = max(0, r.rate-half), r.rate+half
			switch {
			case m.quantile() > 0:
				a.Rate, a.Low, a.High = whole.Latencies[arm].quantile(m.quantile()), 0, 0
				a.Size, a.Units = whole.Latencies[arm].Total, 0
			case r.units < 2:
				a.Low, a.High = 0, 1
			}
			if m == Optimal {
				a.Rate, a.Low, a.High = 1-a.Rate, 1-min(1, a.High), 1-a.Low
			}
			if a.Size > 0 && !math.IsNaN(a.Rate) {
				arms[arm] = append(arms[arm], a)
			}
		}
	}
	return arms
}
