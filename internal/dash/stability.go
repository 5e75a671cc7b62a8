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

// StabilityFigures are those of a stretch of time. Shares are 0 to 1.
type StabilityFigures struct {
	Downloads []DownloadShare
	Resets    json.RawMessage // rows of `catchment report resets --format json`; nil: none
	Days      []StabilityDay  // ascending
}

// DownloadShare is how many slow downloads over a scheme's VIPs failed.
type DownloadShare struct {
	Scheme    string   `json:"scheme"`
	Country   string   `json:"country,omitempty"`
	Downloads uint64   `json:"downloads"`
	Failed    uint64   `json:"failed"`
	Share     *float64 `json:"share"`
	Low       *float64 `json:"low"`
	High      *float64 `json:"high"`
}

// StabilityDay is one UTC day.
type StabilityDay struct {
	Day     string   `json:"day"`
	PerHour *float64 `json:"per_hour"`         // resets
	Failed  *float64 `json:"failed,omitempty"` // share of downloads
}

type stabilityLine struct {
	State state          `json:"state"`
	Hint  string         `json:"hint,omitempty"`
	Days  []StabilityDay `json:"days"`
}

type stabilityAnswer struct {
	Downloads []DownloadShare `json:"downloads"`
	Resets    json.RawMessage `json:"resets"`
	Days      []StabilityDay  `json:"days"`
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
			out := stabilityAnswer{Downloads: []DownloadShare{}, Resets: json.RawMessage("[]"), Days: []StabilityDay{}}
			s := standing{state: none, hint: notMeasured}
			if x != nil {
				s = standing{state: ok}
				out.Downloads, out.Days = append(out.Downloads, x.Downloads...), append(out.Days, x.Days...)
				if x.Resets != nil {
					out.Resets = x.Resets
				}
				if len(out.Downloads) == 0 && len(out.Days) == 0 && string(out.Resets) == "[]" {
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
