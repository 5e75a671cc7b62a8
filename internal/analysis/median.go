package analysis

import (
	"math"
	"slices"

	"catchment/internal/edge"
)

// maxShares is one over the largest share of the samples that one client
// prefix may give: a fifth. It follows that at least five prefixes are needed.
const maxShares = 5

// samples are the RTTs from one cell to one target, or a piece of them. A value
// packs edge.Sample and how often it occurred; they are ascending, so that those
// of a client prefix are side by side.
type samples struct {
	target  target
	asn     uint32
	packed  []uint64 // Sample<<32 | count
	counted bool
	n       uint64            // probes
	top     [maxShares]uint64 // probes of the prefixes that gave most, descending
}

// join adds the other pieces of the same cell and target.
func (s *samples) join(pieces []*samples) {
	if len(pieces) == 0 {
		return
	}
	for _, p := range pieces {
		s.packed = append(s.packed, p.packed...)
	}
	slices.Sort(s.packed)
}

func sampleBin(packed uint64) uint64 { return packed >> 32 & (1<<edge.BinBits - 1) }
func prefixTag(packed uint64) uint64 { return packed >> (32 + edge.BinBits) }
func probesOf(packed uint64) uint64  { return packed & math.MaxUint32 }

// arena hands out room for samples, of which a window has millions of short
// lists, and takes it all back at once.
type arena struct {
	chunks [][]uint64
	used   int // chunks given out, the last of them in part
	at     int // of that one
}

// room returns a slice of length and capacity n, whose contents are old.
func (a *arena) room(n int) []uint64 {
	const chunk = 1 << 17 // 1 MiB
	if n > chunk/8 {
		return make([]uint64, n)
	}
	if a.used == 0 || a.at+n > chunk {
		if a.used == len(a.chunks) {
			a.chunks = append(a.chunks, make([]uint64, chunk))
		}
		a.used, a.at = a.used+1, 0
	}
	from := a.at
	a.at += n
	return a.chunks[a.used-1][from:a.at:a.at]
}

func (a *arena) reset() { a.used, a.at = 0, 0 }

// pack returns the samples of l, packed.
func (a *arena) pack(l *edge.Latencies) []uint64 {
	packed, counts := a.room(len(l.Samples)), l.Counts[:len(l.Samples)]
	for i, s := range l.Samples {
		packed[i] = uint64(s)<<32 | uint64(counts[i])
	}
	return packed
}

// keepTop inserts n into the descending top.
func keepTop(top *[maxShares]uint64, n uint64) {
	if n <= top[maxShares-1] {
		return
	}
	i := maxShares - 1
	for ; i > 0 && top[i-1] < n; i-- {
		top[i] = top[i-1]
	}
	top[i] = n
}

// prefixCap returns the largest c with c ≤ ⅕·Σ min(n_p, c), where n_p are the
// probes of each prefix, n their sum and top the five largest; and that sum.
// Down-weighting a heavy prefix to c rather than dropping the cell means that
// nobody can make a cell vanish by flooding it. c is infinite when no prefix
// gives more than a fifth, and 0 for fewer than five prefixes.
//
// With the k heaviest at c the condition reads c = (n − Σ of those)/(5−k); the
// first k for which the next prefix is not above that c solves it, and k ≤ 4
// always does.
func prefixCap(n uint64, top [maxShares]uint64) (c, total float64) {
	rest := float64(n)
	for k := range maxShares {
		c := rest / float64(maxShares-k)
		if float64(top[k]) <= c {
			if k == 0 {
				return math.Inf(1), rest
			}
			return c, float64(k)*c + rest
		}
		rest -= float64(top[k])
	}
	return 0, 0
}

// histogram is scratch space for medians: the weight in each latency bin.
type histogram struct {
	weights [1 << edge.BinBits]float64 // none of a damaged file lies outside
	runs    []run
}

// run is where the samples of a prefix end in their list, and the probes up to
// there.
type run struct {
	end    int
	probes uint64
}

// median returns the median in ms of the samples together. When capped, no
// prefix (of one list; lists are of different networks) weighs more than a
// fifth, and what weighs is what must reach least; otherwise any least probes
// will do.
func (h *histogram) median(lists []*samples, least float64, capped bool) (ms float64, ok bool) {
	var n uint64
	var top [maxShares]uint64
	for _, s := range lists {
		h.count(s)
		n += s.n
		for _, t := range s.top {
			if t <= top[maxShares-1] {
				break
			}
			keepTop(&top, t)
		}
	}
	c, total := math.Inf(1), float64(n)
	if capped {
		c, total = prefixCap(n, top)
	}
	if total < least || total <= 0 {
		return 0, false
	}
	used := noBins
	for _, s := range lists {
		if float64(s.top[0]) > c {
			used = h.fillCapped(s, c, used)
		} else {
			used = h.fill(s.packed, 1, used)
		}
	}
	weights := h.weights[used.lo : used.hi+1]
	if !math.IsInf(c, 1) {
		total = 0 // as it is after rounding
		for _, w := range weights {
			total += w
		}
	}
	ms = edge.BinEdgeMs(quantile(weights, int(used.lo), total, 0.5))
	clear(weights)
	return ms, true
}

// count finds how many probes s has and what the heaviest prefixes gave.
func (h *histogram) count(s *samples) {
	if s.counted {
		return
	}
	var before uint64
	for _, r := range h.prefixes(s) {
		keepTop(&s.top, r.probes-before)
		before = r.probes
	}
	s.n, s.counted = before, true
}

// prefixes splits s by prefix. The list is good until the next call.
func (h *histogram) prefixes(s *samples) []run {
	if len(s.packed) == 0 {
		return nil
	}
	h.runs = slices.Grow(h.runs[:0], len(s.packed))
	runs, last := h.runs[:len(s.packed)], 0
	tag, probes := prefixTag(s.packed[0]), uint64(0)
	for i, v := range s.packed { // every step writes: where a run ends is hard to predict for the processor
		if prefixTag(v) != tag {
			last++
		}
		tag = prefixTag(v)
		probes += probesOf(v)
		runs[last] = run{i + 1, probes}
	}
	return runs[:last+1]
}

// binRange is bins lo to hi.
type binRange struct{ lo, hi uint64 }

var noBins = binRange{lo: 1<<edge.BinBits - 1}

// fill adds samples, of a weight for each probe, and returns used with their
// bins.
func (h *histogram) fill(packed []uint64, weight float64, used binRange) binRange {
	for _, v := range packed {
		b := sampleBin(v)
		h.weights[b] += weight * float64(int64(probesOf(v)))
		used.lo, used.hi = min(used.lo, b), max(used.hi, b)
	}
	return used
}

// fillCapped is fill for all of s, each prefix weighing at most c.
func (h *histogram) fillCapped(s *samples, c float64, used binRange) binRange {
	start, before := 0, uint64(0)
	for _, r := range h.prefixes(s) {
		used = h.fill(s.packed[start:r.end], min(1, c/float64(r.probes-before)), used)
		start, before = r.end, r.probes
	}
	return used
}

// quantile returns the position, in bins, below which a share q of the total
// weight lies; weights are those of the bins from first on. Inside its bin it
// lies where an even spread would put it, so that medians are not quantized to
// 1.1 %; between two bins with nothing in between it is the middle of the gap.
func quantile(weights []float64, first int, total, q float64) float64 {
	target, sum := q*total, 0.0
	for b, w := range weights {
		next := sum + w
		if next < target {
			sum = next
			continue
		}
		at := float64(first + b)
		if next > target {
			return at + min(1, (target-sum)/w)
		}
		gap := slices.IndexFunc(weights[b+1:], func(w float64) bool { return w > 0 })
		return at + 1 + float64(max(0, gap))/2
	}
	return float64(first + len(weights))
}
