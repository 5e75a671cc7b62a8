package dash

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"catchment/internal/edge"
)

// letter is the text to send to a network's operator: the facts, and what is
// asked of them.
func letter(o *offenderRow, f *edge.Fleet) string {
	who := fmt.Sprintf("AS%d", o.ASN)
	if o.ASName != "" {
		who += " (" + printable(o.ASName) + ")"
	}
	place := o.Country
	if o.Subdivision != "" {
		place += "-" + o.Subdivision
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Hello,\n\nusers of %s in %s reach our service at %s, although %s is nearer to them: measured from their browsers, every round trip takes %.0f ms longer than it has to.\n\n",
		who, place, popText(o.PoP, f), popText(o.BestPoP, f), math.Max(1, math.Round(float64(o.Penalty))))
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-16s %s\n", name, value)
		}
	}
	line("Network", who)
	line("Place", place)
	line("They reach", popText(o.PoP, f))
	line("They should", popText(o.BestPoP, f))
	line("Longer by", fmt.Sprintf("%.1f ms, mean of the median round-trip times", float64(o.Penalty)))
	line("Page views", fmt.Sprintf("%d, from %s to %s (UTC)", o.Views, o.First, o.Last))
	if o.Since != o.First {
		line("Since", o.Since+" or earlier")
	} else {
		line("Since", o.Since)
	}
	ours := prefixesOf(o, f)
	line("Our prefixes", ours)
	switch {
	case o.Scheme == edge.Unicast:
		b.WriteString("\nThey come there by DNS: we answer your resolvers with the PoP that is nearest to the resolvers. If they sent the client's subnet along (EDNS Client Subnet, RFC 7871), or if resolvers stood nearer to their users, this would go away. Could you tell us which resolvers serve these users?\n")
	case ours != "":
		fmt.Fprintf(&b, "\nThese prefixes are announced from all of our PoPs of that group by BGP. Could you have a look at how you route to them from %s, or tell us where to peer with you so that %s is preferred?\n", place, o.BestPoP)
	default:
		fmt.Fprintf(&b, "\nCould you have a look at how you route to us from %s, or tell us where to peer with you so that %s is preferred?\n", place, o.BestPoP)
	}
	return b.String()
}

// popText is "gru (São Paulo, BR)".
func popText(id edge.PoPID, f *edge.Fleet) string {
	for i := range f.PoPs {
		if p := &f.PoPs[i]; p.ID == id {
			at := slices.DeleteFunc([]string{p.Place.City, p.Place.Country}, func(s string) bool { return s == "" })
			if len(at) > 0 {
				return fmt.Sprintf("%s (%s)", id, strings.Join(at, ", "))
			}
		}
	}
	return string(id)
}

// prefixesOf are the prefixes over which an offender's users came.
func prefixesOf(o *offenderRow, f *edge.Fleet) string {
	var all []netip.Prefix
	vip := edge.VIPID("")
	switch o.Scheme {
	case edge.Global:
		vip = edge.VIPID(edge.Global)
	case edge.Regional:
		if r, ok := f.RegionOf(edge.Place{Country: o.Country}); ok {
			vip = r.VIP
		} else {
			for i := range f.Regions {
				if slices.Contains(f.Regions[i].PoPs, o.PoP) {
					vip = f.Regions[i].VIP
				}
			}
		}
	}
	for i := range f.VIPs {
		if f.VIPs[i].ID == vip {
			all = f.VIPs[i].Prefixes
		}
	}
	texts := make([]string, len(all))
	for i, p := range all {
		texts[i] = p.String()
	}
	return strings.Join(texts, ", ")
}

// printable makes a name from outside safe for a mail.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
