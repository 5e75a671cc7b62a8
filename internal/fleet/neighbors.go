package fleet

import (
	"fmt"
	"slices"

	"catchment/internal/edge"
)

// checkNeighbors checks what the file says about planning: which VIPs a BGP
// neighbor hears, and whom it passes their routes on to. It runs after VIPs
// and regions are known.
func (c *checker) checkNeighbors() {
	for i := range c.fleet.PoPs {
		p := &c.fleet.PoPs[i]
		if p.BGP == nil {
			continue
		}
		for j := range p.BGP.Neighbors {
			n, path := &p.BGP.Neighbors[j], fmt.Sprintf("pops[%d].bgp.neighbors[%d]", i, j)
			c.neighborVIPs(p, n, path+".vips")
			c.neighborExport(p, n, path+".no_export_to")
			if at := path + ".communities"; c.has(at) && len(n.Communities) == 0 && !c.reported(at) {
				c.at(at, "the list is empty", "want BGP communities, or no communities at all")
			}
			unique(c, n.Communities, path+".communities")
			if at := path + ".scope"; c.has(at) && len(n.Scope) == 0 && !c.reported(at) {
				c.at(at, "the list is empty", "want continents, or no scope at all: the neighbor passes the routes on everywhere")
			}
			unique(c, n.Scope, path+".scope")
		}
	}
}

func (c *checker) neighborVIPs(p *edge.PoP, n *edge.Neighbor, path string) {
	if c.has(path) && len(n.VIPs) == 0 && !c.reported(path) {
		c.at(path, "the list is empty", "want ids of VIPs, or no vips at all: the neighbor hears all of them")
	}
	for k, id := range n.VIPs {
		at := fmt.Sprintf("%s[%d]", path, k)
		if id == "" {
			continue
		}
		if _, ok := c.vips[id]; !ok {
			c.at(at, fmt.Sprintf("there is no VIP %s", id), "want one of "+known(c.vips))
			continue
		}
		// A VIP of a region is announced by the region's PoPs.
		r := slices.IndexFunc(c.fleet.Regions, func(r edge.Region) bool { return r.VIP == id })
		if r >= 0 && p.ID != "" && !slices.Contains(c.fleet.Regions[r].PoPs, p.ID) && !c.reported(fmt.Sprintf("regions[%d].pops", r)) {
			c.at(at, fmt.Sprintf("%s does not announce %s", p.ID, id), fmt.Sprintf("it is not in regions[%d].pops, line %d", r, c.line(fmt.Sprintf("regions[%d].pops", r))))
		}
	}
	unique(c, n.VIPs, path)
}

func (c *checker) neighborExport(p *edge.PoP, n *edge.Neighbor, path string) {
	if c.has(path) && len(n.NoExportTo) == 0 && !c.reported(path) {
		c.at(path, "the list is empty", "want AS numbers, or no no_export_to at all")
	}
	for k, asn := range n.NoExportTo {
		switch at := fmt.Sprintf("%s[%d]", path, k); {
		case asn == 0:
		case asn == n.ASN:
			c.at(at, fmt.Sprintf("AS %d is the neighbor itself", asn), "want ASes that it must not pass the routes on to")
		case asn == p.BGP.ASN:
			c.at(at, fmt.Sprintf("AS %d is our own", asn), "want ASes that the neighbor must not pass the routes on to")
		}
	}
	unique(c, n.NoExportTo, path)
}

// unique reports what stands twice in a list; zero values have been reported.
func unique[T comparable](c *checker, list []T, path string) {
	var zero T
	seen := map[T]string{}
	for k, x := range list {
		if x != zero {
			first(c, seen, x, fmt.Sprintf("%s[%d]", path, k))
		}
	}
}
