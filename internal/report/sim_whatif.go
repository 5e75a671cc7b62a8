package report

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"catchment/internal/edge"
	"catchment/internal/sim"
)

// SimChange writes what edits do to the catchments of a VIP: runs are the same
// edits, one for each seed. CSV has the table "moves", "pops" or "causes".
func SimChange(w io.Writer, f Format, runs []*sim.Change, about SimAbout) error {
	c := simChange{runs: runs, about: &about}
	c.merge()
	d := simDocument{
		lead:   c.lead(),
		sheets: map[string]*sheet{"moves": c.moveSheet(), "pops": c.popSheet(), "causes": c.causeSheet()},
		order:  []string{"moves", "pops", "causes"},
		json:   c.json(),
		footer: []string{
			"RTT: over the path to " + string(runs[0].VIP) + ", ms, without the last mile, of users who reach a PoP before and after. Causes are ranked by " +
				"users × ms, lost or won; those who reach no PoP any more come first. Of " + about.seeds() + ".",
		},
	}
	if about.Rate > 0 {
		d.footer = append(d.footer, about.load())
	}
	d.footer = append(d.footer, about.origin()...)
	return d.write(w, f, about.Table)
}

type simChange struct {
	runs   []*sim.Change
	about  *SimAbout
	moves  []mergedMove
	causes []mergedCause
}

// mergedMove is one move in all runs; nobody moves where a run has none.
type mergedMove struct {
	from, to edge.PoPID
	runs     []*sim.Move
}

// mergedCause is one cause in all runs: sample is of the first that has it.
type mergedCause struct {
	sample      *sim.Cause
	users, lost []float64
	in          int // how many seeds
}

func (c *simChange) merge() {
	type move struct{ from, to edge.PoPID }
	type cause struct {
		asn      uint32
		from, to edge.PoPID
	}
	moves, causes := map[move]int{}, map[cause]int{}
	nobody := &sim.Move{Shift: sim.NoShift()}
	for r, run := range c.runs {
		for i := range run.Moves {
			m := &run.Moves[i]
			at, ok := moves[move{m.From, m.To}]
			if !ok {
				at = len(c.moves)
				moves[move{m.From, m.To}] = at
				c.moves = append(c.moves, mergedMove{m.From, m.To, slices.Repeat([]*sim.Move{nobody}, len(c.runs))})
			}
			c.moves[at].runs[r] = m
		}
		for i := range run.Causes {
			x := &run.Causes[i]
			at, ok := causes[cause{x.ASN, x.From, x.To}]
			if !ok {
				at = len(c.causes)
				causes[cause{x.ASN, x.From, x.To}] = at
				c.causes = append(c.causes, mergedCause{x, make([]float64, len(c.runs)), make([]float64, len(c.runs)), 0})
			}
			m := &c.causes[at]
			m.users[r], m.lost[r] = x.Users, x.Lost
			m.in++
		}
	}
	slices.SortStableFunc(c.moves, func(a, b mergedMove) int { return cmp.Compare(mean(b.users()), mean(a.users())) })
	slices.SortStableFunc(c.causes, func(a, b mergedCause) int {
		return cmp.Or(cmp.Compare(b.stranded(), a.stranded()), cmp.Compare(math.Abs(mean(b.lost)), math.Abs(mean(a.lost))), cmp.Compare(mean(b.users), mean(a.users)))
	})
}

func (m *mergedMove) users() []float64 {
	return over(m.runs, func(m *sim.Move) float64 { return m.Users })
}

// shift collects a quantile of the RTT; NaN where nobody moves.
func (m *mergedMove) shift(get func(*sim.Shift) float64) []float64 {
	return over(m.runs, func(m *sim.Move) float64 { return get(&m.Shift) })
}

// stranded is how many users reach no PoP any more.
func (m *mergedCause) stranded() float64 {
	if m.sample.To != "" {
		return 0
	}
	return mean(m.users)
}

// quantiles of a Shift, in the order of all reports.
var quantiles = []struct {
	name string
	get  func(*sim.Shift) float64
}{
	{"before_p50", func(s *sim.Shift) float64 { return s.BeforeP50 }},
	{"before_p90", func(s *sim.Shift) float64 { return s.BeforeP90 }},
	{"after_p50", func(s *sim.Shift) float64 { return s.AfterP50 }},
	{"after_p90", func(s *sim.Shift) float64 { return s.AfterP90 }},
	{"change_p50", func(s *sim.Shift) float64 { return s.P50 }},
	{"change_p90", func(s *sim.Shift) float64 { return s.P90 }},
}

func (c *simChange) lead() []string {
	first := c.runs[0]
	edits := make([]string, len(first.Edits))
	for i, e := range first.Edits {
		edits[i] = e.String()
	}
	of := func(get func(*sim.Change) float64) []float64 { return over(c.runs, get) }
	lost := mean(of(func(x *sim.Change) float64 { return x.Lost }))
	moved := fmt.Sprintf("%s of %s users move to another PoP: %s %%.", users(median(of(func(x *sim.Change) float64 { return x.Moved }))),
		users(median(of(func(x *sim.Change) float64 { return x.Users }))), spreadPercent(of(func(x *sim.Change) float64 { return x.Moved / x.Users })))
	if lost > 0 {
		moved += fmt.Sprintf(" %s of them reach none any more.", users(lost))
	}
	lines := []string{strings.Join(edits, " ") + " on " + string(first.VIP), moved}
	if s := c.shiftText(func(x *sim.Change) *sim.Shift { return &x.MovedShift }); s != "" {
		lines = append(lines, "RTT of those who move: "+s)
	}
	if s := c.shiftText(func(x *sim.Change) *sim.Shift { return &x.All }); s != "" {
		lines = append(lines, "RTT of all: "+s)
	}
	return lines
}

// shiftText is a Shift in words, medians over seeds; empty: there is none.
func (c *simChange) shiftText(of func(*sim.Change) *sim.Shift) string {
	var q [6]float64
	for i := range quantiles {
		q[i] = median(over(c.runs, func(x *sim.Change) float64 { return quantiles[i].get(of(x)) }))
	}
	if math.IsNaN(q[0]) {
		return ""
	}
	return fmt.Sprintf("p50 %s → %s, p90 %s → %s ms; change per user p50 %s, p90 %s ms.",
		latency(q[0]), latency(q[2]), latency(q[1]), latency(q[3]), signed(q[4]), signed(q[5]))
}

// signed writes a difference in ms.
func signed(ms float64) string {
	switch {
	case math.IsNaN(ms):
		return none
	case ms < 0:
		return "−" + latency(-ms)
	}
	return "+" + latency(ms)
}

func popText(id edge.PoPID) string {
	if id == "" {
		return "(none)"
	}
	return string(id)
}

func (c *simChange) moveSheet() *sheet {
	s := &sheet{
		title: "Who moves",
		columns: []column{
			{title: "from"},
			{title: "to"},
			{title: "users", right: true},
			{title: "% of the VIP's", right: true},
			{over: "RTT p50, ms", title: "before", right: true},
			{over: "RTT p50, ms", title: "after", right: true},
			{over: "change, ms", title: "p50", right: true},
			{over: "change, ms", title: "p90", right: true},
			{title: "engine"},
		},
		titles: append([]string{"from", "to"}, append(spreadTitles(len(c.runs), "users"), spreadTitles(len(c.runs), "share")...)...),
	}
	for _, q := range quantiles {
		s.titles = append(s.titles, spreadTitles(len(c.runs), q.name)...)
	}
	s.titles = append(s.titles, "engine")
	for i := range c.moves {
		m := &c.moves[i]
		n := m.users()
		shares := make([]float64, len(n))
		for r := range n {
			shares[r] = n[r] / c.runs[r].Users
		}
		if i < c.about.shown(len(c.moves)) {
			at := func(i int) float64 { return median(m.shift(quantiles[i].get)) }
			s.rows = append(s.rows, []string{
				popText(m.from), popText(m.to), users(median(n)), spreadPercent(shares),
				latency(at(0)), latency(at(2)), signed(at(4)), signed(at(5)), string(sim.ByTopology),
			})
		}
		record := append([]string{string(m.from), string(m.to)}, append(spreadCells(n, csvWhole), spreadCells(shares, csvShare)...)...)
		for _, q := range quantiles {
			record = append(record, spreadCells(m.shift(q.get), csvMillis)...)
		}
		s.csv = append(s.csv, append(record, string(sim.ByTopology)))
	}
	s.more = len(c.moves) - len(s.rows)
	return s
}

// pop collects a figure of PoP i. All runs list the same PoPs.
func (c *simChange) pop(i int, get func(*sim.PoPChange) float64) []float64 {
	return over(c.runs, func(x *sim.Change) float64 { return get(&x.PoPs[i]) })
}

func (c *simChange) popSheet() *sheet {
	s := &sheet{
		title:   "What each PoP gets",
		columns: []column{{title: "PoP"}, {over: "users", title: "before", right: true}, {over: "users", title: "after", right: true}, {over: "users", title: "change", right: true}},
		titles:  []string{"pop", "capacity"},
	}
	for _, t := range []string{"users_before", "users_after", "rate_after", "over"} {
		s.titles = append(s.titles, spreadTitles(len(c.runs), t)...)
	}
	s.titles = append(s.titles, "engine")
	rated := c.about.Rate > 0
	if rated {
		s.columns = append(s.columns, column{title: "req/s after", right: true}, column{title: "capacity", right: true})
	}
	for i, p := range c.runs[0].PoPs {
		before, after := c.pop(i, func(p *sim.PoPChange) float64 { return p.Before }), c.pop(i, func(p *sim.PoPChange) float64 { return p.After })
		rate, full := c.pop(i, func(p *sim.PoPChange) float64 { return p.Rate }), c.pop(i, func(p *sim.PoPChange) float64 { return oneIf(p.Over()) })
		change := median(c.pop(i, func(p *sim.PoPChange) float64 { return p.After - p.Before }))
		text := "+" + users(change)
		if change < 0 {
			text = "−" + users(-change)
		}
		cells := []string{string(p.PoP), users(median(before)), users(median(after)), text}
		if rated {
			cells = append(cells, users(median(rate))+overText(full), capacityText(p.Capacity))
		}
		s.rows = append(s.rows, cells)
		record := []string{string(p.PoP), rounded(known(p.Capacity), 3)}
		record = append(record, spreadCells(before, csvWhole)...)
		record = append(record, spreadCells(after, csvWhole)...)
		record = append(record, spreadCells(rate, csvMillis)...)
		record = append(record, spreadCells(full, csvWhole)...)
		s.csv = append(s.csv, append(record, string(sim.ByTopology)))
	}
	return s
}

func (c *simChange) causeSheet() *sheet {
	s := &sheet{
		title: "Responsible networks, with the AS paths of most of their users",
		columns: []column{
			{title: "network"}, {title: "from → to"}, {title: "users", right: true}, {title: "ms a user", right: true}, {title: "% of all ms", right: true},
		},
		titles: []string{"asn", "as_name", "from", "to", "seeds", "users", "lost_user_ms", "metro", "path_before", "path_after", "why", "engine"},
	}
	if len(c.runs) > 1 {
		s.columns = append(s.columns, column{title: "seeds", right: true})
	}
	var sum float64
	for i := range c.causes {
		sum += math.Abs(mean(c.causes[i].lost))
	}
	for i := range c.causes {
		m := &c.causes[i]
		x, n, lost := m.sample, mean(m.users), mean(m.lost)
		if i < c.about.shown(len(c.causes)) {
			ms := signed(lost / n)
			if x.To == "" || x.From == "" {
				ms = none
			}
			cells := []string{
				short(fmt.Sprintf("AS%d %s", x.ASN, x.Name), 36), popText(x.From) + " → " + popText(x.To), users(n), ms, percent(math.Abs(lost) / sum),
			}
			if len(c.runs) > 1 {
				cells = append(cells, fmt.Sprintf("%d of %d", m.in, len(c.runs)))
			}
			s.rows = append(s.rows, cells)
			s.notes = append(s.notes, []string{x.Why, "from " + x.Metro + ": " + pathText(x.Before) + " → " + pathText(x.After)})
		}
		s.csv = append(s.csv, []string{
			fmt.Sprint(x.ASN), x.Name, string(x.From), string(x.To), fmt.Sprint(m.in), csvWhole(n), csvWhole(lost), x.Metro,
			pathText(x.Before), pathText(x.After), x.Why, string(x.Engine),
		})
	}
	s.more = len(c.causes) - len(s.rows)
	return s
}

func pathText(path []uint32) string {
	if len(path) == 0 {
		return "no route"
	}
	text := make([]string, len(path))
	for i, asn := range path {
		text[i] = fmt.Sprint(asn)
	}
	return strings.Join(text, " ")
}
