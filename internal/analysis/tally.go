package analysis

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"catchment/internal/edge"
)

// popTally is the weight per PoP, for the commonest one.
type popTally []popWeight

type popWeight struct {
	pop    edge.PoPID
	weight float64
}

func (t *popTally) add(pop edge.PoPID, w float64) {
	for i := range *t {
		if (*t)[i].pop == pop {
			(*t)[i].weight += w
			return
		}
	}
	*t = append(*t, popWeight{edge.PoPID(strings.Clone(string(pop))), w})
}

// top returns the heaviest PoP, of equals the first by name.
func (t popTally) top() popWeight {
	if len(t) == 0 {
		return popWeight{}
	}
	return slices.MaxFunc(t, func(a, b popWeight) int {
		return cmp.Or(cmp.Compare(a.weight, b.weight), cmp.Compare(b.pop, a.pop))
	})
}

// penaltyTally is the weight per penalty, in the bins of edge.Bin.
type penaltyTally struct {
	none float64 // of the penalty 0
	bins []binWeight
}

type binWeight struct {
	bin    int
	weight float64
}

func (t *penaltyTally) add(ms, w float64) {
	if ms <= 0 {
		t.none += w
		return
	}
	bin := edge.Bin(ms)
	i, ok := slices.BinarySearchFunc(t.bins, bin, func(b binWeight, bin int) int { return cmp.Compare(b.bin, bin) })
	if !ok {
		t.bins = slices.Insert(t.bins, i, binWeight{bin: bin})
	}
	t.bins[i].weight += w
}

// quantile returns the least penalty in ms, to half a bin (0.55 %), that a
// share q of the weight does not exceed, NaN without any.
func (t *penaltyTally) quantile(q float64) float64 {
	total := t.none
	for _, b := range t.bins {
		total += b.weight
	}
	if total == 0 {
		return math.NaN()
	}
	sum := t.none
	if sum >= q*total {
		return 0
	}
	for _, b := range t.bins {
		if sum += b.weight; sum >= q*total {
			return edge.BinMs(b.bin)
		}
	}
	return edge.BinMs(t.bins[len(t.bins)-1].bin) // rounding
}
