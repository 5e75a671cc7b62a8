package spool

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	bytes   prometheus.Gauge
	dropped prometheus.Counter
	torn    prometheus.Counter
}

func newMetrics() *metrics {
	return &metrics{
		bytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "catchment_synth_spool_bytes", Help: "Size of the records on disk, with those shipped already whose segment is still needed.",
		}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catchment_synth_spool_dropped_total", Help: "Records deleted before they were shipped, since the spool was full.",
		}),
		torn: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catchment_synth_spool_torn_bytes_total", Help: "Bytes found at start that were no whole record: torn by a crash, or damaged.",
		}),
	}
}

func (m *metrics) register(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	return errors.Join(reg.Register(m.bytes), reg.Register(m.dropped), reg.Register(m.torn))
}
