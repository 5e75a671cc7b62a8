package duckdb

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"catchment/internal/edge"
)

// beaconColumns are the columns of store.BeaconRow that say when a page view
// was, in which cell, by which client, and what doubts there are.
type beaconColumns struct {
	cellColumns
	received column[int64]
	client   column[string]
	flags    column[string]
	keys     []uint64 // edge.PrefixKey of the clients
}

func newBeaconColumns(names interner) beaconColumns {
	return beaconColumns{cellColumns: newCellColumns(names), received: int64Column(), client: textColumn(names), flags: textLists(names)}
}

func (b *beaconColumns) fields() []field {
	return append(b.cellColumns.fields(), field{"received", &b.received}, field{"client", &b.client}, field{"flags", &b.flags})
}

func (b *beaconColumns) check() error {
	b.keys = b.keys[:0]
	for _, text := range b.client.values {
		var prefix netip.Prefix // unknown
		if text != "" {
			var err error
			if prefix, err = netip.ParsePrefix(text); err != nil {
				return fmt.Errorf("column client: %w", err)
			}
		}
		b.keys = append(b.keys, edge.PrefixKey(prefix))
	}
	return nil
}

// takes reports whether row i is in p and was not made by a machine.
func (b *beaconColumns) takes(p part, i int) bool {
	at, flags := b.received.values[i], b.flags.row(i)
	return at >= p.since && at < p.until && !slices.Contains(flags, "bot") && !slices.Contains(flags, "webdriver")
}

// viewGroup is a row group of store.BeaconRow as far as assignments need it.
type viewGroup struct {
	beaconColumns
	rate   column[float64]
	served servedColumns
}

func newViewGroup(names interner) *viewGroup {
	return &viewGroup{beaconColumns: newBeaconColumns(names), rate: float64Column(), served: newServedColumns(names)}
}

func (g *viewGroup) fields() []field {
	return append(append(g.beaconColumns.fields(), g.served.fields()...), field{"rate", &g.rate})
}

// weight is that of row i; a rate outside (0, 1] counts as 1.
func (g *viewGroup) weight(i int) float64 {
	if rate := g.rate.values[i]; rate > 0 && rate <= 1 {
		return 1 / rate
	}
	return 1
}

// probeGroup is a row group of store.BeaconRow as far as latencies need it.
type probeGroup struct {
	beaconColumns
	target, pop, failure column[string]
	rtt                  column[float32]
	af                   column[uint32]
}

func newProbeGroup(names interner) *probeGroup {
	return &probeGroup{
		beaconColumns: newBeaconColumns(names),
		target:        textLists(names), pop: textLists(names), failure: textLists(names), rtt: float32Lists(), af: uint32Lists(),
	}
}

func (g *probeGroup) fields() []field {
	return append(g.beaconColumns.fields(), field{"probes.target", &g.target}, field{"probes.pop", &g.pop},
		field{"probes.error", &g.failure}, field{"probes.rtt", &g.rtt}, field{"probes.af", &g.af})
}

func (g *probeGroup) check() error {
	for _, starts := range [][]int{g.pop.starts, g.failure.starts, g.rtt.starts, g.af.starts} {
		if !slices.Equal(g.target.starts, starts) {
			return errors.New("the lists of probes differ in length")
		}
	}
	return g.beaconColumns.check()
}

// takes also leaves out views whose clock is too coarse to measure with.
func (g *probeGroup) takes(p part, i int) bool {
	return g.beaconColumns.takes(p, i) && !slices.Contains(g.flags.row(i), "coarse")
}
