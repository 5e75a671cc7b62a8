package dash

import (
	"context"
	"math"
	"net/http"

	"catchment/internal/analysis"
	"catchment/internal/edge"
)

// overviewDays is how far back the overview's lines go.
const overviewDays = 14

type overviewAnswer struct {
	Views       uint64                      `json:"views"`
	ViewsBefore *uint64                     `json:"views_before"`
	Schemes     map[edge.Scheme]schemeToday `json:"schemes"`
	Places      []placeToday                `json:"places"`
	Stability   stabilityLine               `json:"stability"`
}

type schemeFigures struct {
	Views      uint64     `json:"views"`
	Judged     uint64     `json:"judged"`
	Failed     uint64     `json:"failed"`
	Optimal    share      `json:"optimal"`
	Low        share      `json:"low"`
	High       share      `json:"high"`
	PenaltyP50 millis     `json:"penalty_p50"`
	PenaltyP90 millis     `json:"penalty_p90"`
	WrongPoP   edge.PoPID `json:"wrong_pop"`
	WrongShare share      `json:"wrong_share"`
}

type schemeToday struct {
	schemeFigures
	Before share       `json:"before"`
	Days   []schemeDay `json:"days"`
}

type schemeDay struct {
	Day     string `json:"day"`
	Views   uint64 `json:"views"`
	Optimal share  `json:"optimal"`
	Low     share  `json:"low"`
	High    share  `json:"high"`
}

type placeToday struct {
	Country     string                      `json:"country"`
	Subdivision string                      `json:"subdivision"`
	Views       uint64                      `json:"views"`
	Schemes     map[edge.Scheme]placeScheme `json:"schemes"`
}

type placeScheme struct {
	Views      uint64     `json:"views"`
	Optimal    share      `json:"optimal"`
	PenaltyP50 millis     `json:"penalty_p50"`
	BestPoP    edge.PoPID `json:"best_pop"`
	WrongPoP   edge.PoPID `json:"wrong_pop"`
}

func (d *Dash) askOverview(*http.Request, *query) *question {
	today := edge.DayOf(d.cfg.Now())
	return &question{
		key:    "overview " + today.String(),
		answer: func(ctx context.Context, f *figures) (*answer, *refusal) { return d.overview(ctx, f, today) },
	}
}

func (d *Dash) overview(ctx context.Context, f *figures, today edge.Day) (*answer, *refusal) {
	now := f.between(today, today)
	byPlace := analysis.NewAssignment([]analysis.Key{analysis.ByCountry, analysis.BySubdivision})
	byCountry := analysis.NewAssignment([]analysis.Key{analysis.ByCountry})
	if err := d.addTo(ctx, now, nil, byPlace, byCountry); err != nil {
		return nil, unreadable(err)
	}
	totals := byCountry.Totals()
	out := overviewAnswer{
		ViewsBefore: f.before, Schemes: map[edge.Scheme]schemeToday{}, Places: []placeToday{}, Stability: d.stabilityLine(ctx, today),
	}
	past := f.between(today-overviewDays+1, today)
	for k, s := range edge.Schemes {
		x := schemeToday{schemeFigures: figuresOf(nil), Before: share(math.NaN()), Days: []schemeDay{}}
		probed := false
		for _, p := range past {
			o := &p.sum.Schemes[k]
			if o.Views == 0 {
				continue
			}
			probed = true
			x.Days = append(x.Days, schemeDay{p.day.String(), o.Views, share(o.Optimal), share(o.Low), share(o.High)})
			switch p.day {
			case today:
				x.schemeFigures = figuresOf(o)
			case today - 7:
				x.Before = share(o.Optimal)
			}
		}
		if probed {
			out.Schemes[s] = x
		}
	}
	for _, p := range now {
		out.Views = p.totals.Views
	}
	for _, row := range byCountry.Rows() {
		if country := row.Group[0].Text; country != "" {
			out.Places = append(out.Places, placeOf(&row, country, ""))
		}
	}
	for _, row := range byPlace.Rows() {
		if subdivision := row.Group[1].Text; subdivision != "" {
			out.Places = append(out.Places, placeOf(&row, row.Group[0].Text, subdivision))
		}
	}
	s := d.standingOf(f, now, &totals)
	if s.state == nothing && len(past) > 0 {
		s.hint = "There are no page views of today yet; the lines are of the days before. Today began at 00:00 UTC. If it is hours ago, look whether beacons arrive: `catchment_beacons_accepted_total`."
	}
	return &answer{standing: s, rest: members(out)}, nil
}

// figuresOf are those of a share; of nil, nobody's.
func figuresOf(s *analysis.Share) schemeFigures {
	if s == nil {
		nan := share(math.NaN())
		return schemeFigures{Optimal: nan, Low: nan, High: nan, PenaltyP50: millis(nan), PenaltyP90: millis(nan), WrongShare: nan}
	}
	return schemeFigures{
		s.Views, s.Judged, s.Failed, share(s.Optimal), share(s.Low), share(s.High),
		millis(s.PenaltyP50), millis(s.PenaltyP90), s.WrongPoP, share(s.WrongShare),
	}
}

func placeOf(row *analysis.Row, country, subdivision string) placeToday {
	p := placeToday{Country: country, Subdivision: subdivision, Views: row.Views, Schemes: map[edge.Scheme]placeScheme{}}
	for k, s := range edge.Schemes {
		if o := &row.Schemes[k]; o.Views > 0 {
			p.Schemes[s] = placeScheme{o.Views, share(o.Optimal), millis(o.PenaltyP50), row.BestPoP, o.WrongPoP}
		}
	}
	return p
}
