package dash

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"catchment/internal/edge"
)

// Stability is what measures whether connections survive.
type Stability interface {
	// Stability returns what is known of the time [since, until); nil if nothing
	// ever measured it.
	Stability(ctx context.Context, since, until time.Time) (*StabilityFigures, error)
}

// StabilityFigures are those of a stretch of time.
type StabilityFigures struct {
	Answers  []StabilityAnswer // one for each VIP that was downloaded over
	Networks json.RawMessage   // the groups of `catchment report stability --format json`; nil: none
	Resets   json.RawMessage   // rows of `catchment report resets --format json`; nil: none
	Days     []StabilityDay    // ascending
}

// StabilityAnswer says in words whether TCP over a VIP is as stable as over
// unicast, for whom not, and how sure that is.
type StabilityAnswer struct {
	VIP  edge.VIPID `json:"vip"`
	Text string     `json:"text"`
}

// StabilityDay is one UTC day; nil is not measured.
type StabilityDay struct {
	Day     string   `json:"day"`
	PerHour *float64 `json:"per_hour"` // resets
	VIPs    *float64 `json:"vips"`     // downloads over VIPs that broke in 1,000 minutes of connection
	Unicast *float64 `json:"unicast"`  // and over PoPs' own addresses
}

type stabilityLine struct {
	State state          `json:"state"`
	Hint  string         `json:"hint,omitempty"`
	Days  []StabilityDay `json:"days"`
}

type stabilityAnswer struct {
	Answers  []StabilityAnswer `json:"answers"`
	Networks json.RawMessage   `json:"networks"`
	Resets   json.RawMessage   `json:"resets"`
	Days     []StabilityDay    `json:"days"`
}

const notMeasured = "Nothing measures stability yet: run `catchment synth` on a few machines, and let PoPs that follow this control node watch for resets (see Docs, Resets)."

func (d *Dash) askStability(_ *http.Request, q *query) *question {
	p := q.period(d.cfg.Now())
	return &question{
		key: fmt.Sprintf("stability %v", p),
		answer: func(ctx context.Context, _ *figures) (*answer, *refusal) {
			x, err := d.stabilityOf(ctx, p)
			if err != nil {
				return nil, unreadable(err)
			}
			no := json.RawMessage("[]")
			out := stabilityAnswer{Answers: []StabilityAnswer{}, Networks: no, Resets: no, Days: []StabilityDay{}}
			s := standing{state: none, hint: notMeasured}
			if x != nil {
				s = standing{state: ok}
				out.Answers, out.Days = append(out.Answers, x.Answers...), append(out.Days, x.Days...)
				if x.Networks != nil {
					out.Networks = x.Networks
				}
				if x.Resets != nil {
					out.Resets = x.Resets
				}
				if len(out.Answers) == 0 && len(out.Days) == 0 && string(out.Resets) == "[]" {
					s = standing{state: nothing, hint: "Nothing was recorded in these days."}
				}
			}
			return &answer{standing: s, rest: members(out)}, nil
		},
	}
}

func (d *Dash) stabilityOf(ctx context.Context, p period) (*StabilityFigures, error) {
	if d.cfg.Stability == nil {
		return nil, nil
	}
	return d.cfg.Stability.Stability(ctx, p.first.Time(), (p.last + 1).Time())
}

// stabilityLine is what the overview shows.
func (d *Dash) stabilityLine(ctx context.Context, today edge.Day) stabilityLine {
	x, err := d.stabilityOf(ctx, period{today - overviewDays + 1, today})
	switch {
	case err != nil:
		return stabilityLine{stale, "What measures stability cannot be read: " + err.Error(), []StabilityDay{}}
	case x == nil:
		return stabilityLine{none, notMeasured, []StabilityDay{}}
	case len(x.Days) == 0:
		return stabilityLine{nothing, "Nothing was recorded in the last days.", []StabilityDay{}}
	}
	return stabilityLine{State: ok, Days: x.Days}
}
