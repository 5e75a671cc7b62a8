// Package observe makes the evidence that ramps are judged by out of page
// loads: who was in which arm, what they got, and whether that was the best
// they could get. docs/ramps.md, section 10, has the definitions.
//
// A client's arm is by its bucket, the one that steering uses, of the address
// that DNS steered by: what the resolver sent of the client (ECS), else the
// resolver. Where neither is known the page load is in no arm; nothing is
// guessed. The package is pure: no clock, no log, no I/O.
package observe

import (
	"net/netip"
	"slices"
	"time"

	"catchment/internal/edge"
	"catchment/internal/ramp"
	"catchment/internal/steer"
)

// Places says where an address is, as name servers see it.
type Places interface {
	Lookup(a netip.Addr) edge.Place
}

// Limits of one stretch of evidence.
const (
	maxRows  = 2 << 20 // of all geographies; some 300 MB
	maxKnown = 1 << 20 // addresses whose geography is remembered
)

// Observer gathers the evidence of one ramp, stretch after stretch. Not for
// concurrent use.
type Observer struct {
	plan   *ramp.Plan
	sight  *Sight
	places Places
	keep   edge.Granule // how long client prefixes are kept, at most
	parts  []part
	known  map[netip.Addr]int // by address: its geography, −1: none
	coming Coverage
	rows   int
}

// Coverage is how many page loads were seen, and why some are in no arm.
type Coverage struct {
	Loads    int `json:"loads"`
	Unjoined int `json:"unjoined,omitempty"` // nobody knows who asked DNS for it
	Cut      int `json:"cut,omitempty"`      // the address is kept shorter than the granule
	Dropped  int `json:"dropped,omitempty"`  // too many units at once

	// Resets of clients that were looked at, and those among them that are in no
	// arm: no page load tells by which address DNS steered them, or several
	// do, of different units.
	Resets   float64 `json:"resets,omitempty"`
	Unplaced float64 `json:"unplaced,omitempty"`

	// The same of requests that browsers told of.
	Requests float64 `json:"requests,omitempty"`
	Astray   float64 `json:"astray,omitempty"`
}

// part is a geography.
type part struct {
	geography *ramp.Geography
	draw      steer.Draw
	share     float64
	rows      []ramp.Row
	at        map[rowKey]int
	pops      map[edge.PoPID]*ramp.PoPViews

	minutes, requests float64 // the most that one observation stood for
}

type rowKey struct {
	unit    uint64
	network uint32
}

// New returns an Observer of a valid plan. Keep says how long client prefixes
// are kept in beacons: an ECS prefix cut to that and shorter than the granule
// is no longer the one that was hashed. Zero values stand for 24 and 48.
func New(p *ramp.Plan, places Places, keep edge.Granule) *Observer {
	o := &Observer{plan: p, places: places, keep: orDefault(keep), known: map[netip.Addr]int{}}
	for i := range p.Geographies {
		g := &p.Geographies[i]
		o.parts = append(o.parts, part{geography: g, draw: steer.DrawOf(p.SaltOf(g.ID), p.Granule)})
	}
	o.reset()
	return o
}

// orDefault fills in how long collectors keep prefixes unless told otherwise.
func orDefault(keep edge.Granule) edge.Granule {
	if keep.V4 == 0 {
		keep.V4 = 24
	}
	if keep.V6 == 0 {
		keep.V6 = 48
	}
	return keep
}

// Begin starts a stretch during which the treatment arms had the shares given,
// by geography, and what was reached is judged by sight.
func (o *Observer) Begin(sight *Sight, shares []float64) {
	if o.sight == nil || o.sight.fleet != sight.fleet || len(o.known) > maxKnown {
		clear(o.known)
	}
	o.sight = sight
	o.reset()
	for i := range o.parts {
		o.parts[i].share = shares[i]
	}
}

// Forget forgets where addresses are, since the table of places is another.
func (o *Observer) Forget() { clear(o.known) }

func (o *Observer) reset() {
	o.coming, o.rows = Coverage{}, 0
	for i := range o.parts {
		p := &o.parts[i]
		p.rows, p.at, p.pops = nil, map[rowKey]int{}, map[edge.PoPID]*ramp.PoPViews{}
		p.minutes, p.requests = 0, 0
	}
}

// Add takes up a page load. It keeps nothing of l.
func (o *Observer) Add(l *edge.PageLoad) {
	o.coming.Loads++
	steered, cut := steeredBy(l, o.keep)
	if !steered.IsValid() {
		o.coming.Unjoined++
		return
	}
	a := steered.Addr()
	n, ok := o.known[a]
	if !ok {
		n = o.find(a)
		if len(o.known) < maxKnown {
			o.known[a] = n
		}
	}
	if n < 0 {
		return
	}
	p := &o.parts[n]
	if cut && steered.Bits() < p.draw.Bits(a) {
		o.coming.Cut++
		return
	}
	o.add(p, l, a)
}

// steeredBy returns the prefix whose first address DNS steered by, and whether
// it may have been longer then.
func steeredBy(l *edge.PageLoad, keep edge.Granule) (p netip.Prefix, cut bool) {
	if p = l.Resolver.ECS; p.IsValid() && p.Bits() > 0 {
		least := keep.V4
		if p.Addr().Is6() {
			least = keep.V6
		}
		return p, p.Bits() >= least
	}
	return l.Resolver.Addr, true // collectors cut it
}

// find returns the geography of an address, the first in the plan's order, or
// −1: it is in none, or nobody serves it under the scheme that the ramp leads
// to, so that the ramp is not for it.
func (o *Observer) find(a netip.Addr) int {
	place := o.places.Lookup(a)
	if o.plan.To == edge.Regional {
		if _, ok := o.sight.fleet.RegionOf(place); !ok {
			return -1
		}
	}
	return slices.IndexFunc(o.parts, func(p part) bool { return steer.Selects(&p.geography.Where, &place) })
}

func (o *Observer) add(p *part, l *edge.PageLoad, a netip.Addr) {
	r := o.row(p, a, l.ASN)
	if r == nil {
		return
	}
	minutes := connected * max(1, l.Weight)
	r.Connected += minutes
	p.minutes = max(p.minutes, minutes)
	arm, scheme := ramp.Control, o.plan.From
	if r.Treated(p.share) {
		arm, scheme = ramp.Treatment, o.plan.To
	}
	pop := o.sight.count(r, l, scheme)
	if pop == "" || pop == edge.Failed {
		return
	}
	v := p.pops[pop]
	if v == nil {
		v = &ramp.PoPViews{PoP: pop}
		p.pops[pop] = v
	}
	if arm == ramp.Treatment {
		v.Treatment++
	} else {
		v.Control++
	}
}

// row returns the row of the unit that an address is in, nil if there are too
// many.
func (o *Observer) row(p *part, a netip.Addr, asn uint32) *ramp.Row {
	key := rowKey{unit: p.draw.Unit(a)}
	if slices.Contains(p.geography.Networks, asn) {
		key.network = asn
	}
	at, ok := p.at[key]
	if !ok {
		if o.rows >= maxRows {
			o.coming.Dropped++
			return nil
		}
		o.rows++
		at = len(p.rows)
		p.at[key] = at
		p.rows = append(p.rows, ramp.Row{Unit: key.unit, Network: key.network, Bucket: p.draw.Bucket(a)})
	}
	return &p.rows[at]
}

// connected is how many minutes of connection a page load stands for. Nobody
// measures connections by arm: page loads do, and what a visit's connections
// last is the same in both.
const connected = 1

// Reset is what happened to connections of one client prefix.
type Reset struct {
	Client netip.Prefix // a /24 or /48
	Count  float64      // of connections
}

// AddReset takes up a reset, after the page loads of the stretch. Clients
// without a page load in it count, too.
func (o *Observer) AddReset(x *Reset, clients *Clients) {
	if _, r := o.rowOf(x.Client, x.Count, &o.coming.Resets, &o.coming.Unplaced, clients); r != nil {
		r.Resets += x.Count
	}
}

// Requests are what browsers of one client prefix told of requests to one
// service.
type Requests struct {
	Client      netip.Prefix // a /24 or /48
	Service     string
	All, Failed float64
}

// AddRequests takes up requests, after the page loads of the stretch.
func (o *Observer) AddRequests(x *Requests, clients *Clients) {
	if x.Service != o.plan.Service {
		return
	}
	if p, r := o.rowOf(x.Client, x.All, &o.coming.Requests, &o.coming.Astray, clients); r != nil {
		r.Loads += x.All
		r.Broken += x.Failed
		p.requests = max(p.requests, x.All)
	}
}

// rowOf returns the row of a client prefix, and counts n things of its clients;
// nil where none is known, which is counted too, or where they are none of this
// ramp's, which is not.
func (o *Observer) rowOf(prefix netip.Prefix, n float64, seen, unplaced *float64, clients *Clients) (*part, *ramp.Row) {
	c, known := clients.find(prefix)
	if !known {
		if o.find(prefix.Addr()) >= 0 {
			*seen += n
			*unplaced += n
		}
		return nil, nil
	}
	first, others := o.armOf(c.steered[0]), c.many
	for _, steered := range c.steered[1:] {
		others = others || steered.IsValid() && o.armOf(steered) != first
	}
	if first.part < 0 && !others {
		return nil, nil
	}
	*seen += n
	if others || first.cut {
		*unplaced += n
		return nil, nil
	}
	p := &o.parts[first.part]
	return p, o.row(p, c.steered[0].Addr(), c.network)
}

// place is the unit that an address is in, and thereby its arm. Whose addresses
// are in several units is in none, also if these are in the same arm: else
// there would be more of them in the larger arm.
type place struct {
	part int    // −1: none of this ramp's
	cut  bool   // the address is kept too short to tell the unit
	unit uint64 // of the part
}

func (o *Observer) armOf(steered netip.Prefix) place {
	a := steered.Addr()
	n := o.find(a)
	if n < 0 {
		return place{part: -1}
	}
	p := &o.parts[n]
	if steered.Bits() < p.draw.Bits(a) {
		return place{part: n, cut: true}
	}
	return place{part: n, unit: p.draw.Unit(a)}
}

// Evidence returns what came between two times. A geography of which followed
// is false, since name servers do not answer by its share yet, is left out.
func (o *Observer) Evidence(from, until time.Time, followed func(geography string) bool, loads []edge.PoPLoad) (*ramp.Evidence, Coverage) {
	e := &ramp.Evidence{From: from, Until: until}
	for i := range o.parts {
		p := &o.parts[i]
		if !followed(p.geography.ID) {
			continue
		}
		g := ramp.GeographyViews{ID: p.geography.ID, Share: p.share, Rows: p.rows, Minutes: p.minutes, Requests: p.requests}
		for _, v := range p.pops {
			g.PoPs = append(g.PoPs, *v)
		}
		slices.SortFunc(g.PoPs, func(a, b ramp.PoPViews) int { return compare(string(a.PoP), string(b.PoP)) })
		slices.SortFunc(g.Rows, func(a, b ramp.Row) int {
			if a.Unit != b.Unit {
				return compare(a.Unit, b.Unit)
			}
			return compare(a.Network, b.Network)
		})
		e.Geographies = append(e.Geographies, g)
	}
	for _, l := range loads {
		e.Loads = append(e.Loads, ramp.PoPLoad{PoP: l.PoP, Load: l.Load, Capacity: l.Capacity})
	}
	return e, o.coming
}
