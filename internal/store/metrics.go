package store

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what a Store does.
type metrics struct {
	reg        prometheus.Registerer
	collectors []prometheus.Collector

	stored     prometheus.Counter
	duplicates prometheus.Counter
	refused    *prometheus.CounterVec
	sync       prometheus.Histogram
	group      prometheus.Histogram
	segments   prometheus.Counter
	lastSeal   prometheus.Gauge
	compacted  prometheus.Counter
	dropped    prometheus.Counter
	failures   *prometheus.CounterVec
}

func newMetrics(s *Store, reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{reg: reg}
	counter := func(name, help string) prometheus.Counter {
		return keep(m, prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help}))
	}
	gauge := func(name, help string, value func() float64) {
		keep(m, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	m.stored = counter("catchment_store_appended_beacons_total", "Beacons taken into the write-ahead log.")
	m.duplicates = counter("catchment_store_duplicate_beacons_total", "Beacons left out because their id was stored already.")
	m.refused = keep(m, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "catchment_store_refused_beacons_total", Help: "Beacons not stored, by reason: busy, disk, canceled, invalid or failed.",
	}, []string{"reason"}))
	m.sync = keep(m, prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "catchment_store_sync_seconds", Help: "Time to write and sync one commit of the write-ahead log.",
		Buckets: prometheus.ExponentialBuckets(0.00025, 2, 14),
	}))
	m.group = keep(m, prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "catchment_store_commit_beacons", Help: "Beacons made durable by one commit.",
		Buckets: prometheus.ExponentialBuckets(1, 4, 9),
	}))
	m.segments = counter("catchment_store_sealed_segments_total", "Segments made from the write-ahead log.")
	m.lastSeal = keep(m, prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "catchment_store_last_seal_timestamp_seconds", Help: "When beacons last moved from the write-ahead log into a segment.",
	}))
	m.compacted = counter("catchment_store_compacted_segments_total", "Segments that were merged into larger ones.")
	m.dropped = counter("catchment_store_dropped_days_total", "Days that were dropped when their retention was over.")
	m.failures = keep(m, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "catchment_store_failures_total", Help: "Failures that will be tried again, by what failed: seal, compact, drop or clean.",
	}, []string{"task"}))
	gauge("catchment_store_wal_bytes", "Size of the durable beacons that wait in the write-ahead log for being sealed.", func() float64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return float64(s.logBytes)
	})
	gauge("catchment_store_wal_beacons", "Durable beacons that wait in the write-ahead log for being sealed.", func() float64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return float64(s.logRows)
	})
	gauge("catchment_store_dedupe_ids", "Ids kept in memory to recognize beacons that are sent again.", func() float64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return float64(s.dedupe.total)
	})
	gauge("catchment_store_free_bytes", "Free space of the file system that holds the data directory.", func() float64 {
		s.disk.low(s.now())
		return float64(s.disk.bytes.Load())
	})
	for i, c := range m.collectors {
		if err := reg.Register(c); err != nil {
			m.collectors = m.collectors[:i]
			m.unregister()
			return nil, err
		}
	}
	return m, nil
}

func keep[C prometheus.Collector](m *metrics, c C) C {
	m.collectors = append(m.collectors, c)
	return c
}

func (m *metrics) unregister() {
	for _, c := range m.collectors {
		m.reg.Unregister(c)
	}
}

// count counts the outcome of appending n beacons.
func (m *metrics) count(stored, n int, err error) {
	m.stored.Add(float64(stored))
	if err == nil {
		m.duplicates.Add(float64(n - stored))
		return
	}
	reason := "failed"
	switch {
	case errors.Is(err, ErrBusy):
		reason = "busy"
	case errors.Is(err, ErrDisk):
		reason = "disk"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		reason = "canceled"
	case errors.Is(err, errBeacon):
		reason = "invalid"
	}
	m.refused.WithLabelValues(reason).Add(float64(n - stored))
}

func (m *metrics) synced(d time.Duration, g *group) {
	m.sync.Observe(d.Seconds())
	m.group.Observe(float64(g.rows))
}

func (m *metrics) sealed(segments int, now time.Time) {
	m.segments.Add(float64(segments))
	m.lastSeal.Set(float64(now.UnixMilli()) / 1000)
}

func (m *metrics) failed(task string) { m.failures.WithLabelValues(task).Inc() }
