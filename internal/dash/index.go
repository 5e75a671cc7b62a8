package dash

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"catchment/internal/analysis"
	"catchment/internal/edge"
)

// index is every stored day, judged. A day that has not changed is not looked
// at again; today is judged anew whenever something came in. What it knows is
// one immutable value, replaced whole.
type index struct {
	cfg     *Config
	log     *slog.Logger
	metrics *metrics
	now     atomic.Pointer[figures] // never nil
	rollups sums[*analysis.Rollup]
	reaches [len(edge.Schemes)]sums[*reached]
	before  countBefore // of the index's own goroutine
}

// figures are what is known at a moment.
type figures struct {
	generation uint64
	days       []*day // ascending
	waiting    int    // days that were not judged yet
	made       time.Time
	trouble    string  // why the store could not be read; the rest is then of before
	before     *uint64 // page views by this time a week ago
}

// day is one UTC day with beacons.
type day struct {
	day    edge.Day
	stamp  string
	judged *analysis.Judged // nil: too old to be kept in memory
	bytes  int
	names  map[uint32]string // of networks
	sum    analysis.Row      // of the whole day
	totals analysis.Totals
	// offenders are who lost time on the day.
	offenders map[offenderKey]bool
}

type offenderKey struct {
	country, subdivision string
	asn                  uint32
	scheme               edge.Scheme
	pop                  edge.PoPID
}

func newIndex(cfg *Config, log *slog.Logger, m *metrics) *index {
	x := &index{cfg: cfg, log: log, metrics: m}
	x.now.Store(&figures{waiting: -1})
	return x
}

// run looks at the store at once and then every so often. changed is called
// when figures have changed.
func (x *index) run(ctx context.Context, changed func()) {
	for {
		begin := time.Now()
		was := x.now.Load().generation
		x.refresh(ctx)
		if ctx.Err() == nil && x.now.Load().generation != was {
			changed()
		}
		x.metrics.refresh.Observe(time.Since(begin).Seconds())
		// A store whose day takes long to judge leaves half of a core to others.
		wait := max(x.cfg.Every, min(time.Since(begin), 30*time.Second))
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// refresh judges the days that have changed, the latest first.
func (x *index) refresh(ctx context.Context) {
	now := x.cfg.Now()
	old := x.now.Load()
	stamps, err := x.cfg.Beacons.Days()
	if err != nil {
		x.fail(old, err)
		return
	}
	days := map[edge.Day]*day{}
	var due []edge.Day
	for d, stamp := range stamps {
		i := slices.IndexFunc(old.days, func(o *day) bool { return o.day == d })
		if i >= 0 {
			days[d] = old.days[i]
		}
		if i < 0 || old.days[i].stamp != stamp {
			due = append(due, d)
		}
	}
	slices.Sort(due)
	slices.Reverse(due)
	waiting := len(stamps) - len(days)
	gone := len(days) < len(old.days)
	for _, d := range due {
		judged, err := x.judge(ctx, d, stamps[d])
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			x.fail(x.now.Load(), err)
			return
		}
		if days[d] == nil {
			waiting--
		}
		days[d] = judged
		x.publish(days, waiting, x.now.Load().made, true)
	}
	x.before.count(ctx, x.cfg.Beacons, stamps, now)
	x.publish(days, waiting, now, gone || old.trouble != "")
}

func (x *index) fail(old *figures, err error) {
	if old.trouble == "" {
		x.log.Error("the store cannot be read, the dashboard shows the last figures", "error", err)
	}
	next := *old
	next.trouble = err.Error()
	next.generation++
	x.now.Store(&next)
	x.metrics.trouble.Set(1)
}

// publish puts days in place. made is when they were taken, zero while the
// first look is under way.
func (x *index) publish(all map[edge.Day]*day, waiting int, made time.Time, changed bool) {
	old := x.now.Load()
	next := &figures{generation: old.generation, waiting: waiting, made: made, before: x.before.views}
	if made.IsZero() {
		next.made = x.cfg.Now()
	}
	if changed || old.waiting < 0 {
		next.generation++
	}
	room := x.cfg.Memory
	for _, d := range slices.Backward(slices.Sorted(maps.Keys(all))) {
		kept := all[d]
		if room -= kept.bytes; room < 0 && kept.judged != nil && len(next.days) > 0 {
			thin := *kept
			thin.judged = nil
			kept = &thin
			all[d] = kept
		}
		next.days = append(next.days, kept)
	}
	slices.Reverse(next.days)
	x.now.Store(next)
	x.metrics.trouble.Set(0)
	x.metrics.days.Set(float64(len(next.days)))
	x.metrics.bytes.Set(float64(x.cfg.Memory - max(room, 0)))
	x.metrics.made.Set(float64(next.made.UnixMilli()) / 1000)
}

// judge judges a day.
func (x *index) judge(ctx context.Context, d edge.Day, stamp string) (*day, error) {
	judged, err := analysis.Keep(x.cfg.Criteria, x.cfg.Beacons.Window(ctx, d))
	if err != nil {
		return nil, err
	}
	names, err := x.cfg.Beacons.Networks(ctx, d)
	if err != nil {
		return nil, err
	}
	all, lost := analysis.NewAssignment(nil), analysis.NewOffenders()
	judged.AddTo(nil, all, lost)
	out := &day{day: d, stamp: stamp, judged: judged, bytes: judged.Bytes(), names: names, totals: all.Totals(), offenders: map[offenderKey]bool{}}
	if rows := all.Rows(); len(rows) > 0 {
		out.sum = rows[0]
	}
	for _, o := range lost.Rows() {
		out.offenders[keyOf(&o)] = true
	}
	return out, nil
}

func keyOf(o *analysis.Offender) offenderKey {
	return offenderKey{o.Country, o.Subdivision, o.ASN, o.Scheme, o.PoP}
}

// judged returns what was judged of a day, again if it is not in memory.
func (x *index) judged(ctx context.Context, d *day) (*analysis.Judged, error) {
	if d.judged != nil {
		return d.judged, nil
	}
	return analysis.Keep(x.cfg.Criteria, x.cfg.Beacons.Window(ctx, d.day))
}

// between returns the days in [first, last].
func (f *figures) between(first, last edge.Day) []*day {
	from, _ := slices.BinarySearchFunc(f.days, first, func(d *day, at edge.Day) int { return int(d.day - at) })
	to, _ := slices.BinarySearchFunc(f.days, last+1, func(d *day, at edge.Day) int { return int(d.day - at) })
	return f.days[from:max(from, to)]
}

// names are those of networks in some days; a later day's win.
func names(days []*day) map[uint32]string {
	all := map[uint32]string{}
	for _, d := range days {
		maps.Copy(all, d.names)
	}
	return all
}

// countBefore counts the page views of the day a week ago up to this time of
// day: what is new of it at every look.
type countBefore struct {
	day   edge.Day
	stamp string // of the day: once it changes, all is counted again
	until time.Time
	sum   uint64
	views *uint64
}

func (c *countBefore) count(ctx context.Context, from Beacons, stamps map[edge.Day]string, now time.Time) {
	until := now.Add(-7 * 24 * time.Hour).Truncate(time.Second)
	if d := edge.DayOf(until); d != c.day || stamps[d] != c.stamp {
		*c = countBefore{day: d, stamp: stamps[d], until: d.Time()}
	}
	if !until.After(c.until) {
		return
	}
	n, err := from.CountViews(ctx, c.until, until)
	if err != nil {
		return // the next look counts it
	}
	c.until = until
	c.sum += n
	sum := c.sum
	c.views = &sum
}
