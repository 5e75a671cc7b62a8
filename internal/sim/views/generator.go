// Package views makes the beacons that the browsers of a simulated Internet
// would have sent: sampled page views over days, in the form in which relays
// send them.
//
// Every view follows from the seed and its number alone. It can be made by
// itself, and any division of the work gives the same bytes. See
// docs/sim-people.md for what is modeled and what is not.
package views

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"

	"catchment/internal/edge"
	"catchment/internal/sim"
	"catchment/internal/sim/people"
	"catchment/internal/sim/topology"
	"catchment/internal/targets"
)

// Outcome is who reaches which PoP; *sim.Outcome is one. It must be safe for
// concurrent use.
type Outcome interface {
	// RTT returns the ms from a group to a PoP's own address, without the last
	// mile; +Inf where there is no route.
	RTT(group, pop int) float32
	// Assigned returns where the users of a group go under a scheme: one Share
	// for each of the population's askers, in their order, appended to buf[:0].
	Assigned(buf []sim.Share, group int, s edge.Scheme) []sim.Share
}

// Generator makes page views. It is immutable and safe for concurrent use; the
// views come from its Fillers.
type Generator struct {
	m       Model
	fleet   *edge.Fleet
	people  *people.Population
	topo    *topology.Topology
	outcome Outcome

	clock   *clock
	waits   *exponentials
	choices []*targets.Choice // by metro
	askers  []asker
	first   []uint32 // by group, and one more: its first asker
	action  map[edge.Target]action
	pops    []destination
	vips    []destination
	outages []outage
}

// asker is the part of a group's users that DNS treats alike.
type asker struct {
	share    float32
	blocks   uint8 // of those whose resolver sends their network; else 0
	addr     uint32
	resolves float32 // ms from the access line until the name is resolved
	reach    [len(edge.Schemes)]reach
}

// reach is where a scheme leads.
type reach struct {
	rtt float32
	pop int16
	vip int16 // index, or none
}

// none is no PoP and no VIP; unled stands for the PoP where DNS has no answer.
const (
	none  = -1
	unled = -2
)

// destination is a PoP or a VIP.
type destination struct {
	v4, v6  bool // has such an address
	timeout float64
	key     uint64
	pops    []int16 // of a VIP: who announces it
}

// action is what a probe does.
type action struct {
	scheme int // index of edge.Schemes, or none
	pop    int
}

// New returns the generator of the views of a population that reaches a fleet
// with the given outcome. The error says what is wrong with the model, or that
// there is nobody.
func New(f *edge.Fleet, p *people.Population, o Outcome, m Model) (*Generator, error) {
	if err := m.Validate(f); err != nil {
		return nil, err
	}
	t := p.Topology()
	if len(t.Groups) == 0 {
		return nil, errors.New("views: the topology has no users")
	}
	if len(m.Countries) > 0 && !slices.ContainsFunc(t.Groups, func(g topology.Group) bool {
		return slices.Contains(m.Countries, t.Cities[g.Metro].Place.Country)
	}) {
		return nil, fmt.Errorf("views: nobody lives in %v", m.Countries)
	}
	if len(f.PoPs) > math.MaxInt16 || len(f.VIPs) > math.MaxInt16 {
		return nil, fmt.Errorf("views: %d PoPs and %d VIPs (want at most %d)", len(f.PoPs), len(f.VIPs), math.MaxInt16)
	}
	g := &Generator{
		m: m, fleet: f, people: p, topo: t, outcome: o,
		clock: newClock(&m, t), waits: newExponentials(), outages: outagesOf(f, &m),
	}
	g.addDestinations()
	for i := range t.Cities {
		g.choices = append(g.choices, targets.From(f, t.Cities[i].Place))
	}
	g.compile()
	return g, nil
}

// Views returns how many views there are: 0 to Views()−1.
func (g *Generator) Views() int { return g.m.Views }

// Days returns the first day and how many there are.
func (g *Generator) Days() (first edge.Day, n int) { return g.m.From, g.m.Days }

// Day returns which views are of a day, counted from 0: from up to until.
func (g *Generator) Day(n int) (from, until int) {
	if n > 0 {
		from = g.clock.until[n-1]
	}
	return from, g.clock.until[n]
}

func (g *Generator) addDestinations() {
	g.action = map[edge.Target]action{}
	for i, s := range edge.Schemes {
		g.action[edge.Target(s)] = action{i, none}
	}
	for i := range g.fleet.PoPs {
		p := &g.fleet.PoPs[i]
		d := destination{timeout: g.m.Failing[string(p.ID)]}
		for _, a := range p.Unicast {
			d.v4, d.v6 = d.v4 || a.Is4(), d.v6 || a.Is6()
		}
		g.pops = append(g.pops, d)
		g.action[edge.TargetOf(p.ID)] = action{none, i}
	}
	for i := range g.fleet.VIPs {
		v := &g.fleet.VIPs[i]
		d := destination{timeout: g.m.Failing[string(v.ID)], key: keyOf(v.ID)}
		for _, a := range v.Addresses {
			d.v4, d.v6 = d.v4 || a.Is4(), d.v6 || a.Is6()
		}
		region := slices.IndexFunc(g.fleet.Regions, func(r edge.Region) bool { return r.VIP == v.ID })
		for p := range g.fleet.PoPs {
			if region < 0 || slices.Contains(g.fleet.Regions[region].PoPs, g.fleet.PoPs[p].ID) {
				d.pops = append(d.pops, int16(p))
			}
		}
		g.vips = append(g.vips, d)
	}
}

// compile asks once for each group who asks and where that leads, so that a
// view only looks it up.
func (g *Generator) compile() {
	groups := len(g.topo.Groups)
	g.first = make([]uint32, groups+1)
	workers := min(runtime.GOMAXPROCS(0), groups)
	parts := make([][]asker, workers)
	cut := func(w int) int { return groups * w / workers }
	lead := g.resolving()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			c := compiler{g: g, lead: lead}
			for group := cut(w); group < cut(w+1); group++ {
				before := len(c.all)
				c.add(group)
				g.first[group+1] = uint32(len(c.all) - before)
			}
			parts[w] = slices.Clip(c.all)
		})
	}
	wg.Wait()
	for i := range groups {
		g.first[i+1] += g.first[i]
	}
	g.askers = slices.Concat(parts...)
}

// resolving returns for every metro how long a resolver there waits for our
// name server, which stands at every PoP, ms.
func (g *Generator) resolving() []float32 {
	waits := make([]float32, len(g.topo.Cities))
	for m := range waits {
		least := math.Inf(1)
		for i := range g.fleet.PoPs {
			least = min(least, edge.DistanceKm(g.topo.Cities[m].Place, g.fleet.PoPs[i].Place))
		}
		waits[m] = travel(least)
	}
	return waits
}

// travel returns the typical round trip over a distance, ms: 1.75 ms for
// 100 km (the fit for North America); 60 where the distance is not known.
func travel(km float64) float32 {
	if math.IsInf(km, 1) {
		return 60
	}
	return float32(1 + 1.75*km/100)
}

// compiler is one worker of compile.
type compiler struct {
	g    *Generator
	lead []float32
	all  []asker
	who  []people.Asker
	to   []sim.Share
}

func (c *compiler) add(group int) {
	g := c.g
	c.who = g.people.AppendAskers(c.who[:0], group)
	first := len(c.all)
	home := g.topo.Groups[group].Metro
	for i := range c.who {
		w := &c.who[i]
		at := w.Resolver.Metro
		a := asker{
			share: float32(w.Share), blocks: w.Blocks, addr: v4(w.Resolver.Addr.Addr()),
			resolves: travel(g.people.Km(home, at)) + c.lead[at],
		}
		for s := range a.reach {
			a.reach[s] = reach{pop: none, vip: none}
		}
		c.all = append(c.all, a)
	}
	for s, scheme := range edge.Schemes {
		c.to = g.outcome.Assigned(c.to, group, scheme)
		for _, x := range c.to {
			r := reach{rtt: x.RTT, pop: int16(x.PoP), vip: int16(slices.IndexFunc(g.fleet.VIPs, func(v edge.VIP) bool { return v.ID == x.VIP }))}
			if x.Unled {
				r.pop = unled
			}
			if x.Asker >= 0 && first+x.Asker < len(c.all) {
				c.all[first+x.Asker].reach[s] = r
			}
		}
	}
}
