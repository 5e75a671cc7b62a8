package synth

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Job is what one slot does next: a pause, a look at who answers, on some
// turns a burst of full-size packets, and a slow download.
type Job struct {
	Route  Route
	Pause  time.Duration
	Length time.Duration // of the slow download
	Big    bool
}

// planner deals out jobs. Their sequence depends on the seed and the routes
// alone: routes over VIPs and controls take turns, each in rounds in which
// every route comes once, in an order that is drawn anew. Safe for concurrent
// use.
type planner struct {
	cfg *Config

	mu      sync.Mutex
	rand    *rand.Rand
	turn    uint64
	decks   [2]deck[Route] // anycast, control
	ladder  deck[time.Duration]
	changed chan struct{} // closed when there are other routes
}

func newPlanner(cfg *Config) *planner {
	return &planner{
		cfg: cfg, rand: rand.New(rand.NewPCG(cfg.Seed, 0)),
		ladder:  deck[time.Duration]{cards: cfg.Ladder},
		changed: make(chan struct{}),
	}
}

// set replaces the routes.
func (p *planner) set(anycast, control []Route) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.decks = [2]deck[Route]{{cards: anycast}, {cards: control}}
	close(p.changed)
	p.changed = make(chan struct{})
}

// next returns the next job, or a channel that is closed once there may be one.
func (p *planner) next() (j Job, ok bool, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := &p.decks[p.turn%2]
	if len(d.cards) == 0 {
		d = &p.decks[(p.turn+1)%2]
	}
	if len(d.cards) == 0 {
		return Job{}, false, p.changed
	}
	p.turn++
	j.Route = d.draw(p.rand)
	// Half of the downloads have the usual length, so that it is known best;
	// the others climb the ladder, for the rate per minute of connection.
	j.Length = p.cfg.Length
	if p.rand.IntN(2) == 0 {
		j.Length = p.ladder.draw(p.rand)
	}
	j.Pause = jitter(p.rand, p.cfg.Pause)
	j.Big = p.cfg.BigEvery > 0 && p.rand.IntN(p.cfg.BigEvery) == 0
	return j, true, nil
}

// offset is when a slot begins: spread over one usual length, so that
// downloads neither begin nor end together.
func (p *planner) offset(slot int) time.Duration {
	return p.cfg.Length * time.Duration(slot) / time.Duration(p.cfg.Concurrency)
}

// jitter draws from half of d to one and a half.
func jitter(r *rand.Rand, d time.Duration) time.Duration {
	return d/2 + time.Duration(r.Int64N(int64(d)+1))
}

// deck deals its cards in shuffled rounds.
type deck[T any] struct {
	cards []T
	order []int // of this round, what is left of it
}

func (d *deck[T]) draw(r *rand.Rand) T {
	if len(d.order) == 0 {
		d.order = r.Perm(len(d.cards))
	}
	i := d.order[0]
	d.order = d.order[1:]
	return d.cards[i]
}
