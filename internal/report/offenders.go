package report

import (
	"io"

	"catchment/internal/analysis"
)

// Offenders writes who loses the most time, most first.
func Offenders(w io.Writer, f Format, rows []analysis.Offender, about About) error {
	d := document{
		n: len(rows),
		columns: []column{
			{title: "network"},
			{title: "place"},
			{title: "scheme"},
			{title: "reached"},
			{title: "best"},
			{title: "views", right: true},
			{title: "ms lost", right: true},
			{title: "% of all lost", right: true},
			{title: "first day"},
			{title: "last day"},
		},
		people: func(i int) []string {
			o := &rows[i]
			return []string{
				network(o.ASN, about.Networks), o.Place(), string(o.Scheme), string(o.PoP), string(o.Best),
				grouped(o.Views), latency(o.Penalty), percent(o.LostShare), o.First.String(), o.Last.String(),
			}
		},
		titles: []string{
			"asn", "as_name", "country", "subdivision", "scheme", "pop", "best_pop", "views", "penalty", "lost_ms", "lost_share", "first", "last",
		},
		csv: func(i int) []string {
			o := &rows[i]
			return []string{
				csvCount(uint64(o.ASN)), about.Networks[o.ASN], o.Country, o.Subdivision, string(o.Scheme), string(o.PoP), string(o.Best),
				csvCount(o.Views), csvMillis(o.Penalty), csvMillis(o.Lost), csvShare(o.LostShare), o.First.String(), o.Last.String(),
			}
		},
		json: func(i int) object {
			o := &rows[i]
			return object{
				{"asn", uint64(o.ASN)},
				{"as_name", about.Networks[o.ASN]},
				{"country", o.Country},
				{"subdivision", o.Subdivision},
				{"scheme", string(o.Scheme)},
				{"pop", string(o.PoP)},
				{"best_pop", string(o.Best)},
				{"views", o.Views},
				{"penalty", millis(o.Penalty)},
				{"lost_ms", millis(o.Lost)},
				{"lost_share", share(o.LostShare)},
				{"first", o.First.String()},
				{"last", o.Last.String()},
			}
		},
		footer: []string{
			"ms lost: penalty per view, against the best PoP. Ranked by users × ms lost; % of all that the scheme loses to PoPs that are not optimal.",
			about.optimal(), about.window(), about.counts(),
		},
	}
	return d.write(w, f)
}
