package member

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/announce"
	"catchment/internal/edge"
)

type metrics struct {
	failures *prometheus.CounterVec
	m        *Member
	wanted   *prometheus.Desc
	degraded *prometheus.Desc
	out      *prometheus.Desc
	phase    *prometheus.Desc
}

func newMetrics(m *Member, reg prometheus.Registerer) (*metrics, error) {
	vip := []string{"vip"}
	x := &metrics{
		m: m,
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catchment_member_failures_total",
			Help: "What could not be done: addresses, routes, state, reports.",
		}, []string{"what"}),
		wanted:   prometheus.NewDesc("catchment_member_announced", "Whether the VIP is to be announced here.", vip, nil),
		degraded: prometheus.NewDesc("catchment_member_degraded", "Whether the VIP is announced so that all other PoPs are preferred.", vip, nil),
		out:      prometheus.NewDesc("catchment_member_withdrawn_by_automation", "Whether automation has withdrawn the VIP.", vip, nil),
		phase:    prometheus.NewDesc("catchment_member_drain_phase", "1 for the phase of the drain that is under way.", []string{"phase"}, nil),
	}
	if reg == nil {
		return x, nil
	}
	return x, errors.Join(reg.Register(x.failures), reg.Register(x))
}

// Describe is of prometheus.Collector.
func (x *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{x.wanted, x.degraded, x.out, x.phase} {
		ch <- d
	}
}

// Collect is of prometheus.Collector.
func (x *metrics) Collect(ch chan<- prometheus.Metric) {
	s := x.m.status.Load()
	if s == nil {
		return
	}
	gauge := func(d *prometheus.Desc, on bool, label string) {
		v := 0.0
		if on {
			v = 1
		}
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, label)
	}
	told := map[edge.VIPID]bool{}
	for _, v := range s.Report.VIPs {
		if told[v.VIP] {
			continue
		}
		told[v.VIP] = true
		gauge(x.wanted, v.Announced, string(v.VIP))
		gauge(x.degraded, v.Degraded, string(v.VIP))
		gauge(x.out, v.Out, string(v.VIP))
	}
	phase := announce.Phase("")
	if s.Drain != nil {
		phase = s.Drain.Phase
	}
	for _, p := range phases {
		gauge(x.phase, p == phase, string(p))
	}
}

var phases = append(append([]announce.Phase{}, goingOut...), announce.Reannounce, announce.SettleBack, announce.Prefer, announce.DNSIn)
