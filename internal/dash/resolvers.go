package dash

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"

	"catchment/internal/analysis"
	"catchment/internal/report"
)

func (d *Dash) askResolvers(_ *http.Request, q *query) *question {
	p := q.period(d.cfg.Now())
	by, err := analysis.ParseViewKeys(cmp.Or(q.text("by"), "country"))
	if err == nil && slices.Contains(by, analysis.ByPoP) {
		err = fmt.Errorf("pop is for `catchment report resolvers` only")
	}
	if err != nil {
		q.fail("by", "%v", err)
	}
	limit, offset := q.number("limit", 1000, 1, 20_000), q.number("offset", 0, 0, math.MaxInt32)
	csv := q.oneOf("format", "json", "json", "csv") == "csv"
	return &question{
		key:     fmt.Sprintf("resolvers %v %v %d %d %v", p, by, limit, offset, csv),
		version: func() int { return d.askers.version(p) },
		answer: func(_ context.Context, f *figures) (*answer, *refusal) {
			heard := d.askers.get(p)
			r := analysis.NewResolvers(by)
			for _, part := range heard.parts {
				part.AddTo(r)
			}
			t, rows := r.Totals(), r.Rows()
			days := f.between(p.first, p.last)
			about := report.Single{About: report.About{Criteria: d.cfg.Criteria, Networks: names(days)}, FarKm: analysis.DefaultFarKm, Asked: t, Resolvers: r.Names()}
			s := d.standingOf(f, days, &t.Totals)
			d.heardStanding(&s, &heard, &t)
			var out bytes.Buffer
			if csv {
				if err := report.Resolvers(&out, report.CSV, by, rows, about); err != nil {
					return nil, unreadable(err)
				}
				return &answer{csv: out.Bytes()}, nil
			}
			total := len(rows)
			rows = rows[min(offset, total):min(offset+limit, total)]
			fmt.Fprintf(&out, `,"far_km":%d,"total":%d,"rows":`, int(analysis.DefaultFarKm), total)
			if err := report.Resolvers(&out, report.JSON, by, rows, about); err != nil {
				return nil, unreadable(err)
			}
			return &answer{standing: s, rest: out.Bytes()}, nil
		},
	}
}

// heardStanding says what is special about single views.
func (d *Dash) heardStanding(s *standing, h *heard, t *analysis.ViewTotals) {
	switch {
	case d.cfg.Places == nil:
		s.state, s.hint = none, "It is not known where resolvers are: start `catchment serve` with `--geo` or `--places`."
	case h.err != nil:
		s.state, s.hint = stale, "Page views cannot be read: "+h.err.Error()
	case s.state == stale || s.state == empty || s.state == building:
	case h.all < 0 || h.ready < h.all:
		s.state = building
		s.hint = fmt.Sprintf("Page views of this period are being read one by one: %d of %d days. It goes on by itself.", h.ready, max(h.all, 0))
	case s.state == nothing:
	case t.Known == 0:
		s.state, s.hint = none, "No resolver is known: name servers hand in who asks for probe names (`catchment dns`), relays send `resolver`."
	case t.Located == 0:
		s.state, s.hint = none, "It is not known where any resolver is: say so by `--geo` or `--places`."
	case s.state == few:
		s.state, s.hint = ok, "" // distances need no judgement
	}
}
