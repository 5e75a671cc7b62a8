package duckdb

import (
	"errors"
	"slices"

	"catchment/internal/edge"
)

// assignmentGroup is a row group of store.AssignmentRow.
type assignmentGroup struct {
	cellColumns
	served            servedColumns
	prefixes          column[uint64]
	views             column[uint32]
	weights, weights2 column[float64]
}

func newAssignmentGroup(names interner) *assignmentGroup {
	return &assignmentGroup{
		cellColumns: newCellColumns(names), served: newServedColumns(names),
		prefixes: uint64Lists(), views: uint32Lists(), weights: float64Lists(), weights2: float64Lists(),
	}
}

func (g *assignmentGroup) fields() []field {
	return append(append(g.cellColumns.fields(), g.served.fields()...),
		field{"prefixes", &g.prefixes}, field{"views", &g.views}, field{"weights", &g.weights}, field{"weights2", &g.weights2})
}

func (g *assignmentGroup) check() error {
	for _, starts := range [][]int{g.views.starts, g.weights.starts, g.weights2.starts} {
		if !slices.Equal(g.prefixes.starts, starts) {
			return errors.New("the lists of prefixes, views and weights differ in length")
		}
	}
	return nil
}

func (g *assignmentGroup) fill(a *edge.Assignments, day edge.Day, i int) {
	a.Cell = g.cell(day, i)
	a.Served = g.served.at(i)
	a.Prefixes, a.Views, a.Weights, a.Weights2 = g.prefixes.row(i), g.views.row(i), g.weights.row(i), g.weights2.row(i)
}

// latencyGroup is a row group of store.LatencyRow.
type latencyGroup struct {
	cellColumns
	pop, scheme column[string]
	samples     column[edge.Sample]
	counts      column[uint32]
}

func newLatencyGroup(names interner) *latencyGroup {
	return &latencyGroup{
		cellColumns: newCellColumns(names),
		pop:         textColumn(names), scheme: textColumn(names), samples: sampleLists(), counts: uint32Lists(),
	}
}

func (g *latencyGroup) fields() []field {
	return append(g.cellColumns.fields(),
		field{"pop", &g.pop}, field{"scheme", &g.scheme}, field{"samples", &g.samples}, field{"counts", &g.counts})
}

func (g *latencyGroup) check() error {
	if !slices.Equal(g.samples.starts, g.counts.starts) {
		return errors.New("the lists of samples and counts differ in length")
	}
	return nil
}

func (g *latencyGroup) fill(l *edge.Latencies, day edge.Day, i int) {
	l.Cell = g.cell(day, i)
	l.PoP, l.Scheme = edge.PoPID(g.pop.values[i]), edge.Scheme(g.scheme.values[i])
	l.Samples, l.Counts = g.samples.row(i), g.counts.row(i)
}
