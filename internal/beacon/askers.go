package beacon

import (
	"net/netip"
	"sync"
	"time"

	"catchment/internal/edge"
)

// How long it is remembered who asked for the names of a plan. A beacon comes
// seconds after its names were asked for, and minutes later where the page
// went on for so long.
const askersKept = 10 * time.Minute

// askersMost is how many plans are remembered, those younger than askersKept
// and those of up to as long before: 80 MiB with all of them (BenchmarkAskers).
// It is 870 page views a second for as long as they have to be kept.
const askersMost = 1 << 20

// askers remembers, for the plan of every page view, who asked our name
// servers for its probe names, until the beacon comes. It holds two
// generations and forgets the older one whole, so that an entry lives for one
// to two times askersKept, less if there are too many. Safe for concurrent use.
type askers struct {
	mu            sync.Mutex
	young, old    map[seed]asker
	since         time.Time // when the young generation began
	most          int       // in a generation
	forgottenSoon func(int) // is told of plans that were forgotten before askersKept
}

// asker is who asked, in a form without pointers: a map of it costs the
// garbage collector nothing.
type asker struct {
	at       uint32 // Unix time, s
	rank     uint8  // how much the query says of steering
	resolver packedPrefix
	client   packedPrefix // zero: no ECS
}

// Ranks of queries. The report on resolvers is about unicast, which is steered
// by who asks; any other name will do where that one was never asked for.
const (
	rankOther = 1 + iota
	rankUnicast
)

func rankOf(label string) uint8 {
	if label == string(edge.Unicast) {
		return rankUnicast
	}
	return rankOther
}

// betterThan reports whether a says more than b: of queries alike, the first one
// was the resolver's that the browser asked, and later ones are retries,
// prefetches or somebody who read the name.
func (a asker) betterThan(b asker) bool {
	return a.rank > b.rank || a.rank == b.rank && a.at < b.at
}

func newAskers(most int, forgottenSoon func(int)) *askers {
	return &askers{
		young: map[seed]asker{}, most: most / 2, forgottenSoon: forgottenSoon,
	}
}

// wants reports whether note would keep x.
func (t *askers) wants(s seed, x asker) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, ok := t.find(s)
	return !ok || x.betterThan(known)
}

// note remembers x unless something better is known of the plan, and reports
// whether it does.
func (t *askers) note(s seed, x asker, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, ok := t.find(s); ok && !x.betterThan(known) {
		return false
	}
	if age := now.Sub(t.since); age >= askersKept || len(t.young) >= t.most {
		if age < askersKept && len(t.old) > 0 {
			t.forgottenSoon(len(t.old))
		}
		if age >= 2*askersKept {
			t.young = nil // even the last of these is too old
		}
		t.young, t.old, t.since = map[seed]asker{}, t.young, now
	}
	t.young[s] = x
	return true
}

// of returns who asked for the names of a plan; zero is not known.
func (t *askers) of(s seed) edge.Resolver {
	t.mu.Lock()
	x, ok := t.find(s)
	t.mu.Unlock()
	if !ok {
		return edge.Resolver{}
	}
	return edge.Resolver{Addr: x.resolver.prefix(), ECS: x.client.prefix()}
}

func (t *askers) find(s seed) (asker, bool) {
	x, ok := t.young[s]
	if !ok {
		x, ok = t.old[s]
	}
	return x, ok
}

// packedPrefix is the first 48 bits of an address, and how many of them count;
// the highest bit of that is set for IPv6. Zero is no prefix.
type packedPrefix struct {
	bits [6]byte
	n    uint8
}

const packedV6 = 0x80

// pack returns p, which has at most 24 or 48 bits. One of no bits is none.
func pack(p netip.Prefix) (x packedPrefix) {
	a := p.Addr()
	switch {
	case p.Bits() <= 0:
	case a.Is4():
		b := a.As4()
		copy(x.bits[:], b[:3])
		x.n = uint8(p.Bits())
	default:
		b := a.As16()
		copy(x.bits[:], b[:6])
		x.n = uint8(p.Bits()) | packedV6
	}
	return x
}

func (x packedPrefix) prefix() netip.Prefix {
	switch {
	case x.n == 0:
		return netip.Prefix{}
	case x.n&packedV6 == 0:
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(x.bits[:4])), int(x.n))
	}
	var b [16]byte
	copy(b[:], x.bits[:])
	return netip.PrefixFrom(netip.AddrFrom16(b), int(x.n&^packedV6))
}
