package route

import (
	"slices"

	"catchment/internal/sim/topology"
)

// Change computes what becomes of the catchment when the prefix is announced
// over other sessions or other links are cut: the same as Announce, but all
// decisions that cannot have changed are taken over. c stays as it is.
func (c *Catchment) Change(sessions []Session, cuts ...Cut) *Catchment {
	next := &Catchment{
		n: c.n, c: newControl(c.n, sessions, cuts),
		index: nodeIndex{slots: slices.Clone(c.index.slots), used: c.index.used},
		nodes: slices.Clone(c.nodes),
		group: c.group,
	}
	dirty, renumbered := next.c.differs(c.c)

	// Tied sets move whole: those of dirty ASes are left behind in the arena.
	next.tied = tiedSets{at: slices.Clone(c.tied.at), arena: slices.Clone(c.tied.arena)}
	for a := range next.tied.at {
		if dirty.has(topology.AS(a)) {
			next.tied.at[a] = 0
		}
	}
	for i := range next.nodes {
		n := &next.nodes[i]
		switch {
		case n.stage == undecided:
		case dirty.has(n.as):
			n.stage, n.session, n.next = undecided, -1, -1
		default:
			n.stage = decided
			if n.session >= 0 {
				n.session = renumbered[n.session]
			}
		}
	}
	return next
}

// differs returns the ASes whose decisions may differ from those under old,
// and the new index of each old session that is still there (else −1).
func (c *control) differs(old *control) (dirty bitset, renumbered []int32) {
	dirty = make(bitset, len(c.beside))
	around := func(a topology.AS) {
		dirty.add(a)
		for _, links := range []*topology.Links{&c.t.Providers, &c.t.Peers, &c.t.Customers} {
			for _, b := range links.Of(a) {
				dirty.add(b)
			}
		}
	}
	for a := range c.ranks {
		if c.ranks[a] != old.ranks[a] {
			around(topology.AS(a))
		}
	}
	// Whom a restricted session's route reaches, and where, may depend on what
	// became of the neighbor's other routes.
	for _, ctl := range []*control{old, c} {
		for i := range ctl.sessions {
			if s := &ctl.sessions[i]; s.restricted() {
				around(s.Neighbor)
			}
		}
	}

	renumbered = make([]int32, len(old.sessions))
	kept := make([]bool, len(c.sessions))
	for i := range old.sessions {
		s := &old.sessions[i]
		renumbered[i] = -1
		from, to := c.at(s.Neighbor)
		for j := from; j < to; j++ {
			if !kept[j] && s.equal(&c.sessions[j]) {
				renumbered[i], kept[j] = int32(j), true
				break
			}
		}
		if renumbered[i] < 0 {
			dirty.add(s.Neighbor)
		}
	}
	for j := range c.sessions {
		if !kept[j] {
			dirty.add(c.sessions[j].Neighbor)
		}
	}

	for _, cut := range append(slices.Clone(old.cuts), c.cuts...) {
		if old.cut(cut.A, cut.B) != c.cut(cut.A, cut.B) {
			around(cut.A)
		}
	}
	return dirty, renumbered
}
