package health

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"catchment/internal/edge"
)

// checks are the health checks of one PoP, running.
type checks struct {
	log     *slog.Logger
	groups  []edge.HealthGroup
	changed chan<- struct{}
	tell    func(check string, err error) // every result; nil: nobody asks

	mu  sync.Mutex
	all []check // guarded by mu
}

type check struct {
	edge.HealthCheck
	streak streak
	why    string // of the last failure
}

func newChecks(p *edge.PoP, log *slog.Logger, changed chan<- struct{}, tell func(string, error)) *checks {
	c := &checks{log: log, groups: p.HealthGroups, changed: changed, tell: tell}
	for _, h := range p.Health {
		if h.Every <= 0 { // a snapshot that lacks it
			h.Every = time.Second
		}
		if h.Timeout <= 0 || h.Timeout >= h.Every {
			h.Timeout = h.Every / 2
		}
		c.all = append(c.all, check{HealthCheck: h, streak: streak{rise: h.Rise, fall: h.Fall, state: edge.Unknown}})
	}
	return c
}

// run checks until ctx is done.
func (c *checks) run(ctx context.Context) {
	var all sync.WaitGroup
	for i := range c.all {
		all.Go(func() { c.repeat(ctx, i) })
	}
	all.Wait()
}

// repeat tries a check at once and then once each period, somewhere in its
// last tenth: so that checks of many machines do not keep in step on what they
// have in common. A check's timeout is below its period, so none is late.
func (c *checks) repeat(ctx context.Context, i int) {
	h := &c.all[i].HealthCheck
	try := newTry(h)
	for {
		next := time.NewTimer(h.Every - rand.N(max(1, h.Every/10)))
		err := try(ctx)
		if ctx.Err() != nil {
			next.Stop()
			return
		}
		if c.tell != nil {
			c.tell(h.Name, err)
		}
		c.note(i, err)
		select {
		case <-ctx.Done():
			next.Stop()
			return
		case <-next.C:
		}
	}
}

func (c *checks) note(i int, err error) {
	c.mu.Lock()
	x := &c.all[i]
	if err != nil {
		x.why = shorten(err)
	}
	changed, state := x.streak.note(err == nil), x.streak.state
	c.mu.Unlock()
	if !changed {
		return
	}
	if err != nil {
		c.log.Warn("health check changed", "check", x.Name, "state", string(state), "error", err)
	} else {
		c.log.Info("health check changed", "check", x.Name, "state", string(state))
	}
	select {
	case c.changed <- struct{}{}:
	default: // a report is due anyway
	}
}

// state is down if any group is, or any check that is in none; else unknown
// while any has not decided, else up. Without checks a PoP counts as up.
func (c *checks) state() (state edge.HealthState, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	state = edge.Up
	grouped := map[string]bool{}
	judge := func(s edge.HealthState, because string) {
		if s == edge.Down && state != edge.Down || s == edge.Unknown && state == edge.Up {
			state, why = s, because
		}
	}
	for _, g := range c.groups {
		for _, name := range g.Checks {
			grouped[name] = true
		}
		judge(c.group(g))
	}
	for i := range c.all {
		if x := &c.all[i]; !grouped[x.Name] {
			judge(x.streak.state, x.words())
		}
	}
	return state, why
}

// group is down if too many checks are for the others ever to be enough.
func (c *checks) group(g edge.HealthGroup) (state edge.HealthState, why string) {
	need := g.Need
	if need == 0 {
		need = len(g.Checks)
	}
	up, decided := 0, 0
	for _, name := range g.Checks {
		for i := range c.all {
			x := &c.all[i]
			if x.Name != name {
				continue
			}
			switch x.streak.state {
			case edge.Up:
				up++
				decided++
			case edge.Down:
				decided++
				why = x.words()
			}
		}
	}
	switch {
	case up >= need:
		return edge.Up, ""
	case len(g.Checks)-decided+up >= need:
		return edge.Unknown, "the checks of " + g.ID + " have not been made often enough"
	}
	return edge.Down, fmt.Sprintf("%s: %d of %d checks are up, want %d: %s", g.ID, up, len(g.Checks), need, why)
}

// words say why the check is not up.
func (x *check) words() string {
	if x.streak.state == edge.Down {
		return x.Name + ": " + x.why
	}
	return x.Name + " has not been checked often enough"
}
