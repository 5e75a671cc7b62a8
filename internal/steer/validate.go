package steer

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"catchment/internal/edge"
)

// globalVIP is the id of the VIP that the scheme global hands out.
const globalVIP = edge.VIPID("global")

const (
	maxRamps     = 100  // bounds how many hashes one look-up may come to
	maxPoPs      = 4096 // and regions, far from what their numbers can hold
	maxAddresses = 64   // of a PoP or VIP
)

// problems collects what is wrong with a snapshot.
type problems []error

func (p *problems) add(format string, args ...any) {
	*p = append(*p, fmt.Errorf("steer: "+format, args...))
}

// validate finds what a snapshot must not say, so that nothing of it is
// applied. What beacons measured and PoPs report is not judged here: of PoPs
// that are no longer in the fleet it is passed over.
func validate(s *edge.Snapshot) error {
	var p problems
	if s == nil || s.Fleet == nil || len(s.Fleet.PoPs) == 0 {
		return errors.New("steer: fleet: want a fleet with at least one PoP")
	}
	p.fleet(s.Fleet)
	if x := s.Policy.HealthyFloor; !(x >= 0 && x <= 1) {
		p.add("policy.healthy_floor: %v is not in 0 to 1", x)
	}
	if s.Policy.MinTTL < 0 || s.Policy.Settle < 0 || s.Policy.MinSamples < 0 {
		p.add("policy: min_ttl, settle and min_samples must not be negative")
	}
	drained, shed := map[edge.PoPID]bool{}, map[edge.PoPID]bool{}
	for i, d := range s.Drains {
		p.pop(s.Fleet, d.PoP, "drains[%d].pop", i)
		once(&p, drained, d.PoP, "drains[%d].pop", i)
	}
	for i, d := range s.Sheds {
		p.pop(s.Fleet, d.PoP, "sheds[%d].pop", i)
		once(&p, shed, d.PoP, "sheds[%d].pop", i)
		p.share(d.Share, "sheds[%d].share", i)
		p.granule(d.Granule, "sheds[%d].granule", i)
	}
	p.ramps(s)
	p.pins(s)
	for i, w := range s.Weights {
		p.service(s.Fleet, w.Service, "weights[%d].service", i)
		p.pop(s.Fleet, w.PoP, "weights[%d].pop", i)
		if !(w.Weight >= 0 && w.Weight <= 1000) {
			p.add("weights[%d].weight: %v is not in 0 to 1000", i, w.Weight)
		}
	}
	return errors.Join(p...)
}

// fleet checks what answers are made of; package fleet has checked the rest.
func (p *problems) fleet(f *edge.Fleet) {
	if len(f.PoPs) > maxPoPs || len(f.Regions) > maxPoPs {
		p.add("fleet: more than %d PoPs or regions", maxPoPs)
	}
	seen := map[edge.PoPID]bool{}
	for i := range f.PoPs {
		once(p, seen, f.PoPs[i].ID, "fleet.pops[%d].id", i)
		p.addresses(f.PoPs[i].Unicast, "fleet.pops[%d].unicast", i)
	}
	for i := range f.VIPs {
		p.addresses(f.VIPs[i].Addresses, "fleet.vips[%d].addresses", i)
	}
	for i := range f.Regions {
		r := &f.Regions[i]
		if vipOf(f, r.VIP) == nil {
			p.add("fleet.regions[%d].vip: there is no VIP %q", i, r.VIP)
		}
		for _, id := range r.PoPs {
			p.pop(f, id, "fleet.regions[%d].pops", i)
		}
	}
	names := map[string]bool{}
	for i := range f.Services {
		once(p, names, f.Services[i].Name, "fleet.services[%d].name", i)
		p.scheme(f, f.Services[i].Scheme, "fleet.services[%d].scheme", i)
	}
}

func (p *problems) addresses(all []netip.Addr, format string, i int) {
	if len(all) > maxAddresses {
		p.add(format+": %d are more than %d", i, len(all), maxAddresses)
	}
	for _, a := range all {
		if !a.IsValid() || a.Is4In6() || a.Zone() != "" {
			p.add(format+": %q is not an address that DNS can carry", i, a)
		}
	}
}

func (p *problems) ramps(s *edge.Snapshot) {
	if len(s.Ramps) > maxRamps {
		p.add("ramps: %d are more than %d", len(s.Ramps), maxRamps)
	}
	ids, salts := map[string]bool{}, map[[2]string]bool{}
	for i, r := range s.Ramps {
		once(p, ids, r.ID, "ramps[%d].id", i)
		if r.Salt == "" {
			p.add("ramps[%d].salt: is missing", i)
		}
		if salt := [2]string{r.Service, r.Salt}; r.Salt != "" && salts[salt] {
			p.add("ramps[%d].salt: %q is another ramp's of this service: both would draw the same clients", i, r.Salt)
		} else {
			salts[salt] = true
		}
		p.service(s.Fleet, r.Service, "ramps[%d].service", i)
		p.scheme(s.Fleet, r.Scheme, "ramps[%d].scheme", i)
		p.share(r.Share, "ramps[%d].share", i)
		p.granule(r.Granule, "ramps[%d].granule", i)
	}
}

func (p *problems) pins(s *edge.Snapshot) {
	for i, pin := range s.Pins {
		n := 0
		for _, x := range []netip.Prefix{pin.Client, pin.Resolver} {
			if x == (netip.Prefix{}) {
				continue
			}
			n++
			if !x.IsValid() || x != x.Masked() || x.Addr().Is4In6() {
				p.add("pins[%d]: %v is not a prefix without host bits", i, x)
			}
		}
		if pin.ASN != 0 {
			n++
		}
		if n != 1 {
			p.add("pins[%d]: want exactly one of client, asn and resolver", i)
		}
		switch {
		case (pin.PoP == "") == (pin.Scheme == ""):
			p.add("pins[%d]: want exactly one of scheme and pop", i)
		case pin.Scheme != "":
			p.scheme(s.Fleet, pin.Scheme, "pins[%d].scheme", i)
		default:
			p.pop(s.Fleet, pin.PoP, "pins[%d].pop", i)
			if pop, ok := s.Fleet.PoP(pin.PoP); ok && len(pop.Unicast) == 0 {
				p.add("pins[%d].pop: %s has no address of its own", i, pin.PoP)
			}
		}
		if pin.Service != "" {
			p.service(s.Fleet, pin.Service, "pins[%d].service", i)
		}
	}
}

func (p *problems) pop(f *edge.Fleet, id edge.PoPID, format string, i int) {
	if _, ok := f.PoP(id); !ok {
		p.add(format+": there is no PoP %q", i, id)
	}
}

func once[K ~string](p *problems, seen map[K]bool, id K, format string, i int) {
	if seen[id] {
		p.add(format+": %q is taken", i, id)
	}
	seen[id] = true
}

func (p *problems) service(f *edge.Fleet, name, format string, i int) {
	if !slices.ContainsFunc(f.Services, func(s edge.Service) bool { return s.Name == name }) {
		p.add(format+": there is no service %q", i, name)
	}
}

// scheme checks that s can answer at all.
func (p *problems) scheme(f *edge.Fleet, s edge.Scheme, format string, i int) {
	switch s {
	case edge.Unicast:
		if !slices.ContainsFunc(f.PoPs, func(p edge.PoP) bool { return len(p.Unicast) > 0 }) {
			p.add(format+": unicast needs PoPs with addresses of their own", i)
		}
	case edge.Global:
		if vipOf(f, globalVIP) == nil {
			p.add(format+": global needs a VIP of that id", i)
		}
	case edge.Regional:
		if len(f.Regions) == 0 {
			p.add(format+": regional needs regions", i)
		}
	default:
		p.add(format+": there is no scheme %q", i, s)
	}
}

func (p *problems) share(x float64, format string, i int) {
	if !(x >= 0 && x <= 1) {
		p.add(format+": %v is not in 0 to 1", i, x)
	}
}

func (p *problems) granule(g edge.Granule, format string, i int) {
	if g.V4 != 0 && (g.V4 < 20 || g.V4 > 24) || g.V6 != 0 && (g.V6 < 40 || g.V6 > 48) {
		p.add(format+": want 20 to 24 bits of IPv4 and 40 to 48 of IPv6", i)
	}
}
