package dash

import (
	"context"
	"fmt"
	"net/http"

	"catchment/internal/analysis"
	"catchment/internal/edge"
)

type changesAnswer struct {
	Scheme   edge.Scheme `json:"scheme"`
	From     string      `json:"from"`
	To       string      `json:"to"`
	Moved    share       `json:"moved"`
	Compared uint64      `json:"compared"`
	Total    int         `json:"total"`
	Rows     []changeRow `json:"rows"`
}

type changeRow struct {
	Country     string     `json:"country"`
	Subdivision string     `json:"subdivision"`
	ASN         uint32     `json:"asn"`
	ASName      string     `json:"as_name"`
	FromPoP     edge.PoPID `json:"from_pop"`
	ToPoP       edge.PoPID `json:"to_pop"`
	Views       uint64     `json:"views"`
	Before      millis     `json:"rtt_before"`
	After       millis     `json:"rtt_after"`
}

func (d *Dash) askChanges(_ *http.Request, q *query) *question {
	scheme := q.scheme(edge.Global)
	to := q.day("to", edge.DayOf(d.cfg.Now())-1)
	from := q.day("from", to-1)
	if from == to {
		q.fail("from", "and to are the same day")
	}
	least, limit := q.number("min_views", 20, 1, 1_000_000_000), q.number("limit", 500, 1, 10_000)
	return &question{
		key: fmt.Sprintf("changes %s %s %s %d %d", scheme, from, to, least, limit),
		answer: func(ctx context.Context, f *figures) (*answer, *refusal) {
			out := changesAnswer{Scheme: scheme, From: from.String(), To: to.String(), Rows: []changeRow{}}
			before, after := f.between(from, from), f.between(to, to)
			was, is, totals := analysis.NewReach(scheme), analysis.NewReach(scheme), analysis.NewPoPs()
			if err := d.addTo(ctx, before, nil, was, totals); err != nil {
				return nil, unreadable(err)
			}
			if err := d.addTo(ctx, after, nil, is, totals); err != nil {
				return nil, unreadable(err)
			}
			moves, compared, moved := analysis.Moves(was, is, uint64(least))
			out.Moved, out.Compared, out.Total = share(moved), compared, len(moves)
			known := names(append(before[:len(before):len(before)], after...))
			for _, m := range moves[:min(limit, len(moves))] {
				out.Rows = append(out.Rows, changeRow{m.Country, m.Subdivision, m.ASN, known[m.ASN], m.From, m.To, m.Views, millis(m.Before), millis(m.After)})
			}
			s := d.standingOfReach(f, nil, scheme, totals.Totals())
			if s.state == ok || s.state == few {
				switch {
				case was.Views() == 0 || is.Views() == 0:
					s.state, s.hint = nothing, fmt.Sprintf("There are page views of only one of the days %s and %s.", from, to)
				case compared == 0:
					s.state, s.hint = few, fmt.Sprintf("No network in a place had %d page views on both days: take other days, or fewer with `min_views`.", least)
				default:
					s.state, s.hint = ok, ""
				}
			}
			return &answer{standing: s, rest: members(out)}, nil
		},
	}
}
