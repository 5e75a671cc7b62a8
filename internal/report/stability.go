package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"catchment/internal/analysis"
	"catchment/internal/edge"
)

// AboutStability is how a report on synthetic downloads was made.
type AboutStability struct {
	Since, Until time.Time // as asked for; zero is open
	Totals       analysis.StabilityTotals
	Criteria     analysis.StabilityCriteria
	Networks     map[uint32]string // names of ASNs
	Limit        int               // at most so many rows; 0: all

	// Resets has what the PoPs' reset watchers saw of all clients, by the keys
	// of the report's groups.
	Resets func(group []analysis.Label) (resets, confirmed uint64)
}

// Stability writes whether TCP over each VIP is as stable as over unicast: the
// answer as a line for each, unless the format is for programs, and the groups.
// by is what the rows were grouped by.
func Stability(w io.Writer, f Format, by []analysis.Key, r analysis.StabilityReport, about AboutStability) error {
	if f == Table || f == Markdown {
		for i := range r.Summary {
			line := clean(about.Answer(by, &r.Summary[i], r.Rows))
			if f == Markdown {
				line = markdownText(line)
			}
			if _, err := fmt.Fprintf(w, "%s\n\n", line); err != nil {
				return fmt.Errorf("report: %w", err)
			}
		}
	}
	rows := r.Rows
	if about.Limit > 0 {
		rows = rows[:min(len(rows), about.Limit)]
	}
	d := document{
		n: len(rows),
		columns: append(groupColumns(by),
			column{title: "verdict"}, column{title: "looks like"}, column{title: "course"},
			column{"over the VIP", "downloads", true}, column{"over the VIP", "broken", true}, column{"over the VIP", "per 1,000 min", true},
			column{"over unicast", "downloads", true}, column{"over unicast", "broken", true}, column{"over unicast", "per 1,000 min", true},
			column{title: "more", right: true},
			column{title: "outcomes"},
			column{"flips", "between", true}, column{"flips", "within", true},
			column{title: "swallowed", right: true}, column{title: "reset by PoPs", right: true}),
		people: func(i int) []string { return about.people(by, &rows[i]) },
		titles: append(groupTitles(by), stabilityTitles()...),
		csv:    func(i int) []string { return about.csv(&rows[i]) },
		json:   func(i int) object { return about.json(&rows[i]) },
		footer: []string{
			"broken: downloads whose connection, once open, was reset, closed early, or silent for too long; rates are per 1,000 minutes of connection, with 95 % intervals that count what broke in one minute once. " +
				"over unicast: the same agents, to the own addresses of the PoPs that the VIP led to. flips: of pairs of connections in a row, and downloads that another PoP ended than began. " +
				"swallowed: bursts of full-size packets of which nothing arrived. reset by PoPs: connections of all clients there, as the PoPs' reset watchers saw it.",
			about.criteria(), about.counts(), about.window(),
		},
	}
	return d.write(w, f)
}

// Answer is one line: is TCP over this VIP as stable as over unicast, for whom
// not, and how sure are we?
func (a *AboutStability) Answer(by []analysis.Key, v *analysis.StabilitySummary, rows []analysis.StabilityRow) string {
	judged := v.Groups - v.Verdicts[analysis.TooFewHours]
	var names []string
	for i := range rows {
		if r := &rows[i]; r.Verdict == analysis.Unstable && r.Group[0].Text == string(v.VIP) {
			cells := groupCells(by, r.Group, a.Networks)[1:]
			names = append(names, strings.Join(cells, " "))
		}
	}
	const most = 10
	if n := len(names); n > most {
		names = append(names[:most], fmt.Sprintf("%d others", n-most))
	}
	text := fmt.Sprintf("Is TCP over %s as stable as over unicast? ", v.VIP)
	switch {
	case judged == 0:
		text += fmt.Sprintf("Not known: none of %s was watched for long enough.", counted(v.Groups))
	case len(names) > 0 && len(by) == 1:
		text += "No."
	case len(names) > 0:
		text += fmt.Sprintf("No, not for %d of %s that were watched for long enough: %s.", v.Verdicts[analysis.Unstable], counted(judged), strings.Join(names, ", "))
	default:
		text += fmt.Sprintf("Yes, for %s.", counted(judged))
	}
	if few := v.Verdicts[analysis.TooFewHours]; few > 0 && judged > 0 {
		text += fmt.Sprintf(" Too little is known of %s.", counted(few))
	}
	if too := v.Verdicts[analysis.UnicastToo]; too > 0 {
		text += fmt.Sprintf(" Of %s unicast fails as well.", counted(too))
	}
	if e := v.Excess; !math.IsNaN(e.PerMinute) {
		text += fmt.Sprintf(" In all, %s of 1,000 minutes of connection more fail than over unicast (95 %%: %s to %s).", thousandth(e.PerMinute), thousandth(e.Low), thousandth(e.High))
	} else {
		text += " There is nothing over unicast to compare it with."
	}
	if judged > 0 {
		text += fmt.Sprintf(" A group that lost %s %% of downloads of 75 s would have been found with %s %%.", number(100*a.Criteria.Alarm), number(100*a.Criteria.Power))
	}
	return text
}

func counted(groups int) string {
	if groups == 1 {
		return "1 group"
	}
	return grouped(uint64(groups)) + " groups"
}

// thousandth writes a rate per 1,000 minutes.
func thousandth(perMinute float64) string {
	v := 1000 * perMinute
	switch {
	case math.IsNaN(v):
		return none
	case math.IsInf(v, 0):
		return "∞"
	case math.Abs(v) >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case math.Abs(v) >= 1:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	if s := strconv.FormatFloat(v, 'f', 2, 64); s != "-0.00" {
		return s
	}
	return "0.00"
}

func rateText(r analysis.Rate) string {
	if math.IsNaN(r.PerMinute) {
		return none
	}
	return fmt.Sprintf("%s (%s–%s)", thousandth(r.PerMinute), thousandth(r.Low), thousandth(r.High))
}

func textOr(s string) string {
	if s == "" {
		return none
	}
	return s
}

// outcomesText lists what was not ok, most first.
func outcomesText(all map[edge.DownloadOutcome]uint64) string {
	var bad []edge.DownloadOutcome
	for o, n := range all {
		if o != edge.DownloadOK && o != edge.DownloadStopped && n > 0 {
			bad = append(bad, o)
		}
	}
	slices.SortFunc(bad, func(a, b edge.DownloadOutcome) int {
		if all[a] != all[b] {
			return int(min(all[b], 1<<40)) - int(min(all[a], 1<<40))
		}
		return strings.Compare(string(a), string(b))
	})
	var text []string
	for _, o := range bad {
		text = append(text, grouped(all[o])+" "+string(o))
	}
	return textOr(strings.Join(text, ", "))
}

func (a *AboutStability) people(by []analysis.Key, r *analysis.StabilityRow) []string {
	resets, _ := a.Resets(r.Group)
	flips := none
	if r.Pairs > 0 {
		flips = percent(float64(r.Flips)/float64(r.Pairs)) + " %"
	}
	more := none
	if !math.IsNaN(r.Excess.PerMinute) {
		more = fmt.Sprintf("%s (%s to %s)", thousandth(r.Excess.PerMinute), thousandth(r.Excess.Low), thousandth(r.Excess.High))
	}
	return append(groupCells(by, r.Group, a.Networks), string(r.Verdict), textOr(string(r.Pattern)), textOr(string(r.Course)),
		grouped(r.VIP.Downloads), grouped(r.VIP.Broken), rateText(r.VIP.Rate),
		grouped(r.Unicast.Downloads), grouped(r.Unicast.Broken), rateText(r.Unicast.Rate), more,
		outcomesText(r.VIP.Outcomes), flips, grouped(r.Within),
		fmt.Sprintf("%s/%s", grouped(r.VIP.Swallowed), grouped(r.VIP.Big)), grouped(resets))
}

func stabilityTitles() (titles []string) {
	titles = []string{"verdict", "pattern", "course"}
	for _, over := range []string{"vip_", "unicast_"} {
		for _, t := range []string{"downloads", "minutes", "broken", "episodes", "rate", "rate_low", "rate_high", "unmade", "big", "swallowed"} {
			titles = append(titles, over+t)
		}
	}
	titles = append(titles, "excess", "excess_low", "excess_high", "ratio", "ratio_low", "ratio_high", "chance", "pairs", "flips", "within", "resets", "resets_confirmed")
	for _, o := range edge.DownloadOutcomes {
		titles = append(titles, strings.ReplaceAll(string(o), " ", "_"))
	}
	return titles
}

func (a *AboutStability) csv(r *analysis.StabilityRow) []string {
	cells := append(groupCSV(r.Group, a.Networks), string(r.Verdict), string(r.Pattern), string(r.Course))
	for _, v := range []*analysis.Survival{&r.VIP, &r.Unicast} {
		cells = append(cells, csvCount(v.Downloads), csvMillis(v.Minutes), csvCount(v.Broken), csvCount(v.Episodes))
		cells = append(cells, csvRate(v.Rate)...)
		cells = append(cells, csvCount(v.Unmade), csvCount(v.Big), csvCount(v.Swallowed))
	}
	resets, confirmed := a.Resets(r.Group)
	cells = append(cells, csvRate(r.Excess)...)
	cells = append(cells, rounded(r.Ratio, 4), rounded(r.RatioLow, 4), rounded(r.RatioTop, 4), rounded(r.Chance, 12),
		csvCount(r.Pairs), csvCount(r.Flips), csvCount(r.Within), csvCount(resets), csvCount(confirmed))
	for _, o := range edge.DownloadOutcomes {
		cells = append(cells, csvCount(r.VIP.Outcomes[o]))
	}
	return cells
}

// rateDigits are those of rates per minute after the point.
const rateDigits = 8

func csvRate(r analysis.Rate) []string {
	return []string{rounded(r.PerMinute, rateDigits), rounded(r.Low, rateDigits), rounded(r.High, rateDigits)}
}

func rateJSON(r analysis.Rate) object {
	c := csvRate(r)
	return object{{"per_minute", exact(c[0])}, {"low", exact(c[1])}, {"high", exact(c[2])}}
}

func (a *AboutStability) json(r *analysis.StabilityRow) object {
	resets, confirmed := a.Resets(r.Group)
	outcomes := object{}
	for _, o := range edge.DownloadOutcomes {
		if n := r.VIP.Outcomes[o]; n > 0 {
			outcomes = append(outcomes, member{string(o), n})
		}
	}
	over := func(v *analysis.Survival) object {
		return object{
			{"downloads", v.Downloads},
			{"minutes", figure(v.Minutes)},
			{"broken", v.Broken},
			{"episodes", v.Episodes},
			{"rate", rateJSON(v.Rate)},
			{"unmade", v.Unmade},
			{"big", v.Big},
			{"swallowed", v.Swallowed},
		}
	}
	o := append(object{{"group", groupJSON(r.Group)}}, groupNames(r.Group, a.Networks)...)
	return append(o, object{
		{"verdict", string(r.Verdict)},
		{"pattern", string(r.Pattern)},
		{"course", string(r.Course)},
		{"vip", over(&r.VIP)},
		{"unicast", over(&r.Unicast)},
		{"excess", rateJSON(r.Excess)},
		{"ratio", object{{"ratio", exact(rounded(r.Ratio, 4))}, {"low", exact(rounded(r.RatioLow, 4))}, {"high", exact(rounded(r.RatioTop, 4))}}},
		{"chance", exact(rounded(r.Chance, 12))},
		{"pairs", r.Pairs},
		{"flips", r.Flips},
		{"within", r.Within},
		{"resets", resets},
		{"resets_confirmed", confirmed},
		{"outcomes", outcomes},
	}...)
}

func (a *AboutStability) criteria() string {
	c := a.Criteria
	return fmt.Sprintf("unstable: surely more than %s %% of downloads of 75 s would break; of those called so %s %% may be wrong. "+
		"too few: one that loses %s %% would not be found with %s %%.",
		number(100*c.Tolerable), number(100*c.FalseShare), number(100*c.Alarm), number(100*c.Power))
}

func (a *AboutStability) counts() string {
	t := &a.Totals
	return fmt.Sprintf("%s records of %s agents. Refused by PoPs at their limits: %s. Silences that may be the agent's own, not counted as broken: %s.",
		grouped(t.Records), grouped(uint64(t.Agents)), grouped(t.Busy), grouped(t.Lagged))
}

func (a *AboutStability) window() string {
	const layout = "2006-01-02 15:04"
	from, to := a.Since, a.Until
	if from.IsZero() {
		from = a.Totals.From
	}
	if to.IsZero() {
		to = a.Totals.To
	}
	if from.IsZero() || to.IsZero() {
		return "Window: no agent has handed in anything."
	}
	return fmt.Sprintf("Window: %s to %s (UTC).", from.UTC().Format(layout), to.UTC().Format(layout))
}
