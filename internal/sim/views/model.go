package views

import (
	"errors"
	"fmt"
	"time"

	"catchment/internal/edge"
)

// Model holds every parameter of the page views. The comment of each says where
// its default comes from: measured, published or assumed. docs/sim-people.md
// has them all.
type Model struct {
	Seed uint64

	From  edge.Day // first UTC day
	Days  int
	Views int     // in all
	Rate  float64 // sampling rate that beacons name: one view stands for 1/Rate

	// Rhythm is how many views there are in each hour of local solar time, in
	// any unit, interpolated between full hours; assumed: least at 4, most at
	// 20 o'clock. Weekend is what is left of it on Saturdays and Sundays (UTC):
	// 0.8, assumed.
	Rhythm  [24]float64
	Weekend float64

	// Active is the share of client prefixes that are seen on a day: 0.8,
	// assumed.
	Active float64

	// Flips is the chance that the route of one group to one anycast prefix
	// changes on a day: 0.02, assumed. For FlipHours on average, 4, assumed,
	// they reach the next best PoP.
	Flips     float64
	FlipHours float64
	// Balanced is the share of networks that spread packets over two paths:
	// 0.003, assumed. Their anycast traffic is divided between two PoPs.
	Balanced float64

	// Timeout is the share of probes that bring no answer: 0.004, assumed.
	// Failing adds to it by PoP or VIP.
	Timeout float64
	Failing map[string]float64
	// Outages are PoPs that stop answering for a while.
	Outages []Outage

	// Countries are whose users are seen; none: all.
	Countries []string

	// Page is the scheme by which the page itself was loaded: unicast. PageBy,
	// unless nil, says it for each view whose client and resolver are filled in
	// and of which it may change the resolver; it must be pure, and safe for
	// concurrent use where Fillers are used at the same time.
	Page   edge.Scheme
	PageBy func(*edge.Beacon) edge.Scheme
	// Chromium is the share of browsers that tell their kind of connection:
	// 0.75, assumed.
	Chromium float64
}

// Outage is a PoP that stops answering. Until it is noticed, who is sent there
// waits in vain; from then on anycast leads to the next best PoP that announces
// the prefix, DNS to the best one that is up.
type Outage struct {
	PoP         edge.PoPID
	From, Until time.Time
	Noticed     time.Duration
}

// Limits of a Model.
const (
	MaxDays  = 3660
	MaxViews = 1 << 40
)

// DefaultModel returns the defaults for one day of 100,000 views.
func DefaultModel(seed uint64) Model {
	return Model{
		Seed: seed,
		From: 20758, // 2026-11-01
		Days: 1, Views: 100_000, Rate: 1,
		Rhythm: [24]float64{
			45, 30, 21, 16, 15, 18, 28, 43, 58, 69, 76, 80,
			82, 82, 81, 81, 82, 85, 91, 97, 100, 97, 85, 65,
		},
		Weekend: 0.8,
		Active:  0.8,
		Flips:   0.02, FlipHours: 4,
		Balanced: 0.003,
		Timeout:  0.004,
		Page:     edge.Unicast,
		Chromium: 0.75,
	}
}

// Weight returns how many views a day has, in days of the week.
func (m *Model) Weight(d edge.Day) float64 {
	if w := d.Time().Weekday(); w == time.Saturday || w == time.Sunday {
		return m.Weekend
	}
	return 1
}

// Validate returns what is wrong with m for a fleet, all of it, each error
// naming the field.
func (m *Model) Validate(f *edge.Fleet) error {
	var errs []error
	within := func(name string, v, low, high float64) {
		if !(v >= low && v <= high) {
			errs = append(errs, fmt.Errorf("views: %s is %v (want %v to %v)", name, v, low, high))
		}
	}
	known := func(field, id string) {
		if _, ok := f.PoP(edge.PoPID(id)); ok {
			return
		}
		for _, v := range f.VIPs {
			if string(v.ID) == id {
				return
			}
		}
		errs = append(errs, fmt.Errorf("views: %s: the fleet has no PoP or VIP %q", field, id))
	}
	within("Days", float64(m.Days), 1, MaxDays)
	within("Views", float64(m.Views), 0, MaxViews)
	if !(m.Rate > 0 && m.Rate <= 1) {
		errs = append(errs, fmt.Errorf("views: Rate is %v (want more than 0, at most 1)", m.Rate))
	}
	sum := 0.0
	for hour, v := range m.Rhythm {
		within(fmt.Sprintf("Rhythm[%d]", hour), v, 0, 1e6)
		sum += v
	}
	if sum == 0 {
		errs = append(errs, errors.New("views: Rhythm has no hour with views"))
	}
	within("Weekend", m.Weekend, 0.01, 100)
	within("Active", m.Active, 0.01, 1)
	within("Flips", m.Flips, 0, 1)
	within("FlipHours", m.FlipHours, 0, 24)
	within("Balanced", m.Balanced, 0, 1)
	within("Timeout", m.Timeout, 0, 1)
	for id, share := range m.Failing {
		within("Failing["+id+"]", share, 0, 1)
		known("Failing", id)
	}
	for i, o := range m.Outages {
		field := fmt.Sprintf("Outages[%d]", i)
		if _, ok := f.PoP(o.PoP); !ok {
			errs = append(errs, fmt.Errorf("views: %s: the fleet has no PoP %q", field, o.PoP))
		}
		if !o.Until.After(o.From) || o.Noticed < 0 {
			errs = append(errs, fmt.Errorf("views: %s: want From before Until and Noticed of at least 0", field))
		}
	}
	if m.Page.Index() < 0 {
		errs = append(errs, fmt.Errorf("views: Page: there is no scheme %q", m.Page))
	}
	within("Chromium", m.Chromium, 0, 1)
	return errors.Join(errs...)
}
