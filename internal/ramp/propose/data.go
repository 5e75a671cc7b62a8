// Package propose says from stored page views what a ramp could gain: which
// geographies gain by which scheme, which lose and stay on DNS (gains.go), and
// which PoPs should share a VIP, and which countries each VIP should serve
// (regions.go). It is pure: no clock, no randomness, no log, no I/O.
package propose

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"catchment/internal/analysis"
	"catchment/internal/edge"
)

// Folds is into how many parts days are divided, to judge a proposal by days
// that it was not made from.
const Folds = 3

// Data is what several days of page views say. Add all days, then ask.
type Data struct {
	fleet *edge.Fleet
	tol   analysis.Tolerance
	days  map[edge.Day]int // its number, in the order of Add
	views map[viewKey]*[Folds]float64
	whole *analysis.Measured
	fold  [Folds]*analysis.Measured // of the fold's days alone
	rest  [Folds]*analysis.Measured // of all other days
	far   map[farKey]*[edge.NumBins]float64
	where map[string]string // continent of each country
}

// viewKey is page views that are alike to a proposal.
type viewKey struct {
	cell   edge.CellKey
	served [len(edge.Schemes)]edge.PoPID
}

type farKey struct {
	country string
	pop     edge.PoPID
}

// NewData returns one that knows nothing yet.
func NewData(f *edge.Fleet, c analysis.Criteria) *Data {
	d := &Data{
		fleet: f, tol: c.Tolerance, days: map[edge.Day]int{}, views: map[viewKey]*[Folds]float64{},
		whole: analysis.NewMeasured(c), far: map[farKey]*[edge.NumBins]float64{}, where: map[string]string{},
	}
	for i := range d.fold {
		d.fold[i], d.rest[i] = analysis.NewMeasured(c), analysis.NewMeasured(c)
	}
	return d
}

// Add takes up one UTC day. The errors are those of the sequences, and
// malformed elements.
func (d *Data) Add(day edge.Day, w analysis.Window) error {
	n, ok := d.days[day]
	if !ok {
		n = len(d.days)
		d.days[day] = n
	}
	f := n % Folds
	to := []*analysis.Measured{d.whole, d.fold[f]}
	for i := range d.rest {
		if i != f {
			to = append(to, d.rest[i])
		}
	}
	none := func(func(*edge.Assignments, error) bool) {}
	for l, err := range w.Latencies {
		if err != nil {
			return fmt.Errorf("propose: latencies: %w", err)
		}
		if len(l.Samples) != len(l.Counts) {
			return fmt.Errorf("propose: latencies: %d samples, %d counts", len(l.Samples), len(l.Counts))
		}
		if l.Scheme != "" {
			d.addFar(l)
			continue
		}
		one := func(yield func(*edge.Latencies, error) bool) { yield(l, nil) }
		for _, m := range to {
			if err := m.Read(analysis.Window{Latencies: one, Assignments: none}); err != nil {
				return err
			}
		}
	}
	for a, err := range w.Assignments {
		if err != nil {
			return fmt.Errorf("propose: assignments: %w", err)
		}
		d.addViews(a, f)
	}
	return nil
}

// addFar notes how far a PoP is that a scheme led to, for where nobody measures
// it by its own name.
func (d *Data) addFar(l *edge.Latencies) {
	k := farKey{l.Country, l.PoP}
	bins := d.far[k]
	if bins == nil {
		bins = &[edge.NumBins]float64{}
		d.far[farKey{strings.Clone(l.Country), edge.PoPID(strings.Clone(string(l.PoP)))}] = bins
	}
	for i, s := range l.Samples {
		bins[min(s.Bin(), edge.NumBins-1)] += float64(l.Counts[i])
	}
}

func (d *Data) addViews(a *edge.Assignments, fold int) {
	if a.Country == "" {
		return
	}
	weight := 0.0
	for _, w := range a.Weights {
		weight += w
	}
	k := viewKey{edge.CellKey{Country: a.Country, Subdivision: a.Subdivision, ASN: a.ASN, Family: a.Family}, a.Served}
	v := d.views[k]
	if v == nil {
		k.cell.Country, k.cell.Subdivision = strings.Clone(a.Country), strings.Clone(a.Subdivision)
		for i := range k.served {
			k.served[i] = edge.PoPID(strings.Clone(string(k.served[i])))
		}
		v = &[Folds]float64{}
		d.views[k] = v
		if d.where[k.cell.Country] == "" {
			d.where[k.cell.Country] = strings.Clone(a.Continent)
		}
	}
	v[fold] += weight
}

// Days returns how many there are.
func (d *Data) Days() int { return len(d.days) }

// part is some of the days: their page views, and how far PoPs are then.
type part struct {
	data   *Data
	takes  func(fold int) bool
	orders map[edge.CellKey][]edge.Latency
}

func (d *Data) part(m *analysis.Measured, takes func(fold int) bool) *part {
	p := &part{data: d, takes: takes, orders: map[edge.CellKey][]edge.Latency{}}
	for _, o := range m.Orders() {
		p.orders[o.CellKey] = o.PoPs
	}
	return p
}

func (p *part) weight(v *[Folds]float64) (w float64) {
	for i, x := range v {
		if p.takes(i) {
			w += x
		}
	}
	return w
}

// order returns the PoPs of a cell, the nearest first: by the network's own
// latencies, else by the place's, else by the country's.
func (p *part) order(c edge.CellKey) []edge.Latency {
	for _, k := range []edge.CellKey{
		c,
		{Country: c.Country, Subdivision: c.Subdivision, Family: c.Family},
		{Country: c.Country, Subdivision: c.Subdivision},
		{Country: c.Country, Family: c.Family},
		{Country: c.Country},
	} {
		if o := p.orders[k]; len(o) > 0 {
			return o
		}
	}
	return nil
}

// measured returns how far a PoP is from a cell by its own name; NaN: nobody
// knows.
func (p *part) measured(c edge.CellKey, order []edge.Latency, pop edge.PoPID) float64 {
	if i := slices.IndexFunc(order, func(l edge.Latency) bool { return l.PoP == pop }); i >= 0 {
		return order[i].RTT
	}
	wider := p.orders[edge.CellKey{Country: c.Country}]
	if i := slices.IndexFunc(wider, func(l edge.Latency) bool { return l.PoP == pop }); i >= 0 {
		return wider[i].RTT
	}
	return math.NaN()
}

// ms is measured, or else how far the PoP is for those whom a scheme led to it:
// good for them, but not for others, as some of them are not where they seem.
func (p *part) ms(c edge.CellKey, order []edge.Latency, pop edge.PoPID) float64 {
	if ms := p.measured(c, order, pop); !math.IsNaN(ms) {
		return ms
	}
	bins := p.data.far[farKey{c.Country, pop}]
	if bins == nil {
		return math.NaN()
	}
	total := 0.0
	for _, n := range bins {
		total += n
	}
	const enough = 20
	if total < enough {
		return math.NaN()
	}
	left := total / 2
	for b, n := range bins {
		if left -= n; left <= 0 {
			return edge.BinMs(b)
		}
	}
	return math.NaN()
}
