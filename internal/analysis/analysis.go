// Package analysis decides which page views reached an optimal PoP, how sure
// that is, and what to do about it.
//
// [Judge] reads the aggregates of a window: first the latencies, from which it
// takes what every PoP costs from every cell (table.go, standing.go,
// median.go), then the assignments, each of which it judges (judgement.go) and
// hands to the reports. A report adds up and tells at the end: [Assignment] the
// share of views that were optimal, by group and scheme, with intervals
// clustered by client prefix (interval.go) and a verdict per scheme;
// [Offenders] who loses the most time where; [PoPs] whom every PoP serves.
//
// The definitions, their reasons and their limits are in docs/method.md. The
// package is pure: no clock, no randomness, no log, no I/O.
package analysis

import (
	"fmt"
	"iter"

	"catchment/internal/edge"
)

// Criteria say when a PoP's latency counts and when a PoP is good enough.
type Criteria struct {
	// MinSamples is the least number of probes behind a PoP's latency in a
	// cell or place, after no client prefix counts for more than a fifth of
	// them. 20 is Calder's (IMC 2015).
	MinSamples int
	Tolerance  Tolerance
}

// DefaultCriteria returns 20 samples and max(5 ms, 10 %).
func DefaultCriteria() Criteria {
	return Criteria{MinSamples: 20, Tolerance: DefaultTolerance}
}

// Window is what a store yields for one stretch of time. The latencies of a
// UTC day must be in the same window as its assignments. The same cell may
// come in several pieces, in any order; nothing that is yielded is kept.
type Window struct {
	Latencies   iter.Seq2[*edge.Latencies, error]
	Assignments iter.Seq2[*edge.Assignments, error]
}

// Report is what judged views are added up in: an *Assignment, an *Offenders
// or a *PoPs.
type Report interface {
	add(j *judgement)
}

// latencyReport is a Report that also looks at the latencies themselves.
type latencyReport interface {
	addLatencies(l *edge.Latencies)
}

// Judge judges every assignment of the windows and adds it to the reports.
// Windows of whole UTC days give the same result as one long window, and need
// no more memory than the largest of them. The errors are those of the
// sequences, and malformed elements.
func Judge(c Criteria, windows iter.Seq[Window], to ...Report) error {
	var latencies []latencyReport
	for _, r := range to {
		if r, ok := r.(latencyReport); ok {
			latencies = append(latencies, r)
		}
	}
	t := newTable(c)
	for w := range windows {
		t.reset()
		if err := t.read(w.Latencies, latencies); err != nil {
			return err
		}
		if err := t.judge(w.Assignments, to); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) read(all iter.Seq2[*edge.Latencies, error], to []latencyReport) error {
	for l, err := range all {
		if err != nil {
			return fmt.Errorf("analysis: latencies: %w", err)
		}
		if len(l.Samples) != len(l.Counts) {
			return fmt.Errorf("analysis: latencies of %s: %d samples, %d counts", cellName(&l.Cell), len(l.Samples), len(l.Counts))
		}
		t.add(l)
		for _, r := range to {
			r.addLatencies(l)
		}
	}
	return nil
}

func (t *table) judge(all iter.Seq2[*edge.Assignments, error], to []Report) error {
	c := court{table: t}
	for a, err := range all {
		if err != nil {
			return fmt.Errorf("analysis: assignments: %w", err)
		}
		j, err := c.judge(a)
		if err != nil {
			return err
		}
		for _, r := range to {
			r.add(j)
		}
	}
	return nil
}

// cellName says which cell an error is about.
func cellName(c *edge.Cell) string {
	return fmt.Sprintf("%s AS%d on %s over IPv%d", placeName(c.Country, c.Subdivision), c.ASN, c.Day, c.Family)
}

// placeName is a place's ISO 3166-2 code, US-IL, or its country's where there
// is no subdivision.
func placeName(country, subdivision string) string {
	if subdivision == "" {
		return country
	}
	return country + "-" + subdivision
}
