package analysis

import (
	"cmp"
	"math"
	"slices"
	"time"

	"catchment/internal/edge"
)

// answered notes which PoP answered over a VIP.
func (c *vipCell) answered(d *edge.Download) {
	switch d.Kind {
	case edge.SlowDownload:
		if d.PoP == "" {
			return
		}
		c.meet(d.PoP, d.Start).connect.add(d.Connect)
		if d.PoPEnd != "" && d.PoPEnd != d.PoP {
			c.moved++
			c.change[[2]edge.PoPID{d.PoP, d.PoPEnd}]++
		}
	case edge.LookDownload:
		var last edge.PoPID
		var only *popSeen
		for _, p := range d.Served {
			if p == edge.Failed {
				continue
			}
			if seen := c.meet(p, d.Start); last == "" || seen == only {
				only = seen
			} else {
				only = nil
			}
			if last != "" {
				c.pairs++
				if p != last {
					c.flips++
					c.change[[2]edge.PoPID{last, p}]++
					c.turned[d.Start.Unix()/3600] = struct{}{}
				}
			}
			last = p
		}
		if only != nil {
			only.connect.add(d.Connect) // the least of connections to one PoP
		}
	}
}

// popSeen is a PoP as it answered.
type popSeen struct {
	answers     uint64
	connect     milliseconds
	first, last time.Time
}

func (c *vipCell) meet(p edge.PoPID, at time.Time) *popSeen {
	s := c.served[p]
	if s == nil {
		s = &popSeen{first: at, last: at}
		c.served[p] = s
	}
	s.answers++
	if at.Before(s.first) {
		s.first = at
	}
	if at.After(s.last) {
		s.last = at
	}
	return s
}

// milliseconds has the distribution of a time, to 1 %.
type milliseconds struct {
	bins map[int16]uint32
	n    uint32
}

// binStep is the logarithm of the ratio of two bins.
const binStep = 0.02

func (m *milliseconds) add(ms float64) {
	if ms <= 0 {
		return
	}
	if m.bins == nil {
		m.bins = map[int16]uint32{}
	}
	m.bins[int16(math.Round(math.Log(max(ms, 1e-3))/binStep))]++
	m.n++
}

// median is NaN for none.
func (m *milliseconds) median() float64 {
	if m.n == 0 {
		return math.NaN()
	}
	all := make([]int16, 0, len(m.bins))
	for b := range m.bins {
		all = append(all, b)
	}
	slices.Sort(all)
	below := uint32(0)
	for _, b := range all {
		if below += m.bins[b]; 2*below >= m.n {
			return math.Exp(float64(b) * binStep)
		}
	}
	return math.NaN()
}

// FlipRow is a group that saw more than one PoP over a VIP.
type FlipRow struct {
	Group   []Label
	Answers uint64    // connections that were answered
	PoPs    []PoPSeen // most answers first
	Pairs   uint64    // of connections in a row, a second or so apart
	Flips   uint64    // of those: to different PoPs
	Within  uint64    // downloads that another PoP ended than began
	Share   Estimate  // of Flips in Pairs
	Between [2]edge.PoPID
	Most    uint64 // changes between these two, in either direction: the most
	Hours   int    // in which there were flips
	Watched int    // hours watched
	CostMs  float64
}

// PoPSeen is a PoP as seen from a group, over the VIP.
type PoPSeen struct {
	PoP         edge.PoPID
	Answers     uint64
	ConnectMs   float64 // median TCP handshake; NaN: not known
	First, Last time.Time
}

// Flips returns the groups that saw more than one PoP, the highest share of
// flips first, then most other answers. CostMs is what a connection takes
// longer on average, by the median handshakes, than if all of them went to the
// nearest of these PoPs; NaN where a handshake is not known.
func (s *Stability) Flips() (rows []FlipRow) {
	for g, c := range s.vips {
		if len(c.served) < 2 {
			continue
		}
		row := FlipRow{
			Group: g.labels(s.by), Pairs: c.pairs, Flips: c.flips, Within: c.moved,
			Hours: len(c.turned), Watched: c.watchedHours(), Share: Estimate{math.NaN(), math.NaN(), math.NaN()},
		}
		least, sum := math.Inf(1), 0.0
		for p, n := range c.served {
			seen := PoPSeen{p, n.answers, n.connect.median(), n.first, n.last}
			row.PoPs = append(row.PoPs, seen)
			row.Answers += n.answers
			least = min(least, seen.ConnectMs) // NaN stays
			sum += float64(n.answers) * seen.ConnectMs
		}
		row.CostMs = sum/float64(row.Answers) - least
		slices.SortFunc(row.PoPs, func(a, b PoPSeen) int {
			return cmp.Or(cmp.Compare(b.Answers, a.Answers), cmp.Compare(a.PoP, b.PoP))
		})
		if c.pairs > 0 {
			share := float64(c.flips) / float64(c.pairs)
			low, high := wilson(share, float64(c.pairs), z975)
			row.Share = Estimate{share, low, high}
		}
		for k := range c.change {
			both := [2]edge.PoPID{min(k[0], k[1]), max(k[0], k[1])}
			n := c.change[both] + c.change[[2]edge.PoPID{both[1], both[0]}]
			if n > row.Most || n == row.Most && slices.Compare(both[:], row.Between[:]) < 0 {
				row.Between, row.Most = both, n
			}
		}
		rows = append(rows, row)
	}
	rank := func(r *FlipRow) float64 {
		if math.IsNaN(r.Share.Share) {
			return -1
		}
		return r.Share.Share
	}
	slices.SortFunc(rows, func(a, b FlipRow) int {
		return cmp.Or(cmp.Compare(rank(&b), rank(&a)), cmp.Compare(b.Answers-b.PoPs[0].Answers, a.Answers-a.PoPs[0].Answers), compareLabels(a.Group, b.Group))
	})
	return rows
}

func (g stabilityGroup) labels(by []Key) []Label {
	labels := g.at.labels(by)
	for i := range labels {
		if labels[i].Key == ByVIP {
			labels[i].Text = string(g.vip)
		}
	}
	return labels
}
