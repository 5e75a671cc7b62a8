package generate

import "catchment/internal/sim/topology"

// giant is the appetite of who peers with everyone: a share of the world, that
// grows with it.
func (w *world) giant(appetite float64) float64 {
	return max(40, appetite*float64(w.size)/80_000)
}

// giants is how many of the content networks are in all hubs.
const giants = 12

func (w *world) addContent(ci, rank int) {
	c := &w.countries[ci]
	n := network{asn: firstContent + uint32(rank) - 1, kind: Content, country: int32(ci), org: -1}
	n.metros = []topology.Metro{w.homeIn(c, n.asn)}
	n.appetite = w.some(n.asn, 0.7, 4)
	if rank <= giants {
		n.appetite = w.giant(1500 / float64(rank))
	}
	for m := range w.hub {
		if topology.Metro(m) == n.metros[0] {
			continue
		}
		far := w.cities[m].Place.Continent != continentNames[c.continent]
		if rank <= giants && w.hub[m] > 0 || n.appetite > 40 && !far && w.hub[m] >= 4 {
			n.metros = append(n.metros, topology.Metro(m))
		}
	}
	w.add(n)
}

func (w *world) addEnterprise(ci, rank int) {
	c := &w.countries[ci]
	n := network{asn: firstEnterprise + uint32(rank) - 1, kind: Enterprise, country: int32(ci), org: -1}
	n.metros = []topology.Metro{w.homeIn(c, n.asn)}
	n.appetite = w.some(n.asn, 0.15, 0.7)
	w.add(n)
}
