package analysis

import (
	"math"
	"slices"

	"catchment/internal/edge"
)

// popTally is the weight per PoP, for the commonest one.
type popTally []popWeight

type popWeight struct {
	pop    popID
	weight float64
}

func (t *popTally) add(pop popID, w float64) {
	for i := range *t {
		if (*t)[i].pop == pop {
			(*t)[i].weight += w
			return
		}
	}
	*t = append(*t, popWeight{pop, w})
}

// join adds another tally; pops are the numbers that its PoPs have here.
func (t *popTally) join(o popTally, pops []popID) {
	for _, x := range o {
		t.add(pops[x.pop], x.weight)
	}
}

// top returns the heaviest PoP, of equals the first by name; without any it is
// empty.
func (t popTally) top(of *pops) (pop edge.PoPID, weight float64) {
	for _, x := range t {
		if name := of.names[x.pop]; pop == "" || x.weight > weight || x.weight == weight && name < pop {
			pop, weight = name, x.weight
		}
	}
	return pop, weight
}

// penaltyTally is the weight per penalty, in the bins of edge.Bin.
type penaltyTally struct {
	none float64 // of the penalty 0
	bins []binWeight
}

type binWeight struct {
	bin    int32
	weight float64
}

func (t *penaltyTally) add(o *outcome, w float64) {
	if o.penalty == 0 {
		t.none += w
		return
	}
	t.addBin(o.bin, w)
}

// join adds another tally.
func (t *penaltyTally) join(o *penaltyTally) {
	t.none += o.none
	for _, b := range o.bins {
		t.addBin(b.bin, b.weight)
	}
}

func (t *penaltyTally) addBin(bin int32, w float64) {
	lo, hi := 0, len(t.bins)
	for lo < hi {
		if mid := (lo + hi) / 2; t.bins[mid].bin < bin {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(t.bins) || t.bins[lo].bin != bin {
		t.bins = slices.Insert(t.bins, lo, binWeight{bin: bin})
	}
	t.bins[lo].weight += w
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
			return edge.BinMs(int(b.bin))
		}
	}
	return edge.BinMs(int(t.bins[len(t.bins)-1].bin)) // rounding
}
