package analysis

import (
	"math"
	"slices"
)

// StabilityCriteria say what is stable.
type StabilityCriteria struct {
	// Tolerable is the share of downloads of 75 s that may fail: a group is
	// unstable where it is surely more. Alarm is the share that must be found:
	// a group is stable only if it was watched for so long that this would have
	// been.
	Tolerable, Alarm float64
	// FalseShare is how many of the groups called unstable may be wrong
	// (Benjamini and Hochberg, Journal of the Royal Statistical Society B 57,
	// 1995); Power the probability of finding one that is at Alarm.
	FalseShare, Power float64
}

// DefaultStability finds what fails in one of fifty downloads of 75 s, where
// one in ten thousand is usual.
func DefaultStability() StabilityCriteria {
	return StabilityCriteria{Tolerable: 0.002, Alarm: 0.02, FalseShare: 0.05, Power: 0.95}
}

// perMinute is the rate at which such a share of downloads of 75 s fails.
func perMinute(share float64) float64 { return -math.Log1p(-share) / 1.25 }

// StabilityVerdict is what there is to say of TCP over a VIP from a group.
type StabilityVerdict string

// The verdicts.
const (
	Stable      StabilityVerdict = "stable"
	Unstable    StabilityVerdict = "unstable"
	UnicastToo  StabilityVerdict = "unicast too" // connections fail, and no less to the PoPs' own addresses
	TooFewHours StabilityVerdict = "too few"     // not watched for long enough
)

// leastEpisodes are the minutes with failures below which nothing is called
// unstable: one or two may be one thing that happened.
const leastEpisodes = 3

// suspicion is the probability of so many episodes, or more, in a group that
// fails no more than is tolerable.
func (c StabilityCriteria) suspicion(episodes int, minutes float64) float64 {
	if episodes < leastEpisodes {
		return 1
	}
	return gammaShare(float64(episodes), perMinute(c.Tolerable)*minutes)
}

// cutoff is the greatest suspicion that is called unstable, of all groups'; a
// group of its own would need at most that, if none is.
func (c StabilityCriteria) cutoff(suspicions []float64) float64 {
	p := slices.Sorted(slices.Values(suspicions))
	for k := len(p); k > 0; k-- {
		if limit := c.FalseShare * float64(k) / float64(len(p)); p[k-1] <= limit {
			return limit
		}
	}
	return c.FalseShare / float64(max(1, len(p)))
}

// needed is the least number of minutes of connection in which a group at
// Alarm shows enough episodes for the cutoff with probability Power. The more
// minutes, the more episodes it takes: the first number of episodes for which
// both can be had.
func (c StabilityCriteria) needed(cutoff float64) float64 {
	for k := float64(leastEpisodes); k < 1e4; k++ {
		most := gammaQuantile(cutoff, k) / perMinute(c.Tolerable)
		if least := gammaQuantile(c.Power, k) / perMinute(c.Alarm); least <= most {
			return least
		}
	}
	return math.Inf(1)
}

// verdict is that of a group, suspect if it breaks more than is tolerable.
func (c StabilityCriteria) verdict(j *judging, suspect bool, needed float64) StabilityVerdict {
	vip := &j.vip.connections
	unless := func(too bool) StabilityVerdict {
		if too {
			return UnicastToo
		}
		return Unstable
	}
	switch {
	case vip.blackHole() && vip.swallowed >= leastEpisodes:
		return unless(j.control.blackHole())
	case vip.unreachable() && len(vip.trouble) >= leastEpisodes:
		return unless(j.control.unreachable())
	case suspect:
		return unless(c.alike(vip, j.control))
	case vip.minutes() < needed:
		return TooFewHours
	}
	return Stable
}

// alike reports whether the control fails as well: it is beyond the tolerable,
// and the VIP's rate not surely higher.
func (c StabilityCriteria) alike(vip, control *connections) bool {
	if gammaShare(float64(control.episodes()), perMinute(c.Tolerable)*control.minutes()) > 0.05 || control.episodes() == 0 {
		return false
	}
	low, _ := ratioInterval(float64(vip.episodes()), vip.minutes(), float64(control.episodes()), control.minutes())
	return low <= 1
}
