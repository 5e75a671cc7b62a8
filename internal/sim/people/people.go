// Package people says who the users of a topology are: over which lines they
// come, whose resolvers they ask, and where geolocation believes both to be.
//
// Nothing is stored per user: what a group, a resolver or a client prefix is
// like follows from the seed and from its name. See docs/sim-people.md for what
// is modeled, what is not, and where every figure is from.
package people

import (
	"cmp"
	"math"
	"slices"

	"catchment/internal/edge"
	"catchment/internal/sim/noise"
	"catchment/internal/sim/topology"
)

// hubsOfCountry is how many metros of a country wrong cities are drawn from.
const hubsOfCountry = 5

// Population is the users of a topology. It is immutable and safe for
// concurrent use.
type Population struct {
	t *topology.Topology
	m Model

	metros   []metro
	hubs     [][]topology.Metro // the biggest metros of each country, biggest first
	hubGroup []int32            // by AS: the group with most users, −1: it has none
	small    []bool             // by AS: fewer users than SmallUsers
	first    []uint32           // by group, and one more: number of its first client prefix
	perLine  float64            // users
}

// metro is what the model says about a metro.
type metro struct {
	key       uint64 // its name
	country   int32  // index of hubs
	public    topology.Metro
	abroad    topology.Metro
	tail      float64
	cityError float64
	mix       Mix
}

// New returns the population of t. The model is valid.
func New(t *topology.Topology, m Model) *Population {
	p := &Population{t: t, m: m}
	users := make([]float64, len(t.Cities)) // of all networks
	for i := range t.Groups {
		users[t.Groups[i].Metro] += float64(t.Groups[i].Users)
	}
	biggest := make([]topology.Metro, len(t.Cities))
	for i := range biggest {
		biggest[i] = topology.Metro(i)
	}
	slices.SortStableFunc(biggest, func(a, b topology.Metro) int {
		return cmp.Or(cmp.Compare(users[b], users[a]), cmp.Compare(t.Cities[b].Population, t.Cities[a].Population))
	})
	p.placeMetros(biggest)
	p.placeResolvers(publicMetros(t, m.PublicSites))
	p.sizeNetworks()
	p.numberPrefixes()
	return p
}

// placeMetros fills in what follows from a metro's place alone.
func (p *Population) placeMetros(biggest []topology.Metro) {
	p.metros = make([]metro, len(p.t.Cities))
	countries := map[string]int32{}
	for _, m := range biggest {
		city := &p.t.Cities[m]
		c, ok := countries[city.Place.Country]
		if !ok {
			c = int32(len(p.hubs))
			countries[city.Place.Country] = c
			p.hubs = append(p.hubs, nil)
		}
		if len(p.hubs[c]) < hubsOfCountry {
			p.hubs[c] = append(p.hubs[c], m)
		}
		p.metros[m] = metro{
			key:       noise.String(city.Place.Country + "/" + city.Place.Subdivision + "/" + city.Name),
			country:   c,
			tail:      p.m.Abroad[city.Place.Country].Share * p.m.AbroadScale,
			cityError: of(p.m.CityError, &city.Place),
			mix:       of(p.m.Access, &city.Place),
		}
	}
}

// of returns what a table says of a place's country, else of its continent,
// else of all.
func of[T any](table map[string]T, place *edge.Place) T {
	for _, key := range [...]string{place.Country, place.Continent} {
		if v, ok := table[key]; ok && key != "" {
			return v
		}
	}
	return table[""]
}

// publicMetros returns the metros with public resolvers.
func publicMetros(t *topology.Topology, sites []Site) []topology.Metro {
	var all []topology.Metro
	for _, s := range sites {
		at, best, least := edge.Place{Lat: s.Lat, Lon: s.Lon}, 0, math.Inf(1)
		for m := range t.Cities {
			if d := edge.DistanceKm(at, t.Cities[m].Place); d < least {
				best, least = m, d
			}
		}
		if !slices.Contains(all, topology.Metro(best)) {
			all = append(all, topology.Metro(best))
		}
	}
	return all
}

func km(t *topology.Topology, a, b topology.Metro) float64 {
	return edge.DistanceKm(t.Cities[a].Place, t.Cities[b].Place)
}

// placeResolvers finds for every metro the nearest public resolver, and the
// nearest one that is far enough away to be the country's tail.
func (p *Population) placeResolvers(sites []topology.Metro) {
	for m := range p.metros {
		beyond := p.m.Abroad[p.t.Cities[m].Place.Country].Beyond
		near, far, farthest := sites[0], topology.Metro(topology.None), sites[0]
		nearKm, farKm, farthestKm := km(p.t, topology.Metro(m), near), 0.0, 0.0
		for _, s := range sites {
			d := km(p.t, topology.Metro(m), s)
			if d < nearKm {
				near, nearKm = s, d
			}
			if d >= beyond && (far < 0 || d < farKm) {
				far, farKm = s, d
			}
			if d > farthestKm {
				farthest, farthestKm = s, d
			}
		}
		if far < 0 {
			far = farthest
		}
		p.metros[m].public, p.metros[m].abroad = near, far
	}
}

// sizeNetworks finds every network's main hub and which networks are small.
func (p *Population) sizeNetworks() {
	p.hubGroup = make([]int32, p.t.Len())
	p.small = make([]bool, p.t.Len())
	for a := range p.hubGroup {
		p.hubGroup[a] = -1
	}
	groups := p.t.Groups
	for from := 0; from < len(groups); {
		as, hub, users, to := groups[from].AS, from, 0.0, from
		for ; to < len(groups) && groups[to].AS == as; to++ {
			users += float64(groups[to].Users)
			if groups[to].Users > groups[hub].Users {
				hub = to
			}
		}
		p.hubGroup[as], p.small[as] = int32(hub), users < p.m.SmallUsers
		from = to
	}
}

// Topology returns what this is the population of.
func (p *Population) Topology() *topology.Topology { return p.t }

// Model returns the parameters.
func (p *Population) Model() Model { return p.m }

// place returns a metro as geolocation would return an address of network a
// that it believes to be there.
func (p *Population) place(m topology.Metro, a topology.AS) edge.Place {
	place := p.t.Cities[m].Place
	if a >= 0 {
		place.ASN, place.ASName = p.t.ASNs[a], p.t.Names[a]
	}
	return place
}

// Key names a group in random choices: by its network and metro, not by its
// index.
func (p *Population) Key(group int) uint64 {
	g := &p.t.Groups[group]
	return noise.At(uint64(p.t.ASNs[g.AS]), noise.Resolver, p.metros[g.Metro].key)
}

// Km returns the distance between two metros.
func (p *Population) Km(a, b topology.Metro) float64 { return km(p.t, a, b) }
