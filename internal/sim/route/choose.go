package route

import (
	"math"

	"catchment/internal/sim/noise"
	"catchment/internal/sim/topology"
)

// Why says what decided where an AS sends its traffic.
type Why uint8

// The reasons, in the order of the choice.
const (
	NoRouteAtAll  Why = iota
	OnlyChoice        // one neighbor, or one session
	Nearest           // of several, the nearest hand-over
	TieBroken         // several at the same distance: router ids or age decide, here a hash
	Strayed           // distance did not count (Model.Stray)
	Anomalous         // neither relationship nor length counted (Model.Anomaly)
	NoCommonMetro     // the neighbor is in none of the AS's metros: handed over in the neighbor's nearest
)

// String returns the reason in words.
func (w Why) String() string {
	return [...]string{
		"no route", "only choice", "nearest hand-over", "equally near, tie broken",
		"distance ignored", "preference of its own", "no common metro",
	}[w]
}

// choice is one AS's decision about traffic that entered in one metro.
type choice struct {
	next       topology.AS // None: delivers over session
	session    int32       // index into control.sessions, or −1
	out        topology.Metro
	km         float32
	why        Why
	candidates int // equally good neighbors and sessions
}

// choose decides for traffic of a that is in metro m: among all equally good
// neighbors and sessions, the nearest hand-over.
func (c *Catchment) choose(a topology.AS, m topology.Metro) choice {
	best := choice{next: topology.None, session: -1, km: math.MaxFloat32}
	if c.c.ranks[a] == 0 {
		return best
	}
	seed, asn := c.n.model.Seed, uint64(c.n.t.ASNs[a])
	from, to := c.c.at(a)
	if c.anomalous(a) {
		return c.preference(a, m)
	}
	neighbors := c.neighbors(a)
	if from == to && len(neighbors) == 1 {
		best = c.via(a, m, neighbors[0])
		if best.candidates = 1; best.why != NoCommonMetro {
			best.why = OnlyChoice
		}
		return best
	}

	strays := -1 // not known yet
	var bestKey, bestHash uint64
	hashed := false
	n := 0
	take := func(d choice, key uint64) {
		n++
		if n == 1 {
			best, bestKey = d, key
			return
		}
		if strays < 0 {
			strays = 0
			if noise.Uniform(noise.At(seed, noise.Stray, asn, uint64(m))) < c.n.model.Stray {
				strays = 1
			}
		}
		kind := noise.Tie
		switch {
		case strays == 1:
			kind = noise.StrayPick
		case d.km > best.km:
			return
		case d.km < best.km:
			best, bestKey, hashed = d, key, false
			best.why = Nearest
			return
		}
		// The least hash wins, so that others coming or going does not matter.
		// Ties are broken alike in all metros, strays each on their own.
		hash := func(key uint64) uint64 {
			if kind == noise.StrayPick {
				return noise.At(seed, kind, asn, key, uint64(m))
			}
			return noise.At(seed, kind, asn, key)
		}
		if !hashed {
			bestHash, hashed = hash(bestKey), true
		}
		best.why = TieBroken
		if h := hash(key); h < bestHash {
			best, bestKey, bestHash = d, key, h
			best.why = TieBroken
		}
	}
	for i := from; i < to; i++ {
		s := &c.c.sessions[i]
		if rankOf(s.Class, 1+s.Prepend) != c.c.ranks[a] {
			continue
		}
		take(c.over(m, i), s.key())
	}
	for _, y := range neighbors {
		take(c.via(a, m, y), uint64(c.n.t.ASNs[y]))
	}
	best.candidates = n
	switch {
	case strays == 1:
		best.why = Strayed
	case best.why == NoRouteAtAll && n == 1:
		best.why = OnlyChoice
	case best.why == NoRouteAtAll:
		best.why = Nearest
	}
	return best
}

// via returns how a hands traffic that is in m over to its neighbor y: in the
// nearest metro that both are in.
func (c *Catchment) via(a topology.AS, m topology.Metro, y topology.AS) choice {
	fa, fy := &c.n.t.Footprint[a], &c.n.t.Footprint[y]
	d := choice{next: y, session: -1}
	if !c.c.guarded.has(y) {
		if fa.Has(m) && fy.Has(m) {
			d.out = m
			return d
		}
		both := fa.And(fy)
		d.out, d.km = c.n.nearest(m, &both)
	} else {
		both := fa.And(fy)
		c.passedOn(a, y, &both)
		d.out, d.km = c.n.nearest(m, &both)
	}
	if d.out == topology.None {
		d.out, d.km = c.n.nearest(m, fy)
		d.why = NoCommonMetro
	}
	return d
}

// passedOn leaves of the metros where a meets y those where y passes on to a
// what y itself uses there. If that is nowhere, y carries the traffic all the
// same: it did pass a route on.
func (c *Catchment) passedOn(a, y topology.AS, meet *topology.Metros) {
	from, to := c.c.at(y)
	restricted := false
	for i := from; i < to; i++ {
		restricted = restricted || c.c.sessions[i].restricted()
	}
	if !restricted {
		return
	}
	var open topology.Metros
	for h := range meet.All() {
		i := c.node(y, h)
		if c.nodes[i].stage == undecided {
			c.decide(i)
		}
		if s := c.nodes[i].session; s >= 0 {
			var here topology.Metros
			here.Add(h)
			if !c.c.sessions[s].exports(a, &here) {
				continue
			}
		}
		open.Add(h)
	}
	if !open.Empty() {
		*meet = open
	}
}

// over returns how traffic that is in m is delivered over session i.
func (c *Catchment) over(m topology.Metro, i int) choice {
	out := c.c.sessions[i].Metro
	return choice{next: topology.None, session: int32(i), out: out, km: c.n.kmFrom(m)[out]}
}

// neighbors returns the neighbors from which a has equally good routes.
func (c *Catchment) neighbors(a topology.AS) []topology.AS {
	of, known := c.tied.get(a)
	if !known {
		of = c.tied.put(a, c.c.sources(a))
	}
	return of
}

// anomalous reports whether a ignores relationship and length. Only ASes that
// pass nothing on may, so that routes still converge.
func (c *Catchment) anomalous(a topology.AS) bool {
	if c.n.model.Anomaly == 0 || c.n.transit.has(a) || c.c.ranks[a].class() == FromCustomer {
		return false
	}
	bits := noise.At(c.n.model.Seed, noise.Anomaly, uint64(c.n.t.ASNs[a]))
	return noise.Uniform(bits) < c.n.model.Anomaly
}

// preference decides for an anomalous AS: of all that offer it a route, the
// one with the least hash.
func (c *Catchment) preference(a topology.AS, m topology.Metro) choice {
	var neighbor topology.AS = topology.None
	session, least := -1, uint64(math.MaxUint64)
	first := func(key uint64) bool {
		h := noise.At(c.n.model.Seed, noise.AnomalyPick, uint64(c.n.t.ASNs[a]), key)
		if h >= least {
			return false
		}
		least = h
		return true
	}
	for i, to := c.c.at(a); i < to; i++ {
		if first(c.c.sessions[i].key()) {
			session = i
		}
	}
	for _, y := range c.n.t.Providers.Of(a) {
		if c.c.ranks[y] != 0 && c.c.exports(y, a) && first(uint64(c.n.t.ASNs[y])) {
			neighbor = y
		}
	}
	for _, y := range c.n.t.Peers.Of(a) {
		if c.c.ranks[y].class() == FromCustomer && c.c.exports(y, a) && first(uint64(c.n.t.ASNs[y])) {
			neighbor = y
		}
	}
	var d choice
	if neighbor != topology.None {
		d = c.via(a, m, neighbor)
	} else {
		d = c.over(m, session)
	}
	d.why, d.candidates = Anomalous, 1
	return d
}
