package dash

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
)

// today has the last UTC day's figures of all page views as metrics, for those
// who watch them elsewhere. What is not known is left out.
type today struct{ index *index }

func todayDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("catchment_today_"+name, help, labels, nil)
}

var (
	todayViews   = todayDesc("page_views", "Page views of the last UTC day with beacons, so far.")
	todayOptimal = todayDesc("optimal_ratio", "Share of the last UTC day's page views that reached an optimal PoP.", "scheme")
	todayLow     = todayDesc("optimal_low_ratio", "Lower end of the share's 95 % interval.", "scheme")
	todayHigh    = todayDesc("optimal_high_ratio", "Upper end of the share's 95 % interval.", "scheme")
	todayPenalty = todayDesc("penalty_p90_seconds", "90th percentile of the round-trip time that the last UTC day's page views lost against their best PoP.", "scheme")
)

// Describe implements prometheus.Collector.
func (t today) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{todayViews, todayOptimal, todayLow, todayHigh, todayPenalty} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (t today) Collect(to chan<- prometheus.Metric) {
	f := t.index.now.Load()
	if len(f.days) == 0 {
		return
	}
	send := func(d *prometheus.Desc, v float64, labels ...string) {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
		}
	}
	sum := &f.days[len(f.days)-1].sum
	send(todayViews, float64(sum.Views))
	for k, scheme := range edge.Schemes {
		s := &sum.Schemes[k]
		send(todayOptimal, s.Optimal, string(scheme))
		send(todayLow, s.Low, string(scheme))
		send(todayHigh, s.High, string(scheme))
		send(todayPenalty, s.PenaltyP90/1000, string(scheme))
	}
}
