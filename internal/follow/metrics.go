package follow

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics tell which snapshot is in use, and how fresh it can be.
type Metrics struct {
	version prometheus.Gauge
	source  *prometheus.GaugeVec // source
	polls   *prometheus.CounterVec
	refused prometheus.Counter
	last    atomic.Int64 // contact, Unix ns; 0: never
}

// NewMetrics registers them with reg, which may be nil.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		version: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "catchment_snapshot_version",
			Help: "Version of the snapshot in use; 0: none yet.",
		}),
		source: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catchment_snapshot_source",
			Help: "1 for where the snapshot in use came from: control, disk (the control node has not answered since start) or file.",
		}, []string{"source"}),
		polls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catchment_snapshot_polls_total",
			Help: "Requests to the control node for a snapshot, by whether it answered.",
		}, []string{"result"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catchment_snapshot_refused_total",
			Help: "Snapshots that could not be used; the one before stayed.",
		}),
	}
	for _, s := range []Source{FromControl, FromDisk, FromFile} {
		m.source.WithLabelValues(string(s))
	}
	for _, r := range []string{"ok", "failed"} {
		m.polls.WithLabelValues(r)
	}
	if reg == nil {
		return m, nil
	}
	age := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "catchment_snapshot_age_seconds",
		Help: "Time since the control node last confirmed or replaced the snapshot in use; 0 without a control node or before the first.",
	}, m.age)
	err := errors.Join(reg.Register(m.version), reg.Register(m.source), reg.Register(m.polls), reg.Register(m.refused), reg.Register(age))
	if err != nil {
		return nil, fmt.Errorf("follow: %w", err)
	}
	return m, nil
}

func (m *Metrics) age() float64 {
	last := m.last.Load()
	if last == 0 {
		return 0
	}
	return max(0, time.Since(time.Unix(0, last)).Seconds())
}

// Applied notes the snapshot that is now in use.
func (m *Metrics) Applied(version uint64, from Source) {
	m.version.Set(float64(version))
	for _, s := range []Source{FromControl, FromDisk, FromFile} {
		on := 0.0
		if s == from {
			on = 1
		}
		m.source.WithLabelValues(string(s)).Set(on)
	}
}

// Refused notes a snapshot that could not be used.
func (m *Metrics) Refused() { m.refused.Inc() }

// newestAt notes that the snapshot in use was the newest at a time.
func (m *Metrics) newestAt(t time.Time) { m.last.Store(t.UnixNano()) }

func (m *Metrics) polled(err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	m.polls.WithLabelValues(result).Inc()
}
