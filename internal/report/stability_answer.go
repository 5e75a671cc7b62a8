package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"catchment/internal/analysis"
)

// namesInAnswer is how many networks a line names.
const namesInAnswer = 10

// Answer is one line: is TCP over this VIP as stable as over unicast, for whom
// not, and how sure are we?
func (a *AboutStability) Answer(by []analysis.Key, v *analysis.StabilitySummary, rows []analysis.StabilityRow) string {
	judged := v.Groups - v.Verdicts[analysis.TooFewHours]
	names := a.unstable(by, v, rows)
	text := fmt.Sprintf("Is TCP over %s as stable as over unicast? ", v.VIP)
	switch {
	case judged == 0 && v.Groups == 1:
		text += "Not known: it was not watched for long enough."
	case judged == 0:
		text += fmt.Sprintf("Not known: none of %s was watched for long enough.", counted(v.Groups))
	case len(names) > 0 && len(by) == 1:
		text += "No" + names[0] + "."
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
	switch e := v.Excess; {
	case v.Survival.Minutes == 0:
		text += " No connection over it was ever open."
	case v.Unicast.Minutes == 0:
		text += " There is nothing over unicast to compare it with."
	default:
		text += fmt.Sprintf(" In 1,000 minutes of connection %s than over unicast (95 %%: %s to %s more).", moreBreak(e.PerMinute), thousandth(e.Low), thousandth(e.High))
	}
	if n, there := v.Survival.Unmade, v.Unicast.Unmade; n > 0 {
		text += fmt.Sprintf(" Never connected: %s of %s (%s of %s over unicast).", grouped(n), grouped(n+v.Survival.Downloads+v.Survival.Big), grouped(there), grouped(there+v.Unicast.Downloads+v.Unicast.Big))
	}
	if judged > 0 {
		text += fmt.Sprintf(" A group that lost %s %% of downloads of 75 s would have been found with %s %%.", number(100*a.Criteria.Alarm), number(100*a.Criteria.Power))
	}
	return text
}

// unstable names the groups for which it is not, and what that looks like.
func (a *AboutStability) unstable(by []analysis.Key, v *analysis.StabilitySummary, rows []analysis.StabilityRow) (names []string) {
	more := 0
	for i := range rows {
		r := &rows[i]
		if r.Verdict != analysis.Unstable || r.Group[0].Text != string(v.VIP) {
			continue
		}
		if len(names) == namesInAnswer {
			more++
			continue
		}
		name := strings.Join(groupCells(by, r.Group, a.Networks)[1:], " ")
		if r.Pattern != analysis.NoPattern {
			name += " (" + string(r.Pattern) + ")"
		}
		names = append(names, name)
	}
	if more > 0 {
		names = append(names, grouped(uint64(more))+" more")
	}
	return names
}

// moreBreak says how many connections more broke, or fewer.
func moreBreak(perMinute float64) string {
	if perMinute < 0 {
		return thousandth(-perMinute) + " fewer broke"
	}
	return thousandth(perMinute) + " more broke"
}

func counted(groups int) string {
	if groups == 1 {
		return "1 group"
	}
	return grouped(uint64(groups)) + " groups"
}

// stabilityVerdicts in the order of tables.
var stabilityVerdicts = []analysis.StabilityVerdict{analysis.Unstable, analysis.UnicastToo, analysis.Stable, analysis.TooFewHours}

// StabilityAnswers writes the answers as CSV, a row for each VIP.
func StabilityAnswers(w io.Writer, by []analysis.Key, r analysis.StabilityReport, about AboutStability) error {
	titles := []string{"vip", "answer", "groups"}
	for _, v := range stabilityVerdicts {
		titles = append(titles, strings.ReplaceAll(string(v), " ", "_"))
	}
	titles = append(append(titles, survivalTitles()...), "needed_minutes")
	d := document{
		n: len(r.Summary), titles: titles,
		csv: func(i int) []string {
			v := &r.Summary[i]
			cells := []string{string(v.VIP), about.Answer(by, v, r.Rows), csvCount(uint64(v.Groups))}
			for _, verdict := range stabilityVerdicts {
				cells = append(cells, csvCount(uint64(v.Verdicts[verdict])))
			}
			cells = append(append(cells, survivalCSV(&v.Survival)...), survivalCSV(&v.Unicast)...)
			cells = append(append(cells, csvRate(v.Excess)...), csvRatio(v.Ratio)...)
			return append(cells, csvMillis(v.NeededMinutes))
		},
	}
	return d.write(w, CSV)
}

// answerJSON is the answer for a VIP, with what it is made from.
func (a *AboutStability) answerJSON(by []analysis.Key, v *analysis.StabilitySummary, rows []analysis.StabilityRow) object {
	verdicts := object{}
	for _, verdict := range stabilityVerdicts {
		verdicts = append(verdicts, member{string(verdict), uint64(v.Verdicts[verdict])})
	}
	return object{
		{"vip", string(v.VIP)},
		{"answer", clean(a.Answer(by, v, rows))},
		{"groups", uint64(v.Groups)},
		{"verdicts", verdicts},
		{"over_vip", survivalJSON(&v.Survival)},
		{"over_unicast", survivalJSON(&v.Unicast)},
		{"excess", rateJSON(v.Excess)},
		{"ratio", ratioJSON(v.Ratio)},
		{"needed_minutes", figure(v.NeededMinutes)},
	}
}

// aboutJSON is how the report was made.
func (a *AboutStability) aboutJSON() object {
	t, c := &a.Totals, &a.Criteria
	from, to := a.between()
	return object{
		{"from", timeJSON(from)},
		{"to", timeJSON(to)},
		{"records", t.Records},
		{"agents", uint64(t.Agents)},
		{"busy", t.Busy},
		{"lagged", t.Lagged},
		{"tolerable", share(c.Tolerable)},
		{"alarm", share(c.Alarm)},
		{"false_share", share(c.FalseShare)},
		{"power", share(c.Power)},
	}
}

// between is the time asked for, or else that of what there is.
func (a *AboutStability) between() (from, to time.Time) {
	from, to = a.Since, a.Until
	if from.IsZero() {
		from = a.Totals.From
	}
	if to.IsZero() {
		to = a.Totals.To
	}
	return from, to
}

// timeJSON is a time, or null.
func timeJSON(t time.Time) any {
	if t.IsZero() {
		return exact("")
	}
	return t.UTC().Format(time.RFC3339)
}
