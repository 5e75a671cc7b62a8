package ramp

import (
	"math"
	"slices"

	"catchment/internal/edge"
)

const (
	// histogram bins are those of edge, four in one: 4.4 % wide.
	binsInOne = 4
	histBins  = edge.NumBins / binsInOne
)

// Hist counts latencies in bins.
type Hist struct {
	First int       `json:"first,omitempty"`
	Count []float64 `json:"count,omitempty"`
	Total float64   `json:"total,omitempty"`
}

func (h *Hist) add(bin int, count float64) {
	bin /= binsInOne
	switch {
	case len(h.Count) == 0:
		h.First = bin
	case bin < h.First:
		h.Count = slices.Insert(h.Count, 0, make([]float64, h.First-bin)...)
		h.First = bin
	}
	for len(h.Count) <= bin-h.First {
		h.Count = append(h.Count, 0)
	}
	h.Count[bin-h.First] += count
	h.Total += count
}

// quantile returns the q-quantile in ms, interpolated inside its bin; 0 of nothing.
func (h *Hist) quantile(q float64) float64 {
	left := q * h.Total
	for i, c := range h.Count {
		if c > 0 && left <= c {
			return edge.BinEdgeMs(float64(binsInOne) * (float64(h.First+i) + left/c))
		}
		left -= c
	}
	return 0
}

// below returns the share of latencies under ms.
func (h *Hist) below(ms float64) float64 {
	if h.Total == 0 {
		return 0
	}
	at := math.Log2(ms/edge.LeastMs) * edge.BinsPerOctave / binsInOne
	sum := 0.0
	for i, c := range h.Count {
		sum += c * min(1, max(0, at-float64(h.First+i)))
	}
	return sum / h.Total
}
