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
	if c.c.ranks[a] == 0 {
		return choice{next: topology.None, session: -1}
	}
	if c.anomalous(a) {
		return c.preference(a, m)
	}
	from, to := c.c.at(a)
	neighbors := c.neighbors(a)
	if from == to && len(neighbors) == 1 {
		d := c.via(a, m, neighbors[0])
		if d.candidates = 1; d.why != NoCommonMetro {
			d.why = OnlyChoice
		}
		return d
	}
	x := contest{n: c.n, asn: uint64(c.n.t.ASNs[a]), metro: m}
	for i := from; i < to; i++ {
		s := &c.c.sessions[i]
		if rankOf(s.Class, 1+s.Prepend) == c.c.ranks[a] {
			x.enter(c.over(m, i), s.key())
		}
	}
	for _, y := range neighbors {
		x.enter(c.via(a, m, y), uint64(c.n.t.ASNs[y]))
	}
	return x.winner()
}

// contest finds the best of several choices. An AS that strays takes any
// neighbor, or the fleet, first, and then the nearest of the fleet's sessions;
// others look at distance at once. The least hash wins where it comes to that,
// so that others coming or going does not matter: ties are broken alike in all
// metros, strays go each their own way.
type contest struct {
	n       *Network
	asn     uint64
	metro   topology.Metro
	strays  bool
	entered int
	best    choice
	key     uint64 // of best
}

func (x *contest) enter(d choice, key uint64) {
	switch x.entered++; x.entered {
	case 1:
		x.best, x.key = d, key
		return
	case 2:
		bits := noise.At(x.n.model.Seed, noise.Stray, x.asn, uint64(x.metro))
		x.strays = noise.Uniform(bits) < x.n.model.Stray
	}
	if x.strays {
		stray := func(next topology.AS, key uint64) uint64 {
			if next == topology.None {
				key = 0 // the fleet's sessions are one
			}
			return noise.At(x.n.model.Seed, noise.StrayPick, x.asn, key, uint64(x.metro))
		}
		if h, least := stray(d.next, key), stray(x.best.next, x.key); h != least {
			if h < least {
				x.best, x.key = d, key
			}
			return
		}
	}
	switch {
	case d.km < x.best.km:
		x.best, x.key = d, key
		x.best.why = Nearest
	case d.km == x.best.km:
		tie := func(key uint64) uint64 { return noise.At(x.n.model.Seed, noise.Tie, x.asn, key) }
		if tie(key) < tie(x.key) {
			x.best, x.key = d, key
		}
		x.best.why = TieBroken
	}
}

func (x *contest) winner() choice {
	d := x.best
	d.candidates = x.entered
	switch {
	case x.strays:
		d.why = Strayed
	case x.entered == 1:
		d.why = OnlyChoice
	case d.why != TieBroken:
		d.why = Nearest
	}
	return d
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
