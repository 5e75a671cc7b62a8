package route

import (
	"math"

	"catchment/internal/edge"
	"catchment/internal/sim/noise"
	"catchment/internal/sim/topology"
)

// Network is a topology with distances, delays and the model: all that does
// not depend on what is announced. It is immutable and may be shared.
type Network struct {
	t     *topology.Topology
	model Model
	// Between metros, a row per metro: great-circle km, and the RTT of an
	// undisturbed path in ms.
	km, ms  []float32
	transit bitset // the ASes that have customers
}

// NewNetwork prepares a topology.
func NewNetwork(t *topology.Topology, m Model) *Network {
	n := &Network{t: t, model: m, transit: make(bitset, (t.Len()+63)/64)}
	for a := range t.Len() {
		if len(t.Customers.Of(topology.AS(a))) > 0 {
			n.transit.add(topology.AS(a))
		}
	}
	cities := len(t.Cities)
	n.km = make([]float32, cities*cities)
	n.ms = make([]float32, cities*cities)
	for a := range cities {
		for b := range a {
			pa, pb := t.Cities[a].Place, t.Cities[b].Place
			km := edge.DistanceKm(pa, pb)
			if math.IsInf(km, 1) {
				km = 0 // a city at 0°N 0°E
			}
			ms := km / 100 * rate(pa.Continent, pb.Continent)
			n.km[a*cities+b], n.km[b*cities+a] = float32(km), float32(km)
			n.ms[a*cities+b], n.ms[b*cities+a] = float32(ms), float32(ms)
		}
	}
	return n
}

// rate is the RTT of a long-haul path in ms per 100 km of great circle; light
// in fiber along it would take 1. Within North America as fitted to pings
// between 57,000 pairs of data-center cities (2018); the rest was lowered from
// the fit, whose rates include detours that the walk makes by itself.
func rate(a, b string) float64 {
	switch {
	case a != b:
		return 1.65
	case a == "NA":
		return 1.75
	case a == "EU":
		return 1.9
	}
	return 2.2
}

// Topology returns what the network was made of.
func (n *Network) Topology() *topology.Topology { return n.t }

// Model returns the parameters.
func (n *Network) Model() Model { return n.model }

// Km returns the great-circle distance between two metros.
func (n *Network) Km(a, b topology.Metro) float64 {
	return float64(n.km[int(a)*len(n.t.Cities)+int(b)])
}

// kmFrom returns the distances from one metro to all.
func (n *Network) kmFrom(m topology.Metro) []float32 {
	c := len(n.t.Cities)
	return n.km[int(m)*c : (int(m)+1)*c]
}

// segmentRTT returns the RTT in ms that one AS adds by carrying traffic from
// one metro to another. It is the same on every path.
func (n *Network) segmentRTT(as topology.AS, from, to topology.Metro) float32 {
	ms := n.ms[int(from)*len(n.t.Cities)+int(to)]
	if ms > 0 {
		// There and back alike.
		bits := noise.At(n.model.Seed, noise.Segment, uint64(n.t.ASNs[as]), uint64(min(from, to)), uint64(max(from, to)))
		ms *= float32(noise.LogNormal(bits, n.model.Detour))
	}
	return ms + float32(n.model.HopRTT)
}

// nearest returns the metro of set that is nearest to m, the least index on a
// tie, and how far it is; None if the set is empty.
func (n *Network) nearest(m topology.Metro, set *topology.Metros) (topology.Metro, float32) {
	if set.Has(m) {
		return m, 0
	}
	row := n.kmFrom(m)
	best, least := topology.Metro(topology.None), float32(math.MaxFloat32)
	for h := range set.All() {
		if row[h] < least {
			best, least = h, row[h]
		}
	}
	return best, least
}
