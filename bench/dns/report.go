package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// report prints the table, or writes what it is made of as JSON.
func report(o *options, s *site, results []*result) error {
	if o.json != "" {
		text, err := json.MarshalIndent(document(o, s, results), "", "  ")
		if err != nil {
			return err
		}
		text = append(text, '\n')
		if o.json == "-" {
			_, err := os.Stdout.Write(text)
			return err
		}
		if err := os.WriteFile(o.json, text, 0o644); err != nil {
			return err
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nA queries with ECS for %d clients over %d IPv4 and %d IPv6 prefixes; one worker;\n", len(s.queries), s.leaves4, s.leaves6)
	fmt.Fprintf(&b, "medians of %d interleaved rounds of %v [least to most]; CPU time in µs per answer.\n\n", o.rounds, o.span)
	fmt.Fprintf(&b, "%-28s %19s %9s %5s   %19s %6s %6s   %7s %7s %7s %7s\n", "", "saturated: µs", "answers/s", "busy", fmt.Sprintf("at %d/s: µs", o.rate), "p50 µs", "p99 µs", "wrong", "wide", "lost", "RSS MB")
	for _, r := range results {
		fmt.Fprintf(&b, "%-28s %19s %9.0f %4.0f%%   %19s %6.0f %6.0f   %7d %7d %7d %7.0f\n", r.Name,
			spread(r.Saturated.Cost), median(r.Saturated.Rate), 100*median(r.Saturated.Busy),
			spread(r.Offered.Cost), median(r.Offered.P50), median(r.Offered.P99),
			r.Wrong, r.Wide, r.Lost, float64(r.RSS)/1e6)
	}
	b.WriteString("\nwrong: not the right address; wide: its ECS scope also covers clients for whom it is not right; lost: not answered in 300 ms.\n")
	for _, x := range ratios(results) {
		fmt.Fprintf(&b, "%s costs %s of what %s does saturated, %s at %d/s (ratios of each round).\n", x.Name, spread(x.Saturated), x.Against, spread(x.Offered), o.rate)
	}
	if slices.ContainsFunc(results, func(r *result) bool { return r.queries[0].signed() }) {
		b.WriteString("Signed servers are asked with DO and send a signature with every answer; gdnsd cannot sign, and the others are asked for plain answers.\n")
	}
	var busy []float64
	for _, r := range results {
		busy = append(busy, median(r.Saturated.Busy))
	}
	if median(busy) < 0.9 {
		fmt.Fprintf(&b, "Something else was running: saturated servers had %.0f %% of their processor. Read ratios, not answers/s and latencies.\n", 100*median(busy))
	}
	_, err := fmt.Print(b.String())
	return err
}

// ratio is what Catchment costs, as a share of what the best peer costs.
type ratio struct {
	Name      string    `json:"name"`
	Against   string    `json:"against"`
	Saturated []float64 `json:"saturated"` // by round
	Offered   []float64 `json:"offered"`
}

// ratios compares each variant of Catchment, round by round, with the peers
// that answer plain queries: in each round with whichever was cheaper in it.
func ratios(results []*result) (all []ratio) {
	var peers []*result
	var names []string
	for _, r := range results {
		if r.peer {
			peers, names = append(peers, r), append(names, r.Name)
		}
	}
	if len(peers) == 0 {
		return nil
	}
	against := strings.Join(names, " or ")
	if len(peers) > 1 {
		against = "the cheaper of " + strings.Join(names, " and ")
	}
	for _, r := range results {
		if r.ours {
			all = append(all, ratio{
				r.Name, against,
				over(r, peers, func(r *result) []float64 { return r.Saturated.Cost }),
				over(r, peers, func(r *result) []float64 { return r.Offered.Cost }),
			})
		}
	}
	return all
}

func over(r *result, peers []*result, of func(*result) []float64) (all []float64) {
	for round, cost := range of(r) {
		least := of(peers[0])[round]
		for _, p := range peers[1:] {
			least = min(least, of(p)[round])
		}
		all = append(all, cost/least)
	}
	return all
}

// document is what -json writes.
func document(o *options, s *site, results []*result) any {
	return struct {
		Rounds  int       `json:"rounds"`
		Seconds float64   `json:"seconds"` // of a round's measured parts
		Rate    int       `json:"rate"`    // of the part at a fixed rate, queries per second
		Clients int       `json:"clients"`
		Leaves4 int       `json:"prefixes_v4"`
		Leaves6 int       `json:"prefixes_v6"`
		Servers []*result `json:"servers"`
		Ratios  []ratio   `json:"ratios"`
	}{o.rounds, o.span.Seconds(), o.rate, len(s.queries), s.leaves4, s.leaves6, results, ratios(results)}
}

// spread is the median of values with the least and the most.
func spread(values []float64) string {
	return fmt.Sprintf("%.2f [%.2f–%.2f]", median(values), slices.Min(values), slices.Max(values))
}

func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
