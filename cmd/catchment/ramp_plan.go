package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"catchment/internal/analysis"
	"catchment/internal/edge"
	"catchment/internal/fleet"
	"catchment/internal/ramp/propose"
	"catchment/internal/store"
	"catchment/internal/store/duckdb"
)

const rampPlanAbout = `Proposes a ramp from stored beacons: which geographies gain by which scheme, which
lose and stay on DNS, and by how much; and regions: which PoPs should share a VIP,
and which countries each should serve, judged by days that they were not made from,
next to those of the fleet file. --format yaml is the draft of a declaration.`

// rampProposal is what ramp plan prints.
type rampProposal struct {
	Days        int              `json:"days"`
	Margin      float64          `json:"margin"`
	Geographies []propose.Advice `json:"geographies"`
	Regions     *propose.Regions `json:"regions,omitempty"`
	NoRegions   string           `json:"no_regions,omitempty"` // why there is no proposal
}

func runRampPlan(ctx context.Context, std stdio, args []string) error {
	fs := newFlags(std, "ramp plan", "ramp plan --fleet FILE --data DIR [flags]", rampPlanAbout)
	var (
		fleetFile = fs.String("fleet", "", "fleet `file` (required)")
		data      = fs.String("data", "", "`directory` of the beacons (required)")
		days      = fs.Int("days", 14, "the last so many UTC `days` with beacons")
		by        = fs.String("by", "country", "what a geography is: country, or subdivision where there is one")
		margin    = fs.Float64("margin", analysis.DefaultMargin, "difference of shares that is worth a change")
		extra     = fs.Int("more-regions", 2, "how many regions more than now may be proposed")
		service   = fs.String("service", "", "service of the draft; without it, the fleet's first")
		format    = fs.String("format", "text", "text, json, or yaml: a draft for 'ramp start'")
		limit     = fs.Int("limit", 40, "text: at most so many geographies; 0: all")
	)
	if err := parse(fs, args); err != nil {
		return err
	}
	keys := []analysis.Key{analysis.ByCountry}
	switch {
	case fs.NArg() > 0:
		return usagef(fs, "unexpected argument %q", fs.Arg(0))
	case *fleetFile == "" || *data == "":
		return usagef(fs, "--fleet and --data are required")
	case *days < 1 || *extra < 0 || *extra > 20 || *limit < 0 || !(*margin > 0 && *margin < 1):
		return usagef(fs, "--days: want 1 or more; --more-regions: 0 to 20; --limit: 0 or more; --margin: above 0, below 1")
	case *by == "subdivision":
		keys = append(keys, analysis.BySubdivision)
	case *by != "country":
		return usagef(fs, "--by: %q is not country or subdivision", *by)
	}
	if !slices.Contains([]string{"text", "json", "yaml"}, *format) {
		return usagef(fs, "--format: %q is not text, json or yaml", *format)
	}
	world, err := fleet.Load(*fleetFile)
	if err != nil {
		return &refusedError{err}
	}
	if *service == "" && len(world.Services) > 0 {
		*service = world.Services[0].Name
	}
	p, err := proposeRamp(ctx, std, world, *data, *days, keys, *margin, *extra)
	if err != nil {
		return err
	}
	switch *format {
	case "json":
		enc := json.NewEncoder(std.out)
		enc.SetIndent("", "  ")
		return enc.Encode(p)
	case "yaml":
		return p.writeDraft(std.out, *service)
	}
	return p.write(std.out, *limit)
}

// proposeRamp reads the last days twice: once for what each geography gains,
// and once for who is where.
func proposeRamp(ctx context.Context, std stdio, world *edge.Fleet, dir string, most int, keys []analysis.Key, margin float64, extra int) (_ *rampProposal, err error) {
	segments, err := store.List(dir)
	if err != nil {
		return nil, err
	}
	var days []edge.Day
	for _, s := range segments {
		days = append(days, s.Day)
	}
	slices.Sort(days)
	days = slices.Compact(days)
	days = days[max(0, len(days)-most):]
	if len(days) == 0 {
		return nil, &refusedError{fmt.Errorf("%s has no beacons", dir)}
	}
	engine, err := duckdb.Open(dir, duckdb.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	window := func(day edge.Day) analysis.Window {
		q := store.Query{Since: day.Time(), Until: (day + 1).Time()}
		return analysis.Window{Latencies: engine.Latencies(ctx, q), Assignments: engine.Assignments(ctx, q)}
	}
	bar := startProgress(std.err, "days", int64(2*len(days)))
	defer bar.Finish()
	report := analysis.NewAssignment(keys)
	err = analysis.Judge(analysis.DefaultCriteria(), func(yield func(analysis.Window) bool) {
		for _, day := range days {
			if !yield(window(day)) {
				return
			}
			bar.Increment()
		}
	}, report)
	if err != nil {
		return nil, err
	}
	known := propose.NewData(world, analysis.DefaultCriteria())
	for _, day := range days {
		if err := known.Add(day, window(day)); err != nil {
			return nil, err
		}
		bar.Increment()
	}
	p := &rampProposal{Days: len(days), Margin: margin, Geographies: known.Advise(report.Rows(), margin)}
	if p.Regions, err = known.Regions(extra); err != nil {
		p.NoRegions, err = err.Error(), nil
	}
	return p, err
}

func (p *rampProposal) write(w io.Writer, limit int) error {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "geography\tviews\tunicast %\tdo\tregional, points\tms saved\tglobal, points\tms saved")
	for i := range p.Geographies {
		if limit > 0 && i == limit {
			break
		}
		a := &p.Geographies[i]
		do := a.Do
		if a.To != "" {
			do = "ramp to " + string(a.To)
		}
		fmt.Fprintf(tab, "%s\t%d\t%.1f\t%s", a.Name(), a.Views, 100*a.Optimal, do)
		for _, s := range []edge.Scheme{edge.Regional, edge.Global} {
			at := slices.IndexFunc(a.Gains, func(g propose.Gain) bool { return g.Scheme == s })
			if at < 0 {
				fmt.Fprint(tab, "\t–\t–")
				continue
			}
			g := &a.Gains[at]
			fmt.Fprintf(tab, "\t%+.1f (%+.1f to %+.1f) %s\t%+.1f", 100*g.Difference, 100*g.Low, 100*g.High, g.Verdict, g.Ms)
		}
		fmt.Fprintln(tab)
	}
	if err := tab.Flush(); err != nil {
		return err
	}
	if limit > 0 && len(p.Geographies) > limit {
		fmt.Fprintf(w, "… and %d more (--limit 0)\n", len(p.Geographies)-limit)
	}
	users, ms, views := 0.0, 0.0, 0.0
	for i := range p.Geographies {
		a := &p.Geographies[i]
		for _, g := range a.Gains {
			if g.Scheme == a.To {
				users += g.Users
				ms += g.Ms * float64(a.Views)
				views += float64(a.Views)
			}
		}
	}
	if views > 0 {
		fmt.Fprintf(w, "\nRamping what gains brings %.0f page views more of those stored in %d days to an optimal PoP, and saves %.1f ms in the mean where it is done.\n", users, p.Days, ms/views)
	}
	return p.writeRegions(w)
}

func (p *rampProposal) writeRegions(w io.Writer) error {
	if p.Regions == nil {
		_, err := fmt.Fprintf(w, "\nNo regions are proposed: %s\n", p.NoRegions)
		return err
	}
	r := p.Regions
	if r.Same {
		_, err := fmt.Fprintf(w, "\nRegions: those of the fleet file. Nothing better was found that holds on other days.\n  %.1f %% optimal, %.2f ms lost in the mean\n", 100*r.Default.Optimal, r.Default.Lost)
		return err
	}
	fmt.Fprintf(w, "\nRegions, on days that they were not made from:\n  as in the fleet file  %.1f %% optimal, %.2f ms lost in the mean\n  as proposed           %.1f %% optimal, %.2f ms lost in the mean; %.1f %% of page views would go where nothing tells\n",
		100*r.Default.Optimal, r.Default.Lost, 100*r.Proposed.Optimal, r.Proposed.Lost, 100*r.Guessed)
	for i := range r.Regions {
		fmt.Fprintf(w, "  - %s\n", &r.Regions[i])
	}
	_, err := fmt.Fprintln(w, "Try them with 'catchment sim run' before you announce anything.")
	return err
}

// writeDraft writes a declaration for the geographies that gain by the scheme
// that most of them gain by.
func (p *rampProposal) writeDraft(w io.Writer, service string) error {
	views := map[edge.Scheme]uint64{}
	for _, a := range p.Geographies {
		if a.Do == propose.DoRamp {
			views[a.To] += a.Views
		}
	}
	to := edge.Regional
	if views[edge.Global] > views[edge.Regional] {
		to = edge.Global
	}
	if views[to] == 0 {
		return &refusedError{errors.New("no geography gains clearly: there is nothing to ramp")}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "id: to-%s\nservice: %s\nfrom: unicast\nto: %s\ngeographies:\n", to, service, to)
	n := 0
	for _, a := range p.Geographies {
		if a.Do != propose.DoRamp || a.To != to {
			continue
		}
		const most = 64 // ramp.MaxGeographies
		if n++; n > most {
			break
		}
		id, where := strings.ToLower(a.Country), fmt.Sprintf("countries: [%q]", a.Country)
		if a.Subdivision != "" {
			id += "-" + strings.ToLower(a.Subdivision)
			where = fmt.Sprintf("subdivisions: [%q]", a.Name())
		}
		fmt.Fprintf(&b, "  - {id: %s, %s}\n", id, where)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
