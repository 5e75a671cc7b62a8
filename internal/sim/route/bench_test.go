package route_test

import (
	"cmp"
	"slices"
	"sync"
	"testing"

	"catchment/internal/sim/generate"
	"catchment/internal/sim/route"
	"catchment/internal/sim/topology"
)

// internet is a generated Internet of today's size, made once.
var internet = sync.OnceValues(func() (*topology.Topology, error) {
	in, err := generate.Generate(generate.Params{ASes: 80_000, Seed: 1})
	if err != nil {
		return nil, err
	}
	return topology.Build(in)
})

// sessions are those of 20 PoPs in large metros far apart, 30 each: 4 transits,
// the largest networks there, and 26 peers.
func sessions(t *topology.Topology, n *route.Network) []route.Session {
	size := make([]int, len(t.Cities))
	for a := range t.Len() {
		for m := range t.Footprint[a].All() {
			size[m] += len(t.Customers.Of(topology.AS(a))) + 1
		}
	}
	metros := make([]topology.Metro, len(t.Cities))
	for i := range metros {
		metros[i] = topology.Metro(i)
	}
	slices.SortStableFunc(metros, func(a, b topology.Metro) int { return cmp.Compare(size[b], size[a]) })
	var pops []topology.Metro
	for _, m := range metros {
		near := slices.ContainsFunc(pops, func(p topology.Metro) bool { return n.Km(p, m) < 1000 })
		if !near && len(pops) < 20 {
			pops = append(pops, m)
		}
	}
	var all []route.Session
	for pop, m := range pops {
		var there []topology.AS
		for a := range t.Len() {
			if t.Footprint[a].Has(m) {
				there = append(there, topology.AS(a))
			}
		}
		slices.SortStableFunc(there, func(a, b topology.AS) int {
			return cmp.Compare(len(t.Customers.Of(b)), len(t.Customers.Of(a)))
		})
		for i, a := range there[:min(30, len(there))] {
			s := route.Session{PoP: pop, Metro: m, Neighbor: a, Class: route.FromPeer}
			if i < 4 {
				s.Class = route.FromCustomer
			}
			all = append(all, s)
		}
	}
	return all
}

func world(b *testing.B) (*route.Network, []route.Session) {
	t, err := internet()
	if err != nil {
		b.Fatal(err)
	}
	n := route.NewNetwork(t, route.DefaultModel(1))
	s := sessions(t, n)
	b.Logf("%d ASes, %d links, %d groups, %d sessions", t.Len(), len(t.Customers.To)+len(t.Peers.To)/2, len(t.Groups), len(s))
	b.ReportAllocs()
	b.ResetTimer()
	return n, s
}

// BenchmarkPropagate computes the routes of every AS of the Internet.
func BenchmarkPropagate(b *testing.B) {
	n, s := world(b)
	for range b.N {
		n.Announce(s)
	}
}

// BenchmarkLandings computes routes and where everybody lands.
func BenchmarkLandings(b *testing.B) {
	n, s := world(b)
	for range b.N {
		n.Announce(s).Landings()
	}
}

// BenchmarkDrain withdraws each PoP in turn and finds where everybody lands.
func BenchmarkDrain(b *testing.B) {
	n, s := world(b)
	base := n.Announce(s)
	base.Landings()
	b.ResetTimer()
	for i := range b.N {
		rest := slices.DeleteFunc(slices.Clone(s), func(s route.Session) bool { return s.PoP == i%20 })
		base.Change(rest).Landings()
	}
}
