package duckdb

import (
	"math"
	"os"
	"regexp"
	"strings"
	"testing"

	"catchment/internal/edge"
)

// The queries in docs/store.md run, in one session, and say what is there.
func TestDocumentedQueries(t *testing.T) {
	page, err := os.ReadFile("../../../docs/store.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	beacon := func(id string, rate float64, pop edge.PoPID, rtt float64) *edge.Beacon {
		return &edge.Beacon{
			V: 1, ID: id, Rate: rate, Received: testDay.Time(), Place: edge.Place{Country: "US"},
			Probes: []edge.Probe{{Target: "global", PoP: pop, RTT: rtt}, {Target: edge.TargetOf(pop), PoP: pop, RTT: rtt}},
		}
	}
	list := []*edge.Beacon{beacon("a", 1, "iad", 20), beacon("b", 0.1, "iad", 22), beacon("c", 0.5, "iad", 40), beacon("d", 1, "lax", 64)}
	writeSegment(t, dir, testDay, 1, 1, list[:3])
	writeSegment(t, dir, testDay, 2, 2, list[3:])
	writeSegment(t, dir, testDay, 1, 2, list) // both are replaced

	var queries []string
	for _, m := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		queries = append(queries, strings.ReplaceAll(m[1], "DATA", dir))
	}
	if len(queries) != 4 {
		t.Fatalf("%d queries, want 4", len(queries))
	}
	e := open(t, dir)
	check := func(query string, views [2]float64, rtt [2]float64) {
		t.Helper()
		rows := 0
		// A statement with a variable needs the session in which it was set.
		err := e.query(t.Context(), queries[0]+query, func(r row) (bool, error) {
			number := func(name string) float64 {
				switch v := r[name].(type) {
				case float64:
					return v
				case float32:
					return float64(v)
				case int64:
					return float64(v)
				}
				return math.NaN()
			}
			count := "views"
			if _, ok := r[count]; !ok {
				count = "probes"
			}
			if rows > 1 || r["pop"] != []string{"iad", "lax"}[rows] || number(count) != views[rows] {
				t.Errorf("row %d: %v, %v", rows, r["pop"], r[count])
			}
			if rtt[0] > 0 && math.Abs(number("rtt_ms")-rtt[rows]) > 0.006*rtt[rows] {
				t.Errorf("row %d: %v ms", rows, r["rtt_ms"])
			}
			rows++
			return true, nil
		})
		if err != nil || rows != 2 {
			t.Errorf("%d rows, error %v:\n%s", rows, err, query)
		}
	}
	check(queries[1], [2]float64{13, 1}, [2]float64{22, 64})
	check(queries[2], [2]float64{13, 1}, [2]float64{})
	check(queries[3], [2]float64{3, 1}, [2]float64{22, 64})
}
