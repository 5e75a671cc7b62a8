package bgp

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// sample is a metric of one session.
type sample struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(NeighborState) float64
}

// collector reads the sessions when metrics are asked for.
type collector struct {
	s       *Speaker
	samples []sample
}

func (s *Speaker) register(reg prometheus.Registerer) error {
	s.sets = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "catchment_bgp_sets_total",
		Help: "Whole sets of routes handed to the speaker, by what became of them: taken, refused, failed.",
	}, []string{"result"})
	metric := func(name, help string, kind prometheus.ValueType, value func(NeighborState) float64) sample {
		return sample{prometheus.NewDesc("catchment_bgp_"+name, help, []string{"neighbor"}, nil), kind, value}
	}
	count := func(n int) float64 { return float64(n) }
	c := &collector{s, []sample{
		metric("session_up", "1 while the session with the neighbor is established.", prometheus.GaugeValue, func(n NeighborState) float64 {
			if n.State == Established {
				return 1
			}
			return 0
		}),
		metric("session_uptime_seconds", "How long the session has been established.", prometheus.GaugeValue, func(n NeighborState) float64 { return n.Uptime(time.Now()).Seconds() }),
		metric("session_losses_total", "Sessions that ended.", prometheus.CounterValue, func(n NeighborState) float64 { return float64(n.Losses) }),
		metric("session_failures_total", "Attempts to get a session that failed.", prometheus.CounterValue, func(n NeighborState) float64 { return float64(n.Failures) }),
		metric("updates_sent_total", "UPDATE messages sent.", prometheus.CounterValue, func(n NeighborState) float64 { return float64(n.Updates) }),
		metric("routes_wanted", "Routes that the neighbor is to hear.", prometheus.GaugeValue, func(n NeighborState) float64 { return count(len(n.Wanted)) }),
		metric("routes_sent", "Routes that the neighbor was told in this session and that were not taken back.", prometheus.GaugeValue, func(n NeighborState) float64 { return count(len(n.Sent)) }),
		metric("routes_out_of_sync", "Prefixes for which what the neighbor was told is not what is wanted.", prometheus.GaugeValue, func(n NeighborState) float64 { return count(len(n.Diff())) }),
		metric("routes_received", "Routes that the neighbor sends; all are dropped.", prometheus.GaugeValue, func(n NeighborState) float64 { return count(n.Received) }),
		metric("limit_hits_total", "Sessions ended because the neighbor sent too many routes.", prometheus.CounterValue, func(n NeighborState) float64 { return float64(n.Limited) }),
	}}
	for _, result := range []string{"taken", "refused", "failed"} {
		s.sets.WithLabelValues(result)
	}
	return errors.Join(reg.Register(s.sets), reg.Register(c))
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.samples {
		ch <- m.desc
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	for _, n := range c.s.Neighbors() {
		for _, m := range c.samples {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(n), n.Address.String())
		}
	}
}
