package dash

import (
	"slices"
	"sync"

	"catchment/internal/analysis"
	"catchment/internal/edge"
)

// sums are what was last made of several days that do not change any more: one
// sum serves many answers, to which only the last day is added. The zero value
// is ready.
type sums[T any] struct {
	mu  sync.Mutex
	all []*sum[T]
}

type sum[T any] struct {
	of   []*analysis.Judged
	once sync.Once
	made T
}

// keptSums is for the periods that pages offer, and the days on which they
// change.
const keptSums = 5

// get returns the sum of days, made at most once.
func (s *sums[T]) get(of []*analysis.Judged, make func([]*analysis.Judged) T) T {
	s.mu.Lock()
	i := slices.IndexFunc(s.all, func(x *sum[T]) bool { return slices.Equal(x.of, of) })
	var found *sum[T]
	if i >= 0 {
		found = s.all[i]
		s.all = slices.Delete(s.all, i, i+1)
	} else {
		found = &sum[T]{of: slices.Clone(of)}
	}
	if s.all = append(s.all, found); len(s.all) > keptSums {
		s.all = slices.Delete(s.all, 0, 1)
	}
	s.mu.Unlock()
	found.once.Do(func() { found.made = make(found.of) })
	return found.made
}

// reached is who reached which PoP under a scheme.
type reached struct {
	reach *analysis.Reach
	pops  *analysis.PoPs
}

func reachedOn(scheme edge.Scheme, days []*analysis.Judged) *reached {
	r := &reached{analysis.NewReach(scheme), analysis.NewPoPs()}
	for _, d := range days {
		d.AddTo(nil, r.reach, r.pops)
	}
	r.reach.Compact()
	return r
}
