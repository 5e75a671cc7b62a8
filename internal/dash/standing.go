package dash

import (
	"fmt"

	"catchment/internal/analysis"
	"catchment/internal/edge"
)

// state says in a word how an answer came about; openapi.yaml has what each
// means.
type state string

const (
	ok       state = "ok"
	building state = "building"
	few      state = "few"
	nothing  state = "nothing"
	empty    state = "empty"
	stale    state = "stale"
	gone     state = "gone"
	none     state = "none"
)

// standing is the same with what to do, and which days the answer is of.
type standing struct {
	state    state
	hint     string
	from, to edge.Day // with page views; from > to: none
	days     int
}

// standingOf says how figures of some days stand, of which totals are the sums
// over what was selected.
func (d *Dash) standingOf(f *figures, days []*day, t *analysis.Totals) standing {
	s := standing{from: t.From, to: t.To, days: len(days)}
	switch {
	case f.trouble != "":
		s.state = stale
		s.hint = "The store cannot be read: " + f.trouble + ". These are the last figures. Look at the disk of `--data` and at the log of `catchment serve`; the page goes on by itself."
	case f.waiting != 0:
		s.state = building
		s.hint = fmt.Sprintf("The index is being made after a start: %d of %d days are there, the latest first. What is missing follows within minutes.", len(f.days), len(f.days)+max(0, f.waiting))
		if f.waiting < 0 {
			s.hint = "The store is being read for the first time since the start."
		}
	case len(f.days) == 0:
		s.state = empty
		s.hint = "No beacon was stored yet. Put `rum.js` into a page (see Docs, rum.js), or bring in what you have with `catchment import`; page views are here within half a minute."
	case t.Views == 0:
		s.state = nothing
		s.hint = fmt.Sprintf("There are no page views in these days or of what was selected. Stored are those from %s to %s; robots do not count.", f.days[0].day, f.days[len(f.days)-1].day)
	case judged(t) == 0:
		s.state = few
		s.hint = fmt.Sprintf("There are page views, but too few probes to judge any: at least two PoPs need %d of them, from five client prefixes, in one place and UTC day. "+
			"Where nothing is known of places, no view is judged: give `--geo`.", d.cfg.Criteria.MinSamples)
	default:
		s.state = ok
	}
	return s
}

// judged counts probes of schemes that could be judged.
func judged(t *analysis.Totals) (n uint64) {
	for k := range t.Probed {
		n += t.Probed[k] - t.Unjudged[k]
	}
	return n
}
