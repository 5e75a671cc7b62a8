package analysis

import (
	"math"
	"testing"
)

// Against sums and published tables.
func TestPoisson(t *testing.T) {
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-6*max(1, math.Abs(want)) {
			t.Errorf("%s: %v; want %v", what, got, want)
		}
	}
	for _, mean := range []float64{0.01, 0.5, 3, 20, 400} {
		below, term := 0.0, math.Exp(-mean)
		for k := 0.0; k < 2*mean+3; k++ {
			near("gammaShare", gammaShare(k, mean), 1-below)
			below += term
			term *= mean / (k + 1)
		}
	}
	for _, p := range []float64{0.001, 0.3, 0.5, 0.97} {
		const n = 30
		below, term := 0.0, math.Pow(1-p, n)
		for k := 0.0; k <= n; k++ {
			near("betaShare", betaShare(p, k, n-k+1), 1-below)
			below += term
			term *= (n - k) / (k + 1) * p / (1 - p)
		}
	}
	// Garwood's table; for none, −ln 0.025.
	for _, c := range [][3]float64{{0, 0, 3.688879}, {1, 0.025318, 5.571643}, {10, 4.795389, 18.390356}, {100, 81.36397, 121.62679}} {
		low, high := poissonInterval(c[0])
		near("low", low, c[1])
		near("high", high, c[2])
	}
	// Clopper and Pearson of 5 in 8: 0.244863 to 0.914767.
	low, high := ratioInterval(5, 2, 3, 1)
	near("ratio low", low, 0.244863/(1-0.244863)/2)
	if math.Abs(high-0.914767/(1-0.914767)/2) > 1e-4 {
		t.Errorf("ratio high: %v", high)
	}
	if _, high := ratioInterval(1, 1, 0, 1); !math.IsInf(high, 1) {
		t.Errorf("ratio to none: %v", high)
	}
}
