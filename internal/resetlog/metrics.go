package resetlog

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
)

type metrics struct {
	batches *prometheus.CounterVec
	resets  *prometheus.CounterVec
	open    prometheus.Counter
	dropped prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		batches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catchment_resetlog_batches_total",
			Help: "Batches that PoPs' reset watchers handed in.",
		}, []string{"result"}),
		resets: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catchment_resetlog_resets_total",
			Help: "What PoPs' reset watchers saw, by PoP, kind, and why it may be none of a flow that moved.",
		}, []string{"pop", "kind", "doubt"}),
		open: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catchment_resetlog_flips_total",
			Help: "Connections that one PoP reset and another had open: confirmed flips.",
		}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catchment_resetlog_dropped_total",
			Help: "Records that were not kept since the day's log was full.",
		}),
	}
	m.batches.WithLabelValues("ok")
	m.batches.WithLabelValues("refused")
	if reg == nil {
		return m, nil
	}
	if err := errors.Join(reg.Register(m.batches), reg.Register(m.resets), reg.Register(m.open), reg.Register(m.dropped)); err != nil {
		return nil, fmt.Errorf("resetlog: %w", err)
	}
	return m, nil
}

func (m *metrics) count(b *edge.Resets) {
	for _, r := range b.Resets {
		m.resets.WithLabelValues(string(b.PoP), string(r.Kind), string(r.Doubt)).Add(float64(r.Count))
	}
	m.open.Add(float64(len(b.Open)))
}
