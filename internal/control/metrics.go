package control

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
)

type metrics struct {
	version  prometheus.Gauge
	made     prometheus.Gauge
	bytes    prometheus.Gauge
	builds   prometheus.Counter
	refusals prometheus.Counter
	audit    prometheus.Gauge
	answers  *prometheus.CounterVec
}

func newMetrics(c *Control, reg prometheus.Registerer) (*metrics, error) {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	m := &metrics{
		version: gauge("catchment_control_snapshot_version", "Version of the snapshot that was published last; 0: none yet."),
		made:    gauge("catchment_control_snapshot_made_timestamp_seconds", "When the last snapshot was made, in Unix time."),
		bytes:   gauge("catchment_control_snapshot_bytes", "Size of the last snapshot as JSON."),
		builds: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catchment_control_snapshots_total", Help: "Snapshots that were published.",
		}),
		refusals: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catchment_control_snapshots_refused_total", Help: "Snapshots that were not published since they do not compile, or since the state could not be written.",
		}),
		audit: gauge("catchment_control_audit_entries", "Entries in the audit trail."),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catchment_control_guard_answers_total", Help: "Answers to PoPs that ask whether they may withdraw a VIP: granted or refused. A PoP asks every few seconds.",
		}, []string{"vip", "answer"}),
	}
	if reg == nil {
		return m, nil
	}
	err := errors.Join(
		reg.Register(m.version), reg.Register(m.made), reg.Register(m.bytes),
		reg.Register(m.builds), reg.Register(m.refusals), reg.Register(m.audit), reg.Register(m.answers), reg.Register(&live{c}),
	)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	return m, nil
}

func (m *metrics) published(s *edge.Snapshot, bytes int) {
	m.version.Set(float64(s.Version))
	m.made.Set(float64(s.Made.UnixMilli()) / 1000)
	m.bytes.Set(float64(bytes))
	m.builds.Inc()
}

// live collects what is best looked at when asked: PoPs and followers come and
// go.
type live struct{ c *Control }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("catchment_control_"+name, help, labels, nil)
}

// Descriptions of what live collects; they are values that nothing changes.
var (
	popHealthDesc = describe("pop_health", "1 for the state of each PoP's health: up, down or unknown.", "pop", "state")
	popSilentDesc = describe("pop_silent", "1 while a PoP neither reports nor is probed, so that its last state is held.", "pop")
	popStaleDesc  = describe("pop_report_stale", "1 while a PoP has not reported on itself in time.", "pop")
	popLoadDesc   = describe("pop_load_requests_per_second", "Load that a PoP reported.", "pop")
	versionDesc   = describe("follower_version", "Version that a follower said it has; 0: none.", "role", "id")
	refusedDesc   = describe("follower_refused_version", "Version that a follower could not use; 0: none.", "role", "id")
	limitDesc     = describe("guard_limit", "How many PoPs of a VIP automation may take out.", "vip")
	countedDesc   = describe("guard_counted", "PoPs of a VIP that count as out: withdrawn by automation, about to be, or not heard of.", "vip")
	healthyDesc   = describe("guard_healthy", "PoPs of a VIP that announce it, find nothing wrong and are not being drained.", "vip")
	phaseDesc     = describe("drain_phase", "1 for the phase of a drain, or of the way back, that a PoP told of last.", "pop", "phase")
	toldDesc      = describe("announce_seen_timestamp_seconds", "When a PoP last told what it announces, in Unix time.", "pop")
	seenDesc      = describe("follower_seen_timestamp_seconds", "When a follower last asked for a snapshot, in Unix time.", "role", "id")
)

// Describe implements prometheus.Collector.
func (l *live) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{popHealthDesc, popSilentDesc, popStaleDesc, popLoadDesc, versionDesc, refusedDesc, seenDesc, limitDesc, countedDesc, healthyDesc, phaseDesc, toldDesc} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (l *live) Collect(to chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	l.c.mu.Lock()
	now := time.Now()
	for i := range l.c.fleet.PoPs {
		id := l.c.fleet.PoPs[i].ID
		p := l.c.health.of(id)
		for _, s := range []edge.HealthState{edge.Up, edge.Down, edge.Unknown} {
			send(popHealthDesc, one(p.State == s), string(id), string(s))
		}
		send(popSilentDesc, one(p.silent), string(id))
		send(popStaleDesc, one(!l.c.health.fresh(p.reported, now)), string(id))
		if load, ok := l.c.health.load(id, now); ok {
			send(popLoadDesc, load, string(id))
		}
	}
	f := l.c.fleet
	l.c.mu.Unlock()
	for i := range f.VIPs {
		x := l.c.guardian.vipNow(&f.VIPs[i], now)
		send(limitDesc, float64(x.Limit), string(x.VIP))
		send(countedDesc, float64(x.Out), string(x.VIP))
		send(healthyDesc, float64(x.Healthy), string(x.VIP))
	}
	for i := range f.PoPs {
		id := f.PoPs[i].ID
		t := l.c.guardian.of(id)
		if t == nil {
			continue
		}
		send(toldDesc, float64(t.at.UnixMilli())/1000, string(id))
		if p := phaseOf(&t.Status); p != "" {
			send(phaseDesc, 1, string(id), string(p))
		}
	}
	for who, s := range l.c.followers.list() {
		send(versionDesc, float64(s.version), string(who.role), who.id)
		send(refusedDesc, float64(s.refused), string(who.role), who.id)
		send(seenDesc, float64(s.at.UnixMilli())/1000, string(who.role), who.id)
	}
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
