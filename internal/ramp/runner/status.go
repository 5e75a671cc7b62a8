package runner

import (
	"encoding/json"
	"fmt"
	"time"

	"catchment/internal/edge"
	"catchment/internal/ramp"
)

// Status is how far a ramp is.
type Status struct {
	ID          string              `json:"id"`
	Service     string              `json:"service"`
	From        edge.Scheme         `json:"from"`
	To          edge.Scheme         `json:"to"`
	Steps       []float64           `json:"steps"`
	Guardrails  []ramp.Guardrail    `json:"guardrails"`
	Seen        time.Time           `json:"seen"` // end of the evidence that was taken up
	Paused      string              `json:"paused,omitempty"`
	Overloads   []ramp.Overload     `json:"overloads,omitempty"`
	Geographies []GeographyProgress `json:"geographies"`
}

// GeographyProgress is how far one geography is.
type GeographyProgress struct {
	ID            string        `json:"id"`
	Phase         ramp.Phase    `json:"phase"`
	Share         float64       `json:"share"`
	Step          int           `json:"step"` // −1: none
	Since         time.Time     `json:"since"`
	Covered       ramp.Duration `json:"covered"` // evidence in the step
	Why           string        `json:"why,omitempty"`
	Back          int           `json:"back,omitempty"`
	NotBefore     time.Time     `json:"not_before,omitzero"`
	Views         [2]float64    `json:"views"` // by arm, in the step
	Achieved      float64       `json:"achieved"`
	Contamination float64       `json:"contamination"`

	Arms     [2][]ramp.ArmRate `json:"arms"`
	Decision *ramp.Decision    `json:"decision,omitempty"` // the last one, with its checks
	Recent   []*float64        `json:"recent"`             // share optimal in the last stretches of the curve, for a sparkline
}

// Summaries returns all ramps without arms, decisions and curves.
func (r *Runner) Summaries() ([]Status, error) {
	all, err := r.cfg.Records.RampRecords()
	if err != nil {
		return nil, err
	}
	list := []Status{}
	for _, record := range all {
		k, err := open(record)
		if err != nil {
			return nil, err
		}
		list = append(list, statusOf(k))
	}
	return list, nil
}

func statusOf(k *kept) Status {
	p, s := k.plan, &k.state
	x := Status{ID: p.ID, Service: p.Service, From: p.From, To: p.To, Steps: p.Steps, Guardrails: p.Guardrails, Seen: s.Seen, Paused: s.Paused, Overloads: s.Overloads}
	for i := range s.Geographies {
		g := &s.Geographies[i]
		y := GeographyProgress{
			ID: g.ID, Phase: g.Phase, Share: shareOf(p, g), Step: g.Step, Since: g.Since, Covered: g.Covered,
			Why: g.Why, Back: g.Back, NotBefore: g.NotBefore, Views: g.Tally.Views, Recent: []*float64{},
		}
		y.Achieved = g.Tally.Views[ramp.Treatment] / max(1, g.Tally.Views[ramp.Control]+g.Tally.Views[ramp.Treatment])
		for arm, n := range g.Tally.Views {
			if n > 0 {
				y.Contamination = max(y.Contamination, g.Tally.Contaminated[arm]/n)
			}
		}
		x.Geographies = append(x.Geographies, y)
	}
	return x
}

// What a status shows of the past.
const (
	recentLooks  = 12
	recentValues = 40
	recentEvery  = 6 * time.Hour
)

// Status returns how far a ramp is, with its last decisions and the end of its
// curves.
func (r *Runner) Status(id string) (*Status, error) {
	k, err := r.find(id)
	if err != nil {
		return nil, err
	}
	x := statusOf(k)
	looks, _, err := r.Looks(id, -1, recentLooks)
	if err != nil {
		return nil, err
	}
	points := int(recentValues * recentEvery / r.cfg.Every)
	chart, err := r.chart(k, -1, points, recentEvery)
	if err != nil {
		return nil, err
	}
	for i := range x.Geographies {
		g := &x.Geographies[i]
		g.Arms = k.plan.ArmRates(&k.state.Geographies[i])
		for _, v := range chart.Geographies[i].Values {
			g.Recent = append(g.Recent, v.Optimal)
		}
		for j := len(looks) - 1; j >= 0 && g.Decision == nil; j-- {
			for n := range looks[j].Decisions {
				if d := &looks[j].Decisions[n]; d.Geography == g.ID {
					g.Decision = d
				}
			}
		}
	}
	return &x, nil
}

// Looks returns up to limit looks after a number, or the last ones if it is
// negative, the oldest first, and the number of the last. Those of a ramp that
// has ended are there, too.
func (r *Runner) Looks(id string, after int64, limit int) ([]Look, int64, error) {
	packed, last, err := r.cfg.Trails.RampTrail(id, after, limit)
	if err != nil {
		return nil, 0, err
	}
	looks := make([]Look, len(packed))
	for i := range packed {
		text, err := unpack(packed[i])
		if err == nil {
			err = json.Unmarshal(text, &looks[i])
		}
		if err != nil {
			return nil, 0, fmt.Errorf("runner: trail of %s: %w", id, err)
		}
	}
	return looks, last, nil
}

// maxPoints bounds how much of a curve is read at once: a year of 5 minutes.
const maxPoints = 110_000

// Chart returns the whole curve of a ramp, in stretches of the length given.
func (r *Runner) Chart(id string, every time.Duration) (*Chart, error) {
	k, err := r.find(id)
	if err != nil {
		return nil, err
	}
	return r.chart(k, -1, maxPoints, every)
}

func (r *Runner) chart(k *kept, after int64, limit int, every time.Duration) (*Chart, error) {
	all, _, err := r.cfg.Trails.RampCurve(k.record.ID, after, limit)
	if err != nil {
		return nil, err
	}
	points, err := pointsOf(all)
	if err != nil {
		return nil, err
	}
	return ChartOf(k.plan, points, every), nil
}
