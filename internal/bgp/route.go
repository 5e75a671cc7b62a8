package bgp

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"catchment/internal/edge"
)

// Route is a prefix to announce, how, and to whom. For a VIP that two
// neighbors hear, the second one with our ASN three times in the path:
//
//	Route{Prefix: vip, To: map[netip.Addr]Options{x: {}, y: {Prepend: 2}}}
type Route struct {
	Prefix  netip.Prefix
	NextHop netip.Addr // zero: the neighbor's configured one, else our end of the session
	Options            // for every neighbor

	// To holds the neighbors that hear the route, and what is different for
	// each: prepending and communities are in addition to the route's own.
	To map[netip.Addr]Options
}

// Options are what a route says beside its prefix.
type Options struct {
	Prepend          int // how often our ASN stands in the path beyond once: 0 to 10
	Communities      []edge.Community
	MED              *uint32 // nil: none
	GracefulShutdown bool    // 65535:0 (RFC 8326): prefer any other route
}

// Announcement is a route as one neighbor is to hear it, or was told it.
type Announcement struct {
	Prefix      netip.Prefix
	NextHop     netip.Addr // wanted: zero is our end of the session
	Prepend     int
	Communities []edge.Community // sorted
	MED         *uint32
}

// GracefulShutdown reports whether the announcement asks for any other route
// to be preferred.
func (a Announcement) GracefulShutdown() bool {
	return slices.Contains(a.Communities, edge.GracefulShutdown)
}

func (a Announcement) equal(b Announcement) bool {
	return a.NextHop == b.NextHop && a.said(b)
}

// said reports whether b is how a looks on the wire. What next hop our end of
// the session is, only the wire knows.
func (a Announcement) said(b Announcement) bool {
	sameMED := a.MED == nil && b.MED == nil || a.MED != nil && b.MED != nil && *a.MED == *b.MED
	return a.Prefix == b.Prefix && a.Prepend == b.Prepend && sameMED && slices.Equal(a.Communities, b.Communities) &&
		(!a.NextHop.IsValid() || !b.NextHop.IsValid() || a.NextHop == b.NextHop)
}

// resolve checks routes as a whole and returns what each neighbor is to hear.
func resolve(cfg *Config, routes []Route) (map[netip.Addr]map[netip.Prefix]Announcement, error) {
	wanted := make(map[netip.Addr]map[netip.Prefix]Announcement, len(cfg.Neighbors))
	for i := range cfg.Neighbors {
		wanted[cfg.Neighbors[i].Address] = map[netip.Prefix]Announcement{}
	}
	seen := map[netip.Prefix]bool{}
	for _, r := range routes {
		if err := checkRoute(cfg, &r); err != nil {
			return nil, fmt.Errorf("bgp: route %v: %w", r.Prefix, err)
		}
		if seen[r.Prefix] {
			return nil, fmt.Errorf("bgp: route %v: stands twice", r.Prefix)
		}
		seen[r.Prefix] = true
		for _, addr := range slices.SortedFunc(maps.Keys(r.To), netip.Addr.Compare) {
			i := slices.IndexFunc(cfg.Neighbors, func(n Neighbor) bool { return n.Address == addr })
			if i < 0 {
				return nil, fmt.Errorf("bgp: route %v: there is no neighbor %v", r.Prefix, addr)
			}
			a, err := r.resolve(&cfg.Neighbors[i])
			if err != nil {
				return nil, fmt.Errorf("bgp: route %v to %v: %w", r.Prefix, addr, err)
			}
			wanted[addr][r.Prefix] = a
		}
	}
	return wanted, nil
}

func checkRoute(cfg *Config, r *Route) error {
	switch {
	case !r.Prefix.IsValid():
		return errors.New("is no prefix")
	case r.Prefix.Bits() == 0:
		return errors.New("is the default route, which is never announced")
	case len(r.To) == 0:
		return errors.New("names no neighbor that hears it: leave the route out if none should")
	case r.NextHop.IsValid() && r.NextHop.Is4() != r.Prefix.Addr().Is4():
		return fmt.Errorf("next hop %v is of the other address family", r.NextHop)
	case !slices.Contains(cfg.Prefixes, r.Prefix):
		for _, own := range cfg.Prefixes {
			if own.Overlaps(r.Prefix) {
				return fmt.Errorf("is not ours to announce, although %v is: only exact prefixes are", own)
			}
		}
		return errors.New("is not ours to announce")
	}
	return nil
}

func (r *Route) resolve(n *Neighbor) (Announcement, error) {
	to := r.To[n.Address]
	a := Announcement{Prefix: r.Prefix, NextHop: r.NextHop, Prepend: r.Prepend + to.Prepend, MED: r.MED}
	if r.Prepend < 0 || to.Prepend < 0 || a.Prepend > maxPrepend {
		return a, fmt.Errorf("prepended %d times, want 0 to %d", a.Prepend, maxPrepend)
	}
	if to.MED != nil {
		a.MED = to.MED
	}
	if a.MED != nil { // the caller keeps its own
		a.MED = new(*a.MED)
	}
	if !a.NextHop.IsValid() {
		a.NextHop = n.NextHop4
		if r.Prefix.Addr().Is6() {
			a.NextHop = n.NextHop6
		}
	}
	if !n.carries(r.Prefix) {
		return a, errors.New("the session does not carry this address family: its next hop is not configured")
	}
	a.Communities = slices.Concat(r.Communities, to.Communities)
	if r.GracefulShutdown || to.GracefulShutdown {
		a.Communities = append(a.Communities, edge.GracefulShutdown)
	}
	slices.SortFunc(a.Communities, edge.Community.Compare)
	a.Communities = slices.Compact(a.Communities)
	for _, c := range a.Communities {
		if c == edge.Blackhole {
			return a, fmt.Errorf("community %v asks for the users' packets to be dropped", c)
		}
		if !c.Large && (c.Parts[0] > 65535 || c.Parts[1] > 65535 || c.Parts[2] != 0) {
			return a, fmt.Errorf("community %v is out of range", c)
		}
	}
	return a, nil
}
