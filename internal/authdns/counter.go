package authdns

import (
	"sync"
	"sync/atomic"
)

// counterShards spread what many cores count, so that they do not wait for one
// cache line.
const counterShards = 8

// counter counts from all answerers.
type counter [counterShards]struct {
	n atomic.Uint64
	_ [56]byte
}

func (c *counter) add(shard uint8) { c[shard%counterShards].n.Add(1) }

func (c *counter) sum() (total uint64) {
	for i := range c {
		total += c[i].n.Load()
	}
	return total
}

// tailoredLabel names an answer in metrics.
type tailoredLabel struct{ name, answer string }

// given holds what tailored answers are counted by, across snapshots.
type given struct {
	mu       sync.Mutex
	counters map[tailoredLabel]*counter
}

// attach gives the answers of a new snapshot their counters: those that they
// had before.
func (g *given) attach(snap *snapshot) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.counters == nil {
		g.counters = map[tailoredLabel]*counter{}
	}
	for i := range snap.tailored {
		t := &snap.tailored[i]
		for a := range t.answers {
			at := tailoredLabel{t.Name, t.Answers[a].Label}
			if g.counters[at] == nil {
				g.counters[at] = &counter{}
			}
			t.answers[a].given = g.counters[at]
		}
	}
}

// all calls f with each count.
func (g *given) all(f func(at tailoredLabel, count uint64)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for at, c := range g.counters {
		f(at, c.sum())
	}
}
