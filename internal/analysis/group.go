package analysis

import (
	"fmt"
	"slices"
	"strings"

	"catchment/internal/edge"
)

// Key is one thing that views can be grouped by.
type Key string

// The keys. ByPoP is the PoP that the unicast scheme reached: today's answer
// of DNS, where it was probed; "!" is a probe that failed.
const (
	ByContinent   Key = "continent"
	ByCountry     Key = "country"
	BySubdivision Key = "subdivision"
	ByASN         Key = "asn"
	ByPoP         Key = "pop"
	ByFamily      Key = "family"
)

var keys = []Key{ByContinent, ByCountry, BySubdivision, ByASN, ByPoP, ByFamily}

// ParseKeys reads a comma-separated list of keys; an empty one means one group
// of everything.
func ParseKeys(s string) ([]Key, error) {
	var by []Key
	if strings.TrimSpace(s) == "" {
		return by, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		k := Key(strings.TrimSpace(part))
		if !slices.Contains(keys, k) {
			return nil, fmt.Errorf("group key %q: want some of continent, country, subdivision, asn, pop, family", string(k))
		}
		if slices.Contains(by, k) {
			return nil, fmt.Errorf("group key %q is there twice", string(k))
		}
		by = append(by, k)
	}
	return by, nil
}

// Label is the value of one key of a group.
type Label struct {
	Key    Key
	Text   string
	Number uint32 // of asn and family, whose Text is its decimal form
}

// groupKey has the zero value wherever a key was not asked for.
type groupKey struct {
	continent   string
	country     string
	subdivision string
	asn         uint32
	pop         edge.PoPID
	family      uint8
}

func groupOf(by []Key, a *edge.Assignments) groupKey {
	var g groupKey
	for _, k := range by {
		switch k {
		case ByContinent:
			g.continent = a.Continent
		case ByCountry:
			g.country = a.Country
		case BySubdivision:
			g.country, g.subdivision = a.Country, a.Subdivision // there is a WA in two countries
		case ByASN:
			g.asn = a.ASN
		case ByPoP:
			g.pop = a.Served[edge.Unicast.Index()]
		case ByFamily:
			g.family = a.Family
		}
	}
	return g
}

// clone makes g independent of the element it was taken from.
func (g groupKey) clone() groupKey {
	g.continent, g.country, g.subdivision = strings.Clone(g.continent), strings.Clone(g.country), strings.Clone(g.subdivision)
	g.pop = edge.PoPID(strings.Clone(string(g.pop)))
	return g
}

// labels are the values of g in the order asked for. A subdivision without its
// country beside it carries it: US-IL.
func (g groupKey) labels(by []Key) []Label {
	labels := make([]Label, 0, len(by))
	for _, k := range by {
		l := Label{Key: k}
		switch k {
		case ByContinent:
			l.Text = g.continent
		case ByCountry:
			l.Text = g.country
		case BySubdivision:
			l.Text = g.subdivision
			if !slices.Contains(by, ByCountry) {
				l.Text = placeName(g.country, g.subdivision)
			}
		case ByASN:
			l.Number = g.asn
			l.Text = fmt.Sprint(g.asn)
		case ByPoP:
			l.Text = string(g.pop)
		case ByFamily:
			l.Number = uint32(g.family)
			l.Text = fmt.Sprint(g.family)
		}
		labels = append(labels, l)
	}
	return labels
}

// compareLabels orders groups by name, numbers as numbers.
func compareLabels(a, b []Label) int {
	return slices.CompareFunc(a, b, func(x, y Label) int {
		if x.Number != y.Number {
			if x.Number < y.Number {
				return -1
			}
			return 1
		}
		return strings.Compare(x.Text, y.Text)
	})
}
