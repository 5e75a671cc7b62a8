package views

import (
	"math"
	"slices"
	"time"

	"catchment/internal/edge"
	"catchment/internal/sim/noise"
	"catchment/internal/sim/topology"
)

func keyOf[S ~string](id S) uint64 { return noise.String(string(id)) }

// outage is an Outage with the PoP's index.
type outage struct {
	pop                  int16
	from, noticed, until time.Time
}

func outagesOf(f *edge.Fleet, m *Model) []outage {
	var all []outage
	for _, o := range m.Outages {
		pop := slices.IndexFunc(f.PoPs, func(p edge.PoP) bool { return p.ID == o.PoP })
		all = append(all, outage{int16(pop), o.From, o.From.Add(o.Noticed), o.Until})
	}
	return all
}

// down reports whether a PoP does not answer, and whether that has been
// noticed.
func (g *Generator) down(pop int16, at time.Time) (down, noticed bool) {
	for i := range g.outages {
		o := &g.outages[i]
		if o.pop == pop && !at.Before(o.from) && at.Before(o.until) {
			return true, !at.Before(o.noticed)
		}
	}
	return false, false
}

// changed reports whether the route of a group to a VIP is another one just
// then.
func (g *Generator) changed(group uint64, vip *destination, day edge.Day, into time.Duration) bool {
	for _, back := range [2]edge.Day{0, 1} { // begun today or the day before
		bits := noise.At(g.m.Seed, noise.RouteChange, group, vip.key, uint64(day-back))
		if noise.Uniform(bits) >= g.m.Flips {
			continue
		}
		const begin, last = 1, 2
		start := 24 * noise.Uniform(noise.At(bits, noise.RouteChange, begin))
		hours := -math.Log(1-noise.Uniform(noise.At(bits, noise.RouteChange, last))) * g.m.FlipHours
		now := into.Hours() + 24*float64(back)
		if now >= start && now < start+hours {
			return true
		}
	}
	return false
}

// balanced reports whether a network spreads packets over two paths.
func (g *Generator) balanced(a topology.AS) bool {
	return noise.Uniform(noise.At(g.m.Seed, noise.Balance, uint64(g.topo.ASNs[a]))) < g.m.Balanced
}

// nextBest returns the PoP with the least RTT from a group among some, or all
// if pops is nil, without one of them and those that are down; none if there
// is none.
func (g *Generator) nextBest(group int, pops []int16, but int16, at time.Time) reach {
	best := reach{pop: none, vip: none, rtt: float32(math.Inf(1))}
	consider := func(pop int16) {
		if pop == but {
			return
		}
		if down, _ := g.down(pop, at); down {
			return
		}
		if ms := g.outcome.RTT(group, int(pop)); ms < best.rtt {
			best.pop, best.rtt = pop, ms
		}
	}
	if pops == nil {
		for i := range g.pops {
			consider(int16(i))
		}
	}
	for _, pop := range pops {
		consider(pop)
	}
	return best
}

// active reports whether a client prefix of a group is seen on a day.
func (g *Generator) active(group uint64, line int, day edge.Day) bool {
	return noise.Uniform(noise.At(g.m.Seed, noise.Churn, group, uint64(line), uint64(day))) < g.m.Active
}
