// Package sim plans anycast on a simulated Internet: a [World] is a fleet put
// into a topology. [World.Evaluate] tells which PoP every group of users
// reaches under each scheme, and at what cost; [World.WhatIf] what an edit of
// the announcements would move, and which networks are responsible;
// [World.Explain] why one network goes where it goes.
//
// Everything random has a name (package noise): the same fleet, topology and
// seed give the same bytes, and a PoP that is added changes nothing about the
// others. The package is pure: no clock, no log, no I/O.
package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"catchment/internal/edge"
	"catchment/internal/sim/route"
	"catchment/internal/sim/topology"
)

// World is a fleet in a topology. It is immutable and may be shared.
type World struct {
	Fleet    *edge.Fleet
	Topology *topology.Topology
	Network  *route.Network
	People   People

	// Metros are where the PoPs stand: the nearest metro to each.
	Metros []topology.Metro

	// Warnings say what of the fleet file had to be left out, or is odd, each
	// with its path in the file.
	Warnings []string

	options Options
	steer   Policy
	links   []link // by PoP, then by AS
}

// Options are what a World takes beside fleet and topology.
type Options struct {
	Seed         uint64
	Route        route.Model
	Connectivity Connectivity
	People       People                   // nil: geolocation is always right and everyone asks from home
	Steer        func(*edge.Fleet) Policy // nil: NearestPoP
}

// DefaultOptions returns the documented parameters for routes and connectivity;
// People is left to the caller.
func DefaultOptions(seed uint64) Options {
	return Options{Seed: seed, Route: route.DefaultModel(seed), Connectivity: DefaultConnectivity()}
}

// People says who asks DNS on behalf of a group of users, and where
// geolocation puts the address that DNS steers by.
type People interface {
	// Located appends the askers of a group to buf[:0], always in the same
	// order. Shares add up to 1. It is safe for concurrent use.
	Located(buf []Located, group int) []Located
}

// Located is a part of a group's users whom DNS treats alike.
type Located struct {
	Share float64
	At    edge.Place // of the resolver, or of the client where the query tells
}

// atHome finds everyone where they are.
type atHome struct{ t *topology.Topology }

func (h atHome) Located(buf []Located, group int) []Located {
	return append(buf[:0], Located{1, h.t.Cities[h.t.Groups[group].Metro].Place})
}

// farFromMetro is where a PoP's metro hardly stands for it any more, km.
const farFromMetro = 500

// New puts a fleet into a topology. A PoP has the BGP neighbors of the fleet
// file, or drawn ones where the file gives none. A neighbor that the topology
// does not have is left out with a warning; a PoP of whose neighbors none is
// there is an error.
func New(fleet *edge.Fleet, t *topology.Topology, o Options) (*World, error) {
	if err := o.Connectivity.check(); err != nil {
		return nil, err
	}
	return newWorld(fleet, route.NewNetwork(t, o.Route), o, nil)
}

// newWorld is New with what does not depend on the fleet. PoPs listed in given
// buy transit from those ASes instead of drawn ones.
func newWorld(fleet *edge.Fleet, n *route.Network, o Options, given map[edge.PoPID][]topology.AS) (*World, error) {
	w := &World{Fleet: fleet, Topology: n.Topology(), Network: n, People: o.People, options: o, steer: NearestPoP(fleet)}
	if o.Steer != nil {
		w.steer = o.Steer(fleet)
	}
	t := w.Topology
	if w.People == nil {
		w.People = atHome{t}
	}
	var errs []error
	draw := newDraw(t, o.Seed, o.Connectivity)
	for i := range fleet.PoPs {
		p := &fleet.PoPs[i]
		m, km := nearestMetro(t, p.Place)
		if km > farFromMetro {
			w.warn("pops[%d].place: %s is %.0f km from %s, the nearest metro of the topology", i, p.ID, km, t.Cities[m].Name)
		}
		w.Metros = append(w.Metros, m)
		var links []link
		if p.BGP != nil && !o.Connectivity.DrawAll {
			var err error
			if links, err = w.configured(i); err != nil {
				errs = append(errs, err)
			}
			if o.Connectivity.DrawPeers && !slices.ContainsFunc(links, func(l link) bool { return l.relation == edge.Peer }) {
				draw.drawn = append(draw.drawn, i)
				for _, l := range links {
					if l.relation == edge.Transit {
						draw.transit[l.neighbor] = true
					}
				}
			}
		} else {
			links = draw.transits(i, m, groupOf(fleet, p, o.Connectivity.Transit), given[p.ID])
		}
		w.links = append(w.links, links...)
	}
	w.links = append(w.links, draw.peers(w)...)
	sortLinks(w.links)
	return w, errors.Join(errs...)
}

func (w *World) warn(format string, args ...any) {
	w.Warnings = append(w.Warnings, fmt.Sprintf(format, args...))
}

// nearestMetro returns the metro nearest to a place, the first on a tie, and
// its distance in km.
func nearestMetro(t *topology.Topology, at edge.Place) (topology.Metro, float64) {
	best, least := 0, edge.DistanceKm(at, t.Cities[0].Place)
	for i := 1; i < len(t.Cities); i++ {
		if km := edge.DistanceKm(at, t.Cities[i].Place); km < least {
			best, least = i, km
		}
	}
	return topology.Metro(best), least
}

// PoP returns the index of the PoP named id, or -1.
func (w *World) PoP(id edge.PoPID) int {
	return slices.IndexFunc(w.Fleet.PoPs, func(p edge.PoP) bool { return p.ID == id })
}

// Announcers returns the indexes of the PoPs that announce a VIP, ascending:
// those of its region, or all where it is no region's. The error says that
// there is no such VIP.
func (w *World) Announcers(vip edge.VIPID) ([]int, error) {
	if !slices.ContainsFunc(w.Fleet.VIPs, func(v edge.VIP) bool { return v.ID == vip }) {
		var ids []string
		for _, v := range w.Fleet.VIPs {
			ids = append(ids, string(v.ID))
		}
		return nil, fmt.Errorf("sim: there is no VIP %s (want one of %s)", vip, strings.Join(ids, ", "))
	}
	var pops []int
	region := slices.IndexFunc(w.Fleet.Regions, func(r edge.Region) bool { return r.VIP == vip })
	for i := range w.Fleet.PoPs {
		if region < 0 || slices.Contains(w.Fleet.Regions[region].PoPs, w.Fleet.PoPs[i].ID) {
			pops = append(pops, i)
		}
	}
	return pops, nil
}

func (w *World) asn(a topology.AS) string { return fmt.Sprintf("AS%d", w.Topology.ASNs[a]) }

// popName names a PoP by index; -1 is no PoP.
func (w *World) popName(i int) string {
	if i < 0 {
		return "no PoP"
	}
	return string(w.Fleet.PoPs[i].ID)
}
