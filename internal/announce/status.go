package announce

import (
	"net/netip"
	"time"
)

// Status is what a PoP sends to the control node (POST /v1/announce): its
// report, for the guard, and how things stand there, for people.
type Status struct {
	Report      Report     `json:"report"`
	Drain       *Progress  `json:"drain,omitempty"`
	Wanted      []Wanted   `json:"wanted"`
	Neighbors   []Neighbor `json:"neighbors"`
	Events      []Event    `json:"events,omitempty"` // the last MaxEvents, oldest first
	Connections int        `json:"connections"`      // open; -1: not known
	Traffic     float64    `json:"traffic"`          // requests/s; -1: not known
}

// MaxEvents bounds Status.Events.
const MaxEvents = 50

// Neighbor is a BGP session of the PoP.
type Neighbor struct {
	Address  netip.Addr     `json:"address"`
	ASN      uint32         `json:"asn"`
	State    string         `json:"state"` // of RFC 4271, in lower case
	Since    time.Time      `json:"since,omitzero"`
	Error    string         `json:"error,omitempty"` // the last one, in words
	Received int            `json:"received"`        // routes it sends, all of them dropped
	Sent     []Sent         `json:"sent"`            // what it was really told
	Unsynced []netip.Prefix `json:"unsynced,omitempty"`
}

// Sent is a route that a neighbor was told.
type Sent struct {
	Prefix           netip.Prefix `json:"prefix"`
	GracefulShutdown bool         `json:"graceful_shutdown,omitempty"`
	Prepend          int          `json:"prepend,omitempty"`
}

// Reply is what the control node answers.
type Reply struct {
	Answers []Answer `json:"answers,omitempty"` // to Report
	DNS     *DNSSeen `json:"dns,omitempty"`     // nil: not known
	Skip    *Skip    `json:"skip,omitempty"`
}

// Skip asks a PoP to end a phase. It comes with every reply until the PoP
// tells of another phase.
type Skip struct {
	Phase Phase  `json:"phase"`
	Why   string `json:"why,omitempty"`
}
