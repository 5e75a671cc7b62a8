package resets

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"catchment/internal/edge"
)

// tally counts events by client prefix and VIP until they are handed in. Its
// memory is bounded, whatever is sent to the machine: what there is no room
// for is only counted.
type tally struct {
	keepV4, keepV6 int
	trusted        time.Time // resets before are in doubt

	mu       sync.Mutex
	vips     map[netip.Addr]edge.VIPID
	keys     map[edge.Day]edge.FlowBits
	since    time.Time
	rows     map[row]*count
	overflow uint64
	scanners scanners
}

// row is what events are counted by.
type row struct {
	kind   edge.ResetKind
	doubt  edge.ResetDoubt
	vip    edge.VIPID
	client netip.Prefix
}

type count struct {
	n           uint64
	first, last time.Time
	flows       []edge.FlowHash
}

func newTally(cfg *Config, now time.Time) *tally {
	return &tally{
		keepV4: cfg.KeepV4, keepV6: cfg.KeepV6, trusted: now.Add(cfg.Warmup), since: now,
		rows: map[row]*count{}, scanners: scanners{}, keys: map[edge.Day]edge.FlowBits{},
	}
}

// setVIPs replaces the addresses that matter.
func (t *tally) setVIPs(vips map[netip.Addr]edge.VIPID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.vips = vips
}

// vip returns whose address a is.
func (t *tally) vip(a netip.Addr) (edge.VIPID, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	id, ok := t.vips[a]
	return id, ok
}

// setKeys adds keys, and forgets those of days long past.
func (t *tally) setKeys(keys []edge.FlowKey, today edge.Day) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range keys {
		if k.Day >= today-1 && k.Day <= today+2 { // clocks differ
			t.keys[k.Day] = k.Key
		}
	}
	for day := range t.keys {
		if day < today-1 || day > today+2 {
			delete(t.keys, day)
		}
	}
}

// key returns the key of a day.
func (t *tally) key(day edge.Day) (edge.FlowBits, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k, ok := t.keys[day]
	return k, ok
}

// prefix is what is kept of a client's address.
func (t *tally) prefix(a netip.Addr) netip.Prefix {
	bits := t.keepV6
	if a.Is4() {
		bits = t.keepV4
	}
	p, _ := a.Prefix(bits)
	return p
}

// add counts an event.
func (t *tally) add(e *event, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.what == excess {
		t.count(row{kind: edge.Excess}, e.n, now)
		return
	}
	vip, ok := t.vips[e.flow.vip.Addr()]
	if !ok {
		return
	}
	r := row{kind: edge.MidFlow, vip: vip, client: t.prefix(e.flow.client.Addr())}
	switch {
	case e.what == closedPort:
		t.scanners.note(r.client, e.flow.vip.Port(), now)
		return
	case e.what == timedOut:
		r.kind = edge.TimedOut
	case e.crafted():
		r.doubt = edge.DoubtScan
	case e.recent:
		r.doubt = edge.DoubtClosed
	case now.Before(t.trusted):
		r.doubt = edge.DoubtStart
	}
	c := t.count(r, 1, now)
	if c == nil || len(c.flows) == edge.MaxResetFlows {
		return
	}
	if key, ok := t.keys[edge.DayOf(t.since)]; ok {
		if h := e.flow.hash(key); !slices.Contains(c.flows, h) {
			c.flows = append(c.flows, h)
		}
	}
}

func (t *tally) count(r row, n uint64, now time.Time) *count {
	c := t.rows[r]
	if c == nil {
		if len(t.rows) == edge.MaxResets {
			t.overflow += n
			return nil
		}
		c = &count{first: now}
		t.rows[r] = c
	}
	c.n += n
	c.last = now
	return c
}

// lose counts events that a source had no room for.
func (t *tally) lose(n uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.overflow += n
}

// take returns what was counted since the last time, and starts anew. Those
// who turned out to be scanners only later are so for all of it.
func (t *tally) take(now time.Time) *edge.Resets {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := &edge.Resets{From: t.since.UTC(), Until: now.UTC(), Overflow: t.overflow}
	if _, ok := t.keys[edge.DayOf(t.since)]; ok {
		b.Key = edge.DayOf(t.since)
	}
	for r, c := range t.rows {
		if r.kind == edge.MidFlow && t.scanners.is(r.client) {
			r.doubt = edge.DoubtScan
		}
		b.Resets = append(b.Resets, edge.Reset{
			Kind: r.kind, Doubt: r.doubt, VIP: r.vip, Client: r.client,
			Count: c.n, First: c.first.UTC(), Last: c.last.UTC(), Flows: c.flows,
		})
	}
	slices.SortFunc(b.Resets, func(a, b edge.Reset) int { return a.First.Compare(b.First) })
	clear(t.rows)
	t.scanners.forget(now)
	t.overflow, t.since = 0, now
	return b
}
