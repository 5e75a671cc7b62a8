package dash

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"catchment/internal/analysis"
	"catchment/internal/edge"
	"catchment/internal/report"
)

// comparison is what GET compare asks for.
type comparison struct {
	by     []analysis.Key
	period period
	of     selection
	least  int
	text   string
	sort   string
	limit  int
	offset int
	csv    bool
}

func (d *Dash) askCompare(_ *http.Request, q *query) *question {
	c := comparison{period: q.period(d.cfg.Now()), of: q.selection()}
	by := cmp.Or(q.text("by"), "country")
	var err error
	if c.by, err = analysis.ParseKeys(by); err != nil {
		q.fail("by", "%v", err)
	}
	c.least = q.number("min_views", 0, 0, math.MaxInt32)
	c.text = strings.ToLower(q.text("q"))
	if len(c.text) > 100 {
		q.fail("q", "want at most 100 bytes")
	}
	c.sort = cmp.Or(q.text("sort"), "-views")
	if orders[strings.TrimPrefix(c.sort, "-")] == nil {
		q.fail("sort", "%q is not one of views, name, unicast, global, regional, diff-global, diff-regional, penalty, with or without -", c.sort)
	}
	c.limit, c.offset = q.number("limit", 1000, 1, 20_000), q.number("offset", 0, 0, math.MaxInt32)
	c.csv = q.oneOf("format", "json", "json", "csv") == "csv"
	return &question{
		key:    fmt.Sprintf("compare %v", c),
		answer: func(ctx context.Context, f *figures) (*answer, *refusal) { return d.compare(ctx, f, &c) },
	}
}

func (d *Dash) compare(ctx context.Context, f *figures, c *comparison) (*answer, *refusal) {
	days := f.between(c.period.first, c.period.last)
	r, err := d.assignment(ctx, days, c.by, c.of.only())
	if err != nil {
		return nil, unreadable(err)
	}
	rows, t := r.Rows(), r.Totals()
	about := report.About{Criteria: d.cfg.Criteria, Margin: d.cfg.Margin, Totals: t}
	if slices.Contains(c.by, analysis.ByASN) {
		about.Networks = names(days)
	}
	rows = slices.DeleteFunc(rows, func(row analysis.Row) bool {
		return row.Views < uint64(c.least) || c.text != "" && !mentions(&row, about.Networks, c.text)
	})
	sortRows(rows, c.sort)
	var out bytes.Buffer
	if c.csv {
		if err := report.Assignment(&out, report.CSV, c.by, rows, about); err != nil {
			return nil, unreadable(err)
		}
		return &answer{csv: out.Bytes()}, nil
	}
	total := len(rows)
	rows = rows[min(c.offset, total):min(c.offset+c.limit, total)]
	fmt.Fprintf(&out, `,"margin":%s,"total":%d,"rows":`, rounded(d.cfg.Margin, 6), total)
	if err := report.Assignment(&out, report.JSON, c.by, rows, about); err != nil {
		return nil, unreadable(err)
	}
	return &answer{standing: d.standingOf(f, days, &t), rest: out.Bytes()}, nil
}

func unreadable(err error) *refusal {
	r := refuse(http.StatusServiceUnavailable, "", "%v", err)
	r.State = stale
	r.Hint = "The store cannot be read. Look at the disk of `--data` and at the log of `catchment serve`."
	return r
}

// assignment makes the report on assignment of some days: of a rollup of all
// but the last, which changes, where that is possible.
func (d *Dash) assignment(ctx context.Context, days []*day, by []analysis.Key, only func(*edge.Cell) bool) (*analysis.Assignment, error) {
	r := analysis.NewAssignment(by)
	if sealed := sealedOf(days); sealed != nil && !slices.Contains(by, analysis.ByPoP) {
		d.index.rollups.get(sealed, analysis.Roll).AddTo(only, r)
		days = days[len(sealed):]
	}
	return r, d.addTo(ctx, days, only, r)
}

// sealedOf are all days but the last, judged, if it is worth making a sum of
// them; nil if not, or if one is not in memory.
func sealedOf(days []*day) (all []*analysis.Judged) {
	const worthwhile = 3
	if len(days) <= worthwhile {
		return nil
	}
	for _, x := range days[:len(days)-1] {
		if x.judged == nil {
			return nil
		}
		all = append(all, x.judged)
	}
	return all
}

// addTo adds days to reports.
func (d *Dash) addTo(ctx context.Context, days []*day, only func(*edge.Cell) bool, to ...analysis.Report) error {
	for _, x := range days {
		judged, err := d.index.judged(ctx, x)
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		judged.AddTo(only, to...)
	}
	return nil
}

// mentions reports whether a value of the group, or the name of its network,
// contains a text in lower case.
func mentions(row *analysis.Row, networks map[uint32]string, text string) bool {
	for _, l := range row.Group {
		if strings.Contains(strings.ToLower(l.Text), text) {
			return true
		}
		if l.Key == analysis.ByASN && (strings.Contains(strings.ToLower(networks[l.Number]), text) || "as"+strconv.Itoa(int(l.Number)) == text) {
			return true
		}
	}
	return false
}

// orders are what rows can be sorted by; NaN is not known. By name is nil-safe:
// it is the order of labels.
var orders = map[string]func(*analysis.Row) float64{
	"views":         func(r *analysis.Row) float64 { return float64(r.Views) },
	"name":          func(*analysis.Row) float64 { return 0 },
	"unicast":       func(r *analysis.Row) float64 { return r.Schemes[0].Optimal },
	"global":        func(r *analysis.Row) float64 { return r.Schemes[1].Optimal },
	"regional":      func(r *analysis.Row) float64 { return r.Schemes[2].Optimal },
	"diff-global":   func(r *analysis.Row) float64 { return r.Against[1].Delta },
	"diff-regional": func(r *analysis.Row) float64 { return r.Against[2].Delta },
	"penalty":       func(r *analysis.Row) float64 { return r.Schemes[0].PenaltyP90 },
}

// sortRows sorts rows that come with most views first.
func sortRows(rows []analysis.Row, by string) {
	name, down := strings.CutPrefix(by, "-")
	if by == "-views" {
		return
	}
	of := orders[name]
	slices.SortStableFunc(rows, func(a, b analysis.Row) int {
		x, y := of(&a), of(&b)
		if math.IsNaN(x) || math.IsNaN(y) || math.IsInf(x, 0) || math.IsInf(y, 0) {
			return cmp.Compare(unknownLast(x), unknownLast(y))
		}
		c := cmp.Compare(x, y)
		if name == "name" {
			c = slices.CompareFunc(a.Group, b.Group, func(x, y analysis.Label) int {
				return cmp.Or(cmp.Compare(x.Number, y.Number), strings.Compare(x.Text, y.Text))
			})
		}
		if down {
			c = -c
		}
		return c
	})
}

func unknownLast(x float64) int {
	if math.IsNaN(x) {
		return 1
	}
	return 0
}
