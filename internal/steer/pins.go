package steer

import (
	"cmp"
	"net/netip"
	"slices"

	"catchment/internal/edge"
)

// pins are the snapshot's, by whom they hold. A set of pins is a list of
// indexes, the one that wins first; number 0 is the empty set.
type pins struct {
	all      []edge.Pin
	sets     [][]int
	client   [2][]stretch // by family: sets
	resolver [2][]stretch
	asn      map[uint32]uint32
}

func newPins(s *edge.Snapshot) *pins {
	p := &pins{all: s.Pins, sets: [][]int{nil}, asn: map[uint32]uint32{}}
	p.client = p.nest(func(pin *edge.Pin) netip.Prefix { return pin.Client })
	p.resolver = p.nest(func(pin *edge.Pin) netip.Prefix { return pin.Resolver })
	byASN := map[uint32][]int{}
	for i, pin := range p.all {
		if pin.ASN != 0 {
			byASN[pin.ASN] = append(byASN[pin.ASN], i)
		}
	}
	for asn, list := range byASN {
		p.specificFirst(list)
		p.asn[asn] = p.add(list)
	}
	return p
}

func (p *pins) add(set []int) uint32 {
	p.sets = append(p.sets, set)
	return uint32(len(p.sets) - 1)
}

// specificFirst puts pins of one service before those of all.
func (p *pins) specificFirst(list []int) {
	slices.SortStableFunc(list, func(a, b int) int {
		return -cmp.Compare(min(1, len(p.all[a].Service)), min(1, len(p.all[b].Service)))
	})
}

// nest makes a set of every prefix that is pinned: its own pins, then those of
// the prefixes around it, the longest first.
func (p *pins) nest(of func(*edge.Pin) netip.Prefix) (runs [2][]stretch) {
	own := map[netip.Prefix][]int{}
	for i := range p.all {
		if prefix := of(&p.all[i]); prefix.IsValid() {
			own[prefix] = append(own[prefix], i)
		}
	}
	prefixes := make([]netip.Prefix, 0, len(own))
	for prefix := range own {
		prefixes = append(prefixes, prefix)
	}
	slices.SortFunc(prefixes, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	type open struct {
		prefix netip.Prefix
		set    []int
	}
	var around []open
	var flat [2][]stretch
	for _, prefix := range prefixes {
		for len(around) > 0 && !around[len(around)-1].prefix.Overlaps(prefix) {
			around = around[:len(around)-1]
		}
		set := own[prefix]
		p.specificFirst(set)
		if len(around) > 0 {
			set = append(slices.Clip(set), around[len(around)-1].set...)
		}
		around = append(around, open{prefix, set})
		from, f := keyOf(prefix.Addr())
		flat[f] = append(flat[f], stretch{from, p.add(set), uint8(prefix.Bits())})
	}
	for f := range runs {
		runs[f] = flatten(flat[f])
	}
	return runs
}

// first returns the pin of a set that wins for a service, or nil.
func (p *pins) first(set uint32, service string) *edge.Pin {
	for _, i := range p.sets[set] {
		if pin := &p.all[i]; pin.Service == "" || pin.Service == service {
			return pin
		}
	}
	return nil
}

// pinnedResolvers are the tables of those who ask from where a resolver is
// pinned.
type pinnedResolvers struct {
	runs   [2][]stretch // nil: none is
	pins   []*edge.Pin  // by value of runs; nil: not for this service
	tables []*tables    // likewise
}

func (r *pinnedResolvers) find(resolver netip.Addr) *tables {
	if r.tables == nil || !resolver.IsValid() {
		return nil
	}
	return r.tables[r.value(resolver)]
}

func (r *pinnedResolvers) pin(resolver netip.Addr) *edge.Pin {
	if r.pins == nil || !resolver.IsValid() {
		return nil
	}
	return r.pins[r.value(resolver)]
}

func (r *pinnedResolvers) value(resolver netip.Addr) uint32 {
	k, f := keyOf(resolver)
	return r.runs[f][at(r.runs[f], k)].value
}
