package dash

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"catchment/internal/analysis"
	"catchment/internal/edge"
)

// askerIndex is page views by who asked for them, which have to be read one by
// one: about a second for some hundred thousand. It reads the days of periods
// that were lately asked for, in the background, and keeps for each period the
// sum over all days but the last.
type askerIndex struct {
	cfg   *Config
	log   *slog.Logger
	index *index

	mu     sync.Mutex
	wanted []*heardPeriod // the last ones asked for, at the end
	wake   chan struct{}

	last heardDay // the last day that was heard, for all periods that end with it; run's own
}

// heardDay is one day of the index.
type heardDay struct {
	day   edge.Day
	stamp string
	is    *analysis.Heard
}

// heardPeriod are consecutive days of the index.
type heardPeriod struct {
	period
	used time.Time

	sealed  string // stamps of the days in sum
	sum     *analysis.Heard
	latest  string // stamp of the last day
	today   *analysis.Heard
	ready   int // days that were read
	version int // rises with every change
	all     int
	err     error
}

// maxHeard periods are kept: those that pages offer.
const maxHeard = 3

func newAskerIndex(cfg *Config, log *slog.Logger, x *index) *askerIndex {
	return &askerIndex{cfg: cfg, log: log, index: x, wake: make(chan struct{}, 1)}
}

// heard is what is known of a period.
type heard struct {
	parts      []*analysis.Heard
	ready, all int // days
	err        error
}

// get returns what is there of a period, and has the rest read.
func (a *askerIndex) get(p period) heard {
	a.mu.Lock()
	defer a.mu.Unlock()
	h := a.find(p)
	h.used = a.cfg.Now()
	out := heard{ready: h.ready, all: h.all, err: h.err}
	for _, part := range []*analysis.Heard{h.sum, h.today} {
		if part != nil {
			out.parts = append(out.parts, part)
		}
	}
	select {
	case a.wake <- struct{}{}:
	default:
	}
	return out
}

// find returns a period, new if it was not wanted before. The caller holds mu.
func (a *askerIndex) find(p period) *heardPeriod {
	i := slices.IndexFunc(a.wanted, func(h *heardPeriod) bool { return h.period == p })
	h := &heardPeriod{period: p, all: -1}
	if i >= 0 {
		h = a.wanted[i]
		a.wanted = slices.Delete(a.wanted, i, i+1)
	} else if len(a.wanted) == maxHeard {
		a.wanted = slices.Delete(a.wanted, 0, 1)
	}
	h.used = a.cfg.Now()
	a.wanted = append(a.wanted, h)
	return h
}

// version returns a number that rises when there is more of a period.
func (a *askerIndex) version(p period) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range a.wanted {
		if h.period == p {
			return h.version
		}
	}
	return 0
}

// run reads what is wanted until ctx is done. The usual period is read without
// being asked for.
func (a *askerIndex) run(ctx context.Context) {
	tick := time.NewTicker(a.cfg.Every)
	defer tick.Stop()
	first := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-a.wake:
		}
		f := a.index.now.Load()
		if f.waiting != 0 || a.cfg.Places == nil {
			continue
		}
		today := edge.DayOf(a.cfg.Now())
		a.mu.Lock()
		if first {
			a.find(period{today - defaultDays + 1, today})
			first = false
		}
		a.wanted = slices.DeleteFunc(a.wanted, func(h *heardPeriod) bool { return a.cfg.Now().Sub(h.used) > wanted })
		due := slices.Clone(a.wanted)
		a.mu.Unlock()
		slices.Reverse(due)
		for _, h := range due {
			a.read(ctx, h, f)
		}
	}
}

// read brings a period up to date.
func (a *askerIndex) read(ctx context.Context, h *heardPeriod, f *figures) {
	days := f.between(h.first, h.last)
	a.mu.Lock()
	if h.all != len(days) {
		h.all = len(days)
		h.version++
	}
	sealed, sum := h.sealed, h.sum
	a.mu.Unlock()
	if len(days) == 0 {
		return
	}
	n := len(days) - 1
	var stamps strings.Builder
	for _, d := range days[:n] {
		stamps.WriteString(d.day.String() + d.stamp + "\n")
	}
	ready := n
	if sealed != stamps.String() || sum == nil && n > 0 {
		sum, ready = nil, 0
		for _, d := range days[:n] {
			x, err := a.hear(ctx, d.day)
			if err != nil {
				a.fail(h, err)
				return
			}
			if sum == nil {
				sum = x
			} else {
				sum = sum.Join(x)
			}
			ready++
			a.mu.Lock()
			h.ready = ready
			h.version++
			a.mu.Unlock()
		}
	}
	today := h.today
	if h.latest != days[n].stamp || today == nil {
		if x := days[n]; a.last.day != x.day || a.last.stamp != x.stamp || a.last.is == nil {
			heard, err := a.hear(ctx, x.day)
			if err != nil {
				a.fail(h, err)
				return
			}
			a.last = heardDay{x.day, x.stamp, heard}
		}
		today = a.last.is
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if h.sum == sum && h.today == today && h.err == nil && h.ready == ready+1 {
		return
	}
	h.sealed, h.sum, h.latest, h.today, h.ready, h.err = stamps.String(), sum, days[n].stamp, today, ready+1, nil
	h.version++
}

func (a *askerIndex) fail(h *heardPeriod, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if errors.Is(err, context.Canceled) {
		return
	}
	if h.err == nil {
		a.log.Error("page views cannot be read for the dashboard's resolvers", "error", err)
	}
	h.err = err
	h.version++
}

func (a *askerIndex) hear(ctx context.Context, d edge.Day) (*analysis.Heard, error) {
	s := analysis.Setting{Fleet: a.cfg.Fleet(), Places: a.cfg.Places, FarKm: analysis.DefaultFarKm}
	return analysis.Hear(a.cfg.Criteria, s, a.cfg.Beacons.ViewWindow(ctx, d))
}
