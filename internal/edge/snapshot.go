package edge

import (
	"net/netip"
	"time"
)

// Snapshot is the whole steering state at one moment: what the operator wants,
// what the PoPs say of themselves, and what beacons have measured. It is made
// by `catchment serve`, immutable, and replaced whole; package steer turns it
// into answers. Fields are only ever added.
type Snapshot struct {
	Version uint64    `json:"version"`          // rises with every change
	Made    time.Time `json:"made"`             // what Health.Since is compared with
	Places  string    `json:"places,omitempty"` // version of the place table it goes with
	Fleet   *Fleet    `json:"fleet"`
	Policy  Policy    `json:"policy,omitzero"`

	Health  []Health `json:"health,omitempty"` // a PoP that is not listed is unknown
	Drains  []Drain  `json:"drains,omitempty"`
	Sheds   []Shed   `json:"sheds,omitempty"`
	Ramps   []Ramp   `json:"ramps,omitempty"` // an earlier one has precedence
	Pins    []Pin    `json:"pins,omitempty"`
	Weights []Weight `json:"weights,omitempty"`

	Announcements []Announcement `json:"announcements,omitempty"` // at most one of a PoP

	Orders     []Order     `json:"orders,omitempty"`
	Catchments []Catchment `json:"catchments,omitempty"`

	Challenges []Challenge `json:"challenges,omitempty"`
}

// Policy holds what is tuned once for the whole fleet. Zero values stand for
// the defaults, which package steer has.
type Policy struct {
	HealthyFloor float64       `json:"healthy_floor,omitempty"` // share of the fleet, 0 to 1; with less of it healthy, all count as up. 0: only with none
	MinSamples   int           `json:"min_samples,omitempty"`   // probes, below which a latency does not count
	MinTTL       time.Duration `json:"min_ttl,omitempty"`       // TTL while health changes
	Settle       time.Duration `json:"settle,omitempty"`        // how long after a change health counts as changing
}

// HealthState is whether a PoP can serve.
type HealthState string

// The states of a PoP. One that nothing is known of is not down.
const (
	Up      HealthState = "up"
	Down    HealthState = "down"
	Unknown HealthState = "unknown"
)

// Health is the state of a PoP.
type Health struct {
	PoP   PoPID       `json:"pop"`
	State HealthState `json:"state"`
	Since time.Time   `json:"since,omitzero"`  // of the last change of State
	Share float64     `json:"share,omitempty"` // of the PoP's own servers that are healthy, above 0 to 1; 0: not told, as 1
	Why   string      `json:"why,omitempty"`
}

// Drain takes a PoP out, planned and completely.
type Drain struct {
	PoP   PoPID     `json:"pop"`
	By    string    `json:"by,omitempty"`
	Why   string    `json:"why,omitempty"`
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"` // for people: whoever makes snapshots leaves out what has ended

	Grace time.Duration `json:"grace,omitempty"` // for connections to finish; 0: as the fleet file says

	// Ending is a drain that operators want no more: the PoP takes it for none
	// and comes back, name servers go on leaving it out until it has.
	Ending bool `json:"ending,omitempty"`
}

// Granule is the length of the client prefixes that are hashed, in bits: all
// of one prefix are in the same arm. Zero values stand for 24 and 48.
type Granule struct {
	V4 int `json:"v4,omitempty"` // 20 to 24
	V6 int `json:"v6,omitempty"` // 40 to 48
}

// Shed takes a share of a PoP's clients away from it, under load. Raising the
// share takes more; those it had taken stay away.
type Shed struct {
	PoP     PoPID   `json:"pop"`
	Share   float64 `json:"share"` // 0 to 1, in steps of 1/10000
	Granule Granule `json:"granule,omitzero"`
	By      string  `json:"by,omitempty"`
	Why     string  `json:"why,omitempty"`
}

// Ramp moves a share of a service's clients to another scheme.
type Ramp struct {
	ID      string  `json:"id"`
	Service string  `json:"service"`
	Scheme  Scheme  `json:"scheme"` // of the treatment arm
	Share   float64 `json:"share"`  // 0 to 1, in steps of 1/10000
	Salt    string  `json:"salt"`   // another salt draws other clients: it stays for as long as the ramp is there
	Where   Where   `json:"where,omitzero"`
	Granule Granule `json:"granule,omitzero"`
	By      string  `json:"by,omitempty"`
	Why     string  `json:"why,omitempty"`
}

// Where selects clients by place: those that any of its lists names. The zero
// Where selects all.
type Where struct {
	Continents   []string `json:"continents,omitempty"`
	Countries    []string `json:"countries,omitempty"`
	Subdivisions []string `json:"subdivisions,omitempty"` // ISO 3166-2: "US-IL"
	ASNs         []uint32 `json:"asns,omitempty"`
}

// Pin keeps a network on a scheme, whatever ramps do, or on a PoP, whatever
// that sheds.
// Exactly one of Client, ASN and Resolver is set, and one of Scheme and PoP.
type Pin struct {
	Client   netip.Prefix `json:"client,omitzero"`
	ASN      uint32       `json:"asn,omitempty"`
	Resolver netip.Prefix `json:"resolver,omitzero"` // who asks, whatever clients it asks for

	Service string    `json:"service,omitempty"` // empty: all
	Scheme  Scheme    `json:"scheme,omitempty"`
	PoP     PoPID     `json:"pop,omitempty"`
	By      string    `json:"by,omitempty"`
	Why     string    `json:"why,omitempty"`
	Until   time.Time `json:"until,omitzero"` // as in Drain
}

// Weight says how a service's clients are divided among PoPs that are equally
// good for them under the scheme unicast. As soon as a service has one, PoPs
// without have weight 1. A PoP of weight 0 is a standby: it serves only where
// no other PoP can.
type Weight struct {
	Service string  `json:"service"`
	PoP     PoPID   `json:"pop"`
	Weight  float64 `json:"weight"` // 0 to 1000
}

// CellKey names a cell without its day: a place and network, over one address
// family. Empty fields widen it: no ASN stands for the whole place, no
// subdivision for the whole country, no family for both.
type CellKey struct {
	Country     string `json:"country"`
	Subdivision string `json:"subdivision,omitempty"`
	ASN         uint32 `json:"asn,omitempty"`
	Family      uint8  `json:"family,omitempty"` // 4 or 6
}

// Order is how far the PoPs are from one cell, as measured. PoPs that are not
// in the fleet (any more) are passed over.
type Order struct {
	CellKey
	PoPs []Latency `json:"pops"`
}

// Latency is a PoP's median RTT over the probes of its own name.
type Latency struct {
	PoP     PoPID   `json:"pop"`
	RTT     float64 `json:"rtt"` // ms
	Samples int     `json:"samples"`
}

// Catchment is one PoP's share of a cell's page views under an anycast scheme.
type Catchment struct {
	CellKey
	Scheme Scheme  `json:"scheme"` // global or regional
	PoP    PoPID   `json:"pop"`
	Share  float64 `json:"share"` // 0 to 1
}

// Challenge is a TXT record set that name servers answer with, so that a
// certificate authority sees that the name is ours (RFC 8555, section 8.4).
type Challenge struct {
	Name   string    `json:"name"`   // lower case, without the trailing dot: "_acme-challenge.www.edge.example.net"
	Values []string  `json:"values"` // one record each
	Until  time.Time `json:"until,omitzero"`
}
