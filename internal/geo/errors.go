package geo

import (
	"fmt"
	"strings"
)

// Errors are the problems of a places file, in the order of its lines.
type Errors []Error

// Error is one problem of a places file.
type Error struct {
	File   string
	Line   int
	Column string // the column's name; empty when the whole line is meant
	Msg    string // what is wrong
	Hint   string // what would be right
}

func (e Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d: ", e.File, e.Line)
	if e.Column != "" {
		fmt.Fprintf(&b, "%s: ", e.Column)
	}
	b.WriteString(e.Msg)
	if e.Hint != "" {
		fmt.Fprintf(&b, " (%s)", e.Hint)
	}
	return b.String()
}

// Error returns every problem on a line of its own.
func (l Errors) Error() string {
	lines := make([]string, len(l))
	for i, e := range l {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems one by one.
func (l Errors) Unwrap() []error {
	errs := make([]error, len(l))
	for i, e := range l {
		errs[i] = e
	}
	return errs
}
