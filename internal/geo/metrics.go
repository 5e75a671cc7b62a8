package geo

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	successful prometheus.Gauge
	at         prometheus.Gauge
	reloads    *prometheus.CounterVec
	built      *prometheus.GaugeVec
	overrides  prometheus.Gauge
}

func newMetrics() *metrics {
	m := &metrics{
		successful: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "catchment_geo_last_reload_successful",
			Help: "1 if the files were usable when they were last read, 0 if not and older tables are in use.",
		}),
		at: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "catchment_geo_last_reload_success_timestamp_seconds",
			Help: "When the tables in use were made.",
		}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catchment_geo_reloads_total",
			Help: "Attempts to read the files, by result: ok or failed.",
		}, []string{"result"}),
		built: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catchment_geo_database_build_timestamp_seconds",
			Help: "When the vendor made the MaxMind-format file in use.",
		}, []string{"file"}),
		overrides: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "catchment_geo_override_prefixes",
			Help: "Prefixes of the places file in use.",
		}),
	}
	m.reloads.WithLabelValues("ok")
	m.reloads.WithLabelValues("failed")
	return m
}

func (m *metrics) register(reg prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{m.successful, m.at, m.reloads, m.built, m.overrides} {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (m *metrics) failed() {
	m.successful.Set(0)
	m.reloads.WithLabelValues("failed").Inc()
}

func (m *metrics) loaded(t *tables) {
	m.successful.Set(1)
	m.at.SetToCurrentTime()
	m.reloads.WithLabelValues("ok").Inc()
	for _, l := range t.layers {
		m.built.WithLabelValues(l.file).Set(float64(l.reader.Metadata.BuildEpoch))
	}
	if t.overrides != nil {
		m.overrides.Set(float64(len(t.overrides.prefixes)))
	}
}
