package bgp

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"catchment/internal/edge"
)

// path is an announcement in the library's terms.
func (a Announcement) path(asn uint32) (*apiutil.Path, error) {
	nlri, err := bgp.NewIPAddrPrefix(a.Prefix)
	if err != nil {
		return nil, fmt.Errorf("bgp: %v: %w", a.Prefix, err)
	}
	p := &apiutil.Path{Family: bgp.RF_IPv4_UC, Nlri: nlri, Attrs: []bgp.PathAttributeInterface{bgp.NewPathAttributeOrigin(bgp.BGP_ORIGIN_ATTR_TYPE_IGP)}}
	if a.Prepend > 0 {
		// The library adds our ASN once more for a neighbor in another AS.
		seq := bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_SEQ, slices.Repeat([]uint32{asn}, a.Prepend))
		p.Attrs = append(p.Attrs, bgp.NewPathAttributeAsPath([]bgp.AsPathParamInterface{seq}))
	}
	hop := a.NextHop // unspecified is our end of the session
	if a.Prefix.Addr().Is4() {
		if !hop.IsValid() {
			hop = netip.IPv4Unspecified()
		}
		attr, err := bgp.NewPathAttributeNextHop(hop)
		if err != nil {
			return nil, fmt.Errorf("bgp: %v: next hop %v: %w", a.Prefix, hop, err)
		}
		p.Attrs = append(p.Attrs, attr)
	} else {
		if !hop.IsValid() {
			hop = netip.IPv6Unspecified()
		}
		p.Family = bgp.RF_IPv6_UC
		attr, err := bgp.NewPathAttributeMpReachNLRI(bgp.RF_IPv6_UC, []bgp.PathNLRI{{NLRI: nlri}}, hop)
		if err != nil {
			return nil, fmt.Errorf("bgp: %v: next hop %v: %w", a.Prefix, hop, err)
		}
		p.Attrs = append(p.Attrs, attr)
	}
	if a.MED != nil {
		p.Attrs = append(p.Attrs, bgp.NewPathAttributeMultiExitDisc(*a.MED))
	}
	var standard []uint32
	var large []*bgp.LargeCommunity
	for _, c := range a.Communities {
		if c.Large {
			large = append(large, bgp.NewLargeCommunity(c.Parts[0], c.Parts[1], c.Parts[2]))
		} else {
			standard = append(standard, c.Value())
		}
	}
	if standard != nil {
		p.Attrs = append(p.Attrs, bgp.NewPathAttributeCommunities(standard))
	}
	if large != nil {
		p.Attrs = append(p.Attrs, bgp.NewPathAttributeLargeCommunities(large))
	}
	return p, nil
}

// readUpdate returns what an UPDATE that was sent says. external tells whether
// the neighbor is in another AS, where our ASN is in the path once anyway.
func readUpdate(reach, gone []bgp.PathNLRI, attrs []bgp.PathAttributeInterface, external bool) (announced []Announcement, withdrawn []netip.Prefix) {
	var a Announcement
	for _, attr := range attrs {
		switch attr := attr.(type) {
		case *bgp.PathAttributeAsPath:
			for _, param := range attr.Value {
				a.Prepend += len(param.GetAS())
			}
		case *bgp.PathAttributeNextHop:
			a.NextHop = attr.Value
		case *bgp.PathAttributeMultiExitDisc:
			a.MED = new(attr.Value)
		case *bgp.PathAttributeCommunities:
			for _, v := range attr.Value {
				a.Communities = append(a.Communities, edge.StandardCommunity(uint16(v>>16), uint16(v)))
			}
		case *bgp.PathAttributeLargeCommunities:
			for _, l := range attr.Values {
				a.Communities = append(a.Communities, edge.Community{Large: true, Parts: [3]uint32{l.ASN, l.LocalData1, l.LocalData2}})
			}
		case *bgp.PathAttributeMpReachNLRI:
			a.NextHop = attr.Nexthop
			reach = slices.Concat(reach, attr.Value)
		case *bgp.PathAttributeMpUnreachNLRI:
			gone = slices.Concat(gone, attr.Value)
		}
	}
	if external {
		a.Prepend--
	}
	slices.SortFunc(a.Communities, edge.Community.Compare)
	for _, n := range reach {
		if p, ok := n.NLRI.(*bgp.IPAddrPrefix); ok {
			b := a
			b.Prefix = p.Prefix
			announced = append(announced, b)
		}
	}
	for _, n := range gone {
		if p, ok := n.NLRI.(*bgp.IPAddrPrefix); ok {
			withdrawn = append(withdrawn, p.Prefix)
		}
	}
	return announced, withdrawn
}
