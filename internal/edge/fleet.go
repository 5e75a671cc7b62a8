package edge

import (
	"net/netip"
	"slices"
	"time"
)

// Fleet is the world as the operator describes it: the decoded, validated
// fleet file. It is immutable once made.
type Fleet struct {
	Zone     string // DNS zone that is steered, without the trailing dot
	Probe    string // parent of the probe names, at or under Zone
	PoPs     []PoP
	VIPs     []VIP
	Regions  []Region
	Services []Service
	Announce Announce
}

// PoP is a site that can attract and serve users.
type PoP struct {
	ID      PoPID
	Place   Place
	Unicast []netip.Addr
	// UnicastPrefixes are announced by this PoP alone, always; an address in
	// Unicast may also be in a prefix that somebody else announces.
	UnicastPrefixes []netip.Prefix

	Capacity     float64 // requests per second; 0 is unknown
	BGP          *BGP    // nil: announces nothing
	Health       []HealthCheck
	HealthGroups []HealthGroup
	Load         *Load
}

// VIP is a service address with the prefixes that are announced for it. It is
// anycast; a PoP's own address stands in PoP.Unicast instead.
type VIP struct {
	ID        VIPID
	Addresses []netip.Addr
	Prefixes  []netip.Prefix
	Health    string // HealthGroup that it depends on at each PoP; empty: all checks
}

// Region is a set of PoPs that share a VIP, and the continents and countries
// that it serves. A country listed here wins over its continent elsewhere.
type Region struct {
	ID         RegionID
	VIP        VIPID
	Continents []string
	Countries  []string
	PoPs       []PoPID
}

// Service is a hostname being steered.
type Service struct {
	Name   string
	Scheme Scheme
	TTL    time.Duration
}

// BGP is a PoP's speaker (RFC 4271).
type BGP struct {
	ASN       uint32
	RouterID  netip.Addr
	Neighbors []Neighbor
}

// Neighbor is one BGP session of a PoP.
type Neighbor struct {
	Address      netip.Addr
	ASN          uint32
	PasswordFile string // holds the TCP MD5 key (RFC 2385); empty: none
	TTLSecurity  bool   // GTSM (RFC 5082)

	// Communities go on the routes of VIPs: how this neighbor is told what
	// NoExportTo and Scope say, or anything else.
	Communities []Community

	// The rest is what planning reckons with (internal/sim): how the neighbor
	// sees us and what it is asked to do with the routes of VIPs. A PoP's own
	// unicast prefixes go to every neighbor, as they are.
	Relation   Relation
	VIPs       []VIPID  // announced to this neighbor; nil: all that the PoP announces
	Prepend    int      // how often our ASN is repeated, 0 to 10
	NoExportTo []uint32 // ASNs that the neighbor does not pass the routes on to
	Scope      []string // continents where it passes them on; nil: everywhere
}

// Relation is what a BGP neighbor is to us.
type Relation string

// The relations. A neighbor that sells us transit passes our routes on to
// everyone; a peer or a customer of ours to its own customers only.
const (
	Transit  Relation = "transit"
	Peer     Relation = "peer"
	Customer Relation = "customer"
)

// HealthCheck is a PoP's active test of its own service. Exactly one of HTTP,
// TCP, DNS and Exec is set.
type HealthCheck struct {
	Name    string // unique within the PoP
	HTTP    string // URL that answers 200 to 299
	TCP     string // "127.0.0.1:443", where a connection comes about
	DNS     *DNSCheck
	Exec    []string // command that ends with status 0
	Rise    int      // successes in a row until up
	Fall    int      // failures in a row until down
	Every   time.Duration
	Timeout time.Duration
}

// DNSCheck is a question that a name server answers with at least one record
// of the type (NOERROR).
type DNSCheck struct {
	Server string // "127.0.0.1:53"
	Name   string
	Type   string // A, AAAA, NS, SOA or TXT
}

// HealthGroup is up while at least Need of its checks are.
type HealthGroup struct {
	ID     string
	Need   int // 0: all
	Checks []string
}

// Load says where a PoP's load in requests per second is read. Exactly one of
// Prometheus, URL and Exec is set.
type Load struct {
	Prometheus string // URL of a Prometheus exposition
	Metric     string // counter in it
	URL        string // URL that answers with one number
	Exec       []string
}

// PoP returns the PoP named id.
func (f *Fleet) PoP(id PoPID) (*PoP, bool) {
	for i := range f.PoPs {
		if f.PoPs[i].ID == id {
			return &f.PoPs[i], true
		}
	}
	return nil, false
}

// VIPByAddr returns the VIP that has address a.
func (f *Fleet) VIPByAddr(a netip.Addr) (VIPID, bool) {
	a = a.Unmap().WithZone("")
	for _, v := range f.VIPs {
		if slices.Contains(v.Addresses, a) {
			return v.ID, true
		}
	}
	return "", false
}

// RegionOf returns the region that serves p: the one that lists its country,
// else the one that lists its continent.
func (f *Fleet) RegionOf(p Place) (*Region, bool) {
	has := func(list []string, s string) bool {
		for _, t := range list {
			if s != "" && s == t {
				return true
			}
		}
		return false
	}
	for i := range f.Regions {
		if has(f.Regions[i].Countries, p.Country) {
			return &f.Regions[i], true
		}
	}
	for i := range f.Regions {
		if has(f.Regions[i].Continents, p.Continent) {
			return &f.Regions[i], true
		}
	}
	return nil, false
}
