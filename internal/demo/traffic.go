package demo

import (
	"fmt"
	"math"
	"sort"
	"time"

	"catchment/internal/edge"
	"catchment/internal/sim/views"
)

// after is for how long the demo's page views go on, whole days after today.
const after = 1

// Traffic returns the page views of the demo's world: at least so many in the
// given days before today, and further ones, at the same rate, until the end of
// tomorrow.
func (w *World) Traffic(now time.Time, days, atLeast int) (*views.Generator, error) {
	from := edge.DayOf(now) - edge.Day(days)
	m := views.DefaultModel(Seed + uint64(from)) // no id comes again on another day
	m.From, m.Days = from, days+1+after
	past, all := 0.0, 0.0
	for d := range m.Days {
		all += m.Weight(from + edge.Day(d))
		if d < days {
			past = all
		}
	}
	m.Views = int(math.Ceil(float64(atLeast) * all / past))
	g, err := views.New(w.Fleet, w.People, w.Outcome, m)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return g, nil
}

// Before returns how many views of g are received before a time.
func Before(g *views.Generator, at time.Time) int {
	fill := g.Filler()
	var b edge.Beacon
	return sort.Search(g.Views(), func(i int) bool {
		fill.Fill(&b, i)
		return !b.Received.Before(at)
	})
}
