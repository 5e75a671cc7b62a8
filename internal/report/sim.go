package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"catchment/internal/analysis"
	"catchment/internal/sim"
)

// SimAbout is how a simulation was made, for its footer.
type SimAbout struct {
	Seed      uint64
	Seeds     int // one after the other, from Seed
	By        sim.By
	Tolerance analysis.Tolerance
	Rate      float64  // requests/s of one user; 0: not known
	Sources   []string // of the topology
	Warnings  []string
	Limit     int    // rows shown of each table; 0: all
	Table     string // the one that CSV has
}

// sheet is one of the tables of a simulation.
type sheet struct {
	title   string
	columns []column
	rows    [][]string
	notes   [][]string // sentences about each row, if any
	more    int        // rows left out

	titles []string // CSV
	csv    [][]string
}

// simDocument is a report of a simulation in all its forms.
type simDocument struct {
	lead   []string // before the tables
	sheets map[string]*sheet
	order  []string
	json   object
	footer []string
}

func (d *simDocument) write(w io.Writer, f Format, table string) error {
	buf := bufio.NewWriterSize(w, 1<<16)
	switch f {
	case JSON:
		buf.Write(append(appendJSON(nil, d.json), '\n'))
	case CSV:
		s := d.sheets[table]
		if s == nil {
			return fmt.Errorf("report: there is no table %q (want %s)", table, strings.Join(d.order, " or "))
		}
		doc := document{n: len(s.csv), titles: s.titles, csv: func(i int) []string { return s.csv[i] }}
		doc.writeCSV(buf)
	default:
		d.people(buf, f)
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// people writes all tables, Table or Markdown.
func (d *simDocument) people(w io.Writer, f Format) {
	line := func(s string) {
		if s = clean(s); f == Markdown {
			fmt.Fprintln(w, markdownText(s))
		} else {
			fmt.Fprintln(w, wrap(s, pageWidth))
		}
	}
	for _, s := range d.lead {
		line(s)
	}
	if len(d.lead) > 0 {
		fmt.Fprintln(w)
	}
	for _, name := range d.order {
		s := d.sheets[name]
		if len(s.rows) == 0 {
			continue
		}
		if s.title != "" {
			line(s.title)
			if f == Markdown {
				fmt.Fprintln(w)
			}
		}
		if f == Markdown {
			s.markdown(w)
		} else {
			s.text(w)
		}
		if s.more > 0 {
			line(fmt.Sprintf("… and %d more (--limit)", s.more))
		}
		fmt.Fprintln(w)
	}
	for _, s := range d.footer {
		line(s)
	}
}

// grid is the sheet's table without notes.
func (s *sheet) grid() *grid {
	g := &grid{columns: s.columns}
	for _, row := range s.rows {
		cells := make([]string, len(row))
		for i := range row {
			cells[i] = clean(row[i])
		}
		g.rows = append(g.rows, cells)
	}
	return g
}

// text writes the table with the notes of each row indented below it.
func (s *sheet) text(w io.Writer) {
	var b strings.Builder
	s.grid().text(&b)
	lines := strings.SplitAfter(strings.TrimSuffix(b.String(), "\n"), "\n")
	head := len(lines) - len(s.rows)
	for i, line := range lines {
		fmt.Fprintln(w, strings.TrimSuffix(line, "\n"))
		if i < head || i-head >= len(s.notes) {
			continue
		}
		for _, note := range s.notes[i-head] {
			const indent = "    "
			fmt.Fprintln(w, indent+strings.ReplaceAll(wrap(clean(note), pageWidth-len(indent)), "\n", "\n"+indent))
		}
	}
}

// markdown writes the table with the notes of each row in a last column.
func (s *sheet) markdown(w io.Writer) {
	g := s.grid()
	if len(s.notes) > 0 {
		g.columns = append(g.columns[:len(g.columns):len(g.columns)], column{title: "why"})
		for i := range g.rows {
			g.rows[i] = append(g.rows[i], clean(strings.Join(s.notes[i], ". ")))
		}
	}
	g.markdown(w)
}

// shown returns how many of n rows are shown to people.
func (a *SimAbout) shown(n int) int {
	if a.Limit > 0 {
		return min(n, a.Limit)
	}
	return n
}

// seeds says which ones were used.
func (a *SimAbout) seeds() string {
	if a.Seeds > 1 {
		return fmt.Sprintf("%d seeds from %d: the median, with the 10th and 90th percentile behind it", a.Seeds, a.Seed)
	}
	return fmt.Sprintf("seed %d (seeds differ: decide on an ensemble, --seeds 20)", a.Seed)
}

func (a *SimAbout) load() string {
	return "Load: " + number(a.Rate) + " requests/s a user; ! over capacity."
}

func (a *SimAbout) optimal() string {
	about := About{Criteria: analysis.Criteria{Tolerance: a.Tolerance}}
	within, _, _ := strings.Cut(about.optimal(), ", by median")
	return within + "; RTTs are simulated, without the last mile."
}

// origin says what all of it rests on.
func (a *SimAbout) origin() []string {
	lines := []string{"Engine: topology. Nothing of this was measured; docs/sim.md says what to believe."}
	if len(a.Sources) > 0 {
		lines = append(lines, "Topology: "+strings.Join(a.Sources, "; "))
	}
	return lines
}

func (a *SimAbout) members() object {
	return object{
		{"engine", string(sim.ByTopology)},
		{"seed", a.Seed},
		{"seeds", uint64(a.Seeds)},
		{"sources", texts(a.Sources)},
		{"warnings", texts(a.Warnings)},
	}
}
