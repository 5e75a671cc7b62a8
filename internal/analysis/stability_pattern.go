package analysis

import "math"

// Course says how failures lie in time.
type Course string

// The courses.
const (
	NoFailures   Course = ""
	Few          Course = "few" // one or two, of which there is nothing to say
	Continuous   Course = "continuous"
	Intermittent Course = "intermittent"
)

// courseSpans is in how many parts the time watched is cut to see whether
// failures come at all times.
const courseSpans = 24

// course compares in how many parts of the time something failed with how many
// there would be if failures came at random: half as many are not continuous.
func (c *connections) course() Course {
	switch {
	case c.broken == 0:
		return NoFailures
	case c.broken < leastEpisodes:
		return Few
	}
	seconds := max(1, (c.to-c.from+courseSpans)/courseSpans)
	spans := float64((c.to-c.from)/seconds + 1)
	expected := spans * -math.Expm1(float64(c.broken)*math.Log1p(-1/spans))
	if spans == 1 || float64(c.spread(seconds)) < expected/2 {
		return Intermittent
	}
	return Continuous
}

// Pattern is the most likely reason of failures, by what they look like.
type Pattern string

// The patterns.
const (
	NoPattern Pattern = ""
	BlackHole Pattern = "mtu black hole"   // small packets pass, full-size ones never do
	AtPoP     Pattern = "pop"              // the PoP's own address failed at the same time: a server, or the way to its site
	Balanced  Pattern = "packets balanced" // connections are reset all the time, as packets of one reach several PoPs
	Moved     Pattern = "route moved"      // resets at one time, or some; and another PoP after that
	PathCut   Pattern = "path cut"         // silence
	Unclear   Pattern = "unclear"
)

// leastSwallowed is how many bursts must have vanished.
const leastSwallowed = 2

func (j *judging) pattern() Pattern {
	c := &j.vip.connections
	switch {
	case c.blackHole():
		return BlackHole
	case c.torn+c.silent == 0:
		return NoPattern
	case j.shared():
		return AtPoP
	case c.torn > c.silent && (c.course() == Continuous || j.mixed()):
		return Balanced
	case c.torn > c.silent && len(j.vip.served) > 1:
		return Moved
	case c.silent > c.torn:
		return PathCut
	}
	return Unclear
}

// blackHole reports whether most bursts of full-size packets vanish.
func (c *connections) blackHole() bool {
	return c.swallowed >= leastSwallowed && 2*c.swallowed > c.big
}

// unreachable reports whether most connections never come about.
func (c *connections) unreachable() bool { return c.unmade > c.downloads+c.big }

// shared reports whether most trouble comes within a minute of some of the
// control, which has about as much: not surely less than half.
func (j *judging) shared() bool {
	near, bad, beside, badThere := map[int64]bool{}, 0.0, 0.0, 0.0
	for minute, n := range j.control.trouble {
		near[minute-1], near[minute], near[minute+1] = true, true, true
		badThere += float64(n)
	}
	for minute, n := range j.vip.trouble {
		bad += float64(n)
		if near[minute] {
			beside += float64(n)
		}
	}
	if badThere == 0 || 2*beside < bad {
		return false
	}
	low, _ := ratioInterval(bad, float64(j.vip.tries), badThere, float64(j.control.tries))
	return low <= 2
}

// mixed reports whether connections in a row go to different PoPs, or fail
// among others that do not, as a matter of course: in one of twenty.
func (j *judging) mixed() bool {
	c := j.vip
	return 20*c.flips > c.pairs && c.flips >= leastEpisodes || 20*c.missed > c.looked && c.missed >= leastEpisodes && c.looked > 0
}
