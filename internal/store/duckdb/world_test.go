package duckdb

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"catchment/internal/edge"
	"catchment/internal/store"
)

const testDay edge.Day = 20_758 // 2026-11-01

var testPoPs = []edge.PoPID{"iad", "lax", "gru", "fra"}

// randomBeacon makes a beacon received on a day, with every case that the
// aggregates tell apart.
func randomBeacon(rng *rand.Rand, day edge.Day, id int) *edge.Beacon {
	pick := func(odds float64) bool { return rng.Float64() < odds }
	place := []edge.Place{
		{Continent: "NA", Country: "US", Subdivision: "IL"},
		{Continent: "NA", Country: "US", Subdivision: "CA"},
		{Continent: "EU", Country: "DE"},
		{},
	}[rng.IntN(4)]
	place.ASN = 64496 + uint32(rng.IntN(3))
	place.ASName = fmt.Sprint("Example ", place.ASN)
	b := &edge.Beacon{
		V: 1, ID: fmt.Sprint("b", id), Time: day.Time().UnixMilli(), Rate: []float64{1, 0.5, 0.1, 0.01}[rng.IntN(4)],
		Received: day.Time().Add(time.Duration(rng.Int64N(86_400_000_000)) * time.Microsecond),
		Place:    place,
	}
	switch rng.IntN(8) {
	case 0: // unknown
	case 1, 2, 3:
		b.Client = netip.MustParsePrefix(fmt.Sprintf("2001:db8:%x::/48", rng.IntN(4)))
	default:
		b.Client = netip.MustParsePrefix([]string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"}[rng.IntN(3)])
	}
	for _, f := range []string{"bot", "webdriver", "coarse", "hidden"} {
		if pick(0.05) {
			b.Flags = append(b.Flags, f)
		}
	}
	targets := []edge.Target{"unicast", "global", "regional"}
	for _, id := range testPoPs {
		targets = append(targets, edge.TargetOf(id))
	}
	for _, target := range targets {
		if pick(0.3) {
			continue
		}
		p := edge.Probe{Target: target, PoP: testPoPs[rng.IntN(len(testPoPs))], AF: []int{0, 4, 4, 6}[rng.IntN(4)]}
		if asked, ok := target.PoP(); ok && pick(0.8) {
			p.PoP = asked
		}
		p.RTT = float64(float32(math.Round(10*(5+rng.ExpFloat64()*20)) / 10))
		switch rng.IntN(12) {
		case 0:
			p.PoP, p.RTT, p.Error = "", 0, "timeout"
		case 1:
			p.PoP = ""
		case 2:
			p.RTT = 0
		case 3:
			p.Error = "status"
		}
		b.Probes = append(b.Probes, p)
	}
	return b
}

func randomBeacons(rng *rand.Rand, day edge.Day, n int) []*edge.Beacon {
	beacons := make([]*edge.Beacon, n)
	for i := range beacons {
		beacons[i] = randomBeacon(rng, day, i)
	}
	return beacons
}

func writeSegment(t testing.TB, dir string, day edge.Day, first, last uint64, beacons []*edge.Beacon) store.Segment {
	t.Helper()
	s, err := store.WriteSegment(dir, day, first, last, beacons)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// writeWorld writes four days: of several segments, of one, of a compacted one
// that has not yet replaced its sources, and of a compacted one with a newer
// small one beside it.
func writeWorld(t testing.TB, dir string, rng *rand.Rand) {
	t.Helper()
	for i := range 3 {
		writeSegment(t, dir, testDay, uint64(i+1), uint64(i+1), randomBeacons(rng, testDay, 300))
	}
	writeSegment(t, dir, testDay+1, 3, 3, randomBeacons(rng, testDay+1, 500))
	for day := testDay + 2; day <= testDay+3; day++ {
		var all []*edge.Beacon
		for i := range 3 {
			beacons := randomBeacons(rng, day, 100)
			writeSegment(t, dir, day, uint64(i+4), uint64(i+4), beacons)
			all = append(all, beacons...)
		}
		writeSegment(t, dir, day, 4, 6, all)
	}
	writeSegment(t, dir, testDay+3, 7, 7, randomBeacons(rng, testDay+3, 100))
}

func open(t testing.TB, dir string) *Engine {
	t.Helper()
	e, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}
