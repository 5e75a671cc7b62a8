package analysis

import (
	"cmp"
	"slices"

	"catchment/internal/edge"
)

// clusterSums adds up, for every client prefix of every group, the weight of
// its views and of the optimal ones, and of the pairs with unicast.
type clusterSums struct {
	sums  []clusterSum
	slots []uint32 // open addressing: index into sums, plus one; quicker than a Go map, and there are millions of lookups
	next  int      // in sums, after the one found last: cells come back every day with the same prefixes
}

type clusterKey struct {
	prefix uint64
	group  int32
}

type clusterSum struct {
	clusterKey
	judged  [len(edge.Schemes)]float64 // Σ weight
	optimal [len(edge.Schemes)]float64
	paired  [len(edge.Schemes)]float64 // judged under unicast as well
	gained  [len(edge.Schemes)]float64 // optimal only under the scheme, minus only under unicast
}

// clusterOutcome is what an element's views have in common.
type clusterOutcome struct {
	judged, optimal [len(edge.Schemes)]bool
}

// find returns the sums of k, which are new if there were none.
func (c *clusterSums) find(k clusterKey) *clusterSum {
	if c.next < len(c.sums) && c.sums[c.next].clusterKey == k {
		c.next++
		return &c.sums[c.next-1]
	}
	if 2*len(c.sums) >= len(c.slots) {
		c.grow()
	}
	for i := k.hash(); ; i++ {
		slot := &c.slots[i&uint64(len(c.slots)-1)]
		if *slot == 0 {
			c.sums = append(c.sums, clusterSum{clusterKey: k})
			*slot = uint32(len(c.sums))
		}
		if s := &c.sums[*slot-1]; s.clusterKey == k {
			c.next = int(*slot)
			return s
		}
	}
}

func (c *clusterSums) grow() {
	c.slots = make([]uint32, max(1024, 2*len(c.slots)))
	for at := range c.sums {
		i := c.sums[at].hash()
		for c.slots[i&uint64(len(c.slots)-1)] != 0 {
			i++
		}
		c.slots[i&uint64(len(c.slots)-1)] = uint32(at + 1)
	}
}

// hash mixes well enough for keys that nobody gains by making collide: prefixes
// are truncated, and a run of occupied slots costs time only.
func (k clusterKey) hash() uint64 {
	h := (k.prefix ^ uint64(k.group)<<40) * 0x9e3779b97f4a7c15
	return h ^ h>>32
}

func (c *clusterSums) add(group int32, a *edge.Assignments, of *clusterOutcome) {
	if of.judged == ([len(edge.Schemes)]bool{}) {
		return
	}
	const unicast = 0 // Schemes has it first
	for i, prefix := range a.Prefixes {
		s, w := c.find(clusterKey{prefix, group}), a.Weights[i]
		for k, judged := range of.judged {
			if !judged {
				continue
			}
			s.judged[k] += w
			if of.optimal[k] {
				s.optimal[k] += w
			}
			if !of.judged[unicast] {
				continue
			}
			s.paired[k] += w
			switch {
			case of.optimal[k] && !of.optimal[unicast]:
				s.gained[k] += w
			case !of.optimal[k] && of.optimal[unicast]:
				s.gained[k] -= w
			}
		}
	}
}

type groupStats struct {
	shares, differences [len(edge.Schemes)]clusters
}

// stats returns the sums of the ratios of each group. Clusters are taken in
// the order of their prefixes, so that rounding does not depend on the order
// of the input.
func (c *clusterSums) stats(groups int) []groupStats {
	order := make([]uint32, len(c.sums))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(i, j uint32) int {
		a, b := &c.sums[i], &c.sums[j]
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.prefix, b.prefix))
	})
	stats := make([]groupStats, groups)
	for _, i := range order {
		s := &c.sums[i]
		g := &stats[s.group]
		for k := range edge.Schemes {
			if s.judged[k] > 0 {
				g.shares[k].add(s.judged[k], s.optimal[k])
			}
			if s.paired[k] > 0 {
				g.differences[k].add(s.paired[k], s.gained[k])
			}
		}
	}
	for _, i := range order {
		s := &c.sums[i]
		g := &stats[s.group]
		for k := range edge.Schemes {
			if s.judged[k] > 0 {
				c := &g.shares[k]
				rarer := s.optimal[k]
				if c.ratio() >= 0.5 {
					rarer = s.judged[k] - s.optimal[k]
				}
				c.spread(s.judged[k], s.optimal[k], rarer > 0)
			}
			if s.paired[k] > 0 {
				g.differences[k].spread(s.paired[k], s.gained[k], s.gained[k] != 0)
			}
		}
	}
	return stats
}
