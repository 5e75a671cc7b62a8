package noise

import (
	"math"
	"slices"
	"testing"
)

// TestStable holds choices to what they have always been: every seed's result
// hangs on them.
func TestStable(t *testing.T) {
	for _, c := range []struct{ got, want uint64 }{
		{At(1, Tie), 0xe4d971771b652c20},
		{At(1, Tie, 64496, 3), 0xb8efe9c2baccb09e},
		{At(2, Segment, 64496, 3), 0xaed6398a5be469aa},
		{String("São Paulo"), 0x78cf17494fdfd5ee},
	} {
		if c.got != c.want {
			t.Errorf("%#x, want %#x", c.got, c.want)
		}
	}
}

// TestKeys changes one part of a choice's name at a time.
func TestKeys(t *testing.T) {
	seen := map[uint64]bool{}
	for seed := range uint64(10) {
		for kind := Tie; kind < Tie+10; kind++ {
			for x := range uint64(10) {
				for _, keys := range [][]uint64{{}, {x}, {x, x}, {0, x}, {x, 0}, {x, 0, 0}} {
					seen[At(seed, kind, keys...)] = true
				}
			}
		}
	}
	// For x = 0 the last five are three names, and {} is one for all x.
	if want := 10 * 10 * (1 + 10 + 10 + 9 + 9 + 10); len(seen) != want {
		t.Errorf("%d values for %d names", len(seen), want)
	}
}

func TestDistributions(t *testing.T) {
	const n = 200_000
	var uniform, normal, logNormal []float64
	picks := make([]int, 7)
	for i := range uint64(n) {
		bits := At(3, View, i)
		uniform = append(uniform, Uniform(bits))
		normal = append(normal, Normal(bits))
		logNormal = append(logNormal, LogNormal(bits, 0.5))
		picks[Pick(bits, len(picks))]++
	}
	within := func(what string, got, want, margin float64) {
		t.Helper()
		if !(math.Abs(got-want) <= margin) {
			t.Errorf("%s is %v, want %v ± %v", what, got, want, margin)
		}
	}
	mean := func(list []float64, f func(float64) float64) float64 {
		sum := 0.0
		for _, x := range list {
			sum += f(x)
		}
		return sum / float64(len(list))
	}
	id, square := func(x float64) float64 { return x }, func(x float64) float64 { return x * x }
	within("mean of Uniform", mean(uniform, id), 0.5, 0.003)
	within("least of Uniform", slices.Min(uniform), 0, 1e-4)
	within("most of Uniform", slices.Max(uniform), 1, 1e-4)
	within("mean of Normal", mean(normal, id), 0, 0.01)
	within("variance of Normal", mean(normal, square), 1, 0.02)
	slices.Sort(logNormal)
	within("median of LogNormal", logNormal[n/2], 1, 0.01)
	within("90th percentile of LogNormal", logNormal[n*9/10], math.Exp(0.5*1.2816), 0.03)
	for _, k := range picks {
		within("a seventh of the picks", float64(k)/n, 1.0/7, 0.004)
	}
}

func TestExp(t *testing.T) {
	for x := -20.0; x < 20; x += 0.37 {
		if got, want := Exp(x), math.Exp(x); math.Abs(got-want) > 1e-13*want {
			t.Errorf("Exp(%v) = %v, want %v", x, got, want)
		}
	}
}
