package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/cheggaaa/pb/v3"

	"catchment/internal/analysis"
	"catchment/internal/edge"
	"catchment/internal/report"
	"catchment/internal/store"
	"catchment/internal/store/duckdb"
)

func reportCommand() command {
	return command{"report", "who reaches an optimal PoP, who loses the most, whom a PoP serves", runReport}
}

const reportAbout = `Reports on stored beacons. It may run while 'catchment serve' writes.

  assignment   share of page views that reached an optimal PoP, by group and scheme
  offenders    the networks that lose the most time, where, to which PoP
  pops         whom every PoP serves under every scheme
  resolvers    how far clients are from their resolvers, who sends ECS, and what of
               unicast's wrong assignments that explains
  causes       why page views did not reach an optimal PoP, by group and scheme
  resets       whose connections were torn away from their PoP
  stability    whether TCP over every VIP is as stable as over unicast, and for whom not
  flips        which networks see more than one PoP over a VIP

The last three have flags of their own (report stability -h).

Resolvers and causes look at page views one by one, for which they need --fleet, and
know where resolvers are by --geo and --places.

Shares have 95 % intervals, clustered by client prefix. Without --since and
--until a report is about everything that is stored.`

// reportFlags are the flags of all reports; by and limit of some.
type reportFlags struct {
	kind         string
	data         string
	by           []analysis.Key
	limit        int
	format       report.Format
	since, until time.Time
	schemes      []edge.Scheme
	criteria     analysis.Criteria
	margin       float64
	singleFlags
}

// reportKinds in the order of the help.
var reportKinds = []string{"assignment", "offenders", "pops", "resolvers", "causes"}

func runReport(ctx context.Context, io stdio, args []string) error {
	if len(args) > 0 && args[0] == "resets" {
		return runReportResets(io, args[1:])
	}
	if len(args) > 0 && args[0] == "stability" {
		return runReportStability(io, args[1:])
	}
	if len(args) > 0 && args[0] == "flips" {
		return runReportFlips(io, args[1:])
	}
	f, err := parseReport(io, args)
	if err != nil {
		return err
	}
	if info, err := os.Stat(f.data); err != nil {
		return err
	} else if !info.IsDir() {
		return fmt.Errorf("--data: %s is not a directory", f.data)
	}
	// A short process with one big job: collect garbage less often, but keep the
	// whole of it under 1 GiB while what is needed is less.
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(800 << 20)
	engine, err := duckdb.Open(f.data, duckdb.Options{})
	if err != nil {
		return err
	}
	return errors.Join(f.run(ctx, io, engine), engine.Close())
}

func parseReport(io stdio, args []string) (*reportFlags, error) {
	f := &reportFlags{}
	fs := newFlags(io, "report", "report assignment|offenders|pops|resolvers|causes|resets|stability|flips --data DIR [flags]", reportAbout)
	var (
		by, since, until, format, tolerance string
		schemes                             stringList
		margin                              float64
	)
	fs.StringVar(&f.data, "data", "", "`directory` that holds the store (required)")
	fs.StringVar(&by, "by", "country,subdivision", "assignment, resolvers (there country is the default), causes: group by `keys`, some of continent, country, subdivision, asn, pop (that unicast reaches), family, and, but for assignment, resolver (its network); empty: one group")
	fs.IntVar(&f.limit, "limit", 50, "offenders: at most so many; 0: all")
	fs.StringVar(&since, "since", "", "only beacons received from then on: RFC 3339, a UTC day, or how long ago (24h, 7d)")
	fs.StringVar(&until, "until", "", "only beacons received before then")
	fs.Var(&schemes, "scheme", "only this `scheme` (unicast, global or regional; several with commas)")
	fs.IntVar(&f.criteria.MinSamples, "min-samples", analysis.DefaultCriteria().MinSamples, "least probes behind a PoP's latency in a cell")
	fs.StringVar(&tolerance, "tolerance", analysis.DefaultTolerance.String(), "how much slower than the best PoP is still optimal: 0 (strict), 5ms, 10% or the larger of both")
	fs.Float64Var(&margin, "margin", 100*analysis.DefaultMargin, "difference that a verdict takes, in `points`")
	f.singleFlags.register(fs)
	fs.StringVar(&format, "format", string(report.Table), "table, csv, json or markdown")

	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		f.kind, args = args[0], args[1:]
	}
	if err := parse(fs, args); err != nil {
		return nil, err
	}
	if f.kind == "resolvers" && !isSet(fs, "by") {
		by = "country"
	}
	switch {
	case !slices.Contains(reportKinds, f.kind):
		return nil, usagef(fs, "which report? assignment, offenders, pops, resolvers, causes, resets, stability or flips comes first (got %q)", f.kind)
	case fs.NArg() > 0:
		return nil, usagef(fs, "unexpected argument %q", fs.Arg(0))
	case f.data == "":
		return nil, usagef(fs, "--data is required")
	case f.criteria.MinSamples < 1:
		return nil, usagef(fs, "--min-samples: want 1 or more")
	case f.limit < 0:
		return nil, usagef(fs, "--limit: want 0 or more")
	case !(margin >= 0 && margin <= 100):
		return nil, usagef(fs, "--margin: want 0 to 100 points")
	}
	f.margin = margin / 100
	if err := onlyFor(fs, f.kind); err != nil {
		return nil, err
	}
	if err := f.singleFlags.check(fs, f.kind); err != nil {
		return nil, err
	}
	var err error
	parseKeys := analysis.ParseKeys
	if single(f.kind) {
		parseKeys = analysis.ParseViewKeys
	}
	fail := func(name string) error { return usagef(fs, "--%s: %v", name, err) }
	now := time.Now()
	if f.by, err = parseKeys(by); err != nil {
		return nil, fail("by")
	}
	if f.since, err = parseWhen(since, now); err != nil {
		return nil, fail("since")
	}
	if f.until, err = parseWhen(until, now); err != nil {
		return nil, fail("until")
	}
	if f.criteria.Tolerance, err = analysis.ParseTolerance(tolerance); err != nil {
		return nil, fail("tolerance")
	}
	if f.format, err = report.ParseFormat(format); err != nil {
		return nil, fail("format")
	}
	for _, list := range schemes {
		for name := range strings.SplitSeq(list, ",") {
			s := edge.Scheme(strings.TrimSpace(name))
			if s.Index() < 0 {
				return nil, usagef(fs, "--scheme: %q is not unicast, global or regional", name)
			}
			f.schemes = append(f.schemes, s)
		}
	}
	return f, nil
}

// onlyFor refuses flags that a report would ignore.
func onlyFor(fs *flag.FlagSet, kind string) (err error) {
	of := map[string][]string{
		"by": {"assignment", "resolvers", "causes"}, "margin": {"assignment"}, "limit": {"offenders"},
		"fleet": {"resolvers", "causes"}, "geo": {"resolvers", "causes"}, "places": {"resolvers", "causes"}, "far": {"resolvers"},
	}
	fs.Visit(func(x *flag.Flag) {
		if want := of[x.Name]; want != nil && !slices.Contains(want, kind) && err == nil {
			err = usagef(fs, "--%s is for 'report %s'", x.Name, strings.Join(want, "|"))
		}
	})
	return err
}

func (f *reportFlags) run(ctx context.Context, io stdio, engine store.Engine) error {
	days, err := f.days()
	if err != nil {
		return err
	}
	bar := startProgress(io.err, "days", int64(len(days)))
	defer bar.Finish()
	about := report.About{Criteria: f.criteria, Margin: f.margin, Since: f.since, Until: f.until, Schemes: f.schemes}
	asked := func(s edge.Scheme) bool { return len(f.schemes) == 0 || slices.Contains(f.schemes, s) }
	var write func() error
	names := false
	if single(f.kind) {
		return f.runSingle(ctx, io, engine, days, bar, about)
	}
	windows := f.windows(ctx, engine, days, bar)
	switch f.kind {
	case "assignment":
		r := analysis.NewAssignment(f.by)
		if err := analysis.Judge(f.criteria, windows, r); err != nil {
			return err
		}
		names, about.Totals = slices.Contains(f.by, analysis.ByASN), r.Totals()
		write = func() error { return report.Assignment(io.out, f.format, f.by, r.Rows(), about) }
	case "offenders":
		r := analysis.NewOffenders()
		if err := analysis.Judge(f.criteria, windows, r); err != nil {
			return err
		}
		names, about.Totals = true, r.Totals()
		rows := slices.DeleteFunc(r.Rows(), func(o analysis.Offender) bool { return !asked(o.Scheme) })
		if f.limit > 0 {
			rows = rows[:min(len(rows), f.limit)]
		}
		write = func() error { return report.Offenders(io.out, f.format, rows, about) }
	default:
		r := analysis.NewPoPs()
		if err := analysis.Judge(f.criteria, windows, r); err != nil {
			return err
		}
		about.Totals = r.Totals()
		rows := slices.DeleteFunc(r.Rows(), func(s analysis.Served) bool { return !asked(s.Scheme) })
		write = func() error { return report.PoPs(io.out, f.format, rows, about) }
	}
	bar.Finish()
	if names {
		if about.Networks, err = engine.Networks(ctx, store.Query{Since: f.since, Until: f.until}); err != nil {
			return err
		}
	}
	if about.Totals.Views == 0 {
		f.explainNothing(io, len(days))
	}
	return write()
}

// days lists the UTC days with beacons that the report is about.
func (f *reportFlags) days() ([]edge.Day, error) {
	segments, err := store.List(f.data)
	if err != nil {
		return nil, err
	}
	var days []edge.Day
	for _, s := range segments {
		begin, end := s.Day.Time(), (s.Day + 1).Time()
		if !f.since.IsZero() && !f.since.Before(end) || !f.until.IsZero() && !begin.Before(f.until) {
			continue
		}
		days = append(days, s.Day)
	}
	slices.Sort(days)
	return slices.Compact(days), nil
}

// windows asks for one day at a time, since a day is all that has to be in
// memory at once.
func (f *reportFlags) windows(ctx context.Context, engine store.Engine, days []edge.Day, bar *pb.ProgressBar) iter.Seq[analysis.Window] {
	return func(yield func(analysis.Window) bool) {
		for _, day := range days {
			q := f.query(day)
			if !yield(analysis.Window{Latencies: engine.Latencies(ctx, q), Assignments: engine.Assignments(ctx, q)}) {
				return
			}
			bar.Increment()
		}
	}
}

// query is for what is asked of a day.
func (f *reportFlags) query(day edge.Day) store.Query {
	q := store.Query{Since: day.Time(), Until: (day + 1).Time()}
	if q.Since.Before(f.since) {
		q.Since = f.since
	}
	if !f.until.IsZero() && f.until.Before(q.Until) {
		q.Until = f.until
	}
	return q
}

// explainNothing says on stderr why a report is empty and what to do.
func (f *reportFlags) explainNothing(io stdio, days int) {
	switch {
	case days > 0:
		fmt.Fprintln(io.err, "No page views to report on between --since and --until (robots do not count).")
	case !f.since.IsZero() || !f.until.IsZero():
		fmt.Fprintf(io.err, "No beacons are stored in %s between --since and --until.\n", f.data)
	default:
		fmt.Fprintf(io.err, "No beacons are stored in %s yet. 'catchment serve' collects them and 'catchment import' reads files of them; "+
			"what is collected appears here once its segment is sealed.\n", f.data)
	}
}
