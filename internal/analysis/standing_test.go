package analysis

import (
	"math/rand/v2"
	"testing"

	"catchment/internal/edge"
)

// TestBest: the best PoP of a cell is the least of all that it knows, its own
// and borrowed ones, however many there are and however they tie.
func TestBest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 6))
	borrowed := 0
	for range 200 {
		table := newTable(Criteria{MinSamples: 20})
		for asn := range uint32(6) {
			access := float64(rng.IntN(3)) * 20
			for pop := range 12 {
				if rng.IntN(3) > 0 {
					continue
				}
				rtt := access + float64(1+rng.IntN(4))*10 // a few values, so that many tie
				table.add(probe(in(illinois, asn), edge.PoPID("p"+string(rune('a'+pop))), "", 40, rtt))
			}
		}
		for asn := range uint32(6) {
			cell := in(illinois, asn)
			s := table.standingOf(&cell)
			if s == nil || len(s.own) == 0 {
				continue
			}
			best := s.own[0]
			for id := range table.pops.names {
				x := popLatency{pop: popID(id)}
				var ok bool
				if x.ms, ok = table.reached(s, x.pop, unicastAt); ok && table.compare(x, best) < 0 {
					best = x
				}
			}
			if s.best != best {
				t.Fatalf("best %+v, want %+v; own %+v, ranked %+v", s.best, best, s.own, s.place.ranked)
			}
			if _, own := s.ownLatency(best.pop); !own {
				borrowed++
			}
		}
	}
	if borrowed == 0 {
		t.Error("no case with a borrowed best PoP")
	}
}
