package beacon

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the collector. What is refused is counted by body on the public
// endpoint (how many beacons it holds is not known), by line from relays.
type metrics struct {
	accepted   prometheus.Counter
	duplicates prometheus.Counter
	rejected   map[Reason]prometheus.Counter
	bots       prometheus.Counter
	unproxied  prometheus.Counter
	seconds    prometheus.Observer
	plans      prometheus.Counter
	planRefuse map[Reason]prometheus.Counter
	nonces     map[nonceResult]prometheus.Counter
	joined     map[bool]prometheus.Counter // by whether it is known who asked
	forgotten  prometheus.Counter
	reports    map[string]prometheus.Counter // taken, passed, refused
}

func newMetrics(reg prometheus.Registerer, inFlight func() float64) (*metrics, error) {
	var (
		counter = func(name, help string) prometheus.Counter {
			return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		}
		rejected = prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catchment_beacons_rejected_total",
			Help: "Bodies from browsers and lines from relays that were refused, by reason.",
		}, []string{"reason"})
		planRefused = prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catchment_beacons_plans_refused_total",
			Help: "Requests for a plan that were refused, by reason.",
		}, []string{"reason"})
		nonces = prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catchment_beacon_nonces_total",
			Help: "Queries for probe names that name servers handed in: noted for the page's beacon; repeated, as a better one is known of the page; unsigned, by no key or over an hour ago; refused, as they could not be read (counted by batch).",
		}, []string{"result"})
		reports = prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catchment_beacon_reports_total",
			Help: "Reports of Network Error Logging by what became of them: taken, passed over (of no service, too old, broken off by the user), refused (counted by request).",
		}, []string{"result"})
		joined = prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catchment_beacon_resolver_joined_total",
			Help: "Beacons from browsers by whether it is known which resolver asked for their probe names.",
		}, []string{"result"})
		seconds = prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "catchment_beacons_request_seconds",
			Help: "Time from the head of a request with beacons until its answer, most of it the wait for the disk.",
			// The sync of a group commit takes milliseconds; beyond 10 s browsers have given up.
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10},
		})
		m = &metrics{
			accepted:   counter("catchment_beacons_accepted_total", "Beacons that are durable and new."),
			duplicates: counter("catchment_beacons_duplicates_total", "Beacons whose id was known already, and that were dropped."),
			bots:       counter("catchment_beacons_bots_total", "Beacons flagged for a User-Agent that names a robot."),
			unproxied:  counter("catchment_beacons_untrusted_forwarded_total", "Requests with a forwarded-for header from a network that is not a trusted proxy's."),
			seconds:    seconds,
			plans:      counter("catchment_beacons_plans_issued_total", "Plans handed out."),
			forgotten:  counter("catchment_beacon_nonces_forgotten_total", "Plans whose resolver was forgotten within 10 minutes, for want of room."),
			rejected:   map[Reason]prometheus.Counter{},
			planRefuse: map[Reason]prometheus.Counter{},
			nonces:     map[nonceResult]prometheus.Counter{},
			reports:    map[string]prometheus.Counter{},
			joined:     map[bool]prometheus.Counter{true: joined.WithLabelValues("joined"), false: joined.WithLabelValues("none")},
		}
	)
	for _, r := range reasons {
		m.rejected[r] = rejected.WithLabelValues(string(r))
	}
	for _, r := range []Reason{ReasonCap, ReasonMethod} {
		m.planRefuse[r] = planRefused.WithLabelValues(string(r))
	}
	for _, r := range nonceResults {
		m.nonces[r] = nonces.WithLabelValues(string(r))
	}
	for _, r := range []string{"taken", "passed", "refused"} {
		m.reports[r] = reports.WithLabelValues(r)
	}
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.accepted, m.duplicates, m.bots, m.unproxied, m.plans, rejected, planRefused, seconds, nonces, joined, reports, m.forgotten,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "catchment_beacons_in_flight",
			Help: "Requests with beacons that are being read or wait to become durable.",
		}, inFlight),
	} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}
