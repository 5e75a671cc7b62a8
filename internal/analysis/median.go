package analysis

import (
	"math"
	"slices"

	"catchment/internal/edge"
)

// maxShares is one over the largest share of the samples that one client
// prefix may give: a fifth. It follows that at least five prefixes are needed.
const maxShares = 5

// samples are the RTTs from one cell to one PoP. A value packs edge.Sample and
// how often it occurred, so that sorted values have a prefix's side by side.
type samples struct {
	packed []uint64 // Sample<<32 | count
	sealed bool
	n      uint64            // probes
	top    [maxShares]uint64 // probes of the prefixes that gave most, descending
	memo   memo
}

// memo remembers a median.
type memo struct {
	ms    float64
	ok    bool
	known bool
}

// arena hands out room for samples, of which a window has millions of short
// lists, and takes it all back at once.
type arena struct {
	chunks [][]uint64
	used   int // chunks given out, the last of them in part
	at     int // of that one
}

// room returns an empty slice of capacity n.
func (a *arena) room(n int) []uint64 {
	const chunk = 1 << 17 // 1 MiB
	if n > chunk/8 {
		return make([]uint64, 0, n)
	}
	if a.used == 0 || a.at+n > chunk {
		if a.used == len(a.chunks) {
			a.chunks = append(a.chunks, make([]uint64, chunk))
		}
		a.used, a.at = a.used+1, 0
	}
	from := a.at
	a.at += n
	return a.chunks[a.used-1][from:from:a.at]
}

func (a *arena) reset() { a.used, a.at = 0, 0 }

func (s *samples) add(l *edge.Latencies, a *arena) {
	n := len(s.packed)
	if s.packed == nil {
		s.packed = a.room(len(l.Samples))
	} else {
		s.packed = slices.Grow(s.packed, len(l.Samples))
	}
	s.packed = s.packed[:n+len(l.Samples)]
	to, counts := s.packed[n:], l.Counts[:len(l.Samples)]
	for i, v := range l.Samples {
		to[i] = uint64(v)<<32 | uint64(counts[i])
	}
}

// seal sorts the samples, which pieces of a cell may have mixed up, and finds
// the heaviest prefixes.
func (s *samples) seal() {
	if s.sealed {
		return
	}
	s.sealed = true
	if !s.count() {
		slices.Sort(s.packed)
		s.count()
	}
}

// count fills n and top; it returns false when the samples are not sorted.
func (s *samples) count() bool {
	const tagShift = 32 + edge.BinBits
	s.n, s.top = 0, [maxShares]uint64{}
	var last, of uint64 // of: probes of the prefix that last is of
	for _, v := range s.packed {
		if v < last {
			return false
		}
		if v>>tagShift != last>>tagShift {
			s.n += of
			keepTop(&s.top, of)
			of = 0
		}
		of += uint64(uint32(v))
		last = v
	}
	s.n += of
	keepTop(&s.top, of)
	return true
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
type histogram [edge.NumBins]float64

// median returns the median in ms of the samples together. When capped, no
// prefix (of one list; lists are of different networks) weighs more than a
// fifth, and what weighs is what must reach least; otherwise any least probes
// will do.
func (h *histogram) median(lists []*samples, least float64, capped bool) (ms float64, ok bool) {
	var n uint64
	var top [maxShares]uint64
	for _, s := range lists {
		s.seal()
		n += s.n
		for _, t := range s.top {
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
	lo, hi := edge.NumBins, -1
	for _, s := range lists {
		l, u := h.fill(s, c)
		lo, hi = min(lo, l), max(hi, u)
	}
	ms = h.middle(lo, hi)
	clear(h[lo : hi+1])
	return ms, true
}

// fill adds s, each prefix weighing at most c, and returns the range of bins.
func (h *histogram) fill(s *samples, c float64) (lo, hi int) {
	lo, hi = edge.NumBins, -1
	weigh := float64(s.top[0]) > c
	var tag uint32
	factor := 1.0
	for i, v := range s.packed {
		sample := edge.Sample(v >> 32)
		if weigh && (i == 0 || sample.Tag() != tag) {
			tag = sample.Tag()
			var n uint64
			for _, w := range s.packed[i:] {
				if edge.Sample(w>>32).Tag() != tag {
					break
				}
				n += uint64(uint32(w))
			}
			factor = min(1, c/float64(n))
		}
		b := min(sample.Bin(), edge.NumBins-1)
		h[b] += factor * float64(uint32(v))
		lo, hi = min(lo, b), max(hi, b)
	}
	return lo, hi
}

// middle returns the median of bins lo to hi, whose ends are not empty. Inside
// its bin it lies where an even spread would put it, so that medians are not
// quantized to 1.1 %.
func (h *histogram) middle(lo, hi int) float64 {
	var total float64
	for _, w := range h[lo : hi+1] {
		total += w
	}
	return edge.BinEdgeMs(quantile(h[:], lo, hi, total, 0.5))
}

// quantile returns the position, in bins, below which a share q of the weight
// in bins lo to hi lies. Between two bins with nothing in between it is the
// middle of the gap.
func quantile(h []float64, lo, hi int, total, q float64) float64 {
	target := q * total
	var sum float64
	for b := lo; b <= hi; b++ {
		w := h[b]
		if w == 0 {
			continue
		}
		if sum+w > target || b == hi {
			return float64(b) + min(1, (target-sum)/w)
		}
		sum += w
		if sum == target {
			next := b + 1
			for next < hi && h[next] == 0 {
				next++
			}
			return float64(b+1+next) / 2
		}
	}
	return float64(hi) + 1
}
