package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Errors are the problems of a fleet file, in the order of its lines.
type Errors []Error

// Error is one problem of a fleet file.
type Error struct {
	File string
	Line int
	Path string // of the value, such as pops[3].unicast[0]; empty: the whole file
	Msg  string // what is wrong
	Hint string // what would be right; may be empty
}

// Error returns "file:line: path: what is wrong (what would be right)".
func (e Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d: ", e.File, e.Line)
	if e.Path != "" {
		fmt.Fprintf(&b, "%s: ", e.Path)
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

// maxErrors bounds how much a file that is no fleet file can make us say.
const maxErrors = 200

// report collects problems.
type report struct {
	file  string
	lines map[string]int  // of every value that was read, by path
	wrong map[string]bool // the paths of all problems, and of what is around them
	errs  Errors
}

// at adds a problem of the value at path.
func (r *report) at(path, msg, hint string) {
	r.atLine(r.line(path), path, msg, hint)
}

func (r *report) atLine(line int, path, msg, hint string) {
	for around := path; !r.wrong[around]; around = parent(around) {
		r.wrong[around] = true
	}
	if len(r.errs) >= 10*maxErrors {
		return // the first of them, by line, are most likely among these
	}
	r.errs = append(r.errs, Error{r.file, line, path, msg, hint})
}

// line returns the line of the value at path, or of the nearest value around
// it when there is none.
func (r *report) line(path string) int {
	for {
		if line, ok := r.lines[path]; ok {
			return line
		}
		if path == "" {
			return 1
		}
		path = parent(path)
	}
}

// parent returns the path of the value around the one at path.
func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// reported reports whether the value at path, or any within it, is wrong.
func (r *report) reported(path string) bool { return r.wrong[path] }

// err returns the problems, sorted by line, or nil when there are none.
func (r *report) err() error {
	if len(r.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(r.errs, func(a, b Error) int { return cmp.Compare(a.Line, b.Line) })
	if len(r.errs) > maxErrors {
		last := r.errs[maxErrors-1]
		r.errs = append(r.errs[:maxErrors], Error{r.file, last.Line, "", "more problems follow, which are not shown", ""})
	}
	return r.errs
}
