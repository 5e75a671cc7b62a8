package authdns

import (
	"sync/atomic"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
)

// stats count what one worker does. Each UDP worker has its own, so that cores
// do not share cache lines; they are added up when metrics are read.
type stats struct {
	_ [64]byte // keeps neighbors off the first cache line

	queries [transports][len(typeNames)]atomic.Uint64
	answers [transports][len(rcodeNames)]atomic.Uint64

	ecs, truncated, bytes           atomic.Uint64
	slow, dropped, oversized        atomic.Uint64
	unanswered, unsent, failed      atomic.Uint64
	slipped, limited                atomic.Uint64
	nonces, noncesDropped           atomic.Uint64
	connections, connectionsRefused atomic.Uint64
	connectionsCut, transfersDone   atomic.Uint64

	_ [64]byte
}

// typeNames are the types of questions that are told apart.
var typeNames = [...]string{"other", "A", "AAAA", "NS", "SOA", "TXT", "MX", "CNAME", "CAA", "HTTPS", "DS", "DNSKEY", "ANY", "none"}

func typeIndex(q *query) int {
	if q.length == 0 {
		return len(typeNames) - 1
	}
	switch q.qtype {
	case dns.TypeA:
		return 1
	case dns.TypeAAAA:
		return 2
	case dns.TypeNS:
		return 3
	case dns.TypeSOA:
		return 4
	case dns.TypeTXT:
		return 5
	case dns.TypeMX:
		return 6
	case dns.TypeCNAME:
		return 7
	case dns.TypeCAA:
		return 8
	case dns.TypeHTTPS:
		return 9
	case dns.TypeDS:
		return 10
	case dns.TypeDNSKEY:
		return 11
	case dns.TypeANY:
		return 12
	}
	return 0
}

var rcodeNames = [...]string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "BADVERS"}

func rcodeIndex(rcode uint16) int {
	if rcode == dns.RcodeBadVers {
		return 6
	}
	return min(int(rcode), 5)
}

var transportNames = [transports]string{"udp", "tcp", "tls"}

// count counts an answer of size bytes.
func (a *answerer) count(r *result, truncated bool, size int) {
	s := a.stats
	s.queries[a.via][typeIndex(&a.query)].Add(1)
	s.answers[a.via][rcodeIndex(r.rcode)].Add(1)
	s.bytes.Add(uint64(size))
	if a.present {
		s.ecs.Add(1)
	}
	if truncated {
		s.truncated.Add(1)
	}
	if a.queries != nil {
		a.sample(r, truncated)
	}
}

// collector tells the stats of a Server to Prometheus.
type collector struct {
	*Server
	queries, answers, given, drops, events, ecs, truncated, bytes, slow *prometheus.Desc
	swaps, refusals, made, renew, open                                  *prometheus.Desc
}

func (s *Server) register(reg prometheus.Registerer) error {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("catchment_dns_"+name, help, labels, nil)
	}
	c := &collector{
		Server:    s,
		queries:   desc("queries_total", "Queries answered, by type of the question.", "transport", "type"),
		answers:   desc("answers_total", "Queries answered, by code of the answer.", "transport", "rcode"),
		given:     desc("tailored_answers_total", "Queries for addresses of tailored names, by what was answered.", "name", "answer"),
		drops:     desc("dropped_total", "Packets and connections left without an answer: not a query, too long, no room in the slow queue, not accepted by the network, over the response limit, connections over a limit or cut off by a time limit.", "reason"),
		events:    desc("probe_queries_total", "Queries for probe names, by whether they were noted or found no room.", "result"),
		ecs:       desc("ecs_queries_total", "Queries answered that carried a client subnet (ECS)."),
		truncated: desc("truncated_total", "Answers sent truncated, those slipped by the response limit included."),
		bytes:     desc("answer_bytes_total", "Bytes of answers, without the headers of UDP and TCP."),
		slow:      desc("slow_queries_total", "Queries that had no reply ready."),
		swaps:     desc("snapshot_swaps_total", "Snapshots put in place of another."),
		refusals:  desc("snapshot_refusals_total", "New zones and new states of steering that were refused; the former stayed."),
		made:      desc("snapshot_timestamp_seconds", "When the snapshot in use was built, in Unix time."),
		renew:     desc("signatures_renew_timestamp_seconds", "When the first signature in use is to be made anew, in Unix time; 0 if the zone is not signed."),
		open:      desc("connections", "Connections over TCP and TLS that are open."),
	}
	s.latency = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "catchment_dns_answer_seconds",
		Help: "From a packet's receipt by the process to its answer being ready; of the first of every 64th batch.",
		// From 0.5 µs to 16 ms.
		Buckets: prometheus.ExponentialBuckets(0.5e-6, 2, 16),
	})
	if err := reg.Register(s.latency); err != nil {
		return err
	}
	return reg.Register(c)
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.queries, c.answers, c.given, c.drops, c.events, c.ecs, c.truncated, c.bytes, c.slow,
		c.swaps, c.refusals, c.made, c.renew, c.open,
	} {
		ch <- d
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	tell := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	for t := range transports {
		for i, name := range typeNames {
			tell(c.queries, c.sum(func(s *stats) uint64 { return s.queries[t][i].Load() }), transportNames[t], name)
		}
		for i, name := range rcodeNames {
			tell(c.answers, c.sum(func(s *stats) uint64 { return s.answers[t][i].Load() }), transportNames[t], name)
		}
	}
	for reason, get := range map[string]func(*stats) uint64{
		"not_a_query": func(s *stats) uint64 { return s.unanswered.Load() },
		"oversized":   func(s *stats) uint64 { return s.oversized.Load() },
		"slow_queue":  func(s *stats) uint64 { return s.dropped.Load() },
		"send":        func(s *stats) uint64 { return s.unsent.Load() },
		"limit":       func(s *stats) uint64 { return s.limited.Load() },
		"connections": func(s *stats) uint64 { return s.connectionsRefused.Load() },
		"timeout":     func(s *stats) uint64 { return s.connectionsCut.Load() },
	} {
		tell(c.drops, c.sum(get), reason)
	}
	tell(c.events, c.sum(func(s *stats) uint64 { return s.nonces.Load() }), "noted")
	tell(c.events, c.sum(func(s *stats) uint64 { return s.noncesDropped.Load() }), "dropped")
	tell(c.ecs, c.sum(func(s *stats) uint64 { return s.ecs.Load() }))
	tell(c.truncated, c.sum(func(s *stats) uint64 { return s.truncated.Load() }))
	tell(c.bytes, c.sum(func(s *stats) uint64 { return s.bytes.Load() }))
	tell(c.slow, c.sum(func(s *stats) uint64 { return s.slow.Load() }))
	tell(c.swaps, c.Server.swaps.Load())
	tell(c.refusals, c.Server.refusals.Load())
	c.Server.given.all(func(at tailoredLabel, count uint64) { tell(c.given, count, at.name, at.answer) })
	snap := c.current.Load()
	gauge(c.made, float64(snap.made.Unix()))
	renew := 0.0
	if !snap.renewAt.IsZero() {
		renew = float64(snap.renewAt.Unix())
	}
	gauge(c.renew, renew)
	gauge(c.open, float64(c.gate.open()))
}

func (c *collector) sum(get func(*stats) uint64) (total uint64) {
	for _, s := range *c.all.Load() {
		total += get(s)
	}
	return total
}
