package topology

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Limits of a topology. The Internet of 2026 has about 80,000 ASes and half a
// million links.
const (
	MaxASes   = 1 << 20
	MaxLinks  = 1 << 24
	MaxGroups = 1 << 22
)

// Relation is what kind of link two ASes have.
type Relation int8

// Transit: the first AS is the provider of the second. Peering: neither pays.
const (
	Transit Relation = iota
	Peering
)

// Link is one link between ASes, by their numbers.
type Link struct {
	A, B uint32
	Rel  Relation
}

// Presence puts an AS into a metro, with so many users (none for a router).
type Presence struct {
	ASN   uint32
	Metro Metro
	Users float64
}

// Input is what a Topology is built from. Order does not matter; what is given
// twice counts once, users add up.
type Input struct {
	Cities   []City
	Links    []Link
	Presence []Presence
	Names    map[uint32]string
	Siblings [][]uint32 // ASes of one organization
	Sources  []string
}

// Build makes a Topology. ASes are all that have a link; one without any
// presence is put where its customers are, else where its providers are, else
// where its peers are. It fails on links of an AS with itself, on two ASes
// that are given two different relations, on metros that do not exist and on
// inputs over the limits. Provider cycles (which real data has a few of) are
// kept.
func Build(in Input) (*Topology, error) {
	if len(in.Cities) == 0 || len(in.Cities) > MaxMetros {
		return nil, fmt.Errorf("topology: %d metros (want 1 to %d)", len(in.Cities), MaxMetros)
	}
	if len(in.Links) > MaxLinks {
		return nil, fmt.Errorf("topology: %d links (want at most %d)", len(in.Links), MaxLinks)
	}
	t := &Topology{Cities: in.Cities, Sources: in.Sources}
	for _, l := range in.Links {
		if l.A == l.B {
			return nil, fmt.Errorf("topology: AS%d is linked to itself", l.A)
		}
		t.ASNs = append(t.ASNs, l.A, l.B)
	}
	slices.Sort(t.ASNs)
	t.ASNs = slices.Clip(slices.Compact(t.ASNs))
	if len(t.ASNs) == 0 {
		return nil, errors.New("topology: no links")
	}
	if len(t.ASNs) > MaxASes {
		return nil, fmt.Errorf("topology: %d ASes (want at most %d)", len(t.ASNs), MaxASes)
	}
	t.Names = make([]string, len(t.ASNs))
	for i, asn := range t.ASNs {
		t.Names[i] = in.Names[asn]
	}
	if err := t.link(in.Links); err != nil {
		return nil, err
	}
	if err := t.place(in); err != nil {
		return nil, err
	}
	return t, nil
}

// link fills Providers, Customers and Peers.
func (t *Topology) link(links []Link) error {
	type pair struct{ a, b AS } // a provides to b, or a < b are peers
	var transit, peering []pair
	for _, l := range links {
		a, _ := t.Find(l.A)
		b, _ := t.Find(l.B)
		if l.Rel == Transit {
			transit = append(transit, pair{a, b})
		} else {
			peering = append(peering, pair{min(a, b), max(a, b)})
		}
	}
	order := func(x, y pair) int { return cmp.Or(cmp.Compare(x.a, y.a), cmp.Compare(x.b, y.b)) }
	unique := func(ps []pair) []pair {
		slices.SortFunc(ps, order)
		return slices.Compact(ps)
	}
	transit, peering = unique(transit), unique(peering)
	for _, p := range transit {
		if _, twice := slices.BinarySearchFunc(transit, pair{p.b, p.a}, order); twice {
			return fmt.Errorf("topology: AS%d and AS%d are each the other's provider", t.ASNs[p.a], t.ASNs[p.b])
		}
		if _, twice := slices.BinarySearchFunc(peering, pair{min(p.a, p.b), max(p.a, p.b)}, order); twice {
			return fmt.Errorf("topology: AS%d is both provider and peer of AS%d", t.ASNs[p.a], t.ASNs[p.b])
		}
	}
	rows := func(ps []pair, from, to func(pair) AS, both bool) Links {
		l := Links{Start: make([]uint32, t.Len()+1)}
		for _, p := range ps {
			l.Start[from(p)+1]++
			if both {
				l.Start[to(p)+1]++
			}
		}
		for i := range t.Len() {
			l.Start[i+1] += l.Start[i]
		}
		l.To = make([]AS, l.Start[t.Len()])
		next := slices.Clone(l.Start)
		put := func(a, b AS) {
			l.To[next[a]] = b
			next[a]++
		}
		for _, p := range ps {
			put(from(p), to(p))
			if both {
				put(to(p), from(p))
			}
		}
		for i := range t.Len() {
			slices.Sort(l.Of(AS(i)))
		}
		return l
	}
	first, second := func(p pair) AS { return p.a }, func(p pair) AS { return p.b }
	t.Customers = rows(transit, first, second, false)
	t.Providers = rows(transit, second, first, false)
	t.Peers = rows(peering, first, second, true)
	return nil
}

// place fills Footprint and Groups.
func (t *Topology) place(in Input) error {
	t.Footprint = make([]Metros, t.Len())
	for _, p := range in.Presence {
		if p.Metro < 0 || int(p.Metro) >= len(t.Cities) {
			return fmt.Errorf("topology: AS%d: there is no metro %d", p.ASN, p.Metro)
		}
		if !(p.Users >= 0 && p.Users <= 1e10) {
			return fmt.Errorf("topology: AS%d: %v users in metro %d", p.ASN, p.Users, p.Metro)
		}
		a, ok := t.Find(p.ASN)
		if !ok {
			continue // nobody reaches an AS without a link
		}
		t.Footprint[a].Add(p.Metro)
		if p.Users > 0 {
			t.Groups = append(t.Groups, Group{a, p.Metro, float32(p.Users)})
		}
	}
	t.mergeGroups()
	if len(t.Groups) > MaxGroups {
		return fmt.Errorf("topology: %d groups of users (want at most %d)", len(t.Groups), MaxGroups)
	}
	t.spread(in.Siblings)
	return nil
}

func (t *Topology) mergeGroups() {
	slices.SortFunc(t.Groups, func(a, b Group) int {
		// Users too, so that sums do not depend on the order of the input.
		return cmp.Or(cmp.Compare(a.AS, b.AS), cmp.Compare(a.Metro, b.Metro), cmp.Compare(a.Users, b.Users))
	})
	merged := t.Groups[:0]
	for _, g := range t.Groups {
		if n := len(merged); n > 0 && merged[n-1].AS == g.AS && merged[n-1].Metro == g.Metro {
			merged[n-1].Users += g.Users
		} else {
			merged = append(merged, g)
		}
	}
	t.Groups = slices.Clip(merged)
}

// spread completes the footprints: siblings share theirs, providers are where
// their direct customers are, and nobody is nowhere.
func (t *Topology) spread(siblings [][]uint32) {
	for _, org := range siblings {
		var all Metros
		for _, asn := range org {
			if a, ok := t.Find(asn); ok {
				all.Union(&t.Footprint[a])
			}
		}
		for _, asn := range org {
			if a, ok := t.Find(asn); ok {
				t.Footprint[a] = all
			}
		}
	}
	own := slices.Clone(t.Footprint)
	for i := range own {
		for _, c := range t.Customers.Of(AS(i)) {
			t.Footprint[i].Union(&own[c])
		}
	}
	// Rounds, until those beside someone with a place have one.
	for _, links := range []*Links{&t.Customers, &t.Providers, &t.Peers, &t.Customers, &t.Providers} {
		was := slices.Clone(t.Footprint)
		for i := range was {
			if !was[i].Empty() {
				continue
			}
			for _, n := range links.Of(AS(i)) {
				t.Footprint[i].Union(&was[n])
			}
		}
	}
	for i := range t.Footprint {
		if t.Footprint[i].Empty() {
			t.Footprint[i].Add(0)
		}
	}
}
