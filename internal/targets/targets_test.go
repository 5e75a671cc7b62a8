package targets

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
)

// lineFleet has n PoPs on the equator, p0 at 0° and each a degree (111.2 km)
// further east than the one before.
func lineFleet(n int) *edge.Fleet {
	f := &edge.Fleet{Probe: "probe.example.net"}
	for i := range n {
		f.PoPs = append(f.PoPs, edge.PoP{
			ID:      edge.PoPID(fmt.Sprintf("p%d", i)),
			Place:   edge.Place{Lat: 1e-9, Lon: float64(i)},
			Unicast: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})},
		})
	}
	return f
}

// TestTargets checks which targets are there at all.
func TestTargets(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	f := func(fleet *edge.Fleet, place edge.Place, want ...edge.Target) {
		t.Helper()
		got := From(fleet, place).Draw(nil, rng)
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	here := edge.Place{Lat: 1, Lon: 1}
	f(lineFleet(1), here, "unicast", "pop:p0")
	f(lineFleet(3), here, "unicast", "pop:p0", "pop:p1", "pop:p2")
	f(lineFleet(3), edge.Place{}, "unicast", "pop:p0", "pop:p1", "pop:p2")
	f(lineFleet(0), here, "unicast")
	fleet := lineFleet(2)
	fleet.VIPs = []edge.VIP{{ID: "global"}, {ID: "eu"}}
	f(fleet, here, "unicast", "global", "pop:p0", "pop:p1")
	fleet.Regions = []edge.Region{{ID: "eu", VIP: "eu"}}
	f(fleet, here, "unicast", "global", "regional", "pop:p0", "pop:p1")
	fleet.PoPs[1].Unicast = nil
	f(fleet, here, "unicast", "global", "regional", "pop:p0")
}

// TestCandidates draws many plans and compares how often each PoP is in one
// with what drawing two without replacement, weighted by 1/distance, gives.
func TestCandidates(t *testing.T) {
	const plans = 10_000
	rng := rand.New(rand.NewPCG(3, 4))
	shares := func(fleet *edge.Fleet, place edge.Place) []float64 {
		counts := map[edge.Target]float64{}
		for range plans {
			targets := From(fleet, place).Draw(nil, rng)
			if len(targets) != 1+probeAllTo {
				t.Fatalf("%d targets", len(targets))
			}
			for _, target := range targets {
				counts[target]++
			}
		}
		var s []float64
		for i := range fleet.PoPs {
			s = append(s, counts[edge.TargetOf(fleet.PoPs[i].ID)]/plans)
		}
		return s
	}
	check := func(name string, got, want []float64) {
		t.Helper()
		for i := range want {
			// Four standard deviations of a binomial share.
			if slack := 4 * math.Sqrt(want[i]*(1-want[i])/plans); math.Abs(got[i]-want[i]) > slack {
				t.Errorf("%s: p%d is in %.4f of plans, want %.4f ± %.4f", name, i, got[i], want[i], slack)
			}
		}
	}

	// At p0: the others are 1 to 9 degrees away, and p10, p11 too far.
	weights := make([]float64, 10)
	sum := 0.0
	for i := 1; i < 10; i++ {
		weights[i] = 1 / float64(i)
		sum += weights[i]
	}
	want := make([]float64, 12)
	want[0] = 1
	for i := 1; i < 10; i++ {
		want[i] = weights[i] / sum
		for first := 1; first < 10; first++ {
			if first != i {
				want[i] += weights[first] / sum * weights[i] / (sum - weights[first])
			}
		}
	}
	check("by distance", shares(lineFleet(12), edge.Place{Lat: 1e-9, Lon: 0}), want)

	for i := range want {
		want[i] = 3.0 / 12
	}
	check("no place", shares(lineFleet(12), edge.Place{}), want)

	unplaced := lineFleet(5)
	for i := range unplaced.PoPs {
		unplaced.PoPs[i].Place = edge.Place{}
	}
	got := shares(unplaced, edge.Place{Lat: 1, Lon: 1})
	check("no PoP has coordinates", got, []float64{1, 0.5, 0.5, 0.5, 0.5})
}

func TestOrderIsRandom(t *testing.T) {
	const plans = 10_000
	rng := rand.New(rand.NewPCG(5, 6))
	first := map[edge.Target]float64{}
	for range plans {
		first[From(lineFleet(3), edge.Place{Lat: 1, Lon: 1}).Draw(nil, rng)[0]]++
	}
	for target, n := range first {
		if share := n / plans; math.Abs(share-0.25) > 4*math.Sqrt(0.25*0.75/plans) {
			t.Errorf("%s comes first in %.3f of plans, want 0.25", target, share)
		}
	}
}

func TestDrawDoesNotAllocate(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := From(lineFleet(40), edge.Place{Lat: 1, Lon: 1})
	buf := make([]edge.Target, 0, Most)
	if n := testing.AllocsPerRun(100, func() { buf = c.Draw(buf[:0], rng) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
