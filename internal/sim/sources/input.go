package sources

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"catchment/internal/sim/topology"
)

// Input joins all that was read into what topology.Build takes. Notes are what
// an operator should know about it, one sentence each. Without any links there
// is an error. It changes the order of what the set holds: call it once, after
// all is read. The same files, in the same order, give the same result.
func (s *Set) Input() (in topology.Input, notes []string, err error) {
	if len(s.links) == 0 {
		return in, nil, errors.New("sources: no AS relationships were read")
	}
	say := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	in = topology.Input{Cities: s.cities, Names: map[uint32]string{}, Sources: s.sources}

	var disagreed int
	if in.Links, disagreed = s.joinLinks(); disagreed > 0 {
		say("%d links are given with different relations: a provider beats a peering, else the first line holds", disagreed)
	}
	linked := map[uint32]bool{}
	for _, l := range in.Links {
		linked[l.A], linked[l.B] = true, true
	}

	p, err := s.locateNetworks()
	if err != nil {
		return in, nil, err
	}
	switch {
	case s.addressed != s.located:
		say("prefixes say where networks are only together with cities: give both")
	case s.addressed && len(p.sites) == 0:
		say("no prefix is in a city: the files do not fit together")
	case p.nowhere > 0:
		say("%.1f %% of the announced IPv4 addresses are in no known place", 100*p.nowhere/(p.nowhere+p.addresses))
	}
	if s.counted {
		in.Presence = s.countUsers(&p, linked, say)
	} else {
		in.Presence = countAddresses(&p, linked, say)
	}
	meetings, unplaced := s.meetings()
	in.Presence = append(in.Presence, meetings...)
	if unplaced > 0 {
		say("%d facilities and exchanges of PeeringDB are in no known place", unplaced)
	}
	if len(in.Presence) == 0 {
		say("nothing says where networks are: all are put into %s", s.cities[0].Name)
	} else if absent := s.absent(in.Presence, linked); absent > 0 {
		say("%d of %d networks are in no file of places: they are put where their customers, providers or peers are", absent, len(linked))
	}
	in.Siblings = s.siblings()
	for asn := range linked {
		if n, ok := s.names[asn]; ok {
			in.Names[asn] = n.text
		}
	}
	return in, notes, nil
}

// countAddresses puts networks where their addresses are, with a user for
// every IPv4 address.
func countAddresses(p *presence, linked map[uint32]bool, say func(string, ...any)) []topology.Presence {
	var out []topology.Presence
	unlinked, users := 0, 0.0
	for _, asn := range slices.Sorted(maps.Keys(p.sites)) {
		if !linked[asn] {
			unlinked++
			continue
		}
		for _, at := range p.sites[asn].sites {
			n := at.weight
			if !p.sites[asn].v4 {
				n = 0
			}
			users += n
			out = append(out, topology.Presence{ASN: asn, Metro: at.metro, Users: n})
		}
	}
	if unlinked > 0 {
		say("%d networks announce prefixes and have no link: they are left out", unlinked)
	}
	if users > 0 {
		say("users are counted as IPv4 addresses, which is a poor stand-in: give APNIC's users if you may")
	}
	return out
}

// countUsers puts networks where their addresses are, and their users of every
// economy where their addresses of that country are, in proportion: without
// any, in the country's largest metro; and without one, where the rest of the
// network is.
func (s *Set) countUsers(p *presence, linked map[uint32]bool, say func(string, ...any)) []topology.Presence {
	var out []topology.Presence
	for _, asn := range slices.Sorted(maps.Keys(p.sites)) {
		if linked[asn] {
			for _, at := range p.sites[asn].sites {
				out = append(out, topology.Presence{ASN: asn, Metro: at.metro})
			}
		}
	}
	slices.SortFunc(s.users, func(a, b economy) int {
		return cmp.Or(cmp.Compare(a.asn, b.asn), slices.Compare(a.country[:], b.country[:]), cmp.Compare(a.users, b.users))
	})
	var total, unlinked, nowhere float64
	for _, e := range s.users {
		total += e.users
		if !linked[e.asn] {
			unlinked += e.users
			continue
		}
		sites := slices.DeleteFunc(slices.Clone(p.sites[e.asn].sites), func(at site) bool { return at.country != e.country })
		if len(sites) == 0 {
			if m := s.capital(e.country); m != topology.None {
				sites = []site{{place{m, e.country}, 1}}
			} else {
				sites = slices.Clone(p.sites[e.asn].sites)
			}
		}
		if len(sites) == 0 {
			nowhere += e.users
			continue
		}
		scale(sites, 1)
		for _, at := range sites {
			out = append(out, topology.Presence{ASN: e.asn, Metro: at.metro, Users: min(at.weight*e.users, maxUsers)})
		}
	}
	if unlinked > 0 {
		say("%.2f %% of the users are of networks without a link: they are left out", 100*unlinked/total)
	}
	if nowhere > 0 {
		say("%.2f %% of the users are in no known place: they are left out", 100*nowhere/total)
	}
	return out
}

// absent counts the linked networks that are nowhere.
func (s *Set) absent(all []topology.Presence, linked map[uint32]bool) int {
	present := map[uint32]bool{}
	for _, p := range all {
		if linked[p.ASN] {
			present[p.ASN] = true
		}
	}
	return len(linked) - len(present)
}
