package route

import (
	"math/rand/v2"
	"slices"
	"testing"

	"catchment/internal/sim/topology"
)

// popOf returns the PoP where traffic lands, −1 for nowhere.
func popOf(sessions []Session, l Landing) int {
	if l.Session < 0 {
		return -1
	}
	return sessions[l.Session].PoP
}

// TestValleyFree follows every path: once it has left customer routes it goes
// up no more, and at most one link is between peers.
func TestValleyFree(t *testing.T) {
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 3))
		topo := randomTopology(t, rng)
		sessions := randomSessions(rng, topo, true)
		c := NewNetwork(topo, DefaultModel(seed)).Announce(sessions)
		everywhere(topo, func(a topology.AS, m topology.Metro) {
			// Traffic climbs to providers, crosses once, and descends.
			const climbing, descending = 0, 1
			state := climbing
			hops := c.Walk(a, m)
			for i, h := range hops {
				kind := FromCustomer // the kind of route used to leave the AS
				switch {
				case h.Session >= 0:
					kind = sessions[h.Session].Class
				case h.Next == topology.None:
					continue
				case has(topo.Providers.Of(h.AS), h.Next):
					kind = FromProvider
				case has(topo.Peers.Of(h.AS), h.Next):
					kind = FromPeer
				}
				if state == descending && kind != FromCustomer {
					t.Fatalf("seed %d: AS%d at hop %d of %v goes up again by a %v route", seed, topo.ASNs[h.AS], i, hops, kind)
				}
				if kind != FromProvider {
					state = descending
				}
				if i > 0 && h.Length >= hops[i-1].Length && hops[i-1].Why != Anomalous {
					t.Fatalf("seed %d: the route gets no shorter along %v", seed, hops)
				}
			}
		})
	}
}

func has(list []topology.AS, a topology.AS) bool {
	_, found := slices.BinarySearch(list, a)
	return found
}

// TestStayPut withdraws a PoP, then prepends at it: nobody who was not there
// moves in either case, with one exception that is real: an AS that loses its
// route from a customer may be left with a shorter one from a peer or provider,
// and then attracts its own customers.
func TestStayPut(t *testing.T) {
	moved := 0
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 4))
		topo := randomTopology(t, rng)
		n := NewNetwork(topo, randomModel(rng))
		sessions := randomSessions(rng, topo, false)
		before := n.Announce(sessions)
		gone := sessions[rng.IntN(len(sessions))].PoP
		without := slices.DeleteFunc(slices.Clone(sessions), func(s Session) bool { return s.PoP == gone })
		longer := slices.Clone(sessions)
		for i := range longer {
			if longer[i].PoP == gone {
				longer[i].Prepend += 2
			}
		}
		for what, changed := range map[string][]Session{"withdrawn": without, "prepended": longer} {
			after := before.Change(changed)
			everywhere(topo, func(a topology.AS, m topology.Metro) {
				was, is := popOf(sessions, before.Land(a, m)), popOf(changed, after.Land(a, m))
				if was != is && was != gone && !attracted(before, after, after.Walk(a, m)) {
					t.Fatalf("seed %d: PoP %d %s moves AS%d in %d from %d to %d", seed, gone, what, topo.ASNs[a], m, was, is)
				}
				if was != is {
					moved++
				}
			})
		}
	}
	if moved < 1000 {
		t.Errorf("only %d moved at all", moved)
	}
}

// attracted reports whether on a path under one announcement there is an AS
// whose route is of a lower class and shorter than under the other.
func attracted(other, c *Catchment, path []Hop) bool {
	return slices.ContainsFunc(path, func(h Hop) bool {
		class, length := other.Route(h.AS)
		own, ownLength := c.Route(h.AS)
		return own < class && ownLength < length
	})
}

// TestNewPoP adds a PoP: whoever does not go there stays where they were, noise
// and ties included, with the same exception the other way round.
func TestNewPoP(t *testing.T) {
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 5))
		topo := randomTopology(t, rng)
		n := NewNetwork(topo, randomModel(rng))
		sessions := randomSessions(rng, topo, false)
		added := append(slices.Clone(sessions), Session{
			PoP: 99, Metro: topology.Metro(rng.IntN(len(topo.Cities))),
			Neighbor: topology.AS(rng.IntN(topo.Len())), Class: FromCustomer,
		})
		before, after := n.Announce(sessions), n.Announce(added)
		everywhere(topo, func(a topology.AS, m topology.Metro) {
			was, is := popOf(sessions, before.Land(a, m)), popOf(added, after.Land(a, m))
			if is != was && is != 99 && !attracted(after, before, before.Walk(a, m)) {
				t.Fatalf("seed %d: a new PoP moves AS%d in %d from %d to %d", seed, topo.ASNs[a], m, was, is)
			}
		})
	}
}

// TestOrder asks in another order for sessions listed in another order.
func TestOrder(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 6))
		topo := randomTopology(t, rng)
		n := NewNetwork(topo, randomModel(rng))
		sessions := randomSessions(rng, topo, true)
		shuffled := slices.Clone(sessions)
		rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		x, y := n.Announce(sessions), n.Announce(shuffled)
		type place struct {
			a topology.AS
			m topology.Metro
		}
		var places []place
		everywhere(topo, func(a topology.AS, m topology.Metro) { places = append(places, place{a, m}) })
		for _, i := range rng.Perm(len(places)) {
			y.Land(places[i].a, places[i].m)
		}
		for _, p := range places {
			lx, ly := x.Land(p.a, p.m), y.Land(p.a, p.m)
			if popOf(sessions, lx) != popOf(shuffled, ly) || lx.RTT != ly.RTT {
				t.Fatalf("seed %d: AS%d in %d lands at %v, and at %v in another order", seed, topo.ASNs[p.a], p.m, lx, ly)
			}
		}
	}
}
