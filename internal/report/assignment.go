package report

import (
	"fmt"
	"io"
	"math"
	"slices"

	"catchment/internal/analysis"
	"catchment/internal/edge"
)

// Assignment writes the share of views that reached an optimal PoP, by group
// and scheme. by is what the rows were grouped by.
func Assignment(w io.Writer, f Format, by []analysis.Key, rows []analysis.Row, about About) error {
	r := assignment{by: by, about: &about}
	for k, s := range edge.Schemes {
		// People are spared columns without a figure; a program finds the same
		// columns every time.
		if about.asked(s) && (f == CSV || about.Totals.Probed[k] > 0) {
			r.schemes = append(r.schemes, s)
			if s != edge.Unicast && (f == CSV || about.Totals.Probed[edge.Unicast.Index()] > 0) {
				r.against = append(r.against, s)
			}
		}
	}
	d := document{
		n:       len(rows),
		columns: r.columns(),
		people:  func(i int) []string { return r.people(&rows[i]) },
		titles:  r.titles(),
		csv:     func(i int) []string { return r.csv(&rows[i]) },
		json:    func(i int) object { return r.json(&rows[i]) },
		footer:  r.footer(),
	}
	return d.write(w, f)
}

type assignment struct {
	by      []analysis.Key
	about   *About
	schemes []edge.Scheme // in columns
	against []edge.Scheme // compared with unicast
}

func (r *assignment) names() bool { return slices.Contains(r.by, analysis.ByASN) }

func (r *assignment) columns() []column {
	c := groupColumns(r.by)
	c = append(c, column{title: "views", right: true})
	for _, s := range r.schemes {
		c = append(c, column{string(s), "optimal %", true}, column{string(s), "p50/p90", true}, column{string(s), "wrong", false})
	}
	c = append(c, column{title: "best"})
	for _, s := range r.against {
		c = append(c, column{"against unicast, points", string(s), false})
	}
	return c
}

func (r *assignment) people(row *analysis.Row) []string {
	cells := groupCells(r.by, row.Group, r.about.Networks)
	cells = append(cells, grouped(row.Views))
	for _, s := range r.schemes {
		x := &row.Schemes[s.Index()]
		cells = append(cells, interval(x.Optimal, x.Low, x.High), penalties(x.PenaltyP50, x.PenaltyP90), orNone(string(x.WrongPoP)))
	}
	cells = append(cells, orNone(string(row.BestPoP)))
	for _, s := range r.against {
		cells = append(cells, r.verdict(&row.Against[s.Index()]))
	}
	return cells
}

// verdict is "+19.8 anycast".
func (r *assignment) verdict(d *analysis.Difference) string {
	v := d.Verdict(r.about.Margin)
	switch {
	case v == analysis.None:
		return none
	case math.IsNaN(d.Delta):
		return fmt.Sprintf("%5s %s", none, v)
	}
	return fmt.Sprintf("%+5.1f %s", 100*d.Delta, v)
}

// penalties is "0/29": ms lost, median and 90th percentile.
func penalties(p50, p90 float64) string {
	if math.IsNaN(p50) {
		return none
	}
	return latency(p50) + "/" + latency(p90)
}

func orNone(s string) string {
	if s == "" {
		return none
	}
	return s
}

// titles are the columns of CSV.
func (r *assignment) titles() []string {
	var c []string
	add := func(titles ...string) { c = append(c, titles...) }
	for _, k := range r.by {
		add(string(k))
	}
	if r.names() {
		add("as_name")
	}
	add("views", "best_pop")
	for _, s := range r.schemes {
		for _, t := range []string{"views", "judged", "failed", "optimal", "low", "high", "penalty_p50", "penalty_p90", "wrong_pop", "wrong_share"} {
			add(string(s) + "_" + t)
		}
	}
	for _, s := range r.against {
		for _, t := range []string{"paired", "difference", "difference_low", "difference_high", "verdict"} {
			add(string(s) + "_" + t)
		}
	}
	return c
}

func (r *assignment) csv(row *analysis.Row) []string {
	var cells []string
	for _, l := range row.Group {
		cells = append(cells, l.Text)
	}
	if r.names() {
		cells = append(cells, r.name(row))
	}
	cells = append(cells, csvCount(row.Views), string(row.BestPoP))
	for _, s := range r.schemes {
		x := &row.Schemes[s.Index()]
		cells = append(cells, csvCount(x.Views), csvCount(x.Judged), csvCount(x.Failed),
			csvShare(x.Optimal), csvShare(x.Low), csvShare(x.High), csvMillis(x.PenaltyP50), csvMillis(x.PenaltyP90),
			string(x.WrongPoP), csvShare(x.WrongShare))
	}
	for _, s := range r.against {
		d := &row.Against[s.Index()]
		cells = append(cells, csvCount(d.Views), csvShare(d.Delta), csvShare(d.Low), csvShare(d.High), string(d.Verdict(r.about.Margin)))
	}
	return cells
}

func (r *assignment) name(row *analysis.Row) string {
	for _, l := range row.Group {
		if l.Key == analysis.ByASN {
			return r.about.Networks[l.Number]
		}
	}
	return ""
}

func (r *assignment) json(row *analysis.Row) object {
	schemes, differences, verdicts := object{}, object{}, object{}
	for _, s := range r.schemes {
		x := &row.Schemes[s.Index()]
		if x.Views == 0 {
			continue
		}
		schemes = append(schemes, member{string(s), object{
			{"views", x.Views},
			{"judged", x.Judged},
			{"failed", x.Failed},
			{"optimal", share(x.Optimal)},
			{"low", share(x.Low)},
			{"high", share(x.High)},
			{"penalty_p50", millis(x.PenaltyP50)},
			{"penalty_p90", millis(x.PenaltyP90)},
			{"wrong_pop", string(x.WrongPoP)},
			{"wrong_share", share(x.WrongShare)},
		}})
	}
	for _, s := range r.against {
		d := &row.Against[s.Index()]
		v := d.Verdict(r.about.Margin)
		if v == analysis.None {
			continue
		}
		differences = append(differences, member{string(s), object{
			{"views", d.Views}, {"difference", share(d.Delta)}, {"low", share(d.Low)}, {"high", share(d.High)},
		}})
		verdicts = append(verdicts, member{string(s), string(v)})
	}
	o := object{{"group", groupJSON(row.Group)}}
	if r.names() {
		o = append(o, member{"as_name", r.name(row)})
	}
	return append(o, object{
		{"views", row.Views},
		{"schemes", schemes},
		{"difference", differences},
		{"verdicts", verdicts},
		{"best_pop", string(row.BestPoP)},
	}...)
}

func (r *assignment) footer() []string {
	lines := []string{
		r.about.optimal(),
		"± or a range: 95 % interval, clustered by client prefix. p50/p90: ms lost against the best PoP. wrong: the PoP that most of the others reached.",
	}
	if len(r.against) > 0 {
		lines = append(lines, fmt.Sprintf("anycast, dns: the whole 95 %% interval of the paired difference is beyond %s points; too few: it is wider than ±%[1]s.",
			number(100*r.about.Margin)))
	}
	return append(lines, r.about.window(), r.about.counts())
}
