package store

import (
	"cmp"
	"slices"

	"catchment/internal/edge"
)

// prefixViews is an element of an AssignmentRow's lists.
type prefixViews struct {
	prefix          uint64
	views           uint32
	weight, weight2 float64
}

// sampleCount is an element of a LatencyRow's lists.
type sampleCount struct {
	sample edge.Sample
	count  uint32
}

func (v prefixViews) compare(o prefixViews) int { return cmp.Compare(v.prefix, o.prefix) }

func (v prefixViews) plus(o prefixViews) prefixViews {
	return prefixViews{v.prefix, v.views + o.views, v.weight + o.weight, v.weight2 + o.weight2}
}

func (s sampleCount) compare(o sampleCount) int { return cmp.Compare(s.sample, o.sample) }

func (s sampleCount) plus(o sampleCount) sampleCount {
	return sampleCount{s.sample, s.count + o.count}
}

// addable are elements that are added up when they are of the same kind:
// compare then returns 0.
type addable[E any] interface {
	compare(E) int
	plus(E) E
}

var (
	_ addable[prefixViews] = prefixViews{}
	_ addable[sampleCount] = sampleCount{}
)

// counted is a list in which elements of the same kind are added up, now and
// then.
type counted[E addable[E]] struct {
	list []E
	next int // the length at which it is worth adding up again
}

// add appends e. Adding up only when the list has doubled costs less than a
// map and keeps at most twice as much as is left.
func (c *counted[E]) add(e E) {
	if len(c.list) >= max(c.next, 32) {
		c.addUp()
		c.next = 2 * len(c.list)
	}
	c.list = append(c.list, e)
}

// addUp sorts the list and leaves one element of each kind.
func (c *counted[E]) addUp() []E {
	slices.SortFunc(c.list, E.compare)
	sums := c.list[:0]
	for _, e := range c.list {
		if n := len(sums); n > 0 && sums[n-1].compare(e) == 0 {
			sums[n-1] = sums[n-1].plus(e)
		} else {
			sums = append(sums, e)
		}
	}
	c.list = sums
	return sums
}

func (r *AssignmentRow) appendViews(p prefixViews) {
	r.Prefixes = append(r.Prefixes, p.prefix)
	r.Views = append(r.Views, p.views)
	r.Weights = append(r.Weights, p.weight)
	r.Weights2 = append(r.Weights2, p.weight2)
}

func (r *LatencyRow) appendSample(s sampleCount) {
	r.Samples = append(r.Samples, uint32(s.sample))
	r.Counts = append(r.Counts, s.count)
}

// compareAssignments orders the rows of an assignments file. Rows that compare
// equal are one cell and add up.
func compareAssignments(a, b *AssignmentRow) int {
	return cmp.Or(
		cmp.Compare(a.Day, b.Day), cmp.Compare(a.Family, b.Family),
		cmp.Compare(a.Continent, b.Continent), cmp.Compare(a.Country, b.Country), cmp.Compare(a.Subdivision, b.Subdivision),
		cmp.Compare(a.ASN, b.ASN),
		cmp.Compare(a.Unicast, b.Unicast), cmp.Compare(a.Global, b.Global), cmp.Compare(a.Regional, b.Regional),
	)
}

// compareLatencies orders the rows of a latencies file likewise: by scheme
// first, since own-name probes are read most.
func compareLatencies(a, b *LatencyRow) int {
	return cmp.Or(
		cmp.Compare(a.Scheme, b.Scheme),
		cmp.Compare(a.Day, b.Day), cmp.Compare(a.Family, b.Family),
		cmp.Compare(a.Continent, b.Continent), cmp.Compare(a.Country, b.Country), cmp.Compare(a.Subdivision, b.Subdivision),
		cmp.Compare(a.ASN, b.ASN), cmp.Compare(a.PoP, b.PoP),
	)
}
