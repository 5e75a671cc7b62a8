package runner

import (
	"fmt"
	"io"
	"time"

	"catchment/internal/edge"
	"catchment/internal/ramp"
)

// Point is what one stretch adds to the curves of a ramp.
type Point struct {
	From        time.Time        `json:"from"`
	At          time.Time        `json:"at"` // its end
	Geographies []GeographyPoint `json:"geographies,omitempty"`
	Marks       []Mark           `json:"marks,omitempty"`
}

// GeographyPoint is a geography's, by arm.
type GeographyPoint struct {
	ID    string      `json:"id"`
	Share float64     `json:"share"`
	Arms  [2]ArmPoint `json:"arms"`
}

// ArmPoint counts the page views of one arm.
type ArmPoint struct {
	Views        float64 `json:"views,omitempty"`
	Judged       float64 `json:"judged,omitempty"`
	Optimal      float64 `json:"optimal,omitempty"`
	Contaminated float64 `json:"contaminated,omitempty"`
	Probes       float64 `json:"probes,omitempty"`
	Failed       float64 `json:"failed,omitempty"`
	Timed        float64 `json:"timed,omitempty"` // latencies
	P50          float64 `json:"p50,omitempty"`   // ms
	P90          float64 `json:"p90,omitempty"`   // ms
}

// Mark is a decision that changed something.
type Mark struct {
	Geography string      `json:"geography,omitempty"`
	Action    ramp.Action `json:"action"`
	From      float64     `json:"from"`
	To        float64     `json:"to"`
	Reason    string      `json:"reason"`
}

func marksOf(decisions []ramp.Decision) []Mark {
	var all []Mark
	for i := range decisions {
		switch d := &decisions[i]; d.Action {
		case ramp.Waits, ramp.Holds, ramp.Refused:
			if d.From == d.To {
				continue
			}
			fallthrough
		default:
			all = append(all, Mark{d.Geography, d.Action, d.From, d.To, d.Reason})
		}
	}
	return all
}

func pointOf(e *ramp.Evidence) *Point {
	p := &Point{From: e.From, At: e.Until}
	var bins [2][edge.NumBins]float64
	for i := range e.Geographies {
		g := &e.Geographies[i]
		x := GeographyPoint{ID: g.ID, Share: g.Share}
		bins = [2][edge.NumBins]float64{}
		for j := range g.Rows {
			r := &g.Rows[j]
			arm := ramp.Control
			if r.Treated(g.Share) {
				arm = ramp.Treatment
			}
			a := &x.Arms[arm]
			a.Views += r.Views
			a.Judged += r.Judged
			a.Optimal += r.Optimal
			a.Contaminated += r.Contaminated
			a.Probes += r.Probes
			a.Failed += r.Failed
			for _, b := range r.Latency {
				a.Timed += b.Count
				bins[arm][b.Bin] += b.Count
			}
		}
		for arm := range x.Arms {
			a := &x.Arms[arm]
			a.P50, a.P90 = quantile(&bins[arm], a.Timed, 0.5), quantile(&bins[arm], a.Timed, 0.9)
		}
		p.Geographies = append(p.Geographies, x)
	}
	return p
}

// quantile is to the bin: ±0.55 %.
func quantile(bins *[edge.NumBins]float64, total, q float64) float64 {
	left := q * total
	for b, n := range bins {
		if left -= n; n > 0 && left <= 0 {
			return edge.BinMs(b)
		}
	}
	return 0
}

// readAll reads what must not be longer than limit.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return data, err
}
