package sim

import (
	"cmp"
	"math"
	"slices"

	"catchment/internal/edge"
)

// placeChanges add up PlaceChange by country.
type placeChanges map[string]*placeSums

type placeSums struct {
	users, moved float64
	pairs        map[[2]int]float64 // users by the PoPs before and after
	ms, of       float64            // users × ms of those who reach a PoP both times, and those users
}

func (p placeChanges) add(country string, from, to int, before, after, users float64) {
	s := p[country]
	if s == nil {
		s = &placeSums{pairs: map[[2]int]float64{}}
		p[country] = s
	}
	s.users += users
	if from == to {
		return
	}
	s.moved += users
	s.pairs[[2]int{from, to}] += users
	if !math.IsInf(before, 1) && !math.IsInf(after, 1) {
		s.ms += users * (after - before)
		s.of += users
	}
}

func (p placeChanges) told(id func(int) edge.PoPID) []PlaceChange {
	list := make([]PlaceChange, 0, len(p))
	for country, s := range p {
		c := PlaceChange{Country: country, Users: s.users, Moved: s.moved, Shift: s.ms / s.of}
		most := 0.0
		var main [2]int
		for pair, users := range s.pairs {
			if users > most || users == most && slices.Compare(pair[:], main[:]) < 0 {
				most, main = users, pair
			}
		}
		if most > 0 {
			c.From, c.To = id(main[0]), id(main[1])
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b PlaceChange) int {
		return cmp.Or(cmp.Compare(b.Users, a.Users), cmp.Compare(a.Country, b.Country))
	})
	return list
}
