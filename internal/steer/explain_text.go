package steer

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"text/tabwriter"

	"catchment/internal/edge"
)

// String renders the whole derivation, some twenty lines.
func (x Explanation) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	line("service", "%s, scheme %s, TTL %v", x.Service, x.Scheme, x.FullTTL)
	switch {
	case x.ByECS && x.Resolver.IsValid():
		line("client", "%v, told by resolver %v", x.Client, x.Resolver)
	case x.ByECS:
		line("client", "%v", x.Client)
	default:
		line("client", "%v, the resolver, which tells no client", x.Client)
	}
	if x.Known.IsValid() {
		line("place", "%s, from prefix %v", placeText(&x.Place), x.Known)
	} else {
		line("place", "unknown: no prefix holds the address")
	}
	if x.Region != "" {
		line("region", "%s", x.Region)
	} else {
		line("region", "none serves this place")
	}
	if x.FailOpen != "" {
		line("fail open", "%s", x.FailOpen)
	}
	switch {
	case x.Cell != (edge.CellKey{}):
		line("PoPs", "by RTT as measured in %s, the others by distance", cellText(x.Cell))
	case x.Place.HasCoord():
		line("PoPs", "by distance: nothing measured here")
	default:
		line("PoPs", "by country, continent and capacity: neither coordinates nor measurements")
	}
	for _, c := range x.Candidates {
		line("", "%s", c.text())
	}
	for _, o := range x.Observed {
		line("reached", "%s under %s by most of %s", o.PoP, o.Scheme, cellText(o.Cell))
	}
	for i, s := range x.Why {
		name := ""
		if i == 0 {
			name = "why"
		}
		line(name, "%s", s)
	}
	line("answer", "%s: %s", addressText(append(x.Answer.A[:len(x.Answer.A):len(x.Answer.A)], x.Answer.AAAA...)), x.Answer.Reason())
	if x.Answer.TTL != x.FullTTL {
		line("TTL", "%v, short because health is changing: %s", x.Answer.TTL, x.Changing)
	} else {
		line("TTL", "%v", x.Answer.TTL)
	}
	line("scope", "%v", x.Scope)
	_ = w.Flush() // into memory
	return b.String()
}

// Line renders the explanation in one line: the place, the answer and why.
func (x Explanation) Line() string {
	place := "in no known place"
	if x.Known.IsValid() {
		place = "in " + placeText(&x.Place)
	}
	return fmt.Sprintf("%v %s: %s (%s); scope %v", x.Client, place, x.Answer.Reason(), strings.Join(x.Why, "; "), x.Scope)
}

func (c *Candidate) text() string {
	parts := []string{string(c.PoP)}
	if c.RTT > 0 {
		parts = append(parts, fmt.Sprintf("%.1f ms (%d probes)", c.RTT, c.Samples))
	}
	if c.Km >= 0 {
		parts = append(parts, fmt.Sprintf("%.0f km", c.Km))
	}
	if c.Weight != 1 {
		parts = append(parts, fmt.Sprintf("weight %g", c.Weight))
	}
	if c.Shed > 0 {
		parts = append(parts, fmt.Sprintf("sheds %g %%", math.Round(c.Shed*buckets)/100))
	}
	if c.Out != "" {
		parts = append(parts, "left out: "+c.Out)
	}
	return strings.Join(parts, ", ")
}

func placeText(p *edge.Place) string {
	var parts []string
	for _, s := range []string{p.Continent, isoPlace(p.Country, p.Subdivision)} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if p.ASN != 0 {
		parts = append(parts, fmt.Sprintf("AS%d", p.ASN))
	}
	if p.HasCoord() {
		parts = append(parts, fmt.Sprintf("%.2f %.2f", p.Lat, p.Lon))
	}
	if parts == nil {
		return "unknown"
	}
	return strings.Join(parts, " ")
}

func cellText(c edge.CellKey) string {
	s := isoPlace(c.Country, c.Subdivision)
	if c.ASN != 0 {
		s += fmt.Sprintf(" AS%d", c.ASN)
	}
	if c.Family != 0 {
		s += fmt.Sprintf(" IPv%d", c.Family)
	}
	return s
}

// isoPlace is the ISO 3166-2 code of a subdivision, or its country's.
func isoPlace(country, subdivision string) string {
	if subdivision == "" {
		return country
	}
	return country + "-" + subdivision
}

func addressText(all []netip.Addr) string {
	texts := make([]string, len(all))
	for i, a := range all {
		texts[i] = a.String()
	}
	return strings.Join(texts, " ")
}
