package steer

import "math/bits"

// tables find what an address leads to. They hold the whole address space of a
// family as runs of addresses that lead to the same, each reaching up to the
// next, in flat arrays without pointers: the garbage collector has nothing to
// scan in them.
//
// A run is not a prefix, and need not be cut into prefixes: the shortest
// prefix around an address that lies within its run follows from how many bits
// the address has in common with the neighbors of both ends. It is what a
// binary trie would yield whose equal siblings are merged, gaps included.
// docs/steering.md compares this with a trie.
type tables struct {
	v4 table4
	v6 table6
}

// run is a run of addresses, up to where the next begins.
type run struct {
	from key
	ref  ref
}

// merge makes one run of neighbors that lead to the same, in place.
func merge(runs []run) []run {
	n := 0
	for _, r := range runs {
		if n == 0 || r.ref != runs[n-1].ref {
			runs[n] = r
			n++
		}
	}
	return runs[:n]
}

// look returns what k leads to, and the length of the shortest prefix around k
// that leads there throughout.
func (t *tables) look(k key, family int) (r ref, scope int) {
	if family == v4 {
		return t.v4.look(uint32(k.hi >> 32))
	}
	return t.v6.look(k)
}

// table4 is for IPv4. Run and ref lie side by side, 8 bytes, so that most
// look-ups touch two cache lines of them.
type table4 struct {
	runs  []run4
	index []uint32 // by the first 16 bits: the run that the first such address is in
}

type run4 struct {
	from uint32
	ref  ref
}

const indexBits = 16

func newTable4(runs []run) table4 {
	t := table4{runs: make([]run4, len(runs)), index: makeIndex(runs)}
	for i, r := range runs {
		t.runs[i] = run4{uint32(r.from.hi >> 32), r.ref}
	}
	return t
}

func (t *table4) look(a uint32) (r ref, scope int) {
	b := a >> (32 - indexBits)
	i, high := int(t.index[b]), int(t.index[b+1])
	for i < high { // the run is in [i, high]
		if mid := int(uint(i+high+1) >> 1); t.runs[mid].from > a {
			high = mid - 1
		} else {
			i = mid
		}
	}
	if i > 0 {
		scope = bits.LeadingZeros32(a^(t.runs[i].from-1)) + 1
	}
	if i+1 < len(t.runs) {
		scope = max(scope, bits.LeadingZeros32(a^t.runs[i+1].from)+1)
	}
	return t.runs[i].ref, scope
}

// table6 is for IPv6.
type table6 struct {
	runs  []run
	index []uint32
}

func newTable6(runs []run) table6 {
	t := table6{runs: make([]run, len(runs)), index: makeIndex(runs)}
	copy(t.runs, runs)
	return t
}

func (t *table6) look(k key) (r ref, scope int) {
	b := k.hi >> (64 - indexBits)
	i, high := int(t.index[b]), int(t.index[b+1])
	for i < high {
		if mid := int(uint(i+high+1) >> 1); k.less(t.runs[mid].from) {
			high = mid - 1
		} else {
			i = mid
		}
	}
	if i > 0 {
		scope = k.common(t.runs[i].from.before()) + 1
	}
	if i+1 < len(t.runs) {
		scope = max(scope, k.common(t.runs[i+1].from)+1)
	}
	return t.runs[i].ref, scope
}

// makeIndex returns, for each value of the first 16 bits, the run that its
// first address is in, and lastly the last run.
func makeIndex(runs []run) []uint32 {
	index := make([]uint32, 1<<indexBits+1)
	i := 0
	for b := range index {
		first := key{hi: uint64(b) << (64 - indexBits)}
		for i+1 < len(runs) && (b == 1<<indexBits || !first.less(runs[i+1].from)) {
			i++
		}
		index[b] = uint32(i)
	}
	return index
}
