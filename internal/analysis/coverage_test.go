package analysis

import (
	"maps"
	"math"
	"runtime"
	"sync"
	"testing"
)

// coverage counts how often a known truth lies inside its printed interval.
type coverage struct {
	views, judged uint64
	shares, pairs hits
	halfWidth     float64 // of shares, summed
	verdicts      map[string]map[Verdict]int
}

type hits struct{ inside, all int }

func (h *hits) add(low, truth, high float64) {
	h.all++
	if low <= truth && truth <= high {
		h.inside++
	}
}

func (h hits) percent() float64 { return 100 * float64(h.inside) / float64(h.all) }

// cover judges the page views of the published table, made anew by each seed.
func cover(t *testing.T, seeds int, how traffic) *coverage {
	t.Helper()
	out := &coverage{verdicts: map[string]map[Verdict]int{}}
	for _, g := range published {
		out.verdicts[placeName(g.country, g.subdivision)] = map[Verdict]int{}
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := range next {
				w := newWorld(uint64(seed))
				for _, g := range published {
					w.add(g, how)
				}
				r := NewAssignment([]Key{BySubdivision})
				if err := Judge(DefaultCriteria(), once(w.window()), r); err != nil {
					t.Error(err)
				}
				mu.Lock()
				out.add(r.Rows())
				mu.Unlock()
			}
		})
	}
	for seed := range seeds {
		next <- seed
	}
	close(next)
	wg.Wait()
	if out.judged != out.views {
		t.Errorf("%d of %d views were judged", out.judged, out.views)
	}
	if want := 2 * len(published) * seeds; out.shares.all != want {
		t.Errorf("%d shares, want %d", out.shares.all, want)
	}
	t.Logf("%+v: %.1f %% of %d intervals of a share hold the true one (mean half-width %.2f points), %.1f %% of %d of a difference",
		how, out.shares.percent(), out.shares.all, 100*out.halfWidth/float64(out.shares.all), out.pairs.percent(), out.pairs.all)
	return out
}

func (c *coverage) add(rows []Row) {
	for _, row := range rows {
		for _, g := range published {
			name := placeName(g.country, g.subdivision)
			if row.Group[0].Text != name {
				continue
			}
			for k, truth := range map[int]float64{unicastAt: g.dns, globalAt: g.global} {
				s := row.Schemes[k]
				c.views, c.judged = c.views+s.Views, c.judged+s.Judged
				c.shares.add(s.Low, truth, s.High)
				c.halfWidth += (s.High - s.Low) / 2
			}
			d := row.Against[globalAt]
			c.pairs.add(d.Low, g.global-g.dns, d.High)
			c.verdicts[name][d.Verdict(DefaultMargin)]++
		}
	}
}

// seedsFor returns how many seeds to try and what to allow for chance; few are for the race detector, under which 200 take a minute.
func seedsFor(t *testing.T) (n int, slack float64) {
	if testing.Short() {
		return 20, 3
	}
	return 200, 1
}

// TestPublishedTable gives back what LinkedIn published: the shares inside
// their intervals and the right decision for every geography, every time.
func TestPublishedTable(t *testing.T) {
	seeds, slack := seedsFor(t)
	c := cover(t, seeds, traffic{views: 4000, prefixes: 240})
	if off := math.Abs(c.shares.percent() - 95); off > 2*slack {
		t.Errorf("%.2f %% of the shares lie inside their 95 %% intervals", c.shares.percent())
	}
	if off := math.Abs(c.pairs.percent() - 95); off > 2*slack {
		t.Errorf("%.2f %% of the differences lie inside their 95 %% intervals", c.pairs.percent())
	}
	for _, g := range published {
		name := placeName(g.country, g.subdivision)
		if want := map[Verdict]int{g.want: seeds}; !maps.Equal(c.verdicts[name], want) {
			t.Errorf("%s: verdicts %v, want %v", name, c.verdicts[name], want)
		}
	}
}

// TestSkewedTraffic has one prefix send a fifth of the views of a geography,
// and the views of a prefix correlated.
func TestSkewedTraffic(t *testing.T) {
	seeds, slack := seedsFor(t)
	c := cover(t, seeds, traffic{views: 4000, prefixes: 240, heavy: 0.2, icc: 0.1})
	if p := c.shares.percent(); p < 95-2*slack {
		t.Errorf("%.2f %% of the shares lie inside their 95 %% intervals", p)
	}
	if p := c.pairs.percent(); p < 95-2*slack {
		t.Errorf("%.2f %% of the differences lie inside their 95 %% intervals", p)
	}
}

// TestCoverageElsewhere: outside of the promised range intervals may be a
// little narrow, never far off. The figures are in docs/method.md.
func TestCoverageElsewhere(t *testing.T) {
	for _, how := range []traffic{
		{views: 4000, prefixes: 240, icc: 0.1},
		{views: 4000, prefixes: 240, icc: 0.5},
		{views: 4000, prefixes: 240, icc: 0.9},
		{views: 20000, prefixes: 240, heavy: 0.2, icc: 0.1},
		{views: 4000, prefixes: 240, heavy: 0.5, icc: 0.1},
		{views: 400, prefixes: 60, icc: 0.1},
		{views: 400, prefixes: 30, icc: 0.1},
	} {
		seeds, slack := seedsFor(t)
		if p := cover(t, seeds, how).shares.percent(); p < 92-slack {
			t.Errorf("%+v: %.2f %% of the shares lie inside their 95 %% intervals", how, p)
		}
	}
}
