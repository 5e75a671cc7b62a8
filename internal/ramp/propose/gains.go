package propose

import (
	"cmp"
	"math"
	"slices"

	"catchment/internal/analysis"
	"catchment/internal/edge"
)

// Gain is what a scheme would change in a geography.
type Gain struct {
	Scheme     edge.Scheme      `json:"scheme"`
	Verdict    analysis.Verdict `json:"verdict"`
	Difference float64          `json:"difference"` // of the share of page views that reach an optimal PoP, against unicast
	Low        float64          `json:"low"`
	High       float64          `json:"high"`
	Users      float64          `json:"users"` // page views that would newly reach an optimal PoP, less those that no more would; of those stored, weighted
	Ms         float64          `json:"ms"`    // saved in the mean; below 0: lost
}

// Advice is what to do about a geography.
type Advice struct {
	Country     string      `json:"country"`
	Subdivision string      `json:"subdivision,omitempty"`
	Views       uint64      `json:"views"`
	Optimal     float64     `json:"optimal"` // share under unicast
	Do          string      `json:"do"`      // ramp, stay, no change or too few
	To          edge.Scheme `json:"to,omitempty"`
	Gains       []Gain      `json:"gains"`
}

// Name is the geography's ISO 3166 code: US, US-IL.
func (a *Advice) Name() string {
	if a.Subdivision == "" {
		return a.Country
	}
	return a.Country + "-" + a.Subdivision
}

// What Advice says.
const (
	DoRamp   = "ramp"      // the scheme is clearly better than DNS
	DoStay   = "stay"      // every scheme that is known is clearly worse, or one is and none is better
	DoLeave  = "no change" // no scheme differs by the margin
	DoGather = "too few"   // page views to tell
)

// Advise says what to do about each row of a report by country, or by country
// and subdivision: only what is clear of the margin is a reason to move
// anybody.
func (d *Data) Advise(rows []analysis.Row, margin float64) []Advice {
	saved := d.saved()
	var all []Advice
	for i := range rows {
		r := &rows[i]
		a := Advice{Views: r.Views}
		for _, l := range r.Group {
			switch l.Key {
			case analysis.ByCountry:
				a.Country = l.Text
			case analysis.BySubdivision:
				a.Subdivision = l.Text
			}
		}
		if a.Country == "" {
			continue
		}
		a.Optimal = finite(r.Schemes[edge.Unicast.Index()].Optimal)
		worse, known := false, false
		best := -1
		for _, s := range []edge.Scheme{edge.Regional, edge.Global} {
			x := &r.Against[s.Index()]
			v := x.Verdict(margin)
			if v == analysis.None {
				continue
			}
			g := Gain{Scheme: s, Verdict: v, Difference: finite(x.Delta), Low: finite(x.Low), High: finite(x.High)}
			t := saved[place{a.Country, a.Subdivision, s}]
			if t.weight > 0 {
				g.Ms = t.ms / t.weight
				g.Users = g.Difference * t.weight
			}
			worse = worse || v == analysis.UseDNS
			known = known || v != analysis.TooFew
			a.Gains = append(a.Gains, g)
			if n := len(a.Gains) - 1; v == analysis.UseAnycast && (best < 0 || g.Low > a.Gains[best].High) {
				best = n
			}
		}
		switch {
		case best >= 0:
			a.Do, a.To = DoRamp, a.Gains[best].Scheme
		case worse:
			a.Do = DoStay
		case known:
			a.Do = DoLeave
		default:
			a.Do = DoGather
		}
		all = append(all, a)
	}
	slices.SortStableFunc(all, func(a, b Advice) int { return cmp.Compare(b.Views, a.Views) })
	return all
}

func finite(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	return x
}

type place struct {
	country, subdivision string
	scheme               edge.Scheme
}

type saving struct{ weight, ms float64 }

// saved adds up what each scheme saves, by country and by subdivision: over
// views that both it and unicast brought to a PoP whose distance is known.
func (d *Data) saved() map[place]saving {
	p := d.part(d.whole, func(int) bool { return true })
	all := map[place]saving{}
	for k, v := range d.views {
		order := p.order(k.cell)
		from := k.served[edge.Unicast.Index()]
		if from == "" || from == edge.Failed || len(order) < 2 {
			continue
		}
		was := p.ms(k.cell, order, from)
		w := p.weight(v)
		for _, s := range []edge.Scheme{edge.Regional, edge.Global} {
			to := k.served[s.Index()]
			if to == "" || to == edge.Failed {
				continue
			}
			ms := was - p.ms(k.cell, order, to)
			if math.IsNaN(ms) {
				continue
			}
			places := []place{{k.cell.Country, "", s}}
			if k.cell.Subdivision != "" {
				places = append(places, place{k.cell.Country, k.cell.Subdivision, s})
			}
			for _, at := range places {
				x := all[at]
				all[at] = saving{x.weight + w, x.ms + w*ms}
			}
		}
	}
	return all
}
