package report

import (
	"fmt"
	"slices"

	"catchment/internal/analysis"
	"catchment/internal/edge"
)

// groupColumns are the columns of a table that name its groups.
func groupColumns(by []analysis.Key) []column {
	var c []column
	for _, k := range by {
		switch k {
		case analysis.ByCountry:
			if !slices.Contains(by, analysis.BySubdivision) {
				c = append(c, column{title: "country"})
			}
		case analysis.BySubdivision:
			c = append(c, column{title: "place"}) // US-IL: one column for the two
		case analysis.ByASN:
			c = append(c, column{title: "network"})
		default:
			c = append(c, column{title: string(k)})
		}
	}
	return c
}

// groupCells are the cells under groupColumns.
func groupCells(by []analysis.Key, group []analysis.Label, networks map[uint32]string) (cells []string) {
	country := ""
	for _, l := range group {
		if l.Key == analysis.ByCountry {
			country = l.Text
		}
	}
	for _, l := range group {
		text := l.Text
		switch {
		case l.Key == analysis.ByCountry && slices.Contains(by, analysis.BySubdivision):
			continue
		case l.Key == analysis.BySubdivision && country != "" && text != "":
			text = country + "-" + text
		case l.Key == analysis.BySubdivision && country != "":
			text = country
		case l.Key == analysis.ByASN, l.Key == analysis.ByResolver && l.Number != 0:
			text = network(l.Number, networks)
		case l.Key == analysis.ByFamily:
			text = "IPv" + l.Text
		case l.Key == analysis.ByPoP && l.Text == string(edge.Failed):
			text = "(failed)"
		case text == "":
			text = none
		}
		cells = append(cells, text)
	}
	return cells
}

// network is "AS64500 Example Networks", shortened.
func network(asn uint32, names map[uint32]string) string {
	s := fmt.Sprintf("AS%d", asn)
	if name := names[asn]; name != "" {
		s += " " + name
	}
	return short(s, 28)
}

func groupJSON(group []analysis.Label) object {
	o := object{}
	for _, l := range group {
		if l.Key == analysis.ByASN || l.Key == analysis.ByFamily {
			o = append(o, member{string(l.Key), uint64(l.Number)})
		} else {
			o = append(o, member{string(l.Key), l.Text})
		}
	}
	return o
}

// Single is how a report on single views was made, beside About.
type Single struct {
	About
	FarKm     float64
	Asked     analysis.ViewTotals // in place of About.Totals
	Resolvers map[uint32]string   // names of the networks of resolvers
}

// networks are the names of all networks.
func (s *Single) networks() map[uint32]string {
	all := make(map[uint32]string, len(s.Networks)+len(s.Resolvers))
	for _, names := range []map[uint32]string{s.Resolvers, s.Networks} {
		for asn, name := range names {
			if name != "" {
				all[asn] = name
			}
		}
	}
	return all
}

// namesOf are the keys whose groups have the name of a network beside them,
// and its title.
var namesOf = []struct {
	key   analysis.Key
	title string
}{{analysis.ByASN, "as_name"}, {analysis.ByResolver, "resolver_name"}}

// groupTitles are the columns of CSV that name groups.
func groupTitles(by []analysis.Key) (titles []string) {
	for _, k := range by {
		titles = append(titles, string(k))
	}
	for _, n := range namesOf {
		if slices.Contains(by, n.key) {
			titles = append(titles, n.title)
		}
	}
	return titles
}

// groupCSV are the cells under groupTitles.
func groupCSV(group []analysis.Label, networks map[uint32]string) (cells []string) {
	for _, l := range group {
		cells = append(cells, l.Text)
	}
	for _, m := range groupNames(group, networks) {
		cells = append(cells, m.value.(string))
	}
	return cells
}

// groupNames are the names of a group's networks.
func groupNames(group []analysis.Label, networks map[uint32]string) (o object) {
	for _, n := range namesOf {
		for _, l := range group {
			if l.Key == n.key {
				o = append(o, member{n.title, networks[l.Number]})
			}
		}
	}
	return o
}

// estimate is a share with its interval in JSON.
func estimate(e analysis.Estimate) object {
	return object{{"share", share(e.Share)}, {"low", share(e.Low)}, {"high", share(e.High)}}
}

func csvEstimate(e analysis.Estimate) []string {
	return []string{csvShare(e.Share), csvShare(e.Low), csvShare(e.High)}
}

func estimateTitles(name string) []string { return []string{name, name + "_low", name + "_high"} }

func estimateText(e analysis.Estimate) string { return interval(e.Share, e.Low, e.High) }

// askers says of how many views it is known who asked.
func (s *Single) askers() string {
	t := &s.Asked
	if t.Views == 0 {
		return "Resolvers: none."
	}
	return fmt.Sprintf("Resolvers are known of %s %% of the views, and where DNS saw the client of %s %%; the place of a resolver is that of its prefix, now.",
		percent(float64(t.Known)/float64(t.Views)), percent(float64(t.Placed)/float64(t.Views)))
}
