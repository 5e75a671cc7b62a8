package edge

import "math"

// Cell is the unit of aggregation: a place and network on one UTC day, over
// one address family.
type Cell struct {
	Day         Day
	Continent   string
	Country     string
	Subdivision string
	ASN         uint32
	Family      uint8 // 4 or 6
}

// Assignments are the page views of one cell that were assigned alike: for
// each scheme the same PoP answered. One element of the parallel slices is one
// client prefix, so that intervals can be clustered by prefix and schemes
// compared within page views.
type Assignments struct {
	Cell
	Served   [len(Schemes)]PoPID // as View.Served
	Prefixes []uint64            // PrefixKey, ascending, no duplicates
	Views    []uint32            // page views
	Weights  []float64           // sum of 1/rate over them
	Weights2 []float64           // sum of 1/rate² over them
}

// Latencies are the RTTs measured in one cell to one PoP: by probes of the
// PoP's own unicast name when Scheme is empty, else by that scheme's probes
// that the PoP answered.
type Latencies struct {
	Cell
	PoP     PoPID
	Scheme  Scheme
	Samples []Sample // ascending, no duplicates
	Counts  []uint32 // probes of each sample
}

// Sample is the client prefix (a tag, to bound how much one prefix can say)
// and the logarithmic bin of one measured RTT, packed as tag<<BinBits | bin.
type Sample uint32

// Logarithmic latency bins: BinsPerOctave to a doubling, so that a bin is
// 1.1 % wide and its midpoint at most 0.55 % off. Bin 0 starts at 2⁻⁴ ms,
// under the 0.1 ms that browsers resolve; the last ends beyond 60 s.
const (
	BinBits       = 11
	BinsPerOctave = 64
	binZeroOctave = 4
	NumBins       = 20 * BinsPerOctave

	// LeastMs is where the bins start, ms.
	LeastMs = 1.0 / (1 << binZeroOctave)
)

// Bin returns the bin of a latency in ms, clamped to [0, NumBins).
func Bin(ms float64) int {
	if !(ms > 0) {
		return 0
	}
	bin := math.Floor(BinsPerOctave*math.Log2(ms)) + binZeroOctave*BinsPerOctave
	return int(max(0, min(NumBins-1, bin)))
}

// BinMs returns the geometric midpoint of bin b in ms.
func BinMs(b int) float64 { return BinEdgeMs(float64(b) + 0.5) }

// BinEdgeMs is BinMs for a position within the bins: bin b reaches from b to
// b + 1.
func BinEdgeMs(pos float64) float64 { return math.Exp2(pos/BinsPerOctave - binZeroOctave) }

// SampleOf packs the RTT of a probe by a client of prefix key k (PrefixKey).
func SampleOf(k uint64, ms float64) Sample {
	tag := uint32((k * 0x9e3779b97f4a7c15) >> (32 + BinBits)) // Fibonacci hashing: the high bits are the mixed ones
	return Sample(tag<<BinBits) | Sample(Bin(ms))
}

// Tag returns the hash of the client prefix, 32−BinBits bits.
func (s Sample) Tag() uint32 { return uint32(s) >> BinBits }

// Bin returns the latency bin.
func (s Sample) Bin() int { return int(s & (1<<BinBits - 1)) }
