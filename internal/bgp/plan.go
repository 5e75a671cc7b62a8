package bgp

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"catchment/internal/edge"
)

// Want is how a VIP is to be announced, beyond what the fleet file says.
type Want struct {
	GracefulShutdown bool // ask for any other PoP (RFC 8326)
	Prepend          int  // in addition to each neighbor's
	Communities      []edge.Community
	More             map[string]int // prepended in addition, by the neighbor's address
}

// Plan is what a PoP announces, how, and to whom: routes for Speaker.Set.
type Plan struct {
	PoP    edge.PoPID
	Routes []Route

	// Notes tell what the fleet file asks for and the routes do not do.
	Notes []string

	pop    *edge.PoP
	labels map[netip.Prefix]string
	silent []string // what is not announced, and why
}

// Configure returns the speaker that pop has in the fleet file, with all the
// prefixes that it may announce: its own and those of its VIPs.
func Configure(f *edge.Fleet, id edge.PoPID) (Config, error) {
	p, err := speaking(f, id)
	if err != nil {
		return Config{}, err
	}
	c := Config{ASN: p.BGP.ASN, RouterID: p.BGP.RouterID, Prefixes: slices.Clone(p.UnicastPrefixes)}
	for _, v := range f.VIPsOf(id) {
		c.Prefixes = append(c.Prefixes, v.Prefixes...)
	}
	for _, n := range p.BGP.Neighbors {
		c.Neighbors = append(c.Neighbors, Neighbor{Address: n.Address, ASN: n.ASN, PasswordFile: n.PasswordFile, TTLSecurity: n.TTLSecurity})
	}
	return c, nil
}

func speaking(f *edge.Fleet, id edge.PoPID) (*edge.PoP, error) {
	p, ok := f.PoP(id)
	if !ok {
		return nil, fmt.Errorf("bgp: there is no PoP %s", id)
	}
	if p.BGP == nil {
		return nil, fmt.Errorf("bgp: %s has no bgp in the fleet file", id)
	}
	return p, nil
}

// NewPlan returns what the PoP announces when the VIPs in up are wanted: its
// own unicast prefixes to every neighbor, always and as they are; a VIP's
// prefixes, while it is wanted, to the neighbors that hear it. A session
// carries the prefixes of its own address family.
func NewPlan(f *edge.Fleet, id edge.PoPID, up map[edge.VIPID]Want) (Plan, error) {
	p, err := speaking(f, id)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{PoP: id, pop: p, labels: map[netip.Prefix]string{}}
	for _, prefix := range p.UnicastPrefixes {
		to := map[netip.Addr]Options{}
		for _, n := range p.BGP.Neighbors {
			to[n.Address] = Options{}
		}
		plan.add(prefix, "unicast", Options{}, to)
	}
	vips := f.VIPsOf(id)
	for v := range up {
		if !slices.ContainsFunc(vips, func(w edge.VIP) bool { return w.ID == v }) {
			return Plan{}, fmt.Errorf("bgp: %s does not announce VIP %s", id, v)
		}
	}
	for _, v := range vips {
		want, wanted := up[v.ID]
		to := map[netip.Addr]Options{}
		for _, n := range p.BGP.Neighbors {
			if n.VIPs == nil || slices.Contains(n.VIPs, v.ID) {
				own := n.Prepend + want.More[n.Address.String()]
				to[n.Address] = Options{Prepend: min(own, maxPrepend-min(want.Prepend, maxPrepend)), Communities: n.Communities}
			}
		}
		for _, prefix := range v.Prefixes {
			if wanted {
				plan.add(prefix, "VIP "+string(v.ID), Options{Prepend: want.Prepend, GracefulShutdown: want.GracefulShutdown, Communities: want.Communities}, to)
			} else {
				plan.silent = append(plan.silent, fmt.Sprintf("%v (VIP %s): not wanted", prefix, v.ID))
			}
		}
	}
	for _, n := range p.BGP.Neighbors {
		if len(n.Communities) == 0 && (len(n.NoExportTo) > 0 || n.Scope != nil) {
			plan.Notes = append(plan.Notes, fmt.Sprintf("%v has no_export_to or scope, but no communities that tell it so: it is told nothing", n.Address))
		}
	}
	return plan, nil
}

func (p *Plan) add(prefix netip.Prefix, label string, options Options, to map[netip.Addr]Options) {
	r := Route{Prefix: prefix, Options: options, To: map[netip.Addr]Options{}}
	for a, o := range to {
		if a.Is4() == prefix.Addr().Is4() {
			r.To[a] = o
		}
	}
	p.labels[prefix] = label
	if len(r.To) == 0 {
		why := "no session of its address family"
		if len(to) == 0 {
			why = "no neighbor hears it"
		}
		p.silent = append(p.silent, fmt.Sprintf("%v (%s): %s", prefix, label, why))
		return
	}
	p.Routes = append(p.Routes, r)
}

// Text says what would be announced to whom, a line each.
func (p Plan) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, AS %d, announces\n", p.PoP, p.pop.BGP.ASN)
	for _, r := range p.Routes {
		fmt.Fprintf(&b, "  %v (%s)\n", r.Prefix, p.labels[r.Prefix])
		for _, n := range p.pop.BGP.Neighbors {
			o, ok := r.To[n.Address]
			if !ok {
				continue
			}
			fmt.Fprintf(&b, "    to %v, AS %d, %s", n.Address, n.ASN, n.Relation)
			if times := r.Prepend + o.Prepend; times > 0 {
				fmt.Fprintf(&b, ", prepended %d×", times)
			}
			for _, c := range o.Communities {
				fmt.Fprintf(&b, ", %v", c)
			}
			if r.GracefulShutdown || o.GracefulShutdown {
				b.WriteString(", graceful shutdown")
			}
			b.WriteByte('\n')
		}
	}
	if len(p.Routes) == 0 {
		b.WriteString("  nothing\n")
	}
	for _, s := range p.silent {
		fmt.Fprintf(&b, "not announced: %s\n", s)
	}
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	return b.String()
}
