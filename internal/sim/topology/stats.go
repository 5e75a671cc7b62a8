package topology

import (
	"cmp"
	"slices"
)

// Stats describe a topology.
type Stats struct {
	ASes    int `json:"ases"`
	Stubs   int `json:"stubs"`   // ASes without customers
	Links   int `json:"links"`   // of both kinds
	Transit int `json:"transit"` // links
	Peering int `json:"peering"` // links

	// Clique are the tier-1s, the largest customer cone first: see
	// Topology.Stats.
	Clique []Cone `json:"clique"`

	// Cones are the sizes of the customer cones of all ASes, and Largest the
	// ten largest.
	Cones   Distribution `json:"cones"`
	Largest []Cone       `json:"largest"`

	Users     float64 `json:"users"`
	Groups    int     `json:"groups"`
	WithUsers int     `json:"ases_with_users"`
	Metros    int     `json:"metros"`            // of the table
	Inhabited int     `json:"metros_with_users"` // of those
}

// Distribution are percentiles, by the nearest rank.
type Distribution struct {
	P50 int `json:"p50"`
	P90 int `json:"p90"`
	P99 int `json:"p99"`
	Max int `json:"max"`
}

// Cone is the customer cone of an AS.
type Cone struct {
	ASN  uint32 `json:"asn"`
	Name string `json:"name,omitempty"`
	Size int    `json:"size"` // ASes, itself included
}

// Stats counts what t has.
//
// The customer cone of an AS is all that it reaches through customers alone,
// itself included (Luckie et al., AS relationships, customer cones, and
// validation, IMC 2013, the recursive cone).
//
// The clique is found much as CAIDA's AS-rank does it: among the ASes that have
// no provider, the largest cone first, each joins that peers with all who have
// joined. As the first one decides much, that is tried from each of the ten
// largest, and the largest clique wins, at a tie the one tried first. AS-rank
// sorts by transit degree instead, which takes AS paths.
//
// It takes as long as all cones have links: for the Internet a fraction of a
// second (BenchmarkStats).
func (t *Topology) Stats() Stats {
	s := Stats{
		ASes: t.Len(), Transit: len(t.Customers.To), Peering: len(t.Peers.To) / 2,
		Users: t.Users(), Groups: len(t.Groups), Metros: len(t.Cities),
	}
	s.Links = s.Transit + s.Peering
	var inhabited Metros
	last := AS(None)
	for _, g := range t.Groups {
		inhabited.Add(g.Metro)
		if g.AS != last {
			s.WithUsers++
		}
		last = g.AS
	}
	s.Inhabited = inhabited.Len()

	sizes := t.coneSizes()
	bySize := make([]AS, t.Len())
	for i := range bySize {
		bySize[i] = AS(i)
		if len(t.Customers.Of(AS(i))) == 0 {
			s.Stubs++
		}
	}
	slices.SortFunc(bySize, func(a, b AS) int { return cmp.Or(cmp.Compare(sizes[b], sizes[a]), cmp.Compare(a, b)) })
	cone := func(a AS) Cone { return Cone{t.ASNs[a], t.Names[a], int(sizes[a])} }
	for _, a := range bySize[:min(10, len(bySize))] {
		s.Largest = append(s.Largest, cone(a))
	}
	for _, a := range t.clique(bySize) {
		s.Clique = append(s.Clique, cone(a))
	}
	// bySize descends: a share p of the ASes has cones of at most this size.
	rank := func(p int) int { return int(sizes[bySize[len(bySize)-(len(bySize)*p+99)/100]]) }
	s.Cones = Distribution{rank(50), rank(90), rank(99), rank(100)}
	return s
}

// coneSizes returns how large the customer cone of each AS is.
func (t *Topology) coneSizes() []int32 {
	sizes := make([]int32, t.Len())
	seen := make([]AS, t.Len()) // in whose cone an AS was last, plus one
	var queue []AS
	for a := range AS(t.Len()) {
		queue = append(queue[:0], a)
		seen[a] = a + 1
		for i := 0; i < len(queue); i++ {
			for _, c := range t.Customers.Of(queue[i]) {
				if seen[c] != a+1 {
					seen[c] = a + 1
					queue = append(queue, c)
				}
			}
		}
		sizes[a] = int32(len(queue))
	}
	return sizes
}

// clique returns ASes without providers who all peer with each other, in the
// order of the given ones.
func (t *Topology) clique(bySize []AS) []AS {
	const starts = 10
	var top []AS
	for _, a := range bySize {
		if len(t.Providers.Of(a)) == 0 && len(t.Customers.Of(a)) > 0 {
			top = append(top, a)
		}
	}
	var best []AS
	for _, first := range top[:min(starts, len(top))] {
		var clique []AS
		for _, a := range top {
			if a == first || t.peersWithAll(a, []AS{first}) && t.peersWithAll(a, clique) {
				clique = append(clique, a)
			}
		}
		if len(clique) > len(best) {
			best = clique
		}
	}
	return best
}

func (t *Topology) peersWithAll(a AS, others []AS) bool {
	for _, b := range others {
		if _, ok := slices.BinarySearch(t.Peers.Of(a), b); !ok {
			return false
		}
	}
	return true
}
