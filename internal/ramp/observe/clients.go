package observe

import (
	"net/netip"
	"time"

	"catchment/internal/edge"
)

// Clients remembers by which addresses DNS steered the clients of a prefix in
// the last day or two. It leads from what is known of clients by their own
// addresses to their arms, without a guess: whose page loads did not tell is
// not known. Not for concurrent use.
type Clients struct {
	keep        edge.Granule
	began       time.Time         // of now
	now, before map[uint64]client // two generations, so that what is old goes
}

// client is a client prefix.
type client struct {
	steered [maxSteered]netip.Prefix // those that are valid, in order of appearance
	network uint32
	many    bool // there were more
}

const (
	// maxSteered is how many addresses of resolvers, or ECS prefixes, are
	// remembered of one client prefix; whose users ask more is not known.
	maxSteered = 4

	// A generation has so many client prefixes, some 125 MB, of a day at most.
	maxClients = 1 << 20
	generation = 24 * time.Hour
)

// NewClients returns an empty memory; keep is as for New.
func NewClients(keep edge.Granule) *Clients {
	return &Clients{keep: orDefault(keep), now: map[uint64]client{}}
}

// Learn takes up a page load. It keeps nothing of l.
func (c *Clients) Learn(l *edge.PageLoad) {
	steered, _ := steeredBy(l, c.keep)
	if !steered.IsValid() {
		return
	}
	x, ok := c.now[l.Client]
	if !ok && len(c.now) >= maxClients || l.At.Sub(c.began) > generation {
		c.began, c.now, c.before = l.At, map[uint64]client{}, c.now
		x = client{}
	}
	x.network = l.ASN
	x.add(steered)
	c.now[l.Client] = x
}

func (x *client) add(steered netip.Prefix) {
	for i, p := range x.steered {
		if p == steered || !p.IsValid() {
			x.steered[i] = steered
			return
		}
	}
	x.many = true
}

// find returns the addresses by which clients of a prefix were steered.
func (c *Clients) find(p netip.Prefix) (x client, ok bool) {
	bits := c.keep.V4
	if p.Addr().Is6() {
		bits = c.keep.V6
	}
	key := edge.PrefixKey(netip.PrefixFrom(p.Addr(), min(bits, p.Bits())).Masked())
	x, ok = c.now[key]
	old, was := c.before[key]
	if !ok {
		return old, was
	}
	for _, steered := range old.steered {
		if steered.IsValid() {
			x.add(steered)
		}
	}
	x.many = x.many || old.many
	return x, true
}
