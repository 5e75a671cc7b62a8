package views

import (
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	"catchment/internal/edge"
	"catchment/internal/sim/topology"
)

// A day has quarters of an hour, and the world as many bands of longitude, so
// that local solar time is a shift of quarters.
const (
	quarters = 96
	quarter  = 24 * time.Hour / quarters
)

// clock tells when views happen and, given when, in which group: at any moment
// groups count by their users and by how late it is there.
type clock struct {
	from     edge.Day
	until    []int // by day: views up to its end
	quarter  [quarters + 1]float64
	band     [quarters][quarters]float64 // by quarter: sums over bands
	groups   [quarters]alias
	members  [][]uint32 // by band: the groups
	lastBand [quarters]int
}

func newClock(m *Model, t *topology.Topology) *clock {
	c := &clock{from: m.From, members: make([][]uint32, quarters)}
	c.divideDays(m)
	weights := make([][]float64, quarters)
	var users [quarters]float64
	for i := range t.Groups {
		g := &t.Groups[i]
		if len(m.Countries) > 0 && !slices.Contains(m.Countries, t.Cities[g.Metro].Place.Country) {
			continue
		}
		b := bandOf(t.Cities[g.Metro].Place.Lon)
		c.members[b] = append(c.members[b], uint32(i))
		weights[b] = append(weights[b], float64(g.Users))
		users[b] += float64(g.Users)
	}
	for b := range weights {
		c.groups[b] = newAlias(weights[b])
	}
	rate := func(q int) float64 { // by quarter of a local day
		hour, part := q/4, float64(q%4)/4
		return m.Rhythm[hour]*(1-part) + m.Rhythm[(hour+1)%24]*part
	}
	for q := range quarters {
		sum := 0.0
		for b := range quarters {
			w := users[b] * rate((q+b+quarters/2)%quarters) // the middle band has solar time = UTC
			if w > 0 {
				c.lastBand[q] = b
			}
			sum += w
			c.band[q][b] = sum
		}
		c.quarter[q+1] = c.quarter[q] + sum
	}
	return c
}

// bandOf returns the band of a longitude: 0 at 180°W.
func bandOf(lon float64) int {
	return min(quarters-1, max(0, int((lon+180)/360*quarters+0.5)%quarters))
}

// divideDays divides the views over the days.
func (c *clock) divideDays(m *Model) {
	c.until = make([]int, m.Days)
	var sums []float64
	sum := 0.0
	for d := range m.Days {
		sum += m.Weight(m.From + edge.Day(d))
		sums = append(sums, sum)
	}
	for d := range m.Days {
		c.until[d] = int(float64(m.Views)*(sums[d]/sum) + 0.5)
	}
}

// when returns the time of view i, which is later than that of view i−1: each
// day's views are spread over it by its rhythm.
func (c *clock) when(i int, rng *rand.Rand) (day edge.Day, into time.Duration, quarterOfDay int) {
	d, _ := slices.BinarySearch(c.until, i+1)
	first := 0
	if d > 0 {
		first = c.until[d-1]
	}
	u := (float64(i-first) + rng.Float64()) / float64(c.until[d]-first) * c.quarter[quarters]
	q := min(quarters-1, max(0, sort.Search(quarters, func(q int) bool { return c.quarter[q+1] > u })))
	part := 0.0
	if span := c.quarter[q+1] - c.quarter[q]; span > 0 {
		part = (u - c.quarter[q]) / span
	}
	into = time.Duration((float64(q) + part) * float64(quarter))
	return c.from + edge.Day(d), min(into, 24*time.Hour-1), q
}

// who draws the group of a view in a quarter of a day.
func (c *clock) who(q int, rng *rand.Rand) int {
	bands := &c.band[q]
	u := rng.Float64() * bands[quarters-1]
	b := min(c.lastBand[q], sort.Search(quarters, func(b int) bool { return bands[b] > u }))
	return int(c.members[b][c.groups[b].draw(rng)])
}
