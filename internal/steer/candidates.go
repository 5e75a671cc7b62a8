package steer

import (
	"cmp"
	"slices"
)

// candidates appends the PoPs that unicast may lead to, nearest first, as far
// as it can matter: until there is one that takes whoever comes, and, where
// weights divide clients, with all that are as good as that one. Each is
// followed by how many of the next ones are as good as it, where weights may
// ask.
func (c *classifier) candidates(dst []int16) []int16 {
	left, firm := c.left[:0], false
	for i := range c.fleet.pops {
		if c.fleet.unicast(i) {
			left = append(left, int16(i))
			firm = firm || c.firm[i]
		}
	}
	c.left = left
	if c.weighted {
		slices.SortFunc(left, c.nearer)
	}
	first := int16(none) // that is firm
	for ; len(left) > 0; left = left[1:] {
		if !c.weighted {
			nearest := 0
			for i := range left {
				if c.nearer(left[i], left[nearest]) < 0 {
					nearest = i
				}
			}
			left[0], left[nearest] = left[nearest], left[0]
		}
		pop := left[0]
		if first != none && !(c.weighted && c.distances[first].equal(c.distances[pop])) {
			break
		}
		equals := 0
		if c.weighted && first == none {
			for equals+1 < len(left) && c.distances[pop].equal(c.distances[left[equals+1]]) {
				equals++
			}
		}
		if c.firm[pop] && first == none {
			first = pop
		}
		dst = append(dst, pop, int16(equals))
		if !firm && !c.weighted {
			break // all shed: nobody gives up clients to another
		}
	}
	return dst
}

// nearer orders PoPs by distance.
func (c *classifier) nearer(a, b int16) int {
	switch d, e := c.distances[a], c.distances[b]; {
	case d.less(e):
		return -1
	case e.less(d):
		return 1
	}
	return cmp.Compare(a, b)
}
