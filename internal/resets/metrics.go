package resets

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
)

type metrics struct {
	method   *prometheus.GaugeVec
	seen     *prometheus.CounterVec
	overflow prometheus.Counter
	batches  *prometheus.CounterVec
	open     prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		method: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catchment_resets_method",
			Help: "1 for the method by which resets of misrouted connections are seen.",
		}, []string{"method"}),
		seen: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catchment_resets_seen_total",
			Help: "What the reset watcher saw, by kind and by why it may be none of a flow that moved. Counted as it is handed in.",
		}, []string{"kind", "doubt"}),
		overflow: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catchment_resets_overflow_total",
			Help: "Resets that were only counted, by the kernel or the watcher, for want of room.",
		}),
		batches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catchment_resets_batches_total",
			Help: "Batches handed in to the control node.",
		}, []string{"result"}),
		open: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catchment_resets_open_total",
			Help: "Connections that were reset at another PoP and were found open here.",
		}),
	}
	for _, r := range edge.ResetMethods {
		m.method.WithLabelValues(string(r))
	}
	for _, d := range []edge.ResetDoubt{edge.NoDoubt, edge.DoubtStart, edge.DoubtClosed, edge.DoubtScan} {
		m.seen.WithLabelValues(string(edge.MidFlow), string(d))
	}
	m.seen.WithLabelValues(string(edge.TimedOut), "")
	m.seen.WithLabelValues(string(edge.Excess), "")
	m.batches.WithLabelValues("ok")
	m.batches.WithLabelValues("failed")
	if reg == nil {
		return m, nil
	}
	if err := errors.Join(reg.Register(m.method), reg.Register(m.seen), reg.Register(m.overflow), reg.Register(m.batches), reg.Register(m.open)); err != nil {
		return nil, fmt.Errorf("resets: %w", err)
	}
	return m, nil
}

// using sets the method; none: not watching.
func (m *metrics) using(method edge.ResetMethod) {
	for _, r := range edge.ResetMethods {
		v := 0.0
		if r == method {
			v = 1
		}
		m.method.WithLabelValues(string(r)).Set(v)
	}
}

func (m *metrics) count(b *edge.Resets) {
	for _, r := range b.Resets {
		m.seen.WithLabelValues(string(r.Kind), string(r.Doubt)).Add(float64(r.Count))
	}
	m.overflow.Add(float64(b.Overflow))
	m.open.Add(float64(len(b.Open)))
}

func (m *metrics) sent(err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	m.batches.WithLabelValues(result).Inc()
}
