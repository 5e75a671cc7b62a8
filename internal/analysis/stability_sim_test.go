package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"catchment/internal/edge"
)

// agents are simulated ones, in a network each, who download for a week.
type agents struct {
	rng    *rand.Rand
	begin  time.Time
	record edge.DownloadRecord
	d      edge.Download
}

func newAgents(seed uint64) *agents {
	a := &agents{rng: rand.New(rand.NewPCG(seed, 1)), begin: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)}
	a.record.Download = &a.d
	return a
}

// network adds count slow downloads over the VIP, of which a share fails, and
// some looks, and a quarter as many downloads over unicast. Balanced says
// that the packets of every connection go to two PoPs.
func (a *agents) network(s *Stability, asn uint32, count int, share float64, balanced bool) {
	a.record.Place = edge.Place{Country: "US", ASN: asn}
	same := []edge.PoPID{"iad", "iad"}
	for i := range count {
		start := a.begin.Add(time.Duration(a.rng.Int64N(int64(7 * 24 * time.Hour))))
		a.d = edge.Download{Agent: "a", Kind: edge.SlowDownload, Start: start, Target: "vip:global", Family: 4, Outcome: edge.DownloadOK, PoP: "iad", PoPEnd: "iad", Connect: 20, Duration: 75000}
		switch {
		case balanced:
			a.d.Outcome, a.d.Stage, a.d.Duration, a.d.PoP, a.d.PoPEnd = edge.DownloadReset, edge.DownloadAsking, 20, "", ""
		case a.rng.Float64() < share:
			a.d.Outcome, a.d.Stage, a.d.Duration = edge.DownloadReset, edge.DownloadBody, 75000*a.rng.Float64()
		}
		s.Add(&a.record)
		if i%8 == 0 {
			a.d = edge.Download{Agent: "a", Kind: edge.LookDownload, Start: start, Target: "vip:global", Family: 4, Outcome: edge.DownloadOK, Served: same, Connect: 20}
			if balanced && a.rng.Float64() < 0.5 {
				a.d.Served, a.d.Flips = []edge.PoPID{"iad", "lax"}, 1
			}
			s.Add(&a.record)
		}
		if i%4 == 0 {
			a.d = edge.Download{Agent: "a", Kind: edge.SlowDownload, Start: start, Target: "pop:iad", Family: 4, Outcome: edge.DownloadOK, PoP: "iad", Duration: 75000}
			if a.rng.Float64() < 0.0001 {
				a.d.Outcome, a.d.Stage, a.d.Duration = edge.DownloadReset, edge.DownloadBody, 75000*a.rng.Float64()
			}
			s.Add(&a.record)
		}
	}
}

// Of 9,000 networks 1 % lose 2 % of downloads of 75 s, or more, the others
// 0.01 %; in 0.15 % of pairs of a network and a VIP packets of one connection
// go to different PoPs. A week finds them; half of what is needed is too few.
func TestStabilityFindsNetworks(t *testing.T) {
	const networks = 9000
	seeds := 2
	if testing.Short() {
		seeds = 1
	}
	by, err := ParseStabilityKeys("asn")
	if err != nil {
		t.Fatal(err)
	}
	var right, wrong, missed, flipsRight, flipsWrong, flipsMissed int
	for seed := range uint64(seeds) {
		a, s := newAgents(seed), NewStability(by, DefaultStability())
		bad, balanced := map[uint32]bool{}, map[uint32]bool{}
		for asn := range uint32(networks) {
			share, both := 0.0001, a.rng.Float64() < 0.0015
			if a.rng.Float64() < 0.01 {
				share = 0.02 / math.Sqrt(1-0.96*a.rng.Float64()) // 2 % to 10 %, most of them below 3 %
			}
			bad[asn], balanced[asn] = both || share > 0.001, both
			a.network(s, asn, 600, share, both)
		}
		// Watched for too short a time: some bad, most not.
		for asn := uint32(networks); asn < networks+200; asn++ {
			share := 0.0001
			if asn%10 == 0 {
				share = 0.02
			}
			a.network(s, asn, 200, share, false)
		}
		r := s.Rows()
		if v := r.Summary[0].Verdicts; v[Stable] < networks*95/100 {
			t.Errorf("seed %d: %v; want nearly all of %d stable", seed, v, networks)
		}
		t.Logf("seed %d: %.0f minutes are needed; %v", seed, r.Summary[0].NeededMinutes, r.Summary[0].Verdicts)
		for i := range r.Rows {
			row := &r.Rows[i]
			asn := row.Group[1].Number
			if asn >= networks {
				if row.Verdict == Stable || row.Verdict == Unstable && asn%10 != 0 {
					t.Errorf("AS%d is %s after %.0f minutes", asn, row.Verdict, row.VIP.Minutes)
				}
				continue
			}
			switch found := row.Verdict == Unstable; {
			case found && bad[asn]:
				right++
			case found:
				wrong++
			case bad[asn]:
				missed++
			}
			if balanced[asn] != (row.Pattern == Balanced && row.Flips > 0) {
				t.Errorf("AS%d: balanced %v; want %v: %+v", asn, row.Pattern, balanced[asn], row)
			}
		}
		for _, f := range s.Flips() {
			if balanced[f.Group[1].Number] {
				flipsRight++
				balanced[f.Group[1].Number] = false
			} else {
				flipsWrong++
			}
		}
		for _, left := range balanced {
			if left {
				flipsMissed++
			}
		}
	}
	check := func(what string, right, wrong, missed int) {
		precision, recall := float64(right)/float64(right+wrong), float64(right)/float64(right+missed)
		t.Logf("figures: %s: %d found, %d wrongly, %d missed: precision %.3f, recall %.3f", what, right+wrong, wrong, missed, precision, recall)
		if !(precision >= 0.95 && recall >= 0.95) {
			t.Errorf("%s: precision %.3f, recall %.3f; want 0.95", what, precision, recall)
		}
	}
	check("unstable networks", right, wrong, missed)
	check("networks with flips", flipsRight, flipsWrong, flipsMissed)
}

// A verdict of "stable" is right about as often as it says, at the very number
// of minutes that it asks for.
func TestStabilityNeeded(t *testing.T) {
	c := DefaultStability()
	for _, groups := range []int{1, 100, 9000} {
		cutoff := c.FalseShare / float64(groups)
		minutes := c.needed(cutoff)
		rng := rand.New(rand.NewPCG(uint64(groups), 2))
		found, false0 := 0, 0
		const n = 4000
		for range n {
			if c.suspicion(poissonDraw(rng, perMinute(c.Alarm)*minutes), minutes) <= cutoff {
				found++
			}
			if c.suspicion(poissonDraw(rng, perMinute(c.Tolerable)*minutes), minutes) <= cutoff {
				false0++
			}
		}
		t.Logf("%d groups: %.0f minutes (%.0f downloads of 75 s): found %.3f, wrongly %.4f", groups, minutes, minutes/1.25, float64(found)/n, float64(false0)/n)
		if float64(found) < (c.Power-0.01)*n || float64(false0) > (cutoff+0.01)*n {
			t.Errorf("%d groups: found %d, wrongly %d of %d", groups, found, false0, n)
		}
	}
}

func poissonDraw(rng *rand.Rand, mean float64) (k int) {
	for p := rng.Float64(); p > math.Exp(-mean); k++ {
		p *= rng.Float64()
	}
	return k
}

// at adds a download of 75 s that began so many seconds after the first.
func (a *agents) at(s *Stability, second int, target edge.DownloadTarget, edit func(*edge.Download)) {
	a.record.Place = edge.Place{Country: "US", ASN: 64496}
	a.d = edge.Download{
		Agent: "a", Kind: edge.SlowDownload, Start: a.begin.Add(time.Duration(second) * time.Second), Target: target, Family: 4,
		Outcome: edge.DownloadOK, PoP: "iad", PoPEnd: "iad", Connect: 20, Duration: 75000,
	}
	edit(&a.d)
	s.Add(&a.record)
}

// What breaks connections is told apart.
func TestStabilityPatterns(t *testing.T) {
	fail := func(o edge.DownloadOutcome, ms float64) func(*edge.Download) {
		return func(d *edge.Download) { d.Outcome, d.Stage, d.Duration, d.PoPEnd = o, edge.DownloadBody, ms, d.PoP }
	}
	ok := func(*edge.Download) {}
	lax := func(d *edge.Download) { d.PoP, d.PoPEnd = "lax", "lax" }
	for name, c := range map[string]struct {
		do      func(a *agents, s *Stability)
		pattern Pattern
		course  Course
		verdict StabilityVerdict
	}{
		"well": {func(a *agents, s *Stability) {
			for i := range 2000 {
				a.at(s, 20*i, "vip:global", ok)
				a.at(s, 20*i, "pop:iad", ok)
			}
		}, NoPattern, NoFailures, Stable},
		"route moves once": {func(a *agents, s *Stability) {
			for i := range 2000 {
				switch second := 20 * i; {
				case second < 20000-75:
					a.at(s, second, "vip:global", ok)
				case second < 20000:
					a.at(s, second, "vip:global", fail(edge.DownloadReset, float64(20000-second)*1000))
				default:
					a.at(s, second, "vip:global", lax)
				}
			}
		}, Moved, Intermittent, Stable},
		"link is cut for an hour": {func(a *agents, s *Stability) {
			for i := range 2000 {
				switch second := 20 * i; {
				case second > 20000-75 && second < 20000:
					a.at(s, second, "vip:global", fail(edge.DownloadStall, 50000))
				case second >= 20000 && second < 23600:
					a.at(s, second, "vip:global", func(d *edge.Download) {
						d.Outcome, d.Stage, d.Connect, d.Duration, d.PoP, d.PoPEnd = edge.DownloadTimeout, edge.DownloadConnecting, 0, 0, "", ""
					})
				default:
					a.at(s, second, "vip:global", ok)
				}
			}
		}, PathCut, Intermittent, Stable},
		"server crashes": {func(a *agents, s *Stability) {
			for i := range 2000 {
				for _, target := range []edge.DownloadTarget{"vip:global", "pop:iad"} {
					if second := 20 * i; second > 20000-75 && second < 20000 {
						a.at(s, second, target, fail(edge.DownloadClosed, float64(20000-second)*1000))
					} else {
						a.at(s, second, target, ok)
					}
				}
			}
		}, AtPoP, Intermittent, Stable},
		"bad access line": {func(a *agents, s *Stability) {
			for i := range 2000 {
				for _, target := range []edge.DownloadTarget{"vip:global", "pop:iad"} {
					if i%20 == 0 {
						a.at(s, 20*i, target, fail(edge.DownloadStall, 30000))
					} else {
						a.at(s, 20*i, target, ok)
					}
				}
			}
		}, AtPoP, Continuous, UnicastToo},
		"packets balanced at 1 %": {func(a *agents, s *Stability) {
			for i := range 2000 {
				a.at(s, 20*i, "vip:global", fail(edge.DownloadReset, 20000*a.rng.Float64()))
				a.at(s, 20*i, "pop:iad", ok)
			}
		}, Balanced, Continuous, Unstable},
		"large packets vanish": {func(a *agents, s *Stability) {
			for i := range 2000 {
				a.at(s, 20*i, "vip:global", ok)
				if i%4 == 0 {
					a.at(s, 20*i, "vip:global", func(d *edge.Download) {
						d.Kind, d.Outcome, d.Stage = edge.BigDownload, edge.DownloadStall, edge.DownloadBody
					})
				}
			}
		}, BlackHole, NoFailures, Unstable},
		"IPv6 is bad, the VIP has none": {func(a *agents, s *Stability) {
			for i := range 2000 {
				broken := ok
				if i%20 == 0 {
					broken = fail(edge.DownloadReset, 30000)
				}
				a.at(s, 20*i, "vip:global", broken)
				a.at(s, 20*i, "pop:iad", ok)
				a.at(s, 20*i, "pop:iad", func(d *edge.Download) { broken(d); d.Family = 6 })
			}
		}, Balanced, Continuous, Unstable},
		"no way to the VIP": {func(a *agents, s *Stability) {
			for i := range 200 {
				a.at(s, 20*i, "vip:global", func(d *edge.Download) {
					d.Outcome, d.Stage, d.Connect, d.Duration, d.PoP, d.PoPEnd = edge.DownloadTimeout, edge.DownloadConnecting, 0, 0, "", ""
				})
				a.at(s, 20*i, "pop:iad", ok)
			}
		}, PathCut, NoFailures, Unstable},
		"no way anywhere": {func(a *agents, s *Stability) {
			for i := range 200 {
				for _, target := range []edge.DownloadTarget{"vip:global", "pop:iad"} {
					a.at(s, 20*i, target, func(d *edge.Download) {
						d.Outcome, d.Stage, d.Connect, d.Duration, d.PoP, d.PoPEnd = edge.DownloadRefused, edge.DownloadConnecting, 0, 0, "", ""
					})
				}
			}
		}, AtPoP, NoFailures, UnicastToo},
		"the agent is held up": {func(a *agents, s *Stability) {
			for i := range 2000 {
				a.at(s, 20*i, "vip:global", func(d *edge.Download) { d.Outcome, d.Stage, d.Lagged = edge.DownloadStall, edge.DownloadBody, true })
			}
		}, NoPattern, NoFailures, Stable},
		"not for long": {func(a *agents, s *Stability) {
			for i := range 10 {
				a.at(s, 20*i, "vip:global", ok)
			}
		}, NoPattern, NoFailures, TooFewHours},
	} {
		a := newAgents(1)
		s := NewStability([]Key{ByVIP, ByASN}, DefaultStability())
		c.do(a, s)
		r := s.Rows()
		if len(r.Rows) != 1 {
			t.Fatalf("%s: %d rows", name, len(r.Rows))
		}
		if g := r.Rows[0]; g.Pattern != c.pattern || g.Course != c.course || g.Verdict != c.verdict || g.Group[0].Text != "global" || g.Group[1].Number != 64496 {
			t.Errorf("%s: %q, %q, %q; want %q, %q, %q\n%+v", name, g.Verdict, g.Pattern, g.Course, c.verdict, c.pattern, c.course, g)
		}
	}
}

// The control is that of the PoPs that the VIP leads to; rates, their
// difference and ratio are those of the textbooks.
func TestStabilityControl(t *testing.T) {
	a := newAgents(1)
	s := NewStability([]Key{ByVIP}, DefaultStability())
	for i := range 100 {
		a.at(s, 100*i, "vip:global", func(d *edge.Download) {
			if i%25 == 0 {
				d.Outcome, d.Stage, d.Duration = edge.DownloadReset, edge.DownloadBody, 15000
			}
		})
		a.at(s, 100*i, "pop:iad", func(d *edge.Download) {
			if i == 50 {
				d.Outcome, d.Stage, d.Duration = edge.DownloadStall, edge.DownloadBody, 15000
			}
		})
		a.at(s, 100*i, "pop:gru", func(d *edge.Download) { d.Outcome, d.Stage, d.PoP = edge.DownloadReset, edge.DownloadBody, "gru" })
	}
	r := s.Rows()
	row := r.Rows[0]
	minutes, control := (96*75.0+4*15)/60, (99*75.0+15)/60
	low, high := poissonInterval(4)
	low0, high0 := poissonInterval(1)
	k1, k0 := 4/minutes, 1/control
	want := []float64{
		minutes, control, k1, low / minutes, high / minutes, k0, k1 - k0,
		k1 - k0 - math.Hypot(k1-low/minutes, high0/control-k0), k1 - k0 + math.Hypot(high/minutes-k1, k0-low0/control), k1 / k0,
	}
	got := []float64{
		row.VIP.Minutes, row.Unicast.Minutes, row.VIP.Rate.PerMinute, row.VIP.Rate.Low, row.VIP.Rate.High, row.Unicast.Rate.PerMinute,
		row.Excess.PerMinute, row.Excess.Low, row.Excess.High, row.Ratio,
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-9 {
			t.Errorf("figure %d: %v; want %v", i, got[i], want[i])
		}
	}
	if fmt.Sprint(r.Summary[0].Excess) != fmt.Sprint(row.Excess) || row.RatioLow > row.Ratio || row.RatioTop < row.Ratio {
		t.Errorf("%+v", r.Summary[0])
	}
}

// The cost of flips is that of the further PoP, by how often it answers.
func TestFlips(t *testing.T) {
	a := newAgents(1)
	s := NewStability([]Key{ByVIP, ByASN}, DefaultStability())
	for i := range 100 {
		a.at(s, 100*i, "vip:global", func(d *edge.Download) {
			d.Kind, d.Served = edge.LookDownload, []edge.PoPID{"iad", edge.Failed, "iad"}
			if i%10 == 0 {
				d.Served, d.Flips = []edge.PoPID{"iad", "lax"}, 1
			}
		})
		a.at(s, 100*i, "vip:global", func(d *edge.Download) {
			if i%10 == 0 {
				d.PoPEnd = "lax"
			}
			if i%10 == 1 {
				d.PoP, d.PoPEnd, d.Connect = "lax", "lax", 80
			}
		})
	}
	rows := s.Flips()
	if len(rows) != 1 {
		t.Fatalf("%d rows", len(rows))
	}
	f := rows[0]
	if f.Answers != 300 || f.Pairs != 100 || f.Flips != 10 || f.Within != 10 || f.Most != 20 || f.Between != [2]edge.PoPID{"iad", "lax"} || f.Share.Share != 0.1 {
		t.Errorf("%+v", f)
	}
	// 20 of 300 answers take 60 ms more.
	if math.Abs(f.CostMs-60*20.0/300) > 0.1 || math.Abs(f.PoPs[0].ConnectMs-20) > 0.3 || f.PoPs[1].Answers != 20 {
		t.Errorf("cost %v ms, %+v", f.CostMs, f.PoPs)
	}
}
