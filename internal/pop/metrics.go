package pop

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests     *prometheus.CounterVec // object, code, vip
	connections  prometheus.Gauge
	refused      *prometheus.CounterVec // reason
	proxyHeaders *prometheus.CounterVec // result
	clientErrors prometheus.Counter
	downloads    prometheus.Gauge
	ends         *prometheus.CounterVec // object, how
	overLimit    *prometheus.CounterVec // limit
	sent         *prometheus.CounterVec // object
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	m := &metrics{
		requests:     counter("catchment_pop_requests_total", "Requests answered. An empty vip is the PoP's own address, or one that the fleet does not know.", "object", "code", "vip"),
		connections:  gauge("catchment_pop_connections", "Connections that are open."),
		refused:      counter("catchment_pop_connections_refused_total", "Connections closed at once, because there were too many: in total, or of one client prefix.", "reason"),
		proxyHeaders: counter("catchment_pop_proxy_headers_total", "Connections from trusted proxies by what became of their PROXY header.", "result"),
		clientErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catchment_pop_client_errors_total",
			Help: "Connections that failed before a request was read, in the TLS handshake mostly.",
		}),
		downloads: gauge("catchment_pop_downloads", "Downloads of /slow and /big that are under way."),
		ends:      counter("catchment_pop_downloads_ended_total", "Downloads of /slow and /big that ended: complete, hurried (sent at once because the server stops), gone (the client left or the connection broke) or stalled (nothing could be written in time).", "object", "how"),
		overLimit: counter("catchment_pop_downloads_refused_total", "Downloads of /slow and /big refused by the limit they were over.", "limit"),
		sent:      counter("catchment_pop_download_bytes_total", "Bytes of /slow and /big written.", "object"),
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.requests, m.connections, m.refused, m.proxyHeaders, m.clientErrors, m.downloads,
		m.ends, m.overLimit, m.sent,
	} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}
