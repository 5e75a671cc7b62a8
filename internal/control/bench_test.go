package control

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"catchment/internal/edge"
)

// BenchmarkPublish is what a change costs with 50,000 measured cells of ten
// PoPs: making, checking and compressing the snapshot, and a transaction.
func BenchmarkPublish(b *testing.B) {
	fleet := testFleet()
	for i := range 7 {
		p := fleet.PoPs[0]
		p.ID = edge.PoPID(fmt.Sprintf("p%d", i))
		fleet.PoPs = append(fleet.PoPs, p)
	}
	c, err := New(testConfig(b.TempDir()), fleet, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	var orders []edge.Order
	for i := range 50_000 {
		o := edge.Order{CellKey: edge.CellKey{Country: "US", Subdivision: fmt.Sprint(i % 50), ASN: uint32(64496 + i), Family: 4}}
		for j, p := range fleet.PoPs {
			o.PoPs = append(o.PoPs, edge.Latency{PoP: p.ID, RTT: float64(10*j+i%10) + 0.3, Samples: 20 + i%400})
		}
		orders = append(orders, o)
	}
	if err := c.SetMeasured(orders, nil); err != nil {
		b.Fatal(err)
	}
	at := time.Now()
	for i := 0; b.Loop(); i++ {
		c.mu.Lock()
		c.health.report("iad", edge.HealthReport{State: []edge.HealthState{edge.Up, edge.Down}[i%2]}, at)
		c.mu.Unlock()
		c.publish(at)
	}
	b.ReportMetric(float64(len(c.current.Load().text))/1e6, "MB")
	b.ReportMetric(float64(len(c.current.Load().packed))/1e6, "MB-gzip")
}
