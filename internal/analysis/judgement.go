package analysis

import (
	"fmt"
	"math"

	"catchment/internal/edge"
)

// judgement is one element of assignments: views of one cell that all reached
// the same PoPs, so that they share their outcomes.
type judgement struct {
	at       *edge.Assignments
	views    uint64
	weight   float64 // Σ 1/rate
	weight2  float64 // Σ 1/rate²
	best     edge.PoPID
	judged   bool // there is a best PoP
	outcomes [len(edge.Schemes)]outcome
}

// outcome is what became of the views under one scheme.
type outcome struct {
	pop     edge.PoPID // the PoP reached; Failed and empty as in View.Served
	failed  bool
	judged  bool    // known to be optimal or not
	optimal bool    // never of a failed probe
	penalty float64 // ms over the best PoP, never negative; 0 if failed or not judged
}

func (o *outcome) probed() bool { return o.pop != "" }

// judge fills j with a and its outcomes. a is kept until the next call.
//
// A failed probe counts as not optimal where the cell could be judged. In a
// cell that could not it is left out like every other view there: counting
// failures alone would pull the share to 0.
func (j *judgement) judge(t *table, a *edge.Assignments) error {
	*j = judgement{at: a}
	n := len(a.Prefixes)
	if len(a.Views) != n || len(a.Weights) != n || len(a.Weights2) != n {
		return fmt.Errorf("analysis: assignments of %s: %d prefixes, %d views, %d weights, %d squares",
			cellName(&a.Cell), n, len(a.Views), len(a.Weights), len(a.Weights2))
	}
	for i := range n {
		j.views += uint64(a.Views[i])
		j.weight += a.Weights[i]
		j.weight2 += a.Weights2[i]
		if !(a.Weights[i] >= 0) || !(a.Weights2[i] >= 0) {
			return fmt.Errorf("analysis: assignments of %s: weights %v and %v", cellName(&a.Cell), a.Weights[i], a.Weights2[i])
		}
	}
	if math.IsInf(j.weight, 0) || math.IsInf(j.weight2, 0) {
		return fmt.Errorf("analysis: assignments of %s: infinite weight", cellName(&a.Cell))
	}
	s := t.standingOf(&a.Cell)
	var best popLatency
	if s != nil {
		best = s.best()
		j.best, j.judged = t.names[best.pop], true
	}
	for k, pop := range a.Served {
		o := &j.outcomes[k]
		o.pop, o.failed = pop, pop == edge.Failed
		switch {
		case s == nil || pop == "":
		case o.failed:
			o.judged = true
		default:
			id, ok := t.ids[pop]
			if !ok {
				continue // nobody measured it
			}
			ms, ok := t.reached(s, id, k)
			if !ok {
				continue
			}
			o.judged = true
			o.optimal = id == best.pop || t.criteria.Tolerance.within(ms, best.ms)
			o.penalty = max(0, ms-best.ms)
		}
	}
	return nil
}
