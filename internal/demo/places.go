package demo

import (
	"iter"
	"net/netip"
	"slices"

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

// Places is the table of All, to look addresses up in. It is immutable.
type Places struct {
	world *World
	of    map[netip.Prefix]*edge.Place
	bits  []int // lengths of prefixes, the longest first
}

// NewPlaces returns the table of a world.
func NewPlaces(w *World) *Places {
	p := &Places{world: w, of: map[netip.Prefix]*edge.Place{}}
	same := map[edge.Place]*edge.Place{} // hundreds of thousands of prefixes share some thousand places
	for prefix, place := range w.All() {
		kept := same[place]
		if kept == nil {
			kept = &place
			same[place] = kept
		}
		p.of[prefix] = kept
		if !slices.Contains(p.bits, prefix.Bits()) {
			p.bits = append(p.bits, prefix.Bits())
		}
	}
	slices.Sort(p.bits)
	slices.Reverse(p.bits)
	return p
}

// All implements what steering takes.
func (p *Places) All() iter.Seq2[netip.Prefix, edge.Place] { return p.world.All() }

// Version never changes.
func (p *Places) Version() string { return "demo" }

// Lookup returns where an address is; the zero place if nobody has it.
func (p *Places) Lookup(a netip.Addr) edge.Place {
	for _, bits := range p.bits {
		if bits > a.BitLen() {
			continue
		}
		if prefix, err := a.Prefix(bits); err == nil {
			if place := p.of[prefix]; place != nil {
				return *place
			}
		}
	}
	return edge.Place{}
}

// Prefix returns the client prefix of the visitor.
func (v *Visitor) Prefix() netip.Prefix { return v.w.People.Line(v.group, 0).V4 }
