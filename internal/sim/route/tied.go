package route

import (
	"iter"

	"catchment/internal/sim/topology"
)

// tiedSets keeps, for the ASes that were asked for, the neighbors from which
// they have equally good routes: lists in one arena, each led by its length.
type tiedSets struct {
	at    []uint32 // start in arena; 0: not known
	arena []topology.AS
}

func newTiedSets(t *topology.Topology) tiedSets {
	return tiedSets{at: make([]uint32, t.Len()), arena: make([]topology.AS, 1)}
}

func (s *tiedSets) get(a topology.AS) ([]topology.AS, bool) {
	i := s.at[a]
	if i == 0 {
		return nil, false
	}
	return s.arena[i+1 : i+1+uint32(s.arena[i])], true
}

func (s *tiedSets) put(a topology.AS, all iter.Seq[topology.AS]) []topology.AS {
	start := len(s.arena)
	s.arena = append(s.arena, 0)
	for y := range all {
		s.arena = append(s.arena, y)
	}
	s.arena[start] = topology.AS(len(s.arena) - start - 1)
	s.at[a] = uint32(start)
	of, _ := s.get(a)
	return of
}
