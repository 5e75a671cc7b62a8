package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"catchment/internal/analysis"
)

// Flips writes which groups see more than one PoP over a VIP, how often,
// between which, and what it costs them.
func Flips(w io.Writer, f Format, by []analysis.Key, rows []analysis.FlipRow, about AboutStability) error {
	if about.Limit > 0 {
		rows = rows[:min(len(rows), about.Limit)]
	}
	seen := func(r *analysis.FlipRow) string {
		var all []string
		for i, p := range r.PoPs {
			if i == 3 && len(r.PoPs) > 4 {
				all = append(all, fmt.Sprintf("%d others", len(r.PoPs)-i))
				break
			}
			all = append(all, fmt.Sprintf("%s %s %% (%s ms)", p.PoP, percent(float64(p.Answers)/float64(r.Answers)), latency(p.ConnectMs)))
		}
		return strings.Join(all, ", ")
	}
	between := func(r *analysis.FlipRow) string {
		if r.Most == 0 {
			return none
		}
		return fmt.Sprintf("%s, %s: %s", r.Between[0], r.Between[1], grouped(r.Most))
	}
	d := document{
		n: len(rows),
		columns: append(groupColumns(by),
			column{title: "answers", right: true}, column{title: "PoPs"}, column{"flips", "of pairs, %", true}, column{"flips", "pairs", true}, column{"flips", "within", true},
			column{title: "most between"}, column{"hours", "with flips", true}, column{"hours", "watched", true}, column{title: "cost ms", right: true}),
		people: func(i int) []string {
			r := &rows[i]
			return append(groupCells(by, r.Group, about.Networks), grouped(r.Answers), seen(r), estimateText(r.Share), grouped(r.Pairs), grouped(r.Within),
				between(r), grouped(uint64(r.Hours)), grouped(uint64(r.Watched)), latency(r.CostMs))
		},
		titles: append(append(groupTitles(by), "answers", "pops", "pairs", "flips"), append(estimateTitles("share"), "within", "between_a", "between_b", "most", "hours", "hours_watched", "cost_ms")...),
		csv: func(i int) []string {
			r := &rows[i]
			var pops []string
			for _, p := range r.PoPs {
				pops = append(pops, string(p.PoP))
			}
			cells := append(groupCSV(r.Group, about.Networks), csvCount(r.Answers), strings.Join(pops, " "), csvCount(r.Pairs), csvCount(r.Flips))
			cells = append(cells, csvEstimate(r.Share)...)
			return append(cells, csvCount(r.Within), string(r.Between[0]), string(r.Between[1]), csvCount(r.Most),
				csvCount(uint64(r.Hours)), csvCount(uint64(r.Watched)), csvMillis(r.CostMs))
		},
		json: func(i int) object {
			r := &rows[i]
			var pops list
			for _, p := range r.PoPs {
				pops = append(pops, object{
					{"pop", string(p.PoP)},
					{"answers", p.Answers},
					{"connect", millis(p.ConnectMs)},
					{"first", p.First.UTC().Format(time.RFC3339)},
					{"last", p.Last.UTC().Format(time.RFC3339)},
				})
			}
			o := append(object{{"group", groupJSON(r.Group)}}, groupNames(r.Group, about.Networks)...)
			return append(o, object{
				{"answers", r.Answers},
				{"pops", pops},
				{"pairs", r.Pairs},
				{"flips", r.Flips},
				{"share", estimate(r.Share)},
				{"within", r.Within},
				{"between", texts{string(r.Between[0]), string(r.Between[1])}},
				{"most", r.Most},
				{"hours", uint64(r.Hours)},
				{"hours_watched", uint64(r.Watched)},
				{"cost", millis(r.CostMs)},
			}...)
		},
		footer: []string{
			"answers: connections to the VIP that a PoP answered; PoPs: their shares, and the median TCP handshake. flips: of pairs of connections in a row, a moment apart, with a 95 % interval; within: downloads that another PoP ended than began. " +
				"cost: what a connection takes longer on average than if all went to the nearest of these PoPs.",
			about.counts(), about.window(),
		},
	}
	return d.write(w, f)
}
