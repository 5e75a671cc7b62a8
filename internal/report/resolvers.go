package report

import (
	"fmt"
	"io"
	"math"
	"strconv"

	"catchment/internal/analysis"
)

// Resolvers writes how far clients are from their resolvers, who sends ECS, and
// what of unicast's wrong assignments that explains. by is what the rows were
// grouped by.
func Resolvers(w io.Writer, f Format, by []analysis.Key, rows []analysis.ResolverRow, about Single) error {
	about.Totals = about.Asked.Totals
	networks := about.networks()
	d := document{
		n: len(rows),
		columns: append(groupColumns(by),
			column{title: "views", right: true},
			column{"resolver", "known %", true}, column{"resolver", "km p50/p90", true}, column{"resolver", "astray %", true}, column{"resolver", "ECS %", true},
			column{"unicast wrong, %", "astray, no ECS", true}, column{"unicast wrong, %", "others", true},
			column{title: "explained %", right: true}),
		people: func(i int) []string {
			r := &rows[i]
			return append(groupCells(by, r.Group, networks), grouped(r.Views), percent(r.Known.Share), kilometers(r.KmP50, r.KmP90),
				estimateText(r.Astray), estimateText(r.ECS), estimateText(r.Away), estimateText(r.Home), fraction(r.Explained))
		},
		titles: resolverTitles(by),
		csv: func(i int) []string {
			r := &rows[i]
			cells := append(groupCSV(r.Group, networks), csvCount(r.Views), csvShare(r.Known.Share), rounded(r.KmP50, 1), rounded(r.KmP90, 1))
			for _, e := range []analysis.Estimate{r.Astray, r.ECS, r.Foreign} {
				cells = append(cells, csvEstimate(e)...)
			}
			cells = append(append(cells, csvCount(r.AwayViews)), csvEstimate(r.Away)...)
			cells = append(append(cells, csvCount(r.HomeViews)), csvEstimate(r.Home)...)
			return append(cells, csvEstimate(r.Explained)...)
		},
		json: func(i int) object {
			r := &rows[i]
			o := append(object{{"group", groupJSON(r.Group)}}, groupNames(r.Group, networks)...)
			return append(o, object{
				{"views", r.Views},
				{"known", estimate(r.Known)},
				{"km_p50", figure(r.KmP50)},
				{"km_p90", figure(r.KmP90)},
				{"astray", estimate(r.Astray)},
				{"ecs", estimate(r.ECS)},
				{"ecs_foreign", estimate(r.Foreign)},
				{"wrong", object{
					{"astray", append(object{{"views", r.AwayViews}}, estimate(r.Away)...)},
					{"others", append(object{{"views", r.HomeViews}}, estimate(r.Home)...)},
				}},
				{"explained", estimate(r.Explained)},
			}...)
		},
		footer: []string{
			"astray: the resolver is over " + number(about.FarKm) + " km from the client, or in another country or region. ECS: it sends the client's network along. " +
				"unicast wrong: views that it did not lead to an optimal PoP, failed probes among them; others: the resolver is near or sends ECS.",
			"explained: the share of all wrong views that there would not be if views with a resolver astray and without ECS missed as often as the others.",
			about.optimal(), about.askers(), about.window(), about.counts(),
		},
	}
	return d.write(w, f)
}

func resolverTitles(by []analysis.Key) []string {
	t := append(groupTitles(by), "views", "known", "km_p50", "km_p90")
	for _, name := range []string{"astray", "ecs", "ecs_foreign"} {
		t = append(t, estimateTitles(name)...)
	}
	t = append(append(t, "astray_views"), estimateTitles("astray_wrong")...)
	t = append(append(t, "others_views"), estimateTitles("others_wrong")...)
	return append(t, estimateTitles("explained")...)
}

// kilometers is "310/1,840": median and 90th percentile.
func kilometers(p50, p90 float64) string {
	if math.IsNaN(p50) {
		return none
	}
	return grouped(uint64(math.Round(p50))) + "/" + grouped(uint64(math.Round(p90)))
}

// fraction writes a fraction that may be negative, in percent, with its
// interval; one that is known to no better than itself says nothing.
func fraction(e analysis.Estimate) string {
	half := max(e.Share-e.Low, e.High-e.Share)
	switch {
	case math.IsNaN(e.Share):
		return none
	case !(half < 1):
		return "too few"
	}
	return fmt.Sprintf("%s ±%s", percent(e.Share), strconv.FormatFloat(100*half, 'f', 1, 64))
}
