package analysis

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"catchment/internal/edge"
)

// Keys of the report on resets, beside those of places. ByFrom is the PoP that
// had the connections, where that is confirmed; ByTo the one that reset them.
const (
	ByVIP    Key = "vip"
	ByFrom   Key = "from"
	ByTo     Key = "to"
	ByClient Key = "client" // the prefix
)

var resetKeys = []Key{ByVIP, ByFrom, ByTo, ByContinent, ByCountry, BySubdivision, ByASN, ByClient}

// ParseResetKeys is ParseKeys for the report on resets.
func ParseResetKeys(s string) (by []Key, err error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		k := Key(strings.TrimSpace(part))
		if !slices.Contains(resetKeys, k) {
			return nil, fmt.Errorf("group key %q: want some of vip, from, to, continent, country, subdivision, asn, client", string(k))
		}
		if slices.Contains(by, k) {
			return nil, fmt.Errorf("group key %q is there twice", string(k))
		}
		by = append(by, k)
	}
	return by, nil
}

// JoinWithin is how long after a reset the answers of other PoPs are waited
// for: they are asked for a minute, every few seconds.
const JoinWithin = 2 * time.Minute

// Resets is the report on connections that were torn away from their PoP. Add
// records to it as they were received, then ask for Rows.
//
// A reset is confirmed where another PoP had the very connection open. Resets
// that may have other reasons, and are not confirmed, are counted apart.
//
// Its memory grows with the number of (group, client prefix) pairs.
type Resets struct {
	by      []Key
	waiting []*edge.ResetRecord
	open    map[openFlow]opened
	swept   time.Time
	groups  map[resetGroup]*resetSums
	tracks  map[track]*trail
	names   map[uint32]string
	totals  ResetTotals
}

type (
	openFlow struct {
		day  edge.Day
		hash edge.FlowHash
	}
	opened struct {
		pop     edge.PoPID
		at      time.Time
		unheard bool
	}
	resetGroup struct {
		vip         edge.VIPID
		from, to    edge.PoPID
		continent   string
		country     string
		subdivision string
		asn         uint32
		client      netip.Prefix
	}
	resetSums struct {
		row      ResetRow
		prefixes map[netip.Prefix]bool // true: packets of one connection may go to several PoPs
	}
)

// ResetRow is one group.
type ResetRow struct {
	Group     []Label
	Resets    uint64  // segments that were reset: confirmed, or without another reason in sight
	PerHour   float64 // of Resets
	Sampled   uint64  // connections among them that other PoPs were asked about
	Confirmed uint64  // of those: another PoP had them open
	Unheard   uint64  // of those: and sent into the void
	TimedOut  uint64  // connections that a PoP gave up, as nothing came back
	Doubtful  uint64  // resets that may have other reasons: not in Resets
	Networks  int     // client prefixes, but for those with doubtful resets only
	Balanced  int     // of those: reset at several PoPs at a time, as packets are spread one by one
}

// ResetTotals are sums over all records.
type ResetTotals struct {
	From, To  time.Time // of what was received; zero: nothing was
	Resets    uint64
	Sampled   uint64
	Confirmed uint64
	TimedOut  uint64
	Doubts    map[edge.ResetDoubt]uint64 // resets that are counted as doubtful
	Excess    uint64                     // RSTs over the usual, where there is but a counter
	Overflow  uint64                     // that PoPs had no room for
	Methods   map[edge.PoPID]edge.ResetMethod
}

// NewResets returns an empty report by the keys given (ParseResetKeys).
func NewResets(by []Key) *Resets {
	return &Resets{
		by: by, open: map[openFlow]opened{}, groups: map[resetGroup]*resetSums{}, tracks: map[track]*trail{}, names: map[uint32]string{},
		totals: ResetTotals{Doubts: map[edge.ResetDoubt]uint64{}, Methods: map[edge.PoPID]edge.ResetMethod{}},
	}
}

// Totals returns the sums; after Rows.
func (r *Resets) Totals() ResetTotals { return r.totals }

// Networks returns the names of networks, by number.
func (r *Resets) Networks() map[uint32]string { return r.names }

// Add adds a record, which the report keeps for some time.
func (r *Resets) Add(x *edge.ResetRecord) {
	if r.totals.From.IsZero() {
		r.totals.From = x.Received
	}
	if x.Received.After(r.totals.To) {
		r.totals.To = x.Received
	}
	r.totals.Methods[x.PoP] = x.Method
	r.totals.Overflow += x.Overflow
	switch {
	case x.Open != nil:
		r.open[openFlow{x.Open.Key, x.Open.Flow}] = opened{x.PoP, x.Received, x.Open.Unheard}
	case x.Reset != nil && x.Reset.Kind == edge.Excess:
		r.totals.Excess += x.Reset.Count
	case x.Reset != nil:
		r.waiting = append(r.waiting, x)
	}
	if x.Received.Sub(r.swept) > JoinWithin {
		r.settle(x.Received.Add(-JoinWithin))
		r.swept = x.Received
	}
}

// settle judges what was received before; nobody will say more about it.
func (r *Resets) settle(before time.Time) {
	n := 0
	for ; n < len(r.waiting) && r.waiting[n].Received.Before(before); n++ {
		r.judge(r.waiting[n])
	}
	r.waiting = slices.Delete(r.waiting, 0, n)
	for f, o := range r.open {
		if o.at.Before(before) {
			delete(r.open, f)
		}
	}
	for k, t := range r.tracks {
		if t.last.Before(before) {
			delete(r.tracks, k)
		}
	}
}

// judge counts a reset, whose connections nobody will say more about.
func (r *Resets) judge(x *edge.ResetRecord) {
	v := x.Reset
	if v.Kind == edge.TimedOut {
		s := r.group(x, x.PoP, "")
		s.row.TimedOut += v.Count
		r.totals.TimedOut += v.Count
		s.meet(v.Client, false)
		return
	}
	from, confirmed, unheard := r.origin(x)
	s := r.group(x, from, x.PoP)
	if v.Doubt != edge.NoDoubt && confirmed == 0 {
		s.row.Doubtful += v.Count
		r.totals.Doubts[v.Doubt] += v.Count
		return
	}
	s.row.Resets += v.Count
	s.row.Sampled += uint64(len(v.Flows))
	s.row.Confirmed += confirmed
	s.row.Unheard += unheard
	r.totals.Resets += v.Count
	r.totals.Sampled += uint64(len(v.Flows))
	r.totals.Confirmed += confirmed
	s.meet(v.Client, r.spread(x, from))
}

// meet notes a prefix of the group.
func (s *resetSums) meet(client netip.Prefix, spread bool) {
	s.prefixes[client] = spread || s.prefixes[client]
}

// origin says which PoP had most of the connections open, how many of them
// some PoP had, and of how many it heard nothing any more.
func (r *Resets) origin(x *edge.ResetRecord) (from edge.PoPID, confirmed, unheard uint64) {
	votes := map[edge.PoPID]int{}
	for _, h := range x.Reset.Flows {
		if o, ok := r.open[openFlow{x.Key, h}]; ok && o.pop != x.PoP {
			votes[o.pop]++
			confirmed++
			if o.unheard {
				unheard++
			}
		}
	}
	for pop, n := range votes {
		if n > votes[from] || n == votes[from] && pop < from {
			from = pop
		}
	}
	return from, confirmed, unheard
}

func (r *Resets) group(x *edge.ResetRecord, from, to edge.PoPID) *resetSums {
	var g resetGroup
	for _, k := range r.by {
		switch k {
		case ByVIP:
			g.vip = x.Reset.VIP
		case ByFrom:
			g.from = from
		case ByTo:
			g.to = to
		case ByContinent:
			g.continent = x.Place.Continent
		case ByCountry:
			g.country = x.Place.Country
		case BySubdivision:
			g.country, g.subdivision = x.Place.Country, x.Place.Subdivision
		case ByASN:
			if g.asn = x.Place.ASN; g.asn != 0 && x.Place.ASName != "" {
				r.names[g.asn] = x.Place.ASName
			}
		case ByClient:
			g.client = x.Reset.Client
		}
	}
	s := r.groups[g]
	if s == nil {
		s = &resetSums{prefixes: map[netip.Prefix]bool{}}
		r.groups[g] = s
	}
	return s
}

// Rows returns the groups, most resets first, then by name. Hours is how long
// the records are about, for the rates; NaN where it is not known. Nothing can
// be added afterwards.
func (r *Resets) Rows(hours float64) []ResetRow {
	for _, x := range r.waiting {
		r.judge(x)
	}
	r.waiting = nil
	var rows []ResetRow
	for g, s := range r.groups {
		row := s.row
		row.Group = g.labels(r.by)
		row.PerHour = math.NaN()
		if hours > 0 {
			row.PerHour = float64(row.Resets) / hours
		}
		row.Networks = len(s.prefixes)
		for _, spread := range s.prefixes {
			if spread {
				row.Balanced++
			}
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b ResetRow) int {
		return cmp.Or(cmp.Compare(b.Resets, a.Resets), cmp.Compare(b.TimedOut, a.TimedOut), compareLabels(a.Group, b.Group))
	})
	return rows
}

func (g *resetGroup) labels(by []Key) []Label {
	places := groupKey{continent: g.continent, country: g.country, subdivision: g.subdivision, asn: g.asn}
	labels := places.labels(by)
	for i := range labels {
		switch labels[i].Key {
		case ByVIP:
			labels[i].Text = string(g.vip)
		case ByFrom:
			labels[i].Text = string(g.from)
		case ByTo:
			labels[i].Text = string(g.to)
		case ByClient:
			if g.client.IsValid() {
				labels[i].Text = g.client.String()
			}
		}
	}
	return labels
}
