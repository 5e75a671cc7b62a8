package topology_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/sim/topology"
)

func TestStats(t *testing.T) {
	got := small(t).Stats()
	want := topology.Stats{
		ASes: 5, Stubs: 2, Links: 6, Transit: 4, Peering: 2,
		Clique: []topology.Cone{{64497, "", 4}, {64496, "Example Transit", 2}},
		Cones:  topology.Distribution{P50: 2, P90: 4, P99: 4, Max: 4},
		Largest: []topology.Cone{
			{64497, "", 4}, {64496, "Example Transit", 2}, {64501, "Beispiel GmbH & Co. Zürich", 2}, {64500, "", 1}, {4294967295, "", 1},
		},
		Users: 1009.5, Groups: 3, WithUsers: 2, Metros: 2, Inhabited: 2,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// TestClique has an AS with the largest cone that peers with one tier-1 only,
// and one without customers that peers with all.
func TestClique(t *testing.T) {
	f := func(want []uint32, links ...topology.Link) {
		t.Helper()
		topo, err := topology.Build(topology.Input{Cities: []topology.City{{Name: "Example"}}, Links: links})
		if err != nil {
			t.Fatal(err)
		}
		var got []uint32
		for _, c := range topo.Stats().Clique {
			got = append(got, c.ASN)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
	}
	peer := func(a, b uint32) topology.Link { return topology.Link{A: a, B: b, Rel: topology.Peering} }
	pays := func(a, b uint32) topology.Link { return topology.Link{A: b, B: a, Rel: topology.Transit} }
	f([]uint32{2, 3, 4},
		pays(11, 1), pays(12, 1), pays(13, 1), pays(14, 1), peer(1, 2), // the largest
		pays(11, 2), pays(12, 2), pays(11, 3), pays(11, 4),
		peer(2, 3), peer(3, 4), peer(2, 4),
		peer(5, 2), peer(5, 3), peer(5, 4), // a stub
		pays(6, 2), pays(11, 6), peer(6, 3), peer(6, 4), // a customer
	)
	f([]uint32{1}, pays(2, 1))
	f(nil, peer(1, 2))
	f(nil, pays(1, 2), pays(2, 3), pays(3, 1)) // a cycle: each has a provider
}

func TestConesInCycles(t *testing.T) {
	topo, err := topology.Build(topology.Input{Cities: []topology.City{{Name: "Example"}}, Links: []topology.Link{
		{A: 1, B: 2}, {A: 2, B: 3}, {A: 3, B: 1}, {A: 3, B: 4},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []topology.Cone{{1, "", 4}, {2, "", 4}, {3, "", 4}, {4, "", 1}}
	if d := cmp.Diff(want, topo.Stats().Largest); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func BenchmarkStats(b *testing.B) {
	topo := generated(b, 80_000)
	for b.Loop() {
		topo.Stats()
	}
}
