package analysis

import "catchment/internal/edge"

// clusterSums adds up, for every client prefix of every group, the weight of
// its views and of the optimal ones, and of the pairs with unicast.
type clusterSums struct {
	keys  []clusterKey
	sums  []*[sumsBlock]clusterSum // by position in keys; in blocks, which need not be moved to grow
	slots []uint32                 // open addressing: position plus one; quicker than a Go map, and there are millions of lookups
	next  int                      // position after the one found last
}

const sumsBlock = 1024

func (c *clusterSums) at(i int) *clusterSum { return &c.sums[i/sumsBlock][i%sumsBlock] }

type clusterKey struct {
	prefix uint64
	group  int32
}

type clusterSum [len(edge.Schemes)]clusterTerms

// clusterTerms are what a view adds to the sums of a scheme, times its weight;
// or those sums.
type clusterTerms struct {
	judged, optimal float64
	paired          float64 // judged under unicast as well
	gained          float64 // optimal only under the scheme, minus only under unicast
}

// termsOf returns what views with these outcomes add, and whether that is anything.
func termsOf(outcomes *[len(edge.Schemes)]outcome) (terms clusterSum, some bool) {
	unicast := &outcomes[edge.Unicast.Index()]
	for k := range outcomes {
		o, t := &outcomes[k], &terms[k]
		if !o.judged {
			continue
		}
		some, t.judged = true, 1
		if o.optimal {
			t.optimal = 1
		}
		if unicast.judged {
			t.paired, t.gained = 1, t.optimal
			if unicast.optimal {
				t.gained--
			}
		}
	}
	return terms, some
}

func (c *clusterSums) add(group int32, j *judgement) {
	terms, some := termsOf(&j.outcomes)
	if !some {
		return
	}
	for i, prefix := range j.at.Prefixes {
		s, w := c.find(clusterKey{prefix, group}), j.at.Weights[i]
		for k := range terms { // without branches, which the processor could not predict
			t, sum := &terms[k], &s[k]
			sum.judged += t.judged * w
			sum.optimal += t.optimal * w
			sum.paired += t.paired * w
			sum.gained += t.gained * w
		}
	}
}

// ahead is how many keys are looked at before hashing: a cell comes back every
// day with much the same prefixes in the same order.
const ahead = 8

// find returns the sums of k, which are new if there were none.
func (c *clusterSums) find(k clusterKey) *clusterSum {
	for at := c.next; at < min(c.next+ahead, len(c.keys)); at++ {
		if c.keys[at] == k {
			c.next = at + 1
			return c.at(at)
		}
	}
	if 2*len(c.keys) >= len(c.slots) {
		c.grow()
	}
	for i := k.hash(); ; i++ {
		slot := &c.slots[i&uint64(len(c.slots)-1)]
		if *slot == 0 {
			if len(c.keys)%sumsBlock == 0 {
				c.sums = append(c.sums, new([sumsBlock]clusterSum))
			}
			c.keys = append(c.keys, k)
			*slot = uint32(len(c.keys))
		}
		if at := int(*slot) - 1; c.keys[at] == k {
			c.next = at + 1
			return c.at(at)
		}
	}
}

func (c *clusterSums) grow() {
	c.slots = make([]uint32, max(1024, 2*len(c.slots)))
	for at, k := range c.keys {
		i := k.hash()
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

type groupStats struct {
	shares, differences [len(edge.Schemes)]clusters
}

// stats returns the sums of the ratios of each group. Clusters are taken in
// the order of their prefixes, so that rounding does not depend on the order
// of the input.
func (c *clusterSums) stats(groups int) []groupStats {
	order := c.inOrder(groups)
	stats := make([]groupStats, groups)
	for len(order) > 0 {
		end := 1
		for end < len(order) && order[end].group == order[0].group {
			end++
		}
		g := &stats[order[0].group]
		for _, x := range order[:end] {
			g.add(c.at(int(x.at)))
		}
		for _, x := range order[:end] {
			g.spread(c.at(int(x.at)))
		}
		order = order[end:]
	}
	return stats
}

// cluster is a key and where its sums are.
type cluster struct {
	clusterKey
	at int32
}

// inOrder returns all clusters by group and prefix. Counting digits takes a
// fraction of the time of comparing, and there are hundreds of thousands.
func (c *clusterSums) inOrder(groups int) []cluster {
	order, free := make([]cluster, len(c.keys)), make([]cluster, len(c.keys))
	different := uint64(0) // bits in which prefixes differ
	for at, k := range c.keys {
		order[at] = cluster{k, int32(at)}
		different |= k.prefix ^ c.keys[0].prefix
	}
	by := func(values int, digit func(*cluster) int) {
		next := make([]int, values+1)
		for i := range order {
			next[digit(&order[i])+1]++
		}
		for d := range values {
			next[d+1] += next[d]
		}
		for i := range order {
			at := &next[digit(&order[i])]
			free[*at] = order[i]
			*at++
		}
		order, free = free, order
	}
	const bits, mask = 11, 1<<11 - 1
	for shift := 0; shift < 64; shift += bits {
		if different>>shift&mask != 0 {
			by(1<<bits, func(x *cluster) int { return int(x.prefix >> shift & mask) })
		}
	}
	if groups > 1 {
		by(groups, func(x *cluster) int { return int(x.group) })
	}
	return order
}

func (g *groupStats) add(sum *clusterSum) {
	for k := range sum {
		s := &sum[k]
		if s.judged > 0 {
			g.shares[k].add(s.judged, s.optimal)
		}
		if s.paired > 0 {
			g.differences[k].add(s.paired, s.gained)
		}
	}
}

func (g *groupStats) spread(sum *clusterSum) {
	for k := range sum {
		s := &sum[k]
		if s.judged > 0 {
			c := &g.shares[k]
			rarer := s.optimal
			if c.ratio() >= 0.5 {
				rarer = s.judged - s.optimal
			}
			c.spread(s.judged, s.optimal, rarer > 0)
		}
		if s.paired > 0 {
			g.differences[k].spread(s.paired, s.gained, s.gained != 0)
		}
	}
}
