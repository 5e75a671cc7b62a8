package sim

import (
	"cmp"
	"math"
	"slices"
)

// weighted are values with weights, for quantiles. Most penalties are 0, which
// takes no room.
type weighted struct {
	zeros, sum float64 // weights
	values     []weight
	sorted     bool
}

type weight struct{ value, weight float64 }

func (w *weighted) add(value, n float64) {
	w.sum += n
	if value == 0 {
		w.zeros += n
		return
	}
	w.values, w.sorted = append(w.values, weight{value, n}), false
}

// quantile returns the least value that, with all below it, has the share p of
// the weights; NaN when there is none.
func (w *weighted) quantile(p float64) float64 {
	if w.sum == 0 {
		return math.NaN()
	}
	if !w.sorted {
		slices.SortFunc(w.values, func(a, b weight) int {
			return cmp.Or(cmp.Compare(a.value, b.value), cmp.Compare(a.weight, b.weight))
		})
		w.sorted = true
	}
	rest, last, zeros := p*w.sum, 0.0, w.zeros > 0
	for _, v := range w.values {
		if zeros && v.value > 0 {
			if rest -= w.zeros; rest <= 0 {
				return 0
			}
			last, zeros = 0, false
		}
		if rest -= v.weight; rest <= 0 {
			return v.value
		}
		last = v.value
	}
	if zeros {
		return 0
	}
	return last // rounding left a rest
}

// Spread returns the 10th, 50th and 90th percentile of a figure over seeds,
// linear between ranks; NaN is left out.
func Spread(values []float64) (p10, p50, p90 float64) {
	sorted := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	slices.Sort(sorted)
	at := func(p float64) float64 {
		if len(sorted) == 0 {
			return math.NaN()
		}
		x := p * float64(len(sorted)-1)
		i := int(x)
		if i+1 == len(sorted) {
			return sorted[i]
		}
		return sorted[i] + (x-float64(i))*(sorted[i+1]-sorted[i])
	}
	return at(0.1), at(0.5), at(0.9)
}
