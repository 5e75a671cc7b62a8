package route

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"catchment/internal/edge"
	"catchment/internal/sim/topology"
)

// randomTopology makes a small Internet in which customers come after their
// providers, so that no AS is its own provider however indirectly.
func randomTopology(t testing.TB, rng *rand.Rand) *topology.Topology {
	t.Helper()
	ases := 3 + rng.IntN(22)
	cities := make([]topology.City, 2+rng.IntN(8))
	continents := []string{"NA", "EU", "AS", "SA"}
	for i := range cities {
		cities[i] = topology.City{Name: fmt.Sprint("city ", i), Place: edge.Place{
			Continent: continents[rng.IntN(len(continents))],
			// On a coarse grid, so that there are ties.
			Lat: float64(10 * (1 + rng.IntN(5))), Lon: float64(20 * rng.IntN(8)),
		}}
	}
	asn := func(i int) uint32 { return uint32(64496 + (i*7)%ases) }
	for ases%7 == 0 {
		ases++ // 7 must permute
	}
	in := topology.Input{Cities: cities}
	for i := range ases {
		for range 1 + rng.IntN(2) {
			in.Presence = append(in.Presence, topology.Presence{ASN: asn(i), Metro: topology.Metro(rng.IntN(len(cities))), Users: float64(rng.IntN(3))})
		}
		for j := range i {
			switch p := rng.Float64(); {
			case p < 1.5/float64(i+1):
				in.Links = append(in.Links, topology.Link{A: asn(j), B: asn(i), Rel: topology.Transit})
			case p < 3/float64(ases):
				in.Links = append(in.Links, topology.Link{A: asn(i), B: asn(j), Rel: topology.Peering})
			}
		}
	}
	if len(in.Links) == 0 {
		in.Links = append(in.Links, topology.Link{A: asn(0), B: asn(1), Rel: topology.Transit})
	}
	built, err := topology.Build(in)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

// randomSessions connects up to five PoPs. Restricted: with communities too.
func randomSessions(rng *rand.Rand, t *topology.Topology, restricted bool) []Session {
	var all []Session
	for pop := range 1 + rng.IntN(5) {
		metro := topology.Metro(rng.IntN(len(t.Cities)))
		for range 1 + rng.IntN(3) {
			s := Session{
				PoP: pop, Metro: metro, Neighbor: topology.AS(rng.IntN(t.Len())),
				Class: []Class{FromCustomer, FromCustomer, FromPeer, FromProvider}[rng.IntN(4)],
			}
			if rng.IntN(3) == 0 {
				s.Prepend = rng.IntN(4)
			}
			if restricted && rng.IntN(3) == 0 {
				for range 1 + rng.IntN(3) {
					s.NoExport = append(s.NoExport, topology.AS(rng.IntN(t.Len())))
				}
				slices.Sort(s.NoExport)
			}
			if restricted && rng.IntN(4) == 0 {
				s.Scope = &topology.Metros{}
				for m := range t.Cities {
					if rng.IntN(2) == 0 {
						s.Scope.Add(topology.Metro(m))
					}
				}
			}
			all = append(all, s)
		}
	}
	return all
}

func randomCuts(rng *rand.Rand, t *topology.Topology) []Cut {
	var cuts []Cut
	for range rng.IntN(3) {
		a := topology.AS(rng.IntN(t.Len()))
		for _, links := range []*topology.Links{&t.Providers, &t.Peers} {
			if of := links.Of(a); len(of) > 0 {
				cuts = append(cuts, Cut{a, of[rng.IntN(len(of))]})
			}
		}
	}
	return cuts
}

func randomModel(rng *rand.Rand) Model {
	m := DefaultModel(rng.Uint64())
	m.Stray, m.Anomaly = 0.3, 0.2 // far more than there is, to meet them in small graphs
	return m
}

// everywhere calls f for every AS in each of its metros.
func everywhere(t *topology.Topology, f func(a topology.AS, m topology.Metro)) {
	for a := range t.Len() {
		for m := range t.Footprint[a].All() {
			f(topology.AS(a), m)
		}
	}
}

// TestReference holds routes and landings on 1,000 random graphs with random
// policies to those of the slow reference.
func TestReference(t *testing.T) {
	kinds := map[Why]int{}
	for seed := range uint64(1000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		topo := randomTopology(t, rng)
		model := randomModel(rng)
		sessions, cuts := randomSessions(rng, topo, true), randomCuts(rng, topo)
		ref := newReference(rng, topo, model, sessions, cuts)
		c := NewNetwork(topo, model).Announce(sessions, cuts...)
		for a := range topo.Len() {
			class, length, _, neighbors := ref.best(topology.AS(a))
			if c, l := c.Route(topology.AS(a)); c != class || l != length {
				t.Fatalf("seed %d: AS%d has a %v route of length %d, want %v of %d", seed, topo.ASNs[a], c, l, class, length)
			}
			got := slices.Collect(c.c.sources(topology.AS(a)))
			slices.Sort(neighbors)
			if !slices.Equal(got, neighbors) {
				t.Fatalf("seed %d: AS%d has it from %v, want %v", seed, topo.ASNs[a], got, neighbors)
			}
		}
		everywhere(topo, func(a topology.AS, m topology.Metro) {
			want := ref.land(a, m)
			if got := c.Land(a, m); int(got.Session) != want {
				t.Fatalf("seed %d: AS%d in %d lands on session %d, want %d", seed, topo.ASNs[a], m, got.Session, want)
			}
			hops := c.Walk(a, m)
			var rtt float64
			for _, h := range hops {
				rtt += h.RTT
				kinds[h.Why]++
			}
			last := hops[len(hops)-1]
			if last.Session != want {
				t.Fatalf("seed %d: AS%d in %d walks to session %d, want %d", seed, topo.ASNs[a], m, last.Session, want)
			}
			if got := float64(c.Land(a, m).RTT); got < rtt*0.999 || got > rtt*1.001 {
				t.Fatalf("seed %d: AS%d in %d is %v ms away, its hops %v", seed, topo.ASNs[a], m, got, rtt)
			}
		})
	}
	for why := NoRouteAtAll; why <= NoCommonMetro; why++ {
		if kinds[why] < 100 {
			t.Errorf("%q came up %d times only", why, kinds[why])
		}
	}
}

// TestChange holds what is taken over from an earlier computation to a new one.
func TestChange(t *testing.T) {
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 2))
		topo := randomTopology(t, rng)
		n := NewNetwork(topo, randomModel(rng))
		sessions, cuts := randomSessions(rng, topo, true), randomCuts(rng, topo)
		before := n.Announce(sessions, cuts...)
		before.Landings()
		was := before.Landings()
		everywhere(topo, func(a topology.AS, m topology.Metro) { before.Land(a, m) })

		changed := slices.Clone(sessions)
		for range 1 + rng.IntN(3) {
			switch i := rng.IntN(max(1, len(changed))); rng.IntN(6) {
			case 0:
				changed = append(changed, randomSessions(rng, topo, true)...)
			case 1:
				cuts = randomCuts(rng, topo)
			case 2:
				if len(changed) > 0 {
					changed = slices.Delete(changed, i, i+1)
				}
			case 3:
				if len(changed) > 0 {
					changed[i].Prepend = rng.IntN(4)
				}
			case 4:
				if len(changed) > 0 {
					changed[i].Class = Class(1 + rng.IntN(3))
				}
			case 5:
				rng.Shuffle(len(changed), func(i, j int) { changed[i], changed[j] = changed[j], changed[i] })
			}
		}
		after, fresh := before.Change(changed, cuts...), n.Announce(changed, cuts...)
		everywhere(topo, func(a topology.AS, m topology.Metro) {
			if got, want := after.Land(a, m), fresh.Land(a, m); got != want {
				t.Fatalf("seed %d: AS%d in %d lands on %v, want %v", seed, topo.ASNs[a], m, got, want)
			}
		})
		if !slices.Equal(after.Landings(), fresh.Landings()) {
			t.Fatalf("seed %d: groups land elsewhere", seed)
		}
		if !slices.Equal(before.Landings(), was) {
			t.Fatalf("seed %d: the catchment before the change has changed", seed)
		}
	}
}
