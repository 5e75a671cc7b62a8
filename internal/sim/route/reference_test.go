package route

import (
	"math"
	"math/rand/v2"
	"slices"

	"catchment/internal/edge"
	"catchment/internal/sim/noise"
	"catchment/internal/sim/topology"
)

// reference is BGP as the RFC tells it, slowly: every AS keeps what each
// neighbor and session last told it, picks the best, and tells its neighbors
// what it may, in messages that are delivered in random order until none is
// left. A message is only "my best routes have this class and length" or "I
// have none for you".
type reference struct {
	t        *topology.Topology
	model    Model
	sessions []Session
	cuts     []Cut
	heard    []map[topology.AS]int // by neighbor: length of what it offers
}

type message struct {
	from, to topology.AS
	length   int // 0: withdrawn
}

func newReference(rng *rand.Rand, t *topology.Topology, m Model, sessions []Session, cuts []Cut) *reference {
	r := &reference{t: t, model: m, sessions: sessions, cuts: cuts}
	r.heard = make([]map[topology.AS]int, t.Len())
	for a := range r.heard {
		r.heard[a] = map[topology.AS]int{}
	}
	var queue []message
	told := map[[2]topology.AS]int{}
	tell := func(a topology.AS) {
		for _, n := range r.around(a) {
			to := [2]topology.AS{a, n.as}
			if l := r.offer(a, n.as, n.class); l != told[to] {
				told[to] = l
				queue = append(queue, message{a, n.as, l})
			}
		}
	}
	for a := range t.Len() {
		tell(topology.AS(a))
	}
	for len(queue) > 0 {
		// In order between any two ASes, as over TCP; in any order otherwise.
		i := rng.IntN(len(queue))
		for j := range i {
			if queue[j].from == queue[i].from && queue[j].to == queue[i].to {
				i = j
				break
			}
		}
		m := queue[i]
		queue = slices.Delete(queue, i, i+1)
		if m.length == 0 {
			delete(r.heard[m.to], m.from)
		} else {
			r.heard[m.to][m.from] = m.length
		}
		tell(m.to)
	}
	return r
}

type neighbor struct {
	as    topology.AS
	class Class // of a route that is told to it by us, as it sees it
	gives Class // of a route that it tells us
}

func (r *reference) around(a topology.AS) []neighbor {
	var all []neighbor
	for _, p := range r.t.Providers.Of(a) {
		all = append(all, neighbor{p, FromCustomer, FromProvider})
	}
	for _, p := range r.t.Peers.Of(a) {
		all = append(all, neighbor{p, FromPeer, FromPeer})
	}
	for _, p := range r.t.Customers.Of(a) {
		all = append(all, neighbor{p, FromProvider, FromCustomer})
	}
	return slices.DeleteFunc(all, func(n neighbor) bool {
		return slices.Contains(r.cuts, Cut{a, n.as}) || slices.Contains(r.cuts, Cut{n.as, a})
	})
}

// best returns class and length of a's best routes, the sessions and the
// neighbors that have them.
func (r *reference) best(a topology.AS) (class Class, length int, sessions []int, neighbors []topology.AS) {
	consider := func(c Class, l int) bool {
		if c < class || c == class && l > length {
			return false
		}
		if c > class || l < length {
			class, length, sessions, neighbors = c, l, nil, nil
		}
		return true
	}
	for i, s := range r.sessions {
		if s.Neighbor == a && consider(s.Class, 1+s.Prepend) {
			sessions = append(sessions, i)
		}
	}
	for _, n := range r.around(a) {
		if l, ok := r.heard[a][n.as]; ok && consider(n.gives, l+1) {
			neighbors = append(neighbors, n.as)
		}
	}
	return
}

// offer returns the length of the route that a gives b, to whom it is of the
// given class; 0: none.
func (r *reference) offer(a, b topology.AS, class Class) int {
	own, length, sessions, neighbors := r.best(a)
	if own == NoRoute || own != FromCustomer && class != FromProvider {
		return 0
	}
	if len(neighbors) > 0 {
		return length
	}
	for _, i := range sessions {
		if r.passes(i, b, r.meet(a, b)) {
			return length
		}
	}
	return 0
}

// passes reports whether the neighbor of session i gives its route to b, whom
// it meets in some metros.
func (r *reference) passes(i int, b topology.AS, meet []topology.Metro) bool {
	s := r.sessions[i]
	if slices.Contains(s.NoExport, b) {
		return false
	}
	return s.Scope == nil || slices.ContainsFunc(meet, func(m topology.Metro) bool { return s.Scope.Has(m) })
}

func (r *reference) meet(a, b topology.AS) []topology.Metro {
	var common []topology.Metro
	for m := range r.t.Cities {
		if r.t.Footprint[a].Has(topology.Metro(m)) && r.t.Footprint[b].Has(topology.Metro(m)) {
			common = append(common, topology.Metro(m))
		}
	}
	return common
}

// step is a candidate of the walk.
type step struct {
	session int // −1: to next
	next    topology.AS
	out     topology.Metro
	km      float32
	key     uint64
}

// step decides what a does with traffic in m; ok is false without a route.
func (r *reference) step(a topology.AS, m topology.Metro) (s step, ok bool) {
	class, _, sessions, neighbors := r.best(a)
	if class == NoRoute {
		return step{}, false
	}
	asn := uint64(r.t.ASNs[a])
	if len(r.t.Customers.Of(a)) == 0 && class != FromCustomer &&
		noise.Uniform(noise.At(r.model.Seed, noise.Anomaly, asn)) < r.model.Anomaly {
		var offering []step
		for i, s := range r.sessions {
			if s.Neighbor == a {
				offering = append(offering, r.deliver(m, i))
			}
		}
		for _, n := range r.around(a) {
			if _, ok := r.heard[a][n.as]; ok {
				offering = append(offering, r.handOver(a, m, n.as))
			}
		}
		return slices.MinFunc(offering, func(x, y step) int {
			return compare(noise.At(r.model.Seed, noise.AnomalyPick, asn, x.key), noise.At(r.model.Seed, noise.AnomalyPick, asn, y.key))
		}), true
	}
	var all []step
	for _, i := range sessions {
		all = append(all, r.deliver(m, i))
	}
	for _, y := range neighbors {
		all = append(all, r.handOver(a, m, y))
	}
	stray := noise.Uniform(noise.At(r.model.Seed, noise.Stray, asn, uint64(m))) < r.model.Stray
	return slices.MinFunc(all, func(x, y step) int {
		if stray {
			hash := func(s step) uint64 {
				if s.session >= 0 {
					s.key = 0
				}
				return noise.At(r.model.Seed, noise.StrayPick, asn, s.key, uint64(m))
			}
			if hash(x) != hash(y) {
				return compare(hash(x), hash(y))
			}
		}
		if x.km != y.km {
			return compare(x.km, y.km)
		}
		return compare(noise.At(r.model.Seed, noise.Tie, asn, x.key), noise.At(r.model.Seed, noise.Tie, asn, y.key))
	}), true
}

func compare[T uint64 | float32](x, y T) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func (r *reference) km(a, b topology.Metro) float32 {
	if a == b {
		return 0
	}
	// The same order as the network's table, for the same rounding.
	return float32(edge.DistanceKm(r.t.Cities[max(a, b)].Place, r.t.Cities[min(a, b)].Place))
}

func (r *reference) deliver(m topology.Metro, session int) step {
	s := r.sessions[session]
	return step{session, topology.None, s.Metro, r.km(m, s.Metro), s.key()}
}

func (r *reference) handOver(a topology.AS, m topology.Metro, y topology.AS) step {
	meet := r.meet(a, y)
	// Where y itself uses a session whose route it keeps from a, there is
	// nothing to hand over to.
	open := slices.DeleteFunc(slices.Clone(meet), func(h topology.Metro) bool {
		s, ok := r.step(y, h)
		return ok && s.session >= 0 && !r.passes(s.session, a, []topology.Metro{h})
	})
	if len(open) > 0 {
		meet = open
	}
	if len(meet) == 0 {
		for h := range r.t.Cities {
			if r.t.Footprint[y].Has(topology.Metro(h)) {
				meet = append(meet, topology.Metro(h))
			}
		}
	}
	s := step{session: -1, next: y, key: uint64(r.t.ASNs[y]), km: math.MaxFloat32}
	for _, h := range meet {
		// Where one is already is nearest, even if two cities are on one spot.
		if d := r.km(m, h); d < s.km || d == s.km && h == m {
			s.out, s.km = h, d
		}
	}
	return s
}

// land follows the steps; −1 is nowhere.
func (r *reference) land(a topology.AS, m topology.Metro) (session int) {
	for range 1000 {
		s, ok := r.step(a, m)
		if !ok || s.session >= 0 {
			if !ok {
				return -1
			}
			return s.session
		}
		a, m = s.next, s.out
	}
	panic("a path without end")
}
