package analysis

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"catchment/internal/edge"
)

// ByResolver is the network of the resolver that asked; where that has no
// number, its prefix. It is for reports that look at views one by one.
const ByResolver Key = "resolver"

// ParseViewKeys is ParseKeys for reports on single views, which also know
// ByResolver.
func ParseViewKeys(s string) ([]Key, error) {
	var rest []string
	at := -1
	for i, part := range strings.Split(s, ",") {
		switch {
		case Key(strings.TrimSpace(part)) != ByResolver:
			rest = append(rest, part)
		case at >= 0:
			return nil, fmt.Errorf("group key %q is there twice", string(ByResolver))
		default:
			at = i
		}
	}
	by, err := ParseKeys(strings.Join(rest, ","))
	if err != nil {
		return nil, fmt.Errorf("%w, resolver", err)
	}
	if at >= 0 {
		by = slices.Insert(by, at, ByResolver)
	}
	return by, nil
}

// viewKey is a groupKey with the resolver's network.
type viewKey struct {
	groupKey
	asn    uint32
	prefix netip.Prefix // where there is no ASN
}

// viewGroups numbers groups of views.
type viewGroups struct {
	by      []Key
	cellsBy []Key // without ByResolver
	index   map[viewKey]int32
	keys    []viewKey
	names   map[uint32]string // of networks of resolvers
	scratch edge.Assignments
}

func newViewGroups(by []Key) viewGroups {
	return viewGroups{
		by: by, cellsBy: slices.DeleteFunc(slices.Clone(by), func(k Key) bool { return k == ByResolver }),
		index: map[viewKey]int32{}, names: map[uint32]string{},
	}
}

// of returns the number of the group of a view.
func (g *viewGroups) of(h *hearing) (n int32) {
	who := h.askerKey()
	if who.asn != 0 {
		g.name(who.asn, h.asker.resolver.ASName)
	}
	return g.number(&h.view.Cell, h.view.Served[edge.Unicast.Index()], who)
}

// askerKey names the network of a resolver; the zero value is one that is not
// known.
type askerKey struct {
	asn    uint32
	prefix netip.Prefix // where there is no ASN
}

func (h *hearing) askerKey() (k askerKey) {
	if h.asker.known {
		if k.asn = h.asker.resolver.ASN; k.asn == 0 {
			k.prefix = blockOf(h.view.Resolver.Addr)
		}
	}
	return k
}

// name keeps the name of a resolver's network.
func (g *viewGroups) name(asn uint32, name string) {
	if len(g.cellsBy) == len(g.by) {
		return
	}
	if _, ok := g.names[asn]; !ok {
		g.names[asn] = strings.Clone(name)
	}
}

// number returns the number of a group, a new one if it had none.
func (g *viewGroups) number(c *edge.Cell, unicast edge.PoPID, who askerKey) (n int32) {
	g.scratch.Cell, g.scratch.Served[edge.Unicast.Index()] = *c, unicast
	k := viewKey{groupKey: groupOf(g.cellsBy, &g.scratch)}
	if len(g.cellsBy) < len(g.by) {
		k.asn, k.prefix = who.asn, who.prefix
	}
	n, ok := g.index[k]
	if !ok {
		n = int32(len(g.keys))
		k.groupKey = k.clone()
		g.index[k] = n
		g.keys = append(g.keys, k)
	}
	return n
}

// blockOf is the /24 or /48 of a resolver, which relays may send whole.
func blockOf(p netip.Prefix) netip.Prefix {
	bits := 48
	if p.Addr().Is4() {
		bits = 24
	}
	return netip.PrefixFrom(p.Addr(), min(bits, p.Bits())).Masked()
}

// labels are the values of a group in the order asked for.
func (g *viewGroups) labels(n int) []Label {
	k := &g.keys[n]
	labels := k.groupKey.labels(g.by)
	for i := range labels {
		if labels[i].Key != ByResolver {
			continue
		}
		switch {
		case k.asn != 0:
			labels[i].Number, labels[i].Text = k.asn, fmt.Sprint(k.asn)
		case k.prefix.IsValid():
			labels[i].Text = k.prefix.String()
		}
	}
	return labels
}
