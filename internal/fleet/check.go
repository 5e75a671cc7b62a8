package fleet

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"catchment/internal/edge"
	"catchment/internal/geo"
)

// GlobalVIP is the id of the VIP that the scheme global hands out.
const GlobalVIP = edge.VIPID("global")

// checker finds what is wrong between the values of a decoded file. Values
// that could not be read are zero by now, have been reported, and are passed
// over.
type checker struct {
	report
	fleet *edge.Fleet
	pops  map[edge.PoPID]string // path of each
	vips  map[edge.VIPID]string
}

func (c *checker) check() {
	c.pops, c.vips = map[edge.PoPID]string{}, map[edge.VIPID]string{}
	c.names()
	c.checkPoPs()
	c.checkVIPs()
	c.addresses()
	c.prefixes()
	c.checkRegions()
	c.checkNeighbors()
	c.checkServices()
	c.checkVIPHealth()
	c.checkAnnounce()
}

// has reports whether the file has a value at path.
func (c *checker) has(path string) bool {
	_, ok := c.lines[path]
	return ok
}

// first notes that key stands at path and returns true, unless it stood
// somewhere before, which it reports.
func first[K comparable](c *checker, seen map[K]string, key K, path string) bool {
	if before, dup := seen[key]; dup {
		c.at(path, fmt.Sprintf("%v is taken", key), fmt.Sprintf("by %s, line %d", before, c.line(before)))
		return false
	}
	seen[key] = path
	return true
}

// under reports whether name is zone or below it.
func under(name, zone string) bool {
	return name == zone || strings.HasSuffix(name, "."+zone)
}

// maxProbeLabel is room for the longest label under the probe name: a target,
// a hyphen and a nonce fill at most one label of 63 bytes (RFC 1035, section
// 2.3.4), and a dot follows.
const maxProbeLabel = 63 + 1

func (c *checker) names() {
	f := c.fleet
	if f.Zone == "" || f.Probe == "" {
		return
	}
	if !under(f.Probe, f.Zone) {
		c.at("probe", f.Probe+" is not in the zone", "want "+f.Zone+" or a name under it, such as probe."+f.Zone)
	}
	if len(f.Probe)+maxProbeLabel > 253 {
		c.at("probe", "leaves no room for the names under it", "want at most 189 bytes")
	}
}

func (c *checker) checkPoPs() {
	if c.has("pops") && len(c.fleet.PoPs) == 0 && !c.reported("pops") {
		c.at("pops", "the list is empty", "want at least one PoP")
	}
	type router struct {
		asn uint32
		id  netip.Addr
	}
	routers := map[router]string{}
	for i := range c.fleet.PoPs {
		p, path := &c.fleet.PoPs[i], fmt.Sprintf("pops[%d]", i)
		if p.ID != "" {
			first(c, c.pops, p.ID, path+".id")
		}
		if c.has(path+".place.lat") && c.has(path+".place.lon") && !p.Place.HasCoord() && !c.reported(path+".place") {
			c.at(path+".place.lat", "0, 0 lies in the sea and stands for unknown", "want the PoP's coordinates")
		}
		c.checkHealth(p, path)
		if p.Load != nil {
			c.load(path + ".load")
		}
		if at := path + ".unicast_prefixes"; c.has(at) && !c.reported(at) {
			switch {
			case len(p.UnicastPrefixes) == 0:
				c.at(at, "the list is empty", "want the prefixes that this PoP alone announces, or no unicast_prefixes at all")
			case p.BGP == nil && !c.has(path+".bgp"):
				c.at(at, "nothing announces them", "want bgp, or no unicast_prefixes")
			}
		}
		if p.BGP == nil {
			continue
		}
		if r := (router{p.BGP.ASN, p.BGP.RouterID}); r.asn != 0 && r.id.IsValid() {
			if before, dup := routers[r]; dup {
				c.at(path+".bgp.router_id", fmt.Sprintf("%v is taken", r.id), fmt.Sprintf("by %s, line %d; a router id is unique within an AS", before, c.line(before)))
			}
			routers[r] = path + ".bgp.router_id"
		}
		if c.has(path+".bgp.neighbors") && len(p.BGP.Neighbors) == 0 && !c.reported(path+".bgp.neighbors") {
			c.at(path+".bgp.neighbors", "the list is empty", "want at least one neighbor, or no bgp at all")
		}
		neighbors := map[netip.Addr]string{}
		for j, n := range p.BGP.Neighbors {
			if n.Address.IsValid() {
				first(c, neighbors, n.Address, fmt.Sprintf("%s.bgp.neighbors[%d].address", path, j))
			}
		}
	}
}

// load checks that one source is given, whole.
func (c *checker) load(path string) {
	var given []string
	for _, key := range []string{"prometheus", "url", "exec"} {
		if c.has(path + "." + key) {
			given = append(given, key)
		}
	}
	const want = "want exactly one of prometheus with metric, url, or exec"
	switch {
	case c.reported(path):
		return
	case len(given) == 0:
		c.at(path, "names no source", want)
	case len(given) > 1:
		c.at(path, "has "+strings.Join(given, " and "), want)
	case given[0] == "prometheus" && !c.has(path+".metric"):
		c.at(path+".metric", "is missing", "want the name of a counter at that URL")
	case given[0] != "prometheus" && c.has(path+".metric"):
		c.at(path+".metric", "goes with prometheus only", want)
	case given[0] == "exec" && !c.has(path+".exec[0]"):
		c.at(path+".exec", "the list is empty", "want a command and its arguments")
	}
}

func (c *checker) checkVIPs() {
	for i := range c.fleet.VIPs {
		v, path := &c.fleet.VIPs[i], fmt.Sprintf("vips[%d]", i)
		if v.ID != "" {
			first(c, c.vips, v.ID, path+".id")
		}
		if c.has(path+".addresses") && len(v.Addresses) == 0 && !c.reported(path+".addresses") {
			c.at(path+".addresses", "the list is empty", "want at least one address")
		}
		if c.has(path+".prefixes") && len(v.Prefixes) == 0 && !c.reported(path+".prefixes") {
			c.at(path+".prefixes", "the list is empty", "want the prefixes that hold the addresses")
		}
		if len(v.Prefixes) == 0 || c.reported(path+".prefixes") {
			continue
		}
		for j, a := range v.Addresses {
			in := func(p netip.Prefix) bool { return p.Contains(a) }
			if a.IsValid() && !slices.ContainsFunc(v.Prefixes, in) {
				c.at(fmt.Sprintf("%s.addresses[%d]", path, j), fmt.Sprintf("%v is in none of the VIP's prefixes", a), "want an address that is announced")
			}
		}
	}
}

// addresses finds those that two PoPs or VIPs have.
func (c *checker) addresses() {
	seen := map[netip.Addr]string{}
	for i, p := range c.fleet.PoPs {
		for j, a := range p.Unicast {
			if a.IsValid() {
				first(c, seen, a, fmt.Sprintf("pops[%d].unicast[%d]", i, j))
			}
		}
	}
	for i, v := range c.fleet.VIPs {
		for j, a := range v.Addresses {
			if a.IsValid() {
				first(c, seen, a, fmt.Sprintf("vips[%d].addresses[%d]", i, j))
			}
		}
	}
}

// prefixes finds those of two VIPs or PoPs that overlap, and those that stand
// twice in one. Within one a longer prefix may stand beside one that covers it.
func (c *checker) prefixes() {
	type entry struct {
		prefix netip.Prefix
		owner  int // index of a VIP; below 0: of a PoP
		path   string
	}
	var all []entry
	for i, v := range c.fleet.PoPs {
		for j, p := range v.UnicastPrefixes {
			if p.IsValid() {
				all = append(all, entry{p, -1 - i, fmt.Sprintf("pops[%d].unicast_prefixes[%d]", i, j)})
			}
		}
	}
	for i, v := range c.fleet.VIPs {
		for j, p := range v.Prefixes {
			if p.IsValid() {
				all = append(all, entry{p, i, fmt.Sprintf("vips[%d].prefixes[%d]", i, j)})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int {
		return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()))
	})
	var around []entry // the prefixes that hold the current one, the shortest first
	for _, e := range all {
		for len(around) > 0 && !around[len(around)-1].prefix.Overlaps(e.prefix) {
			around = around[:len(around)-1]
		}
		clash := slices.IndexFunc(around, func(o entry) bool { return o.owner != e.owner || o.prefix == e.prefix })
		if clash < 0 {
			around = append(around, e) // at most one of each length
			continue
		}
		early, late := around[clash], e // in the file; the later one is to blame
		if c.line(late.path) < c.line(early.path) {
			early, late = late, early
		}
		if early.prefix == late.prefix {
			c.at(late.path, fmt.Sprintf("%v is taken", late.prefix), fmt.Sprintf("by %s, line %d", early.path, c.line(early.path)))
			continue
		}
		what := "one VIP"
		if early.owner < 0 || late.owner < 0 {
			what = "one VIP or one PoP"
		}
		c.at(late.path, fmt.Sprintf("%v overlaps %v", late.prefix, early.prefix),
			fmt.Sprintf("of %s, line %d; a prefix leads to %s only", early.path, c.line(early.path), what))
	}
}

func (c *checker) checkRegions() {
	ids := map[edge.RegionID]string{}
	vips := map[edge.VIPID]string{}
	continents, countries := map[string]string{}, map[string]string{}
	for i := range c.fleet.Regions {
		r, path := &c.fleet.Regions[i], fmt.Sprintf("regions[%d]", i)
		if r.ID != "" {
			first(c, ids, r.ID, path+".id")
		}
		if r.VIP != "" {
			if _, ok := c.vips[r.VIP]; !ok {
				c.at(path+".vip", fmt.Sprintf("there is no VIP %s", r.VIP), "want one of "+known(c.vips))
			} else {
				first(c, vips, r.VIP, path+".vip")
			}
		}
		for j, s := range r.Continents {
			if s != "" {
				first(c, continents, s, fmt.Sprintf("%s.continents[%d]", path, j))
			}
		}
		for j, s := range r.Countries {
			if s != "" {
				first(c, countries, s, fmt.Sprintf("%s.countries[%d]", path, j))
			}
		}
		if len(r.Continents) == 0 && len(r.Countries) == 0 && !c.reported(path+".continents") && !c.reported(path+".countries") {
			c.at(path, "serves nobody", "want continents, one or more of "+geo.Continents+", or countries")
		}
		if c.has(path+".pops") && len(r.PoPs) == 0 && !c.reported(path+".pops") {
			c.at(path+".pops", "the list is empty", "want at least one PoP")
		}
		members := map[edge.PoPID]string{}
		for j, id := range r.PoPs {
			at := fmt.Sprintf("%s.pops[%d]", path, j)
			if id == "" {
				continue
			}
			if _, ok := c.pops[id]; !ok {
				c.at(at, fmt.Sprintf("there is no PoP %s", id), "want one of "+known(c.pops))
				continue
			}
			first(c, members, id, at)
		}
	}
}

// known lists ids for a hint, at most ten.
func known[K ~string](ids map[K]string) string {
	var names []string
	for id := range ids {
		names = append(names, string(id))
	}
	slices.Sort(names)
	if len(names) > 10 {
		names = append(names[:10], "…")
	}
	if len(names) == 0 {
		return "the file's own, of which there are none"
	}
	return strings.Join(names, ", ")
}

func (c *checker) checkServices() {
	f := c.fleet
	seen := map[string]string{}
	unicast := "" // the first service of that scheme
	for i := range f.Services {
		s, path := &f.Services[i], fmt.Sprintf("services[%d]", i)
		if s.Name != "" {
			first(c, seen, s.Name, path+".name")
			c.serviceName(s.Name, path+".name")
		}
		switch _, global := c.vips[GlobalVIP]; {
		case s.Scheme == edge.Global && !global:
			c.at(path+".scheme", "the scheme global needs a VIP of that id", "add {id: global, …} to vips")
		case s.Scheme == edge.Regional && len(f.Regions) == 0 && !c.reported("regions"):
			c.at(path+".scheme", "the scheme regional needs regions", "add regions")
		case s.Scheme == edge.Unicast && unicast == "":
			unicast = s.Name
		}
	}
	if unicast == "" {
		return
	}
	for i := range f.PoPs {
		if path := fmt.Sprintf("pops[%d]", i); len(f.PoPs[i].Unicast) == 0 && !c.reported(path+".unicast") {
			c.at(path+".unicast", "is missing", fmt.Sprintf("want a list of addresses: %s is steered by the scheme unicast", unicast))
		}
	}
}

func (c *checker) serviceName(name, path string) {
	f := c.fleet
	if f.Zone == "" || f.Probe == "" {
		return
	}
	if !under(name, f.Zone) {
		c.at(path, name+" is not in the zone", "want "+f.Zone+" or a name under it")
		return
	}
	label, below := strings.CutSuffix(name, "."+f.Probe)
	if !below {
		return
	}
	for _, probe := range []string{"global-", "regional-", "unicast-", "pop-"} {
		if strings.HasPrefix(label, probe) && !strings.Contains(label, ".") {
			c.at(path, name+" looks like a probe's name", "want a name that does not begin with "+probe+", or not under "+f.Probe)
		}
	}
}
