package dash

import (
	"cmp"
	"context"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// question is what a request asks for. Two with the same key have the same
// answer of the same figures.
type question struct {
	key    string
	answer func(ctx context.Context, f *figures) (*answer, *refusal)
	// version rises when something else than figures has changed; nil: nothing
	// else counts.
	version func() int
}

func (q *question) versionNow() int {
	if q.version == nil {
		return 0
	}
	return q.version()
}

// answer is the body of a page's figures.
type answer struct {
	standing standing
	rest     []byte // JSON members after the standing's, each with a comma before it
	csv      []byte // instead
}

// answers keeps answers that were made, for as long as their figures are the
// latest, or so young that nobody could tell.
type answers struct {
	now  func() time.Time
	busy chan struct{} // room for as many computations as there are processors

	mu  sync.Mutex
	all map[string]*kept
}

type kept struct {
	question
	used time.Time                // guarded by answers.mu
	mu   sync.Mutex               // while it is made
	last atomic.Pointer[answered] // nil: it was not made yet
}

// answered is an answer with what it was made of.
type answered struct {
	is      *answer
	refused *refusal

	generation uint64
	version    int
	trouble    string
	whole      bool // of all days
	made       time.Time
}

const (
	// young is how old figures may be though there are later ones: with the time
	// between two looks at the store and the making of an answer that stays
	// under a minute.
	young = 30 * time.Second
	// wanted is how long an answer is prepared anew after it was last asked for.
	wanted = 15 * time.Minute

	maxAnswers     = 500
	maxAnswerBytes = 64 << 20
)

func newAnswers(now func() time.Time) *answers {
	return &answers{now: now, busy: make(chan struct{}, runtime.GOMAXPROCS(0)), all: map[string]*kept{}}
}

// get answers a question from the figures of now. Made is when the figures of
// the answer were taken.
func (a *answers) get(ctx context.Context, q *question, f *figures) (is *answer, made time.Time, refused *refusal) {
	a.mu.Lock()
	k := a.all[q.key]
	if k == nil {
		a.drop()
		k = &kept{question: *q}
		a.all[q.key] = k
	}
	k.used = a.now()
	a.mu.Unlock()
	x := k.last.Load()
	if !k.good(x, f, a.now()) {
		k.mu.Lock()
		defer k.mu.Unlock()
		if x = k.last.Load(); !k.good(x, f, a.now()) { // nobody else made it meanwhile
			var err error
			if x, err = a.make(ctx, k, f); err != nil {
				return nil, made, refuse(http.StatusServiceUnavailable, "", "the request was given up: %v", err)
			}
		}
	}
	if x.generation == f.generation {
		return x.is, f.made, x.refused
	}
	return x.is, x.made, x.refused
}

// good reports whether x answers k from f.
func (k *kept) good(x *answered, f *figures, now time.Time) bool {
	switch {
	case x == nil || x.version != k.versionNow():
		return false
	case x.generation == f.generation:
		return true
	}
	return x.whole && f.waiting == 0 && x.trouble == f.trouble && now.Sub(x.made) < young
}

// make makes the answer. The caller holds k.mu.
func (a *answers) make(ctx context.Context, k *kept, f *figures) (*answered, error) {
	select {
	case a.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-a.busy }()
	x := &answered{generation: f.generation, version: k.versionNow(), trouble: f.trouble, whole: f.waiting == 0, made: f.made}
	x.is, x.refused = k.answer(ctx, f)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k.last.Store(x)
	return x, nil
}

// drop makes room for one more. The caller holds a.mu.
func (a *answers) drop() {
	bytes := 0
	list := make([]*kept, 0, len(a.all))
	for _, k := range a.all {
		list = append(list, k)
	}
	slices.SortFunc(list, func(x, y *kept) int { return y.used.Compare(x.used) })
	for i, k := range list {
		if x := k.last.Load(); x != nil && x.is != nil {
			bytes += len(x.is.rest) + len(x.is.csv)
		}
		if i+1 >= maxAnswers || bytes > maxAnswerBytes {
			delete(a.all, k.key)
		}
	}
}

// prepare makes answers anew that were asked for lately and would be too old
// before the next time, the oldest first, for at most half of the time. It returns how
// many.
func (a *answers) prepare(ctx context.Context, now func() *figures, every time.Duration) (n int) {
	type due struct {
		*kept
		made time.Time
	}
	begin := time.Now()
	var list []due
	a.mu.Lock()
	for _, k := range a.all {
		if x := k.last.Load(); x != nil && a.now().Sub(k.used) < wanted && x.generation != now().generation && a.now().Sub(x.made)+2*every > young {
			list = append(list, due{k, x.made})
		}
	}
	a.mu.Unlock()
	slices.SortFunc(list, func(x, y due) int { return cmp.Or(x.made.Compare(y.made), cmp.Compare(x.key, y.key)) })
	for _, k := range list {
		if ctx.Err() != nil || time.Since(begin) > every/2 { // the rest of the time is for others
			return n
		}
		k.mu.Lock()
		if f := now(); k.last.Load().generation != f.generation {
			if _, err := a.make(ctx, k.kept, f); err == nil {
				n++
			}
		}
		k.mu.Unlock()
	}
	return n
}
