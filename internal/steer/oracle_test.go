package steer

import (
	"cmp"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"catchment/internal/edge"
)

// oracle decides for one client at a time, straight from docs/steering.md: no
// classes, no tables, no forks. It shares with the plan only the hash.
type oracle struct {
	s        *edge.Snapshot
	places   known
	service  *edge.Service
	client   netip.Addr
	resolver netip.Addr
	place    edge.Place
}

func (o *oracle) decide() string {
	best := -1
	for _, k := range o.places {
		if k.prefix.Contains(o.client) && k.prefix.Bits() >= best {
			best, o.place = k.prefix.Bits(), k.place
		}
	}
	if pin := o.pin(); pin != nil {
		if pin.PoP == "" {
			return o.scheme(pin.Scheme)
		}
		if slices.Contains(o.usable(), pin.PoP) {
			return string(pin.PoP)
		}
		return o.unicast()
	}
	for i := range o.s.Ramps {
		r := &o.s.Ramps[i]
		if r.Service != o.service.Name || !o.selected(&r.Where) || r.Scheme == edge.Regional && o.region() == nil {
			continue
		}
		if o.below("ramp", r.Salt, r.Granule, r.Share) {
			return o.scheme(r.Scheme)
		}
	}
	return o.scheme(o.service.Scheme)
}

// below asks the hash.
func (o *oracle) below(kind, name string, g edge.Granule, share float64) bool {
	k, f := keyOf(o.client)
	bits := cmp.Or(g.V4, 24)
	if f == v6 {
		bits = cmp.Or(g.V6, 48)
	}
	return float64(bucket(saltOf(kind, name), k, uint8(bits), f)) < math.Round(share*10000)
}

func (o *oracle) pin() *edge.Pin {
	var best *edge.Pin
	rank := func(p *edge.Pin) float64 { // whom it is for, then how closely, then for one service
		r := 0.0
		switch {
		case p.Resolver.IsValid():
			r = 2000 + float64(2*p.Resolver.Bits())
		case p.Client.IsValid():
			r = 1000 + float64(2*p.Client.Bits())
		}
		if p.Service != "" {
			r++
		}
		return r
	}
	for i := range o.s.Pins {
		p := &o.s.Pins[i]
		if p.Service != "" && p.Service != o.service.Name {
			continue
		}
		match := p.Resolver.IsValid() && o.resolver.IsValid() && p.Resolver.Contains(o.resolver) ||
			p.Client.IsValid() && p.Client.Contains(o.client) || p.ASN != 0 && p.ASN == o.place.ASN
		if match && (best == nil || rank(p) > rank(best)) {
			best = p
		}
	}
	return best
}

func (o *oracle) selected(w *edge.Where) bool {
	if w.Continents == nil && w.Countries == nil && w.Subdivisions == nil && w.ASNs == nil {
		return true
	}
	p := o.place
	return p.Continent != "" && slices.Contains(w.Continents, p.Continent) || p.Country != "" && slices.Contains(w.Countries, p.Country) ||
		p.Subdivision != "" && slices.Contains(w.Subdivisions, p.Country+"-"+p.Subdivision) || p.ASN != 0 && slices.Contains(w.ASNs, p.ASN)
}

func (o *oracle) isDrained(id edge.PoPID) bool {
	return len(o.s.Drains) < len(o.s.Fleet.PoPs) && slices.ContainsFunc(o.s.Drains, func(d edge.Drain) bool { return d.PoP == id })
}

// serving are the PoPs that can serve: all but the drained and those that are
// down, and the latter, too, when too few are left.
func (o *oracle) serving() []edge.PoPID {
	var left, up []edge.PoPID
	var all, well, allCapacity, wellCapacity float64
	everyCapacity := true
	for _, p := range o.s.Fleet.PoPs {
		if o.isDrained(p.ID) {
			continue
		}
		left = append(left, p.ID)
		all, allCapacity = all+1, allCapacity+p.Capacity
		everyCapacity = everyCapacity && p.Capacity > 0
		i := slices.IndexFunc(o.s.Health, func(h edge.Health) bool { return h.PoP == p.ID })
		share := 1.0
		if i >= 0 && o.s.Health[i].State == edge.Down {
			continue
		}
		if i >= 0 && o.s.Health[i].State == edge.Up && o.s.Health[i].Share > 0 {
			share = o.s.Health[i].Share
		}
		up = append(up, p.ID)
		well, wellCapacity = well+share, wellCapacity+share*p.Capacity
	}
	if everyCapacity {
		all, well = allCapacity, wellCapacity
	}
	if len(up) == 0 || well < o.s.Policy.HealthyFloor*all {
		return left
	}
	return up
}

// usable are the PoPs whose own address may be given.
func (o *oracle) usable() (ids []edge.PoPID) {
	serving := o.serving()
	for _, any := range []bool{false, true} {
		for _, p := range o.s.Fleet.PoPs {
			if len(p.Unicast) > 0 && (any || slices.Contains(serving, p.ID)) {
				ids = append(ids, p.ID)
			}
		}
		if ids != nil {
			break
		}
	}
	return ids
}

type oracleDistance struct {
	id       edge.PoPID
	kind     int // 0 measured, 1 km, 2 by name
	x        float64
	capacity float64
}

// nearest sorts PoPs by distance.
func (o *oracle) nearest(ids []edge.PoPID) []oracleDistance {
	var order *edge.Order
	o.cells(func(k edge.CellKey) bool {
		for i := range o.s.Orders {
			n := 0
			for _, l := range o.s.Orders[i].PoPs {
				if l.Samples >= 20 {
					n++
				}
			}
			if o.s.Orders[i].CellKey == k && n >= 2 {
				order = &o.s.Orders[i]
			}
		}
		return order != nil
	})
	var list []oracleDistance
	for _, id := range ids {
		p, _ := o.s.Fleet.PoP(id)
		d := oracleDistance{id, 2, 2, p.Capacity}
		switch km := edge.DistanceKm(o.place, p.Place); {
		case !math.IsInf(km, 1):
			d.kind, d.x = 1, km
		case o.place.Country != "" && o.place.Country == p.Place.Country:
			d.x = 0
		case o.place.Continent != "" && o.place.Continent == p.Place.Continent:
			d.x = 1
		}
		if order != nil {
			for _, l := range order.PoPs {
				if l.PoP == id && l.Samples >= 20 {
					d.kind, d.x = 0, l.RTT
				}
			}
		}
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b oracleDistance) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.x, b.x), cmp.Compare(b.capacity, a.capacity), cmp.Compare(a.id, b.id))
	})
	return list
}

func (o *oracle) cells(each func(edge.CellKey) bool) {
	if o.place.Country == "" {
		return
	}
	family := uint8(6)
	if o.client.Is4() {
		family = 4
	}
	for _, k := range []edge.CellKey{
		{Country: o.place.Country, Subdivision: o.place.Subdivision, ASN: o.place.ASN},
		{Country: o.place.Country, Subdivision: o.place.Subdivision},
		{Country: o.place.Country},
	} {
		for _, k.Family = range []uint8{family, 0} {
			if each(k) {
				return
			}
		}
	}
}

func (o *oracle) scheme(s edge.Scheme) string {
	switch s {
	case edge.Global:
		return o.anycast(s, "vip global")
	case edge.Regional:
		return o.regional()
	}
	return o.unicast()
}

func (o *oracle) region() *edge.Region {
	r, _ := o.s.Fleet.RegionOf(o.place)
	return r
}

func (o *oracle) alive(r *edge.Region) bool {
	return slices.ContainsFunc(o.serving(), func(id edge.PoPID) bool { return slices.Contains(r.PoPs, id) })
}

func (o *oracle) regional() string {
	r := o.region()
	if r != nil && o.alive(r) {
		return o.anycast(edge.Regional, "vip "+string(r.VIP))
	}
	if r == nil && slices.ContainsFunc(o.s.Fleet.VIPs, func(v edge.VIP) bool { return v.ID == "global" }) {
		return o.anycast(edge.Global, "vip global")
	}
	for _, d := range o.nearest(o.serving()) {
		for i := range o.s.Fleet.Regions { // by id already
			if slices.Contains(o.s.Fleet.Regions[i].PoPs, d.id) {
				return "vip " + string(o.s.Fleet.Regions[i].VIP)
			}
		}
	}
	if r == nil {
		r = &o.s.Fleet.Regions[0]
	}
	return "vip " + string(r.VIP)
}

func (o *oracle) shed(id edge.PoPID) (*edge.Shed, bool) {
	for i := range o.s.Sheds {
		if x := &o.s.Sheds[i]; x.PoP == id && math.Round(x.Share*10000) > 0 {
			return x, true
		}
	}
	return nil, false
}

func (o *oracle) anycast(s edge.Scheme, vip string) string {
	var reached edge.PoPID
	o.cells(func(k edge.CellKey) bool {
		share := -1.0
		for _, c := range o.s.Catchments {
			if c.CellKey == k && c.Scheme == s && c.Share > share {
				reached, share = c.PoP, c.Share
			}
		}
		return share >= 0
	})
	switch _, sheds := o.shed(reached); {
	case reached == "":
		return vip
	case o.isDrained(reached):
		if len(o.usable()) == 0 {
			return vip
		}
		return o.unicast()
	case sheds && slices.Contains(o.serving(), reached):
		return o.giveUp(reached, vip)
	}
	return vip
}

func (o *oracle) weight(id edge.PoPID) (w float64, any bool) {
	w = 1
	for _, x := range o.s.Weights {
		if x.Service == o.service.Name {
			any = true
			if x.PoP == id {
				w = x.Weight
			}
		}
	}
	return w, any
}

// choice are the PoPs that unicast chooses from: no standbys while others are.
func (o *oracle) choice() []oracleDistance {
	all := o.nearest(o.usable())
	var active []oracleDistance
	for _, d := range all {
		if w, _ := o.weight(d.id); w > 0 {
			active = append(active, d)
		}
	}
	if active == nil {
		return all
	}
	return active
}

func (o *oracle) unicast() string {
	all := o.choice()
	best := all[0]
	w, weighted := o.weight(best.id)
	if !weighted || w == 0 {
		return o.giveUp(best.id, string(best.id))
	}
	var equal []oracleDistance
	for _, d := range all {
		tolerance := 0.0
		switch d.kind {
		case 0:
			tolerance = max(5, best.x/10)
		case 1:
			tolerance = max(500, best.x/10)
		}
		if d.kind == best.kind && d.x <= best.x+tolerance {
			equal = append(equal, d)
		}
	}
	slices.SortFunc(equal, func(a, b oracleDistance) int {
		return cmp.Or(cmp.Compare(b.capacity, a.capacity), cmp.Compare(a.id, b.id))
	})
	for i, d := range equal {
		sum := 0.0
		for _, e := range equal[i:] {
			w, _ := o.weight(e.id)
			sum += w
		}
		w, _ := o.weight(d.id)
		if i == len(equal)-1 || o.below("weight", o.service.Name+"\x00"+string(d.id), edge.Granule{}, w/sum) {
			best = d
			break
		}
	}
	return o.giveUp(best.id, string(best.id))
}

func (o *oracle) giveUp(id edge.PoPID, stay string) string {
	x, sheds := o.shed(id)
	if !sheds {
		return stay
	}
	for _, d := range o.choice() {
		if _, sheds := o.shed(d.id); d.id != id && !sheds {
			if o.below("shed", string(id), x.Granule, x.Share) {
				return string(d.id)
			}
			return stay
		}
	}
	return stay
}

// The compiled plan, the explanation and the oracle agree, for random worlds
// and clients.
func TestOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	answers, outcomes := 0, map[string]int{}
	for world := range 300 {
		s, places := randomWorld(rng)
		p := compile(t, s, places)
		for range 200 {
			service := p.services[rng.IntN(len(p.services))]
			client := randomAddr(rng, rng.IntN(2))
			var resolver netip.Addr
			if rng.IntN(2) == 0 {
				resolver = randomAddr(rng, rng.IntN(2))
			}
			o := oracle{s: s, places: places, client: client, resolver: resolver}
			o.service = &s.Fleet.Services[slices.IndexFunc(s.Fleet.Services, func(x edge.Service) bool { return x.Name == service.name })]
			want := o.decide()
			n, _ := service.LookupVia(resolver, client)
			if got := service.answers[n].name(); got != want {
				t.Fatalf("world %d: %v by %v gets %s, want %s\n%v", world, client, resolver, got, want, service.Explain(client, resolver))
			}
			if !resolver.IsValid() {
				if m, _ := service.Lookup(client); m != n {
					t.Fatalf("world %d: %v gets %d without a resolver, %d with an invalid one", world, client, m, n)
				}
			}
			if answers%8 == 0 {
				x := service.Explain(client, resolver)
				if x.Index != n || x.Answer.name() != want {
					t.Fatalf("world %d: %v by %v is explained as %s, want %s\n%v", world, client, resolver, x.Answer.name(), want, x)
				}
			}
			answers++
			outcomes[want]++
		}
	}
	if len(outcomes) < 10 {
		t.Errorf("the worlds are too alike: %v", outcomes)
	}
}
