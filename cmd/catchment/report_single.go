package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"

	"github.com/cheggaaa/pb/v3"

	"catchment/internal/analysis"
	"catchment/internal/edge"
	"catchment/internal/fleet"
	"catchment/internal/geo"
	"catchment/internal/report"
	"catchment/internal/store"
)

// singleFlags are the flags of reports that look at page views one by one.
type singleFlags struct {
	fleet string
	where placeFlags
	farKm float64
}

func single(kind string) bool { return kind == "resolvers" || kind == "causes" }

func (f *singleFlags) register(fs *flag.FlagSet) {
	fs.StringVar(&f.fleet, "fleet", "", "resolvers, causes: fleet `file` (required)")
	f.where.register(fs)
	fs.Float64Var(&f.farKm, "far", analysis.DefaultFarKm, "resolvers: from how many `km` on a resolver is astray")
}

func (f *singleFlags) check(fs *flag.FlagSet, kind string) error {
	switch {
	case single(kind) && f.fleet == "":
		return usagef(fs, "--fleet is required: it says where the PoPs and regions are")
	case !(f.farKm >= 0 && f.farKm <= 20038): // half way around the Earth
		return usagef(fs, "--far: want 0 to 20038 km")
	}
	return nil
}

// setting reads the fleet and the places.
func (f *singleFlags) setting() (s analysis.Setting, err error) {
	s.FarKm = f.farKm
	s.Fleet, err = fleet.Load(f.fleet)
	var problems fleet.Errors
	if errors.As(err, &problems) {
		return s, &refusedError{err}
	}
	if err != nil {
		return s, err
	}
	places, err := geo.Open(geo.Config{Files: f.where.files, Places: f.where.overrides})
	var mistakes geo.Errors
	if errors.As(err, &mistakes) {
		return s, &refusedError{err}
	}
	s.Places = places
	return s, err
}

// runSingle makes a report that looks at page views one by one.
func (f *reportFlags) runSingle(ctx context.Context, io stdio, engine store.Engine, days []edge.Day, bar *pb.ProgressBar, about report.About) error {
	s, err := f.setting()
	if err != nil {
		return err
	}
	windows := func(yield func(analysis.ViewWindow) bool) {
		for _, day := range days {
			q := f.query(day)
			if !yield(analysis.ViewWindow{Latencies: engine.Latencies(ctx, q), Views: engine.PageViews(ctx, q)}) {
				return
			}
			bar.Increment()
		}
	}
	a := report.Single{About: about, FarKm: f.farKm}
	var write func() error
	if f.kind == "resolvers" {
		r := analysis.NewResolvers(f.by)
		if err := analysis.JudgeViews(f.criteria, s, windows, r); err != nil {
			return err
		}
		a.Asked, a.Resolvers = r.Totals(), r.Names()
		write = func() error { return report.Resolvers(io.out, f.format, f.by, r.Rows(), a) }
	} else {
		r := analysis.NewCauses(f.by)
		if err := analysis.JudgeViews(f.criteria, s, windows, r); err != nil {
			return err
		}
		a.Asked, a.Resolvers = r.Totals(), r.Names()
		rows := slices.DeleteFunc(r.Rows(), func(c analysis.CauseRow) bool {
			return len(f.schemes) > 0 && !slices.Contains(f.schemes, c.Scheme)
		})
		write = func() error { return report.Causes(io.out, f.format, f.by, rows, a) }
	}
	bar.Finish()
	if slices.Contains(f.by, analysis.ByASN) {
		if a.Networks, err = engine.Networks(ctx, store.Query{Since: f.since, Until: f.until}); err != nil {
			return err
		}
	}
	switch {
	case a.Asked.Views == 0:
		f.explainNothing(io, len(days))
	case a.Asked.Known == 0:
		fmt.Fprintln(io.err, "No resolver is known: name servers hand in who asks for probe names ('catchment dns'), relays send \"resolver\".")
	case a.Asked.Located == 0:
		fmt.Fprintln(io.err, "It is not known where any resolver is: say so by --geo or --places.")
	}
	return write()
}

// isSet reports whether a flag was given.
func isSet(fs *flag.FlagSet, name string) (set bool) {
	fs.Visit(func(x *flag.Flag) { set = set || x.Name == name })
	return set
}
