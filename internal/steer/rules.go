package steer

import (
	"slices"

	"catchment/internal/edge"
)

// walk is how a decision is taken: Compile goes both ways at every fork and
// grows a forest of them, Explain goes one client's way and takes notes. What
// it explains is therefore what Lookup answers.
type walk interface {
	// fork asks a hash of the client whether it is below the mark.
	fork(f fork, what string, yes, no func() ref) ref
	// say notes why.
	say(format string, args ...any)
}

// rules decide for one service.
type rules struct {
	plan    *Plan
	pins    *pins
	service *edge.Service
	ramps   []fork    // by index of the snapshot's, without branches; below is 0 for other services
	sheds   []fork    // by PoP
	weights []float64 // by PoP; nil: the service has none
	shares  [][2]uint64

	answers []Answer
	numbers map[answerKey]ref
}

// answerKey is what an answer leads to.
type answerKey struct {
	pop    int16
	region int16
	global bool
}

func newRules(p *Plan, service *edge.Service, pins *pins) *rules {
	r := &rules{plan: p, pins: pins, service: service, numbers: map[answerKey]ref{}}
	for i := range p.snapshot.Ramps {
		x := &p.snapshot.Ramps[i]
		f := fork{salt: saltOf("ramp", x.Salt), granule: granuleOf(x.Granule)}
		if x.Service == service.Name {
			f.below = mark(x.Share)
		}
		r.ramps = append(r.ramps, f)
	}
	weighted := slices.ContainsFunc(p.snapshot.Weights, func(w edge.Weight) bool { return w.Service == service.Name })
	for i := range p.fleet.pops {
		pop := &p.fleet.pops[i]
		f := fork{salt: saltOf("shed", string(pop.ID))}
		if pop.shed != nil {
			f.below, f.granule = mark(pop.shed.Share), granuleOf(pop.shed.Granule)
		}
		r.sheds = append(r.sheds, f)
		if weighted {
			r.weights = append(r.weights, 1)
			r.shares = append(r.shares, saltOf("weight", service.Name+"\x00"+string(pop.ID)))
		}
	}
	if weighted {
		for _, w := range p.snapshot.Weights {
			if w.Service == service.Name {
				r.weights[p.fleet.byID[w.PoP]] = w.Weight
			}
		}
	}
	return r
}

func granuleOf(g edge.Granule) [2]uint8 {
	f := [2]uint8{granule4, granule6}
	if g.V4 != 0 {
		f[v4] = uint8(g.V4)
	}
	if g.V6 != 0 {
		f[v6] = uint8(g.V6)
	}
	return f
}

// client is what a decision needs to know of a client, but for its buckets.
type client struct {
	facts
	orderList, rampList []int16 // what facts has the numbers of
}

// decide returns what clients with these facts are given. A pin of the
// resolver comes first, then one of the client's prefix, the longest first,
// then one of its ASN, then the ramps in their order, then the service's own
// scheme.
func (r *rules) decide(w walk, x *client, resolver *edge.Pin) ref {
	if resolver != nil {
		w.say("resolver %v is pinned to %s", resolver.Resolver, pinned(resolver))
		return r.pin(w, x, resolver)
	}
	if pin := r.pins.first(x.pins, r.service.Name); pin != nil {
		w.say("client prefix %v is pinned to %s", pin.Client, pinned(pin))
		return r.pin(w, x, pin)
	}
	if pin := r.pins.first(x.networkPins, r.service.Name); pin != nil {
		w.say("AS%d is pinned to %s", pin.ASN, pinned(pin))
		return r.pin(w, x, pin)
	}
	return r.ramp(w, x, x.rampList)
}

func pinned(pin *edge.Pin) string {
	if pin.PoP != "" {
		return "PoP " + string(pin.PoP)
	}
	return "scheme " + string(pin.Scheme)
}

func (r *rules) pin(w walk, x *client, pin *edge.Pin) ref {
	if pin.PoP == "" {
		return r.scheme(w, x, pin.Scheme)
	}
	i := r.plan.fleet.byID[pin.PoP]
	if r.plan.fleet.unicast(i) {
		return r.popAnswer(i)
	}
	w.say("but %s is out", pin.PoP)
	return r.unicast(w, x)
}

// ramp asks the ramps that are left.
func (r *rules) ramp(w walk, x *client, left []int16) ref {
	for len(left) > 0 {
		i := left[0]
		left = left[1:]
		ramp, f := &r.plan.snapshot.Ramps[i], r.ramps[i]
		if f.below == 0 {
			continue
		}
		if ramp.Scheme == edge.Regional && x.region == none {
			w.say("ramp %s: no region serves this place, so that it is not for it", ramp.ID)
			continue
		}
		return w.fork(f, "ramp "+ramp.ID,
			func() ref { return r.scheme(w, x, ramp.Scheme) },
			func() ref { return r.ramp(w, x, left) })
	}
	return r.scheme(w, x, r.service.Scheme)
}

func (r *rules) scheme(w walk, x *client, s edge.Scheme) ref {
	w.say("scheme %s", s)
	switch s {
	case edge.Global:
		return r.anycast(w, x, edge.Global, r.globalAnswer())
	case edge.Regional:
		return r.regional(w, x)
	}
	return r.unicast(w, x)
}

// regional leads to the VIP of the place's region. Where there is none, the
// global VIP stands in, or else, as for a region that is dead, that of the
// nearest PoP's region.
func (r *rules) regional(w walk, x *client) ref {
	f := r.plan.fleet
	switch {
	case x.region != none && f.regions[x.region].alive:
		w.say("region %s serves this place", f.regions[x.region].ID)
		return r.anycast(w, x, edge.Regional, r.regionAnswer(x.region))
	case x.region == none && vipOf(r.plan.snapshot.Fleet, globalVIP) != nil:
		w.say("no region serves this place: the global VIP")
		return r.anycast(w, x, edge.Global, r.globalAnswer())
	case x.region == none && x.alternate != none:
		w.say("no region serves this place: that of the nearest PoP, %s", f.regions[x.alternate].ID)
		return r.regionAnswer(x.alternate)
	case x.alternate != none:
		w.say("region %s has no PoP left: that of the nearest PoP, %s", f.regions[x.region].ID, f.regions[x.alternate].ID)
		return r.regionAnswer(x.alternate)
	case x.region != none:
		w.say("no region has a PoP left: region %s serves this place", f.regions[x.region].ID)
		return r.regionAnswer(x.region)
	}
	w.say("no region has a PoP left: any will do")
	return r.regionAnswer(0)
}

// anycast leads to a VIP, but for clients that are known to reach a PoP by it
// which is drained or sheds: BGP cannot be told who is to go, DNS can. A PoP
// that is down withdraws its routes itself.
func (r *rules) anycast(w walk, x *client, s edge.Scheme, vip ref) ref {
	observed := x.observed[s.Index()]
	if observed == none {
		return vip
	}
	pop := &r.plan.fleet.pops[observed]
	candidates := r.candidates(x)
	switch {
	case pop.drain != nil && len(candidates) > 0:
		w.say("by %s these clients reach %s, which is drained: away from it by the address of another", s, pop.ID)
		return r.unicast(w, x)
	case pop.drain != nil:
		w.say("by %s these clients reach %s, which is drained, but no other has an address of its own", s, pop.ID)
		return vip
	case pop.down || pop.shed == nil:
		return vip
	}
	w.say("by %s these clients reach %s, which sheds", s, pop.ID)
	return r.giveUp(w, candidates, observed, vip)
}

// candidate is a PoP that unicast may lead to.
type candidate struct {
	pop    int16
	equals int // how many of the next candidates are as good
}

// candidates returns those of the service, nearest first: standbys only where
// there is nobody else.
func (r *rules) candidates(x *client) []candidate {
	list := x.orderList
	all := make([]candidate, 0, len(list)/2)
	standby := func(i int16) bool { return r.weights != nil && r.weights[i] == 0 }
	for i := 0; i < len(list); i += 2 {
		if standby(list[i]) {
			continue
		}
		c := candidate{pop: list[i]}
		for j := range int(list[i+1]) {
			if !standby(list[i+2+2*j]) {
				c.equals++
			}
		}
		all = append(all, c)
	}
	if len(all) > 0 {
		return all
	}
	for i := 0; i < len(list); i += 2 {
		all = append(all, candidate{pop: list[i]})
	}
	return all
}

// unicast leads to the best PoP by its own address, or, where the service has
// weights, to one of those that are as good.
func (r *rules) unicast(w walk, x *client) ref {
	candidates := r.candidates(x)
	if r.plan.fleet.openUnicast {
		w.say("every PoP with an address of its own is out: as if none were")
	}
	best := candidates[0]
	if r.weights == nil || best.equals == 0 {
		w.say("%s is the best PoP that can serve", r.plan.fleet.pops[best.pop].ID)
		return r.giveUp(w, candidates, best.pop, r.popAnswer(int(best.pop)))
	}
	equal := slices.Clone(candidates[:best.equals+1])
	slices.SortFunc(equal, func(a, b candidate) int { return int(a.pop) - int(b.pop) })
	w.say("%d PoPs are equally good, and divide clients by weight", len(equal))
	return r.divide(w, candidates, equal)
}

// divide asks PoP after PoP, each by a hash of its own: when one leaves, most
// clients of the others stay.
func (r *rules) divide(w walk, candidates, equal []candidate) ref {
	pop := equal[0].pop
	take := func() ref { return r.giveUp(w, candidates, pop, r.popAnswer(int(pop))) }
	if len(equal) == 1 {
		return take()
	}
	sum := 0.0
	for _, c := range equal {
		sum += r.weights[c.pop]
	}
	f := fork{salt: r.shares[pop], granule: [2]uint8{granule4, granule6}, below: mark(r.weights[pop] / sum)}
	return w.fork(f, "weight of "+string(r.plan.fleet.pops[pop].ID), take, func() ref { return r.divide(w, candidates, equal[1:]) })
}

// giveUp takes the share that pop sheds, if it does, to the best other PoP
// that does not shed itself: one that is loaded is not helped by the load of
// another.
func (r *rules) giveUp(w walk, candidates []candidate, pop int16, stay ref) ref {
	f := r.sheds[pop]
	if f.below == 0 {
		return stay
	}
	id := r.plan.fleet.pops[pop].ID
	for _, c := range candidates {
		if c.pop != pop && r.sheds[c.pop].below == 0 {
			return w.fork(f, "shed of "+string(id), func() ref {
				w.say("%s gives them up to %s", id, r.plan.fleet.pops[c.pop].ID)
				return r.popAnswer(int(c.pop))
			}, func() ref { return stay })
		}
	}
	w.say("%s sheds, but nobody else can take its clients", id)
	return stay
}
