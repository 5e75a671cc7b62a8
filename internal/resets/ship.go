package resets

import (
	"context"
	"crypto/rand"
	"net/http"
	"time"

	"catchment/internal/edge"
)

// openFlows lists the connections that are open at this machine.
type openFlows interface {
	each(use func(f flow, unheard bool)) error
	Close() error
}

// shipper hands in what was counted, and answers what the control node asks.
type shipper struct {
	*Watcher
	tally   *tally
	session string // drawn at the start
	seq     uint64
	pending *edge.Resets    // not taken yet by the control node
	tries   int             // to hand it in
	found   []edge.OpenFlow // of what was asked for last
	failing bool
}

func newShipper(w *Watcher, t *tally) *shipper {
	return &shipper{Watcher: w, tally: t, session: rand.Text()}
}

func (s *shipper) run(ctx context.Context) {
	tick := time.NewTicker(s.cfg.Every)
	defer tick.Stop()
	for {
		s.ship(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ship hands in one batch: the one before, if that failed. While batches fail
// the tally goes on counting, in the room it has.
func (s *shipper) ship(ctx context.Context) {
	b := s.pending
	if b == nil {
		b = s.tally.take(time.Now())
		s.seq++
		b.PoP, b.Method, b.Run, b.Seq, b.Open = s.cfg.PoP, s.Status().Method, s.session, s.seq, s.found
		s.metrics.count(b)
		s.found = nil
	}
	if s.to == nil {
		return
	}
	var answer edge.ResetsAnswer
	err := s.to.Call(ctx, http.MethodPost, "/v1/resets", b, &answer)
	if ctx.Err() != nil {
		return
	}
	s.note(err)
	if err != nil {
		s.pending = b
		if s.tries++; s.tries == mostTries {
			s.drop()
		}
		return
	}
	s.pending, s.tries = nil, 0
	s.tally.setKeys(answer.Keys, edge.DayOf(time.Now()))
	s.answer(answer.Ask)
}

// mostTries is how often a batch is handed in, 5 min by default: it may be one
// that the control node cannot read.
const mostTries = 100

// drop gives up a batch; that much is told with the next.
func (s *shipper) drop() {
	for _, r := range s.pending.Resets {
		s.tally.lose(r.Count)
	}
	s.tally.lose(s.pending.Overflow)
	s.pending, s.tries = nil, 0
}

// answer looks up which of the connections asked for are open here.
func (s *shipper) answer(asks []edge.AskFlows) {
	type asked struct {
		key  edge.FlowBits
		want map[edge.FlowHash]bool
	}
	days := map[edge.Day]asked{}
	n := 0
	for _, a := range asks {
		key, ok := s.tally.key(a.Day)
		if n += len(a.Flows); !ok || n > edge.MaxOpenFlows {
			continue
		}
		want := map[edge.FlowHash]bool{}
		for _, h := range a.Flows {
			want[h] = true
		}
		days[a.Day] = asked{key, want}
	}
	if len(days) == 0 || s.lister == nil {
		return
	}
	err := s.lister.each(func(f flow, unheard bool) {
		vip, ok := s.tally.vip(f.vip.Addr())
		if !ok || len(s.found) == edge.MaxOpenFlows {
			return
		}
		for day, a := range days {
			if h := f.hash(a.key); a.want[h] {
				s.found = append(s.found, edge.OpenFlow{Flow: h, Key: day, VIP: vip, Client: s.tally.prefix(f.client.Addr()), Unheard: unheard})
			}
		}
	})
	if err != nil {
		s.log.Warn("connections not listed", "error", err)
	}
}

// note counts and logs how handing in goes.
func (s *shipper) note(err error) {
	s.metrics.sent(err)
	switch {
	case err != nil && !s.failing:
		s.log.Error("resets not handed in", "error", err)
	case err == nil && s.failing:
		s.log.Info("resets handed in again")
	}
	s.failing = err != nil
}
