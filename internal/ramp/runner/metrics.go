package runner

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/ramp"
	"catchment/internal/ramp/observe"
)

type metrics struct {
	looks     *prometheus.CounterVec
	decisions *prometheus.CounterVec
	loads     *prometheus.CounterVec
	resets    *prometheus.CounterVec
	requests  *prometheus.CounterVec
	told      *prometheus.CounterVec
	share     *prometheus.GaugeVec
	achieved  *prometheus.GaugeVec
	dirty     *prometheus.GaugeVec
	seen      *prometheus.GaugeVec
	held      *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "catchment_ramp_" + name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "catchment_ramp_" + name, Help: help}, labels)
	}
	m := &metrics{
		looks:     counter("looks_total", "Looks at the ramps under way, by result: done, failed (no evidence), standby (another runner has the lease).", "result"),
		decisions: counter("decisions_total", "Decisions, by ramp and action.", "ramp", "action"),
		loads:     counter("page_loads_total", "Page loads that were looked at, by ramp and result: seen, unjoined (nobody knows who asked DNS), cut (address kept too short), dropped (too many units).", "ramp", "result"),
		resets:    counter("resets_total", "Connections torn away that were looked at, by ramp and result: seen, unplaced (nobody knows the client's arm).", "ramp", "result"),
		requests:  counter("requests_total", "Requests that browsers told of and that were looked at, by ramp and result: seen, unplaced (nobody knows the client's arm).", "ramp", "result"),
		told:      counter("webhooks_total", "Messages to the webhook, by result: sent, failed (given up), dropped (too many waited).", "result"),
		share:     gauge("share_ratio", "Share of a geography's clients that the ramp moves.", "ramp", "geography"),
		achieved:  gauge("achieved_ratio", "Treatment arm's share of page views in the present step.", "ramp", "geography"),
		dirty:     gauge("contamination_ratio", "Share of an arm's page views that came by the other arm's scheme, of the arm with more of it.", "ramp", "geography"),
		seen:      gauge("evidence_timestamp_seconds", "End of the evidence that was taken up.", "ramp"),
		held:      gauge("held", "1: the geography is held or was rolled back, and waits for the operator.", "ramp", "geography"),
	}
	for _, c := range []prometheus.Collector{m.looks, m.decisions, m.loads, m.resets, m.requests, m.told, m.share, m.achieved, m.dirty, m.seen, m.held} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("runner: %w", err)
		}
	}
	return m, nil
}

// forget removes what is shown of a ramp that is no more.
func (m *metrics) forget(id string) {
	for _, g := range []*prometheus.GaugeVec{m.share, m.achieved, m.dirty, m.seen, m.held} {
		g.DeletePartialMatch(prometheus.Labels{"ramp": id})
	}
}

func (m *metrics) covered(id string, c observe.Coverage) {
	for result, n := range map[string]int{"seen": c.Loads, "unjoined": c.Unjoined, "cut": c.Cut, "dropped": c.Dropped} {
		m.loads.WithLabelValues(id, result).Add(float64(n))
	}
	m.resets.WithLabelValues(id, "seen").Add(c.Resets)
	m.resets.WithLabelValues(id, "unplaced").Add(c.Unplaced)
	m.requests.WithLabelValues(id, "seen").Add(c.Requests)
	m.requests.WithLabelValues(id, "unplaced").Add(c.Astray)
}

// announce shows and tells what a look or a command came to.
func (r *Runner) announce(before, after *kept, look *Look) {
	id := after.record.ID
	m := r.metrics
	m.seen.WithLabelValues(id).Set(float64(after.state.Seen.Unix()))
	for i := range after.state.Geographies {
		g := &after.state.Geographies[i]
		m.share.WithLabelValues(id, g.ID).Set(shareOf(after.plan, g))
		held := 0.0
		if g.Phase == ramp.Held || g.Phase == ramp.RolledBack {
			held = 1
		}
		m.held.WithLabelValues(id, g.ID).Set(held)
	}
	for i := range look.Decisions {
		d := &look.Decisions[i]
		m.decisions.WithLabelValues(id, string(d.Action)).Inc()
		if d.Geography != "" && len(d.Checks) > 0 {
			m.achieved.WithLabelValues(id, d.Geography).Set(d.Achieved)
			m.dirty.WithLabelValues(id, d.Geography).Set(d.Contamination)
		}
		if d.From != d.To || d.Action == ramp.Finish || d.Action == ramp.Paused {
			r.log.Info("ramp", "ramp", id, "geography", d.Geography, "action", string(d.Action), "from", d.From, "to", d.To, "reason", d.Reason)
		}
	}
	r.hook.tell(before, after, look)
}

func shareOf(p *ramp.Plan, g *ramp.Progress) float64 {
	if g.Step < 0 {
		return 0
	}
	return p.Steps[g.Step]
}
