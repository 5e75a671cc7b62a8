package main

import (
	"fmt"
	"math"
	"os"
	"time"

	"catchment/internal/analysis"
	"catchment/internal/report"
	"catchment/internal/resetlog"
)

const reportResetsAbout = `Whose connections were torn away from their PoP, from which PoP to which, as the
PoPs' reset watchers saw it. It may run while 'catchment serve' writes.

A reset is confirmed where another PoP had the very connection open. Rates are
over the time from --since, else the first record, to --until, else now.`

func runReportResets(io stdio, args []string) error {
	fs := newFlags(io, "report resets", "report resets --data DIR [flags]", reportResetsAbout)
	var (
		data         = fs.String("data", "", "`directory` that holds the store (required)")
		by           = fs.String("by", "vip,from,to,country,asn", "group by `keys`, some of vip, from, to, continent, country, subdivision, asn, client (its prefix); empty: one group")
		since, until = fs.String("since", "", "only what was received from then on: RFC 3339, a UTC day, or how long ago (24h, 7d)"), fs.String("until", "", "only what was received before then")
		limit        = fs.Int("limit", 50, "at most so many; 0: all")
		format       = fs.String("format", string(report.Table), "table, csv, json or markdown")
	)
	if err := parse(fs, args); err != nil {
		return err
	}
	switch {
	case fs.NArg() > 0:
		return usagef(fs, "unexpected argument %q", fs.Arg(0))
	case *data == "":
		return usagef(fs, "--data is required")
	case *limit < 0:
		return usagef(fs, "--limit: want 0 or more")
	}
	var (
		now   = time.Now()
		about report.AboutResets
		keys  []analysis.Key
		f     report.Format
		err   error
	)
	if keys, err = analysis.ParseResetKeys(*by); err != nil {
		return usagef(fs, "--by: %v", err)
	}
	if about.Since, err = parseWhen(*since, now); err != nil {
		return usagef(fs, "--since: %v", err)
	}
	if about.Until, err = parseWhen(*until, now); err != nil {
		return usagef(fs, "--until: %v", err)
	}
	if f, err = report.ParseFormat(*format); err != nil {
		return usagef(fs, "--format: %v", err)
	}
	if info, err := os.Stat(*data); err != nil {
		return err
	} else if !info.IsDir() {
		return fmt.Errorf("--data: %s is not a directory", *data)
	}
	r := analysis.NewResets(keys)
	for x, err := range resetlog.Read(*data, about.Since, about.Until) {
		if err != nil {
			return err
		}
		r.Add(x)
	}
	from, to := about.Since, about.Until
	if t := r.Totals(); from.IsZero() {
		from = t.From
	}
	if to.IsZero() {
		to = now
	}
	hours := to.Sub(from).Hours()
	if from.IsZero() {
		hours = math.NaN()
	}
	rows := r.Rows(hours)
	if *limit > 0 {
		rows = rows[:min(len(rows), *limit)]
	}
	about.Totals, about.Networks = r.Totals(), r.Networks()
	if len(rows) == 0 {
		fmt.Fprintf(io.err, "Nothing is known of resets in %s: 'catchment pop --follow' hands in what its reset watcher sees.\n", *data)
	}
	return report.Resets(io.out, f, keys, rows, about)
}
