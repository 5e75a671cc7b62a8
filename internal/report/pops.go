package report

import (
	"fmt"
	"io"
	"strings"

	"catchment/internal/analysis"
)

// PoPs writes whom every PoP serves under every scheme.
func PoPs(w io.Writer, f Format, rows []analysis.Served, about About) error {
	d := document{
		n: len(rows),
		columns: []column{
			{title: "PoP"},
			{title: "scheme"},
			{title: "views", right: true},
			{title: "share %", right: true},
			{over: "RTT, ms", title: "p50", right: true},
			{over: "RTT, ms", title: "p90", right: true},
			{title: "not optimal %", right: true},
			{title: "home"},
			{title: "foreign %", right: true},
			{title: "places"},
		},
		people: func(i int) []string {
			s := &rows[i]
			var places []string
			for _, p := range s.Places[:min(3, len(s.Places))] {
				places = append(places, fmt.Sprintf("%s %.0f %%", orNone(p.Place()), 100*p.Share))
			}
			return []string{
				string(s.PoP), string(s.Scheme), grouped(s.Views), percent(s.Share), latency(s.P50), latency(s.P90),
				percent(s.NotOptimal), orNone(s.Home), percent(s.Foreign), strings.Join(places, ", "),
			}
		},
		titles: []string{"pop", "scheme", "views", "share", "rtt_p50", "rtt_p90", "not_optimal", "home", "foreign", "places"},
		csv: func(i int) []string {
			s := &rows[i]
			var places []string
			for _, p := range s.Places {
				places = append(places, p.Place()+"="+csvShare(p.Share))
			}
			return []string{
				string(s.PoP), string(s.Scheme), csvCount(s.Views), csvShare(s.Share), csvMillis(s.P50), csvMillis(s.P90),
				csvShare(s.NotOptimal), s.Home, csvShare(s.Foreign), strings.Join(places, " "),
			}
		},
		json: func(i int) object {
			s := &rows[i]
			var places list
			for _, p := range s.Places {
				places = append(places, object{{"country", p.Country}, {"subdivision", p.Subdivision}, {"share", share(p.Share)}})
			}
			return object{
				{"pop", string(s.PoP)},
				{"scheme", string(s.Scheme)},
				{"views", s.Views},
				{"share", share(s.Share)},
				{"rtt_p50", millis(s.P50)},
				{"rtt_p90", millis(s.P90)},
				{"not_optimal", share(s.NotOptimal)},
				{"home", s.Home},
				{"foreign", share(s.Foreign)},
				{"places", places},
			}
		},
		footer: []string{
			"share: of the views that the scheme brought an answer to. RTT: of the scheme's probes that the PoP answered.",
			"home: the continent nearest to the PoP by RTT to its own name; foreign: views from other continents.",
			about.optimal(), about.window(), about.counts(),
		},
	}
	return d.write(w, f)
}
