package main

import (
	"testing"

	"catchment/internal/demo"
	"catchment/internal/edge"
	"catchment/internal/fleet"
	"catchment/internal/sim"
)

// TestDemoSteersAsSimulated: the name server gives every user of the demo's
// world the PoP that the simulation has them reach by geo-DNS.
func TestDemoSteersAsSimulated(t *testing.T) {
	fl, err := fleet.Parse("demo", demo.FleetFile())
	if err != nil {
		t.Fatal(err)
	}
	internet, err := demo.Internet()
	if err != nil {
		t.Fatal(err)
	}
	world, err := demo.NewWorld(fl, internet, demo.Seed)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSteering(&edge.Snapshot{Version: 1, Fleet: fl}, world)
	if err != nil {
		t.Fatal(err)
	}
	policy := sim.NearestPoP(fl)
	asked, other := 0.0, 0.0
	for group := range world.Topology.Groups {
		users := float64(world.Topology.Groups[group].Users)
		for _, a := range world.People.Askers(group) {
			addr := a.Resolver.Addr.Addr()
			if a.ECS {
				for i := range world.People.Lines(group) {
					if line := world.People.Line(group, i); a.Blocks>>line.Block&1 == 1 {
						addr = line.V4.Addr()
						break
					}
				}
			}
			answer, _ := s.Lookup(0, addr, addr)
			simulated := fl.PoPs[policy(edge.Unicast, a.Located).PoP].ID
			asked += users * a.Share
			if s.names[0].Answers[answer].Label != string(simulated) {
				other += users * a.Share
			}
		}
	}
	if asked == 0 || other/asked > 0.001 {
		t.Errorf("%.2f %% of users are sent elsewhere than the simulation has it", 100*other/asked)
	}
}
