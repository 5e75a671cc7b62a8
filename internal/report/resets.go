package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"catchment/internal/analysis"
	"catchment/internal/edge"
)

// AboutResets is how a report on resets was made.
type AboutResets struct {
	Since, Until time.Time // as asked for; zero is open
	Totals       analysis.ResetTotals
	Networks     map[uint32]string // names of ASNs
}

// Resets writes whose connections were torn away from their PoP. by is what
// the rows were grouped by.
func Resets(w io.Writer, f Format, by []analysis.Key, rows []analysis.ResetRow, about AboutResets) error {
	titles := []string{"resets", "per_hour", "sampled", "confirmed", "unheard", "timed_out", "doubtful", "prefixes", "balanced"}
	d := document{
		n: len(rows),
		columns: append(groupColumns(by),
			column{title: "resets", right: true}, column{title: "per hour", right: true},
			column{"connections", "sampled", true}, column{"connections", "confirmed", true}, column{"connections", "unheard", true}, column{"connections", "timed out", true},
			column{title: "in doubt", right: true},
			column{"client prefixes", "all", true}, column{"client prefixes", "balanced", true}),
		people: func(i int) []string {
			r := &rows[i]
			return append(groupCells(by, r.Group, about.Networks), grouped(r.Resets), latency(r.PerHour),
				grouped(r.Sampled), grouped(r.Confirmed), grouped(r.Unheard), grouped(r.TimedOut), grouped(r.Doubtful),
				grouped(uint64(r.Networks)), grouped(uint64(r.Balanced)))
		},
		titles: append(groupTitles(by), titles...),
		csv: func(i int) []string {
			r := &rows[i]
			cells := append(groupCSV(r.Group, about.Networks), csvCount(r.Resets), rounded(r.PerHour, 3))
			for _, n := range []uint64{r.Sampled, r.Confirmed, r.Unheard, r.TimedOut, r.Doubtful, uint64(r.Networks), uint64(r.Balanced)} {
				cells = append(cells, csvCount(n))
			}
			return cells
		},
		json: func(i int) object {
			r := &rows[i]
			o := append(object{{"group", groupJSON(r.Group)}}, groupNames(r.Group, about.Networks)...)
			return append(o, object{
				{"resets", r.Resets},
				{"per_hour", figure(r.PerHour)},
				{"sampled", r.Sampled},
				{"confirmed", r.Confirmed},
				{"unheard", r.Unheard},
				{"timed_out", r.TimedOut},
				{"doubtful", r.Doubtful},
				{"prefixes", uint64(r.Networks)},
				{"balanced", uint64(r.Balanced)},
			}...)
		},
		footer: []string{
			"resets: segments that met a PoP which did not know their connection. confirmed: another PoP (from) had the connection open at the time; unheard: and heard nothing of its client any more. " +
				"timed out: connections that a PoP gave up since nothing came back. balanced: prefixes reset at several PoPs at a time, as if packets were spread one by one.",
			about.doubts(), about.methods(), about.window(),
		},
	}
	return d.write(w, f)
}

func (a *AboutResets) doubts() string {
	t := &a.Totals
	return fmt.Sprintf("In doubt, and not confirmed: %s right after a start, %s of connections that the PoP itself had closed, %s of scanners. "+
		"Only counted, for want of room: %s. RSTs over the usual where there is but a counter: %s.",
		grouped(t.Doubts[edge.DoubtStart]), grouped(t.Doubts[edge.DoubtClosed]), grouped(t.Doubts[edge.DoubtScan]), grouped(t.Overflow), grouped(t.Excess))
}

// methods says how PoPs saw, as far as they said anything.
func (a *AboutResets) methods() string {
	var all []string
	for pop, m := range a.Totals.Methods {
		all = append(all, string(pop)+" by "+string(m))
	}
	if len(all) == 0 {
		return "No PoP has handed in anything."
	}
	slices.Sort(all)
	return "Seen at " + strings.Join(all, ", ") + "."
}

func (a *AboutResets) window() string {
	const layout = "2006-01-02 15:04"
	from, to := a.Since, a.Until
	if from.IsZero() {
		from = a.Totals.From
	}
	if to.IsZero() {
		to = a.Totals.To
	}
	if from.IsZero() || to.IsZero() {
		return "Window: nothing was received."
	}
	return fmt.Sprintf("Window: %s to %s (UTC).", from.UTC().Format(layout), to.UTC().Format(layout))
}
