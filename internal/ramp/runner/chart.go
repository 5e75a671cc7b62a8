package runner

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"catchment/internal/ramp"
)

// Chart is how a ramp went: for each geography the share of page views that
// reached an optimal PoP over time, by arm and in all, with what was decided.
type Chart struct {
	Ramp        string        `json:"ramp"`
	Service     string        `json:"service"`
	Every       ramp.Duration `json:"every"`
	Geographies []Curve       `json:"geographies"`
	All         []Value       `json:"all"` // the geographies together
}

// Curve is one geography's.
type Curve struct {
	ID     string  `json:"id"`
	Values []Value `json:"values"`
	Marks  []Step  `json:"marks"`
}

// Step is a mark on a curve.
type Step struct {
	At time.Time `json:"at"`
	Mark
}

// Value is a stretch of a curve. Shares are null where nothing was judged.
type Value struct {
	At        time.Time `json:"at"` // its end
	Share     float64   `json:"share"`
	Views     float64   `json:"views"`
	Optimal   *float64  `json:"optimal"`
	Control   ArmValue  `json:"control"`
	Treatment ArmValue  `json:"treatment"`

	Contaminated float64 `json:"contaminated"` // share of views, of both arms
}

// ArmValue is one arm's part of it. The interval is Wilson's at 95 % over page
// views, as if each were by itself: for the eye. What decides is in the looks.
type ArmValue struct {
	Views   float64  `json:"views"`
	Optimal *float64 `json:"optimal"`
	Low     *float64 `json:"low"`
	High    *float64 `json:"high"`
	Failed  *float64 `json:"failed"` // share of probes
	P50     *float64 `json:"p50"`    // ms; of the stretches' medians, weighted
	P90     *float64 `json:"p90"`    // ms; likewise
}

// ChartOf adds up points, in their order, to values of the length given.
func ChartOf(p *ramp.Plan, points []Point, every time.Duration) *Chart {
	c := &Chart{Ramp: p.ID, Service: p.Service, Every: ramp.Duration(every), Geographies: make([]Curve, len(p.Geographies)), All: []Value{}}
	type sums struct {
		until time.Time
		share float64
		arms  [2]ArmPoint
	}
	all := sums{}
	by := make([]sums, len(p.Geographies))
	flush := func(s *sums, to *[]Value) {
		if !s.until.IsZero() {
			*to = append(*to, valueOf(s.until, s.share, &s.arms))
		}
		s.arms = [2]ArmPoint{}
	}
	index := map[string]int{}
	for i := range p.Geographies {
		c.Geographies[i] = Curve{ID: p.Geographies[i].ID, Values: []Value{}, Marks: []Step{}}
		index[p.Geographies[i].ID] = i
	}
	for n := range points {
		x := &points[n]
		until := x.At.Add(-1).Truncate(every).Add(every)
		if len(x.Geographies) > 0 && !until.Equal(all.until) {
			flush(&all, &c.All)
			all.until, all.share = until, math.NaN()
		}
		for i := range x.Geographies {
			g := &x.Geographies[i]
			at, ok := index[g.ID]
			if !ok {
				continue
			}
			s := &by[at]
			if !until.Equal(s.until) {
				flush(s, &c.Geographies[at].Values)
				s.until = until
			}
			s.share = g.Share
			for arm := range s.arms {
				s.arms[arm].add(&g.Arms[arm])
				all.arms[arm].add(&g.Arms[arm])
			}
		}
		for _, m := range x.Marks {
			if at, ok := index[m.Geography]; ok {
				c.Geographies[at].Marks = append(c.Geographies[at].Marks, Step{x.At, m})
			}
		}
	}
	for i := range by {
		flush(&by[i], &c.Geographies[i].Values)
	}
	flush(&all, &c.All)
	return c
}

func (a *ArmPoint) add(b *ArmPoint) {
	if n := a.Timed + b.Timed; n > 0 {
		a.P50 = (a.P50*a.Timed + b.P50*b.Timed) / n
		a.P90 = (a.P90*a.Timed + b.P90*b.Timed) / n
	}
	a.Timed += b.Timed
	a.Views += b.Views
	a.Judged += b.Judged
	a.Optimal += b.Optimal
	a.Contaminated += b.Contaminated
	a.Probes += b.Probes
	a.Failed += b.Failed
}

func valueOf(at time.Time, share float64, arms *[2]ArmPoint) Value {
	c, t := &arms[ramp.Control], &arms[ramp.Treatment]
	v := Value{At: at, Share: share, Views: c.Views + t.Views, Optimal: part(c.Optimal+t.Optimal, c.Judged+t.Judged), Control: c.value(), Treatment: t.value()}
	if v.Views > 0 {
		v.Contaminated = (c.Contaminated + t.Contaminated) / v.Views
	}
	if math.IsNaN(share) {
		v.Share = t.Views / max(1, v.Views) // achieved, over all
	}
	return v
}

func (a *ArmPoint) value() ArmValue {
	v := ArmValue{Views: a.Views, Optimal: part(a.Optimal, a.Judged), Failed: part(a.Failed, a.Probes)}
	if a.Judged > 0 {
		low, high := wilson(a.Optimal, a.Judged)
		v.Low, v.High = &low, &high
	}
	if a.Timed > 0 {
		p50, p90 := a.P50, a.P90 // a is used again
		v.P50, v.P90 = &p50, &p90
	}
	return v
}

func part(a, b float64) *float64 {
	if b <= 0 {
		return nil
	}
	x := a / b
	return &x
}

// wilson is the 95 % score interval of k of n (Wilson 1927).
func wilson(k, n float64) (low, high float64) {
	const z = 1.959964
	p := k / n
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return max(0, middle-half), min(1, middle+half)
}

// chartColumns are those of WriteCSV.
var chartColumns = []string{
	"at", "geography", "share", "views", "optimal",
	"control_views", "control_optimal", "control_p50", "control_p90", "control_failed",
	"treatment_views", "treatment_optimal", "treatment_p50", "treatment_p90", "treatment_failed",
	"contaminated", "action", "reason",
}

// WriteCSV writes a line for each value of each geography, and of all of them
// together, whose geography is empty. What was decided since the value before
// is on the value's line, the last if it was more.
func (c *Chart) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write(chartColumns); err != nil {
		return err
	}
	number := func(x *float64) string {
		if x == nil {
			return ""
		}
		return strconv.FormatFloat(*x, 'g', 6, 64)
	}
	line := func(id string, v *Value, m *Mark) error {
		action, reason := "", ""
		if m != nil {
			action, reason = string(m.Action), m.Reason
		}
		return out.Write([]string{
			v.At.UTC().Format(time.RFC3339), id, number(&v.Share), number(&v.Views), number(v.Optimal),
			number(&v.Control.Views), number(v.Control.Optimal), number(v.Control.P50), number(v.Control.P90), number(v.Control.Failed),
			number(&v.Treatment.Views), number(v.Treatment.Optimal), number(v.Treatment.P50), number(v.Treatment.P90), number(v.Treatment.Failed),
			number(&v.Contaminated), action, reason,
		})
	}
	for i := range c.All {
		if err := line("", &c.All[i], nil); err != nil {
			return err
		}
	}
	for i := range c.Geographies {
		g := &c.Geographies[i]
		marks := slices.Clone(g.Marks)
		for j := range g.Values {
			var m *Mark
			for len(marks) > 0 && !marks[0].At.After(g.Values[j].At) {
				m, marks = &marks[0].Mark, marks[1:]
			}
			if err := line(g.ID, &g.Values[j], m); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

// pointsOf reads points of a curve.
func pointsOf(all [][]byte) ([]Point, error) {
	points := make([]Point, len(all))
	for i, text := range all {
		if err := json.Unmarshal(text, &points[i]); err != nil {
			return nil, fmt.Errorf("runner: curve: %w", err)
		}
	}
	return points, nil
}
