package sim

import (
	"fmt"
	"slices"

	"catchment/internal/sim/route"
	"catchment/internal/sim/topology"
)

// way is one of two walks that are compared, at the hop where they part.
type way struct {
	hops     []route.Hop
	at       int
	sessions []route.Session
}

func (y *way) hop() *route.Hop { return &y.hops[y.at] }

// end returns the session at the end of the walk, nil where there is no route.
func (y *way) end() *route.Session {
	if s := y.hops[len(y.hops)-1].Session; s >= 0 {
		return &y.sessions[s]
	}
	return nil
}

// why says what became of the old way and what is taken instead.
func (d *diff) why(before, after []route.Hop, at int) string {
	a := way{before, at, d.was}
	b := way{after, at, d.is}
	fate, taken := d.fate(&a), d.w.taken(&a, &b)
	if fate == "" {
		return taken
	}
	return fate + "; " + taken
}

// fate says what the edits did to the end of a walk; empty: nothing.
func (d *diff) fate(a *way) string {
	old := a.end()
	if old == nil {
		return ""
	}
	for i := 1; i < len(a.hops); i++ {
		x, y := a.hops[i-1].AS, a.hops[i].AS
		if slices.Contains(d.cuts, route.Cut{A: x, B: y}) || slices.Contains(d.cuts, route.Cut{A: y, B: x}) {
			return fmt.Sprintf("the link %s–%s is cut", d.w.asn(x), d.w.asn(y))
		}
	}
	pop, neighbor := d.w.popName(old.PoP), d.w.asn(old.Neighbor)
	announces := false
	for _, s := range d.is {
		if s.PoP != old.PoP {
			continue
		}
		announces = true
		if s.Neighbor != old.Neighbor {
			continue
		}
		switch {
		case s.Class != old.Class:
			return fmt.Sprintf("%s ranks the route of %s as a %s route, no longer as a %s route", neighbor, pop, className(s.Class), className(old.Class))
		case s.Prepend > old.Prepend:
			return fmt.Sprintf("longer path after prepending at %s", pop)
		case s.Prepend < old.Prepend:
			return fmt.Sprintf("shorter path with less prepending at %s", pop)
		case !slices.Equal(s.NoExport, old.NoExport) || (s.Scope == nil) != (old.Scope == nil) || s.Scope != nil && *s.Scope != *old.Scope:
			return fmt.Sprintf("%s passes the route of %s on to others than before", neighbor, pop)
		}
		return ""
	}
	if !announces {
		return fmt.Sprintf("%s no longer announces %s", pop, d.vip)
	}
	return fmt.Sprintf("%s no longer announces %s to %s", pop, d.vip, neighbor)
}

// className is what the class of a route is called to people: by whom it is
// learned from, seen from the AS that holds it.
func className(c route.Class) string {
	if c == route.FromProvider {
		return "transit"
	}
	return c.String()
}

func hops(n int) string {
	if n == 1 {
		return "1 hop"
	}
	return fmt.Sprintf("%d hops", n)
}

// taken says why an AS takes the second way and not the first.
func (w *World) taken(a, b *way) string {
	x, y := a.hop(), b.hop()
	as := w.asn(y.AS)
	from, to := a.end(), b.end()
	switch {
	case to == nil:
		return as + " has no route"
	case from == nil:
		return fmt.Sprintf("%s hears of the first route, a %s route to %s (%s)", as, className(y.Class), w.popName(to.PoP), hops(y.Length))
	}
	here, there := w.popName(to.PoP), w.popName(from.PoP)
	switch {
	case y.Why == route.Anomalous:
		return fmt.Sprintf("%s prefers %s, whatever relationship and length", as, w.asn(y.Next))
	case y.Class > x.Class:
		return fmt.Sprintf("%s prefers its %s route at %s (%s) to the %s route at %s (%s)",
			as, className(y.Class), here, hops(y.Length), className(x.Class), there, hops(x.Length))
	case y.Class < x.Class:
		return fmt.Sprintf("the best route left to %s is a %s route to %s (%s), not a %s route (%s)",
			as, className(y.Class), here, hops(y.Length), className(x.Class), hops(x.Length))
	case y.Length < x.Length:
		return fmt.Sprintf("%s takes the shorter %s route to %s (%s) rather than the one to %s (%s)",
			as, className(y.Class), here, hops(y.Length), there, hops(x.Length))
	case y.Length > x.Length:
		return fmt.Sprintf("the next best of %s is a longer %s route to %s (%s, not %d)", as, className(y.Class), here, hops(y.Length), x.Length)
	}
	return w.handOver(a, b)
}

// handOver says why an AS takes one of two equally good routes.
func (w *World) handOver(a, b *way) string {
	x, y := a.hop(), b.hop()
	as, city := w.asn(y.AS), w.Topology.Cities
	next := func(h *route.Hop, end *route.Session) string {
		if h.Next == topology.None {
			return w.popName(end.PoP)
		}
		return w.asn(h.Next)
	}
	to, from := next(y, b.end()), next(x, a.end())
	of := "its only route"
	if y.Candidates > 1 {
		of = fmt.Sprintf("%d equally good routes", y.Candidates)
	}
	switch {
	case y.Why == route.NoCommonMetro:
		return fmt.Sprintf("%s and %s have no common metro: it hands over in %s", as, to, city[y.Out].Name)
	case y.Why == route.Strayed:
		return fmt.Sprintf("%s does not go by distance in %s: of %s it takes %s in %s", as, city[y.In].Name, of, to, city[y.Out].Name)
	case y.Why == route.TieBroken && x.Out == y.Out:
		return fmt.Sprintf("%s is as good as %s to %s, and as near (%s): the tie goes to %s", to, from, as, city[y.Out].Name, to)
	case y.Candidates <= 1:
		return fmt.Sprintf("the only route of %s that is as good goes to %s, handed over in %s", as, to, city[y.Out].Name)
	}
	return fmt.Sprintf("of %s %s takes the nearest hand-over, to %s in %s (%.0f km; to %s in %s: %.0f km)",
		of, as, to, city[y.Out].Name, y.Km, from, city[x.Out].Name, x.Km)
}
