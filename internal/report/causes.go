package report

import (
	"io"

	"catchment/internal/analysis"
	"catchment/internal/edge"
)

// Causes writes why views did not reach an optimal PoP, by group and scheme. by
// is what the rows were grouped by.
func Causes(w io.Writer, f Format, by []analysis.Key, rows []analysis.CauseRow, about Single) error {
	about.Totals = about.Asked.Totals
	networks := about.networks()
	// People are spared causes that no view has.
	var shown []int
	for i := range analysis.CauseOrder {
		for r := range rows {
			if rows[r].Causes[i].Share > 0 {
				shown = append(shown, i)
				break
			}
		}
	}
	columns := append(groupColumns(by), column{title: "scheme"}, column{title: "judged", right: true}, column{title: "not optimal %", right: true})
	for _, i := range shown {
		columns = append(columns, column{"of all judged views, because of, %", string(analysis.CauseOrder[i]), true})
	}
	d := document{
		n:       len(rows),
		columns: columns,
		people: func(i int) []string {
			r := &rows[i]
			cells := append(groupCells(by, r.Group, networks), string(r.Scheme), grouped(r.Judged), estimateText(r.Missed))
			for _, k := range shown {
				cells = append(cells, causeText(r.Causes[k]))
			}
			return cells
		},
		titles: causeTitles(by),
		csv: func(i int) []string {
			r := &rows[i]
			cells := append(groupCSV(r.Group, networks), string(r.Scheme), csvCount(r.Views), csvCount(r.Judged), csvCount(r.MissedViews))
			cells = append(cells, csvEstimate(r.Missed)...)
			for _, e := range r.Causes {
				cells = append(cells, csvEstimate(e)...)
			}
			return append(cells, csvShare(r.KnownResolvers.Share))
		},
		json: func(i int) object {
			r := &rows[i]
			causes := object{}
			for k, e := range r.Causes {
				causes = append(causes, member{string(analysis.CauseOrder[k]), estimate(e)})
			}
			o := append(object{{"group", groupJSON(r.Group)}}, groupNames(r.Group, networks)...)
			return append(o, object{
				{"scheme", string(r.Scheme)},
				{"views", r.Views},
				{"judged", r.Judged},
				{"not_optimal_views", r.MissedViews},
				{"not_optimal", estimate(r.Missed)},
				{"causes", causes},
				{"resolver_known", share(r.KnownResolvers.Share)},
			}...)
		},
		footer: append([]string{"One cause a view, the first that holds:"}, append(causeLegend(rows, shown),
			about.optimal(), about.askers(), about.window(), about.counts())...),
	}
	return d.write(w, f)
}

// causeText spares people intervals of what does not occur.
func causeText(e analysis.Estimate) string {
	switch {
	case e.Share == 0:
		return "0"
	case e.High < 0.0005:
		return "<0.1"
	}
	return estimateText(e)
}

func causeTitles(by []analysis.Key) []string {
	t := append(groupTitles(by), "scheme", "views", "judged", "not_optimal_views")
	t = append(t, estimateTitles("not_optimal")...)
	for _, c := range analysis.CauseOrder {
		t = append(t, estimateTitles(string(c))...)
	}
	return append(t, "resolver_known")
}

var causeWords = map[analysis.Cause]string{
	analysis.CauseFailed:    "the probe brought no answer",
	analysis.CausePlace:     "the view's own measurements contradict its place, or the latencies of its place",
	analysis.CauseResolver:  "DNS saw the client at another place, whose answer it got",
	analysis.CauseRegion:    "no PoP of the client's region is optimal",
	analysis.CauseDistance:  "DNS answered with a PoP that is nearer, but slower",
	analysis.CauseContinent: "off the client's continent, where there is an optimal PoP",
	analysis.CauseBGP:       "routes to the anycast address led to another PoP that announces it",
	analysis.CauseUnknown:   "none of these",
}

func causeLegend(rows []analysis.CauseRow, shown []int) (lines []string) {
	line := ""
	for _, i := range shown {
		if line != "" {
			line += "; "
		}
		c := analysis.CauseOrder[i]
		line += string(c) + ": " + causeWords[c]
	}
	if line != "" {
		lines = append(lines, line+".")
	}
	for i := range rows {
		if rows[i].Scheme == edge.Unicast && rows[i].KnownResolvers.Share < 0.5 {
			return append(lines, "Where the resolver is not known, DNS is taken to have seen the client where the beacon does.")
		}
	}
	return lines
}
