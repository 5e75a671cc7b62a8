package beacon

import (
	"math"
	"slices"

	"catchment/internal/edge"
)

// A TCP connect is disbelieved when it took under half of the least warm − srv
// and was splitMs below it: then something nearer than the PoP accepted the
// connection (a split-TCP proxy; a delay that is only in the server). Unless
// the PoP's kernel saw no more on the same connection: then connect was right,
// and the browser was busy during all of the downloads.
const splitMs = 10

// leastRTT stands for a round trip too short for the browser's clock, ms. 0
// would say that nothing was measured.
const leastRTT = 0.01

// Derive computes the RTT of every probe of b again from its raw timings:
// min(TCP connect, min(warm) − srv), by Resource Timing of one connection. A
// probe without timings keeps the RTT that it came with.
func Derive(b *edge.Beacon) {
	for i := range b.Probes {
		deriveRTT(&b.Probes[i])
	}
}

func deriveRTT(p *edge.Probe) {
	connect := 0.0
	if len(p.Cold) > 1 {
		connect = p.Cold[1]
	}
	switch {
	case len(p.Warm) > 0:
		warm := math.Round((least(p.Warm)-p.Srv)*1000) / 1000 // sheds what subtracting adds beyond 1 µs
		p.RTT = max(warm, leastRTT)
		p.Flags = without(p.Flags, "split") // ours to say
		confirmed := p.MRTT > 0 && p.MRTT <= connect
		if connect > 0 && connect < warm/2 && connect < warm-splitMs && !confirmed {
			addFlag(&p.Flags, "split")
		} else if connect > 0 {
			p.RTT = min(p.RTT, connect)
		}
	case connect > 0:
		p.RTT = connect
	}
}

// least returns the least of ms, +Inf if there are none.
func least(ms []float64) float64 {
	l := math.Inf(1)
	for _, m := range ms {
		l = min(l, m)
	}
	return l
}

// without returns flags without one of them, nil if none is left.
func without(flags []string, flag string) []string {
	flags = slices.DeleteFunc(flags, func(f string) bool { return f == flag })
	if len(flags) == 0 {
		return nil
	}
	return flags
}

// addFlag adds a flag that is not there yet.
func addFlag(flags *[]string, flag string) {
	if slices.Contains(*flags, flag) {
		return
	}
	*flags = append(*flags, flag)
}
