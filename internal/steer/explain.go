package steer

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"catchment/internal/edge"
)

// ErrUnknownService is the error of Explain for a name that is not steered.
var ErrUnknownService = errors.New("steer: there is no such service")

// Query is what to explain.
type Query struct {
	Service  string
	Client   netip.Addr // from ECS; not valid: there was none, the resolver stands for its clients
	Resolver netip.Addr // may be left out
}

// Explanation is how an answer came about.
type Explanation struct {
	Service  string        `json:"service"`
	Scheme   edge.Scheme   `json:"scheme"`   // the service's own
	FullTTL  time.Duration `json:"full_ttl"` // the service's own; Answer has what is answered
	Client   netip.Addr    `json:"client"`   // that it was decided for
	Resolver netip.Addr    `json:"resolver,omitzero"`
	ByECS    bool          `json:"by_ecs"` // the client is not the resolver

	Place  edge.Place    `json:"place"`            // city and network names are not kept
	Known  netip.Prefix  `json:"known,omitzero"`   // that the place is known of; not valid: the address lies in a gap
	Region edge.RegionID `json:"region,omitempty"` // that serves the place; empty: none

	FailOpen string `json:"fail_open,omitempty"` // why health or drains are disregarded; empty: they are not
	Changing string `json:"changing,omitempty"`  // PoPs whose health has just changed, which is why the TTL is short

	Cell       edge.CellKey `json:"cell,omitzero"` // where RTTs were measured; zero: nowhere near
	Candidates []Candidate  `json:"candidates"`    // nearest first
	Observed   []Observed   `json:"observed,omitempty"`
	Forks      []Fork       `json:"forks,omitempty"` // the hashes that were asked, in order
	Why        []string     `json:"why"`             // the steps to the answer, in order

	Index  uint32       `json:"index"`
	Answer Answer       `json:"answer"`
	Scope  netip.Prefix `json:"scope"` // every address in it has this answer
}

// Candidate is a PoP, seen from the client's place.
type Candidate struct {
	PoP     edge.PoPID `json:"pop"`
	RTT     float64    `json:"rtt,omitempty"` // ms; 0: not measured, or not by enough probes
	Samples int        `json:"samples,omitempty"`
	Km      float64    `json:"km"`             // −1 where coordinates are missing
	Weight  float64    `json:"weight"`         // of the service; 1 where it has none
	Shed    float64    `json:"shed,omitempty"` // share that it gives up
	Out     string     `json:"out,omitempty"`  // why it gets no clients; empty: it may
}

// Observed is the PoP that most clients of a cell reach under an anycast
// scheme; only of PoPs that are drained or shed is it looked at.
type Observed struct {
	Scheme edge.Scheme  `json:"scheme"`
	PoP    edge.PoPID   `json:"pop"`
	Cell   edge.CellKey `json:"cell,omitzero"`
}

// Fork is one hash that was asked.
type Fork struct {
	What   string       `json:"what"`   // "ramp us-global"
	Prefix netip.Prefix `json:"prefix"` // that was hashed
	Bucket int          `json:"bucket"` // of 10000
	Below  int          `json:"below"`  // the mark
	Taken  bool         `json:"taken"`  // Bucket is below it
}

// noter is the walk that goes one client's way and takes notes.
type noter struct {
	key    key
	family int
	to     *Explanation
}

func (n *noter) fork(f fork, what string, yes, no func() ref) ref {
	granule := f.granule[n.family]
	b := bucket(f.salt, n.key, granule, n.family)
	taken := b < f.below
	than := "not below"
	if taken {
		than = "below"
	}
	prefix := prefixOf(n.key, int(granule), n.family)
	n.to.Forks = append(n.to.Forks, Fork{what, prefix, int(b), int(f.below), taken})
	n.say("%s: %v has bucket %d of %d, %s %d", what, prefix, b, buckets, than, f.below)
	if taken {
		return yes()
	}
	return no()
}

func (n *noter) say(format string, args ...any) {
	n.to.Why = append(n.to.Why, fmt.Sprintf(format, args...))
}

// Explain tells how an answer comes about. It takes the same way as Compile
// did, for one client; the error is ErrUnknownService.
func (p *Plan) Explain(q Query) (Explanation, error) {
	i := slices.IndexFunc(p.services, func(s *Service) bool { return s.name == q.Service })
	if i < 0 {
		return Explanation{}, fmt.Errorf("%w: %q", ErrUnknownService, q.Service)
	}
	return p.services[i].Explain(q.Client, q.Resolver), nil
}

// Explain is Plan.Explain for this service.
func (s *Service) Explain(client, resolver netip.Addr) Explanation {
	p := s.rules.plan
	x := Explanation{
		Service: s.name, Scheme: s.scheme, FullTTL: s.fullTTL,
		Client: client.Unmap().WithZone(""), Resolver: resolver.Unmap().WithZone(""), ByECS: client.IsValid(),
		FailOpen: p.fleet.opened, Changing: p.fleet.changing,
	}
	if !client.IsValid() {
		x.Client = x.Resolver
	}
	k, f := keyOf(x.Client)
	run := p.space[f].places[at(p.space[f].places, k)]
	x.Place = p.places[run.value]
	if run.bits != noPrefix {
		x.Known = prefixOf(k, int(run.bits), f)
	}
	c := p.classifier.own()
	facts := c.facts(run.value, f)
	facts.pins = p.space[f].pins[at(p.space[f].pins, k)].value
	facts.networkPins = s.rules.pins.asn[x.Place.ASN]
	if facts.region != none {
		x.Region = p.fleet.regions[facts.region].ID
	}
	s.explainCandidates(c, &x, f)
	for _, scheme := range []edge.Scheme{edge.Global, edge.Regional} {
		if pop, cell := c.observedAt(&x.Place, f, scheme); pop != none {
			x.Observed = append(x.Observed, Observed{scheme, p.fleet.pops[pop].ID, cell})
		}
	}
	x.Index = uint32(s.rules.decide(&noter{k, f, &x}, c.lists.client(facts), s.pinned.pin(x.Resolver)))
	x.Answer = s.answers[x.Index]
	_, scope := s.LookupVia(x.Resolver, x.Client)
	x.Scope = prefixOf(k, int(scope), f)
	return x
}

func (s *Service) explainCandidates(c *classifier, x *Explanation, family int) {
	p := s.rules.plan
	distances := make([]distance, len(p.fleet.pops))
	x.Cell = c.distancesTo(&x.Place, family, distances)
	order := make([]int, len(distances))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case distances[a].less(distances[b]):
			return -1
		case distances[b].less(distances[a]):
			return 1
		}
		return 0
	})
	for _, i := range order {
		pop := &p.fleet.pops[i]
		d := Candidate{PoP: pop.ID, Km: -1, Weight: 1, Out: s.out(i)}
		if x.Place.HasCoord() && pop.Place.HasCoord() {
			d.Km = edge.DistanceKm(x.Place, pop.Place)
		}
		if distances[i].how == measured {
			d.RTT = distances[i].x
			d.Samples = p.samples(x.Cell, pop.ID)
		}
		if s.rules.weights != nil {
			d.Weight = s.rules.weights[i]
		}
		if pop.shed != nil {
			d.Shed = pop.shed.Share
		}
		x.Candidates = append(x.Candidates, d)
	}
}

// out says why a PoP gets no clients by its own address.
func (s *Service) out(i int) string {
	pop := &s.rules.plan.fleet.pops[i]
	switch {
	case pop.drain != nil:
		return because("drained", pop.drain.Why)
	case pop.down:
		return because("down", pop.health.Why)
	case len(pop.Unicast) == 0:
		return "no address of its own"
	}
	return ""
}

func because(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

func (p *Plan) samples(cell edge.CellKey, pop edge.PoPID) int {
	n := 0
	for i := range p.snapshot.Orders {
		if p.snapshot.Orders[i].CellKey != cell {
			continue
		}
		for _, l := range p.snapshot.Orders[i].PoPs {
			if l.PoP == pop {
				n = l.Samples
			}
		}
	}
	return n
}
