// Package report renders what package analysis found: aligned text for people,
// Markdown for what they write, CSV and JSON for programs. It decides nothing
// and does no I/O but to the writer that it is given.
package report

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"catchment/internal/analysis"
	"catchment/internal/edge"
)

// Format is how a report is written.
type Format string

// The formats. JSON is an array of one object per row, with a stable set of
// keys (docs/method.md), that of Stability within an object; CSV has the same
// figures in columns. Shares are 0 to 1 in both, and percent in Table and
// Markdown; durations are milliseconds.
const (
	Table    Format = "table"
	CSV      Format = "csv"
	JSON     Format = "json"
	Markdown Format = "markdown"
)

// ParseFormat returns the format named s.
func ParseFormat(s string) (Format, error) {
	f := Format(s)
	if !slices.Contains([]Format{Table, CSV, JSON, Markdown}, f) {
		return "", fmt.Errorf("format %q: want table, csv, json or markdown", s)
	}
	return f, nil
}

// About is how a report was made, for its footer.
type About struct {
	Criteria     analysis.Criteria
	Margin       float64   // a share: 0.05 is five points
	Since, Until time.Time // as asked for; zero is open
	Totals       analysis.Totals
	Schemes      []edge.Scheme     // those asked for
	Networks     map[uint32]string // names of ASNs
}

func (a *About) asked(s edge.Scheme) bool {
	return len(a.Schemes) == 0 || slices.Contains(a.Schemes, s)
}

// document is a report in all its forms, of n rows.
type document struct {
	n       int
	columns []column             // Table, Markdown
	people  func(i int) []string // a row of them
	titles  []string             // CSV
	csv     func(i int) []string
	json    func(i int) object
	footer  []string // Table, Markdown
}

func (d *document) write(w io.Writer, f Format) error {
	buf := bufio.NewWriterSize(w, 1<<16)
	switch f {
	case JSON:
		d.writeJSON(buf)
	case CSV:
		d.writeCSV(buf)
	default:
		g := grid{columns: d.columns, rows: make([][]string, d.n)}
		for i := range d.n {
			g.rows[i] = d.people(i)
			for k, s := range g.rows[i] {
				g.rows[i][k] = clean(s)
			}
		}
		if f == Markdown {
			g.markdown(buf)
			fmt.Fprintf(buf, "\n%s\n", markdownText(strings.Join(d.footer, "\n")))
		} else {
			g.text(buf)
			fmt.Fprintln(buf)
			for _, line := range d.footer {
				fmt.Fprintln(buf, wrap(line, pageWidth))
			}
		}
	}
	if err := buf.Flush(); err != nil { // the first error of all writes
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// writeJSON writes an array, one row a line.
func (d *document) writeJSON(w *bufio.Writer) {
	if d.n == 0 {
		w.WriteString("[]\n")
		return
	}
	var line []byte
	for i := range d.n {
		line = append(line[:0], ",\n"...)
		if i == 0 {
			line[0] = '['
		}
		w.Write(appendJSON(line, d.json(i)))
	}
	w.WriteString("\n]\n")
}

// writeCSV writes CSV after RFC 4180, but for line ends, which are \n.
func (d *document) writeCSV(w *bufio.Writer) {
	c := csv.NewWriter(w)
	_ = c.Write(d.titles) // w keeps the first error
	for i := range d.n {
		row := d.csv(i)
		for k, s := range row {
			row[k] = clean(s)
		}
		_ = c.Write(row)
	}
	c.Flush()
}

// window says which days a report is about.
func (a *About) window() string {
	const layout = "2006-01-02 15:04"
	asked := "everything"
	switch {
	case !a.Since.IsZero() && !a.Until.IsZero():
		asked = a.Since.UTC().Format(layout) + " to " + a.Until.UTC().Format(layout)
	case !a.Since.IsZero():
		asked = "since " + a.Since.UTC().Format(layout)
	case !a.Until.IsZero():
		asked = "until " + a.Until.UTC().Format(layout)
	}
	if a.Totals.From > a.Totals.To {
		return "Window: " + asked + " (UTC), no views."
	}
	return fmt.Sprintf("Window: %s (UTC); views from %s to %s.", asked, a.Totals.From, a.Totals.To)
}

// optimal says what was called optimal.
func (a *About) optimal() string {
	t := a.Criteria.Tolerance
	within := "is the best one (strict)"
	switch ms, share := number(t.Ms)+" ms", number(100*t.Share)+" %"; {
	case t.Ms > 0 && t.Share > 0:
		within = "is within max(" + ms + ", " + share + ") of the best one"
	case t.Ms > 0:
		within = "is within " + ms + " of the best one"
	case t.Share > 0:
		within = "is within " + share + " of the best one"
	}
	return fmt.Sprintf("Optimal: the PoP reached %s, by median RTT in place×ASN and UTC day, %d samples or more.", within, a.Criteria.MinSamples)
}

// counts says how many views there were and could not be judged.
func (a *About) counts() string {
	t := &a.Totals
	unjudged, failed := make([]string, 0, len(edge.Schemes)), make([]string, 0, len(edge.Schemes))
	for k, s := range edge.Schemes {
		if a.asked(s) && t.Probed[k] > 0 {
			unjudged = append(unjudged, string(s)+" "+grouped(t.Unjudged[k]))
			failed = append(failed, string(s)+" "+grouped(t.Failed[k]))
		}
	}
	if len(unjudged) == 0 {
		return grouped(t.Views) + " views, robots left out."
	}
	return fmt.Sprintf("%s views, robots left out. Unjudged, for want of samples: %s. No country known: %s. Failed probes: %s.",
		grouped(t.Views), strings.Join(unjudged, ", "), grouped(t.NoPlace), strings.Join(failed, ", "))
}
