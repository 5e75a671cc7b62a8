package report

import (
	"fmt"
	"math"

	"catchment/internal/sim"
)

// over collects a figure of every run, one for each seed.
func over[T any](runs []*T, get func(*T) float64) []float64 {
	values := make([]float64, len(runs))
	for i, r := range runs {
		values[i] = get(r)
	}
	return values
}

func mean(values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

func median(values []float64) float64 {
	_, p50, _ := sim.Spread(values)
	return p50
}

// spreadPercent is the median of a share over seeds in percent, with the 10th
// and 90th percentile behind it where they differ.
func spreadPercent(values []float64) string {
	p10, p50, p90 := sim.Spread(values)
	low, high := latency(100*p10), latency(100*p90) // tenths below 10
	if len(values) == 1 || low == high || percent(p10) == percent(p90) {
		return percent(p50)
	}
	return fmt.Sprintf("%s (%s–%s)", percent(p50), low, high)
}

// spreadTitles are the columns of one figure in CSV.
func spreadTitles(seeds int, title string) []string {
	if seeds == 1 {
		return []string{title}
	}
	return []string{title + "_p10", title + "_p50", title + "_p90"}
}

func spreadCells(values []float64, format func(float64) string) []string {
	p10, p50, p90 := sim.Spread(values)
	if len(values) == 1 {
		return []string{format(p50)}
	}
	return []string{format(p10), format(p50), format(p90)}
}

// spread is a figure in JSON: a plain one for a single seed.
func spread(values []float64, kind func(float64) any) any {
	p10, p50, p90 := sim.Spread(values)
	if len(values) == 1 {
		return kind(p50)
	}
	return object{{"p10", kind(p10)}, {"p50", kind(p50)}, {"p90", kind(p90)}}
}

func asShare(v float64) any  { return share(v) }
func asMillis(v float64) any { return millis(v) }
func asFigure(v float64) any { return figure(v) }

func asCount(v float64) any {
	if math.IsNaN(v) {
		return figure(v)
	}
	return people(v)
}

func csvWhole(v float64) string { return rounded(v, 0) }

// oneIf makes a figure of a yes.
func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// overText marks a load that is over capacity, in how many of the seeds.
func overText(full []float64) string {
	switch n := mean(full) * float64(len(full)); {
	case n == 0:
		return ""
	case len(full) == 1:
		return " !"
	default:
		return fmt.Sprintf(" ! in %.0f of %d", n, len(full))
	}
}

// known is NaN for a capacity that is not known.
func known(capacity float64) float64 {
	if capacity == 0 {
		return math.NaN()
	}
	return capacity
}

func capacityText(v float64) string {
	if v == 0 {
		return none
	}
	return users(v)
}

// users writes a number of people.
func users(n float64) string { return grouped(people(n)) }

func people(n float64) uint64 { return uint64(n + 0.5) }
