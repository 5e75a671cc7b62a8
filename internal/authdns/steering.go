package authdns

import (
	"context"
	"net/netip"
	"time"

	"catchment/internal/edge"
)

// Steering decides what tailored names are answered with. It is immutable: a
// new state of the world is a new Steering, for Server.SetSteering.
type Steering interface {
	// Names returns the tailored names. All calls return the same.
	Names() []Tailored

	// Lookup returns what a client is answered under the name-th of Names, as
	// an index into its Answers, and the scope: the length of a prefix around
	// client, in bits of its family, within which every address gets the same
	// from this resolver. It must not allocate, and is called concurrently.
	Lookup(name int, resolver, client netip.Addr) (answer uint32, scope uint8)

	// Explain says in a line why a client is answered so.
	Explain(name int, resolver, client netip.Addr) string
}

// Tailored is a name whose addresses depend on the client. Other types of
// records for it stand in the zone file.
type Tailored struct {
	// Name is the owner, without the trailing dot. If its first label ends in
	// "-*", it is a probe name: "global-*.probe.example.net" stands for every
	// global-N.probe.example.net, N being a nonce without a hyphen.
	Name string

	TTL     time.Duration // whole seconds
	Answers []Answer
}

// Answer is one of the finite set of what clients get.
type Answer struct {
	Label   string // tells answers of one name apart in metrics: "iad", "americas"
	A, AAAA []netip.Addr
}

// State is what changes while a Server runs.
type State struct {
	Steering   Steering // nil: nothing is tailored
	Challenges []Challenge
}

// Challenge is a TXT set beside those of the zone file: of ACME's DNS-01 (RFC
// 8555, section 8.4).
type Challenge struct {
	Name   string
	Values []string // at most 255 bytes each
}

// Nonces takes what was asked under probe names.
type Nonces interface {
	// TakeNonces takes a batch, which is its own from then on. What it does not
	// take, it returns an error for; the batch is then dropped.
	TakeNonces(ctx context.Context, batch []edge.Asked) error
}
