package topology

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// check returns what a topology has that Build would not have made.
func (t *Topology) check() error {
	n := t.Len()
	switch {
	case n > MaxASes:
		return fmt.Errorf("%d ASes (want at most %d)", n, MaxASes)
	case len(t.Cities) > MaxMetros:
		return fmt.Errorf("%d cities (want at most %d)", len(t.Cities), MaxMetros)
	case len(t.Names) != n || len(t.Footprint) != n:
		return fmt.Errorf("%d names and %d footprints of %d ASes", len(t.Names), len(t.Footprint), n)
	case len(t.Groups) > MaxGroups:
		return fmt.Errorf("%d groups (want at most %d)", len(t.Groups), MaxGroups)
	}
	if err := t.checkLinks(); err != nil {
		return err
	}
	for a := range t.Footprint {
		if !utf8.ValidString(t.Names[a]) {
			return fmt.Errorf("AS%d: the name %q is not UTF-8", t.ASNs[a], t.Names[a])
		}
		if err := t.checkFootprint(AS(a)); err != nil {
			return err
		}
	}
	return t.checkValues()
}

// checkLinks finds rows that are none or do not ascend, and links that are not
// the same from both ends.
func (t *Topology) checkLinks() error {
	for _, l := range []struct {
		name  string
		links *Links
	}{{"providers", &t.Providers}, {"customers", &t.Customers}, {"peers", &t.Peers}} {
		if err := t.checkRows(l.links); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	if err := t.checkMirror(&t.Customers, &t.Providers); err != nil {
		return fmt.Errorf("customers and providers: %w", err)
	}
	if err := t.checkMirror(&t.Peers, &t.Peers); err != nil {
		return fmt.Errorf("peers: %w", err)
	}
	return nil
}

// checkValues is the part of check that Decode has not done while reading.
func (t *Topology) checkValues() error {
	switch {
	case len(t.Cities) == 0:
		return errors.New("no cities")
	case t.Len() == 0:
		return errors.New("no ASes")
	case len(t.Customers.To)+len(t.Peers.To)/2 > MaxLinks:
		return fmt.Errorf("%d transit and %d peering links (want at most %d)", len(t.Customers.To), len(t.Peers.To)/2, MaxLinks)
	}
	for i := range t.Cities {
		if err := t.Cities[i].check(); err != nil {
			return fmt.Errorf("city %d (%q): %w", i, t.Cities[i].Name, err)
		}
	}
	for i, s := range t.Sources {
		if !utf8.ValidString(s) {
			return fmt.Errorf("source %d: %q is not UTF-8", i, s)
		}
	}
	for a, asn := range t.ASNs {
		if a > 0 && asn <= t.ASNs[a-1] {
			return fmt.Errorf("AS%d follows AS%d (want ascending)", asn, t.ASNs[a-1])
		}
	}
	if err := t.checkRelations(); err != nil {
		return err
	}
	return t.checkGroups()
}

func (c *City) check() error {
	for _, s := range []string{c.Name, c.Place.Continent, c.Place.Country, c.Place.Subdivision, c.Place.City} {
		if !utf8.ValidString(s) {
			return fmt.Errorf("%q is not UTF-8", s)
		}
	}
	switch p := &c.Place; {
	case !(p.Lat >= -90 && p.Lat <= 90 && p.Lon >= -180 && p.Lon <= 180):
		return fmt.Errorf("%v, %v is not on the globe (want latitudes of -90 to 90 and longitudes of -180 to 180)", p.Lat, p.Lon)
	case p.ASN != 0 || p.ASName != "":
		return errors.New("a city has no AS")
	case c.Population < 0:
		return fmt.Errorf("%d people", c.Population)
	}
	return nil
}

// checkRelations finds ASes without a link, or with two to one other.
func (t *Topology) checkRelations() error {
	for a := range AS(t.Len()) {
		customers, providers, peers := t.Customers.Of(a), t.Providers.Of(a), t.Peers.Of(a)
		if len(customers)+len(providers)+len(peers) == 0 {
			return fmt.Errorf("AS%d has no link", t.ASNs[a])
		}
		// Two relations are one with a provider and another, from one end.
		for _, p := range providers {
			_, customer := slices.BinarySearch(customers, p)
			_, peer := slices.BinarySearch(peers, p)
			switch {
			case p == a:
				return fmt.Errorf("AS%d is linked to itself", t.ASNs[a])
			case customer || peer:
				return fmt.Errorf("AS%d and AS%d have two different relations", t.ASNs[a], t.ASNs[p])
			}
		}
	}
	return nil
}

func (t *Topology) checkRows(l *Links) error {
	n := t.Len()
	if len(l.Start) != n+1 || l.Start[0] != 0 || int(l.Start[n]) != len(l.To) {
		return fmt.Errorf("rows of %d ASes do not hold %d links", n, len(l.To))
	}
	for a := range n {
		if l.Start[a+1] < l.Start[a] || int(l.Start[a+1]) > len(l.To) {
			return fmt.Errorf("the row of AS%d ends before it starts", t.ASNs[a])
		}
		last := AS(None)
		for _, b := range l.Of(AS(a)) {
			if b <= last || int(b) >= n {
				return fmt.Errorf("AS%d: index %d after %d (want ascending, under %d)", t.ASNs[a], b, last, n)
			}
			if int(b) == a {
				return fmt.Errorf("AS%d is linked to itself", t.ASNs[a])
			}
			last = b
		}
	}
	return nil
}

// checkMirror finds links of one that the other does not have. Going through
// the rows of one in order must fill the rows of the other in order.
func (t *Topology) checkMirror(one, other *Links) error {
	if len(one.To) != len(other.To) {
		return fmt.Errorf("%d and %d", len(one.To), len(other.To))
	}
	next := make([]uint32, t.Len())
	copy(next, other.Start)
	for a := range AS(t.Len()) {
		for _, b := range one.Of(a) {
			if next[b] >= other.Start[b+1] || other.To[next[b]] != a {
				return fmt.Errorf("AS%d has AS%d and not the other way round", t.ASNs[a], t.ASNs[b])
			}
			next[b]++
		}
	}
	return nil
}

func (t *Topology) checkFootprint(a AS) error {
	if t.Footprint[a].Empty() {
		return fmt.Errorf("AS%d is nowhere", t.ASNs[a])
	}
	for m := range t.Footprint[a].All() {
		if int(m) >= len(t.Cities) {
			return fmt.Errorf("AS%d is in a metro that does not exist (want under %d)", t.ASNs[a], len(t.Cities))
		}
	}
	return nil
}

func (t *Topology) checkGroups() error {
	for i, g := range t.Groups {
		if g.AS < 0 || int(g.AS) >= t.Len() {
			return fmt.Errorf("group %d: AS %d (want under %d)", i, g.AS, t.Len())
		}
		asn := t.ASNs[g.AS]
		if g.Metro < 0 || int(g.Metro) >= len(t.Cities) || !t.Footprint[g.AS].Has(g.Metro) {
			return fmt.Errorf("group %d: AS%d is not in metro %d", i, asn, g.Metro)
		}
		if i > 0 && (g.AS < t.Groups[i-1].AS || g.AS == t.Groups[i-1].AS && g.Metro <= t.Groups[i-1].Metro) {
			return fmt.Errorf("group %d: AS%d in metro %d (want them sorted, each once)", i, asn, g.Metro)
		}
		if u := float64(g.Users); !(u >= 0) || math.IsInf(u, 0) {
			return fmt.Errorf("group %d: AS%d in metro %d: %v users", i, asn, g.Metro, g.Users)
		}
	}
	return nil
}
