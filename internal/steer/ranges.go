package steer

import (
	"cmp"
	"slices"
)

// stretch is a prefix before nesting is resolved, and afterwards a run of
// addresses up to where the next one begins.
type stretch struct {
	from  key
	value uint32 // of the longest prefix around
	bits  uint8  // its length; noPrefix where none is around
}

const noPrefix = 255

// flatten turns nested prefixes, in any order, into runs that cover the whole
// space: what none covers has value 0. Of equal prefixes the last counts.
// The prefixes must be masked; the slice is reordered.
func flatten(prefixes []stretch) []stretch {
	order := func(a, b stretch) int {
		if c := a.from.compare(b.from); c != 0 {
			return c
		}
		return cmp.Compare(a.bits, b.bits)
	}
	if !slices.IsSortedFunc(prefixes, order) {
		slices.SortStableFunc(prefixes, order)
	}
	runs := make([]stretch, 1, len(prefixes)+len(prefixes)/4+1)
	runs[0].bits = noPrefix
	add := func(r stretch) {
		if last := &runs[len(runs)-1]; last.from == r.from {
			*last = r
			return
		}
		runs = append(runs, r)
	}
	var around []stretch // the prefixes around the sweep's position, the longest last
	// leave closes the longest prefix: what is around it goes on.
	leave := func() {
		top := around[len(around)-1]
		around = around[:len(around)-1]
		next, ok := top.from.after(int(top.bits))
		if !ok {
			return
		}
		outer := stretch{bits: noPrefix}
		if len(around) > 0 {
			outer = around[len(around)-1]
		}
		add(stretch{next, outer.value, outer.bits})
	}
	for _, p := range prefixes {
		for len(around) > 0 {
			next, ok := around[len(around)-1].from.after(int(around[len(around)-1].bits))
			if !ok || p.from.less(next) {
				break
			}
			leave()
		}
		if n := len(around); n > 0 && around[n-1].from == p.from && around[n-1].bits == p.bits {
			around[n-1] = p
		} else {
			around = append(around, p)
		}
		add(p)
	}
	for len(around) > 0 {
		leave()
	}
	return runs
}

// at returns the index of the run that k is in.
func at(runs []stretch, k key) int {
	i, found := slices.BinarySearchFunc(runs, k, func(r stretch, k key) int { return r.from.compare(k) })
	if !found {
		i--
	}
	return i
}
