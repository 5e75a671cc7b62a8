package downloadlog

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
)

type metrics struct {
	batches   *prometheus.CounterVec
	downloads *prometheus.CounterVec
	again     prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		batches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catchment_downloadlog_batches_total",
			Help: "Batches that synthetic agents handed in.",
		}, []string{"result"}),
		downloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catchment_downloadlog_downloads_total",
			Help: "Downloads of synthetic agents, by kind, whether it went to a VIP or to the control, and outcome.",
		}, []string{"kind", "over", "outcome"}),
		again: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catchment_downloadlog_again_total",
			Help: "Records that were handed in again, and kept once.",
		}),
	}
	m.batches.WithLabelValues("ok")
	m.batches.WithLabelValues("refused")
	if reg == nil {
		return m, nil
	}
	if err := errors.Join(reg.Register(m.batches), reg.Register(m.downloads), reg.Register(m.again)); err != nil {
		return nil, fmt.Errorf("downloadlog: %w", err)
	}
	return m, nil
}

func (m *metrics) count(d *edge.Download) {
	over := "unicast"
	if d.Target.Anycast() {
		over = "vip"
	}
	m.downloads.WithLabelValues(string(d.Kind), over, string(d.Outcome)).Inc()
}
