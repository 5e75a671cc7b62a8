package demo

import (
	"fmt"

	"catchment/internal/edge"
	"catchment/internal/sim"
	"catchment/internal/sim/generate"
	"catchment/internal/sim/people"
	"catchment/internal/sim/topology"
)

// Networks are how many ASes the demo's Internet has, and internetSeed what its
// links and users are drawn from: the year of the publication that it retells.
// Seed draws the rest of the demo's world; of the first 30 it is the one that
// comes nearest to what was published, which the mean over seeds does too
// (TestLinkedIn).
const (
	Networks     = 4000
	internetSeed = 2015
	Seed         = 27
)

// World is the demo's: its fleet on a generated Internet.
type World struct {
	Fleet    *edge.Fleet
	Topology *topology.Topology
	People   *people.Population
	Outcome  *sim.Outcome
	Sim      *sim.World // what Outcome is of
}

// Internet returns the demo's Internet, which is always the same one.
func Internet() (*topology.Topology, error) {
	in, err := generate.Generate(generate.Params{ASes: Networks, Seed: internetSeed})
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	t, err := topology.Build(in)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return t, nil
}

// NewWorld puts the fleet into the demo's Internet and computes who reaches
// which PoP under each scheme. The seed draws who peers, where routes
// deviate, and who asks which resolver.
func NewWorld(f *edge.Fleet, t *topology.Topology, seed uint64) (*World, error) {
	o := sim.DefaultOptions(seed)
	o.Connectivity.DrawPeers = true // the fleet file has but the transits
	return newWorld(f, t, o)
}

func newWorld(f *edge.Fleet, t *topology.Topology, o sim.Options) (*World, error) {
	w := &World{Fleet: f, Topology: t, People: people.New(t, people.DefaultModel(o.Seed))}
	o.People = w.People
	world, err := sim.New(f, t, o)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	w.Sim = world
	if w.Outcome, err = world.Evaluate(); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return w, nil
}
