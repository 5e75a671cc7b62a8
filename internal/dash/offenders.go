package dash

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"

	"catchment/internal/analysis"
	"catchment/internal/edge"
	"catchment/internal/report"
)

type offendersAnswer struct {
	Total int           `json:"total"`
	Rows  []offenderRow `json:"rows"`
}

type offenderRow struct {
	ASN         uint32      `json:"asn"`
	ASName      string      `json:"as_name"`
	Country     string      `json:"country"`
	Subdivision string      `json:"subdivision"`
	Scheme      edge.Scheme `json:"scheme"`
	PoP         edge.PoPID  `json:"pop"`
	BestPoP     edge.PoPID  `json:"best_pop"`
	Views       uint64      `json:"views"`
	Penalty     millis      `json:"penalty"`
	Lost        millis      `json:"lost_ms"`
	LostShare   share       `json:"lost_share"`
	First       string      `json:"first"`
	Last        string      `json:"last"`
	Since       string      `json:"since"`
	Text        string      `json:"text"`
}

func (d *Dash) askOffenders(_ *http.Request, q *query) *question {
	p, scheme, country, pop := q.period(d.cfg.Now()), q.scheme(""), q.text("country"), edge.PoPID(q.text("pop"))
	limit, offset := q.number("limit", 200, 1, 1000), q.number("offset", 0, 0, math.MaxInt32)
	csv := q.oneOf("format", "json", "json", "csv") == "csv"
	return &question{
		key: fmt.Sprintf("offenders %v %q %q %q %d %d %v", p, scheme, country, pop, limit, offset, csv),
		answer: func(ctx context.Context, f *figures) (*answer, *refusal) {
			days := f.between(p.first, p.last)
			r := analysis.NewOffenders()
			if err := d.addTo(ctx, days, nil, r); err != nil {
				return nil, unreadable(err)
			}
			rows, t := r.Rows(), r.Totals()
			rows = slices.DeleteFunc(rows, func(o analysis.Offender) bool {
				return scheme != "" && o.Scheme != scheme || country != "" && o.Country != country || pop != "" && o.PoP != pop
			})
			known := names(days)
			if csv {
				var out bytes.Buffer
				about := report.About{Criteria: d.cfg.Criteria, Totals: t, Networks: known}
				if err := report.Offenders(&out, report.CSV, rows, about); err != nil {
					return nil, unreadable(err)
				}
				return &answer{csv: out.Bytes()}, nil
			}
			out := offendersAnswer{Total: len(rows), Rows: []offenderRow{}}
			fleet := d.cfg.Fleet()
			for _, o := range rows[min(offset, len(rows)):min(offset+limit, len(rows))] {
				row := offenderRow{
					o.ASN, known[o.ASN], o.Country, o.Subdivision, o.Scheme, o.PoP, o.Best, o.Views, millis(o.Penalty), millis(o.Lost),
					share(o.LostShare), o.First.String(), o.Last.String(), f.since(&o).String(), "",
				}
				row.Text = letter(&row, fleet)
				out.Rows = append(out.Rows, row)
			}
			return &answer{standing: d.standingOf(f, days, &t), rest: members(out)}, nil
		},
	}
}

// since returns the first of the days, without a gap among those with beacons,
// on which the offender was seen up to its last one.
func (f *figures) since(o *analysis.Offender) edge.Day {
	since, key := o.Last, keyOf(o)
	for _, x := range slices.Backward(f.between(math.MinInt32, o.Last)) {
		if !x.offenders[key] {
			break
		}
		since = x.day
	}
	return since
}
