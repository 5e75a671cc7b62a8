package store

import "slices"

// grouped is elements of many groups, in which those of one group and the same
// kind are added up, now and then.
type grouped[E addable[E]] struct {
	list []member[E]
	next int // the length at which it is worth adding up again
	free []member[E]
	ends []int // of each group in list, after addUp
}

type member[E any] struct {
	group uint32
	e     E
}

func (l *grouped[E]) reset() { l.list, l.next = l.list[:0], 0 }

// minAddUp is a length below which nothing is added up, to take no memory.
const minAddUp = 1 << 16

// add appends e to a group, below groups in number. Adding up only when the
// list has doubled costs little and keeps at most twice as much as is left.
func (l *grouped[E]) add(group uint32, e E, groups int) {
	if len(l.list) >= max(l.next, minAddUp) {
		l.addUp(groups)
		l.next = 2 * len(l.list)
	}
	l.list = append(l.list, member[E]{group, e})
}

// addUp sorts the list by group and element and leaves one of each kind.
func (l *grouped[E]) addUp(groups int) {
	// By group: count, and move each to its place.
	l.ends = slices.Grow(l.ends[:0], groups+1)[:groups+1]
	clear(l.ends)
	for i := range l.list {
		l.ends[l.list[i].group+1]++
	}
	for g := range groups {
		l.ends[g+1] += l.ends[g]
	}
	sorted := slices.Grow(l.free[:0], len(l.list))[:len(l.list)]
	for i := range l.list {
		at := &l.ends[l.list[i].group]
		sorted[*at] = l.list[i]
		*at++ // in the end where the group ends
	}
	l.ends = l.ends[:groups]

	sums, start := sorted[:0], 0
	for g, end := range l.ends {
		run := sorted[start:end]
		slices.SortFunc(run, func(a, b member[E]) int { return a.e.compare(b.e) })
		first := len(sums)
		for _, m := range run {
			if n := len(sums); n > first && sums[n-1].e.compare(m.e) == 0 {
				sums[n-1].e = sums[n-1].e.plus(m.e)
			} else {
				sums = append(sums, m)
			}
		}
		start, l.ends[g] = end, len(sums)
	}
	l.list, l.free = sums, l.list[:0]
}

// of returns the elements of a group, after addUp.
func (l *grouped[E]) of(group uint32) []member[E] {
	start := 0
	if group > 0 {
		start = l.ends[group-1]
	}
	return l.list[start:l.ends[group]]
}
