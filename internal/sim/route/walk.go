package route

import "catchment/internal/sim/topology"

// Hop is one AS on the way to a PoP, and why it sends traffic where it does.
type Hop struct {
	AS         topology.AS
	In, Out    topology.Metro // enters or starts in In, is handed over in Out
	Class      Class          // of the routes it chooses among
	Length     int            // their AS-path length
	Km         float64        // great circle from In to Out
	RTT        float64        // ms from In to Out
	Candidates int            // how many neighbors and sessions are equally good
	Why        Why
	Next       topology.AS // None at the last hop
	Session    int         // index into Sessions at the last hop, else −1
}

// Walk returns the path of traffic of a that enters it, or starts, in metro m,
// hop by hop. The last hop has a session, unless there is no route at all:
// then it is the only one.
func (c *Catchment) Walk(a topology.AS, m topology.Metro) []Hop {
	var hops []Hop
	for {
		d := c.choose(a, m)
		class, length := c.Route(a)
		h := Hop{
			AS: a, In: m, Out: d.out, Class: class, Length: length,
			Candidates: d.candidates, Why: d.why, Next: d.next, Session: -1,
		}
		if d.why == NoRouteAtAll {
			h.Out = m
			return append(hops, h)
		}
		h.Km, h.RTT = float64(d.km), float64(c.n.segmentRTT(a, m, d.out))
		if d.session >= 0 {
			h.Session = int(c.c.given[d.session])
		}
		hops = append(hops, h)
		if d.next == topology.None {
			return hops
		}
		a, m = d.next, d.out
	}
}
