package report

import (
	"fmt"
	"io"
	"math"

	"catchment/internal/edge"
	"catchment/internal/sim"
)

// SimRun writes how each scheme serves users, by geography, and what every PoP
// gets: runs are summaries of the same fleet and topology, one for each seed.
// CSV has the table "places" or "pops".
func SimRun(w io.Writer, f Format, runs []*sim.Summary, about SimAbout) error {
	r := simRun{runs: runs, about: &about}
	for k, s := range edge.Schemes {
		if !math.IsNaN(runs[0].All.Schemes[k].Optimal) {
			r.schemes = append(r.schemes, s)
		}
	}
	d := simDocument{
		sheets: map[string]*sheet{"places": r.places(), "pops": r.pops()},
		order:  []string{"places", "pops"},
		json:   r.json(),
		footer: []string{
			about.optimal() + " p50/p90: ms lost against the best PoP. foreign: reached a PoP on another continent. Shares are of users; " + about.seeds() + ".",
		},
	}
	for _, scheme := range r.schemes {
		all := &runs[0].All
		if nowhere := 1 - all.Schemes[scheme.Index()].Users/all.Users; nowhere > 1e-6 { // more than rounding
			d.footer = append(d.footer, fmt.Sprintf("Under %s, users who seem to be where no region serves them (%.3g %% of all) are led nowhere and left out.",
				scheme, 100*nowhere))
		}
	}
	if about.Rate > 0 {
		d.footer = append(d.footer, about.load())
	}
	d.footer = append(d.footer, about.origin()...)
	return d.write(w, f, about.Table)
}

type simRun struct {
	runs    []*sim.Summary
	about   *SimAbout
	schemes []edge.Scheme
}

// row returns row i of a run; −1 is everyone.
func row(s *sim.Summary, i int) *sim.Row {
	if i < 0 {
		return &s.All
	}
	return &s.Rows[i]
}

func (r *simRun) places() *sheet {
	first := r.runs[0]
	s := &sheet{columns: []column{{title: string(r.about.By)}, {title: "users", right: true}}}
	s.titles = []string{string(r.about.By), "name", "users"}
	for _, scheme := range r.schemes {
		title := string(scheme)
		s.columns = append(s.columns, column{title, "optimal %", true}, column{title, "p50/p90", true}, column{title, "foreign %", true})
		for _, t := range []string{"users", "optimal", "penalty_p50", "penalty_p90", "foreign", "lost"} {
			s.titles = append(s.titles, spreadTitles(len(r.runs), title+"_"+t)...)
		}
	}
	shown := r.about.shown(len(first.Rows))
	s.more = len(first.Rows) - shown
	for i := -1; i < len(first.Rows); i++ {
		x := row(first, i)
		label := x.Label
		switch {
		case i < 0:
			label = "all"
		case x.Name != "":
			label = short(x.Label+" "+x.Name, 28)
		case label == "":
			label = none
		}
		cells := []string{label, users(x.Users)}
		record := []string{x.Label, x.Name, csvCount(people(x.Users))}
		for _, scheme := range r.schemes {
			k := scheme.Index()
			optimal := over(r.runs, func(s *sim.Summary) float64 { return row(s, i).Schemes[k].Optimal })
			p50 := over(r.runs, func(s *sim.Summary) float64 { return row(s, i).Schemes[k].PenaltyP50 })
			p90 := over(r.runs, func(s *sim.Summary) float64 { return row(s, i).Schemes[k].PenaltyP90 })
			foreign := over(r.runs, func(s *sim.Summary) float64 { return row(s, i).Schemes[k].Foreign })
			lost := over(r.runs, func(s *sim.Summary) float64 { return row(s, i).Schemes[k].Lost })
			n := over(r.runs, func(s *sim.Summary) float64 { return row(s, i).Schemes[k].Users })
			cells = append(cells, spreadPercent(optimal), penalties(median(p50), median(p90)), spreadPercent(foreign))
			record = append(record, spreadCells(n, csvWhole)...)
			record = append(record, spreadCells(optimal, csvShare)...)
			record = append(record, spreadCells(p50, csvMillis)...)
			record = append(record, spreadCells(p90, csvMillis)...)
			record = append(record, spreadCells(foreign, csvShare)...)
			record = append(record, spreadCells(lost, csvShare)...)
		}
		if i < shown {
			s.rows = append(s.rows, cells)
		}
		if i >= 0 {
			s.csv = append(s.csv, record)
		}
	}
	return s
}

// load finds what a PoP gets under a scheme. All runs list the same.
func load(s *sim.Summary, pop edge.PoPID, scheme edge.Scheme) *sim.Load {
	for i := range s.PoPs {
		if l := &s.PoPs[i]; l.PoP == pop && l.Scheme == scheme {
			return l
		}
	}
	return &sim.Load{Rate: math.NaN()}
}

// ids lists the PoPs in the order of the fleet file.
func (r *simRun) ids() (ids []edge.PoPID) {
	for _, l := range r.runs[0].PoPs {
		if l.Scheme == edge.Unicast {
			ids = append(ids, l.PoP)
		}
	}
	return ids
}

func (r *simRun) pops() *sheet {
	s := &sheet{columns: []column{{title: "PoP"}}, titles: []string{"pop", "scheme", "capacity"}}
	if r.about.Rate > 0 {
		s.columns = append(s.columns, column{title: "capacity", right: true})
	}
	for _, t := range []string{"users", "share", "rate", "over"} {
		s.titles = append(s.titles, spreadTitles(len(r.runs), t)...)
	}
	for _, scheme := range r.schemes {
		s.columns = append(s.columns, column{string(scheme), "users", true}, column{string(scheme), "share %", true})
		if r.about.Rate > 0 {
			s.columns = append(s.columns, column{string(scheme), "req/s", true})
		}
	}
	for _, id := range r.ids() {
		cells := []string{string(id)}
		if capacity := load(r.runs[0], id, edge.Unicast).Capacity; r.about.Rate > 0 {
			cells = append(cells, capacityText(capacity))
		}
		for _, scheme := range r.schemes {
			n := over(r.runs, func(s *sim.Summary) float64 { return load(s, id, scheme).Users })
			share := over(r.runs, func(s *sim.Summary) float64 { return load(s, id, scheme).Share })
			rate := over(r.runs, func(s *sim.Summary) float64 { return load(s, id, scheme).Rate })
			full := over(r.runs, func(s *sim.Summary) float64 { return oneIf(load(s, id, scheme).Over()) })
			cells = append(cells, users(median(n)), spreadPercent(share))
			if r.about.Rate > 0 {
				cells = append(cells, users(median(rate))+overText(full))
			}
			record := []string{string(id), string(scheme), rounded(known(load(r.runs[0], id, scheme).Capacity), 3)}
			record = append(record, spreadCells(n, csvWhole)...)
			record = append(record, spreadCells(share, csvShare)...)
			record = append(record, spreadCells(rate, csvMillis)...)
			record = append(record, spreadCells(full, csvWhole)...)
			s.csv = append(s.csv, record)
		}
		s.rows = append(s.rows, cells)
	}
	return s
}

func (r *simRun) json() object {
	rows := list{}
	for i := range r.runs[0].Rows {
		rows = append(rows, r.rowJSON(i))
	}
	pops := list{}
	for _, id := range r.ids() {
		schemes := object{}
		for _, scheme := range r.schemes {
			get := func(figure func(*sim.Load) float64) []float64 {
				return over(r.runs, func(s *sim.Summary) float64 { return figure(load(s, id, scheme)) })
			}
			schemes = append(schemes, member{string(scheme), object{
				{"users", spread(get(func(l *sim.Load) float64 { return l.Users }), asCount)},
				{"share", spread(get(func(l *sim.Load) float64 { return l.Share }), asShare)},
				{"rate", spread(get(func(l *sim.Load) float64 { return l.Rate }), asFigure)},
				{"over", share(mean(get(func(l *sim.Load) float64 { return oneIf(l.Over()) })))}, // of the seeds
			}})
		}
		pops = append(pops, object{
			{"pop", string(id)}, {"capacity", figure(known(load(r.runs[0], id, edge.Unicast).Capacity))}, {"schemes", schemes},
		})
	}
	return append(r.about.members(),
		member{"tolerance", r.about.Tolerance.String()}, member{"by", string(r.about.By)},
		member{"all", r.rowJSON(-1)}, member{"places", rows}, member{"pops", pops})
}

func (r *simRun) rowJSON(i int) object {
	x := row(r.runs[0], i)
	o := object{}
	if i >= 0 {
		o = append(o, member{"group", object{{string(r.about.By), x.Label}}})
		if r.about.By == sim.ByASN {
			o = append(o, member{"as_name", x.Name})
		}
	}
	schemes := object{}
	for _, scheme := range r.schemes {
		get := func(figure func(*sim.Figures) float64) []float64 {
			return over(r.runs, func(s *sim.Summary) float64 { return figure(&row(s, i).Schemes[scheme.Index()]) })
		}
		schemes = append(schemes, member{string(scheme), object{
			{"users", spread(get(func(f *sim.Figures) float64 { return f.Users }), asCount)},
			{"optimal", spread(get(func(f *sim.Figures) float64 { return f.Optimal }), asShare)},
			{"penalty_p50", spread(get(func(f *sim.Figures) float64 { return f.PenaltyP50 }), asMillis)},
			{"penalty_p90", spread(get(func(f *sim.Figures) float64 { return f.PenaltyP90 }), asMillis)},
			{"foreign", spread(get(func(f *sim.Figures) float64 { return f.Foreign }), asShare)},
			{"lost", spread(get(func(f *sim.Figures) float64 { return f.Lost }), asShare)},
		}})
	}
	return append(o, member{"users", people(x.Users)}, member{"schemes", schemes})
}
