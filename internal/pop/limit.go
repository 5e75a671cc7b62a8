package pop

import (
	"net/netip"
	"sync"
	"time"
)

// prefixOf returns the client prefix of a: its /24 or /48.
func prefixOf(a netip.Addr) netip.Prefix {
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits) // the zero Prefix for the zero Addr: one prefix too
	return p
}

// Why a gate stays shut.
const (
	fullTotal  = "total"
	fullPrefix = "prefix"
)

// gate bounds how many things are under way, in all and for each client
// prefix. Its memory is bounded by the first.
type gate struct {
	total, perPrefix int

	mu     sync.Mutex
	n      int
	active map[netip.Prefix]int
}

func newGate(total, perPrefix int) *gate {
	return &gate{total: total, perPrefix: perPrefix, active: map[netip.Prefix]int{}}
}

// enter counts one more for p and returns "", or says what is full.
func (g *gate) enter(p netip.Prefix) (full string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.n >= g.total:
		return fullTotal
	case g.active[p] >= g.perPrefix:
		return fullPrefix
	}
	g.n++
	g.active[p]++
	return ""
}

func (g *gate) leave(p netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	if g.active[p]--; g.active[p] == 0 {
		delete(g.active, p)
	}
}

// maxSpenders bounds the memory of a budget, about 5 MB. Who comes after that
// many others within one window is refused.
const maxSpenders = 1 << 16

// budget bounds the bytes that each client prefix may ask for in a window of
// time. All windows begin together, which lets the whole table be dropped.
type budget struct {
	limit  int64
	window time.Duration

	mu    sync.Mutex
	ends  time.Time
	spent map[netip.Prefix]int64
}

func newBudget(limit int64, window time.Duration) *budget {
	return &budget{limit: limit, window: window, spent: map[netip.Prefix]int64{}}
}

// spend takes n bytes from the budget of p. If there is not enough it takes
// nothing and returns how long to wait, else 0.
func (b *budget) spend(now time.Time, p netip.Prefix, n int64) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !now.Before(b.ends) {
		b.ends = now.Add(b.window)
		clear(b.spent)
	}
	already, known := b.spent[p]
	if already+n > b.limit || !known && len(b.spent) >= maxSpenders {
		return b.ends.Sub(now)
	}
	b.spent[p] = already + n
	return 0
}
