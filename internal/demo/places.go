package demo

import (
	"iter"
	"net/netip"

	"catchment/internal/edge"
)

// All yields the prefixes of the world's clients and resolvers, each with the
// place that a geolocation database gives it, errors included: the table of
// places that a name server steers by.
func (w *World) All() iter.Seq2[netip.Prefix, edge.Place] {
	return func(yield func(netip.Prefix, edge.Place) bool) {
		told := map[netip.Prefix]bool{}
		for group := range w.Topology.Groups {
			for i := range w.People.Lines(group) {
				line := w.People.Line(group, i)
				place := w.People.Client(group, line.Block)
				if !yield(line.V4, place) || line.V6.IsValid() && !yield(line.V6, place) {
					return
				}
			}
			for _, a := range w.People.Askers(group) {
				if r := a.Resolver.Addr; !a.ECS && !told[r] {
					told[r] = true
					if !yield(r, a.Located) {
						return
					}
				}
			}
		}
	}
}

// Prefix returns the client prefix of the visitor.
func (v *Visitor) Prefix() netip.Prefix { return v.w.People.Line(v.group, 0).V4 }
