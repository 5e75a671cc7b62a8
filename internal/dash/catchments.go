package dash

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"

	"catchment/internal/analysis"
	"catchment/internal/edge"
)

type catchmentsAnswer struct {
	Scheme edge.Scheme    `json:"scheme"`
	VIP    edge.VIPID     `json:"vip,omitempty"`
	Places []reachedPlace `json:"places"`
	PoPs   []catchmentPoP `json:"pops"`
}

type reachedPlace struct {
	Country     string     `json:"country"`
	Subdivision string     `json:"subdivision"`
	Views       uint64     `json:"views"`
	PoPs        []popShare `json:"pops"`
}

type popShare struct {
	PoP   edge.PoPID `json:"pop"`
	Share share      `json:"share"`
}

type catchmentPoP struct {
	PoP        edge.PoPID `json:"pop"`
	Views      uint64     `json:"views"`
	Share      share      `json:"share"`
	RTTp50     millis     `json:"rtt_p50"`
	RTTp90     millis     `json:"rtt_p90"`
	NotOptimal share      `json:"not_optimal"`
	Home       string     `json:"home"`
	Foreign    share      `json:"foreign"`
	Fleet      bool       `json:"fleet"`
}

func (d *Dash) askCatchments(_ *http.Request, q *query) *question {
	p, scheme, vip := q.period(d.cfg.Now()), q.scheme(edge.Global), edge.VIPID(q.text("vip"))
	var only func(*edge.Cell) bool
	if vip != "" {
		if q.values.Get("scheme") != "" {
			q.fail("vip", "goes without scheme")
		}
		var err error
		if scheme, only, err = ledTo(d.cfg.Fleet(), vip); err != nil {
			q.fail("vip", "%v", err)
		}
	}
	return &question{
		key: fmt.Sprintf("catchments %v %s %q", p, scheme, vip),
		answer: func(ctx context.Context, f *figures) (*answer, *refusal) {
			days := f.between(p.first, p.last)
			reach, pops, err := d.reached(ctx, days, scheme, only)
			if err != nil {
				return nil, unreadable(err)
			}
			out := catchmentsAnswer{Scheme: scheme, VIP: vip, Places: []reachedPlace{}, PoPs: d.popRows(pops, scheme)}
			for _, x := range reach.Places() {
				place := reachedPlace{x.Country, x.Subdivision, x.Views, []popShare{}}
				for _, y := range x.PoPs {
					place.PoPs = append(place.PoPs, popShare{y.PoP, share(y.Share)})
				}
				out.Places = append(out.Places, place)
			}
			return &answer{standing: d.standingOfReach(f, days, scheme, pops.Totals()), rest: members(out)}, nil
		},
	}
}

// reached makes the reports on who reached which PoP.
func (d *Dash) reached(ctx context.Context, days []*day, scheme edge.Scheme, only func(*edge.Cell) bool) (analysis.Reaches, *analysis.PoPs, error) {
	var reach analysis.Reaches
	pops := analysis.NewPoPs()
	if sealed := sealedOf(days); sealed != nil && only == nil {
		base := d.index.reaches[scheme.Index()].get(sealed, func(days []*analysis.Judged) *reached { return reachedOn(scheme, days) })
		reach = append(reach, base.reach)
		pops.Join(base.pops)
		days = days[len(sealed):]
	}
	last := analysis.NewReach(scheme)
	return append(reach, last), pops, d.addTo(ctx, days, only, last, pops)
}

// ledTo says whom a VIP is for: a scheme, and which cells.
func ledTo(f *edge.Fleet, vip edge.VIPID) (edge.Scheme, func(*edge.Cell) bool, error) {
	if i := slices.IndexFunc(f.Regions, func(r edge.Region) bool { return r.VIP == vip }); i >= 0 {
		id := f.Regions[i].ID
		return edge.Regional, func(c *edge.Cell) bool {
			r, ok := f.RegionOf(edge.Place{Continent: c.Continent, Country: c.Country})
			return ok && r.ID == id
		}, nil
	}
	if vip == edge.VIPID(edge.Global) && slices.ContainsFunc(f.VIPs, func(v edge.VIP) bool { return v.ID == vip }) {
		return edge.Global, nil, nil
	}
	return "", nil, fmt.Errorf("%q is neither the global VIP nor a region's", vip)
}

// standingOfReach says so, too, if the scheme was never probed.
func (d *Dash) standingOfReach(f *figures, days []*day, scheme edge.Scheme, t analysis.Totals) standing {
	s := d.standingOf(f, days, &t)
	if (s.state == ok || s.state == few) && t.Probed[scheme.Index()] == 0 {
		s.state = nothing
		s.hint = fmt.Sprintf("No page view probed the scheme %s in these days. `serve` has it probed where the fleet file has what it takes: VIPs and regions.", scheme)
	}
	return s
}

// popRows are the PoPs that a scheme reached, those with most views first.
func (d *Dash) popRows(r *analysis.PoPs, scheme edge.Scheme) []catchmentPoP {
	rows := []catchmentPoP{}
	fleet := d.cfg.Fleet()
	for _, s := range r.Rows() {
		if s.Scheme == scheme {
			rows = append(rows, catchmentPoP{
				s.PoP, s.Views, share(s.Share), millis(s.P50), millis(s.P90), share(s.NotOptimal), s.Home, share(s.Foreign), inFleet(fleet, s.PoP),
			})
		}
	}
	slices.SortStableFunc(rows, func(a, b catchmentPoP) int { return int(int64(b.Views) - int64(a.Views)) })
	return rows
}

func inFleet(f *edge.Fleet, id edge.PoPID) bool {
	return slices.ContainsFunc(f.PoPs, func(p edge.PoP) bool { return p.ID == id })
}

type popAnswer struct {
	catchmentPoP
	Scheme    edge.Scheme  `json:"scheme"`
	Places    []placePart  `json:"places"`
	Networks  []network    `json:"networks"`
	RTT       []rttBin     `json:"rtt"`
	Elsewhere []astrayPart `json:"elsewhere"`
}

type placePart struct {
	Country     string `json:"country"`
	Subdivision string `json:"subdivision"`
	Views       uint64 `json:"views"`
	Share       share  `json:"share"`
	RTTp50      millis `json:"rtt_p50"`
}

type network struct {
	ASN    uint32 `json:"asn"`
	ASName string `json:"as_name"`
	Views  uint64 `json:"views"`
	Share  share  `json:"share"`
	RTTp50 millis `json:"rtt_p50"`
}

type rttBin struct {
	Low   millis  `json:"low"`
	High  millis  `json:"high"`
	Views float64 `json:"views"`
}

type astrayPart struct {
	Country     string     `json:"country"`
	Subdivision string     `json:"subdivision"`
	ASN         uint32     `json:"asn"`
	ASName      string     `json:"as_name"`
	BestPoP     edge.PoPID `json:"best_pop"`
	Views       uint64     `json:"views"`
	Penalty     millis     `json:"penalty"`
}

// maxParts bounds lists of networks.
const maxParts = 200

func (d *Dash) askCatchment(r *http.Request, q *query) *question {
	p, scheme, id := q.period(d.cfg.Now()), q.scheme(edge.Global), edge.PoPID(r.PathValue("pop"))
	if !edge.ValidID(string(id)) {
		q.fail("pop", "%q cannot be the id of a PoP", id)
	}
	return &question{
		key: fmt.Sprintf("catchment %s %v %s", id, p, scheme),
		answer: func(ctx context.Context, f *figures) (*answer, *refusal) {
			days := f.between(p.first, p.last)
			reach, pops, err := d.reached(ctx, days, scheme, nil)
			if err != nil {
				return nil, unreadable(err)
			}
			return d.catchment(f, days, scheme, id, reach, pops)
		},
	}
}

func (d *Dash) catchment(f *figures, days []*day, scheme edge.Scheme, id edge.PoPID, reach analysis.Reaches, pops *analysis.PoPs) (*answer, *refusal) {
	nan := math.NaN()
	out := popAnswer{
		catchmentPoP: catchmentPoP{PoP: id, Share: share(nan), RTTp50: millis(nan), RTTp90: millis(nan), NotOptimal: share(nan), Foreign: share(nan), Fleet: inFleet(d.cfg.Fleet(), id)},
		Scheme:       scheme, Places: []placePart{}, Networks: []network{}, RTT: []rttBin{}, Elsewhere: []astrayPart{},
	}
	s := d.standingOfReach(f, days, scheme, pops.Totals())
	rows := d.popRows(pops, scheme)
	i := slices.IndexFunc(rows, func(r catchmentPoP) bool { return r.PoP == id })
	switch {
	case i < 0 && !out.Fleet && !anyScheme(pops, id):
		no := refuse(http.StatusNotFound, "pop", "there is no PoP %q, and no page view of these days reached one", id)
		no.Hint = "It may have been renamed or taken out of the fleet file; a longer period may still have it."
		no.State = gone
		return nil, no
	case i < 0:
		out.Share = 0
		if s.state == ok || s.state == few {
			s.state = nothing
			s.hint = fmt.Sprintf("No page view of these days reached %s under the scheme %s.", id, scheme)
		}
		return &answer{standing: s, rest: members(out)}, nil
	}
	out.catchmentPoP = rows[i]
	known, at := names(days), reach.At(id)
	for _, x := range at.Places {
		out.Places = append(out.Places, placePart{x.Country, x.Subdivision, x.Views, share(x.Share), millis(x.P50)})
	}
	for _, x := range at.Networks[:min(len(at.Networks), maxParts)] {
		out.Networks = append(out.Networks, network{x.ASN, known[x.ASN], x.Views, share(x.Share), millis(x.P50)})
	}
	for _, x := range at.Elsewhere[:min(len(at.Elsewhere), maxParts)] {
		out.Elsewhere = append(out.Elsewhere, astrayPart{x.Country, x.Subdivision, x.ASN, known[x.ASN], x.Best, x.Views, millis(x.Penalty)})
	}
	out.RTT = histogram(&at.RTT)
	if !out.Fleet && (s.state == ok || s.state == few) {
		s.state = gone
		s.hint = fmt.Sprintf("The fleet has no PoP %s any more: this is of the days when it had.", id)
	}
	return &answer{standing: s, rest: members(out)}, nil
}

func anyScheme(r *analysis.PoPs, id edge.PoPID) bool {
	return slices.ContainsFunc(r.Rows(), func(s analysis.Served) bool { return s.PoP == id })
}

// histogramStep is how many bins of 1.1 % are put into one: five to a doubling
// are what a chart can show.
const histogramStep = edge.BinsPerOctave / 4

// histogram puts probes by latency bin into coarser ones, from the first to the
// last that has any.
func histogram(bins *[edge.NumBins]float64) []rttBin {
	list := []rttBin{}
	empty := 0
	for at := 0; at < edge.NumBins; at += histogramStep {
		b := rttBin{Low: millis(edge.BinEdgeMs(float64(at))), High: millis(edge.BinEdgeMs(float64(at + histogramStep)))}
		for _, n := range bins[at:min(at+histogramStep, edge.NumBins)] {
			b.Views += n
		}
		if b.Views == 0 && len(list) == 0 {
			continue
		}
		if list = append(list, b); b.Views > 0 {
			empty = 0
		} else {
			empty++
		}
	}
	return list[:len(list)-empty]
}
