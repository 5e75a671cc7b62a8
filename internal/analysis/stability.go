package analysis

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"catchment/internal/edge"
)

var stabilityKeys = []Key{ByVIP, ByContinent, ByCountry, BySubdivision, ByASN, ByFamily}

// ParseStabilityKeys is ParseKeys for the reports on synthetic downloads. Vip
// is always among the keys, as the first.
func ParseStabilityKeys(s string) ([]Key, error) {
	by := []Key{ByVIP}
	if strings.TrimSpace(s) == "" {
		return by, nil
	}
	seen := map[Key]bool{}
	for part := range strings.SplitSeq(s, ",") {
		k := Key(strings.TrimSpace(part))
		if !slices.Contains(stabilityKeys, k) {
			return nil, fmt.Errorf("group key %q: want some of vip, continent, country, subdivision, asn, family", string(k))
		}
		if seen[k] {
			return nil, fmt.Errorf("group key %q is there twice", string(k))
		}
		if seen[k] = true; k != ByVIP {
			by = append(by, k)
		}
	}
	return by, nil
}

// Stability is the report on whether TCP survives anycast, by what synthetic
// agents recorded. Add records to it in any order, then ask for Rows or Flips.
//
// Its memory grows with the number of groups, and for each with the hours that
// it was watched in and the minutes in which something failed.
type Stability struct {
	by       []Key
	criteria StabilityCriteria
	vips     map[stabilityGroup]*vipCell
	controls map[groupKey]map[controlKey]*connections
	names    map[uint32]string
	totals   StabilityTotals
}

type stabilityGroup struct {
	vip edge.VIPID
	at  groupKey
}

// controlKey is a PoP's own address of a family: IPv6 may be worse than IPv4 on
// the way to the same PoP.
type controlKey struct {
	pop    edge.PoPID
	family familyIndex
}

// familyIndex is 0 for IPv4 and 1 for IPv6.
type familyIndex uint8

func familyOf(d *edge.Download) familyIndex {
	if d.Family == 6 {
		return 1
	}
	return 0
}

// StabilityTotals are sums over all records.
type StabilityTotals struct {
	From, To time.Time // of the downloads; zero: there were none
	Records  uint64
	Agents   int
	Busy     uint64 // that PoPs refused for their limits
	Lagged   uint64 // silences that may be the agent's own: not held against the network
	agents   map[string]struct{}
}

// NewStability returns an empty report by the keys given (ParseStabilityKeys).
func NewStability(by []Key, c StabilityCriteria) *Stability {
	return &Stability{
		by: by, criteria: c, vips: map[stabilityGroup]*vipCell{}, controls: map[groupKey]map[controlKey]*connections{}, names: map[uint32]string{},
		totals: StabilityTotals{agents: map[string]struct{}{}},
	}
}

// Totals returns the sums.
func (s *Stability) Totals() StabilityTotals {
	t := s.totals
	t.Agents = len(t.agents)
	return t
}

// Networks returns the names of networks, by number.
func (s *Stability) Networks() map[uint32]string { return s.names }

// vipCell is a VIP as seen from one group.
type vipCell struct {
	connections
	asked  [2]bool // over IPv4, over IPv6
	moved  uint64  // slow downloads that another PoP ended than began
	pairs  uint64  // of connections in a row
	flips  uint64  // of those: to different PoPs
	served map[edge.PoPID]*popSeen
	change map[[2]edge.PoPID]uint64 // from one to another
	turned map[int64]struct{}       // hours in which there were flips
}

// Add adds a record, of which it keeps nothing.
func (s *Stability) Add(r *edge.DownloadRecord) {
	d := r.Download
	t := &s.totals
	t.Records++
	if t.From.IsZero() || d.Start.Before(t.From) {
		t.From = d.Start
	}
	if d.Start.After(t.To) {
		t.To = d.Start
	}
	if _, ok := t.agents[d.Agent]; !ok {
		t.agents[strings.Clone(d.Agent)] = struct{}{}
	}
	if d.Outcome == edge.DownloadBusy {
		t.Busy++
	}
	at := s.groupOf(r)
	if vip, ok := d.Target.VIP(); ok {
		g := stabilityGroup{vip, at}
		c := s.vips[g]
		if c == nil {
			c = &vipCell{
				connections: *newConnections(), served: map[edge.PoPID]*popSeen{}, change: map[[2]edge.PoPID]uint64{}, turned: map[int64]struct{}{},
			}
			s.vips[g] = c
		}
		c.asked[familyOf(d)] = true
		c.add(d, t)
		c.answered(d)
		return
	}
	if pop, ok := d.Target.PoP(); ok {
		pops := s.controls[at]
		if pops == nil {
			pops = map[controlKey]*connections{}
			s.controls[at] = pops
		}
		key := controlKey{pop, familyOf(d)}
		c := pops[key]
		if c == nil {
			c = newConnections()
			pops[key] = c
		}
		c.add(d, t)
	}
}

func (s *Stability) groupOf(r *edge.DownloadRecord) (g groupKey) {
	p := &r.Place
	for _, k := range s.by {
		switch k {
		case ByContinent:
			g.continent = p.Continent
		case ByCountry:
			g.country = p.Country
		case BySubdivision:
			g.country, g.subdivision = p.Country, p.Subdivision
		case ByASN:
			if g.asn = p.ASN; g.asn != 0 && p.ASName != "" {
				if _, ok := s.names[g.asn]; !ok {
					s.names[g.asn] = strings.Clone(p.ASName)
				}
			}
		case ByFamily:
			g.family = uint8(r.Download.Family)
		}
	}
	return g
}
