package duckdb

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"

	"catchment/internal/edge"
	"catchment/internal/store"
)

// PageViews implements store.Engine: as Beacons, but only the columns that are
// needed are read. Memory is bounded by two row groups.
func (e *Engine) PageViews(ctx context.Context, q store.Query) iter.Seq2[*edge.PageView, error] {
	return func(yield func(*edge.PageView, error) bool) {
		parts, err := e.parts(q)
		if err == nil {
			var v edge.PageView
			err = scan(ctx, e, parts, store.Segment.Beacons, newPageViewGroup, func(g *pageViewGroup, p part, rows int) bool {
				for i := range rows {
					if !g.takes(p, i) || g.served.at(i) == [len(edge.Schemes)]edge.PoPID{} {
						continue
					}
					if g.fill(&v, p.day, i); !yield(&v, nil) {
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

// pageViewGroup is a row group of store.BeaconRow as far as page views need it.
type pageViewGroup struct {
	viewGroup
	city          column[string]
	lat, lon      column[float64]
	resolver, ecs prefixColumn
	pop, failure  column[string]
	rtt           column[float32]
}

func newPageViewGroup(names interner) *pageViewGroup {
	return &pageViewGroup{
		viewGroup: *newViewGroup(names),
		city:      textColumn(names), lat: float64Column(), lon: float64Column(),
		resolver: newPrefixColumn("resolver", names), ecs: newPrefixColumn("resolver_ecs", names),
		pop: textLists(names), failure: textLists(names), rtt: float32Lists(),
	}
}

func (g *pageViewGroup) fields() []field {
	return append(g.viewGroup.fields(),
		field{"city", &g.city}, field{"lat", &g.lat}, field{"lon", &g.lon},
		field{g.resolver.name, &g.resolver.text}, field{g.ecs.name, &g.ecs.text},
		field{"probes.pop", &g.pop}, field{"probes.error", &g.failure}, field{"probes.rtt", &g.rtt})
}

func (g *pageViewGroup) check() error {
	for _, starts := range [][]int{g.failure.starts, g.rtt.starts} {
		if !slices.Equal(g.pop.starts, starts) {
			return errors.New("the lists of probes differ in length")
		}
	}
	return errors.Join(g.viewGroup.check(), g.resolver.check(), g.ecs.check())
}

// fill makes v row i.
func (g *pageViewGroup) fill(v *edge.PageView, day edge.Day, i int) {
	seen := v.Seen[:0]
	if !slices.Contains(g.flags.row(i), "coarse") {
		for j := g.pop.starts[i]; j < g.pop.starts[i+1]; j++ {
			if g.failure.values[j] == "" && g.pop.values[j] != "" && g.rtt.values[j] > 0 {
				seen = append(seen, edge.Seen{PoP: edge.PoPID(g.pop.values[j]), RTT: float64(g.rtt.values[j])})
			}
		}
	}
	*v = edge.PageView{
		Cell: g.cell(day, i), Prefix: g.keys[i], Weight: g.weight(i), Served: g.served.at(i),
		Resolver: edge.Resolver{Addr: g.resolver.prefixes[i], ECS: g.ecs.prefixes[i]}, Seen: seen,
	}
	v.Place = edge.Place{
		Continent: v.Continent, Country: v.Country, Subdivision: v.Subdivision, ASN: v.ASN,
		City: g.city.values[i], Lat: g.lat.values[i], Lon: g.lon.values[i],
	}
}

// prefixColumn is a column of prefixes as text, empty where there is none.
type prefixColumn struct {
	name     string
	text     column[string]
	prefixes []netip.Prefix
	parsed   map[string]netip.Prefix // what the last row groups had, since much repeats
}

// maxParsed bounds what prefixColumn remembers, to some 10 MB.
const maxParsed = 100_000

func newPrefixColumn(name string, names interner) prefixColumn {
	return prefixColumn{name: name, text: textColumn(names), parsed: map[string]netip.Prefix{"": {}}}
}

func (c *prefixColumn) check() error {
	c.prefixes = slices.Grow(c.prefixes[:0], len(c.text.values))
	for _, text := range c.text.values {
		p, ok := c.parsed[text]
		if !ok {
			var err error
			if p, err = netip.ParsePrefix(text); err != nil {
				return fmt.Errorf("column %s: %w", c.name, err)
			}
			if len(c.parsed) >= maxParsed {
				c.parsed = map[string]netip.Prefix{"": {}}
			}
			c.parsed[text] = p
		}
		c.prefixes = append(c.prefixes, p)
	}
	return nil
}
