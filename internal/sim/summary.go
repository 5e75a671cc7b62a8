package sim

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"catchment/internal/analysis"
	"catchment/internal/edge"
)

// By is what users are grouped by in a summary: where they really are.
type By string

// The geographies. A subdivision stands with its country: US-IL.
const (
	ByContinent   By = "continent"
	ByCountry     By = "country"
	BySubdivision By = "subdivision"
	ByASN         By = "asn"
)

// ParseBy returns the By named s.
func ParseBy(s string) (By, error) {
	if b := By(s); b == ByContinent || b == ByCountry || b == BySubdivision || b == ByASN {
		return b, nil
	}
	return "", fmt.Errorf("%q: want continent, country, subdivision or asn", s)
}

// Judging says how a summary is made.
type Judging struct {
	By        By
	Tolerance analysis.Tolerance
	Rate      float64 // requests/s that one user makes; 0: not known
}

// Summary is an Outcome in figures.
type Summary struct {
	All  Row   // everyone
	Rows []Row // most users first
	PoPs []Load
}

// Row is the users of one geography.
type Row struct {
	Label   string // of the geography; empty: not known
	Name    string // of the network, by AS number
	Users   float64
	Schemes [len(edge.Schemes)]Figures
}

// Figures are how one scheme serves users. Shares are 0 to 1, and NaN, like
// the penalties, where there is nothing to take them of.
type Figures struct {
	// Users are those whom the scheme gives an address: all, but under regional
	// where no region serves the place they seem to be in. All shares are of
	// them.
	Users float64

	Optimal                float64 // reached the best PoP, or one within the tolerance
	PenaltyP50, PenaltyP90 float64 // ms, of those who reached one: RTT to the PoP's own prefix over that to the best PoP's
	Foreign                float64 // reached a PoP on another continent
	Lost                   float64 // reached none
}

// Load is what one PoP gets under one scheme.
type Load struct {
	PoP      edge.PoPID
	Scheme   edge.Scheme
	Users    float64
	Share    float64 // of the users whom the scheme brings to any PoP
	Rate     float64 // requests/s; NaN: not known
	Capacity float64 // requests/s; 0: not known
}

// Over reports whether the load is more than the PoP's capacity.
func (l *Load) Over() bool { return l.Capacity > 0 && l.Rate > l.Capacity }

// sums add up a row under one scheme.
type sums struct {
	users, optimal, foreign, lost float64
	penalties                     weighted
}

// Summarize judges every group of users.
func (o *Outcome) Summarize(j Judging) *Summary {
	w := o.World
	t := w.Topology
	labels := w.labels(j.By)
	keys := slices.Clone(labels)
	slices.Sort(keys)
	keys = slices.Compact(keys)
	rows, users := make([][len(edge.Schemes)]sums, len(keys)+1), make([]float64, len(keys)+1)
	loads := make([][len(edge.Schemes)]float64, len(w.Fleet.PoPs))
	all := len(keys)
	group := make([]int, len(keys)) // one of each row
	var askers []Located
	var shares []Share
	for g := range t.Groups {
		row, _ := slices.BinarySearch(keys, labels[g])
		n := float64(t.Groups[g].Users)
		users[row] += n
		group[row] = g
		users[all] += n
		askers = w.People.Located(askers, g)
		_, best := o.Best(g)
		home := t.Cities[t.Groups[g].Metro].Place.Continent
		for k, s := range edge.Schemes {
			if !o.Has(s) {
				continue
			}
			shares = o.assigned(shares, askers, g, s)
			for _, x := range shares {
				n := n * x.Share
				if x.PoP >= 0 {
					loads[x.PoP][k] += n
				}
				if x.Unled {
					continue
				}
				v := o.judge(g, x, best, home, j.Tolerance)
				rows[row][k].add(n, v)
				rows[all][k].add(n, v)
			}
		}
	}
	s := &Summary{}
	for i := range rows {
		r := Row{Users: users[i]}
		if i < all {
			r.Label = keys[i]
			if j.By == ByASN {
				r.Name = t.Names[t.Groups[group[i]].AS]
			}
		}
		for k := range edge.Schemes {
			r.Schemes[k] = rows[i][k].figures()
		}
		if i == all {
			s.All = r
		} else {
			s.Rows = append(s.Rows, r)
		}
	}
	slices.SortStableFunc(s.Rows, func(a, b Row) int { return cmp.Compare(b.Users, a.Users) })
	for k, scheme := range edge.Schemes {
		if o.Has(scheme) {
			s.PoPs = append(s.PoPs, w.loads(scheme, k, loads, j.Rate)...)
		}
	}
	return s
}

func (w *World) loads(s edge.Scheme, k int, users [][len(edge.Schemes)]float64, rate float64) []Load {
	var sum float64
	for i := range users {
		sum += users[i][k]
	}
	var out []Load
	for i := range users {
		p := &w.Fleet.PoPs[i]
		l := Load{PoP: p.ID, Scheme: s, Users: users[i][k], Share: users[i][k] / sum, Rate: math.NaN(), Capacity: p.Capacity}
		if rate > 0 {
			l.Rate = rate * l.Users
		}
		out = append(out, l)
	}
	return out
}

// verdict is how a part of a group fared.
type verdict struct {
	lost, optimal, foreign bool
	penalty                float64 // ms
}

func (o *Outcome) judge(group int, x Share, best float32, home string, t analysis.Tolerance) verdict {
	if x.PoP < 0 {
		return verdict{lost: true}
	}
	ms, least := float64(o.RTT(group, x.PoP)), float64(best)
	if math.IsInf(ms, 1) { // the VIP gets there and the PoP's own prefix does not
		ms = float64(x.RTT)
		least = min(least, ms)
	}
	return verdict{
		optimal: ms <= least+max(t.Ms, t.Share*least),
		foreign: o.World.Fleet.PoPs[x.PoP].Place.Continent != home,
		penalty: ms - least,
	}
}

func (s *sums) add(n float64, v verdict) {
	s.users += n
	if v.lost {
		s.lost += n
		return
	}
	if v.optimal {
		s.optimal += n
	}
	if v.foreign {
		s.foreign += n
	}
	s.penalties.add(v.penalty, n)
}

func (s *sums) figures() Figures {
	return Figures{
		Users: s.users, Optimal: s.optimal / s.users, Foreign: s.foreign / s.users, Lost: s.lost / s.users,
		PenaltyP50: s.penalties.quantile(0.5), PenaltyP90: s.penalties.quantile(0.9),
	}
}

// labels returns the geography of every group.
func (w *World) labels(by By) []string {
	t := w.Topology
	cities := make([]string, len(t.Cities))
	for i, c := range t.Cities {
		switch by {
		case ByContinent:
			cities[i] = c.Place.Continent
		case ByCountry:
			cities[i] = c.Place.Country
		case BySubdivision:
			if cities[i] = c.Place.Country; c.Place.Subdivision != "" {
				cities[i] += "-" + c.Place.Subdivision
			}
		}
	}
	labels := make([]string, len(t.Groups))
	for g := range t.Groups {
		if by == ByASN {
			labels[g] = w.asn(t.Groups[g].AS)
		} else {
			labels[g] = cities[t.Groups[g].Metro]
		}
	}
	return labels
}
