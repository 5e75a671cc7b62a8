package demo

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"catchment/internal/edge"
	"catchment/internal/sim"
)

// Visitor is the user of the demo's world for whom whoever opens the page is
// taken, so that their page view can be told like the others.
type Visitor struct {
	w     *World
	group int
	line  float64 // ms of the access line
}

// Visitor returns a user in a place, a country (BR) or a subdivision (US-AZ):
// one of those who lose most by global anycast there. The error says that
// nobody lives there.
func (w *World) Visitor(place string) (*Visitor, error) {
	country, subdivision, _ := strings.Cut(strings.ToUpper(place), "-")
	best, most := -1, -1.0
	var shares []sim.Share
	for i, g := range w.Topology.Groups {
		at := w.Topology.Cities[g.Metro].Place
		if at.Country != country || subdivision != "" && at.Subdivision != subdivision {
			continue
		}
		_, least := w.Outcome.Best(i)
		loss := 0.0
		for _, s := range w.assigned(&shares, i, edge.Global) {
			loss += s.Share * float64(w.Outcome.RTT(i, s.PoP)-least)
		}
		if loss *= float64(g.Users); loss > most {
			best, most = i, loss
		}
	}
	if best < 0 {
		return nil, fmt.Errorf("demo: nobody lives in %q (want a country, such as BR, or a subdivision, such as US-AZ)", place)
	}
	return &Visitor{w, best, w.lastMile(best)}, nil
}

// lastMile returns the ms of an access line of a group that is slow enough for
// the demo: delays are those of answers, and connections are made at once. The
// script disbelieves a connect that is far below the downloads, but not by less
// than 10 ms.
func (w *World) lastMile(group int) float64 {
	const least = 15
	for i := range w.People.Lines(group) {
		if ms := w.People.Line(group, i).LastMile; ms >= least {
			return ms
		}
	}
	return least
}

// assigned is Outcome.Assigned for those who reach a PoP.
func (w *World) assigned(buf *[]sim.Share, group int, s edge.Scheme) []sim.Share {
	*buf = w.Outcome.Assigned(*buf, group, s)
	reached := (*buf)[:0]
	for _, x := range *buf {
		if x.PoP >= 0 {
			reached = append(reached, x)
		}
	}
	return reached
}

// Lookup implements the collector's look-up: whoever asks is the visitor.
func (v *Visitor) Lookup(netip.Addr) edge.Place {
	g := v.w.Topology.Groups[v.group]
	p := v.w.Topology.Cities[g.Metro].Place
	p.ASN, p.ASName = v.w.Topology.ASNs[g.AS], v.w.Topology.Names[g.AS]
	return p
}

// RTT returns how far a PoP, by its index in the fleet, is from the visitor.
func (v *Visitor) RTT(pop int) time.Duration {
	return time.Duration((float64(v.w.Outcome.RTT(v.group, pop)) + v.line) * float64(time.Millisecond))
}

// Reached returns the index of the PoP that a scheme leads the visitor to, and
// the VIP that does (none under unicast); -1 for nowhere. Where DNS treats the
// users of the network differently, the visitor is of the most.
func (v *Visitor) Reached(s edge.Scheme) (pop int, vip edge.VIPID) {
	var shares []sim.Share
	pop, most := -1, 0.0
	for _, x := range v.w.assigned(&shares, v.group, s) {
		if x.Share > most {
			pop, vip, most = x.PoP, x.VIP, x.Share
		}
	}
	return pop, vip
}
