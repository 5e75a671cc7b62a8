package route

import (
	"cmp"
	"iter"
	"slices"

	"catchment/internal/sim/topology"
)

// rank is the class and the length of an AS's best routes in one number: a
// greater one is preferred, 0 is no route.
type rank uint32

const maxLength = 1<<30 - 1

func rankOf(c Class, length int) rank { return rank(c)<<30 | rank(maxLength-length) }

func (r rank) class() Class { return Class(r >> 30) }
func (r rank) length() int  { return maxLength - int(r&maxLength) }

// Cut is a link between two ASes that is down.
type Cut struct{ A, B topology.AS }

// control is the control plane of one prefix: the rank of every AS.
type control struct {
	t        *topology.Topology
	sessions []Session     // ordered by neighbor; the caller's order is in given
	given    []int32       // index of each in the caller's list
	neighbor []topology.AS // of each
	cuts     []Cut         // both ways, sorted
	ranks    []rank

	// Most ASes are spared the look-ups.
	beside  bitset // has a session
	guarded bitset // may keep a route from a neighbor: restricted sessions, cut links
}

type bitset []uint64

func (b bitset) has(a topology.AS) bool { return b[a>>6]>>(a&63)&1 != 0 }
func (b bitset) add(a topology.AS)      { b[a>>6] |= 1 << (a & 63) }

func newControl(n *Network, sessions []Session, cuts []Cut) *control {
	t := n.t
	words := (t.Len() + 63) / 64
	c := &control{t: t, ranks: make([]rank, t.Len()), beside: make(bitset, words), guarded: make(bitset, words)}
	c.given = make([]int32, len(sessions))
	for i := range c.given {
		c.given[i] = int32(i)
	}
	slices.SortStableFunc(c.given, func(i, j int32) int {
		return cmp.Compare(sessions[i].Neighbor, sessions[j].Neighbor)
	})
	for _, i := range c.given {
		s := &sessions[i]
		c.sessions = append(c.sessions, *s)
		c.neighbor = append(c.neighbor, s.Neighbor)
		c.beside.add(s.Neighbor)
		if s.restricted() {
			c.guarded.add(s.Neighbor)
		}
	}
	for _, cut := range cuts {
		c.cuts = append(c.cuts, cut, Cut{cut.B, cut.A})
		c.guarded.add(cut.A)
		c.guarded.add(cut.B)
	}
	slices.SortFunc(c.cuts, compareCuts)
	c.propagate(n.transit)
	return c
}

func compareCuts(x, y Cut) int { return cmp.Or(cmp.Compare(x.A, y.A), cmp.Compare(x.B, y.B)) }

// at returns the sessions of an AS: a range of c.sessions.
func (c *control) at(a topology.AS) (from, to int) {
	if !c.beside.has(a) {
		return 0, 0
	}
	from, _ = slices.BinarySearch(c.neighbor, a)
	for to = from; to < len(c.neighbor) && c.neighbor[to] == a; to++ {
	}
	return from, to
}

// levels are lists of ASes by the length of their routes.
type levels [][]topology.AS

func (l *levels) push(length int, a topology.AS) {
	for len(*l) <= length {
		*l = append(*l, nil)
	}
	(*l)[length] = append((*l)[length], a)
}

// propagate fills ranks in three sweeps, each AS settled once: customer routes
// climb to providers, shortest first; peers hand customer routes across once;
// then every route sinks to customers, shortest first. Transit are the ASes
// that have customers.
func (c *control) propagate(transit bitset) {
	var settled levels
	c.sweep(FromCustomer, &settled, &c.t.Providers, nil)
	c.across(&settled)
	c.sweep(FromProvider, &settled, &c.t.Customers, transit)
}

// sweep settles all ASes without a route that get one of the given class, from
// a session or from a settled AS along links, and adds them to settled: those
// of only, unless that is nil, since the others pass nothing on.
func (c *control) sweep(class Class, settled *levels, along *topology.Links, only bitset) {
	seeds := c.seeds(class)
	for length := 1; length < max(len(seeds), len(*settled)); length++ {
		if length < len(seeds) {
			for _, a := range seeds[length] {
				if c.ranks[a] == 0 {
					c.ranks[a] = rankOf(class, length)
					settled.push(length, a)
				}
			}
		}
		if length >= len(*settled) {
			continue
		}
		// Routes of this length all stand before the first is passed on: which
		// of them are equally good decides about communities.
		next := rankOf(class, length+1)
		for _, a := range (*settled)[length] {
			for _, b := range along.Of(a) {
				if c.ranks[b] == 0 && c.exports(a, b) {
					c.ranks[b] = next
					if only == nil || only.has(b) {
						settled.push(length+1, b)
					}
				}
			}
		}
	}
}

// across hands the settled customer routes to peers.
func (c *control) across(settled *levels) {
	var peers []topology.AS
	offer := func(length int, a topology.AS) {
		if r := rankOf(FromPeer, length); c.ranks[a] < r {
			if c.ranks[a] == 0 {
				peers = append(peers, a)
			}
			c.ranks[a] = r
		}
	}
	for length, ases := range c.seeds(FromPeer) {
		for _, a := range ases {
			offer(length, a)
		}
	}
	for length, ases := range *settled {
		for _, a := range ases {
			for _, b := range c.t.Peers.Of(a) {
				if c.ranks[b].class() != FromCustomer && c.exports(a, b) {
					offer(length+1, b)
				}
			}
		}
	}
	for _, a := range peers {
		settled.push(c.ranks[a].length(), a)
	}
}

// seeds returns the neighbors of the sessions of one class.
func (c *control) seeds(class Class) levels {
	var l levels
	for i := range c.sessions {
		if s := &c.sessions[i]; s.Class == class {
			l.push(1+s.Prepend, s.Neighbor)
		}
	}
	return l
}

// exports reports whether a passes its best routes on to its neighbor b, whom
// its class allows to have them.
func (c *control) exports(a, b topology.AS) bool {
	if !c.guarded.has(a) {
		return true
	}
	if c.cut(a, b) {
		return false
	}
	from, to := c.at(a)
	best := c.ranks[a]
	var meet topology.Metros
	restricted := false
	for i := from; i < to; i++ {
		s := &c.sessions[i]
		if rankOf(s.Class, 1+s.Prepend) != best {
			continue
		}
		if !s.restricted() {
			return true
		}
		if !restricted {
			restricted, meet = true, c.t.Footprint[a].And(&c.t.Footprint[b])
		}
		if s.exports(b, &meet) {
			return true
		}
	}
	if !restricted {
		return true
	}
	// None of its sessions, but perhaps an equally good neighbor.
	for range c.sources(a) {
		return true
	}
	return false
}

func (c *control) cut(a, b topology.AS) bool {
	if len(c.cuts) == 0 {
		return false
	}
	_, found := slices.BinarySearchFunc(c.cuts, Cut{a, b}, compareCuts)
	return found
}

// sources yields the neighbors from which a has its best routes.
func (c *control) sources(a topology.AS) iter.Seq[topology.AS] {
	return func(yield func(topology.AS) bool) {
		r := c.ranks[a]
		var from []topology.AS
		switch r.class() {
		case NoRoute:
			return
		case FromCustomer:
			from = c.t.Customers.Of(a)
		case FromPeer:
			from = c.t.Peers.Of(a)
		case FromProvider:
			from = c.t.Providers.Of(a)
		}
		for _, y := range from {
			ry := c.ranks[y]
			if ry == 0 || ry.length() != r.length()-1 {
				continue
			}
			if r.class() != FromProvider && ry.class() != FromCustomer {
				continue
			}
			if c.exports(y, a) && !yield(y) {
				return
			}
		}
	}
}
