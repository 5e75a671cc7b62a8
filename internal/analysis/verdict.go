package analysis

// Verdict says what to do about a group, going by one scheme against unicast.
type Verdict string

// The verdicts. None is for a scheme that was not probed at all.
const (
	UseAnycast Verdict = "anycast"   // clearly more views are optimal under the scheme
	UseDNS     Verdict = "dns"       // clearly fewer are
	NoChange   Verdict = "no change" // the difference is known well, and small or not clear of the margin
	TooFew     Verdict = "too few"   // the difference is not known to within the margin
	None       Verdict = ""
)

// DefaultMargin is five points: a difference that a change of routing is worth.
const DefaultMargin = 0.05

// Verdict compares the whole interval with the margin (a share: 0.05 is five
// points). It is UseAnycast or UseDNS only if all of it lies beyond.
func (d Difference) Verdict(margin float64) Verdict {
	switch {
	case !d.probed:
		return None
	case d.Low > margin:
		return UseAnycast
	case d.High < -margin:
		return UseDNS
	case !(d.half <= margin): // NaN: nothing could be compared
		return TooFew
	default:
		return NoChange
	}
}
