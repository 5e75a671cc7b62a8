package ramp

// Before is what the same units were like before the geography's share was
// raised from nothing: what differs then is chance. By the step that first
// treats them, the last stratum being for those that none does.
type Before struct {
	Cut    int     `json:"cut,omitempty"` // as in Stream
	Strata []Units `json:"strata,omitempty"`
}

// add adds a row's counts to the stratum of its bucket.
func (b *Before) add(p *Plan, r *Row, group int, n, y float64) {
	if b.Strata == nil {
		b.Strata = make([]Units, len(p.Steps)+1)
	}
	at := 0
	for at < len(p.Steps) && r.arm(p.Steps[at]) == Control {
		at++
	}
	b.Strata[at].add(group, n, y, 0, false)
}

// arm adds the sums of the units that are in an arm at a step to n and y.
func (b *Before) arm(a Arm, step int, n, y *[unitGroups]float64) {
	for i := range b.Strata {
		if s := &b.Strata[i]; (i <= step) == (a == Treatment) {
			for j := range s.N {
				n[j] += s.N[j]
				y[j] += s.Y[j]
			}
		}
	}
}
