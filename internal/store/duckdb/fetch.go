package duckdb

import (
	"context"
	"iter"

	"catchment/internal/edge"
	"catchment/internal/store"
)

// Assignments implements store.Engine. Memory is bounded by two row groups.
func (e *Engine) Assignments(ctx context.Context, q store.Query) iter.Seq2[*edge.Assignments, error] {
	return func(yield func(*edge.Assignments, error) bool) {
		var a edge.Assignments
		more := true
		whole, cut, err := e.split(q)
		if err == nil {
			err = scan(ctx, e, whole, store.Segment.Assignments, newAssignmentGroup, func(g *assignmentGroup, p part, rows int) bool {
				for i := range rows {
					g.fill(&a, p.day, i)
					if more = yield(&a, nil); !more {
						return false
					}
				}
				return true
			})
		}
		if err == nil && more {
			err = e.cutAssignments(ctx, cut, func(a *edge.Assignments) bool { return yield(a, nil) })
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// Latencies implements store.Engine, with memory bounded as for Assignments.
func (e *Engine) Latencies(ctx context.Context, q store.Query) iter.Seq2[*edge.Latencies, error] {
	return func(yield func(*edge.Latencies, error) bool) {
		var l edge.Latencies
		more := true
		whole, cut, err := e.split(q)
		if err == nil {
			err = scan(ctx, e, whole, store.Segment.Latencies, newLatencyGroup, func(g *latencyGroup, p part, rows int) bool {
				for i := range rows {
					g.fill(&l, p.day, i)
					if more = yield(&l, nil); !more {
						return false
					}
				}
				return true
			})
		}
		if err == nil && more {
			err = e.cutLatencies(ctx, cut, func(l *edge.Latencies) bool { return yield(l, nil) })
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// split lists what q touches: the days that it takes whole, and those it cuts.
func (e *Engine) split(q store.Query) (whole, cut []part, err error) {
	parts, err := e.parts(q)
	for _, p := range parts {
		if p.whole() {
			whole = append(whole, p)
		} else {
			cut = append(cut, p)
		}
	}
	return whole, cut, err
}
