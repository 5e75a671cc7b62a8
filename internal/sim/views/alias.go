package views

import "math/rand/v2"

// alias draws from a discrete distribution in constant time (Walker, 1977, in
// the construction of Vose, 1991).
type alias struct {
	keep  []float32 // the chance of a column's own number
	other []uint32
}

// newAlias returns the distribution with the given weights, none of them
// negative and at least one of them positive unless there are none.
func newAlias(weights []float64) alias {
	n := len(weights)
	a := alias{make([]float32, n), make([]uint32, n)}
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	scaled := make([]float64, n)
	var small, large []uint32
	for i, w := range weights {
		scaled[i] = w / sum * float64(n)
		if scaled[i] < 1 {
			small = append(small, uint32(i))
		} else {
			large = append(large, uint32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		a.keep[s], a.other[s] = float32(scaled[s]), l
		if scaled[l] -= 1 - scaled[s]; scaled[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, rest := range [][]uint32{small, large} { // 1, but for rounding
		for _, i := range rest {
			a.keep[i], a.other[i] = 1, i
		}
	}
	return a
}

func (a *alias) draw(rng *rand.Rand) int {
	i := rng.IntN(len(a.keep))
	if float32(rng.Float64()) < a.keep[i] {
		return i
	}
	return int(a.other[i])
}
