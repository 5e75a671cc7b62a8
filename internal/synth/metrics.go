package synth

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	records     *prometheus.CounterVec // kind, target, af, outcome
	seconds     *prometheus.CounterVec // target, af
	stalls      *prometheus.CounterVec // target, af
	flips       *prometheus.CounterVec // target, af
	skipped     *prometheus.CounterVec // reason
	lost        prometheus.Counter
	connections prometheus.Gauge
	routes      *prometheus.GaugeVec // kind
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		records: counter("catchment_synth_downloads_total", "Downloads that ended, by outcome: slow ones, looks (several tiny ones) and big ones.", "kind", "target", "af", "outcome"),
		seconds: counter("catchment_synth_connection_seconds_total", "How long connections of slow downloads were watched: what failures are divided by.", "target", "af"),
		stalls:  counter("catchment_synth_stalls_total", "Silences of more than 1 s within slow downloads, those left out in which the agent itself was held up.", "target", "af"),
		flips:   counter("catchment_synth_flips_total", "Answers to looks by another PoP than the answer before.", "target", "af"),
		skipped: counter("catchment_synth_skipped_total", "Downloads that the agent's own machine could not begin: no_route (none to that family), local (ports, descriptors, memory, firewall).", "reason"),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catchment_synth_records_lost_total", Help: "Records that could not be written.",
		}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "catchment_synth_connections", Help: "Connections that are open or being opened.",
		}),
		routes: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catchment_synth_routes", Help: "Addresses times protocols that are downloaded from.",
		}, []string{"kind"}),
	}
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.records, m.seconds, m.stalls, m.flips, m.skipped, m.lost, m.connections, m.routes} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) count(d *Download) {
	target, af := string(d.Target), strconv.Itoa(d.Family)
	m.records.WithLabelValues(string(d.Kind), target, af, string(d.Outcome)).Inc()
	m.flips.WithLabelValues(target, af).Add(float64(d.Flips))
	if d.Kind != Slow {
		return
	}
	m.seconds.WithLabelValues(target, af).Add(d.Duration / 1000)
	if !d.Lagged {
		m.stalls.WithLabelValues(target, af).Add(float64(d.Stalls))
	}
}
