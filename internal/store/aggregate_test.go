package store

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"catchment/internal/edge"
)

// tally holds the aggregates of any number of segments as plain sums.
type tally struct {
	Views     map[string][3]float64 // count, sum of weights and of their squares
	Latencies map[string]uint32
}

func newTally() tally { return tally{map[string][3]float64{}, map[string]uint32{}} }

// wantTally counts beacons in the most obvious way.
func wantTally(beacons []*edge.Beacon) tally {
	t := newTally()
	for _, b := range beacons {
		b := asStored(b)
		if slices.Contains(b.Flags, "bot") || slices.Contains(b.Flags, "webdriver") {
			continue
		}
		v := b.View()
		place := fmt.Sprint(edge.DayOf(b.Received), "/", b.Place.Continent, "/", b.Place.Country, "/", b.Place.Subdivision, "/", b.Place.ASN)
		if v.Served[0] != "" || v.Served[1] != "" || v.Served[2] != "" {
			k := fmt.Sprint(place, "/", v.Family, v.Served, edge.PrefixKey(b.Client))
			w := 1 / b.Rate
			sum := t.Views[k]
			t.Views[k] = [3]float64{sum[0] + 1, sum[1] + w, sum[2] + w*w}
		}
		if slices.Contains(b.Flags, "coarse") {
			continue
		}
		for _, p := range b.Probes {
			family := p.AF
			if family == 0 {
				family = int(v.Family)
			}
			k := fmt.Sprint(place, "/", family, " ", p.PoP)
			switch {
			case p.Error != "" || p.RTT <= 0:
			case p.Target == "pop:"+edge.Target(p.PoP):
				t.Latencies[fmt.Sprint(k, "  ", edge.SampleOf(edge.PrefixKey(b.Client), p.RTT))]++
			case p.Target == "unicast" || p.Target == "global" || p.Target == "regional":
				t.Latencies[fmt.Sprint(k, " ", p.Target, " ", edge.SampleOf(0, p.RTT))]++
			}
		}
	}
	return t
}

// storedTally adds up what the aggregates of all live segments say.
func storedTally(t testing.TB, dir string) tally {
	t.Helper()
	segments, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	sum := newTally()
	for _, segment := range segments {
		var lastA *AssignmentRow
		for r, err := range readRows[AssignmentRow](segment.Assignments(), nil) {
			if err != nil {
				t.Fatal(err)
			}
			if lastA != nil && compareAssignments(lastA, r) >= 0 {
				t.Fatalf("%s: %v comes after %v", segment.Assignments(), r, lastA)
			}
			row := *r
			lastA = &row
			for i, p := range r.Prefixes {
				k := fmt.Sprint(edge.Day(r.Day), "/", r.Continent, "/", r.Country, "/", r.Subdivision, "/", r.ASN, "/", r.Family,
					[3]edge.PoPID{edge.PoPID(r.Unicast), edge.PoPID(r.Global), edge.PoPID(r.Regional)}, p)
				old := sum.Views[k]
				sum.Views[k] = [3]float64{old[0] + float64(r.Views[i]), old[1] + r.Weights[i], old[2] + r.Weights2[i]}
			}
			if !slices.IsSorted(r.Prefixes) || len(slices.Compact(slices.Clone(r.Prefixes))) != len(r.Prefixes) {
				t.Fatalf("%s: prefixes %v", segment.Assignments(), r.Prefixes)
			}
		}
		var lastL *LatencyRow
		for r, err := range readRows[LatencyRow](segment.Latencies(), nil) {
			if err != nil {
				t.Fatal(err)
			}
			if lastL != nil && compareLatencies(lastL, r) >= 0 {
				t.Fatalf("%s: %v comes after %v", segment.Latencies(), r, lastL)
			}
			row := *r
			lastL = &row
			for i, s := range r.Samples {
				k := fmt.Sprint(edge.Day(r.Day), "/", r.Continent, "/", r.Country, "/", r.Subdivision, "/", r.ASN, "/", r.Family,
					" ", r.PoP, " ", r.Scheme, " ", s)
				sum.Latencies[k] += r.Counts[i]
			}
			if !slices.IsSorted(r.Samples) || len(slices.Compact(slices.Clone(r.Samples))) != len(r.Samples) {
				t.Fatalf("%s: samples %v", segment.Latencies(), r.Samples)
			}
		}
	}
	return sum
}

// checkAggregates compares the stored aggregates with those of beacons.
func checkAggregates(t *testing.T, dir string, beacons []*edge.Beacon) {
	t.Helper()
	diffTallies(t, wantTally(beacons), storedTally(t, dir))
}

func diffTallies(t *testing.T, want, got tally) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateApprox(1e-12, 0)); d != "" {
		t.Fatalf("aggregates (-want +got):\n%s", d)
	}
}

// The names of PoPs and places must not be kept by way of whole records.
func TestAggregatorKeepsNoRecords(t *testing.T) {
	a := newAggregator(testDay)
	record := string(appendRecord(nil, newTypical(1, testDay.Time(), 0).next()))
	var b edge.Beacon
	if err := decodeRecord(&b, record); err != nil {
		t.Fatal(err)
	}
	v := b.View()
	a.add(&b, &v)
	for _, k := range a.cells {
		if k.country == "" || overlap(k.country, record) || overlap(k.continent, record) || overlap(k.subdivision, record) {
			t.Errorf("%v is part of the record", k)
		}
	}
	for _, pop := range a.pops.names {
		if overlap(pop, record) {
			t.Errorf("%v is part of the record", pop)
		}
	}
}

func TestCounted(t *testing.T) {
	var c counted[sampleCount]
	want := map[edge.Sample]uint32{}
	for i := range 10_000 {
		s := edge.Sample(i * i % 257)
		c.add(sampleCount{s, 1})
		want[s]++
		if len(c.list) > max(32, 2*len(want)+1) {
			t.Fatalf("%d elements of %d kinds", len(c.list), len(want))
		}
	}
	got := map[edge.Sample]uint32{}
	for _, s := range c.addUp() {
		got[s.sample] += s.count
	}
	if !maps.Equal(want, got) || len(c.list) != len(want) {
		t.Errorf("%v, want %v", c.list, want)
	}
}

// A rate that would weigh infinitely much counts as 1.
func TestWeights(t *testing.T) {
	for rate, want := range map[float64]float64{0.01: 100, 1: 1, 0: 1, -1: 1, 2: 1, math.Inf(1): 1} {
		a := newAggregator(testDay)
		b := &edge.Beacon{Rate: rate, Probes: []edge.Probe{{Target: "global", PoP: "iad"}}}
		v := b.View()
		a.add(b, &v)
		a.prefixes.addUp(len(a.assignments))
		if got := a.prefixes.of(0)[0].e.weight; got != want {
			t.Errorf("rate %v weighs %v", rate, got)
		}
	}
}

// overlap reports whether part shares memory with whole.
func overlap(part, whole string) bool {
	p, w := uintptr(unsafe.Pointer(unsafe.StringData(part))), uintptr(unsafe.Pointer(unsafe.StringData(whole)))
	return part != "" && p >= w && p < w+uintptr(len(whole))
}
