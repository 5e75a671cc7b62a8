package analysis

import (
	"iter"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"catchment/internal/edge"
)

// geography is a place of the published table, with the share of its users
// that each scheme leads to the optimal PoP.
type geography struct {
	continent, country, subdivision string
	dns, global                     float64
	want                            Verdict
}

// published is LinkedIn's experiment with one global anycast address (2015).
var published = []geography{
	{"NA", "US", "IL", 0.70, 0.90, UseAnycast},
	{"NA", "US", "FL", 0.73, 0.95, UseAnycast},
	{"NA", "US", "GA", 0.75, 0.93, UseAnycast},
	{"NA", "US", "PA", 0.85, 0.95, UseAnycast},
	{"NA", "US", "NY", 0.77, 0.74, NoChange},
	{"NA", "US", "AZ", 0.60, 0.39, UseDNS},
	{"SA", "BR", "", 0.88, 0.33, UseDNS},
}

// traffic says how page views are made.
type traffic struct {
	views    int
	prefixes int
	heavy    float64 // share of the views that one prefix sends
	icc      float64 // intra-cluster correlation of outcomes within a prefix
}

// world makes the aggregates of page views, as a store would.
type world struct {
	rng         *rand.Rand
	latencies   []*edge.Latencies
	assignments []*edge.Assignments
}

func newWorld(seed uint64) *world { return &world{rng: rand.New(rand.NewPCG(seed, 0xca7c4))} }

// window hands out w.
func (w *world) window() Window {
	return Window{Latencies: each(w.latencies), Assignments: each(w.assignments)}
}

// once is a sequence of one window.
func once(w Window) iter.Seq[Window] { return slices.Values([]Window{w}) }

func each[T any](all []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range all {
			if !yield(v, nil) {
				return
			}
		}
	}
}

var testDay, _ = edge.ParseDay("2026-11-01")

// fourPoPs and their RTT from the edge of a geography's networks, ms; each is
// more than the tolerance from the next.
var (
	fourPoPs   = []edge.PoPID{"ord", "iad", "lax", "sin"}
	fourRTTs   = []float64{11, 26, 58, 190}
	accessOf   = []float64{1, 4, 9, 22} // ms that a network's access adds
	firstASN   = uint32(64496)
	viewRates  = []float64{0.01, 0.01, 0.01, 0.02}
	unicastAt  = edge.Unicast.Index()
	globalAt   = edge.Global.Index()
	regionalAt = edge.Regional.Index()
)

// add adds the page views of a geography. The prefixes spread over four
// networks, their sizes are log-normal, and a view's outcome depends on its
// prefix as far as t.icc says. What is not optimal went to one of the others.
func (w *world) add(g geography, t traffic) {
	rng := w.rng
	prefixes := make([]uint64, t.prefixes)
	size := make([]float64, t.prefixes)
	share := make([][2]float64, t.prefixes)
	var total float64
	for i := range prefixes {
		prefixes[i] = prefixKey(i)
		size[i] = math.Exp(rng.NormFloat64())
		total += size[i]
		share[i] = [2]float64{w.around(g.dns, t.icc), w.around(g.global, t.icc)}
	}
	if t.heavy > 0 {
		total -= size[0]
		size[0] = total * t.heavy / (1 - t.heavy)
		total += size[0]
	}
	cumulative := make([]float64, t.prefixes)
	var sum float64
	for i, s := range size {
		sum += s / total
		cumulative[i] = sum
	}
	n := len(fourPoPs)
	type sums struct {
		views  uint32
		w1, w2 float64
	}
	views := make([]sums, t.prefixes*n*n) // by prefix, PoP under unicast, PoP under global
	for range t.views {
		p, _ := slices.BinarySearch(cumulative, rng.Float64())
		p = min(p, t.prefixes-1)
		s := &views[(p*n+w.reached(share[p][0]))*n+w.reached(share[p][1])]
		rate := viewRates[rng.IntN(len(viewRates))]
		s.views++
		s.w1 += 1 / rate
		s.w2 += 1 / (rate * rate)
	}
	for asn := range accessOf {
		for served := range n * n {
			a := &edge.Assignments{Cell: g.cell(asn)}
			a.Served[unicastAt], a.Served[globalAt] = fourPoPs[served/n], fourPoPs[served%n]
			for p := asn; p < t.prefixes; p += len(accessOf) {
				if s := views[p*n*n+served]; s.views > 0 {
					a.Prefixes = append(a.Prefixes, prefixes[p])
					a.Views = append(a.Views, s.views)
					a.Weights = append(a.Weights, s.w1)
					a.Weights2 = append(a.Weights2, s.w2)
				}
			}
			w.assignments = append(w.assignments, a)
		}
	}
	w.measure(g, prefixes, 1)
}

// measure adds own-name probes, some from every prefix to every PoP.
func (w *world) measure(g geography, prefixes []uint64, each int) {
	for asn, access := range accessOf {
		for p, rtt := range fourRTTs {
			var samples []edge.Sample
			for i := asn; i < len(prefixes); i += len(accessOf) {
				for range each {
					ms := (rtt + access) * (1 + 0.15*w.rng.ExpFloat64())
					samples = append(samples, edge.SampleOf(prefixes[i], ms))
				}
			}
			w.latencies = append(w.latencies, latencies(g.cell(asn), fourPoPs[p], "", samples))
		}
	}
}

// latencies counts samples as a store would.
func latencies(c edge.Cell, pop edge.PoPID, scheme edge.Scheme, samples []edge.Sample) *edge.Latencies {
	l := &edge.Latencies{Cell: c, PoP: pop, Scheme: scheme}
	slices.Sort(samples)
	for i, s := range samples {
		if i > 0 && samples[i-1] == s {
			l.Counts[len(l.Counts)-1]++
			continue
		}
		l.Samples, l.Counts = append(l.Samples, s), append(l.Counts, 1)
	}
	return l
}

func (g geography) cell(asn int) edge.Cell {
	return edge.Cell{
		Day: testDay, Continent: g.continent, Country: g.country, Subdivision: g.subdivision,
		ASN: firstASN + uint32(asn), Family: 4,
	}
}

// reached is which of the PoPs a view reached that is optimal with probability
// p.
func (w *world) reached(p float64) int {
	if w.rng.Float64() < p {
		return 0
	}
	return 1 + w.rng.IntN(len(fourPoPs)-1)
}

// around draws a prefix's own share: beta with mean p and, between views of
// the prefix, correlation icc.
func (w *world) around(p, icc float64) float64 {
	if icc == 0 {
		return p
	}
	m := (1 - icc) / icc
	a, b := w.gamma(p*m), w.gamma((1-p)*m)
	if a+b == 0 {
		return p
	}
	return a / (a + b)
}

// gamma draws from the gamma distribution (Marsaglia and Tsang 2000).
func (w *world) gamma(shape float64) float64 {
	if shape < 1 {
		return w.gamma(shape+1) * math.Pow(w.rng.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := w.rng.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(1-w.rng.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

func prefixKey(i int) uint64 {
	// Prefix keys are hashed into tags, so the test needs a spread of them;
	// 2001:db8::/32 has 65,536 prefixes of 48 bits.
	a := netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(i >> 8), byte(i)})
	return edge.PrefixKey(netip.PrefixFrom(a, 48))
}

func judgeAll(t testing.TB, c Criteria, w Window, by ...Key) []Row {
	t.Helper()
	r := NewAssignment(by)
	if err := Judge(c, once(w), r); err != nil {
		t.Fatal(err)
	}
	return r.Rows()
}
