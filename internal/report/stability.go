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
// answer as a line for each, and the groups. by is what the rows were grouped
// by. JSON is one object: about, answers (one for each VIP) and groups. CSV has
// the groups; StabilityAnswers has the answers.
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
	d := about.groups(by, r.Rows)
	if f != JSON {
		return d.write(w, f)
	}
	answers := list{}
	for i := range r.Summary {
		answers = append(answers, about.answerJSON(by, &r.Summary[i], r.Rows))
	}
	head := append(appendJSON([]byte(`{"about":`), about.aboutJSON()), ",\n\"answers\":"...)
	head = append(appendJSON(head, answers), ",\n\"groups\":"...)
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := d.write(w, f); err != nil {
		return err
	}
	if _, err := io.WriteString(w, "}\n"); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// StabilityGroups writes the groups of Stability alone, as a JSON array.
func StabilityGroups(w io.Writer, by []analysis.Key, r analysis.StabilityReport, about AboutStability) error {
	d := about.groups(by, r.Rows)
	return d.write(w, JSON)
}

// groups are at most Limit rows in all forms.
func (a *AboutStability) groups(by []analysis.Key, rows []analysis.StabilityRow) document {
	if a.Limit > 0 {
		rows = rows[:min(len(rows), a.Limit)]
	}
	return document{
		n: len(rows),
		columns: append(groupColumns(by),
			column{title: "verdict"}, column{title: "looks like"}, column{title: "course"},
			column{"over the VIP", "downloads", true}, column{"over the VIP", "broken", true}, column{"over the VIP", "per 1,000 min", true},
			column{"over unicast", "downloads", true}, column{"over unicast", "broken", true}, column{"over unicast", "per 1,000 min", true},
			column{title: "more", right: true},
			column{title: "outcomes"},
			column{"flips", "between", true}, column{"flips", "within", true},
			column{title: "swallowed", right: true}, column{title: "reset by PoPs", right: true}),
		people: func(i int) []string { return a.people(by, &rows[i]) },
		titles: append(groupTitles(by), groupStabilityTitles()...),
		csv:    func(i int) []string { return a.csv(&rows[i]) },
		json:   func(i int) object { return a.json(&rows[i]) },
		footer: []string{
			"broken: downloads whose connection, once open, was reset, closed early, or silent for too long; rates are per 1,000 minutes of connection, with 95 % intervals that count what broke in one minute once. " +
				"over unicast: the same agents, to the own addresses of the PoPs that the VIP led to. flips: of pairs of connections in a row, and downloads that another PoP ended than began. " +
				"swallowed: bursts of full-size packets of which nothing arrived. reset by PoPs: connections of all clients there, as the PoPs' reset watchers saw it.",
			a.criteria(), a.counts(), a.window(),
		},
	}
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
	from, to := a.between()
	if from.IsZero() || to.IsZero() {
		return "Window: no agent has handed in anything."
	}
	return fmt.Sprintf("Window: %s to %s (UTC).", from.UTC().Format(layout), to.UTC().Format(layout))
}
