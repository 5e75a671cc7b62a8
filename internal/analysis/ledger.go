package analysis

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// ledger adds up, for every client prefix of every account, the weight of its
// views and of those of each kind, for shares that are clustered by prefix.
type ledger struct {
	index   map[entryKey]int32
	entries []*[sumsBlock]entry // in blocks, which need not be moved to grow
	n       int
	last    int32               // found
	squares [][maxKinds]float64 // by account: Σ weight² of each kind
}

type entryKey struct {
	prefix  uint64
	account int32
}

type entry struct {
	entryKey
	weights [maxKinds]float64
}

// kind numbers what a view can be, under maxKinds.
type kind int32

const maxKinds = 12

// kinds is a set of them.
type kinds uint32

func (s *kinds) set(k kind, is bool) {
	if is {
		*s |= 1 << k
	}
}

func newLedger() *ledger { return &ledger{index: map[entryKey]int32{}} }

func (l *ledger) at(i int) *entry { return &l.entries[i/sumsBlock][i%sumsBlock] }

// add adds a view of a client prefix that is of some kinds.
func (l *ledger) add(account int32, prefix uint64, w float64, of kinds) {
	l.addSums(account, prefix, w, w*w, of)
}

// addSums adds views that are alike: the sums of their weights and squared
// weights.
func (l *ledger) addSums(account int32, prefix uint64, w, w2 float64, of kinds) {
	key := entryKey{prefix, account}
	i, ok := l.last, l.n > 0 && l.at(int(l.last)).entryKey == key // neighbors often share it
	if !ok {
		i, ok = l.index[key]
	}
	if !ok {
		if i = int32(l.n); l.n%sumsBlock == 0 {
			l.entries = append(l.entries, new([sumsBlock]entry))
		}
		l.n++
		l.index[key] = i
		l.at(int(i)).entryKey = key
	}
	l.last = i
	for int(account) >= len(l.squares) {
		l.squares = append(l.squares, [maxKinds]float64{})
	}
	weights, squares := &l.at(int(i)).weights, &l.squares[account]
	for ; of != 0; of &= of - 1 {
		k := bits.TrailingZeros32(uint32(of))
		weights[k] += w
		squares[k] += w2
	}
}

// account is the sums of one account, in the order of prefixes.
type account struct {
	prefixes []*[maxKinds]float64
	squares  [maxKinds]float64
}

// accounts returns all of them, 0 to n−1.
func (l *ledger) accounts(n int) []account {
	order := make([]*entry, l.n)
	for i := range order {
		order[i] = l.at(i)
	}
	slices.SortFunc(order, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.prefix, b.prefix))
	})
	accounts := make([]account, n)
	for k, squares := range l.squares {
		accounts[k].squares = squares
	}
	for _, e := range order {
		a := &accounts[e.account]
		a.prefixes = append(a.prefixes, &e.weights)
	}
	return accounts
}

// Estimate is a share, 0 to 1, and its 95 % interval, clustered by client
// prefix. All are NaN where there is nothing to take a share of.
type Estimate struct{ Share, Low, High float64 }

func unknown() Estimate {
	nan := math.NaN()
	return Estimate{nan, nan, nan}
}

// share returns how much of the views of one kind is of another as well.
func (a *account) share(y, of kind) Estimate {
	var c clusters
	for i := range a.prefixes {
		if w := a.prefixes[i][of]; w > 0 {
			c.add(w, a.prefixes[i][y])
		}
	}
	if c.w == 0 {
		return unknown()
	}
	for i := range a.prefixes {
		if p := a.prefixes[i]; p[of] > 0 {
			rarer := p[y]
			if c.ratio() >= 0.5 {
				rarer = p[of] - p[y]
			}
			c.spread(p[of], p[y], rarer > 0)
		}
	}
	low, high := c.share(c.w * c.w / a.squares[of])
	return Estimate{min(1, c.ratio()), low, high}
}
