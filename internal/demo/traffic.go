package demo

import (
	"fmt"
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
	m := views.DefaultModel(Seed)
	m.From, m.Days = edge.DayOf(now)-edge.Day(days), days+1+after
	// Some days have fewer; no matter which, all together have enough.
	m.Views = int(float64(atLeast) * float64(m.Days) / (float64(days) * m.Weekend))
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
