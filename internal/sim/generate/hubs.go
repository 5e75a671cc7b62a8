package generate

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"catchment/internal/edge"
	"catchment/internal/sim/metros"
	"catchment/internal/sim/topology"
)

// findHubs weighs the metros by who meets there, and ranks them by continent.
func (w *world) findHubs() {
	w.hub = make([]float64, len(w.cities))
	for field := range strings.SplitSeq(hubs, ",") {
		words := strings.Fields(field)
		n := len(words)
		weight, _ := strconv.ParseFloat(words[n-1], 64) // of a constant, which a test reads
		if m, ok := metros.Find(w.cities, strings.Join(words[:n-2], " "), words[n-2], ""); ok {
			w.hub[m] = weight
		}
	}
	for m, c := range w.cities {
		k := slices.Index(continentNames[:], c.Place.Continent)
		w.byHub[k] = append(w.byHub[k], topology.Metro(m))
	}
	for k := range w.byHub {
		slices.SortStableFunc(w.byHub[k], func(a, b topology.Metro) int {
			return cmp.Compare(w.importance(b), w.importance(a))
		})
	}
}

// importance ranks metros for carriers: who meets there, then how many people
// there are, 20 million of whom count like a small hub.
func (w *world) importance(m topology.Metro) float64 {
	return w.hub[m] + float64(w.cities[m].Population)/20e6
}

// near returns the n metros of a country nearest to one of its metros, within
// km, the metro itself first.
func (w *world) near(c *country, home topology.Metro, n int, km float64) []topology.Metro {
	type at struct {
		m  topology.Metro
		km float64
	}
	var all []at
	for _, m := range c.metros {
		if m == home {
			continue
		}
		if d := edge.DistanceKm(w.cities[home].Place, w.cities[m].Place); d <= km {
			all = append(all, at{m, d})
		}
	}
	slices.SortFunc(all, func(a, b at) int { return cmp.Or(cmp.Compare(a.km, b.km), cmp.Compare(a.m, b.m)) })
	found := []topology.Metro{home}
	for _, a := range all[:min(n-1, len(all))] {
		found = append(found, a.m)
	}
	return found
}
