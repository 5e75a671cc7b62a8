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
	bin     int32   // of a penalty that is not 0, as edge.Bin
}

func (o *outcome) probed() bool { return o.pop != "" }

// court judges the assignments of one window.
type court struct {
	table    *table
	cell     edge.Cell // of the last element: neighbors mostly share it
	standing *standing
	known    [len(edge.Schemes)][]outcome // in that cell, by PoP
	judgement
}

// judge judges a, which the judgement refers to until the next one.
func (c *court) judge(a *edge.Assignments) (*judgement, error) {
	c.judgement = judgement{at: a}
	if err := c.addUp(a); err != nil {
		return nil, err
	}
	if a.Cell != c.cell {
		c.cell, c.standing = a.Cell, c.table.standingOf(&a.Cell)
		for k := range c.known {
			c.known[k] = c.known[k][:0]
		}
	}
	if c.standing != nil {
		c.best, c.judged = c.table.pops.names[c.standing.best.pop], true
	}
	for k, pop := range a.Served {
		c.outcomes[k] = c.outcome(pop, k)
	}
	return &c.judgement, nil
}

// addUp fills in the sums over a.
func (j *judgement) addUp(a *edge.Assignments) error {
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
	return nil
}

// outcome is that of the views of the cell which scheme k led to pop.
func (c *court) outcome(pop edge.PoPID, k int) outcome {
	if pop == "" {
		return outcome{}
	}
	for i := range c.known[k] {
		if o := &c.known[k][i]; o.pop == pop {
			return *o
		}
	}
	o := c.table.outcome(c.standing, pop, k)
	c.known[k] = append(c.known[k], o)
	return o
}

// outcome is that of views from where the standing is which scheme k led to pop.
//
// A failed probe counts as not optimal where the cell could be judged. In a
// cell that could not it is left out like every other view there: counting
// failures alone would pull the share to 0.
func (t *table) outcome(s *standing, pop edge.PoPID, k int) outcome {
	o := outcome{pop: pop, failed: pop == edge.Failed, judged: s != nil}
	if s == nil || o.failed {
		return o
	}
	id, ok := t.pops.ids[pop]
	if !ok {
		return outcome{pop: pop} // nobody measured it
	}
	ms, ok := t.reached(s, id, k)
	if !ok {
		return outcome{pop: pop}
	}
	o.optimal = id == s.best.pop || t.criteria.Tolerance.within(ms, s.best.ms)
	if o.penalty = max(0, ms-s.best.ms); o.penalty > 0 {
		o.bin = int32(edge.Bin(o.penalty))
	}
	return o
}
