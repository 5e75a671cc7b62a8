package route

import (
	"slices"

	"catchment/internal/sim/topology"
)

// Catchment is one announced prefix: every AS's routes, and where packets end.
// Decisions are made when first asked for and kept. It is not safe for
// concurrent use.
type Catchment struct {
	n    *Network
	c    *control
	tied tiedSets

	nodes []node
	index nodeIndex
	group []int32 // node of each of the topology's groups; nil until asked for
	path  []int32 // scratch of land
}

// node is what an AS does with traffic that enters it, or starts, in a metro.
// It is made undecided; then all but the landing is known; then the landing.
type node struct {
	as      topology.AS
	in, out topology.Metro // out: where it hands over
	stage   stage
	session int32   // delivers over it, an index into control.sessions; else −1
	next    int32   // node that it hands over to; −1 at the end
	rtt     float32 // ms to carry from in to out
	landing Landing
}

type stage uint8

const (
	undecided stage = iota
	decided
	landed
)

// Landing is where traffic ends.
type Landing struct {
	Session int32   // index into Sessions; −1: there is no route
	RTT     float32 // ms along the whole path, without the last mile
}

// Announce computes the routes to a prefix that is announced over the given
// sessions, while the given links are cut.
func (n *Network) Announce(sessions []Session, cuts ...Cut) *Catchment {
	return &Catchment{
		n: n, c: newControl(n, sessions, cuts),
		tied: newTiedSets(n.t),
	}
}

// Sessions returns the sessions, in the order in which they were given.
func (c *Catchment) Sessions() []Session {
	s := make([]Session, len(c.c.sessions))
	for i, g := range c.c.given {
		s[g] = c.c.sessions[i]
	}
	return s
}

// Route returns how a came by its best routes, and how long its AS paths are
// (1 for a neighbor of the fleet without prepending).
func (c *Catchment) Route(a topology.AS) (Class, int) {
	r := c.c.ranks[a]
	if r == 0 {
		return NoRoute, 0
	}
	return r.class(), r.length()
}

// Land returns where traffic of a ends that enters it, or starts, in metro m.
func (c *Catchment) Land(a topology.AS, m topology.Metro) Landing {
	return c.land(c.node(a, m))
}

// Landings returns where the traffic of each of the topology's groups ends.
func (c *Catchment) Landings() []Landing {
	groups := c.n.t.Groups
	if c.group == nil {
		c.group = make([]int32, len(groups))
		c.nodes = slices.Grow(c.nodes, len(groups)*5/4)
		c.index.grow(len(groups) * 5 / 4)
		for i := range groups {
			c.group[i] = c.node(groups[i].AS, groups[i].Metro)
		}
	}
	all := make([]Landing, len(groups))
	for i, node := range c.group {
		all[i] = c.land(node)
	}
	return all
}

// node returns the node of (a, m), made if need be.
func (c *Catchment) node(a topology.AS, m topology.Metro) int32 {
	slot := c.index.slot(a, m)
	if i := slot.node; i >= 0 {
		return i
	}
	i := int32(len(c.nodes))
	slot.node = i
	c.index.used++
	c.nodes = append(c.nodes, node{as: a, in: m, session: -1, next: -1})
	return i
}

// land follows a node to its end. Paths end: each AS hands over to one with a
// shorter route, but for anomalies, which nobody hands over to.
func (c *Catchment) land(i int32) Landing {
	path := c.path[:0]
	var end Landing
	for {
		switch n := &c.nodes[i]; n.stage {
		case undecided:
			c.decide(i)
			continue
		case landed:
			end = n.landing
		default:
			path = append(path, i)
			if n.next >= 0 {
				i = n.next
				continue
			}
			end = Landing{Session: -1}
			if n.session >= 0 {
				end.Session = c.c.given[n.session]
			}
		}
		break
	}
	c.path = path
	for _, i := range slices.Backward(path) {
		n := &c.nodes[i]
		end.RTT += n.rtt
		n.landing, n.stage = end, landed
	}
	return end
}

// decide settles what a node does.
func (c *Catchment) decide(i int32) {
	a, in := c.nodes[i].as, c.nodes[i].in
	d := c.choose(a, in)
	n := &c.nodes[i]
	n.stage = decided
	n.out, n.session, n.next, n.rtt = d.out, d.session, -1, 0
	if d.why == NoRouteAtAll {
		return
	}
	n.rtt = c.n.segmentRTT(a, in, d.out)
	if d.next != topology.None {
		next := c.node(d.next, d.out) // may move c.nodes
		c.nodes[i].next = next
	}
}

// nodeIndex finds nodes by AS and metro: a hash table with linear probing.
type nodeIndex struct {
	slots []indexSlot
	used  int
}

type indexSlot struct {
	as    topology.AS
	metro topology.Metro
	node  int32 // −1: free
}

// grow makes room for so many nodes.
func (x *nodeIndex) grow(nodes int) {
	size := 64
	for size < 2*nodes {
		size *= 2
	}
	if size <= len(x.slots) {
		return
	}
	old := x.slots
	x.slots = freeSlots(size)
	for _, s := range old {
		if s.node >= 0 {
			*x.probe(s.as, s.metro) = s
		}
	}
}

func freeSlots(n int) []indexSlot {
	s := make([]indexSlot, n)
	for i := range s {
		s[i].node = -1
	}
	return s
}

// slot returns the slot of a key, which is free if there is no node yet. It is
// good until the next call.
func (x *nodeIndex) slot(a topology.AS, m topology.Metro) *indexSlot {
	if 4*x.used >= 3*len(x.slots) {
		x.grow(x.used + 1)
	}
	s := x.probe(a, m)
	s.as, s.metro = a, m
	return s
}

func (x *nodeIndex) probe(a topology.AS, m topology.Metro) *indexSlot {
	mask := uint32(len(x.slots) - 1)
	h := (uint32(a)*topology.MaxMetros + uint32(uint16(m))) * 0x9e3779b1
	for h = (h ^ h>>15) & mask; ; h = (h + 1) & mask {
		s := &x.slots[h]
		if s.node < 0 || s.as == a && s.metro == m {
			return s
		}
	}
}
