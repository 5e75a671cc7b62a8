package sim

import (
	"fmt"
	"slices"
	"strings"

	"catchment/internal/analysis"
	"catchment/internal/edge"
	"catchment/internal/sim/route"
	"catchment/internal/sim/topology"
)

// Explanation is how traffic of one network in one metro finds a VIP, and why
// not the PoP that would be best for it.
type Explanation struct {
	VIP    edge.VIPID
	ASN    uint32
	Name   string
	Metro  string
	Users  float64 // of the network there; 0: none, but it is present
	Path   Path    // to the VIP
	Best   Path    // to the own address of the PoP with the least RTT
	Own    float64 // RTT to the own address of the PoP reached, ms
	Good   bool    // the PoP reached is the best one or within the tolerance
	Reason string  // why the best PoP is not the one reached; empty: it is
}

// Path is a walk from a network to a PoP. PoP is empty where there is no route.
type Path struct {
	PoP  edge.PoPID
	RTT  float64 // ms, without the last mile
	Hops []Hop
}

// Hop is one network on a Path.
type Hop struct {
	ASN     uint32
	Name    string
	In, Out string  // metros
	Km      float64 // great circle from In to Out
	RTT     float64 // ms
	Class   string  // customer, peer or transit: whom it has the route from
	Length  int     // AS-path length of its route
	Choices int     // how many neighbors and sessions are equally good
	Why     string
	Next    uint32 // 0 at the end
}

// Explain walks from an AS in a metro to a VIP.
func (w *World) Explain(vip edge.VIPID, a topology.AS, m topology.Metro, tolerance analysis.Tolerance) (*Explanation, error) {
	sessions, err := w.Sessions(vip)
	if err != nil {
		return nil, err
	}
	t := w.Topology
	e := &Explanation{VIP: vip, ASN: t.ASNs[a], Name: t.Names[a], Metro: t.Cities[m].Name}
	for _, g := range t.Groups {
		if g.AS == a && g.Metro == m {
			e.Users = float64(g.Users)
		}
	}
	c := w.Network.Announce(sessions)
	reached := way{hops: c.Walk(a, m), sessions: c.Sessions()}
	e.Path = w.told(reached, c.Land(a, m).RTT)

	best, bestPoP := way{}, -1
	var least float32
	for i := range w.Fleet.PoPs {
		own := w.Network.Announce(w.Unicast(i))
		l := own.Land(a, m)
		if l.Session < 0 {
			continue
		}
		if end := reached.end(); end != nil && end.PoP == i {
			e.Own = float64(l.RTT)
		}
		if bestPoP < 0 || l.RTT < least {
			bestPoP, least = i, l.RTT
			best = way{hops: own.Walk(a, m), sessions: own.Sessions()}
		}
	}
	if bestPoP < 0 {
		e.Reason = "no PoP can be reached"
		return e, nil
	}
	e.Best = w.told(best, least)
	if end := reached.end(); end != nil {
		ms := float64(least)
		e.Good = end.PoP == bestPoP || e.Own <= ms+max(tolerance.Ms, tolerance.Share*ms)
		if end.PoP == bestPoP {
			return e, nil
		}
	}
	e.Reason = w.whyNot(vip, best, reached, bestPoP)
	return e, nil
}

// whyNot says why traffic goes the way to the VIP and not the one to the best
// PoP.
func (w *World) whyNot(vip edge.VIPID, best, reached way, pop int) string {
	announcers, _ := w.Announcers(vip)
	if _, announces := slices.BinarySearch(announcers, pop); !announces {
		return fmt.Sprintf("%s does not announce %s", w.popName(pop), vip)
	}
	neighbor := best.end().Neighbor
	i := slices.IndexFunc(reached.sessions, func(s route.Session) bool { return s.PoP == pop && s.Neighbor == neighbor })
	if i < 0 {
		return fmt.Sprintf("%s does not announce %s to %s", w.popName(pop), vip, w.asn(neighbor))
	}
	at := diverge(best.hops, reached.hops, best.sessions, reached.sessions)
	best.at, reached.at = max(at, 0), max(at, 0)
	why := w.taken(&best, &reached)
	if n := reached.sessions[i].Prepend; n > 0 {
		why += fmt.Sprintf("; %s prepends %d to %s", w.popName(pop), n, w.asn(neighbor))
	}
	// The gap that makes it so: where the traffic ends, the best PoP is not.
	if end := reached.end(); end != nil && !slices.ContainsFunc(reached.sessions, func(s route.Session) bool { return s.PoP == pop && s.Neighbor == end.Neighbor }) {
		why += fmt.Sprintf("; %s does not announce %s to %s", w.popName(pop), vip, w.asn(end.Neighbor))
	}
	return why
}

func (w *World) told(y way, rtt float32) Path {
	p := Path{RTT: float64(rtt)}
	end := y.end()
	if end != nil {
		p.PoP = w.Fleet.PoPs[end.PoP].ID
	}
	t := w.Topology
	for _, h := range y.hops {
		hop := Hop{
			ASN: t.ASNs[h.AS], Name: t.Names[h.AS], In: t.Cities[h.In].Name, Out: t.Cities[h.Out].Name, Km: h.Km, RTT: h.RTT,
			Class: className(h.Class), Length: h.Length, Choices: h.Candidates, Why: h.Why.String(),
		}
		if h.Next != topology.None {
			hop.Next = t.ASNs[h.Next]
		}
		p.Hops = append(p.Hops, hop)
	}
	return p
}

// FindGroup returns an AS by number, and a metro by name, if need be with the
// country and subdivision ("Birmingham", "Birmingham/GB", "Birmingham/US-AL");
// without a name, the metro where the AS has most users.
func FindGroup(t *topology.Topology, asn uint32, metro string) (topology.AS, topology.Metro, error) {
	a, ok := t.Find(asn)
	if !ok {
		return 0, 0, fmt.Errorf("sim: AS%d is not in the topology", asn)
	}
	if metro == "" {
		for m := range t.Footprint[a].All() {
			return a, mostUsers(t, a, m), nil
		}
	}
	var found []topology.Metro
	var names []string
	for i, c := range t.Cities {
		full := c.Name + "/" + c.Place.Country
		precise := full + "-" + c.Place.Subdivision
		if strings.EqualFold(metro, c.Name) || strings.EqualFold(metro, full) || strings.EqualFold(metro, precise) {
			found, names = append(found, topology.Metro(i)), append(names, precise)
		}
	}
	switch {
	case len(found) == 0:
		return 0, 0, fmt.Errorf("sim: there is no metro %q in the topology", metro)
	case len(found) > 1:
		return 0, 0, fmt.Errorf("sim: there are several metros %q: want one of %s", metro, strings.Join(names, ", "))
	case !t.Footprint[a].Has(found[0]):
		var has []string
		for m := range t.Footprint[a].All() {
			if len(has) == 10 {
				has = append(has, "…")
				break
			}
			has = append(has, t.Cities[m].Name)
		}
		return 0, 0, fmt.Errorf("sim: AS%d is not in %s (it is in %s)", asn, t.Cities[found[0]].Name, strings.Join(has, ", "))
	}
	return a, found[0], nil
}

// mostUsers returns the metro where an AS has most users, otherwise where it
// has none.
func mostUsers(t *topology.Topology, a topology.AS, otherwise topology.Metro) topology.Metro {
	var most float32
	for _, g := range t.Groups {
		if g.AS == a && g.Users > most {
			otherwise, most = g.Metro, g.Users
		}
	}
	return otherwise
}
