package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"catchment/internal/demo"
	"catchment/internal/edge"
	"catchment/internal/fleet"
	"catchment/internal/ramp"
	"catchment/internal/ramp/runner"
	"catchment/internal/rehearsal"
	"catchment/internal/sim"
	"catchment/internal/sim/people"
)

func simRamp() command {
	return command{"ramp", "rehearse a ramp: page views, judge and steering, in compressed time", runSimRamp}
}

const simRampAbout = `Runs a ramp from the first look to the last, over simulated users: the plans
that name servers would answer by, and the runner that 'catchment serve' runs.
Without --fleet and --topology it is the demo's world, without --plan a ramp of
the United States to regional anycast. What is decided goes to stderr as it
happens, the chart to stdout.`

// rehearseFlags are the flags of sim ramp.
type rehearseFlags struct {
	worldFlags
	plan      string
	days      int
	views     int
	every     time.Duration
	countries string
	stale     float64
	harms     stringList
	format    string
}

func runSimRamp(ctx context.Context, std stdio, args []string) error {
	f := &rehearseFlags{}
	fs := newFlags(std, "sim ramp", "sim ramp [--plan FILE] [flags]", simRampAbout)
	f.registerWorld(fs)
	fs.StringVar(&f.plan, "plan", "", "`file` that declares the ramp, as for 'catchment ramp start'")
	fs.IntVar(&f.days, "days", 30, "UTC `days` after which it ends, through or not")
	fs.IntVar(&f.views, "views", 80_000, "page views a day")
	fs.DurationVar(&f.every, "every", time.Hour, "between two looks, 1m to 1h; --views must fit it")
	fs.StringVar(&f.countries, "countries", "US", "countries whose users view, such as US,CA; empty: all")
	fs.Float64Var(&f.stale, "stale", 0.01, "`share` of page views by an answer of the other arm: caches")
	fs.Var(&f.harms, "harm", "makes it worse for whom the ramp moves: `GEOGRAPHY@SHARE:POP+MS`, such as tx@50%:sea+40; may be repeated")
	fs.StringVar(&f.format, "format", "csv", "of the chart: csv or json")
	if err := parse(fs, args); err != nil {
		return err
	}
	cfg, err := f.config(fs)
	if err != nil {
		return err
	}
	r, err := rehearsal.Run(ctx, cfg, func(d ramp.Decision) {
		fmt.Fprintf(std.err, "%s  %-12s %-9s %5s → %-5s %s\n", d.At.Format("2006-01-02 15:04"), d.Geography, d.Action, percents(d.From), percents(d.To), d.Reason)
	})
	var refused *runner.RefusedError
	if errors.As(err, &refused) {
		return &refusedError{err}
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(std.err, r)
	return writeChart(std.out, r, f.format)
}

func writeChart(w io.Writer, r *rehearsal.Result, format string) error {
	if format == "csv" {
		return r.Chart.WriteCSV(w)
	}
	return json.NewEncoder(w).Encode(r.Chart)
}

// percents writes a share.
func percents(share float64) string { return strconv.FormatFloat(share*100, 'g', 4, 64) + "%" }

func (f *rehearseFlags) config(fs *flag.FlagSet) (c rehearsal.Config, err error) {
	switch {
	case fs.NArg() > 0:
		return c, usagef(fs, "unexpected argument %q", fs.Arg(0))
	case f.format != "csv" && f.format != "json":
		return c, usagef(fs, "--format: %q is not csv or json", f.format)
	case f.days < 1 || f.days > 366 || f.views < 1 || f.views > 100_000_000:
		return c, usagef(fs, "--days: want 1 to 366; --views: 1 to 100000000")
	case f.every < time.Minute || f.every > time.Hour:
		return c, usagef(fs, "--every: want 1m to 1h")
	case !(f.stale >= 0 && f.stale <= 1):
		return c, usagef(fs, "--stale: want 0 to 1")
	case (f.fleet == "") != (f.topology == ""):
		return c, usagef(fs, "--fleet and --topology go together; without both it is the demo's world")
	}
	c = rehearsal.Config{Seed: f.seed, Days: f.days, Views: f.views, Every: f.every, Stale: f.stale}
	if f.countries != "" {
		c.Countries = strings.Split(f.countries, ",")
	}
	text, name := rehearsal.PlanFile(), "us.yaml"
	if f.plan != "" {
		name = f.plan
		if text, err = os.ReadFile(f.plan); err != nil {
			return c, &refusedError{err}
		}
	}
	if c.Plan, err = ramp.Parse(name, text); err != nil {
		return c, &refusedError{err}
	}
	for _, s := range f.harms {
		h, err := parseHarm(s)
		if err != nil {
			return c, usagef(fs, "--harm: %v", err)
		}
		c.Harms = append(c.Harms, h)
	}
	c.World, err = f.world(fs)
	return c, err
}

// world is the demo's, or that of the flags.
func (f *rehearseFlags) world(fs *flag.FlagSet) (w rehearsal.World, err error) {
	if f.fleet == "" {
		fl, err := fleet.Parse("demo", demo.FleetFile())
		if err != nil {
			return w, err
		}
		internet, err := demo.Internet()
		if err != nil {
			return w, err
		}
		d, err := demo.NewWorld(fl, internet, demo.Seed)
		if err != nil {
			return w, err
		}
		return rehearsal.World{Fleet: d.Fleet, People: d.People, Outcome: d.Outcome}, nil
	}
	if err := f.checkWorld(fs); err != nil {
		return w, err
	}
	fl, topo, err := f.load()
	if err != nil {
		return w, err
	}
	population := people.New(topo, people.DefaultModel(f.seed))
	o := sim.DefaultOptions(f.seed)
	o.Connectivity, o.People = f.connectivity, population
	made, err := sim.New(fl, topo, o)
	if err != nil {
		return w, &refusedError{fmt.Errorf("%s: %w", f.fleet, err)}
	}
	outcome, err := made.Evaluate()
	if err != nil {
		return w, &refusedError{err}
	}
	return rehearsal.World{Fleet: fl, People: population, Outcome: outcome}, nil
}

// parseHarm reads GEOGRAPHY@SHARE:POP+MS.
func parseHarm(s string) (h rehearsal.Harm, err error) {
	bad := fmt.Errorf("%q (want GEOGRAPHY@SHARE:POP+MS, such as tx@50%%:sea+40)", s)
	geography, rest, ok := strings.Cut(s, "@")
	share, what, more := strings.Cut(rest, ":")
	pop, ms, delayed := strings.Cut(what, "+")
	if !ok || !more || geography == "" {
		return h, bad
	}
	h = rehearsal.Harm{Geography: geography, PoP: edge.PoPID(pop)}
	if h.From, err = parseShare(share); err != nil {
		return h, bad
	}
	if delayed {
		if h.Ms, err = strconv.ParseFloat(ms, 64); err != nil || !(h.Ms >= 0 && h.Ms <= 10_000) {
			return h, bad
		}
	}
	return h, nil
}
