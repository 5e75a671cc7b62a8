package views

import "math"

// stream is the random bits of one view: SplitMix64 (Steele, Lea, Flood,
// OOPSLA 2014), started at a hash that names the view.
type stream struct{ state uint64 }

// Uint64 implements rand.Source.
func (s *stream) Uint64() uint64 {
	s.state += 0x9e3779b97f4a7c15
	h := s.state
	h ^= h >> 30
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 27
	h *= 0x94d049bb133111eb
	return h ^ h>>31
}

// exponentials are the quantiles of the exponential distribution of mean 1: a
// look-up costs a tenth of a logarithm.
type exponentials [4096]float32

func newExponentials() *exponentials {
	var e exponentials
	for i := range e {
		e[i] = float32(-math.Log(1 - (float64(i)+0.5)/float64(len(e))))
	}
	return &e
}

func (e *exponentials) draw(bits *stream) float64 {
	return float64(e[bits.Uint64()>>(64-12)])
}

// tenth rounds to the 0.1 ms that browsers resolve, hundredth to what PoPs
// send. Neither is for negative durations.
func tenth(ms float64) float64     { return float64(int64(ms*10+0.5)) / 10 }
func hundredth(ms float64) float64 { return float64(int64(ms*100+0.5)) / 100 }
