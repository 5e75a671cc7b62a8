package synth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"catchment/internal/edge"
)

// slot works off jobs, the first one after offset, until ctx is done. One that
// fails early keeps its slot until it would have ended, or for a usual length:
// a PoP in trouble is not asked more often than one that works.
func (a *Agent) slot(ctx context.Context, offset time.Duration) {
	if !sleep(ctx, offset) {
		return
	}
	for {
		j, ok, changed := a.plan.next()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-changed:
				continue
			}
		}
		if !sleep(ctx, j.Pause) {
			return
		}
		begin := time.Now()
		a.look(ctx, j.Route)
		if j.Big {
			a.big(ctx, j.Route)
		}
		a.slow(ctx, j.Route, j.Length)
		if !sleep(ctx, min(j.Length, a.cfg.Length)-time.Since(begin)) {
			return
		}
	}
}

// sleep reports whether d passed before ctx was done.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// on opens a connection for d, lets use ask, and notes how it went. The error
// is also in d.
func (a *Agent) on(ctx context.Context, r Route, d *Download, use func(*session) error) error {
	s := &session{route: r, cfg: &a.cfg}
	a.metrics.connections.Inc()
	defer a.metrics.connections.Dec()
	lags := a.lag.count.Load()
	err := s.open(ctx)
	if err == nil {
		s.stage = Asking
		err = use(s)
	}
	s.judge(d, err)
	s.close(d)
	d.Lagged = d.Lagged || a.lag.count.Load() != lags
	return err
}

// finish records d unless what happened is the agent's own affair.
func (a *Agent) finish(d *Download, err error) {
	var skip *skipError
	switch {
	case errors.As(err, &skip):
		a.metrics.skipped.WithLabelValues(skip.reason).Inc()
	case d.Outcome == Stopped && d.Stage == Connecting:
		// Nothing was seen.
	default:
		a.record(d)
	}
}

// slow keeps one connection busy for length: with one trickled object, or
// several where PoPs serve none so long, and then with a tiny one that tells
// which PoP is there at the end.
func (a *Agent) slow(ctx context.Context, r Route, length time.Duration) {
	d := a.begin(Slow, r)
	d.Length = msOf(length)
	err := a.on(ctx, r, d, func(s *session) error {
		name := func(n answer) {
			if d.PoP == "" {
				d.PoP, d.VIP = n.pop, n.vip
			}
			d.PoPEnd = n.pop
			if n.status != 200 {
				d.Status = n.status
			}
		}
		for left := length; left > 0; {
			part := min(left, a.cfg.MaxPart)
			left -= part
			s.stage = Asking
			n, took, err := a.part(s, part, d, name)
			switch {
			case err != nil && d.Bytes > 0 && orderly(s, err):
				d.Hurried = true // between two objects
				return nil
			case err != nil:
				return err
			case n.last || took < part-part/10-time.Second/2:
				d.Hurried = d.Hurried || left > 0 || took < part-part/10-time.Second/2
				return nil
			}
		}
		s.stage = End
		if _, err := s.tiny(name); err != nil && !orderly(s, err) {
			return err
		}
		return nil
	})
	a.finish(d, err)
}

// orderly reports whether a server closed an idle connection instead of
// answering, which HTTP lets it do at any time (RFC 9112, section 9.5; RFC 9113,
// section 6.8).
func orderly(s *session, err error) bool {
	if s.stage != Asking && s.stage != End {
		return false
	}
	if _, _, first := s.pulse.seen(); first != nil && !errors.Is(first, io.EOF) {
		return false
	}
	_, two := s.client.(*http2)
	return errors.Is(err, io.EOF) || two && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errOneConnection))
}

// slowRate is what /slow sends by default: 100 bytes every 250 ms.
const slowRate = 400 // bytes/s

// part fetches one trickled object and returns how long its body took.
func (a *Agent) part(s *session, length time.Duration, d *Download, name func(answer)) (n answer, took time.Duration, err error) {
	seconds := int64(length / time.Second)
	body := phase{stage: Body, silence: a.cfg.Limits.Stall, total: length + 2*a.cfg.Limits.Stall, due: true}
	begin := time.Now()
	n, err = s.fetch(fmt.Sprintf("/slow?seconds=%d&bytes=%d", seconds, seconds*slowRate), seconds*slowRate, body, &d.Bytes, name)
	return n, time.Since(begin), err
}

// look asks for the tiny object over several connections, one after another.
func (a *Agent) look(ctx context.Context, r Route) {
	if a.cfg.Looks < 0 || ctx.Err() != nil {
		return
	}
	d, begin := a.begin(Look, r), time.Now()
	var first *Download // the first that failed
	var last edge.PoPID
	for range a.cfg.Looks {
		d.Outcome, d.Stage, d.Errno, d.Error, d.Status = "", "", "", "", 0
		err := a.on(ctx, r, d, func(s *session) error {
			n, err := s.tiny(func(n answer) { d.Bytes += n.length })
			if err != nil {
				return err
			}
			d.Served = append(d.Served, n.pop)
			if last != "" && n.pop != last {
				d.Flips++
			}
			last, d.PoPEnd = n.pop, n.pop
			if d.PoP == "" {
				d.PoP, d.VIP = n.pop, n.vip
			}
			return nil
		})
		if errors.As(err, new(*skipError)) {
			a.finish(d, err)
			return
		}
		if d.Outcome == Stopped {
			break
		}
		if err != nil {
			d.Served = append(d.Served, edge.Failed)
			if first == nil {
				failed := *d
				first = &failed
			}
		}
	}
	d.Duration = msOf(time.Since(begin))
	if first != nil {
		d.Outcome, d.Stage, d.Errno, d.Error, d.Status = first.Outcome, first.Stage, first.Errno, first.Error, first.Status
	}
	a.finish(d, nil)
}

// bigBytes is 45 full-size packets, where a sender begins with ten (RFC 6928):
// it cannot arrive unless full-size packets do.
const bigBytes = 64 << 10

// big asks, after a tiny object, for a burst of full-size packets over the same
// connection: if only the first arrives, the path swallows large packets.
func (a *Agent) big(ctx context.Context, r Route) {
	if ctx.Err() != nil {
		return
	}
	d := a.begin(Big, r)
	err := a.on(ctx, r, d, func(s *session) error {
		name := func(n answer) {
			if d.PoP == "" {
				d.PoP, d.VIP = n.pop, n.vip
			}
			d.PoPEnd = n.pop
		}
		n, err := s.tiny(name)
		if err != nil {
			return err
		}
		if n.last {
			return wrongError("the connection ends after one object")
		}
		// From here on silence is a stall: the answer's header travels in the
		// first full-size packet.
		s.stage = Body
		_, err = s.fetch(fmt.Sprintf("/big?bytes=%d", bigBytes), bigBytes,
			phase{silence: a.cfg.Limits.Answer, total: 6 * a.cfg.Limits.Answer, due: true}, &d.Bytes, name)
		return err
	})
	a.finish(d, err)
}
