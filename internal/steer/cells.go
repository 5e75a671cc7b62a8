package steer

import (
	"cmp"
	"math"

	"catchment/internal/edge"
)

// readOrders keeps the measured distances of each cell in which at least two
// PoPs have enough samples: one alone is not an order.
func (c *classifier) readOrders(s *edge.Snapshot) {
	least := cmp.Or(s.Policy.MinSamples, DefaultMinSamples)
	for i := range s.Orders {
		o := &s.Orders[i]
		list := make([]distance, len(c.fleet.pops))
		for j := range list {
			list[j].how = byMap
		}
		n := 0
		for _, l := range o.PoPs {
			pop, ok := c.fleet.byID[l.PoP]
			if ok && l.Samples >= least && l.RTT > 0 && !math.IsInf(l.RTT, 1) {
				list[pop] = distance{measured, l.RTT}
				n++
			}
		}
		if n >= 2 {
			c.orders[o.CellKey] = list
		}
	}
}

// readCatchments keeps the PoP that most of each cell reach.
func (c *classifier) readCatchments(s *edge.Snapshot) {
	shares := map[observedKey]float64{}
	for i := range s.Catchments {
		x := &s.Catchments[i]
		pop, ok := c.fleet.byID[x.PoP]
		k := observedKey{x.CellKey, x.Scheme}
		if before, seen := shares[k]; ok && (!seen || x.Share > before || x.Share == before && pop < int(c.observed[k])) {
			shares[k], c.observed[k] = x.Share, int16(pop)
		}
	}
}

// widen calls each with the cells that p is in, the narrowest first, until it
// returns true: network in the place, the place, the country; each over the
// client's own family, then over both.
func widen(p *edge.Place, family int, each func(edge.CellKey) bool) {
	if p.Country == "" {
		return // nowhere in particular
	}
	cells := [...]edge.CellKey{
		{Country: p.Country, Subdivision: p.Subdivision, ASN: p.ASN},
		{Country: p.Country, Subdivision: p.Subdivision},
		{Country: p.Country},
	}
	for i, cell := range cells {
		if i > 0 && cell == cells[i-1] {
			continue
		}
		cell.Family = [...]uint8{4, 6}[family]
		if each(cell) {
			return
		}
		cell.Family = 0
		if each(cell) {
			return
		}
	}
}

// distancesTo fills dst with the PoPs' distances from a place, and returns the
// cell that they were measured in, if they were.
func (c *classifier) distancesTo(p *edge.Place, family int, dst []distance) (cell edge.CellKey) {
	var order []distance
	if len(c.orders) > 0 {
		widen(p, family, func(k edge.CellKey) bool {
			order, cell = c.orders[k], k
			return order != nil
		})
	}
	if order == nil {
		cell = edge.CellKey{}
	}
	at := vectorOf(p)
	for i := range dst {
		if order != nil && order[i].how == measured {
			dst[i] = order[i]
			continue
		}
		dst[i] = distance{byName, 2}
		switch q := &c.fleet.pops[i].Place; {
		case at.known && c.vectors[i].known:
			dst[i] = distance{byMap, at.km(c.vectors[i])}
		case p.Country != "" && p.Country == q.Country:
			dst[i].x = 0
		case p.Continent != "" && p.Continent == q.Continent:
			dst[i].x = 1
		}
	}
	return cell
}

// observedAt returns the PoP that most clients of a place reach under a
// scheme, and the cell it was observed in.
func (c *classifier) observedAt(p *edge.Place, family int, s edge.Scheme) (pop int16, cell edge.CellKey) {
	pop = none
	if len(c.observed) > 0 {
		widen(p, family, func(k edge.CellKey) bool {
			i, ok := c.observed[observedKey{k, s}]
			if ok {
				pop, cell = i, k
			}
			return ok
		})
	}
	return pop, cell
}
