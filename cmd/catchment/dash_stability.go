package main

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"catchment/internal/analysis"
	dashboard "catchment/internal/dash"
	"catchment/internal/downloadlog"
	"catchment/internal/edge"
	"catchment/internal/report"
	"catchment/internal/resetlog"
)

// dashStability is what synthetic agents found, and what PoPs saw of
// connections that were torn away.
type dashStability struct {
	data string

	mu   sync.Mutex
	kept map[[2]time.Time]*keptStability // guarded by mu; by since and until
}

// keptStability are figures that are shown again for a while: the logs are read
// whole for them.
type keptStability struct {
	figures *dashboard.StabilityFigures
	read    time.Time
	took    time.Duration
}

const (
	stabilityRows = 200 // of each table
	// Figures are kept for half a minute, and for so many times as it took to make
	// them that no more than a tenth of a processor goes into it.
	stabilityEvery   = 30 * time.Second
	stabilityEffort  = 10
	stabilityWindows = 8
)

// Stability implements dash.Stability.
func (s *dashStability) Stability(ctx context.Context, since, until time.Time) (*dashboard.StabilityFigures, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, begin := [2]time.Time{since, until}, time.Now()
	if k := s.kept[key]; k != nil && begin.Sub(k.read) < max(stabilityEvery, stabilityEffort*k.took) {
		return k.figures, nil
	}
	f, err := s.read(ctx, since, until, begin)
	if err != nil {
		return nil, err
	}
	if s.kept == nil || len(s.kept) >= stabilityWindows {
		s.kept = map[[2]time.Time]*keptStability{}
	}
	s.kept[key] = &keptStability{f, begin, time.Since(begin)}
	return f, nil
}

func (s *dashStability) read(ctx context.Context, since, until, now time.Time) (*dashboard.StabilityFigures, error) {
	days := map[edge.Day]*dashboard.StabilityDay{}
	on := func(d edge.Day) *dashboard.StabilityDay {
		if days[d] == nil {
			days[d] = &dashboard.StabilityDay{Day: d.String()}
		}
		return days[d]
	}
	f := &dashboard.StabilityFigures{}
	resets, known, err := s.resets(ctx, since, until, now, on)
	if err != nil {
		return nil, err
	}
	f.Resets = resets
	if err := s.downloads(ctx, f, since, until, known, on); err != nil {
		return nil, err
	}
	if f.Answers == nil && f.Resets == nil {
		return nil, nil
	}
	for _, d := range slices.Sorted(maps.Keys(days)) {
		f.Days = append(f.Days, *days[d])
	}
	return f, nil
}

// downloads adds what agents found. known has the resets of a group.
func (s *dashStability) downloads(ctx context.Context, f *dashboard.StabilityFigures, since, until time.Time, known func([]analysis.Label) (uint64, uint64), on func(edge.Day) *dashboard.StabilityDay) error {
	by, c := stabilityBy, analysis.DefaultStability()
	all := analysis.NewStability(by, c)
	byDay := map[edge.Day][2]connected{} // over VIPs, over unicast
	for r, err := range downloadlog.Read(s.data, since, until) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		all.Add(r)
		if d := r.Download; d.Kind == edge.SlowDownload {
			day := edge.DayOf(d.Start)
			x, over := byDay[day], 1
			if d.Target.Anycast() {
				over = 0
			}
			x[over].add(d)
			byDay[day] = x
		}
	}
	t := all.Totals()
	if t.Records == 0 {
		return nil
	}
	for day, x := range byDay {
		on(day).VIPs, on(day).Unicast = x[0].rate(), x[1].rate()
	}
	r := all.Rows()
	about := report.AboutStability{Since: since, Until: until, Totals: t, Criteria: c, Networks: all.Networks(), Limit: stabilityRows, Resets: known}
	for i := range r.Summary {
		f.Answers = append(f.Answers, dashboard.StabilityAnswer{VIP: r.Summary[i].VIP, Text: about.Answer(by, &r.Summary[i], r.Rows)})
	}
	var out bytes.Buffer
	if err := report.StabilityGroups(&out, by, r, about); err != nil {
		return err
	}
	f.Networks = json.RawMessage(bytes.TrimSpace(out.Bytes()))
	return nil
}

var stabilityBy = []analysis.Key{analysis.ByVIP, analysis.ByCountry, analysis.ByASN}

// connected is how slow downloads of a day fared.
type connected struct{ minutes, broken float64 }

func (c *connected) add(d *edge.Download) {
	minutes, broken := analysis.Watched(d)
	c.minutes += minutes
	if broken {
		c.broken++
	}
}

// rate is per 1,000 minutes; nil if nothing was watched.
func (c *connected) rate() *float64 {
	if c.minutes == 0 {
		return nil
	}
	r := 1000 * c.broken / c.minutes
	return &r
}

// resets returns the table of resets, and what there were of a group of
// stabilityBy.
func (s *dashStability) resets(ctx context.Context, since, until, now time.Time, on func(edge.Day) *dashboard.StabilityDay) (json.RawMessage, func([]analysis.Label) (uint64, uint64), error) {
	by := []analysis.Key{analysis.ByVIP, analysis.ByFrom, analysis.ByTo, analysis.ByCountry, analysis.ByASN}
	all, joined, byDay := analysis.NewResets(by), analysis.NewResets(stabilityBy), map[edge.Day]*analysis.Resets{}
	for x, err := range resetlog.Read(s.data, since, until) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, nil, err
		}
		all.Add(x)
		joined.Add(x)
		d := edge.DayOf(x.Received)
		if byDay[d] == nil {
			byDay[d] = analysis.NewResets(nil)
		}
		byDay[d].Add(x)
	}
	known := resetsOf(joined)
	t := all.Totals()
	if len(t.Methods) == 0 && t.From.IsZero() {
		return nil, known, nil
	}
	if until.After(now) {
		until = now
	}
	if since.Before(t.From) {
		since = t.From
	}
	const least = 1.0 / 60 // hours: rates of a first moment say nothing
	rows := all.Rows(max(until.Sub(since).Hours(), least))
	var out bytes.Buffer
	if err := report.Resets(&out, report.JSON, by, rows[:min(len(rows), stabilityRows)], report.AboutResets{Totals: t, Networks: all.Networks()}); err != nil {
		return nil, nil, err
	}
	for d, r := range byDay {
		watched := min((d + 1).Time().Sub(d.Time()), now.Sub(d.Time())).Hours()
		sum := 0.0
		for _, row := range r.Rows(max(watched, least)) {
			sum += row.PerHour
		}
		on(d).PerHour = &sum
	}
	return json.RawMessage(bytes.TrimSpace(out.Bytes())), known, nil
}
