package main

import (
	"net/netip"
	"slices"
	"time"

	"catchment/internal/authdns"
	"catchment/internal/beacon"
	"catchment/internal/edge"
	"catchment/internal/steer"
	"catchment/internal/targets"
)

// probeTTL is the TTL of probe names. A nonce is asked for once: resolvers
// need not remember it.
const probeTTL = 30 * time.Second

// steering makes a name server answer by a plan: the names of services, and
// those under which schemes and PoPs are probed.
type steering struct {
	names    []authdns.Tailored
	services []*steer.Service // parallel to names; nil for a PoP's own name, which has one answer
	costs    []*steer.Service // of the fleet's own services
}

// newSteering compiles a snapshot. A scheme is probed as clients would reach
// it: drained and down PoPs leave the probe names of schemes as they leave
// services, and no ramp or pin of one service moves them. A PoP's own probe
// name always has the PoP's own addresses.
func newSteering(s *edge.Snapshot, places steer.Places) (*steering, error) {
	if s.Fleet == nil {
		_, err := steer.Compile(s, places) // says what is missing
		return nil, err
	}
	probed, fleet := *s, *s.Fleet
	probed.Fleet = &fleet
	fleet.Services = slices.Clone(fleet.Services)
	if fleet.Probe != "" {
		for _, scheme := range targets.Schemes(&fleet) {
			fleet.Services = append(fleet.Services, edge.Service{Name: probeName(edge.Target(scheme), &fleet), Scheme: scheme, TTL: probeTTL})
		}
	}
	plan, err := steer.Compile(&probed, places)
	if err != nil {
		return nil, err
	}
	t := &steering{services: plan.Services()}
	t.costs = t.services[:len(s.Fleet.Services)]
	for _, service := range t.services {
		t.names = append(t.names, authdns.Tailored{Name: service.Name(), TTL: service.TTL().Truncate(time.Second), Answers: answersOf(service)})
	}
	if fleet.Probe == "" {
		return t, nil
	}
	for i := range fleet.PoPs {
		p := &fleet.PoPs[i]
		if len(p.Unicast) == 0 {
			continue
		}
		a := steer.Answer{PoP: p.ID}
		for _, addr := range p.Unicast {
			if addr.Is4() {
				a.A = append(a.A, addr)
			} else {
				a.AAAA = append(a.AAAA, addr)
			}
		}
		t.services = append(t.services, nil)
		t.names = append(t.names, authdns.Tailored{
			Name: probeName(edge.TargetOf(p.ID), &fleet), TTL: probeTTL,
			Answers: []authdns.Answer{{Label: string(p.ID), A: a.A, AAAA: a.AAAA}},
		})
	}
	return t, nil
}

// probeName returns the name that stands for all nonces of a target.
func probeName(t edge.Target, f *edge.Fleet) string {
	return beacon.Label(t) + "-*." + f.Probe
}

func answersOf(s *steer.Service) (all []authdns.Answer) {
	for _, a := range s.Answers() {
		label := string(a.PoP)
		if label == "" {
			label = "vip:" + string(a.VIP)
		}
		all = append(all, authdns.Answer{Label: label, A: a.A, AAAA: a.AAAA})
	}
	return all
}

// Names implements authdns.Steering.
func (t *steering) Names() []authdns.Tailored { return t.names }

// Lookup implements authdns.Steering.
func (t *steering) Lookup(name int, resolver, client netip.Addr) (answer uint32, scope uint8) {
	if s := t.services[name]; s != nil {
		return s.LookupVia(resolver, client)
	}
	return 0, 0
}

// Explain implements authdns.Steering.
func (t *steering) Explain(name int, resolver, client netip.Addr) string {
	s := t.services[name]
	if s == nil {
		return "always this PoP's own address"
	}
	return s.Explain(client, resolver).Line()
}
