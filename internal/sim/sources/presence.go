package sources

import (
	"cmp"
	"fmt"
	"slices"

	"catchment/internal/sim/topology"
)

// minAddresses is how many IPv4 addresses, of a town's metro and country, put
// an AS there: a /24. Less is more often an error of geolocation than a site.
const minAddresses = 256

// weight is how many addresses an AS has in a place.
type weight struct {
	asn, place uint32
	v4         uint64 // addresses
	v6         uint64 // /48s, counted up
}

// site is a place of an AS with its weight among them.
type site struct {
	place
	weight float64
}

// located are the places of an AS. Its weights add up to its IPv4 addresses, or
// mean their proportion only if it has none.
type located struct {
	sites []site
	v4    bool
}

// presence is where ASes are, by the addresses that they announce.
type presence struct {
	sites     map[uint32]located // by AS number
	addresses float64            // IPv4, announced and in a place
	nowhere   float64            // IPv4, announced and in none
}

// weigh joins who announces addresses with where they are.
func (s *Set) weigh() ([]weight, float64, error) {
	index := map[uint64]int{}
	var all []weight
	announced := uint64(0)
	full := false
	for family := range s.prefixes {
		prefixes, locations := s.prefixes[family].disjoint(), s.locations[family].disjoint()
		if family == v4 {
			for _, p := range prefixes {
				announced += p.last - p.first + 1
			}
		}
		overlap(prefixes, locations, func(asn, place uint32, first, last uint64) {
			key := uint64(asn)<<32 | uint64(place)
			i, ok := index[key]
			if !ok {
				if len(all) >= topology.MaxGroups {
					full = true
					return
				}
				i = len(all)
				index[key] = i
				all = append(all, weight{asn: asn, place: place})
			}
			if family == v4 {
				all[i].v4 += last - first + 1
			} else {
				all[i].v6 += (last-first)>>16 + 1
			}
		})
	}
	if full {
		return nil, 0, fmt.Errorf("sources: too many networks in places (want at most %d)", topology.MaxGroups)
	}
	slices.SortFunc(all, func(a, b weight) int { return cmp.Or(cmp.Compare(a.asn, b.asn), cmp.Compare(a.place, b.place)) })
	return all, float64(announced), nil
}

// locateNetworks returns the places of every AS. An AS is where it has a /24 of
// IPv4 addresses; one that has no IPv4 addresses is where it has IPv6 ones; and
// if that is nowhere it is where it has most. Addresses of no town are taken to
// be where the others of the AS in that country are, else in the country's
// largest metro. What is left out counts for the rest.
func (s *Set) locateNetworks() (presence, error) {
	all, announced, err := s.weigh()
	if err != nil {
		return presence{}, err
	}
	p := presence{sites: map[uint32]located{}}
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].asn == all[0].asn {
			n++
		}
		if sites, sum := s.sitesOf(all[:n]); len(sites) > 0 {
			p.sites[all[0].asn] = located{sites, sum > 0}
			p.addresses += sum
		}
		all = all[n:]
	}
	p.nowhere = announced - p.addresses
	return p, nil
}

// sitesOf returns the places of one AS, and how many IPv4 addresses they share.
func (s *Set) sitesOf(all []weight) (sites []site, addresses float64) {
	count, least := func(w *weight) uint64 { return w.v4 }, uint64(minAddresses)
	if !slices.ContainsFunc(all, func(w weight) bool { return w.v4 > 0 }) {
		count, least = func(w *weight) uint64 { return w.v6 }, 1
	}
	// Towns first, in the order of their weight, as they say where the rest is.
	slices.SortStableFunc(all, func(a, b weight) int { return cmp.Compare(count(&b), count(&a)) })
	sum := uint64(0)
	for i := range all {
		w := &all[i]
		at := s.places.all[w.place]
		n := count(w)
		if at.metro == topology.None || n == 0 || n < least && len(sites) > 0 {
			continue
		}
		sites = append(sites, site{at, float64(n)})
	}
	towns := len(sites)
	for i := range all {
		w := &all[i]
		at := s.places.all[w.place]
		sum += w.v4
		if at.metro != topology.None || count(w) == 0 {
			continue
		}
		if !spread(sites[:towns], at.country, float64(count(w))) && (count(w) >= least || len(sites) == 0) {
			if at.metro = s.capital(at.country); at.metro == topology.None {
				sum -= w.v4
				continue
			}
			sites = append(sites, site{at, float64(count(w))})
		}
	}
	slices.SortFunc(sites, func(a, b site) int {
		return cmp.Or(cmp.Compare(a.metro, b.metro), slices.Compare(a.country[:], b.country[:]))
	})
	scale(sites, float64(sum))
	return sites, float64(sum)
}

// spread adds a weight to the sites in a country, in proportion.
func spread(sites []site, c country, weight float64) bool {
	total := 0.0
	for i := range sites {
		if sites[i].country == c {
			total += sites[i].weight
		}
	}
	for i := range sites {
		if sites[i].country == c {
			sites[i].weight += weight * sites[i].weight / total
		}
	}
	return total > 0
}

// scale makes the weights of sites add up to sum, or leaves them as they are if
// sum is 0.
func scale(sites []site, sum float64) {
	total := 0.0
	for i := range sites {
		total += sites[i].weight
	}
	for i := range sites {
		if sum > 0 && total > 0 {
			sites[i].weight *= sum / total
		}
	}
}

// capital returns the most populous metro of a country, or topology.None.
func (s *Set) capital(c country) topology.Metro {
	best := topology.Metro(topology.None)
	for i := range s.cities {
		if s.cities[i].Place.Country == c.String() && (best == topology.None || s.cities[i].Population > s.cities[best].Population) {
			best = topology.Metro(i)
		}
	}
	return best
}
