package report

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// grid is a table of clean text cells.
type grid struct {
	columns []column
	rows    [][]string
}

type column struct {
	over  string // a title over this and the following columns that have the same
	title string
	right bool // numbers
}

// text writes g aligned, with two spaces between columns.
func (g *grid) text(w io.Writer) {
	width := make([]int, len(g.columns))
	for i, c := range g.columns {
		width[i] = utf8.RuneCountInString(c.title)
		for _, row := range g.rows {
			width[i] = max(width[i], utf8.RuneCountInString(row[i]))
		}
	}
	g.spans(width, func(from, to, room int) {
		// A title that is wider than its columns makes the last of them wider.
		if wide := utf8.RuneCountInString(g.columns[from].over) - room; wide > 0 {
			width[to-1] += wide
		}
	})
	var line strings.Builder
	end := func() {
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
		line.Reset()
	}
	over := false
	g.spans(width, func(from, to, room int) {
		title := g.columns[from].over
		over = over || title != ""
		line.WriteString(title + strings.Repeat(" ", room-utf8.RuneCountInString(title)+2))
	})
	if over {
		end()
	} else {
		line.Reset()
	}
	put := func(i int, s string) {
		pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(s))
		if g.columns[i].right {
			s = pad + s
		} else {
			s += pad
		}
		line.WriteString(s + "  ")
	}
	for i, c := range g.columns {
		put(i, c.title)
	}
	end()
	for _, row := range g.rows {
		for i, s := range row {
			put(i, s)
		}
		end()
	}
}

// spans calls f for each run of columns [from, to) under one title, with the
// width it has.
func (g *grid) spans(width []int, f func(from, to, room int)) {
	for from := 0; from < len(g.columns); {
		to, room := from+1, width[from]
		for over := g.columns[from].over; over != "" && to < len(g.columns) && g.columns[to].over == over; to++ {
			room += 2 + width[to]
		}
		f(from, to, room)
		from = to
	}
}

func (g *grid) markdown(w io.Writer) {
	line := func(cells []string) {
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
	titles, rule := make([]string, len(g.columns)), make([]string, len(g.columns))
	for i, c := range g.columns {
		titles[i] = strings.TrimSpace(c.over + " " + c.title)
		rule[i] = "---"
		if c.right {
			rule[i] = "--:"
		}
	}
	line(titles)
	line(rule)
	for _, row := range g.rows {
		cells := make([]string, len(row))
		for i, s := range row {
			cells[i] = strings.TrimSpace(markdownText(s))
		}
		line(cells)
	}
}

// markdownText escapes what Markdown would take for markup.
func markdownText(s string) string {
	return strings.NewReplacer(`\`, `\\`, `|`, `\|`, `<`, `&lt;`, `*`, `\*`, `_`, `\_`, "`", "\\`", `[`, `\[`).Replace(s)
}

// pageWidth is what a terminal is taken to have.
const pageWidth = 120

// wrap breaks s into lines of at most width characters, where a word allows.
func wrap(s string, width int) string {
	var b strings.Builder
	room := width
	for i, word := range strings.Split(s, " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case n+1 > room:
			b.WriteByte('\n')
			room = width
		default:
			b.WriteByte(' ')
			room--
		}
		b.WriteString(word)
		room -= n
	}
	return b.String()
}

// clean makes text from outside, such as the name of a network, safe for a
// terminal: no control characters, no line ends.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
