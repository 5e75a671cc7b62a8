// Package generate makes an AS-level Internet: an invented one, of the size
// and shape of the real one, for demos, tests and plans where nothing licensed
// may be used.
//
// What it takes from the world are metros, the users of countries and the
// proportions of its figures (docs/sim-generate.md); networks, their names and
// who connects to whom are drawn.
package generate

import (
	"fmt"
	"math/rand/v2"

	"catchment/internal/sim/metros"
	"catchment/internal/sim/topology"
)

// Limits of Params.ASes.
const (
	MinASes = 500
	MaxASes = 200_000
)

// Params say what to generate.
type Params struct {
	ASes int // MinASes to MaxASes; the Internet of 2026 has about 80,000
	Seed uint64

	// Progress, unless nil, is told now and then how many links of how many
	// there are.
	Progress func(links, of int)
}

// version is part of what describes a generated topology: it changes when the
// same parameters give another one.
const version = 1

// Generate returns an Internet of exactly p.ASes networks: tier-1s in a clique,
// and others that buy from one or more that were there before them, so that
// there is no cycle of providers and everyone reaches everyone else. The same
// parameters give the same result; tier-1s and national access networks are
// the same for every seed and size. It fails only for parameters out of
// their limits. 80,000 ASes take a second or two (BenchmarkGenerate).
func Generate(p Params) (topology.Input, error) {
	if p.ASes < MinASes || p.ASes > MaxASes {
		return topology.Input{}, fmt.Errorf("generate: %d ASes (want %d to %d)", p.ASes, MinASes, MaxASes)
	}
	cities := metros.Cities()
	countries, err := readCountries(cities)
	if err != nil {
		return topology.Input{}, err
	}
	w := &world{
		seed: p.Seed, size: p.ASes, progress: p.Progress, cities: cities, countries: countries,
		// One generator in one goroutine, for the links. What a network is hangs
		// on its number instead (package noise).
		rand:  rand.New(rand.NewPCG(p.Seed, 0x6c696e6b73)), // "links"
		links: make(map[uint64]topology.Relation, 7*p.ASes),
	}
	for i := range countries {
		w.markets = append(w.markets, marketOf(&countries[i]))
	}
	w.findHubs()
	w.populate(p.ASes)
	w.buyTransit()
	w.peer()
	in := w.input()
	in.Sources = []string{fmt.Sprintf("generated, version %d: %d ASes, seed %d; metro areas from GeoNames, CC BY 4.0", version, p.ASes, p.Seed)}
	return in, nil
}

// network is one AS. Providers come before their customers in world.networks.
type network struct {
	asn     uint32
	kind    Kind
	country int32            // index into world.countries; −1 for a tier-1 that has none
	metros  []topology.Metro // where it is; the first is its home
	served  int              // in the first of them it may have users
	name    string

	strength float64 // access networks: of each metro's users, before all are scaled to 1
	mobile   bool

	up    []int // ranks of the tier-1s that it buys from; none: drawn
	peers []int // ranks of the tier-1s that peer with it
	org   int   // index of the network that it is a part of, or −1

	appetite float64 // how much it peers; 0 not at all
	choosy   bool    // peers with its like only
}

// world is an Internet in the making.
type world struct {
	seed      uint64
	size      int // networks
	rand      *rand.Rand
	cities    []topology.City
	countries []country
	markets   []market                              // by country
	hub       []float64                             // by metro: how many networks from elsewhere meet there
	byHub     [len(continentNames)][]topology.Metro // the metros of a continent, the largest hubs first

	progress func(links, of int)
	networks []network
	links    map[uint64]topology.Relation // by pair
	ordered  []topology.Link              // in the order in which they were made
}

// link makes a link, or reports that the two have one.
func (w *world) link(a, b int, rel topology.Relation) bool {
	if a == b {
		return false
	}
	key := uint64(min(a, b))<<32 | uint64(max(a, b))
	if _, ok := w.links[key]; ok {
		return false
	}
	w.links[key] = rel
	w.ordered = append(w.ordered, topology.Link{A: w.networks[a].asn, B: w.networks[b].asn, Rel: rel})
	if made := len(w.ordered); w.progress != nil && made%4096 == 0 {
		w.progress(made, w.target())
	}
	return true
}

func (w *world) input() topology.Input {
	in := topology.Input{Cities: w.cities, Links: w.ordered, Names: make(map[uint32]string, len(w.networks))}
	in.Presence = w.users()
	orgs := make([][]uint32, len(w.networks))
	for i := range w.networks {
		n := &w.networks[i]
		in.Names[n.asn] = n.name
		if n.org >= 0 {
			if orgs[n.org] == nil {
				orgs[n.org] = []uint32{w.networks[n.org].asn}
			}
			orgs[n.org] = append(orgs[n.org], n.asn)
		}
	}
	for _, org := range orgs {
		if org != nil {
			in.Siblings = append(in.Siblings, org)
		}
	}
	return in
}
