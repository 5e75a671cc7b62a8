package rehearsal

import (
	"context"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	"catchment/internal/analysis"
	"catchment/internal/edge"
	"catchment/internal/ramp"
	"catchment/internal/sim/noise"
	"catchment/internal/sim/views"
	"catchment/internal/steer"
)

// traffic is the page views: whoever asks for those of a stretch makes the
// next ones, under the shares that are published then.
type traffic struct {
	cfg     *Config
	places  *places
	gen     *views.Generator
	fill    *views.Filler
	beacon  edge.Beacon
	next    int // view
	pending bool
	service *steer.Service
	harms   []harm
	stale   uint64
	load    edge.PageLoad
}

// harm is a Harm with what is needed to tell whom it is for.
type harm struct {
	Harm
	where edge.Where
	on    bool
}

// measured is how many page views it is that PoPs' distances are told from.
const measured = 400_000

func newTraffic(cfg *Config) (*traffic, error) {
	w := &traffic{cfg: cfg, places: newPlaces(cfg.World.People, cfg.Countries)}
	for _, h := range cfg.Harms {
		x := harm{Harm: h}
		at := slices.IndexFunc(cfg.Plan.Geographies, func(g ramp.Geography) bool { return g.ID == h.Geography })
		if at >= 0 {
			x.where = cfg.Plan.Geographies[at].Where
		}
		w.harms = append(w.harms, x)
	}
	m := w.model()
	m.Days, m.Views = cfg.Days+1, cfg.Views*(cfg.Days+1)
	m.PageBy = w.pageBy
	var err error
	if w.gen, err = views.New(cfg.World.Fleet, cfg.World.People, cfg.World.Outcome, m); err != nil {
		return nil, err
	}
	w.fill = w.gen.Filler()
	return w, w.steer(&edge.Snapshot{Version: 1, Made: cfg.From.Time(), Fleet: cfg.World.Fleet})
}

func (w *traffic) model() views.Model {
	m := views.DefaultModel(w.cfg.Seed)
	m.From, m.Countries = w.cfg.From, w.cfg.Countries
	return m
}

// steer compiles what name servers answer by from now on.
func (w *traffic) steer(s *edge.Snapshot) error {
	if w.service != nil && slices.EqualFunc(s.Ramps, w.places.ramps, func(a, b edge.Ramp) bool { return a.ID == b.ID && a.Share == b.Share }) {
		return nil
	}
	plan, err := steer.Compile(s, w.places)
	if err != nil {
		return err
	}
	for _, x := range plan.Services() {
		if x.Name() == w.cfg.Plan.Service {
			w.service = x
		}
	}
	w.places.ramps = s.Ramps
	for i := range w.harms {
		h := &w.harms[i]
		h.on = slices.ContainsFunc(s.Ramps, func(r edge.Ramp) bool {
			return r.ID == w.cfg.Plan.ID+"/"+h.Geography && r.Share >= h.From-1e-9
		})
	}
	return nil
}

// pageBy asks for the service's name as the client's resolver does.
func (w *traffic) pageBy(b *edge.Beacon) edge.Scheme {
	b.Resolver.Addr = w.places.pool(b.Resolver.Addr.Addr(), b.Client)
	n, _ := w.service.LookupVia(b.Resolver.Addr.Addr(), asked(b))
	scheme := w.service.Answers()[n].Scheme
	if w.stale++; noise.Uniform(noise.At(w.cfg.Seed, noise.View, w.stale, 77)) < w.cfg.Stale && len(w.places.ramps) > 0 {
		if scheme == w.cfg.Plan.To {
			return w.cfg.Plan.From
		}
		return w.cfg.Plan.To
	}
	return scheme
}

// asked returns the address that DNS steers by.
func asked(b *edge.Beacon) netip.Addr {
	if b.Resolver.ECS.IsValid() {
		return b.Resolver.ECS.Addr()
	}
	return b.Resolver.Addr.Addr()
}

// PageLoads makes the page views of a stretch.
func (w *traffic) PageLoads(ctx context.Context, since, until time.Time) iter.Seq2[*edge.PageLoad, error] {
	return func(yield func(*edge.PageLoad, error) bool) {
		for w.next < w.gen.Views() {
			if !w.pending {
				w.fill.Fill(&w.beacon, w.next)
			}
			if w.pending = !w.beacon.Received.Before(until); w.pending {
				return
			}
			w.next++
			if w.beacon.Received.Before(since) {
				continue
			}
			w.harm(&w.beacon)
			pageLoad(&w.load, &w.beacon)
			if !yield(&w.load, nil) || ctx.Err() != nil {
				return
			}
		}
	}
}

// harm makes a page view worse, if it is to be.
func (w *traffic) harm(b *edge.Beacon) {
	for i := range w.harms {
		h := &w.harms[i]
		if !h.on || w.servedBy(b) != w.cfg.Plan.To {
			continue
		}
		if at := w.places.Lookup(asked(b)); !steer.Selects(&h.where, &at) {
			continue
		}
		b.Page.Connect += h.Ms
		if h.PoP != "" {
			b.Page.PoP = h.PoP
		}
		for k := range b.Probes {
			if p := &b.Probes[k]; p.Target == edge.Target(w.cfg.Plan.To) && p.Error == "" {
				p.RTT += h.Ms
				if h.PoP != "" {
					p.PoP = h.PoP
				}
			}
		}
	}
}

// servedBy returns the scheme by which the page came.
func (w *traffic) servedBy(b *edge.Beacon) edge.Scheme {
	switch {
	case b.Page.PoP == "":
		return ""
	case b.Page.VIP == "":
		return edge.Unicast
	case slices.ContainsFunc(w.cfg.World.Fleet.Regions, func(r edge.Region) bool { return r.VIP == b.Page.VIP }):
		return edge.Regional
	}
	return edge.Global
}

// pageLoad makes l of b, as the store does.
func pageLoad(l *edge.PageLoad, b *edge.Beacon) {
	v := b.View()
	*l = edge.PageLoad{
		Cell: cellOf(b, v.Family), At: b.Received, Client: edge.PrefixKey(b.Client), Served: v.Served, RTT: v.RTT,
		Resolver: b.Resolver, PoP: b.Page.PoP, VIP: b.Page.VIP, Connect: b.Page.Connect,
	}
}

func cellOf(b *edge.Beacon, family uint8) edge.Cell {
	p := &b.Place
	return edge.Cell{Day: edge.DayOf(b.Received), Continent: p.Continent, Country: p.Country, Subdivision: p.Subdivision, ASN: p.ASN, Family: family}
}

// measure returns how far the PoPs are from each cell, from the probes of the
// week before.
func (w *traffic) measure(ctx context.Context, now time.Time) ([]edge.Order, error) {
	m := w.model()
	m.Seed++
	m.From, m.Days, m.Views = edge.DayOf(now)-7, 7, measured
	gen, err := views.New(w.cfg.World.Fleet, w.cfg.World.People, w.cfg.World.Outcome, m)
	if err != nil {
		return nil, err
	}
	type key struct {
		cell edge.Cell
		pop  edge.PoPID
	}
	counts := map[key]map[edge.Sample]uint32{}
	fill, b := gen.Filler(), edge.Beacon{}
	for i := range gen.Views() {
		if i%10_000 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		fill.Fill(&b, i)
		for j := range b.Probes {
			p := &b.Probes[j]
			if id, ok := p.Target.PoP(); !ok || p.Error != "" || id != p.PoP || p.RTT <= 0 {
				continue
			}
			k := key{cellOf(&b, uint8(p.AF)), p.PoP}
			if counts[k] == nil {
				counts[k] = map[edge.Sample]uint32{}
			}
			counts[k][edge.SampleOf(edge.PrefixKey(b.Client), p.RTT)]++
		}
	}
	latencies := func(yield func(*edge.Latencies, error) bool) {
		for k, list := range counts {
			l := edge.Latencies{Cell: k.cell, PoP: edge.PoPID(strings.Clone(string(k.pop)))}
			for s := range list {
				l.Samples = append(l.Samples, s)
			}
			slices.Sort(l.Samples)
			for _, s := range l.Samples {
				l.Counts = append(l.Counts, list[s])
			}
			if !yield(&l, nil) {
				return
			}
		}
	}
	none := func(func(*edge.Assignments, error) bool) {}
	measured := analysis.NewMeasured(analysis.DefaultCriteria())
	if err := measured.Read(analysis.Window{Latencies: latencies, Assignments: none}); err != nil {
		return nil, err
	}
	return measured.Orders(), nil
}

var _ steer.Places = (*places)(nil)
