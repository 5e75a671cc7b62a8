package analysis

import (
	"math"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"catchment/internal/edge"
)

// week is 10 million page views: 25,600 place×ASN cells, 300k client prefixes,
// 40 PoPs, 60 million samples over seven days, one window a day. The aggregates
// of one day are made beforehand and stand in for every day, so that what is
// measured is the analysis.
const (
	weekDays  = 7
	weekCells = 25600
)

// benchCells is how many of the cells a benchmark has: few where it is only to
// be seen that it runs.
func benchCells() int {
	if testing.Short() {
		return weekCells / 32
	}
	return weekCells
}

func dayOf10M(cells int) *world {
	w := newWorld(1)
	rng := w.rng
	const prefixesPerCell = 300_000 / weekCells
	const viewsPerCell = 10_000_000 / weekDays / weekCells // 55
	pops := make([]edge.PoPID, 40)
	for i := range pops {
		pops[i] = edge.PoPID("pop-" + string(rune('a'+i/10)) + string(rune('0'+i%10)))
	}
	for c := range cells {
		place := c % 446
		cell := edge.Cell{
			Day: testDay, Continent: []string{"NA", "EU", "SA", "AS"}[place%4], Country: "X" + string(rune('A'+place%60%26)),
			Subdivision: string(rune('A'+place/60)) + string(rune('A'+place%60/26)), ASN: uint32(64496 + c), Family: 4 + uint8(c&1)*2,
		}
		at := func(i int) edge.PoPID { return pops[(place+i)%len(pops)] }
		prefix := func() uint64 { return uint64(c*16+rng.IntN(prefixesPerCell+1)) << 16 }
		probes := func(pop, n int, scheme edge.Scheme) {
			samples := make([]edge.Sample, n)
			for i := range samples {
				samples[i] = edge.SampleOf(prefix(), 10*float64(1+pop)*(1+0.2*rng.ExpFloat64()))
			}
			w.latencies = append(w.latencies, latencies(cell, at(pop), scheme, samples))
		}
		// Three candidates a view: the nearest, and two of the next.
		probes(0, viewsPerCell, "")
		probes(1, viewsPerCell*9/10, "")
		probes(2, viewsPerCell*6/10, "")
		probes(3, viewsPerCell*3/10, "")
		probes(4, viewsPerCell*2/10, "")
		for _, s := range edge.Schemes {
			probes(0, viewsPerCell*8/10, s)
			probes(1, viewsPerCell*2/10, s)
		}
		for combo := range 4 {
			a := &edge.Assignments{Cell: cell, Served: [3]edge.PoPID{at(combo & 1), at(combo >> 1), at(0)}}
			for p := range uint64(prefixesPerCell + 1) {
				a.Prefixes = append(a.Prefixes, (uint64(c*16)+p)<<16)
				a.Views = append(a.Views, 1)
				a.Weights, a.Weights2 = append(a.Weights, 100), append(a.Weights2, 10000)
			}
			w.assignments = append(w.assignments, a)
		}
	}
	return w
}

// BenchmarkWeek has the CPU time of a week as cpu-s/op, and what is live at
// the end of a day above what the input takes as MB.
func BenchmarkWeek(b *testing.B) {
	w := dayOf10M(benchCells())
	var samples, views int
	for _, l := range w.latencies {
		for _, n := range l.Counts {
			samples += int(n)
		}
	}
	for _, a := range w.assignments {
		views += len(a.Views)
	}
	live := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := live()
	week := func(endOfDay func()) func(func(Window) bool) {
		return func(yield func(Window) bool) {
			for day := range weekDays {
				for _, l := range w.latencies {
					l.Day = testDay + edge.Day(day)
				}
				for _, a := range w.assignments {
					a.Day = testDay + edge.Day(day)
				}
				if !yield(w.window()) {
					return
				}
				endOfDay()
			}
		}
	}
	for _, bench := range []struct {
		name string
		run  func(windows func(func(Window) bool)) (rows int, err error)
	}{
		{"Assignment", func(windows func(func(Window) bool)) (int, error) {
			r := NewAssignment([]Key{ByCountry, BySubdivision})
			err := Judge(DefaultCriteria(), windows, r)
			return len(r.Rows()), err
		}},
		{"AssignmentByASN", func(windows func(func(Window) bool)) (int, error) {
			r := NewAssignment([]Key{BySubdivision, ByASN})
			err := Judge(DefaultCriteria(), windows, r)
			return len(r.Rows()), err
		}},
		{"Offenders", func(windows func(func(Window) bool)) (int, error) {
			r := NewOffenders()
			err := Judge(DefaultCriteria(), windows, r)
			return len(r.Rows()), err
		}},
		{"PoPs", func(windows func(func(Window) bool)) (int, error) {
			r := NewPoPs()
			err := Judge(DefaultCriteria(), windows, r)
			return len(r.Rows()), err
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			var most uint64
			measure := func() { most = max(most, live()-before) }
			if rows, err := bench.run(week(measure)); rows == 0 || err != nil {
				b.Fatalf("%d rows, %v", rows, err)
			}
			start := cpu()
			for b.Loop() {
				if _, err := bench.run(week(func() {})); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((cpu()-start).Seconds()/float64(b.N), "cpu-s/op")
			b.ReportMetric(float64(most)/1e6, "MB")
			b.ReportMetric(float64(samples*weekDays), "samples")
			b.ReportMetric(float64(views*weekDays), "views")
		})
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMedian is one cell and PoP of 40 samples, sorted.
func BenchmarkMedian(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	lists := make([][]float64, 12)
	for i := range lists {
		for range 4 {
			lists[i] = append(lists[i], 20*math.Exp(0.2*rng.NormFloat64()))
		}
	}
	s := samplesOf(lists...)
	var h histogram
	for b.Loop() {
		if _, ok := h.median([]*samples{s}, 20, true); !ok {
			b.Fatal("none")
		}
	}
}
