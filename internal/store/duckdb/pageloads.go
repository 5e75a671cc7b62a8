package duckdb

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go/encoding"

	"catchment/internal/edge"
	"catchment/internal/store"
)

// PageLoads yields how the page of each page view came that was received in
// [since, until): those that PageViews yields, in the order of segments. Only
// row groups with views of that time are read, and of them the columns that
// are needed, so that a few minutes cost no more than they hold. Memory is
// bounded by two row groups. A value is valid until the next one.
func (e *Engine) PageLoads(ctx context.Context, since, until time.Time) iter.Seq2[*edge.PageLoad, error] {
	return func(yield func(*edge.PageLoad, error) bool) {
		parts, err := e.parts(store.Query{Since: since, Until: until})
		if err == nil {
			var l edge.PageLoad
			err = scan(ctx, e, parts, store.Segment.Beacons, newPageLoadGroup, func(g *pageLoadGroup, p part, rows int) bool {
				for i := range rows {
					if !g.takes(p, i) || g.served.at(i) == [len(edge.Schemes)]edge.PoPID{} {
						continue
					}
					if g.fill(&l, p.day, i); !yield(&l, nil) {
						return false
					}
				}
				return true
			})
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// pageLoadGroup is a row group of store.BeaconRow as far as page loads need it.
type pageLoadGroup struct {
	viewGroup
	rtt           [len(edge.Schemes)]column[float32]
	resolver, ecs prefixColumn
	pop, vip      column[string]
	connect       column[float32]
}

func newPageLoadGroup(names interner) *pageLoadGroup {
	g := &pageLoadGroup{
		viewGroup: *newViewGroup(names),
		resolver:  newPrefixColumn("resolver", names), ecs: newPrefixColumn("resolver_ecs", names),
		pop: textColumn(names), vip: textColumn(names), connect: float32Column(),
	}
	for i := range g.rtt {
		g.rtt[i] = float32Column()
	}
	return g
}

func (g *pageLoadGroup) fields() []field {
	list := append(g.viewGroup.fields(),
		field{g.resolver.name, &g.resolver.text}, field{g.ecs.name, &g.ecs.text},
		field{"page_pop", &g.pop}, field{"page_vip", &g.vip}, field{"page_connect", &g.connect})
	for i, s := range edge.Schemes {
		list = append(list, field{string(s) + "_rtt", &g.rtt[i]})
	}
	return list
}

func (g *pageLoadGroup) check() error {
	if err := g.viewGroup.check(); err != nil {
		return err
	}
	if err := g.resolver.check(); err != nil {
		return err
	}
	return g.ecs.check()
}

// fill makes l row i.
func (g *pageLoadGroup) fill(l *edge.PageLoad, day edge.Day, i int) {
	*l = edge.PageLoad{
		Cell: g.cell(day, i), At: time.UnixMicro(g.received.values[i]).UTC(), Client: g.keys[i], Weight: g.weight(i), Served: g.served.at(i),
		Resolver: edge.Resolver{Addr: g.resolver.prefixes[i], ECS: g.ecs.prefixes[i]},
		PoP:      edge.PoPID(g.pop.values[i]), VIP: edge.VIPID(g.vip.values[i]), Connect: float64(g.connect.values[i]),
		Coarse: slices.Contains(g.flags.row(i), "coarse"),
	}
	for k := range l.RTT {
		l.RTT[k] = float64(g.rtt[k].values[i])
	}
}

func float32Column() column[float32] {
	return column[float32]{kind: encoding.Float, plain: func(dst []float32, v encoding.Values) []float32 { return append(dst, v.Float()...) }}
}
