package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"catchment/internal/edge"
)

// samplesOf makes the samples of prefixes 0, 1, …, each a list of RTTs in ms.
func samplesOf(rtts ...[]float64) *samples {
	var all []edge.Sample
	for i, list := range rtts {
		for _, ms := range list {
			all = append(all, edge.SampleOf(prefixKey(i), ms))
		}
	}
	var room arena
	return &samples{packed: room.pack(latencies(edge.Cell{}, "iad", "", all))}
}

func fill(n int, ms float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = ms
	}
	return v
}

func TestMedianOfOneBin(t *testing.T) {
	var h histogram
	s := samplesOf(fill(4, 18.7), fill(4, 18.7), fill(4, 18.7), fill(4, 18.7), fill(4, 18.7))
	ms, ok := h.median([]*samples{s}, 20, true)
	if want := edge.BinMs(edge.Bin(18.7)); !ok || math.Abs(ms-want) > 1e-9 {
		t.Errorf("%v, %v; want %v", ms, ok, want)
	}
	if h.weights != (histogram{}).weights {
		t.Error("the scratch space is left dirty")
	}
}

func TestMedianAgainstSorting(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h histogram
	for range 200 {
		lists := make([][]float64, 5+rng.IntN(40))
		var all []float64
		for i := range lists {
			lists[i] = make([]float64, 4)
			for k := range lists[i] {
				lists[i][k] = 5 * math.Exp(0.5*rng.NormFloat64())
				all = append(all, lists[i][k])
			}
		}
		ms, ok := h.median([]*samples{samplesOf(lists...)}, 20, true)
		if want := medianOf(all); !ok || math.Abs(ms/want-1) > 0.011 {
			t.Fatalf("%v, %v; want %v within a bin", ms, ok, want)
		}
	}
	if !math.IsNaN(medianOf(nil)) {
		t.Error("nothing has a median")
	}
}

// TestHeavyPrefix: nobody moves the median by flooding, nor makes it vanish.
func TestHeavyPrefix(t *testing.T) {
	quiet := [][]float64{fill(6, 20), fill(6, 21), fill(6, 22), fill(6, 23), fill(6, 24), fill(6, 25)}
	var h histogram
	before, ok := h.median([]*samples{samplesOf(quiet...)}, 20, true)
	if !ok {
		t.Fatal("30 samples of 6 prefixes do not suffice")
	}
	flooded := append(slices.Clone(quiet), fill(100000, 500))
	after, ok := h.median([]*samples{samplesOf(flooded...)}, 20, true)
	if !ok || after < before || after > 25 {
		t.Errorf("flooded: %v, %v; was %v", after, ok, before)
	}
}

func TestPrefixCap(t *testing.T) {
	f := func(counts []uint64, c, total float64) {
		t.Helper()
		var top [maxShares]uint64
		var n uint64
		for _, v := range counts {
			n += v
			keepTop(&top, v)
		}
		gotC, gotTotal := prefixCap(n, top)
		if gotC != c || gotTotal != total {
			t.Errorf("%v: cap %v, total %v; want %v, %v", counts, gotC, gotTotal, c, total)
		}
		if c == 0 || math.IsInf(c, 1) {
			return
		}
		// The largest c with c ≤ ⅕·Σ min(n_p, c), by its definition.
		sum := func(c float64) (sum float64) {
			for _, v := range counts {
				sum += min(float64(v), c)
			}
			return sum
		}
		if gotC > sum(gotC)/5+1e-9 {
			t.Errorf("%v: a prefix at the cap %v gives more than a fifth of %v", counts, gotC, sum(gotC))
		}
		if larger := gotC * 1.001; larger <= sum(larger)/5 {
			t.Errorf("%v: the cap could be %v", counts, larger)
		}
	}
	inf := math.Inf(1)
	f([]uint64{4, 4, 4, 4, 4}, inf, 20)
	f([]uint64{5, 4, 4, 4, 4, 4}, inf, 25)
	f([]uint64{1000, 4, 4, 4, 4}, 4, 20)
	f([]uint64{1000, 6, 5, 5, 4}, 4, 20)
	f([]uint64{1000, 900, 800, 700, 2, 2}, 4, 20)
	f([]uint64{10, 2, 2, 2, 2, 2, 2}, 3, 15)
	f([]uint64{100, 100, 100, 100}, 0, 0)
	f([]uint64{7}, 0, 0)
	f(nil, inf, 0)
}

func TestFewSamples(t *testing.T) {
	var h histogram
	f := func(capped, want bool, lists ...[]float64) {
		t.Helper()
		if _, ok := h.median([]*samples{samplesOf(lists...)}, 20, capped); ok != want {
			t.Errorf("capped %v: %v", capped, ok)
		}
	}
	f(true, true, fill(4, 9), fill(4, 9), fill(4, 9), fill(4, 9), fill(4, 9))
	f(true, false, fill(3, 9), fill(4, 9), fill(4, 9), fill(4, 9), fill(4, 9))
	f(true, false, fill(3, 9), fill(400, 9), fill(4, 9), fill(4, 9), fill(4, 9)) // 15 once capped
	f(true, false, fill(400, 9), fill(400, 9), fill(400, 9), fill(400, 9))       // four prefixes
	f(false, true, fill(20, 9))
	f(false, false, fill(19, 9))
}
