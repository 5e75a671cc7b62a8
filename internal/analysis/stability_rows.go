package analysis

import (
	"cmp"
	"math"
	"slices"

	"catchment/internal/edge"
)

// StabilityRow is a VIP as seen from one group.
type StabilityRow struct {
	Group    []Label
	Verdict  StabilityVerdict
	Pattern  Pattern
	Course   Course
	VIP      Survival
	Unicast  Survival // over the own addresses of the PoPs that the VIP led to
	Excess   Rate     // the VIP's rate less unicast's
	RatioLow float64  // of the two rates, with its 95 % interval
	Ratio    float64
	RatioTop float64
	Chance   float64 // of so many failures in a group that is tolerable
	Within   uint64  // downloads that another PoP ended than began
	Pairs    uint64  // of connections in a row
	Flips    uint64  // of those: to different PoPs
}

// Survival is how connections to a target fared.
type Survival struct {
	Downloads uint64
	Minutes   float64 // watched
	Broken    uint64  // of Downloads
	Episodes  uint64  // minutes in which some broke
	Rate      Rate
	Outcomes  map[edge.DownloadOutcome]uint64
	Unmade    uint64 // that were never connected
	Big       uint64 // bursts of full-size packets
	Swallowed uint64 // of those: nothing arrived
}

func (c *connections) survival() Survival {
	return Survival{
		Downloads: c.downloads, Minutes: c.minutes(), Broken: c.broken, Episodes: uint64(c.episodes()), Rate: c.rate(),
		Outcomes: c.outcomes, Unmade: c.unmade, Big: c.big, Swallowed: c.swallowed,
	}
}

// StabilitySummary is the answer for a VIP.
type StabilitySummary struct {
	VIP           edge.VIPID
	Groups        int
	Verdicts      map[StabilityVerdict]int
	Survival      Survival
	Unicast       Survival
	Excess        Rate
	Ratio         Rate    // PerMinute is the ratio
	NeededMinutes float64 // of connection, for a group to be called stable
}

// StabilityReport is what Rows returns.
type StabilityReport struct {
	Rows    []StabilityRow // unstable ones first, the highest rates first
	Summary []StabilitySummary
}

// judging is a row in the making.
type judging struct {
	group   stabilityGroup
	vip     *vipCell
	control *connections
}

// Rows judges all groups, and the VIPs by them.
func (s *Stability) Rows() StabilityReport {
	all, reached := make([]judging, 0, len(s.vips)), s.reached()
	chances := make([]float64, 0, len(s.vips))
	for g, c := range s.vips {
		all = append(all, judging{g, c, s.control(g, c, reached[g.vip])})
		chances = append(chances, s.criteria.suspicion(c.episodes(), c.minutes()))
	}
	cutoff := s.criteria.cutoff(chances)
	needed := s.criteria.needed(cutoff)
	var out StabilityReport
	type sums struct {
		StabilitySummary
		vip, unicast *connections
		hit, missed  int // episodes
	}
	vips := map[edge.VIPID]*sums{}
	for i := range all {
		j := &all[i]
		row := j.row(s.by)
		row.Chance = chances[i]
		row.Verdict = s.criteria.verdict(j, chances[i] <= cutoff, needed)
		out.Rows = append(out.Rows, row)
		v := vips[j.group.vip]
		if v == nil {
			v = &sums{
				StabilitySummary: StabilitySummary{VIP: j.group.vip, Verdicts: map[StabilityVerdict]int{}, NeededMinutes: needed},
				vip:              newConnections(), unicast: newConnections(),
			}
			vips[j.group.vip] = v
		}
		v.Groups++
		v.Verdicts[row.Verdict]++
		v.vip.join(&j.vip.connections)
		v.unicast.join(j.control)
		v.hit += j.vip.episodes()
		v.missed += j.control.episodes()
	}
	for _, v := range vips {
		v.Survival, v.Unicast = v.vip.survival(), v.unicast.survival()
		// Minutes of different groups are different episodes.
		v.Survival.Episodes, v.Unicast.Episodes = uint64(v.hit), uint64(v.missed)
		v.Survival.Rate, v.Unicast.Rate = rateAgain(&v.Survival), rateAgain(&v.Unicast)
		v.Excess = v.Survival.Rate.minus(v.Unicast.Rate)
		v.Ratio = ratioOf(&v.Survival, &v.Unicast)
		out.Summary = append(out.Summary, v.StabilitySummary)
	}
	slices.SortFunc(out.Summary, func(a, b StabilitySummary) int { return cmp.Compare(a.VIP, b.VIP) })
	order := []StabilityVerdict{Unstable, UnicastToo, Stable, TooFewHours}
	slices.SortFunc(out.Rows, func(a, b StabilityRow) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Verdict), slices.Index(order, b.Verdict)),
			cmp.Compare(b.VIP.Rate.PerMinute, a.VIP.Rate.PerMinute), cmp.Compare(b.VIP.Swallowed, a.VIP.Swallowed), compareLabels(a.Group, b.Group))
	})
	return out
}

func rateAgain(v *Survival) Rate {
	return rateOf(float64(v.Broken), float64(v.Episodes), v.Minutes)
}

// ratioOf is NaN where one of them was not watched, and +Inf where unicast
// never failed.
func ratioOf(vip, unicast *Survival) Rate {
	nan := math.NaN()
	if vip.Minutes == 0 || unicast.Minutes == 0 || vip.Broken+unicast.Broken == 0 {
		return Rate{nan, nan, nan}
	}
	low, high := ratioInterval(float64(vip.Episodes), vip.Minutes, float64(unicast.Episodes), unicast.Minutes)
	return Rate{vip.Rate.PerMinute / unicast.Rate.PerMinute, low, high}
}

// control is what the same group saw over the own addresses, of the VIP's
// families, of the PoPs that the VIP led it to; if it led to none, of those that it leads others to; and
// if there is no such, of all PoPs.
func (s *Stability) control(g stabilityGroup, c *vipCell, others map[edge.PoPID]bool) *connections {
	pops := s.controls[g.at]
	sum := newConnections()
	for _, choose := range []func(edge.PoPID) bool{
		func(p edge.PoPID) bool { return c.served[p] != nil },
		func(p edge.PoPID) bool { return others[p] },
		func(edge.PoPID) bool { return true },
	} {
		sum = newConnections()
		for p, o := range pops {
			if c.asked[p.family] && choose(p.pop) {
				sum.join(o)
			}
		}
		if sum.ms > 0 {
			break
		}
	}
	return sum
}

// reached are the PoPs that each VIP leads anybody to.
func (s *Stability) reached() map[edge.VIPID]map[edge.PoPID]bool {
	all := map[edge.VIPID]map[edge.PoPID]bool{}
	for g, c := range s.vips {
		if all[g.vip] == nil {
			all[g.vip] = map[edge.PoPID]bool{}
		}
		for p := range c.served {
			all[g.vip][p] = true
		}
	}
	return all
}

func (j *judging) row(by []Key) StabilityRow {
	row := StabilityRow{
		Group: j.group.labels(by), VIP: j.vip.survival(), Unicast: j.control.survival(),
		Within: j.vip.moved, Pairs: j.vip.pairs, Flips: j.vip.flips,
		Course: j.vip.course(), Pattern: j.pattern(),
	}
	row.Excess = row.VIP.Rate.minus(row.Unicast.Rate)
	ratio := ratioOf(&row.VIP, &row.Unicast)
	row.Ratio, row.RatioLow, row.RatioTop = ratio.PerMinute, ratio.Low, ratio.High
	return row
}
