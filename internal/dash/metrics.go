package dash

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.HistogramVec
	refresh  prometheus.Histogram
	refused  *prometheus.CounterVec
	trouble  prometheus.Gauge
	days     prometheus.Gauge
	bytes    prometheus.Gauge
	made     prometheus.Gauge
	warmed   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "catchment_dash_answer_seconds", Help: "How long answers of figures took.",
			Buckets: []float64{0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10},
		}, []string{"page"}),
		refresh: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "catchment_dash_refresh_seconds", Help: "How long it took to judge what had changed in the store.",
			Buckets: []float64{0.01, 0.1, 0.3, 1, 3, 10, 30, 100},
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catchment_dash_refused_total", Help: "Requests that were refused: unauthenticated, forbidden or forged.",
		}, []string{"reason"}),
		trouble: prometheus.NewGauge(prometheus.GaugeOpts{Name: "catchment_dash_store_trouble", Help: "1: the store cannot be read, figures are old."}),
		days:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "catchment_dash_days", Help: "UTC days of which there are figures."}),
		bytes:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "catchment_dash_index_bytes", Help: "Memory that judged days take."}),
		made:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "catchment_dash_made_timestamp_seconds", Help: "When the figures were taken, Unix time."}),
		warmed:  prometheus.NewCounter(prometheus.CounterOpts{Name: "catchment_dash_prepared_total", Help: "Answers that were prepared before anybody asked."}),
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.requests, m.refresh, m.refused, m.trouble, m.days, m.bytes, m.made, m.warmed} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}
