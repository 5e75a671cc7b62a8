package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"catchment/internal/analysis"
	"catchment/internal/downloadlog"
	"catchment/internal/report"
	"catchment/internal/resetlog"
)

const reportStabilityAbout = `Whether TCP over every VIP is as stable as over unicast, for whom not, and how sure
that is, by what synthetic agents ('catchment synth') saw. It may run while
'catchment serve' writes.`

const reportFlipsAbout = `Which networks see more than one PoP over a VIP, how often, between which, and what
it costs them, by what synthetic agents ('catchment synth') saw. It may run while
'catchment serve' writes.`

// stabilityFlags are those of both reports on synthetic downloads.
type stabilityFlags struct {
	data   string
	by     []analysis.Key
	format report.Format
	about  report.AboutStability
}

func parseStability(io stdio, kind, about string, args []string, more func(*flag.FlagSet), check func(*flag.FlagSet) error) (*stabilityFlags, error) {
	fs := newFlags(io, "report "+kind, "report "+kind+" --data DIR [flags]", about)
	f := &stabilityFlags{}
	var (
		by           = fs.String("by", "country,subdivision,asn", "group by vip and `keys`, some of continent, country, subdivision, asn, family; empty: a row for each VIP")
		since, until = fs.String("since", "", "only downloads that began from then on: RFC 3339, a UTC day, or how long ago (24h, 7d)"), fs.String("until", "", "only downloads that began before then")
		format       = fs.String("format", string(report.Table), "table, csv, json or markdown")
	)
	fs.StringVar(&f.data, "data", "", "`directory` that holds the store (required)")
	fs.IntVar(&f.about.Limit, "limit", 50, "at most so many; 0: all")
	more(fs)
	if err := parse(fs, args); err != nil {
		return nil, err
	}
	switch {
	case fs.NArg() > 0:
		return nil, usagef(fs, "unexpected argument %q", fs.Arg(0))
	case f.data == "":
		return nil, usagef(fs, "--data is required")
	case f.about.Limit < 0:
		return nil, usagef(fs, "--limit: want 0 or more")
	}
	now := time.Now()
	var err error
	if f.by, err = analysis.ParseStabilityKeys(*by); err != nil {
		return nil, usagef(fs, "--by: %v", err)
	}
	if f.about.Since, err = parseWhen(*since, now); err != nil {
		return nil, usagef(fs, "--since: %v", err)
	}
	if f.about.Until, err = parseWhen(*until, now); err != nil {
		return nil, usagef(fs, "--until: %v", err)
	}
	if f.format, err = report.ParseFormat(*format); err != nil {
		return nil, usagef(fs, "--format: %v", err)
	}
	if err := check(fs); err != nil {
		return nil, err
	}
	if info, err := os.Stat(f.data); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("--data: %s is not a directory", f.data)
	}
	return f, nil
}

// read reads the downloads.
func (f *stabilityFlags) read(io stdio, c analysis.StabilityCriteria) (*analysis.Stability, error) {
	s := analysis.NewStability(f.by, c)
	for r, err := range downloadlog.Read(f.data, f.about.Since, f.about.Until) {
		if err != nil {
			return nil, err
		}
		s.Add(r)
	}
	f.about.Totals, f.about.Networks, f.about.Criteria = s.Totals(), s.Networks(), c
	if f.about.Totals.Records == 0 {
		fmt.Fprintf(io.err, "No synthetic agent has handed in anything to %s: 'catchment synth --follow' does.\n", f.data)
	}
	return s, nil
}

func runReportStability(io stdio, args []string) error {
	c := analysis.DefaultStability()
	tolerable, alarm := 100*c.Tolerable, 100*c.Alarm
	table := ""
	f, err := parseStability(io, "stability", reportStabilityAbout, args, func(fs *flag.FlagSet) {
		fs.Float64Var(&tolerable, "tolerable", tolerable, "`percent` of downloads of 75 s that may break; beyond it, surely, a group is unstable")
		fs.Float64Var(&alarm, "alarm", alarm, "`percent` that must be found: a group that was watched too shortly for it is not judged")
		fs.StringVar(&table, "table", "groups", "which table --format csv writes: groups or answers")
	}, func(fs *flag.FlagSet) error {
		if !(tolerable > 0 && alarm > tolerable && alarm < 100) {
			return usagef(fs, "--tolerable, --alarm: want 0 < tolerable < alarm < 100")
		}
		if table != "groups" && table != "answers" {
			return usagef(fs, "--table: %q is not one of groups, answers", table)
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.Tolerable, c.Alarm = tolerable/100, alarm/100
	s, err := f.read(io, c)
	if err != nil {
		return err
	}
	if f.about.Resets, err = f.resets(); err != nil {
		return err
	}
	if f.format == report.CSV && table == "answers" {
		return report.StabilityAnswers(io.out, f.by, s.Rows(), f.about)
	}
	return report.Stability(io.out, f.format, f.by, s.Rows(), f.about)
}

// resets reads what the PoPs' reset watchers saw in the same time, by the same
// keys. They do not tell families apart: a group of one has those of both.
func (f *stabilityFlags) resets() (func([]analysis.Label) (uint64, uint64), error) {
	var keys []analysis.Key
	for _, k := range f.by {
		if k != analysis.ByFamily {
			keys = append(keys, k)
		}
	}
	r := analysis.NewResets(keys)
	for x, err := range resetlog.Read(f.data, f.about.Since, f.about.Until) {
		if err != nil {
			return nil, err
		}
		r.Add(x)
	}
	return resetsOf(r), nil
}

// resetsOf returns what there were of a group: how many, and how many of them
// confirmed. Families are not told apart.
func resetsOf(r *analysis.Resets) func([]analysis.Label) (uint64, uint64) {
	name := func(group []analysis.Label) string {
		var all []string
		for _, l := range group {
			if l.Key != analysis.ByFamily {
				all = append(all, l.Text)
			}
		}
		return strings.Join(all, "\x00")
	}
	known := map[string][2]uint64{}
	for _, row := range r.Rows(1) {
		known[name(row.Group)] = [2]uint64{row.Resets, row.Confirmed}
	}
	return func(group []analysis.Label) (uint64, uint64) {
		n := known[name(group)]
		return n[0], n[1]
	}
}

func runReportFlips(io stdio, args []string) error {
	f, err := parseStability(io, "flips", reportFlipsAbout, args, func(*flag.FlagSet) {}, func(*flag.FlagSet) error { return nil })
	if err != nil {
		return err
	}
	s, err := f.read(io, analysis.DefaultStability())
	if err != nil {
		return err
	}
	return report.Flips(io.out, f.format, f.by, s.Flips(), f.about)
}
