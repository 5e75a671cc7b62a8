package views

import (
	"testing"

	"catchment/internal/edge"
	"catchment/internal/sim"
	"catchment/internal/sim/generate"
	"catchment/internal/sim/people"
	"catchment/internal/sim/topology"
)

// The population and the outcome fit where the simulator and this package take
// them.
var (
	_ sim.People = (*people.Population)(nil)
	_ Outcome    = (*sim.Outcome)(nil)
)

// TestGenerated: in a generated Internet the views reach PoPs in the shares of
// users that the simulator computes, under every scheme.
func TestGenerated(t *testing.T) {
	in, err := generate.Generate(generate.Params{ASes: 600, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	topo, err := topology.Build(in)
	if err != nil {
		t.Fatal(err)
	}
	w := newHandWorld(t, people.DefaultModel(1))
	for i := range w.fleet.Regions { // the whole world
		if w.fleet.Regions[i].ID == "world" {
			w.fleet.Regions[i].Continents = []string{"EU", "AS", "AF", "OC", "AN"}
		}
	}
	p := people.New(topo, people.DefaultModel(1))
	o := sim.DefaultOptions(1)
	o.People = p
	world, err := sim.New(w.fleet, topo, o)
	if err != nil {
		t.Fatal(err)
	}
	outcome, err := world.Evaluate()
	if err != nil {
		t.Fatal(err)
	}
	m := plain(DefaultModel(1))
	m.Views, m.Active = 20_000, 1
	g, err := New(w.fleet, p, outcome, m)
	if err != nil {
		t.Fatal(err)
	}

	type pair struct {
		target edge.Target
		pop    edge.PoPID // empty: none
	}
	want, got := map[pair]float64{}, map[pair]float64{}
	users := topo.Users()
	for i := range topo.Groups {
		for _, s := range edge.Schemes {
			for _, x := range outcome.Assigned(nil, i, s) {
				to := pair{target: edge.Target(s)}
				if x.PoP >= 0 {
					to.pop = w.fleet.PoPs[x.PoP].ID
				}
				want[to] += x.Share * float64(topo.Groups[i].Users) / users
			}
		}
	}
	each(g, func(_ int, b *edge.Beacon) {
		for _, probe := range b.Probes {
			if _, direct := probe.Target.PoP(); !direct {
				got[pair{probe.Target, probe.PoP}] += 1 / float64(m.Views)
			}
		}
	})
	for _, s := range edge.Schemes {
		for _, id := range []edge.PoPID{"", "iad", "lax", "gru", "fra"} {
			at := pair{edge.Target(s), id}
			near(t, string(s)+" "+string(id), got[at], want[at], m.Views)
		}
	}
}
