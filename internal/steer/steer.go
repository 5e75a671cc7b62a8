// Package steer decides which addresses a client is given.
//
// It is pure: Compile turns a snapshot and the table of known places into a
// Plan, off line and whole; a query is then one look-up in flat arrays. Time,
// randomness and I/O are its callers'. docs/steering.md is its reference.
package steer

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"time"

	"catchment/internal/edge"
)

// Places is the table of known prefixes.
type Places interface {
	// All yields prefixes in any order, of both families, with the place of
	// each. Within a prefix a longer one wins; of equal ones the last. What no
	// prefix covers has the zero Place.
	All() iter.Seq2[netip.Prefix, edge.Place]
}

// Plan is what a snapshot comes to. It is immutable and safe for concurrent
// use.
type Plan struct {
	snapshot   *edge.Snapshot
	fleet      *fleetState
	space      [2]space // by family: the places, for Explain
	places     []edge.Place
	classifier *classifier // for Explain, which makes a copy
	services   []*Service
}

// Service is one steered hostname.
type Service struct {
	name    string
	scheme  edge.Scheme
	ttl     time.Duration // as it is answered
	fullTTL time.Duration // as the fleet file has it
	answers []Answer
	forest  *forest
	tables  tables

	pinned pinnedResolvers
	rules  *rules
	cost   Cost
}

// Answer is one of the finite set that a service's clients are given. Two
// clients get the same DNS answer if and only if they get the same index.
type Answer struct {
	PoP    edge.PoPID    `json:"pop,omitempty"` // whose own address this is; empty: a VIP's
	VIP    edge.VIPID    `json:"vip,omitempty"`
	Region edge.RegionID `json:"region,omitempty"` // whose VIP this is; empty: not of a region
	Scheme edge.Scheme   `json:"scheme"`           // that the address belongs to
	A      []netip.Addr  `json:"a,omitempty"`
	AAAA   []netip.Addr  `json:"aaaa,omitempty"`
	TTL    time.Duration `json:"ttl"`
}

// Reason says in words what the answer is; why a client gets it, Explain says.
func (a *Answer) Reason() string {
	switch {
	case a.PoP != "":
		return fmt.Sprintf("PoP %s by its own address", a.PoP)
	case a.Region != "":
		return fmt.Sprintf("VIP %s of region %s", a.VIP, a.Region)
	}
	return fmt.Sprintf("VIP %s", a.VIP)
}

// Compile builds the plan of a snapshot. Neither may change afterwards; places
// may be nil. The error says everything that is wrong with the snapshot; there
// is no plan then.
//
// BenchmarkCompile has its cost: time grows with the number of prefixes and,
// for distinct places, with that of PoPs; memory with the number of runs of
// prefixes that have different answers.
func Compile(snapshot *edge.Snapshot, places Places) (*Plan, error) {
	if err := validate(snapshot); err != nil {
		return nil, err
	}
	p := &Plan{snapshot: snapshot, fleet: newFleetState(snapshot)}
	pins := newPins(snapshot)
	if err := p.survey(places, pins); err != nil {
		return nil, err
	}
	p.classifier = newClassifier(p)
	views := p.classify(pins)
	for i := range snapshot.Fleet.Services {
		p.services = append(p.services, p.compile(&snapshot.Fleet.Services[i], pins, views))
	}
	return p, nil
}

// Services returns the services in the order of the fleet file.
func (p *Plan) Services() []*Service { return slices.Clone(p.services) }

// Version returns the snapshot's.
func (p *Plan) Version() uint64 { return p.snapshot.Version }

// Name returns the hostname, without the trailing dot.
func (s *Service) Name() string { return s.name }

// TTL returns how long answers may be kept.
func (s *Service) TTL() time.Duration { return s.ttl }

// Answers returns what Lookup's indexes stand for. It must not be changed.
func (s *Service) Answers() []Answer { return s.answers }

// Lookup returns the answer for a client, as an index into Answers, and its
// scope: the length of a prefix around client, in bits of its family, within
// which every address has this answer (SCOPE PREFIX-LENGTH of RFC 7871,
// section 7.2.1). It is 0 when the client made no difference within its
// family. An address that is not valid is treated as 0.0.0.0.
//
// It allocates nothing and takes some tens of nanoseconds (BenchmarkLookup).
func (s *Service) Lookup(client netip.Addr) (answer uint32, scope uint8) {
	a, f := keyOf(client)
	return s.forest.look(&s.tables, a, f)
}

// LookupVia is Lookup for a query that came from resolver, which may be
// pinned. The scope then holds for what this resolver asks, not for others.
func (s *Service) LookupVia(resolver, client netip.Addr) (answer uint32, scope uint8) {
	if t := s.pinned.find(resolver); t != nil {
		a, f := keyOf(client)
		return s.forest.look(t, a, f)
	}
	return s.Lookup(client)
}
